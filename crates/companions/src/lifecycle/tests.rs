mod rules;

use std::path::Path;

use contract::{BatchNlpAnalysisCompleted, Source, SpellcheckPhaseCompleted, SpellcheckReport};
use serde_json::json;

use super::*;
use crate::testing::{
    MemoryBus, data, deliveries, events, id, nlp, noon, provisioned, registered, spellcheck,
};
use crate::wire::{Address, record};

const BATCH: u128 = 100;
/// The correlation ids of two commands for one phase.
const FIRST: u128 = 201;
const SECOND: u128 = 202;

/// A lifecycle service with its bus.
struct Els {
    dir: tempfile::TempDir,
    bus: MemoryBus,
    service: Lifecycle,
}

impl Els {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bus = MemoryBus::default();
        let service = open(dir.path(), &bus);
        Self { dir, bus, service }
    }

    fn that_retries() -> Self {
        let mut els = Self::new();
        els.service.retries = true;
        els
    }

    fn restart(&mut self) {
        let retries = self.service.retries;
        self.service = open(self.dir.path(), &self.bus);
        self.service.retries = retries;
    }

    /// The statuses of the batch's essays, as the service answers them.
    async fn statuses(&self) -> Result<String, LifecycleError> {
        let statuses = LifecycleService::new(Arc::clone(&self.service.database)).statuses(id(BATCH)).await?;
        let counts = statuses.counts().iter().map(|(status, essays)| format!("{essays} {status}"));
        Ok(counts.collect::<Vec<_>>().join(", "))
    }

    /// Processes these records in one turn and returns the published records.
    async fn process(&mut self, records: &[Record]) -> Vec<Record> {
        self.service.turn(deliveries(records)).await.unwrap();
        self.bus.drain()
    }

    /// A service with these essays spellchecked into the texts `c1`, `c2`, ….
    async fn spellchecked(essays: &[u128]) -> Self {
        let mut els = Self::with(essays).await;
        let texts: Vec<_> = essays.iter().map(|number| (id(*number), format!("t{number}"))).collect();
        let texts: Vec<_> = texts.iter().map(|(essay, text)| (*essay, text.as_str())).collect();
        els.process(&[spellcheck(id(BATCH), id(FIRST), &texts)]).await;
        let results: Vec<_> =
            essays.iter().map(|number| checked(FIRST, *number, Verdict::Succeeded)).collect();
        els.process(&results).await;
        els
    }

    /// A service with these essays registered and provisioned with the texts `t1`, `t2`, ….
    async fn with(essays: &[u128]) -> Self {
        let mut els = Self::new();
        els.process(&introduction(essays)).await;
        els
    }
}

fn open(dir: &Path, bus: &MemoryBus) -> Lifecycle {
    Lifecycle::new(
        Arc::new(Database::open(&dir.join("companions.db")).unwrap()),
        bus.bus(),
        false,
        Misbehaviour::default(),
    )
}

fn introduction(essays: &[u128]) -> Vec<Record> {
    let ids: Vec<Uuid> = essays.iter().copied().map(id).collect();
    let texts = essays.iter().map(|number| provisioned(id(BATCH), id(*number), &format!("t{number}")));
    std::iter::once(registered(id(BATCH), &ids)).chain(texts).collect()
}

fn checked(correlation: u128, essay: u128, verdict: Verdict) -> Record {
    let corrected = format!("c{essay}");
    let report = SpellcheckReport {
        essay_id: id(essay),
        batch_id: id(BATCH),
        correlation_id: id(correlation),
        verdict,
        original_text_storage_id: "t",
        corrected_text_storage_id: (verdict == Verdict::Succeeded).then_some(&corrected),
        corrections_made: 0,
        word_count: 0,
        processing_duration_ms: 0,
        error_code: None,
        processor_version: "test",
    };
    let to = Address {
        topic: Topic::SpellcheckPhaseCompleted,
        source: Source::SpellcheckerService,
        key: id(BATCH),
    };
    let cause = Cause { event_id: id(essay), correlation_id: id(correlation), at: noon(), trace: None };
    record(to, &cause, "", noon(), SpellcheckPhaseCompleted::new(&report, noon()))
}

fn analysed(correlation: u128, succeeded: &[u128], failed: &[u128]) -> Record {
    let ids = |numbers: &[u128]| numbers.iter().copied().map(id).collect::<Vec<_>>();
    let to = Address { topic: Topic::BatchNlpAnalysisCompleted, source: Source::NlpService, key: id(BATCH) };
    let cause = Cause { event_id: id(999), correlation_id: id(correlation), at: noon(), trace: None };
    let (succeeded, failed) = (ids(succeeded), ids(failed));
    let event = BatchNlpAnalysisCompleted::new(id(BATCH), &succeeded, &failed, 0.0, noon());
    record(to, &cause, "", noon(), event)
}

