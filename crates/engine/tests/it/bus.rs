//! The consumer with messages that are late, repeated, foreign, contradictory or undecodable.

use std::sync::Arc;
use std::time::Duration;

use contract::{PhaseName, Topic, Verdict};
use domain::{BatchId, BatchStatus, CancelMode, EssayId, FailureCode, Phase};
use engine::consumer;
use engine::ports::{Delivery, Record};
use engine::{Applied, CrashPoint, Disposition, News, prune};
use tokio_util::sync::CancellationToken;

use crate::installation::crash_at;
use crate::manual_engine::{
    ManualEngine, correlation, outcome, raw, spellchecked, spellchecked_for, start_time, without_correlation,
};

/// A class that was abandoned after its first essay and started again, so that this essay is in progress in attempt 2.
async fn in_second_attempt(manual: &mut ManualEngine) -> (BatchId, EssayId) {
    let batch = manual.running_batch(2, &[Phase::Spellcheck]).await;
    let essay = EssayId::new(batch, 0);
    manual.deliver(vec![spellchecked(essay, Verdict::Succeeded, correlation(batch), "")]).await;
    manual.apply(batch, News::Cancel(CancelMode::Abandon)).await;
    manual.apply(batch, News::StartRequested { phases: vec![Phase::Spellcheck] }).await;
    (batch, essay)
}

#[tokio::test]
async fn news_of_an_older_attempt_ends_no_essay_of_the_current_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut manual = ManualEngine::open(folder.path()).await;
    let (batch, essay) = in_second_attempt(&mut manual).await;
    let own = correlation(batch);
    let status = manual.status(batch).await;
    assert_eq!(status.row.batch.current(), Some((Phase::Spellcheck, 2)));

    manual
        .deliver(vec![
            spellchecked(essay, Verdict::Failed, own, "late"),
            outcome(batch, PhaseName::Spellcheck, &[], &[essay], own),
        ])
        .await;
    let status = manual.status(batch).await;
    assert_eq!(status.row.batch.current(), Some((Phase::Spellcheck, 2)));
    assert_eq!(status.counts.in_progress, 1, "the current attempt continues");
    assert!(manual.dead_letters().await.is_empty(), "a late message gets no dead letter");

    let second = own.for_attempt(2, Phase::Spellcheck, 2);
    manual.deliver(vec![outcome(batch, PhaseName::Spellcheck, &[essay], &[], second)]).await;
    assert_eq!(manual.status(batch).await.counts.succeeded, 1);
}

#[tokio::test]
async fn a_report_without_correlation_id_counts_for_the_current_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let mut manual = ManualEngine::open(folder.path()).await;
    let (batch, essay) = in_second_attempt(&mut manual).await;
    let own = correlation(batch);
    manual.deliver(vec![without_correlation(spellchecked(essay, Verdict::Succeeded, own, "silent"))]).await;
    let status = manual.status(batch).await;
    assert_eq!((status.counts.in_progress, status.counts.succeeded), (0, 1));
}

#[tokio::test]
async fn the_first_report_on_an_essay_stands_against_a_contradiction() {
    let folder = tempfile::tempdir().unwrap();
    let mut manual = ManualEngine::open(folder.path()).await;
    let batch = manual.running_batch(2, &[Phase::Spellcheck]).await;
    let essay = EssayId::new(batch, 0);
    let word = |verdict, part| spellchecked(essay, verdict, correlation(batch), part);
    manual.deliver(vec![word(Verdict::Succeeded, "first")]).await;
    let first = manual.status(batch).await;
    manual.deliver(vec![word(Verdict::Failed, "second")]).await;
    let status = manual.status(batch).await;
    assert_eq!((status.counts.in_progress, status.counts.failed), (1, 0));
    assert_eq!(status.row.batch, first.row.batch);
}

