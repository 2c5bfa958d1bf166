//! Records in the forms of both generations, written for this project: `tests/fixtures/{2025,2026}`.

use std::path::{Path, PathBuf};

use contract::Topic;

/// A record as another service of a generation would write it.
pub(crate) struct Fixture {
    pub(crate) generation: &'static str,
    pub(crate) name: &'static str,
    pub(crate) topic: Topic,
    /// The platform's model of the payload, where the generation has one.
    pub(crate) model: Option<&'static str>,
}

impl Fixture {
    pub(crate) fn path(&self) -> PathBuf {
        let file = format!("{}/{}.json", self.generation, self.name);
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.path()).unwrap()
    }
}

macro_rules! fixtures {
    ($($generation:literal $name:literal $topic:ident $model:expr;)+) => {
        pub(crate) const FIXTURES: &[Fixture] = &[
            $(Fixture { generation: $generation, name: $name, topic: Topic::$topic, model: $model },)+
        ];
    };
}

fixtures! {
    "2025" "spellcheck_result_success" EssaySpellcheckCompleted Some("SpellcheckResultDataV1");
    "2025" "spellcheck_result_failure" EssaySpellcheckCompleted Some("SpellcheckResultDataV1");
    "2025" "phase_outcome" BatchPhaseOutcome None;
    "2025" "spellcheck_requested" EssaySpellcheckRequested Some("EssayLifecycleSpellcheckRequestV1");
    "2025" "initiate_spellcheck" SpellcheckInitiate Some("BatchServiceSpellcheckInitiateCommandDataV1");
    "2025" "initiate_cj_assessment" CjAssessmentInitiate Some("BatchServiceCJAssessmentInitiateCommandDataV1");
    "2026" "spellcheck_thin_success" SpellcheckPhaseCompleted Some("SpellcheckPhaseCompletedV1");
    "2026" "spellcheck_thin_failure" SpellcheckPhaseCompleted Some("SpellcheckPhaseCompletedV1");
    "2026" "spellcheck_rich" EssaySpellcheckResults Some("SpellcheckResultV1");
    "2026" "spellcheck_result_flat" EssaySpellcheckCompleted Some("SpellcheckResultDataV1");
    "2026" "essay_nlp_completed" EssayNlpCompleted Some("EssayNlpCompletedV1");
    "2026" "phase_outcome_partial" BatchPhaseOutcome Some("ELSBatchPhaseOutcomeV1");
    "2026" "phase_outcome_critical" BatchPhaseOutcome Some("ELSBatchPhaseOutcomeV1");
    "2026" "content_provisioning_completed" BatchContentProvisioningCompleted Some("BatchContentProvisioningCompletedV1");
    "2026" "essays_ready" BatchEssaysReady Some("BatchEssaysReady");
    "2026" "essays_registered" BatchEssaysRegistered Some("BatchEssaysRegistered");
    "2026" "content_provisioned" EssayContentProvisioned Some("EssayContentProvisionedV1");
    "2026" "spellcheck_requested" EssaySpellcheckRequested Some("SpellcheckRequestedDataV1");
    "2026" "initiate_nlp" NlpInitiateV2 Some("BatchServiceNLPInitiateCommandDataV2");
    "2026" "initiate_ai_feedback" AiFeedbackInitiate Some("BatchServiceAIFeedbackInitiateCommandDataV1");
    "2026" "nlp_requested" BatchNlpProcessingRequestedV2 Some("BatchNlpProcessingRequestedV2");
    "2026" "nlp_analysed" BatchNlpAnalysisCompleted Some("BatchNlpAnalysisCompletedV1");
}

#[test]
fn every_fixture_file_is_in_the_table() {
    let mut listed: Vec<PathBuf> = FIXTURES.iter().map(Fixture::path).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut found: Vec<PathBuf> = ["2025", "2026"]
        .iter()
        .flat_map(|generation| std::fs::read_dir(folder.join(generation)).unwrap())
        .map(|file| file.unwrap().path())
        .collect();
    listed.sort();
    found.sort();
    assert_eq!(found, listed);
}
