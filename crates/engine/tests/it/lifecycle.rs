//! What is said to the lifecycle service and the spell checker, what is sent again, and what is asked.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use contract::{
    EssayStatuses, PhaseName, SpellcheckPhaseCompleted, SpellcheckReport, SpellcheckResult, Topic, Verdict,
};
use domain::{BatchId, BatchStatus, EssayId, Kind, Phase, Settings, SingleEssayRoad};
use engine::ports::{LifecycleError, LifecycleStatus, Record};
use engine::{News, Submission, inquiry, timers};
use serde_json::json;
use store::StoredEssay;
use uuid::Uuid;

use crate::installation::{owner, submission};
use crate::manual_engine::{ManualEngine, correlation, outcome, spellchecked, start_time, wrap};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

/// What the engine sends for a batch of one.
const SENT: [Topic; 4] = [
    Topic::BatchEssaysRegistered,
    Topic::EssayContentProvisioned,
    Topic::EssaySpellcheckRequested,
    Topic::SpellcheckInitiate,
];

/// A single essay whose text is stored.
async fn single_essay(manual: &ManualEngine) -> (BatchId, EssayId) {
    let id = manual.engine.new_batch_id(None).unwrap();
    let text = std::iter::once(Bytes::from_static(b"An essay."));
    manual.engine.submit(Submission { kind: Kind::Single, ..submission(id, text) }).await.unwrap();
    let essay = EssayId::new(id, 0);
    let stored = vec![StoredEssay { essay_id: essay, storage_id: "text-0".parse().unwrap(), size_bytes: 9 }];
    manual.apply(id, News::TextsStored { stored, refused: Vec::new() }).await;
    (id, essay)
}

#[tokio::test]
async fn a_single_essay_is_a_batch_of_one_that_is_registered_before_it_is_requested() {
    let folder = tempfile::tempdir().unwrap();
    let mut manual = ManualEngine::open(folder.path()).await;
    let (batch, essay) = single_essay(&manual).await;
    let sent = manual.sent(&SENT).await;
    let topics: Vec<_> = sent.iter().map(|(topic, _, _)| topic.as_str()).collect();
    assert_eq!(topics, SENT.map(Topic::as_str)[..3]);
    let [(_, _, registered), (_, _, provisioned), (_, _, requested)] = sent.as_slice() else { panic!() };
    assert_eq!(registered["data"]["entity_id"], json!(batch.as_uuid()));
    assert_eq!(registered["data"]["essay_ids"], json!([essay.as_uuid()]));
    assert_eq!(registered["data"]["expected_essay_count"], 1);
    assert_eq!(provisioned["data"]["text_storage_id"], "text-0");
    for place in [&requested["data"], &requested["data"]["entity_ref"], &requested["data"]["system_metadata"]]
    {
        assert_eq!(place["parent_id"], json!(batch.as_uuid()), "{requested}");
    }

    // The confirmation of the registration is not waited for, and comes when it comes.
    manual.deliver(vec![spellchecked(essay, Verdict::Succeeded, correlation(batch), "")]).await;
    assert_eq!(manual.status(batch).await.row.batch.status(), BatchStatus::CompletedSuccessfully);
    manual.apply(batch, News::Registered).await;
    assert_eq!(manual.status(batch).await.row.batch.status(), BatchStatus::CompletedSuccessfully);
}

#[tokio::test]
async fn a_single_essay_by_the_lifecycle_service_is_commanded_and_ends_with_the_outcome() {
    let folder = tempfile::tempdir().unwrap();
    let rules = Settings { single_essay_road: SingleEssayRoad::Lifecycle, ..Settings::default() };
    let mut manual = ManualEngine::with_rules(folder.path(), rules).await;
    let (batch, essay) = single_essay(&manual).await;
    assert_eq!(manual.sent(&SENT).await.len(), 2, "the command waits for the confirmation");
    manual.apply(batch, News::Registered).await;
    let sent = manual.sent(&SENT).await;
    assert_eq!(sent.last().unwrap().0, Topic::SpellcheckInitiate.as_str());
    manual.deliver(vec![spellchecked(essay, Verdict::Succeeded, correlation(batch), "")]).await;
    assert_eq!(manual.status(batch).await.row.batch.status(), BatchStatus::Processing);
    manual.deliver(vec![outcome(batch, PhaseName::Spellcheck, &[essay], &[], correlation(batch))]).await;
    assert_eq!(manual.status(batch).await.row.batch.status(), BatchStatus::CompletedSuccessfully);
}

#[tokio::test]
async fn where_another_service_registers_a_single_essay_is_only_requested() {
    let folder = tempfile::tempdir().unwrap();
    let rules = Settings { registration: false, ..Settings::default() };
    let manual = ManualEngine::with_rules(folder.path(), rules).await;
    let (batch, _) = single_essay(&manual).await;
    let sent = manual.sent(&SENT).await;
    let [(topic, _, requested)] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(topic, Topic::EssaySpellcheckRequested.as_str());
    assert_eq!(requested["data"]["parent_id"], json!(batch.as_uuid()));
}

