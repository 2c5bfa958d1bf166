//! What can happen to the cluster, with the rows of the fault matrix that long runs add.

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    KillReplica,
    KillAll,
    FreezeReplica,
    KillCompanions,
    KillBroker,
    FreezeBroker,
    StopDatabase,
    FreezeDatabase,
    EndSessions,
    SlowNetwork,
    BlackHole,
    Resets,
    Cuts,
    DroppedReplies,
    /// The rest is of long runs.
    LongBrokerOutage,
    LongBrokerFreeze,
    LongSessionsEnded,
    RollingRestart,
    CrashLoop,
    FlakyContent,
    WallClock,
    Flood,
    FullDisk,
}

impl Fault {
    /// What happens in every run.
    const SHORT: [Self; 14] = [
        Self::KillReplica,
        Self::KillAll,
        Self::FreezeReplica,
        Self::KillCompanions,
        Self::KillBroker,
        Self::FreezeBroker,
        Self::StopDatabase,
        Self::FreezeDatabase,
        Self::EndSessions,
        Self::SlowNetwork,
        Self::BlackHole,
        Self::Resets,
        Self::Cuts,
        Self::DroppedReplies,
    ];

    /// What happens in long runs besides.
    const LONG: [Self; 9] = [
        Self::LongBrokerOutage,
        Self::LongBrokerFreeze,
        Self::LongSessionsEnded,
        Self::RollingRestart,
        Self::CrashLoop,
        Self::FlakyContent,
        Self::WallClock,
        Self::Flood,
        Self::FullDisk,
    ];

    /// All that happens in a run, as far as there is what it takes.
    pub(crate) fn of(long: bool, is_possible: impl Fn(Self) -> bool) -> Vec<Self> {
        let more: &[Self] = if long { &Self::LONG } else { &[] };
        let mut all = [&Self::SHORT, more].concat();
        all.retain(|fault| is_possible(*fault));
        all
    }

    pub(crate) const KILLS: [Self; 2] = [Self::KillReplica, Self::KillAll];

    /// Whether a process may be stopped, or cut off from the database, in the middle of a transaction.
    pub(crate) const fn holds_up(self) -> bool {
        matches!(
            self,
            Self::FreezeReplica
                | Self::FreezeDatabase
                | Self::SlowNetwork
                | Self::BlackHole
                | Self::Cuts
                | Self::DroppedReplies
        )
    }

    /// Its name in the history and in the report, and what it is.
    pub(crate) const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::KillReplica => ("replica killed", "SIGKILL of one while the others work"),
            Self::KillAll => ("all replicas killed", "SIGKILL of all at once"),
            Self::FreezeReplica => ("replica frozen", "SIGSTOP past its lease, then SIGCONT"),
            Self::KillCompanions => ("neighbours killed", "content, lifecycle and workers"),
            Self::KillBroker => ("broker killed", "SIGKILL, down for seconds, restarted"),
            Self::FreezeBroker => ("broker frozen", "connections open, nobody answers"),
            Self::StopDatabase => ("database stopped", "as `pg_ctl stop -m immediate`, restarted"),
            Self::FreezeDatabase => ("database frozen", "every process of it"),
            Self::EndSessions => ("sessions ended", "pg_terminate_backend of all, thrice"),
            Self::SlowNetwork => ("network slow", "to all three servers"),
            Self::BlackHole => ("network black hole", "to all three servers; arrives later"),
            Self::Resets => ("connections reset", "to all three servers, thrice"),
            Self::Cuts => ("connections cut", "in the middle of what they say"),
            Self::DroppedReplies => ("replies dropped", "done, and nobody learns of it"),
            Self::LongBrokerOutage => ("broker away", "killed for two minutes (F16)"),
            Self::LongBrokerFreeze => ("broker hung", "frozen for a minute and a half (F17)"),
            Self::LongSessionsEnded => ("sessions ended", "all of them every 2 s for half a minute (F42)"),
            Self::RollingRestart => ("rolling restart", "SIGTERM to one replica after the other (F76)"),
            Self::FlakyContent => ("content flaky", "half of its answers are errors, for five minutes (F62)"),
            Self::WallClock => ("wall clock wrong", "one replica's, by an hour and a minute in turn (F63)"),
            Self::Flood => ("flood", "more classes than it can take, for three minutes (F77)"),
            Self::FullDisk => ("disk full", "where PostgreSQL has the tables of submissions (F44)"),
            Self::CrashLoop => ("crash loop", "SIGKILL of one every 3 s for a minute (F14)"),
        }
    }
}
