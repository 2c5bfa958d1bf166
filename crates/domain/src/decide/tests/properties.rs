use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::play::{midnight, submitted};
use super::rows::Rows;
use crate::decide::{CancelMode, Effect, Input, LifecycleAnswer, Timer, TimerKind};
use crate::{
    Batch, EssayState, Kind, OutcomeStatus, Phase, Settings, SingleEssayRoad, Stage, WaitingCode, decide,
};

/// A random input. Most news is about the running attempt; some is about another phase or attempt.
#[derive(Debug, Clone)]
enum RandomInput {
    Plain(Input),
    News { elsewhere: Option<(Phase, u32)>, succeeded: u32, failed: u32 },
    Outcome { elsewhere: Option<(Phase, u32)>, succeeded: u32, leaves_out: u32 },
    Timer(TimerKind, Option<LifecycleAnswer>),
}

impl RandomInput {
    fn resolve(self, batch: &Batch, rows: &Rows) -> Input {
        let current = batch.current().unwrap_or((Phase::Spellcheck, 1));
        match self {
            Self::Plain(input) => input,
            Self::News { elsewhere, succeeded, failed } => {
                let (phase, attempt) = elsewhere.unwrap_or(current);
                Input::EssaysReported { phase, attempt, succeeded, failed, stale: 0 }
            }
            Self::Outcome { elsewhere, succeeded, leaves_out } => {
                let (phase, attempt) = elsewhere.unwrap_or(current);
                let status = OutcomeStatus::WithFailures;
                let (failed, unnamed) = (0, leaves_out);
                Input::OutcomeReported { phase, attempt, status, succeeded, failed, unnamed }
            }
            Self::Timer(kind, answer) => {
                let timer = rows.timers.get(&kind).map_or(
                    Timer { kind, run: batch.run, phase: Some(Phase::Spellcheck), attempt: 1 },
                    |(timer, _)| *timer,
                );
                match answer.filter(|_| kind.asks_lifecycle()) {
                    Some(answer) => Input::LifecycleAnswered { timer, answer },
                    None => Input::DeadlinePassed(timer),
                }
            }
        }
    }
}

fn phase() -> impl Strategy<Value = Phase> {
    select(Phase::ALL)
}

fn phases() -> impl Strategy<Value = Vec<Phase>> {
    subsequence(Phase::ALL, 0..=4)
}

fn elsewhere() -> impl Strategy<Value = Option<(Phase, u32)>> {
    proptest::option::weighted(0.2, (phase(), 0..4u32))
}

fn plain() -> impl Strategy<Value = Input> {
    prop_oneof![
        2 => (1..4u32).prop_map(|essays| Input::Append { essays }),
        3 => Just(Input::Close),
        6 => (0..6u32, 0..2u32).prop_map(|(stored, refused)| Input::TextsStored { stored, refused }),
        1 => (select(&[WaitingCode::ContentUnreachable, WaitingCode::ContentRefuses]), any::<bool>())
            .prop_map(|(code, overdue)| Input::StorageStalled { code, next_check_at: None, overdue }),
        4 => Just(Input::Registered),
        5 => phases().prop_map(|phases| Input::Start { phases }),
        1 => Just(Input::Pause),
        2 => Just(Input::Resume),
        1 => select(CancelMode::ALL).prop_map(|mode| Input::Cancel { mode }),
        4 => (phase(), 0..4u32, any::<bool>())
            .prop_map(|(phase, essays, downstream)| Input::Retry { phase, essays, downstream }),
    ]
}

fn answer() -> impl Strategy<Value = LifecycleAnswer> {
    (0..2u32, 0..2u32, 0..3u32).prop_map(|(ready, unfinished, finished)| LifecycleAnswer {
        ready,
        unfinished,
        finished,
    })
}

