use super::play::{
    cancel, class, midnight, news, outcome, play_with, retry, running, start, stored, submitted,
};
use crate::Phase::{AiFeedback, Nlp, Spellcheck};
use crate::decide::{CancelMode, Effect, Entry, Input};
use crate::{
    AttemptMatch, Batch, BatchStatus, EssayState, Kind, Phase, PhaseSet, PhaseStatus, Refusal, Settings,
    StateError, Verb, decide,
};

fn after(inputs: impl IntoIterator<Item = Input>) -> Batch {
    play_with(&Settings::default(), inputs).0.unwrap()
}

fn refuse(batch: Option<Batch>, input: Input) -> Refusal {
    decide(batch, input, midnight(), &Settings::default()).unwrap_err()
}

fn at_work() -> Vec<Input> {
    running(2, &[Spellcheck, Nlp])
}

#[test]
fn an_input_about_a_batch_that_does_not_exist_is_refused() {
    assert_eq!(refuse(None, Input::Registered), Refusal::UnknownBatch);
}

#[test]
fn a_batch_is_accepted_once_and_with_at_least_one_essay() {
    assert_eq!(refuse(Some(after(at_work())), class(2, &[])), Refusal::AlreadyExists);
    assert_eq!(refuse(None, class(0, &[])), Refusal::NoEssays);
    assert_eq!(refuse(None, submitted(Kind::Single, 1, false, &[Nlp])), Refusal::SingleEssay { phase: Nlp });
}

#[test]
fn a_phase_that_no_service_processes_is_refused_when_it_is_requested() {
    let served: PhaseSet = [Spellcheck, Nlp].into_iter().collect();
    let settings = Settings { served, ..Settings::default() };
    let refusal = decide(None, class(1, &[AiFeedback]), midnight(), &settings).unwrap_err();
    assert_eq!(refusal.code(), "phase_not_served");
    assert_eq!(
        refusal.to_string(),
        "no service of this installation processes ai_feedback; available phases: spellcheck, nlp"
    );
}

#[test]
fn a_refusal_names_the_status_and_the_allowed_verbs() {
    let refusal = refuse(Some(after(at_work())), start(&[Nlp]));
    assert_eq!(
        refusal.to_string(),
        "spellcheck is running; the batch is processing, possible now: pause, cancel"
    );
    let refusal = refuse(Some(after(at_work())), retry(Spellcheck, 1, false));
    assert_eq!(
        refusal.to_string(),
        "retry is not possible now; the batch is processing, possible now: pause, cancel"
    );
}

#[test]
fn a_refusal_names_only_verbs_that_the_caller_is_offered() {
    let refusal = refuse(Some(after(at_work())), start(&[Nlp]));
    assert_eq!(
        refusal.clone().among(&[Verb::Start, Verb::Cancel]).to_string(),
        "spellcheck is running; the batch is processing, possible now: cancel"
    );
    assert_eq!(
        refusal.among(&[]).to_string(),
        "spellcheck is running; the batch is processing, possible now: nothing"
    );
}

#[test]
fn an_ended_batch_accepts_only_start_and_retry() {
    let ended = after(at_work().into_iter().chain([outcome(Spellcheck, 1, 1, 1), outcome(Nlp, 1, 1, 0)]));
    assert_eq!(ended.allowed(), [Verb::Start, Verb::Retry]);
    for input in [Input::Pause, Input::Resume, cancel(CancelMode::Abandon), Input::Append { essays: 1 }] {
        assert_eq!(refuse(Some(ended.clone()), input).code(), "batch_ended");
    }
    assert_eq!(refuse(Some(ended), retry(Nlp, 1, false)), Refusal::NothingToRetry { phase: Nlp });
}

/// `Batch::allowed` and the stages decide independently; this test compares them.
#[test]
fn an_allowed_verb_is_never_refused() {
    let ends: Vec<Input> = [at_work(), vec![outcome(Spellcheck, 1, 1, 1), outcome(Nlp, 1, 1, 0)]].concat();
    let open = vec![submitted(Kind::Class, 1, true, &[]), stored(1), Input::Close, Input::Registered];
    let lives = [open, ends, vec![super::play::single(), stored(1), news(Spellcheck, 1, 0, 1)]];
    for (life, length) in lives.iter().flat_map(|life| (1..=life.len()).map(move |length| (life, length))) {
        let batch = after(life[..length].iter().cloned());
        for verb in batch.allowed() {
            let input = match verb {
                Verb::Append => Input::Append { essays: 1 },
                Verb::Close => Input::Close,
                Verb::Start => start(&[AiFeedback]),
                Verb::Pause => Input::Pause,
                Verb::Resume => Input::Resume,
                Verb::Cancel => cancel(CancelMode::Graceful),
                Verb::Retry => retry(Spellcheck, 1, false),
            };
            let decided = decide(Some(batch.clone()), input, midnight(), &Settings::default());
            assert!(decided.is_ok(), "{verb} of {batch:?}: {decided:?}");
        }
    }
}

