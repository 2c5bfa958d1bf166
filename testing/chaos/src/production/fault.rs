//! The faults of the production mode, including the rows of the fault matrix that long runs add.

/// A fault.
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
    /// This and the following happen in long runs only.
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
    /// The faults of every run.
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

    /// The additional faults of long runs.
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

    /// The faults of a run, as far as they are possible here.
    pub(crate) fn of(long: bool, is_possible: impl Fn(Self) -> bool) -> Vec<Self> {
        let more: &[Self] = if long { &Self::LONG } else { &[] };
        let mut all = [&Self::SHORT, more].concat();
        all.retain(|fault| is_possible(*fault));
        all
    }

    pub(crate) const KILLS: [Self; 2] = [Self::KillReplica, Self::KillAll];

    /// Whether it may suspend a process, or its connection to the database, in the middle of a transaction.
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

    /// Its name in the history and in the report, and its description.
    pub(crate) const fn description(self) -> (&'static str, &'static str) {
        match self {
            Self::KillReplica => ("replica killed", "SIGKILL of one while the others run"),
            Self::KillAll => ("all replicas killed", "SIGKILL of all at once"),
            Self::FreezeReplica => ("replica paused", "SIGSTOP past its lease, then SIGCONT"),
            Self::KillCompanions => ("companions killed", "Content Service, lifecycle service and workers"),
            Self::KillBroker => ("broker killed", "SIGKILL, down for seconds, restarted"),
            Self::FreezeBroker => ("broker paused", "SIGSTOP: connections open, no answers"),
            Self::StopDatabase => ("database stopped", "as `pg_ctl stop -m immediate`, restarted"),
            Self::FreezeDatabase => ("database paused", "SIGSTOP of every process"),
            Self::EndSessions => ("sessions ended", "pg_terminate_backend of all, thrice"),
            Self::SlowNetwork => ("network slow", "to all three servers"),
            Self::BlackHole => ("network black hole", "to all three servers; delivered later"),
            Self::Resets => ("connections reset", "to all three servers, thrice"),
            Self::Cuts => ("connections cut", "in the middle of an answer"),
            Self::DroppedReplies => ("replies dropped", "requests are executed, their replies are lost"),
            Self::LongBrokerOutage => ("broker down", "killed, down for 120 s (F16)"),
            Self::LongBrokerFreeze => ("broker hung", "paused for 90 s (F17)"),
            Self::LongSessionsEnded => ("sessions ended", "all of them every 2 s for 30 s (F42)"),
            Self::RollingRestart => ("rolling restart", "SIGTERM to one replica after the other (F76)"),
            Self::FlakyContent => ("content flaky", "half of its answers are errors, for 300 s (F62)"),
            Self::WallClock => ("wall clock wrong", "one replica's, by an hour and a minute in turn (F63)"),
            Self::Flood => ("flood", "more classes than it can take, for 180 s (F77)"),
            Self::FullDisk => ("disk full", "where PostgreSQL has the tables of submissions (F44)"),
            Self::CrashLoop => ("crash loop", "SIGKILL of one every 3 s for 60 s (F14)"),
        }
    }
}