fn random_input() -> impl Strategy<Value = RandomInput> {
    prop_oneof![
        5 => plain().prop_map(RandomInput::Plain),
        4 => (elsewhere(), 0..4u32, 0..3u32)
            .prop_map(|(elsewhere, succeeded, failed)| RandomInput::News { elsewhere, succeeded, failed }),
        3 => (elsewhere(), 0..6u32, prop_oneof![3 => Just(0_u32), 1 => 1..3_u32]).prop_map(
            |(elsewhere, succeeded, leaves_out)| RandomInput::Outcome { elsewhere, succeeded, leaves_out }
        ),
        3 => (select(TimerKind::ALL), proptest::option::of(answer()))
            .prop_map(|(kind, answer)| RandomInput::Timer(kind, answer)),
    ]
}

fn first() -> impl Strategy<Value = Input> {
    prop_oneof![
        5 => (1..6u32, any::<bool>(), phases())
            .prop_map(|(essays, open, phases)| submitted(Kind::Class, essays, open, &phases)),
        1 => Just(submitted(Kind::Single, 1, false, &[])),
    ]
}

fn settings() -> impl Strategy<Value = Settings> {
    (any::<[bool; 5]>(), 0..3u32).prop_map(
        |([registration, els_retries, all, asks, by_lifecycle], resends)| Settings {
            registration,
            els_retries,
            asks_lifecycle: asks,
            command_resends: resends,
            single_essay_road: if by_lifecycle {
                SingleEssayRoad::Lifecycle
            } else {
                SingleEssayRoad::Request
            },
            served: if all { Phase::ALL } else { &[Phase::Spellcheck, Phase::Nlp] }.iter().copied().collect(),
            ..Settings::default()
        },
    )
}

/// A batch with its rows, and a clock that advances by one second per input.
struct World {
    settings: Settings,
    batch: Batch,
    rows: Rows,
    now: DateTime<Utc>,
}

impl World {
    fn begin(settings: Settings, first: &Input) -> Option<Self> {
        let now = midnight();
        let decision = decide(None, first.clone(), now, &settings).ok()?;
        let mut rows = Rows::default();
        rows.perform(first, &decision);
        Some(Self { settings, batch: decision.next, rows, now })
    }

