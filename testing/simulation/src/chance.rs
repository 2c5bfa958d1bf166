//! The seeded randomness of a run, the faults that it injects, and their counts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Declares the faults: name, port, kind and meaning.
macro_rules! faults {
    ($($fault:ident = $port:literal $kind:literal $meaning:literal,)+) => {
        /// A fault that can be injected.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Fault { $(#[doc = $meaning] $fault,)+ }

        impl Fault {
            /// Every fault.
            pub const ALL: [Self; FAULTS] = [$(Self::$fault,)+];

            /// Its port, its kind in the terms of Temporal's fault injection, and its meaning.
            pub const fn description(self) -> (&'static str, &'static str, &'static str) {
                match self { $(Self::$fault => ($port, $kind, $meaning),)+ }
            }
        }

        const FAULTS: usize = [$(stringify!($fault),)+].len();
    };
}

faults! {
    StoreAway = "store" "Unavailable" "a unit does not begin",
    StoreRolledBack = "store" "Error" "a unit runs and is rolled back",
    CommitUnknown = "store" "ExecuteAndTimeout" "a unit is committed and reported as failed",
    ReadFails = "store" "Unavailable" "a read fails",
    ContentBusy = "content" "Error" "a text is not stored",
    ContentTimeout = "content" "Timeout" "a text is not stored; the request times out",
    ContentExecuted = "content" "ExecuteAndTimeout" "a text is stored; the answer is lost",
    ContentAway = "content" "Unavailable" "the service is unavailable for a while",
    ContentNonsense = "content" "Error" "an answer that is not an id",
    ContentRefused = "content" "Refused" "a text is refused for good",
    SendFails = "send" "Error" "the bus rejects a record once",
    SendTimeout = "send" "Timeout" "a record is lost in flight",
    SendExecuted = "send" "ExecuteAndTimeout" "a record is appended; its acknowledgement is lost",
    SendLate = "send" "Delay" "a record is appended after its sender gave up",
    SendDuplicate = "send" "Duplicate" "a record is appended twice",
    SendReorder = "send" "Reorder" "a record overtakes one of another key",
    SendRefused = "send" "Refused" "a record is refused for good, and parked",
    SendAway = "send" "Unavailable" "the bus is unavailable for a while",
    PollFails = "read" "Unavailable" "reading fails",
    PollDuplicate = "read" "Duplicate" "a record is delivered twice in one poll",
    PollRedelivery = "read" "Duplicate" "partitions are reassigned: delivery restarts at the committed offsets",
    PositionsLost = "read" "Duplicate" "the committed offsets are lost: everything is delivered again",
    PartitionsMove = "read" "Duplicate" "partitions move between two processes",
    AdvanceFails = "read" "Error" "the offset is not committed",
    AdvanceExecuted = "read" "ExecuteAndTimeout" "the offset is committed; the answer is lost",
    ResultLost = "peers" "Timeout" "a result is never published",
    ResultDuplicate = "peers" "Duplicate" "a result is published twice",
    ResultReorder = "peers" "Reorder" "a result overtakes earlier ones",
    ResultRepeated = "peers" "Duplicate" "a result is published again with another event id",
    OutcomeSlow = "peers" "Delay" "an outcome is published long after the results",
    Forgotten = "peers" "Skip" "a command or a request in hand at a kill is skipped for good",
    LifecycleSlow = "peers" "Delay" "the lifecycle service deals with a result long after the engine has read it",
    LifecycleAway = "peers" "Unavailable" "the lifecycle service does not answer a question",
    PeerRedelivery = "peers" "Duplicate" "a peer reads a record again",
    Poison = "peers" "Error" "an unreadable record",
    Foreign = "peers" "Error" "an event about a foreign batch",
    AnswerLost = "client" "ExecuteAndTimeout" "an answer is lost; the request is repeated",
    Unparked = "operator" "Retry" "a parked message is retried",
    Skipped = "operator" "Skip" "a parked message is given up",
    DeadlinePasses = "clock" "Delay" "minutes pass",
    LeaseLost = "clock" "Delay" "the lease is not renewed in time",
    SharedShard = "process" "Duplicate" "two processes work on one shard",
    CrashOfOne = "process" "Crash" "one of two processes is down while the other works",
    Crash = "process" "Crash" "between two turns",
    CrashBeforeAccept = "process" "Crash" "before the accept transaction",
    CrashAccepted = "process" "Crash" "accept committed, not answered",
    CrashTextStored = "process" "Crash" "text stored at Content, not recorded",
    CrashBeforeWake = "process" "Crash" "committed, tasks not woken",
    CrashBeforePublish = "process" "Crash" "relay: nothing published yet",
    CrashPublished = "process" "Crash" "relay: published, not recorded",
    CrashPolled = "process" "Crash" "consumer: messages in memory only",
    CrashConsumed = "process" "Crash" "consumer: committed, offset not",
    CrashSetAside = "process" "Crash" "dead letter written, offset not committed",
    CrashTimerFired = "process" "Crash" "timer due, nothing committed",
}