#[tokio::test]
async fn a_lost_command_is_sent_again_for_the_open_essays_under_a_derived_id_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut manual = ManualEngine::open(folder.path()).await;
    let batch = manual.running_batch(3, &[Phase::Spellcheck]).await;
    manual.advance(5 * MINUTE).await;
    assert_eq!(manual.published(Topic::SpellcheckInitiate).await, 1);
    manual
        .deliver(vec![spellchecked(EssayId::new(batch, 0), Verdict::Succeeded, correlation(batch), "")])
        .await;
    // The silence counts from the last result.
    for (advance, commands) in [(329 * SECOND, 1), (SECOND, 2), (330 * SECOND, 3), (330 * SECOND, 3)] {
        manual.advance(advance).await;
        assert_eq!(manual.published(Topic::SpellcheckInitiate).await, commands);
    }
    let topic = Topic::SpellcheckInitiate;
    let sent = manual.sent(&[topic]).await;
    let id = |part| {
        let phase = Some(Phase::Spellcheck);
        domain::event_id(topic.as_str(), &batch.to_string(), 1, phase, Some(1), part)
    };
    let ids: Vec<_> = sent.iter().map(|(_, event, _)| *event).collect();
    assert_eq!(ids, [id(""), id("resend 1"), id("resend 2")]);
    let essays = |n: usize| sent[n].2["data"]["essays_to_process"].as_array().unwrap().len();
    assert_eq!((essays(0), essays(1), essays(2)), (3, 2, 2), "the first essay has its result");
    assert_eq!(sent[0].2["correlation_id"], sent[1].2["correlation_id"], "it is the same attempt");

    let waiting_on = manual.status(batch).await.row.batch.waiting_on.unwrap();
    assert_eq!(waiting_on.resends, 2);
    let timeline = manual
        .store
        .read(move |tx| Box::pin(async move { tx.timeline(&owner(), batch, 0, 100).await }))
        .await
        .unwrap();
    let resent: Vec<_> = timeline
        .iter()
        .map(|line| line.reason.as_str())
        .filter(|reason| reason.contains("sent again"))
        .collect();
    assert_eq!(
        resent,
        [
            "spellcheck: sent again for 2 essays without a result (1 of at most 2)",
            "spellcheck: sent again for 2 essays without a result (2 of at most 2)",
        ]
    );
}

#[tokio::test]
async fn a_lost_request_of_a_single_essay_is_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut manual = ManualEngine::open(folder.path()).await;
    let (batch, essay) = single_essay(&manual).await;
    manual.advance(330 * SECOND).await;
    let sent = manual.sent(&[Topic::EssaySpellcheckRequested]).await;
    assert_eq!(sent.len(), 2);
    assert_ne!(sent[0].1, sent[1].1, "the spell checker drops an id that it knows");
    assert_eq!(sent[0].2["data"]["text_storage_id"], sent[1].2["data"]["text_storage_id"]);
    assert_eq!(manual.published(Topic::BatchEssaysRegistered).await, 1);
    manual.deliver(vec![spellchecked(essay, Verdict::Succeeded, correlation(batch), "")]).await;
    assert_eq!(manual.status(batch).await.row.batch.status(), BatchStatus::CompletedSuccessfully);
}

