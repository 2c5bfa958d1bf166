//! All companions together, with the real language engine.

use bytes::Bytes;
use contract::Topic;
use engine::ports::Record;
use serde_json::json;

use super::*;
use crate::testing::{MemoryBus, StillClock, data, id, nlp, provisioned, registered, spellcheck};

const BATCH: u128 = 100;

fn last(bus: &MemoryBus, topic: Topic) -> Record {
    bus.log().into_iter().rfind(|record| record.topic == topic).unwrap()
}

/// Registers a batch of the two texts and commands both phases.
async fn play(instant: bool, texts: [&'static str; 2]) -> (Arc<ContentService>, MemoryBus) {
    let dir = tempfile::tempdir().unwrap();
    let settings = CompanionSettings { instant, ..CompanionSettings::default() };
    let companions = Companions::open(&dir.path().join("companions.db"), settings).unwrap();
    let (bus, content, stop) = (MemoryBus::default(), companions.content(), CancellationToken::new());
    let broker = Arc::new(bus.clone());
    let tasks = companions.tasks(
        broker,
        Arc::<ContentService>::clone(&content),
        Arc::new(StillClock::default()),
        &stop,
    );
    let names: Vec<_> = tasks.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["lifecycle", "spellcheck", "nlp"]);

    let story = async {
        let stored = content.store(texts.map(|text| Bytes::from_static(text.as_bytes())).to_vec()).await;
        let stored: Vec<String> = stored.into_iter().map(Result::unwrap).collect();
        let essays = [(id(1), stored[0].as_str()), (id(2), stored[1].as_str())];
        bus.append([registered(id(BATCH), &[id(1), id(2)])]);
        bus.append(essays.map(|(essay, text)| provisioned(id(BATCH), essay, text)));
        bus.wait_for(Topic::BatchContentProvisioningCompleted, 1).await;
        bus.append([spellcheck(id(BATCH), id(200), &essays)]);
        bus.wait_for(Topic::BatchPhaseOutcome, 1).await;
        let outcome = data(&last(&bus, Topic::BatchPhaseOutcome));
        let processed = outcome["processed_essays"].as_array().unwrap();
        let next: Vec<_> = processed
            .iter()
            .map(|essay| {
                (
                    essay["essay_id"].as_str().unwrap().parse().unwrap(),
                    essay["text_storage_id"].as_str().unwrap(),
                )
            })
            .collect();
        bus.append([nlp(id(BATCH), id(200), &next)]);
        bus.wait_for(Topic::BatchPhaseOutcome, 2).await;
        stop.cancel();
    };
    futures::join!(story, futures::future::join_all(tasks.into_iter().map(|(_, task)| task)));
    (content, bus)
}

#[tokio::test]
async fn a_class_goes_through_both_phases_with_the_real_language_engine() {
    let (content, bus) = play(false, ["I recieve teh mail.", "   "]).await;
    let outcomes: Vec<_> =
        bus.log().iter().filter(|record| record.topic == Topic::BatchPhaseOutcome).map(data).collect();
    assert_eq!(outcomes[0]["phase_status"], "completed_with_failures");
    assert_eq!(outcomes[0]["failed_essay_ids"], json!([id(2)]));
    let corrected = outcomes[0]["processed_essays"][0]["text_storage_id"].as_str().unwrap();
    assert_eq!(content.get(corrected).await.unwrap().unwrap(), "I receive the mail.");

    assert_eq!(outcomes[1]["phase_name"], "nlp");
    assert_eq!(outcomes[1]["phase_status"], "completed_successfully");
    assert_eq!(outcomes[1]["processed_essays"][0]["essay_id"], json!(id(1)));
    assert_eq!(data(&last(&bus, Topic::EssayNlpCompleted))["nlp_metrics"]["word_count"], 4);
}

#[tokio::test]
async fn in_instant_mode_the_lifecycle_is_the_same_and_the_texts_are_unchanged() {
    let (content, bus) = play(true, ["I recieve teh mail.", "   "]).await;
    let outcomes: Vec<_> =
        bus.log().iter().filter(|record| record.topic == Topic::BatchPhaseOutcome).map(data).collect();
    assert_eq!(outcomes[1]["processed_essays"].as_array().unwrap().len(), 2);
    let text = outcomes[1]["processed_essays"][0]["text_storage_id"].as_str().unwrap();
    assert_eq!(content.get(text).await.unwrap().unwrap(), "I recieve teh mail.");
}
