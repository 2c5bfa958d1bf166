//! Every invariant with its id, title, meaning, evidence and judges.

use std::fmt;
use std::fmt::Write as _;

/// An implementation that evaluates invariants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judge {
    /// `cargo xtask simulate`.
    Simulation,
    /// `cargo xtask chaos --embedded`.
    ChaosEmbedded,
    /// `cargo xtask chaos`, on PostgreSQL and Kafka. For what `bos audit` evaluates it also runs that comparison.
    Chaos,
    /// `bos audit`.
    Audit,
}

impl fmt::Display for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Simulation => "simulation",
            Self::ChaosEmbedded => "chaos (embedded)",
            Self::Chaos => "chaos",
            Self::Audit => "audit",
        })
    }
}

/// Declares the invariants: title, meaning, the evidence it is read from, and the judges that evaluate it.
macro_rules! invariants {
    ($($id:ident: $title:literal, $meaning:literal, from $evidence:literal, by [$($judge:ident),+];)+) => {
        /// Something that must hold. I1 to I14 can be evaluated from outside of the service; S1 to S5 need a simulated bus and
        /// clock.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Invariant { $(#[doc = $title] #[doc = ""] #[doc = $meaning] $id,)+ }

        impl Invariant {
            /// Every invariant, in the order of the ids.
            pub const ALL: &[Self] = &[$(Self::$id,)+];

            /// Its id, such as `I5`. It never changes.
            pub const fn id(self) -> &'static str {
                match self { $(Self::$id => stringify!($id),)+ }
            }

            /// A short statement of it, for the row of a table.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$id => $title,)+ }
            }

            /// What exactly must hold.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$id => $meaning,)+ }
            }

            /// What it is read from.
            pub const fn evidence(self) -> &'static str {
                match self { $(Self::$id => $evidence,)+ }
            }

            /// The judges that evaluate it.
            pub const fn judges(self) -> &'static [Judge] {
                match self { $(Self::$id => &[$(Judge::$judge),+],)+ }
            }
        }
    };
}

invariants! {
    I1: "an acknowledged id stays readable",
        "Every id that was answered with 202 can be read from every replica, at once and after every restart.",
        from "HTTP", by [Simulation, ChaosEmbedded, Chaos];
    I2: "one event id per essay, phase and attempt",
        "All events that ask for the same attempt at a phase of an essay have the same id; one that is sent again because it may be \
         lost has a number (`resend`) and an id of its own. When everything has ended, each acknowledged essay has such an event.",
        from "topics", by [Simulation, ChaosEmbedded, Chaos, Audit];
    I3: "a request leaves what its answer says",
        "A refused request (4xx except 408, 409 and 429) leaves no essay and no event. A request without a definite answer \
         (time-out, reset, 5xx) leaves all of its essays or none. A request that is repeated under its key until it is answered \
         with 2xx leaves them once.",
        from "HTTP, database", by [Simulation, ChaosEmbedded, Chaos];
    I4: "one event id, one record",
        "All records with the same event id have the same key, the same value bytes and the same partition, and these are the \
         bytes that were committed.",
        from "topics, database", by [Simulation, ChaosEmbedded, Chaos, Audit];
    I5: "events of a key are in order, on one partition",
        "For each ordering key, the first occurrences of its events ascend in `key_seq`. All records of a topic with the same \
         key are on one partition.",
        from "topics, database", by [Simulation, Chaos, Audit];
    I6: "an event is on its topic exactly if it was committed",
        "Every event of the service on a topic has a row in `outbox` or `outbox_sent`. Every row that is marked as sent has its \
         event on the topic.",
        from "topics, database", by [Simulation, ChaosEmbedded, Chaos, Audit];
    I7: "status never regresses, and counts sum to the total",
        "Successive readings of a batch or an essay never regress in run, state or revision. A terminal state does not change \
         within a run. In each reading the counts sum to the total.",
        from "HTTP", by [Simulation, ChaosEmbedded, Chaos];
    I8: "after the last fault everything ends",
        "Within the time that a run allows after its last fault, every acknowledged batch and essay is in a terminal state.",
        from "HTTP, database", by [Simulation, ChaosEmbedded, Chaos];
    I9: "a committed offset never leads the database",
        "Every record below a committed offset of the consumer group that is about a batch of this database, or that cannot be \
         read, has a row in `inbox` or `dead_letters`.",
        from "consumer group, database", by [Simulation, Chaos, Audit];
    I10: "nothing waits, is parked or is dead-lettered unexpectedly",
        "After a run the outbox and the staged texts are empty, and the dead letters are exactly the records that could not be \
         read. In a running service no message is parked, and none waits for longer than a minute.",
        from "database", by [Simulation, ChaosEmbedded, Chaos, Audit];
    I11: "one key, one result, one answer",
        "A caller's Idempotency-Key on a route makes one batch. Every repeated answer has the same bytes. Another body under the \
         key is refused with 422.",
        from "HTTP, database", by [Simulation, ChaosEmbedded, Chaos];
    I12: "resources return to their baseline, and the process stays alive",
        "Memory, threads and open files of each replica return to what they were before the faults. During faults 99 % of the \
         answers of `/healthz` take at most 1 s.",
        from "/proc, HTTP", by [Chaos];
    I13: "no private text leaks",
        "No essay text and no name of a class is in logs, metrics, error bodies, events or dead letters.",
        from "logs, HTTP, topics, database", by [ChaosEmbedded, Chaos];
    I14: "no session is idle in a transaction",
        "No session of the service is `idle in transaction` for longer than 1 s. A run counts a session that it finds so twice in a \
         row, 500 ms apart.",
        from "pg_stat_activity", by [Chaos];
    S1: "one message per ordering key is in flight",
        "Of each ordering key, at most one message that is not yet on the bus is in flight.",
        from "simulated bus", by [Simulation];
    S2: "a command follows its registration",
        "A peer is commanded only for batches and essays that were registered before, in records that it can read.",
        from "simulated peers", by [Simulation];
    S3: "a parked message blocks its own key only",
        "No later message of its key overtakes a parked message. Messages of other keys are sent. A message is given up only by \
         an operator, and is then not on the bus.",
        from "simulated bus, database", by [Simulation];
    S4: "every turn ends",
        "A turn ends before it has made 20,000 calls to its ports, and never waits for 60 s without making one.",
        from "simulated ports", by [Simulation];
    S5: "stored results are the reported ones",
        "The result of each phase is the one that the peers reported, and each stored text is the one that was submitted.",
        from "simulated peers, database", by [Simulation];
}

impl Invariant {
    /// The invariants that `judge` evaluates.
    pub fn evaluated_by(judge: Judge) -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(move |invariant| invariant.judges().contains(&judge))
    }
}

/// Writes the id.
impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

/// The catalogue as a Markdown table, one row per invariant.
pub fn markdown_table() -> String {
    let mut table =
        String::from("| id | invariant | meaning | read from | evaluated by |\n|---|---|---|---|---|\n");
    for invariant in Invariant::ALL {
        let judges: Vec<String> = invariant.judges().iter().map(Judge::to_string).collect();
        let cells = [
            invariant.id(),
            invariant.title(),
            invariant.meaning(),
            invariant.evidence(),
            &judges.join(", "),
        ];
        // Writing to a string does not fail.
        let _ = writeln!(table, "| {} |", cells.join(" | "));
    }
    table
}