/// A summary of each published record: its kind, and the essays that it names.
#[expect(clippy::wildcard_enum_match_arm, reason = "it publishes on four topics")]
fn summary(records: &[Record]) -> Vec<String> {
    let number =
        |value: &serde_json::Value| Uuid::try_parse(value.as_str().unwrap()).unwrap().as_u128().to_string();
    let text = |essay: &serde_json::Value| {
        format!("{}:{}", number(&essay["essay_id"]), essay["text_storage_id"].as_str().unwrap())
    };
    let list = |value: &serde_json::Value, word: &dyn Fn(&serde_json::Value) -> String| {
        value.as_array().unwrap().iter().map(word).collect::<Vec<_>>().join(" ")
    };
    let line = |record: &Record| {
        let data = data(record);
        match record.topic {
            Topic::BatchContentProvisioningCompleted => {
                format!("complete {}", list(&data["essays_for_processing"], &text))
            }
            Topic::EssaySpellcheckRequested => {
                format!("check {}:{}", number(&data["entity_id"]), data["text_storage_id"].as_str().unwrap())
            }
            Topic::BatchNlpProcessingRequestedV2 => {
                format!("analyse {}", list(&data["essays_to_process"], &text))
            }
            Topic::BatchPhaseOutcome => format!(
                "{} {}: processed {}, failed {}",
                data["phase_name"].as_str().unwrap(),
                data["phase_status"].as_str().unwrap(),
                list(&data["processed_essays"], &text),
                list(&data["failed_essay_ids"], &number),
            ),
            topic => panic!("the lifecycle service does not publish on {topic}"),
        }
    };
    records.iter().map(line).collect()
}

#[tokio::test]
async fn a_batch_goes_through_both_phases() {
    let mut els = Els::new();
    let complete = els.process(&introduction(&[1, 2])).await;
    assert_eq!(summary(&complete), ["complete 1:t1 2:t2"]);
    assert_eq!(data(&complete[0])["provisioned_count"], json!(2));

    let requests = els.process(&[spellcheck(id(BATCH), id(FIRST), &[(id(1), "t1"), (id(2), "t2")])]).await;
    assert_eq!(summary(&requests), ["check 1:t1", "check 2:t2"]);
    assert_eq!(els.process(&[checked(FIRST, 2, Verdict::Succeeded)]).await.len(), 0);
    let outcome = els.process(&[checked(FIRST, 1, Verdict::Succeeded)]).await;
    assert_eq!(summary(&outcome), ["spellcheck completed_successfully: processed 1:c1 2:c2, failed "]);
    assert_eq!(data(&outcome[0])["correlation_id"], json!(id(FIRST)));

    let request = els.process(&[nlp(id(BATCH), id(FIRST), &[(id(1), "c1"), (id(2), "c2")])]).await;
    assert_eq!(summary(&request), ["analyse 1:c1 2:c2"]);
    let outcome = els.process(&[analysed(FIRST, &[1, 2], &[])]).await;
    assert_eq!(summary(&outcome), ["nlp completed_successfully: processed 1:c1 2:c2, failed "]);
}

#[tokio::test]
async fn events_have_the_correlation_id_of_the_command_and_the_batch_as_key() {
    let mut els = Els::with(&[1]).await;
    let requests = els.process(&[spellcheck(id(BATCH), id(FIRST), &[(id(1), "t1")])]).await;
    let outcome = els.process(&[checked(FIRST, 1, Verdict::Succeeded)]).await;
    for record in [&requests[0], &outcome[0]] {
        let envelope: serde_json::Value = serde_json::from_slice(&record.value).unwrap();
        assert_eq!(envelope["correlation_id"], json!(id(FIRST)));
        assert_eq!(envelope["source_service"], json!("essay-lifecycle-service"));
        assert_eq!(record.key, id(BATCH).to_string());
    }
}