#[test]
fn news_is_matched_to_its_attempt_by_the_correlation_id() {
    let failed = at_work().into_iter().chain([outcome(Spellcheck, 1, 1, 1), outcome(Nlp, 1, 1, 0)]);
    let batch = after(failed.chain([retry(Spellcheck, 1, false)]));
    let own = batch.correlation_id;
    let second = own.for_attempt(2, Spellcheck, 2);
    assert_eq!(batch.attempt_of(Spellcheck, Some(second)), AttemptMatch::Current(2));
    assert_eq!(batch.attempt_of(Spellcheck, None), AttemptMatch::Current(2));
    assert_eq!(batch.attempt_of(Spellcheck, Some(own)), AttemptMatch::Older(1));
    let unknown = second.for_attempt(9, Nlp, 9);
    assert_eq!(batch.attempt_of(Spellcheck, Some(unknown)), AttemptMatch::Current(2));
    for over in [Some(own), Some(unknown), None] {
        assert_eq!(batch.attempt_of(Nlp, over), AttemptMatch::NotRunning);
    }
}

#[test]
fn news_of_an_attempt_that_has_not_started_is_told_from_stale_news() {
    let running = after(at_work());
    let own = running.correlation_id;
    for early in [Some(own), Some(own.for_attempt(9, Nlp, 9)), None] {
        assert_eq!(running.attempt_of(Nlp, early), AttemptMatch::Ahead);
    }
    let ended = after(at_work().into_iter().chain([outcome(Spellcheck, 1, 1, 1), outcome(Nlp, 1, 1, 0)]));
    let of_the_next_run = own.for_attempt(2, Spellcheck, 2);
    assert_eq!(ended.attempt_of(Spellcheck, Some(of_the_next_run)), AttemptMatch::Ahead);
    assert_eq!(running.attempt_of(Spellcheck, Some(of_the_next_run)), AttemptMatch::Ahead);
    assert_eq!(ended.attempt_of(Spellcheck, Some(own)), AttemptMatch::NotRunning);
    assert_eq!(ended.attempt_of(AiFeedback, Some(own)), AttemptMatch::Ahead);
}

#[test]
fn an_essay_has_succeeded_when_no_phase_is_left() {
    let batch = after(at_work());
    assert_eq!(batch.essay_state_after_success(), EssayState::Waiting);
    let batch = after(at_work().into_iter().chain([outcome(Spellcheck, 1, 2, 0)]));
    assert_eq!((batch.current(), batch.essay_state_after_success()), (Some((Nlp, 1)), EssayState::Succeeded));
}

#[test]
fn a_stored_batch_is_read_back_and_an_unknown_version_is_refused() {
    let batch = after(at_work());
    let json = batch.to_json().unwrap();
    assert_eq!(Batch::from_json(&json).unwrap(), batch);
    let newer = json.replacen("\"v\":1", "\"v\":2", 1);
    assert!(matches!(Batch::from_json(&newer), Err(StateError::UnknownVersion(2))));
    assert!(matches!(Batch::from_json("{}"), Err(StateError::Malformed(_))));
}

#[test]
fn the_timeline_holds_the_changes_and_nothing_else() {
    let decision =
        decide(Some(after(at_work())), outcome(Spellcheck, 1, 0, 2), midnight(), &Settings::default())
            .unwrap();
    let notes = decision.effects.into_iter().filter_map(|effect| {
        let Effect::Note(entry) = effect else { return None };
        Some(entry)
    });
    let changed = |phase: Phase, attempt, status| Entry::PhaseChanged { run: 1, phase, attempt, status };
    assert_eq!(
        notes.collect::<Vec<_>>(),
        [
            changed(Spellcheck, 1, PhaseStatus::Failed),
            changed(Nlp, 0, PhaseStatus::SkippedDueToDependencyFailure),
            Entry::EssaysCounted { phase: Spellcheck, attempt: 1, total: 2, succeeded: 0, failed: 2 },
            Entry::BatchChanged {
                run: 1,
                status: BatchStatus::Failed,
                paused: false,
                cancelling: false,
                waiting_on: None,
                attention: None,
                total: 2,
                stored: 2,
                failed: 2,
            },
            Entry::BatchEnded { run: 1, status: BatchStatus::Failed, total: 2, succeeded: 0, failed: 2 },
        ]
    );
}
