use bytes::Bytes;
use contract::BatchNlpProcessingRequestedV2;
use serde_json::json;

use super::*;
use crate::ContentService;
use crate::database::Database;
use crate::testing::{MemoryBus, UnavailableContent, data, deliveries, id, noon};

const BATCH: u128 = 100;

fn request(essays: &[(u128, &str)], language: Language) -> Record {
    let essays: Vec<EssayRef> = essays
        .iter()
        .map(|(number, text)| EssayRef { essay_id: id(*number), text_storage_id: (*text).to_owned() })
        .collect();
    let to = Address {
        topic: Topic::BatchNlpProcessingRequestedV2,
        source: Source::EssayLifecycleService,
        key: id(BATCH),
    };
    let cause = Cause { event_id: id(900), correlation_id: id(901), at: noon(), trace: None };
    let event = BatchNlpProcessingRequestedV2::new(id(BATCH), &essays, language, None, noon());
    record(to, &cause, "", noon(), event)
}

#[tokio::test]
async fn each_text_is_measured_and_the_batch_is_summarised() {
    let dir = tempfile::tempdir().unwrap();
    let bus = MemoryBus::default();
    let database = Arc::new(Database::open(&dir.path().join("companions.db")).unwrap());
    let content = Arc::new(ContentService::new(database));
    let text = content.put(Bytes::from_static(b"I like cats. I like dogs too.")).await.unwrap();
    let blank = content.put(Bytes::from_static(b"\n")).await.unwrap();
    let mut nlp = Nlp { bus: bus.bus(), content, instant: false, misbehaviour: Misbehaviour::default() };

    let missing = "f".repeat(32);
    let records = [request(&[(1, &text), (2, &blank), (3, &missing)], Language::English)];
    nlp.turn(deliveries(&records)).await.unwrap();
    let published = bus.drain();
    let [essay, batch] = published.as_slice() else { panic!("{} events", published.len()) };

    let figures = data(essay);
    assert_eq!(figures["essay_id"], json!(id(1)));
    assert_eq!(figures["nlp_metrics"]["word_count"], 7);
    assert_eq!(figures["nlp_metrics"]["sentence_count"], 2);
    assert_eq!(figures["nlp_metrics"]["avg_sentence_length"], 3.5);
    assert_eq!(figures["processing_metadata"]["lix"], 3.5);
    assert!(figures["processing_metadata"]["flesch_reading_ease"].as_f64().unwrap() > 90.0);

    assert_eq!(batch.topic, Topic::BatchNlpAnalysisCompleted);
    let summary = &data(batch)["processing_summary"];
    assert_eq!(summary["successful_essay_ids"], json!([id(1)]));
    assert_eq!(summary["failed_essay_ids"], json!([id(2), id(3)]));
    let envelope: serde_json::Value = serde_json::from_slice(&batch.value).unwrap();
    assert_eq!(envelope["correlation_id"], json!(id(901)));

    let ids = |published: &[Record]| published.iter().map(|record| record.event_id).collect::<Vec<_>>();
    nlp.turn(deliveries(&records)).await.unwrap();
    assert_eq!(ids(&bus.drain()), ids(&published));
}

#[tokio::test]
async fn a_content_service_outage_fails_no_essay_and_publishes_nothing() {
    let bus = MemoryBus::default();
    let mut nlp = Nlp {
        bus: bus.bus(),
        content: Arc::new(UnavailableContent),
        instant: false,
        misbehaviour: Misbehaviour::default(),
    };
    nlp.turn(deliveries(&[request(&[(1, "text")], Language::English)])).await.unwrap_err();
    assert!(bus.log().is_empty());
}

#[tokio::test]
async fn in_instant_mode_no_text_is_read() {
    let bus = MemoryBus::default();
    let mut nlp = Nlp {
        bus: bus.bus(),
        content: Arc::new(UnavailableContent),
        instant: true,
        misbehaviour: Misbehaviour::default(),
    };
    nlp.turn(deliveries(&[request(&[(1, "a"), (2, "b")], Language::Swedish)])).await.unwrap();
    let published = bus.drain();
    assert_eq!(published.len(), 3);
    assert_eq!(data(&published[0])["nlp_metrics"]["word_count"], 0);
    assert_eq!(data(&published[2])["processing_summary"]["successful"], 2);
}