#[tokio::test]
async fn unknown_and_unready_essays_are_ignored_silently() {
    // A batch that was never registered.
    let mut els = Els::new();
    assert_eq!(summary(&els.process(&[spellcheck(id(BATCH), id(FIRST), &[(id(1), "t1")])]).await), [""; 0]);

    // Registered, without its text. The command is not kept until the text arrives.
    let mut els = Els::new();
    let early = [registered(id(BATCH), &[id(1)]), spellcheck(id(BATCH), id(FIRST), &[(id(1), "t1")])];
    assert_eq!(summary(&els.process(&early).await), [""; 0]);
    assert_eq!(summary(&els.process(&[provisioned(id(BATCH), id(1), "t1")]).await), ["complete 1:t1"]);

    // An essay of another batch and an unknown one, beside one that moves.
    let mut els = Els::with(&[1]).await;
    els.process(&[registered(id(BATCH + 1), &[id(50)]), provisioned(id(BATCH + 1), id(50), "t50")]).await;
    let strangers = [(id(50), "t50"), (id(51), "t51")];
    assert_eq!(summary(&els.process(&[spellcheck(id(BATCH), id(FIRST), &strangers)]).await), [""; 0]);
    let mixed = [(id(50), "t50"), (id(1), "t1"), (id(1), "t1"), (id(51), "t51")];
    assert_eq!(summary(&els.process(&[spellcheck(id(BATCH), id(FIRST), &mixed)]).await), ["check 1:t1"]);
    let outcome = els.process(&[checked(FIRST, 1, Verdict::Succeeded)]).await;
    assert_eq!(summary(&outcome), ["spellcheck completed_successfully: processed 1:c1, failed "]);
}

#[tokio::test]
async fn a_text_of_an_unregistered_essay_is_ignored() {
    let mut els = Els::new();
    let stray = [
        provisioned(id(BATCH), id(9), "t9"),
        registered(id(BATCH), &[id(1)]),
        provisioned(id(BATCH), id(8), "t8"),
    ];
    assert_eq!(summary(&els.process(&stray).await), [""; 0]);
    assert_eq!(summary(&els.process(&[provisioned(id(BATCH), id(1), "t1")]).await), ["complete 1:t1"]);
    let strays = [(id(8), "t8"), (id(9), "t9")];
    assert_eq!(summary(&els.process(&[spellcheck(id(BATCH), id(FIRST), &strays)]).await), [""; 0]);
}

#[tokio::test]
async fn a_failed_essay_does_not_go_on_to_the_next_phase() {
    let mut els = Els::with(&[1, 2]).await;
    els.process(&[spellcheck(id(BATCH), id(FIRST), &[(id(1), "t1"), (id(2), "t2")])]).await;
    // Not while the first phase is in progress either.
    assert_eq!(summary(&els.process(&[nlp(id(BATCH), id(FIRST), &[(id(1), "t1")])]).await), [""; 0]);
    let results = [checked(FIRST, 1, Verdict::Failed), checked(FIRST, 2, Verdict::Succeeded)];
    let outcome = els.process(&results).await;
    assert_eq!(summary(&outcome), ["spellcheck completed_with_failures: processed 2:c2, failed 1"]);
    let all = [(id(1), "t1"), (id(2), "c2")];
    assert_eq!(summary(&els.process(&[nlp(id(BATCH), id(FIRST), &all)]).await), ["analyse 2:c2"]);
}

#[tokio::test]
async fn an_essay_that_the_analysis_does_not_name_stays_unfinished_and_holds_the_outcome_back() {
    let mut els = Els::spellchecked(&[1, 2, 3]).await;
    els.process(&[nlp(id(BATCH), id(FIRST), &[(id(1), "c1"), (id(2), "c2"), (id(3), "c3")])]).await;
    assert_eq!(summary(&els.process(&[analysed(FIRST, &[1], &[2])]).await), [""; 0]);
    let outcome = els.process(&[analysed(FIRST, &[3], &[])]).await;
    assert_eq!(summary(&outcome), ["nlp completed_with_failures: processed 1:c1 3:c3, failed 2"]);
}

#[tokio::test]
async fn a_text_that_arrives_before_the_registration_is_kept() {
    let mut els = Els::new();
    let mut story = introduction(&[1, 2]);
    story.rotate_left(1);
    let registration = story.pop().unwrap();
    assert_eq!(summary(&els.process(&story).await), [""; 0]);
    els.restart();
    assert_eq!(summary(&els.process(&[registration]).await), ["complete 1:t1 2:t2"]);
}

#[tokio::test]
async fn where_retries_are_possible_a_failed_essay_may_be_commanded_again() {
    let mut els = Els::with(&[1, 2]).await;
    els.service.retries = true;
    els.process(&[spellcheck(id(BATCH), id(FIRST), &[(id(1), "t1"), (id(2), "t2")])]).await;
    els.process(&[checked(FIRST, 1, Verdict::Failed), checked(FIRST, 2, Verdict::Succeeded)]).await;
    els.restart();
    // The first command again is not a retry.
    assert_eq!(summary(&els.process(&[spellcheck(id(BATCH), id(FIRST), &[(id(1), "t1")])]).await), [""; 0]);
    let again = els.process(&[spellcheck(id(BATCH), id(SECOND), &[(id(1), "t1")])]).await;
    assert_eq!(summary(&again), ["check 1:t1"]);
    let outcome = els.process(&[checked(SECOND, 1, Verdict::Succeeded)]).await;
    assert_eq!(summary(&outcome), ["spellcheck completed_successfully: processed 1:c1 2:c2, failed "]);
    // The essay has recovered: it moves on.
    let all = [(id(1), "c1"), (id(2), "c2")];
    assert_eq!(summary(&els.process(&[nlp(id(BATCH), id(FIRST), &all)]).await), ["analyse 1:c1 2:c2"]);
}