    /// Applies an input twice. A timer fires when it is due.
    fn apply_twice(&mut self, input: RandomInput) {
        let input = input.resolve(&self.batch, &self.rows);
        self.wait_for_timer(&input);
        self.apply(input.clone());
        self.apply_again(input);
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "only two inputs are about a timer")]
    fn timer_of(input: &Input) -> Option<Timer> {
        match input {
            Input::DeadlinePassed(timer) | Input::LifecycleAnswered { timer, .. } => Some(*timer),
            _ => None,
        }
    }

    fn wait_for_timer(&mut self, input: &Input) {
        let timer = Self::timer_of(input);
        if let Some((_, at)) = timer.and_then(|timer| self.rows.timers.get(&timer.kind)) {
            self.now = self.now.max(*at);
        }
    }

    /// Applies an input, checks every invariant of the step, and returns whether the batch changed.
    fn apply(&mut self, input: Input) -> bool {
        self.now += TimeDelta::seconds(1);
        if let Some(timer) = Self::timer_of(&input)
            && self.rows.timers.get(&timer.kind).is_some_and(|(set, _)| *set == timer)
        {
            self.rows.timers.remove(&timer.kind);
        }
        let mut rows = self.rows.clone();
        let input = rows.resolve(&self.batch, input);
        let Ok(decision) = decide(Some(self.batch.clone()), input.clone(), self.now, &self.settings) else {
            return false;
        };
        rows.perform(&input, &decision);
        check_step(&self.batch, &decision.next, &input);
        if !decision.changed {
            let only_timers = decision.effects.iter().all(|effect| matches!(effect, Effect::SetTimer { .. }));
            assert!(only_timers, "{input:?} changed nothing and had effects");
            assert_eq!(Batch { late_news: self.batch.late_news, ..decision.next.clone() }, self.batch);
        }
        self.batch = decision.next;
        self.rows = rows;
        self.check_state();
        decision.changed
    }

    /// Whether the batch ends when only its timers fire, or waits for a start request. A caller resumes it.
    fn ends_in_silence(&mut self) -> bool {
        self.apply(Input::Resume);
        self.apply(Input::Close);
        self.apply(Input::TextsStored { stored: u32::MAX, refused: 0 });
        for _ in 0..100 {
            if self.batch.is_outcome_overdue() {
                self.apply(Input::Resume);
            }
            let next = self.rows.timers.values().min_by_key(|(_, at)| *at).copied();
            let Some((timer, at)) = next else { break };
            self.now = self.now.max(at);
            self.apply(Input::DeadlinePassed(timer));
        }
        let waits_for_start = self.batch.waiting_on.as_ref().map(|on| on.code) == Some(WaitingCode::Command);
        self.batch.is_ended() || waits_for_start
    }

    /// Replaces the neighbour services, which have seen no command yet.
    fn replace_services(&mut self) {
        self.rows.commands.clear();
        self.apply(Input::ServicesReplaced);
    }

    /// Applies a repeat of the input, which must change nothing: for repeated news a compare-and-set changes no row.
    #[expect(clippy::wildcard_enum_match_arm, reason = "only some inputs carry row counts")]
    fn apply_again(&mut self, input: Input) {
        let again = match input {
            Input::Append { .. } | Input::Start { .. } | Input::Retry { .. } | Input::Cancel { .. } => return,
            Input::TextsStored { .. } => Input::TextsStored { stored: 0, refused: 0 },
            Input::EssaysReported { phase, attempt, succeeded, failed, stale } => {
                let stale = stale + succeeded + failed;
                Input::EssaysReported { phase, attempt, succeeded: 0, failed: 0, stale }
            }
            // A repeated snapshot names the same essays, which have results by then.
            Input::OutcomeReported { phase, attempt, status, unnamed, .. } => {
                Input::OutcomeReported { phase, attempt, status, succeeded: 0, failed: 0, unnamed }
            }
            // The engine drops a fired timer that was set again.
            Input::DeadlinePassed(timer) | Input::LifecycleAnswered { timer, .. }
                if self.rows.timers.contains_key(&timer.kind) =>
            {
                return;
            }
            other => other,
        };
        assert!(!self.apply(again.clone()), "{again:?} changed something twice");
    }

    fn check_state(&self) {
        let Self { batch, rows, .. } = self;
        let open = if let Stage::Running(running) = &batch.stage { running.open } else { 0 };
        let left_out = rows.count(EssayState::Cancelled) + rows.count(EssayState::Skipped);
        assert_eq!(
            (batch.total, batch.waiting, open, batch.succeeded, batch.failed, batch.left_out()),
            (
                rows.total(),
                rows.count(EssayState::Waiting),
                rows.count(EssayState::InProgress),
                rows.count(EssayState::Succeeded),
                rows.count(EssayState::Failed),
                left_out
            ),
            "counts and rows of {batch:?}"
        );
        assert_eq!(batch.waiting_on.is_some(), !batch.is_ended(), "{batch:?}");
        for record in &batch.phases {
            assert!(record.succeeded + record.failed <= record.total, "{record:?}");
            assert!(record.total <= batch.total, "{record:?}");
        }
        match &batch.stage {
            Stage::Running(running) => {
                let deadline = [TimerKind::Phase, TimerKind::OutcomeGrace];
                let deadline = deadline.iter().find_map(|kind| rows.timers.get(kind));
                assert!(deadline.is_some() || batch.is_outcome_overdue(), "a running phase has a deadline");
                assert!(running.open == 0 || rows.timers.contains_key(&TimerKind::Phase));
                if let Some((timer, _)) = deadline {
                    assert_eq!((timer.phase, timer.attempt), (Some(running.phase), running.attempt));
                }
                assert!(running.resends <= self.settings.command_resends);
                let record = batch.record(running.phase).expect("a running phase has a record");
                assert_eq!(record.pending(), running.open, "{record:?}");
            }
            Stage::Registering => assert!(rows.timers.contains_key(&TimerKind::Registration)),
            Stage::Ready => assert!(batch.plan.is_empty() || batch.paused),
            Stage::Storing { .. } => {}
            Stage::Ended { .. } => assert!(rows.timers.is_empty() && batch.plan.is_empty() && !batch.paused),
        }
        let distinct = |list: &[u32]| list.windows(2).all(|pair| pair[0] < pair[1]);
        assert!(distinct(&rows.completed), "a run was completed twice: {:?}", rows.completed);
        let mut commands = rows.commands.clone();
        commands.sort_unstable();
        commands.dedup();
        assert_eq!(commands.len(), rows.commands.len(), "an attempt was commanded twice");
        assert_eq!(Batch::from_json(&batch.to_json().unwrap()).unwrap(), *batch);
    }
}

