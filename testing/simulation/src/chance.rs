//! The one source of chance of a run, and the faults that it has brought about.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Declares the faults: their names, where they happen, and what they are in Temporal's words.
macro_rules! faults {
    ($($fault:ident = $port:literal $kind:literal $meaning:literal,)+) => {
        /// Something that goes wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Fault { $(#[doc = $meaning] $fault,)+ }

        impl Fault {
            /// Every fault.
            pub const ALL: [Self; FAULTS] = [$(Self::$fault,)+];

            /// Where it happens, its kind, and what it is.
            pub const fn words(self) -> (&'static str, &'static str, &'static str) {
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
    ContentTimeout = "content" "Timeout" "a text is not stored, and nobody says so",
    ContentExecuted = "content" "ExecuteAndTimeout" "a text is stored, and nobody says so",
    ContentAway = "content" "Unavailable" "the service is away for a while",
    ContentNonsense = "content" "Error" "an answer that is no id",
    ContentRefused = "content" "Refused" "a text is refused for good",
    SendFails = "send" "Error" "the bus does not take a record",
    SendTimeout = "send" "Timeout" "a record is lost on its way",
    SendExecuted = "send" "ExecuteAndTimeout" "a record is on the bus, its acknowledgement is lost",
    SendLate = "send" "Delay" "a record gets onto the bus after its sender gave up",
    SendDuplicate = "send" "Duplicate" "a record is on the bus twice",
    SendReorder = "send" "Reorder" "a record overtakes one of another key",
    SendRefused = "send" "Refused" "a record is refused for good, and parked",
    SendAway = "send" "Unavailable" "the bus is away for a while",
    PollFails = "read" "Unavailable" "reading fails",
    PollDuplicate = "read" "Duplicate" "a record is handed out twice at once",
    PollRedelivery = "read" "Duplicate" "the partitions come back: from the committed places on",
    PositionsLost = "read" "Duplicate" "the committed places are lost: everything comes again",
    PartitionsMove = "read" "Duplicate" "partitions change hands between two processes",
    AdvanceFails = "read" "Error" "the place is not committed",
    AdvanceExecuted = "read" "ExecuteAndTimeout" "the place is committed, and nobody says so",
    ResultLost = "neighbours" "Timeout" "a result never comes",
    ResultDuplicate = "neighbours" "Duplicate" "a result comes twice",
    ResultReorder = "neighbours" "Reorder" "a result overtakes earlier ones",
    ResultRepeated = "neighbours" "Duplicate" "a result comes again under another id",
    OutcomeSlow = "neighbours" "Delay" "an outcome comes long after the results",
    NeighbourRedelivery = "neighbours" "Duplicate" "a neighbour reads a record again",
    Poison = "neighbours" "Error" "a record that nobody can read",
    Foreign = "neighbours" "Error" "news about somebody else's batch",
    AnswerLost = "client" "ExecuteAndTimeout" "an answer is lost, and the request is sent again",
    Unparked = "operator" "Retry" "a parked record is sent again",
    Skipped = "operator" "Skip" "a parked record is given up",
    DeadlinePasses = "clock" "Delay" "minutes go by",
    LeaseLost = "clock" "Delay" "the lease is not renewed in time",
    SharedShard = "process" "Duplicate" "two processes work one shard",
    CrashOfOne = "process" "Crash" "one of two is gone for a while, and the other goes on",
    Crash = "process" "Crash" "between two turns",
    CrashBeforeAccept = "process" "Crash" "before the accept transaction",
    CrashAccepted = "process" "Crash" "accept committed, nobody answered",
    CrashTextStored = "process" "Crash" "text at Content, not yet known here",
    CrashBeforeWake = "process" "Crash" "committed, tasks not woken",
    CrashBeforePublish = "process" "Crash" "relay: nothing published yet",
    CrashPublished = "process" "Crash" "relay: published, not yet noted",
    CrashPolled = "process" "Crash" "consumer: messages in hand only",
    CrashConsumed = "process" "Crash" "consumer: committed, position not",
    CrashSetAside = "process" "Crash" "dead letter written, position not",
    CrashTimerFired = "process" "Crash" "timer due, nothing committed",
}

impl Fault {
    /// The highest rate of a fault. Where it is asked for at every turn, or takes everything back to where it was, it must be
    /// rare, or a run gets nowhere and meets no other; where it is seldom asked for, it may strike each time.
    fn highest(self) -> f64 {
        use Fault as F;
        let is = |faults: &[Self]| faults.contains(&self);
        if is(&[F::Crash, F::DeadlinePasses]) {
            0.03
        } else if is(&[F::PositionsLost, F::Poison, F::Foreign]) {
            0.08
        } else if is(&[F::CrashTimerFired, F::CrashSetAside, F::OutcomeSlow]) {
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
        } else if self.words().1 == "Crash" {
            0.1
        } else {
            0.4
        }
    }
}

/// How often each fault happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally(pub [u64; FAULTS]);

impl Default for Tally {
    fn default() -> Self {
        Self([0; FAULTS])
    }
}

impl Tally {
    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        for (mine, other) in self.0.iter_mut().zip(other.0) {
            *mine += other;
        }
    }

    /// Each fault with how often it happened.
    pub fn each(&self) -> impl Iterator<Item = (Fault, u64)> {
        Fault::ALL.into_iter().zip(self.0)
    }
}

/// Draws everything that is left to chance. Clones share it, so the order of the draws is the order of the run.
#[derive(Debug, Clone)]
pub struct Chance(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    rng: fastrand::Rng,
    rates: [f64; FAULTS],
    tally: Tally,
    faults_on: bool,
    /// Questions since the turn began, and the last of them.
    steps: u64,
    last: [Option<Fault>; LAST],
}

/// Questions that are remembered.
const LAST: usize = 6;

impl Chance {
    /// The chance of this seed. Half of all faults never happen in a run, and the others more or less often: what always
    /// happens together hides what one of them alone would show.
    pub fn of(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let rates =
            Fault::ALL.map(|fault| if rng.bool() { 0.0 } else { rng.f64().powi(2) * fault.highest() });
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

    /// Whether faults may happen from now on.
    pub fn set_faults(&self, on: bool) {
        self.inner().faults_on = on;
    }

    /// These faults never happen in this run.
    pub fn spare(&self, faults: &[Fault]) {
        let mut inner = self.inner();
        for fault in faults {
            if let Some(rate) = inner.rates.get_mut(*fault as usize) {
                *rate = 0.0;
            }
        }
    }

    /// Whether this fault happens now. Who asks must make it happen.
    pub fn strikes(&self, fault: Fault) -> bool {
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

    /// A turn begins, whose steps are counted: each question whether something goes wrong is one.
    pub fn begin_turn(&self) {
        let mut inner = self.inner();
        inner.steps = 0;
        inner.last = [None; LAST];
    }

    /// Steps since the turn began.
    pub fn steps(&self) -> u64 {
        self.inner().steps
    }

    /// The last of them, the oldest first: what might have gone wrong says what was done.
    pub fn last_steps(&self) -> String {
        let inner = self.inner();
        let first = usize::try_from(inner.steps).unwrap_or_default() % LAST;
        let (new, old) = inner.last.split_at(first);
        let names = old.iter().chain(new).flatten().map(|fault| format!("{fault:?}"));
        names.collect::<Vec<_>>().join(", ")
    }

    /// A fault that happened by itself.
    pub fn happened(&self, fault: Fault) {
        if let Some(times) = self.inner().tally.0.get_mut(fault as usize) {
            *times += 1;
        }
    }

    /// True in `percent` of all cases.
    pub fn percent(&self, percent: u8) -> bool {
        self.inner().rng.u8(0..100) < percent
    }

    /// A number below `end`; 0 where that is none.
    pub fn below(&self, end: usize) -> usize {
        if end == 0 { 0 } else { self.inner().rng.usize(0..end) }
    }

    /// A number from `low` to `high`.
    pub fn between(&self, low: u64, high: u64) -> u64 {
        self.inner().rng.u64(low..=high)
    }

    /// One of these, if there are any.
    pub fn pick<T: Copy>(&self, from: &[T]) -> Option<T> {
        from.get(self.below(from.len())).copied()
    }

    /// An id.
    pub fn uuid(&self) -> uuid::Uuid {
        uuid::Uuid::from_u128(self.inner().rng.u128(..))
    }

    /// How often each fault has happened.
    pub fn tally(&self) -> Tally {
        self.inner().tally.clone()
    }
}