#[tokio::test]
async fn the_service_says_where_the_essays_of_a_batch_are() {
    let mut els = Els::new();
    assert_eq!(els.statuses().await, Err(LifecycleError::UnknownBatch));
    els.process(&[registered(id(BATCH), &[id(1), id(2)]), provisioned(id(BATCH), id(1), "t1")]).await;
    assert_eq!(els.statuses().await.unwrap(), "1 content_ingesting, 1 ready_for_processing");
    els.process(&[spellcheck(id(BATCH), id(FIRST), &[(id(1), "t1")])]).await;
    assert_eq!(els.statuses().await.unwrap(), "1 awaiting_spellcheck, 1 content_ingesting");
}

/// Both phases of three essays, one of which fails and is retried.
fn story() -> Vec<Record> {
    let all = [(id(1), "t1"), (id(2), "t2"), (id(3), "t3")];
    let mut story = introduction(&[1, 2, 3]);
    story.extend([
        spellcheck(id(BATCH), id(FIRST), &all),
        checked(FIRST, 2, Verdict::Failed),
        checked(FIRST, 1, Verdict::Succeeded),
        checked(FIRST, 3, Verdict::Succeeded),
        spellcheck(id(BATCH), id(SECOND), &all[1..2]),
        checked(SECOND, 2, Verdict::Succeeded),
        nlp(id(BATCH), id(FIRST), &[(id(1), "c1"), (id(2), "c2"), (id(3), "c3")]),
        analysed(FIRST, &[1, 2], &[3]),
    ]);
    story
}

#[tokio::test]
async fn the_events_do_not_depend_on_how_the_records_are_cut_into_turns() {
    let whole = events(&Els::that_retries().process(&story()).await);
    assert_eq!(whole.len(), 1 + 3 + 1 + 1 + 1 + 1 + 1);
    for size in 1..story().len() {
        let mut els = Els::that_retries();
        let mut parts = Vec::new();
        for turn in story().chunks(size) {
            parts.extend(els.process(turn).await);
            els.restart();
        }
        assert_eq!(events(&parts), whole, "turns of {size}");
    }
}

#[tokio::test]
async fn a_crash_between_publishing_and_saving_repeats_the_same_events() {
    for size in 1..story().len() {
        let mut els = Els::that_retries();
        for turn in story().chunks(size) {
            els.bus.fail_publishes(1);
            let failed = els.service.turn(deliveries(turn)).await;
            els.bus.fail_publishes(0);
            let first = els.bus.drain();
            assert_eq!(failed.is_err(), !first.is_empty(), "a turn fails when it publishes");
            if failed.is_err() {
                els.restart();
                assert_eq!(events(&els.process(turn).await), events(&first), "turns of {size}");
            }
        }
    }
}

#[tokio::test]
async fn a_redelivered_turn_publishes_nothing_new() {
    for size in 1..=story().len() {
        let mut els = Els::that_retries();
        for turn in story().chunks(size) {
            els.process(turn).await;
            els.restart();
            assert_eq!(summary(&els.process(turn).await), [""; 0], "turns of {size}");
        }
    }
}

#[tokio::test]
async fn an_unreadable_record_is_skipped_and_the_next_one_is_processed() {
    let mut els = Els::new();
    let mut records = introduction(&[1]);
    records.insert(0, Record { value: b"{".to_vec(), ..records[0].clone() });
    records.insert(2, Record { value: b"{\"data\":{}}".to_vec(), ..records[0].clone() });
    assert_eq!(summary(&els.process(&records).await), ["complete 1:t1"]);
}

#[tokio::test]
async fn a_large_turn_is_published_in_parts_and_saved() {
    let mut els = Els::new();
    let essays: Vec<u128> = (1..=3_000).collect();
    let commanded: Vec<_> = essays.iter().map(|number| (id(*number), "t")).collect();
    let mut records = introduction(&essays);
    records.push(spellcheck(id(BATCH), id(FIRST), &commanded));
    records.extend(essays.iter().map(|number| checked(FIRST, *number, Verdict::Succeeded)));
    let published = els.process(&records).await;
    assert_eq!(published.len(), 1 + 3_000 + 1);
    assert_eq!(data(published.last().unwrap())["processed_essays"].as_array().unwrap().len(), 3_000);
    els.restart();
    assert_eq!(els.process(&records).await.len(), 0);
}