fn check_step(before: &Batch, after: &Batch, input: &Input) {
    assert_eq!(before.revision, after.revision, "the rules do not count revisions");
    if before.is_ended() {
        let is_next_run = after.run == before.run + 1;
        let asks_for_it = matches!(input, Input::Start { .. } | Input::Retry { .. });
        assert!(after.stage == before.stage || (is_next_run && asks_for_it), "{input:?} left an end");
    } else {
        assert_eq!(before.run, after.run);
    }
    for record in &before.phases {
        let after = after.record(record.phase).expect("a record stays");
        assert!(after.attempt >= record.attempt && after.run >= record.run);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn in_any_order_counts_equal_the_rows_ends_are_final_and_repeats_change_nothing(
        settings in settings(),
        first in first(),
        inputs in proptest::collection::vec(random_input(), 0..60),
    ) {
        let Some(mut world) = World::begin(settings, &first) else { return Ok(()) };
        world.check_state();
        for input in inputs {
            world.apply_twice(input);
        }
    }

    #[test]
    fn a_batch_without_further_news_ends_by_its_timers(
        settings in settings(),
        first in first(),
        inputs in proptest::collection::vec(random_input(), 0..30),
    ) {
        let Some(mut world) = World::begin(settings, &first) else { return Ok(()) };
        for input in inputs {
            world.apply_twice(input);
        }
        prop_assert!(world.ends_in_silence(), "{:?}", world.batch);
    }

    #[test]
    fn neighbours_can_be_replaced_at_any_moment_and_the_batch_still_ends(
        settings in settings(),
        first in first(),
        before in proptest::collection::vec(random_input(), 0..40),
        after in proptest::collection::vec(random_input(), 0..40),
    ) {
        let Some(mut world) = World::begin(settings, &first) else { return Ok(()) };
        for input in before {
            world.apply_twice(input);
        }
        let results = |world: &World| {
            [EssayState::Succeeded, EssayState::Failed, EssayState::Cancelled].map(|state| world.rows.count(state))
        };
        let before = results(&world);
        world.replace_services();
        prop_assert_eq!(results(&world), before, "essays keep their results");
        for input in after {
            world.apply_twice(input);
        }
        prop_assert!(world.ends_in_silence(), "{:?}", world.batch);
    }

    /// Counts that the engine never produces.
    #[test]
    fn impossible_counts_keep_the_sums_valid(
        first in first(),
        numbers in proptest::collection::vec((any::<u32>(), any::<u32>(), 0..7u8), 0..40),
    ) {
        let Ok(decision) = decide(None, first, midnight(), &Settings::default()) else { return Ok(()) };
        let mut batch = decision.next;
        for (a, b, which) in numbers {
            let (phase, attempt) = batch.current().unwrap_or((Phase::Nlp, a));
            let input = match which {
                0 => Input::Append { essays: a },
                1 => Input::TextsStored { stored: a, refused: b },
                2 => Input::EssaysReported { phase, attempt, succeeded: a, failed: b, stale: b },
                3 => Input::OutcomeReported {
                    phase, attempt, status: OutcomeStatus::Succeeded, succeeded: a, failed: b, unnamed: b % 2,
                },
                4 => Input::Retry { phase: Phase::Spellcheck, essays: a, downstream: false },
                5 => Input::Registered,
                _ => Input::Start { phases: vec![phase] },
            };
            if let Ok(decision) = decide(Some(batch.clone()), input, midnight(), &Settings::default()) {
                batch = decision.next;
            }
            let parts = u64::from(batch.waiting) + u64::from(batch.succeeded) + u64::from(batch.failed);
            prop_assert!(parts <= u64::from(batch.total), "{batch:?}");
        }
    }
}