/// An outcome is a snapshot: it can leave out essays that the lifecycle service had not moved, and name them later.
#[tokio::test]
async fn outcomes_are_merged_until_every_essay_was_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut manual = ManualEngine::open(folder.path()).await;
    let batch = manual.running_batch(3, &[Phase::Spellcheck, Phase::Nlp]).await;
    let essays = [0, 1, 2].map(|n| EssayId::new(batch, n));
    let [named, failed, left_out] = essays;
    let own = correlation(batch);
    // One of the essays has a result of its own already, which names it for us and not for the lifecycle service.
    manual.deliver(vec![spellchecked(left_out, Verdict::Succeeded, own, "")]).await;
    manual.deliver(vec![outcome(batch, PhaseName::Spellcheck, &[named], &[failed], own)]).await;
    let status = manual.status(batch).await;
    let record = status.row.batch.record(Phase::Spellcheck).unwrap();
    assert_eq!((record.succeeded, record.failed), (2, 1));
    assert_eq!(status.row.batch.current(), Some((Phase::Spellcheck, 1)), "one essay was not named");
    assert_eq!(manual.published(Topic::NlpInitiateV2).await, 0);

    // It names the others no more, as when they belong to another phase by now.
    manual.deliver(vec![outcome(batch, PhaseName::Spellcheck, &[left_out], &[], own)]).await;
    let status = manual.status(batch).await;
    assert_eq!(status.row.batch.current(), Some((Phase::Nlp, 1)), "every essay was named by some outcome");
    assert_eq!(status.counts.in_progress, 2);
    let (_, codes) = manual.error_codes(failed).await;
    assert_eq!(codes, [Some(FailureCode::PhaseFailed.as_str().to_owned())]);
}

#[tokio::test]
async fn a_redelivered_message_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut manual = ManualEngine::open(folder.path()).await;
    let batch = manual.running_batch(2, &[Phase::Spellcheck]).await;
    let word = || spellchecked(EssayId::new(batch, 0), Verdict::Succeeded, correlation(batch), "");
    manual.deliver((0..100).map(|_| word()).collect()).await;
    let once = manual.status(batch).await;
    assert_eq!(once.counts.in_progress, 1);
    manual.redeliver().await;
    assert_eq!(manual.status(batch).await.row.batch, once.row.batch);

    // Also after the inbox row is pruned: then the essay's own row decides.
    manual.clock.advance(Duration::from_hours(15 * 24));
    prune::sweep(&manual.engine).await.unwrap();
    manual.redeliver().await;
    assert_eq!(manual.status(batch).await.row.batch, once.row.batch);
}

#[tokio::test]
async fn undecodable_messages_are_dead_lettered_and_block_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut manual = ManualEngine::open(folder.path()).await;
    let batch = manual.running_batch(1, &[Phase::Spellcheck]).await;
    let topic = Topic::BatchPhaseOutcome;
    let deep = "[".repeat(100_000);
    let huge = format!("{{\"data\": \"{}\"}}", "x".repeat(5 << 20));
    manual
        .deliver(vec![
            raw(topic, 1, b""),
            raw(topic, 2, b"{\"data\": "),
            raw(topic, 3, b"\xff\xfe{}"),
            raw(topic, 4, b"{\"data\": {\"batch_id\": 7}}"),
            raw(topic, 5, deep.as_bytes()),
            raw(topic, 6, huge.as_bytes()),
            outcome(batch, PhaseName::Spellcheck, &[EssayId::new(batch, 0)], &[], correlation(batch)),
        ])
        .await;
    // One turn gets a bounded number of bytes, so the rest may come with the next.
    while !manual.status(batch).await.row.batch.is_ended() {
        manual.consume().await.unwrap();
    }
    let letters = manual.dead_letters().await;
    assert_eq!(letters.len(), 6, "{letters:?}");
    let mut offsets: Vec<_> = letters.iter().map(|letter| letter.offset).collect();
    offsets.sort_unstable();
    offsets.dedup();
    assert_eq!(offsets.len(), 6);
    assert!(letters.iter().all(|letter| letter.value_sha256.len() == 32 && !letter.error_code.is_empty()));
}

#[tokio::test]
async fn a_dead_letter_is_written_once_however_often_its_message_is_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let mut manual = ManualEngine::open(folder.path()).await;
    manual.deliver(vec![raw(Topic::BatchPhaseOutcome, 1, b"nonsense")]).await;
    let first = manual.dead_letters().await;
    assert_eq!(first.len(), 1);
    for _ in 0..5 {
        manual.redeliver().await;
    }
    assert_eq!(manual.dead_letters().await, first);
}

#[tokio::test]
async fn a_crash_between_the_dead_letter_and_the_offset_finds_the_row_again() {
    let folder = tempfile::tempdir().unwrap();
    let died = CancellationToken::new();
    let crash = crash_at(CrashPoint::SetAside, died.clone());
    let mut crashing = ManualEngine::open_at(folder.path(), start_time(), crash).await;
    crashing.publish(vec![raw(Topic::BatchPhaseOutcome, 1, b"nonsense")]).await;
    assert!(crashing.consume().await.is_err());
    assert!(died.is_cancelled());
    let written = crashing.dead_letters().await;
    assert_eq!(written.len(), 1);
    crashing.close().await;

    let mut manual = ManualEngine::open_at(folder.path(), start_time(), engine::Crash::default()).await;
    manual.consume().await.unwrap();
    assert_eq!(manual.dead_letters().await, written);
}

