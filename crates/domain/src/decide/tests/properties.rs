use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::play::{handed_in, midnight};
use super::rows::Rows;
use crate::decide::{CancelMode, Input, Timer, TimerKind};
use crate::{Batch, EssayState, Kind, OutcomeWord, Phase, Settings, Stage, WaitingCode, decide};

/// Something that may happen. Most news is about what the batch is at; some is about what is over or never was.
#[derive(Debug, Clone)]
enum Happening {
    Plain(Input),
    News { astray: Option<(Phase, u32)>, succeeded: u32, failed: u32 },
    Outcome { astray: Option<(Phase, u32)>, succeeded: u32 },
    Timer(TimerKind),
}

impl Happening {
    fn input(self, batch: &Batch, rows: &Rows) -> Input {
        let current = batch.current().unwrap_or((Phase::Spellcheck, 1));
        match self {
            Self::Plain(input) => input,
            Self::News { astray, succeeded, failed } => {
                let (phase, attempt) = astray.unwrap_or(current);
                Input::EssaysReported { phase, attempt, succeeded, failed, stale: 0 }
            }
            Self::Outcome { astray, succeeded } => {
                let (phase, attempt) = astray.unwrap_or(current);
                let word = OutcomeWord::WithFailures;
                Input::PhaseConcluded { phase, attempt, word, succeeded, failed: 0 }
            }
            Self::Timer(kind) => Input::DeadlinePassed(rows.timers.get(&kind).copied().unwrap_or(Timer {
                kind,
                run: batch.run,
                phase: Some(Phase::Spellcheck),
                attempt: 1,
            })),
        }
    }
}

fn phase() -> impl Strategy<Value = Phase> {
    select(Phase::ALL)
}

fn phases() -> impl Strategy<Value = Vec<Phase>> {
    subsequence(Phase::ALL, 0..=4)
}

fn astray() -> impl Strategy<Value = Option<(Phase, u32)>> {
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

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        5 => plain().prop_map(Happening::Plain),
        4 => (astray(), 0..4u32, 0..3u32)
            .prop_map(|(astray, succeeded, failed)| Happening::News { astray, succeeded, failed }),
        3 => (astray(), 0..6u32).prop_map(|(astray, succeeded)| Happening::Outcome { astray, succeeded }),
        2 => select(TimerKind::ALL).prop_map(Happening::Timer),
    ]
}

fn first() -> impl Strategy<Value = Input> {
    prop_oneof![
        5 => (1..6u32, any::<bool>(), phases())
            .prop_map(|(essays, open, phases)| handed_in(Kind::Class, essays, open, &phases)),
        1 => Just(handed_in(Kind::Single, 1, false, &[])),
    ]
}

fn settings() -> impl Strategy<Value = Settings> {
    (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(registration, els_retries, all)| Settings {
        registration,
        els_retries,
        served: if all { Phase::ALL } else { &[Phase::Spellcheck, Phase::Nlp] }.iter().copied().collect(),
        ..Settings::default()
    })
}

/// A batch with its rows, and a clock that moves a second with each input.
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

    /// Lets something happen twice.
    fn happen(&mut self, happening: Happening) {
        let input = happening.input(&self.batch, &self.rows);
        self.apply(input.clone());
        self.apply_again(input);
    }

    /// Checks every promise about one step, and says whether it changed anything.
    fn apply(&mut self, input: Input) -> bool {
        self.now += TimeDelta::seconds(1);
        if let Input::DeadlinePassed(timer) = &input
            && self.rows.timers.get(&timer.kind) == Some(timer)
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
            assert!(decision.effects.is_empty(), "{input:?} changed nothing and had effects");
            assert_eq!(Batch { late_news: self.batch.late_news, ..decision.next.clone() }, self.batch);
        }
        self.batch = decision.next;
        self.rows = rows;
        self.check_standing();
        decision.changed
    }

    /// Whether the batch ends when nothing is heard of it any more but its timers, or else waits for its caller.
    fn ends_in_silence(&mut self) -> bool {
        self.apply(Input::Resume);
        self.apply(Input::Close);
        self.apply(Input::TextsStored { stored: u32::MAX, refused: 0 });
        for _ in 0..20 {
            let Some(timer) = self.rows.timers.values().next().copied() else { break };
            self.apply(Input::DeadlinePassed(timer));
        }
        let waits_for_somebody =
            self.batch.waiting_on.as_ref().map(|on| on.code) == Some(WaitingCode::Command);
        self.batch.is_ended() || waits_for_somebody
    }

    /// Other neighbours serve from now on, whom each attempt is new to.
    fn replace_neighbours(&mut self) {
        self.rows.commands.clear();
        self.apply(Input::NeighboursReplaced);
    }

    /// What is told twice happens once. Of news that is told again, a compare-and-set changes no row.
    #[expect(clippy::wildcard_enum_match_arm, reason = "only some news is told with row counts")]
    fn apply_again(&mut self, input: Input) {
        let again = match input {
            Input::Append { .. } | Input::Start { .. } | Input::Retry { .. } | Input::Cancel { .. } => return,
            Input::TextsStored { .. } => Input::TextsStored { stored: 0, refused: 0 },
            Input::EssaysReported { phase, attempt, succeeded, failed, stale } => {
                let stale = stale + succeeded + failed;
                Input::EssaysReported { phase, attempt, succeeded: 0, failed: 0, stale }
            }
            other => other,
        };
        assert!(!self.apply(again.clone()), "{again:?} changed something twice");
    }

    fn check_standing(&self) {
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
                let timer = rows.timers.get(&TimerKind::Phase).expect("a running phase has a deadline");
                assert_eq!((timer.phase, timer.attempt), (Some(running.phase), running.attempt));
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
    fn in_any_order_counts_are_the_rows_ends_stay_and_nothing_happens_twice(
        settings in settings(),
        first in first(),
        happenings in proptest::collection::vec(happening(), 0..60),
    ) {
        let Some(mut world) = World::begin(settings, &first) else { return Ok(()) };
        world.check_standing();
        for happening in happenings {
            world.happen(happening);
        }
    }

    #[test]
    fn a_batch_of_which_nothing_is_heard_any_more_ends_by_its_timers(
        settings in settings(),
        first in first(),
        happenings in proptest::collection::vec(happening(), 0..30),
    ) {
        let Some(mut world) = World::begin(settings, &first) else { return Ok(()) };
        for happening in happenings {
            world.happen(happening);
        }
        prop_assert!(world.ends_in_silence(), "{:?}", world.batch);
    }

    #[test]
    fn other_neighbours_take_over_at_any_moment_and_the_batch_goes_on_to_an_end(
        settings in settings(),
        first in first(),
        before in proptest::collection::vec(happening(), 0..40),
        after in proptest::collection::vec(happening(), 0..40),
    ) {
        let Some(mut world) = World::begin(settings, &first) else { return Ok(()) };
        for happening in before {
            world.happen(happening);
        }
        let words = |world: &World| {
            [EssayState::Succeeded, EssayState::Failed, EssayState::Cancelled].map(|state| world.rows.count(state))
        };
        let told = words(&world);
        world.replace_neighbours();
        prop_assert_eq!(words(&world), told, "who has a word keeps it");
        for happening in after {
            world.happen(happening);
        }
        prop_assert!(world.ends_in_silence(), "{:?}", world.batch);
    }

    /// Numbers that no resolver would give.
    #[test]
    fn absurd_numbers_do_no_harm(
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
                3 => Input::PhaseConcluded {
                    phase, attempt, word: OutcomeWord::Succeeded, succeeded: a, failed: b,
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
