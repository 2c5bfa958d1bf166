//! Validates the messages on Kafka against the platform's own models, if these are installed.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use contract::Topic;
use engine::ports::{Broker as _, Delivery};
use kafka::KafkaBroker;
use service::settings::kafka_settings;
use tokio::time::timeout;

use crate::neighbour::service::configured;
use crate::program::PATIENCE;

/// The model of 2026 for each topic, and whether the generation of 2025 has the same model. The tests of `contract` cover the
/// messages of 2025 that have no model of that name.
const MODELS: &[(Topic, &str, bool)] = &[
    (Topic::EssaySpellcheckRequested, "SpellcheckRequestedDataV1", true),
    (Topic::BatchEssaysRegistered, "BatchEssaysRegistered", false),
    (Topic::EssayContentProvisioned, "EssayContentProvisionedV1", false),
    (Topic::SpellcheckInitiate, "BatchServiceSpellcheckInitiateCommandDataV1", false),
    (Topic::NlpInitiateV2, "BatchServiceNLPInitiateCommandDataV2", false),
    (Topic::AiFeedbackInitiate, "BatchServiceAIFeedbackInitiateCommandDataV1", false),
    (Topic::CjAssessmentInitiate, "BatchServiceCJAssessmentInitiateCommandDataV1", false),
    (Topic::BatchPipelineCompleted, "BatchPipelineCompletedV1", false),
    (Topic::SpellcheckPhaseCompleted, "SpellcheckPhaseCompletedV1", false),
    (Topic::EssaySpellcheckResults, "SpellcheckResultV1", false),
    (Topic::BatchPhaseOutcome, "ELSBatchPhaseOutcomeV1", false),
    (Topic::BatchContentProvisioningCompleted, "BatchContentProvisioningCompletedV1", false),
    (Topic::BatchNlpProcessingRequestedV2, "BatchNlpProcessingRequestedV2", false),
    (Topic::BatchNlpAnalysisCompleted, "BatchNlpAnalysisCompletedV1", false),
    (Topic::EssayNlpCompleted, "EssayNlpCompletedV1", false),
];

/// All messages on Kafka with these keys, read from the beginning until there is one of each of the `topics`.
pub(super) async fn sent_under(kafka: &str, keys: &[String], topics: &[Topic]) -> Vec<Delivery> {
    let config = configured(&[("kafka_bootstrap_servers", kafka), ("kafka_session_timeout", "6s")]);
    let broker = KafkaBroker::new(kafka_settings(&config).unwrap()).unwrap();
    let all: Vec<Topic> = MODELS.iter().map(|(topic, ..)| *topic).collect();
    // A new group has no offsets, so it begins at the start of the topics.
    let group: &'static str = Box::leak(format!("documents-{}", keys.concat()).into_boxed_str());
    let mut reader = broker.subscribe(group, all).await.unwrap();
    let mut found: Vec<Delivery> = Vec::new();
    let complete =
        |found: &[Delivery]| topics.iter().all(|topic| found.iter().any(|one| one.topic == *topic));
    while !complete(&found) {
        let read = timeout(PATIENCE, reader.next(500)).await.expect("Kafka has the messages").unwrap();
        found.extend(read.into_iter().filter(|delivery| keys.contains(&delivery.key)));
    }
    drop(reader);
    broker.close().await;
    found
}

/// Validates every message against the platform's models, or reports that they are not installed.
pub(super) fn judge(documents: &[Delivery]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/contracts/validate.py");
    let can_run = Command::new("python3").args(["-c", "import jsonschema"]).output();
    if !script.is_file() || !can_run.is_ok_and(|ran| ran.status.success()) {
        let line = "left out: validation by the platform's models: the models, or python3 with jsonschema, are not installed\n";
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut by_model: BTreeMap<(&str, &str), Vec<PathBuf>> = BTreeMap::new();
    for (number, document) in documents.iter().enumerate() {
        let (_, model, in_2025) = MODELS.iter().find(|(topic, ..)| *topic == document.topic).unwrap();
        let file = folder.path().join(format!("{number}.json"));
        std::fs::write(&file, &document.value).unwrap();
        for generation in if *in_2025 { &["head", "seed"][..] } else { &["head"][..] } {
            by_model.entry((generation, model)).or_default().push(file.clone());
        }
    }
    for ((generation, model), files) in by_model {
        let judged = Command::new("python3")
            .arg(&script)
            .args([generation, &format!("EventEnvelope[{model}]")])
            .args(files)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&judged.stdout);
        assert!(
            judged.status.success(),
            "{generation} {model}: {said}{}",
            String::from_utf8_lossy(&judged.stderr)
        );
    }
}
