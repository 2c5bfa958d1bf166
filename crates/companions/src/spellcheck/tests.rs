use std::path::Path;

use serde_json::json;

use super::*;
use crate::ContentService;
use crate::database::Database;
use crate::testing::{MemoryBus, UnavailableContent, data, deliveries, id, request};

struct Checker {
    dir: tempfile::TempDir,
    bus: MemoryBus,
    content: Arc<ContentService>,
    work: Spellcheck,
}

fn checker(instant: bool) -> Checker {
    let dir = tempfile::tempdir().unwrap();
    let bus = MemoryBus::default();
    let content = open(dir.path());
    let work = Spellcheck {
        bus: bus.bus(),
        content: Arc::<ContentService>::clone(&content),
        // A folder without dictionaries: English needs none.
        dictionaries: Arc::new(Dictionaries::with_dir(dir.path())),
        instant,
        misbehaviour: Misbehaviour::default(),
    };
    Checker { dir, bus, content, work }
}

fn open(dir: &Path) -> Arc<ContentService> {
    Arc::new(ContentService::new(Arc::new(Database::open(&dir.join("companions.db")).unwrap())))
}

impl Checker {
    async fn stored(&self, text: &'static str) -> String {
        self.content.put(Bytes::from_static(text.as_bytes())).await.unwrap()
    }

    async fn process(&mut self, records: &[Record]) -> Vec<Record> {
        self.work.turn(deliveries(records)).await.unwrap();
        self.bus.drain()
    }

    async fn text(&self, id: &serde_json::Value) -> Bytes {
        self.content.get(id.as_str().unwrap()).await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn a_text_is_corrected_stored_and_answered_twice() {
    let mut checker = checker(false);
    let text = checker.stored("I recieve teh mail.\r\nÅsa’s mail.").await;
    let published = checker.process(&[request(id(1), Some(id(100)), &text, Language::English)]).await;
    let [rich, thin] = published.as_slice() else { panic!("{} answers", published.len()) };
    assert_eq!((rich.topic, thin.topic), (Topic::EssaySpellcheckResults, Topic::SpellcheckPhaseCompleted));
    let (rich, thin) = (data(rich), data(thin));
    assert_eq!(thin["status"], "completed");
    assert_eq!(rich["status"], "spellchecked_success");
    assert_eq!(rich["corrections_made"], 2);
    assert_eq!(rich["correction_metrics"]["word_count"], 6);
    assert_eq!(rich["corrected_text_storage_id"], thin["corrected_text_storage_id"]);
    assert_ne!(thin["corrected_text_storage_id"], json!(text));
    assert_eq!(thin["correlation_id"], json!(id(900)));
    let corrected = checker.text(&thin["corrected_text_storage_id"]).await;
    assert_eq!(corrected, "I receive the mail.\r\nÅsa’s mail.");
}

#[tokio::test]
async fn each_failure_has_its_code_and_the_other_essays_are_checked() {
    let mut checker = checker(false);
    let (good, blank) = (checker.stored("All is well.").await, checker.stored(" \r\n\t").await);
    let latin = checker.content.put(Bytes::from_static(b"\xc5sa")).await.unwrap();
    let missing = "0".repeat(32);
    let published = checker
        .process(&[
            request(id(1), Some(id(100)), &blank, Language::English),
            request(id(2), Some(id(100)), &missing, Language::English),
            request(id(3), Some(id(100)), &good, Language::English),
            request(id(4), Some(id(100)), &latin, Language::English),
            request(id(5), Some(id(100)), &good, Language::Swedish),
        ])
        .await;
    let thin: Vec<_> =
        published.iter().filter(|record| record.topic == Topic::SpellcheckPhaseCompleted).map(data).collect();
    let outcomes: Vec<_> =
        thin.iter().map(|thin| (thin["entity_id"].clone(), thin["error_code"].clone())).collect();
    let codes = [
        json!("blank_text"),
        json!("text_not_found"),
        json!(null),
        json!("text_not_utf8"),
        json!("dictionary_missing"),
    ];
    let expected: Vec<_> = (1..=5).map(|number| json!(id(number))).zip(codes).collect();
    assert_eq!(outcomes, expected);
    assert_eq!(checker.text(&thin[2]["corrected_text_storage_id"]).await, "All is well.");
    assert_eq!(thin[4]["corrected_text_storage_id"], json!(null));
    assert_eq!(thin[4]["status"], "failed");
}

#[tokio::test]
async fn a_content_service_outage_fails_no_essay_and_publishes_nothing() {
    let mut checker = checker(false);
    let text = checker.stored("All is well.").await;
    checker.work.content = Arc::new(UnavailableContent);
    let records = [request(id(1), Some(id(100)), &text, Language::English)];
    let error = checker.work.turn(deliveries(&records)).await.unwrap_err();
    assert!(matches!(error, TurnError::Content(ContentError::Unavailable { .. })), "{error}");
    assert!(checker.bus.log().is_empty());
    checker.work.content = open(checker.dir.path());
    assert_eq!(checker.process(&records).await.len(), 2);
}

#[tokio::test]
async fn a_redelivered_request_is_answered_under_the_same_ids() {
    let mut checker = checker(false);
    let text = checker.stored("I recieve mail.").await;
    let records = [
        request(id(1), Some(id(100)), &text, Language::English),
        request(id(2), Some(id(101)), &text, Language::English),
    ];
    let ids = |published: Vec<Record>| published.iter().map(|record| record.event_id).collect::<Vec<_>>();
    let first = ids(checker.process(&records).await);
    assert_eq!(first.len(), 4);
    assert_eq!(ids(checker.process(&records).await), first);
}

/// As the platform's spell checker, which raises when it is to publish the result.
#[tokio::test]
async fn an_essay_without_a_batch_is_corrected_and_stored_and_nothing_is_published() {
    let mut checker = checker(false);
    let text = checker.stored("I recieve mail.").await;
    let with_batch = request(id(2), Some(id(100)), &text, Language::English);
    let published = checker.process(&[request(id(1), None, &text, Language::English), with_batch]).await;
    let essays: Vec<_> = published.iter().map(|record| data(record)["entity_id"].clone()).collect();
    assert_eq!(essays, [json!(id(2)), json!(id(2))]);
    let stored = Database::open(&checker.dir.path().join("companions.db")).unwrap();
    let texts = |conn: &rusqlite::Connection| {
        conn.query_row(
            "SELECT count(*) FROM contents WHERE CAST(body AS TEXT) = 'I receive mail.'",
            [],
            |row| row.get(0),
        )
    };
    let corrected: i64 = Arc::new(stored).read("count texts", texts).await.unwrap();
    assert_eq!(corrected, 2, "it has corrected the text that nothing will ever name");
}

#[tokio::test]
async fn in_instant_mode_no_text_is_read() {
    let mut checker = checker(true);
    checker.work.content = Arc::new(UnavailableContent);
    let published = checker.process(&[request(id(1), Some(id(100)), "anything", Language::Swedish)]).await;
    assert_eq!(data(&published[1])["corrected_text_storage_id"], "anything");
    assert_eq!(data(&published[1])["status"], "completed");
}