impl Fault {
    /// The highest rate of a fault, chosen by its effect. A fault that is drawn in every turn, or that
    /// repeats much work, must be rare, or a run makes no progress and meets no other fault. A fault that is
    /// seldom drawn may happen each time.
    fn max_rate(self) -> f64 {
        use Fault as F;
        let is = |faults: &[Self]| faults.contains(&self);
        if is(&[F::Crash, F::DeadlinePasses]) {
            0.03
        } else if is(&[F::PositionsLost, F::Poison, F::Foreign]) {
            0.08
        } else if is(&[F::CrashTimerFired, F::CrashSetAside, F::OutcomeSlow, F::LifecycleSlow]) {
            1.0
        } else if is(&[
            F::StoreAway,
            F::StoreRolledBack,
            F::CommitUnknown,
            F::ReadFails,
            F::SendAway,
            F::SendRefused,
        ]) {
            0.15
        } else if self.description().1 == "Crash" {
            0.1
        } else {
            0.4
        }
    }
}

/// The number of times that each fault happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally(pub [u64; FAULTS]);

impl Default for Tally {
    fn default() -> Self {
        Self([0; FAULTS])
    }
}

impl Tally {
    /// Adds the counts of another run.
    pub fn add(&mut self, other: &Self) {
        for (mine, other) in self.0.iter_mut().zip(other.0) {
            *mine += other;
        }
    }

    /// Each fault with its count.
    pub fn each(&self) -> impl Iterator<Item = (Fault, u64)> {
        Fault::ALL.into_iter().zip(self.0)
    }
}

/// Draws everything that is random in a run. Clones share the generator, so the order of the draws is the
/// order of the run.
#[derive(Debug, Clone)]
pub struct Chance(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    rng: fastrand::Rng,
    rates: [f64; FAULTS],
    tally: Tally,
    faults_on: bool,
    /// Draws of faults since the turn began, and the last of them.
    steps: u64,
    last: [Option<Fault>; LAST],
}

/// Number of remembered draws.
const LAST: usize = 6;

impl Chance {
    /// A generator for this seed. Each fault is off in half of the runs and has a random rate in the others,
    /// because faults that always happen together hide what one of them alone would show.
    pub fn from_seed(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let rates =
            Fault::ALL.map(|fault| if rng.bool() { 0.0 } else { rng.f64().powi(2) * fault.max_rate() });
        let tally = Tally::default();
        Self(Arc::new(Mutex::new(Inner {
            rng,
            rates,
            tally,
            faults_on: false,
            steps: 0,
            last: [None; LAST],
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Switches the injection of faults on or off.
    pub fn set_faults(&self, on: bool) {
        self.inner().faults_on = on;
    }

    /// Switches these faults off for the whole run.
    pub fn disable(&self, faults: &[Fault]) {
        let mut inner = self.inner();
        for fault in faults {
            if let Some(rate) = inner.rates.get_mut(*fault as usize) {
                *rate = 0.0;
            }
        }
    }

    /// Whether this fault happens now. It is counted; the caller must make it happen.
    pub fn injects(&self, fault: Fault) -> bool {
        let mut inner = self.inner();
        let place = usize::try_from(inner.steps).unwrap_or_default() % LAST;
        inner.steps += 1;
        if let Some(last) = inner.last.get_mut(place) {
            *last = Some(fault);
        }
        let rate = inner.rates.get(fault as usize).copied().unwrap_or_default();
        let strikes = inner.faults_on && rate > 0.0 && inner.rng.f64() < rate;
        if strikes && let Some(times) = inner.tally.0.get_mut(fault as usize) {
            *times += 1;
        }
        strikes
    }

    /// Begins a turn and resets its steps: each draw of a fault is one step.
    pub fn begin_turn(&self) {
        let mut inner = self.inner();
        inner.steps = 0;
        inner.last = [None; LAST];
    }

    /// The number of steps since the turn began.
    pub fn steps(&self) -> u64 {
        self.inner().steps
    }

    /// The last steps, oldest first. The fault that was drawn shows which port was called.
    pub fn last_steps(&self) -> String {
        let inner = self.inner();
        let first = usize::try_from(inner.steps).unwrap_or_default() % LAST;
        let (new, old) = inner.last.split_at(first);
        let names = old.iter().chain(new).flatten().map(|fault| format!("{fault:?}"));
        names.collect::<Vec<_>>().join(", ")
    }

    /// Counts a fault that was not drawn.
    pub fn record(&self, fault: Fault) {
        if let Some(times) = self.inner().tally.0.get_mut(fault as usize) {
            *times += 1;
        }
    }

    /// True in `percent` of all cases.
    pub fn percent(&self, percent: u8) -> bool {
        self.inner().rng.u8(0..100) < percent
    }

    /// A number below `end`; 0 if `end` is 0.
    pub fn below(&self, end: usize) -> usize {
        if end == 0 { 0 } else { self.inner().rng.usize(0..end) }
    }

    /// A number from `low` to `high`.
    pub fn between(&self, low: u64, high: u64) -> u64 {
        self.inner().rng.u64(low..=high)
    }

    /// One of these; `None` when there are none.
    pub fn pick<T: Copy>(&self, from: &[T]) -> Option<T> {
        from.get(self.below(from.len())).copied()
    }

    /// A random id.
    pub fn uuid(&self) -> uuid::Uuid {
        uuid::Uuid::from_u128(self.inner().rng.u128(..))
    }

    /// The number of times that each fault has happened so far.
    pub fn tally(&self) -> Tally {
        self.inner().tally.clone()
    }
}