#[tokio::test]
async fn news_about_a_batch_of_another_service_leaves_no_row() {
    let folder = tempfile::tempdir().unwrap();
    let mut manual = ManualEngine::open(folder.path()).await;
    let foreign = manual.engine.new_batch_id(None).unwrap();
    let essay = EssayId::new(foreign, 0);
    let other = uuid::Uuid::from_u128(7);
    manual
        .deliver(vec![
            spellchecked(essay, Verdict::Succeeded, correlation(foreign), ""),
            spellchecked_for(essay, other, Verdict::Succeeded, correlation(foreign), "elsewhere"),
            outcome(foreign, PhaseName::Spellcheck, &[essay], &[], correlation(foreign)),
        ])
        .await;
    assert!(manual.find(foreign).await.is_none());
    assert!(manual.dead_letters().await.is_empty(), "a foreign message gets no dead letter");
}

#[tokio::test]
async fn an_essay_of_ours_named_with_another_batch_is_dead_lettered() {
    let folder = tempfile::tempdir().unwrap();
    let mut manual = ManualEngine::open(folder.path()).await;
    let batch = manual.running_batch(1, &[Phase::Spellcheck]).await;
    let other = manual.running_batch(1, &[Phase::Spellcheck]).await;
    let essay = EssayId::new(batch, 0);
    let report = spellchecked_for(essay, other.as_uuid(), Verdict::Failed, correlation(batch), "");
    manual.deliver(vec![report]).await;
    assert_eq!(manual.status(batch).await.counts.in_progress, 1);
    assert_eq!(manual.status(other).await.counts.in_progress, 1);
    let codes: Vec<_> = manual.dead_letters().await.into_iter().map(|letter| letter.error_code).collect();
    assert_eq!(codes, ["batch_contradicted"]);
}

#[tokio::test]
async fn a_batch_that_cannot_be_read_blocks_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut manual = ManualEngine::open(folder.path()).await;
    let broken = manual.running_batch(1, &[Phase::Spellcheck]).await;
    let sound = manual.running_batch(1, &[Phase::Spellcheck]).await;
    manual.corrupt(broken);
    let done =
        |batch| outcome(batch, PhaseName::Spellcheck, &[EssayId::new(batch, 0)], &[], correlation(batch));
    manual.publish(vec![done(broken), done(sound)]).await;
    // It is tried several times with pauses, so time must pass.
    let clock = Arc::clone(&manual.clock);
    let passing = async {
        loop {
            clock.advance(Duration::from_millis(1));
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        heard = manual.consume() => heard.unwrap(),
        () = passing => {}
    }
    assert_eq!(manual.status(sound).await.row.batch.status(), BatchStatus::CompletedSuccessfully);
    let codes: Vec<_> = manual.dead_letters().await.into_iter().map(|letter| letter.error_code).collect();
    assert_eq!(codes, ["not_applicable"]);

    // Its deadlines block no others either.
    let third = manual.running_batch(1, &[Phase::Spellcheck]).await;
    manual.clock.advance(Duration::from_mins(30));
    assert!(manual.fire().await.is_err());
    assert_eq!(manual.status(third).await.row.batch.status(), BatchStatus::Failed);
}

#[tokio::test]
async fn a_replayed_message_is_applied_then_a_duplicate_and_an_undecodable_one_stays_unusable() {
    let folder = tempfile::tempdir().unwrap();
    let manual = ManualEngine::open(folder.path()).await;
    let batch = manual.running_batch(1, &[Phase::Spellcheck]).await;
    let delivery = |record: Record| Delivery {
        topic: record.topic,
        partition: 0,
        offset: 99,
        key: record.key,
        value: record.value.into(),
        trace: None,
    };
    let message = delivery(spellchecked(EssayId::new(batch, 0), Verdict::Succeeded, correlation(batch), ""));
    let disposition = consumer::replay(&manual.engine, message.clone()).await.unwrap();
    assert!(matches!(disposition, Disposition::Applied(Applied::Changed { .. })), "{disposition:?}");
    assert_eq!(manual.status(batch).await.counts.succeeded, 1);
    let disposition = consumer::replay(&manual.engine, message).await.unwrap();
    assert_eq!(disposition, Disposition::Applied(Applied::Duplicate));
    let nonsense = delivery(raw(Topic::BatchPhaseOutcome, 1, b"{"));
    let disposition = consumer::replay(&manual.engine, nonsense).await.unwrap();
    assert!(matches!(disposition, Disposition::Unusable(_)), "{disposition:?}");
    assert!(
        manual.dead_letters().await.is_empty(),
        "a replay writes no dead letter, because the caller has it"
    );
}