/// A lifecycle service with these statuses of every batch; none: it does not answer.
#[derive(Debug, Default)]
struct Lifecycle(Mutex<Option<Vec<(&'static str, u32)>>>);

impl Lifecycle {
    fn set(&self, statuses: &[(&'static str, u32)]) {
        *self.0.lock().unwrap() = Some(statuses.to_vec());
    }
}

#[async_trait]
impl LifecycleStatus for Lifecycle {
    async fn statuses(&self, _: Uuid) -> Result<EssayStatuses, LifecycleError> {
        let statuses = self.0.lock().unwrap().clone();
        let statuses = statuses.ok_or(LifecycleError::Unavailable { code: "lifecycle_timeout" })?;
        Ok(statuses.into_iter().map(|(status, essays)| (status.to_owned(), essays)).collect())
    }
}

async fn asking(folder: &std::path::Path) -> (ManualEngine, Lifecycle) {
    let rules = Settings { asks_lifecycle: true, ..Settings::default() };
    (ManualEngine::with_rules(folder, rules).await, Lifecycle::default())
}

/// Advances the clock, and fires the timers of both tasks. Returns how many the inquiry fired.
async fn advance(manual: &ManualEngine, lifecycle: &Lifecycle, time: Duration) -> usize {
    manual.advance(time).await;
    inquiry::turn(&manual.engine, lifecycle, &[0], &mut timers::TimersState::default()).await.unwrap()
}

#[tokio::test]
async fn the_lifecycle_service_is_asked_about_a_late_outcome_and_finished_essays_let_the_next_command_go() {
    let folder = tempfile::tempdir().unwrap();
    let (mut manual, lifecycle) = asking(folder.path()).await;
    let batch = manual.running_batch(2, &[Phase::Spellcheck, Phase::Nlp]).await;
    let word = |n| spellchecked(EssayId::new(batch, n), Verdict::Succeeded, correlation(batch), "");
    manual.deliver(vec![word(0), word(1)]).await;
    assert_eq!(advance(&manual, &lifecycle, 29 * SECOND).await, 0);
    // It is away, then it has not dealt with all results.
    assert_eq!(advance(&manual, &lifecycle, SECOND).await, 1);
    lifecycle.set(&[("spellchecked_success", 1), ("spellchecking_in_progress", 1)]);
    assert_eq!(advance(&manual, &lifecycle, 30 * SECOND).await, 1);
    assert_eq!(manual.published(Topic::NlpInitiateV2).await, 0);
    lifecycle.set(&[("spellchecked_success", 2)]);
    assert_eq!(advance(&manual, &lifecycle, MINUTE).await, 1);
    let status = manual.status(batch).await;
    assert_eq!(status.row.batch.current(), Some((Phase::Nlp, 1)));
    assert!(status.row.batch.record(Phase::Spellcheck).unwrap().outcome_missing);
    assert_eq!(manual.published(Topic::NlpInitiateV2).await, 1);
}

#[tokio::test]
async fn a_command_is_sent_again_at_once_where_the_lifecycle_service_says_that_it_was_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (manual, lifecycle) = asking(folder.path()).await;
    let batch = manual.running_batch(2, &[Phase::Spellcheck]).await;
    lifecycle.set(&[("spellchecking_in_progress", 2)]);
    assert_eq!(advance(&manual, &lifecycle, 5 * MINUTE).await, 1);
    assert_eq!(manual.published(Topic::SpellcheckInitiate).await, 1, "it is on its way");
    lifecycle.set(&[("ready_for_processing", 2)]);
    assert_eq!(advance(&manual, &lifecycle, 5 * MINUTE).await, 1);
    assert_eq!(manual.published(Topic::SpellcheckInitiate).await, 2);
    assert_eq!(manual.status(batch).await.row.batch.waiting_on.unwrap().resends, 1);
}

/// The two results of a failed spellcheck, as the platform writes them.
fn failures(essay: EssayId) -> [Record; 2] {
    let batch = essay.batch();
    let own = correlation(batch);
    let report = |error_code| SpellcheckReport {
        essay_id: essay.as_uuid(),
        batch_id: batch.as_uuid(),
        correlation_id: own.0,
        verdict: Verdict::Failed,
        original_text_storage_id: "text",
        corrected_text_storage_id: None,
        corrections_made: 0,
        word_count: 0,
        processing_duration_ms: 3,
        error_code: Some(error_code),
        processor_version: "test",
    };
    let (text, at) = ("{'error_code': 'PROCESSING_ERROR', 'message': 'Failed to", start_time());
    let thin = SpellcheckPhaseCompleted::new(&report(text), at);
    let rich = SpellcheckResult::new(&report("CONTENT_SERVICE_ERROR"), at);
    let about = essay.to_string();
    [
        wrap(Topic::SpellcheckPhaseCompleted, batch, &about, own, "", thin),
        wrap(Topic::EssaySpellcheckResults, batch, &about, own, "", rich),
    ]
}

#[tokio::test]
async fn the_rich_result_gives_the_reason_in_either_order_and_together() {
    let folder = tempfile::tempdir().unwrap();
    let mut manual = ManualEngine::open(folder.path()).await;
    let batch = manual.running_batch(4, &[Phase::Spellcheck]).await;
    let essays = [0, 1, 2, 3].map(|n| EssayId::new(batch, n));
    let [thin, rich] = failures(essays[0]);
    manual.deliver(vec![thin]).await;
    let code = |code: &str| Some(code.to_owned());
    assert_eq!(
        manual.error_codes(essays[0]).await,
        (code("processing_error"), vec![code("processing_error")])
    );
    manual.deliver(vec![rich]).await;

    let [thin, rich] = failures(essays[1]);
    manual.deliver(vec![rich]).await;
    manual.deliver(vec![thin]).await;
    manual.deliver(failures(essays[2]).to_vec()).await;

    // The outcome names it first, and says nothing about the reason.
    manual.deliver(vec![outcome(batch, PhaseName::Spellcheck, &[], &[essays[3]], correlation(batch))]).await;
    assert_eq!(manual.error_codes(essays[3]).await.0, code("phase_failed"));
    manual.deliver(failures(essays[3]).to_vec()).await;
    for essay in essays {
        let stands = (code("content_service_error"), vec![code("content_service_error")]);
        assert_eq!(manual.error_codes(essay).await, stands, "{essay}");
    }
}
