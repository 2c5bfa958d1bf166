//! Looks at the topics while the service runs: one that is missing, or that takes nothing, is said at once with what to do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use contract::Topic;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::admin::{Admin, Cluster};
use super::settings::KafkaSettings;
use super::topics::{Difference, Wanted};

/// How long until the next look, when all is well.
const PERIOD: Duration = Duration::from_mins(5);
/// The same while something is not, or the cluster does not answer, or somebody has met what makes him doubt it.
const AGAIN: Duration = Duration::from_secs(5);

const WELL: u8 = 0;
const MISSING: u8 = 1;
const UNFIT: u8 = 2;

/// Whether the topics can be used, as of the last look. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Topics {
    state: Arc<AtomicU8>,
    doubted: Arc<Notify>,
}

impl Topics {
    /// Asks for the next look soon: something could not be sent or read, and a topic may be the reason.
    pub(super) fn doubt(&self) {
        self.doubted.notify_one();
    }

    /// Why some topic cannot be used.
    pub(super) fn trouble(&self) -> Option<&'static str> {
        match self.state.load(Ordering::Relaxed) {
            MISSING => Some("topic_missing"),
            UNFIT => Some("topic_unfit"),
            _ => None,
        }
    }

    /// Looks again and again until `end`. What is not well is said when it is new.
    pub(super) async fn watch(self, settings: KafkaSettings, end: CancellationToken) {
        match Admin::new(&settings) {
            Ok(admin) => {
                self.look(&admin, &end).await;
                // It ends when its threads do, for which nobody here waits.
                tokio::task::spawn_blocking(|| drop(admin));
            }
            Err(error) => {
                tracing::warn!(%error, "the topics cannot be looked at");
                end.cancelled().await;
            }
        }
    }

    async fn look(&self, admin: &Admin, end: &CancellationToken) {
        let mut told = BTreeSet::new();
        loop {
            // Whoever is denied, or finds nobody, is told so by those who send and read.
            let looked = end.run_until_cancelled(admin.look(Topic::ALL)).await;
            let Some(looked) = looked else { return };
            let is_well = match looked {
                Ok(cluster) => {
                    let faults = faults(&cluster);
                    // Whoever sees the code in readiness finds the line in the log.
                    say(&faults, &mut told);
                    self.note(&faults);
                    faults.is_empty()
                }
                Err(_) => false,
            };
            if end.run_until_cancelled(self.pause(is_well)).await.is_none() {
                return;
            }
        }
    }

    async fn pause(&self, is_well: bool) {
        tokio::time::sleep(AGAIN).await;
        if is_well {
            tokio::select! {
                () = tokio::time::sleep(PERIOD) => {}
                () = self.doubted.notified() => {}
            }
        }
    }

    fn note(&self, faults: &BTreeSet<Fault>) {
        let state = faults.iter().map(|fault| fault.state).find(|state| *state != WELL).unwrap_or(WELL);
        self.state.store(state, Ordering::Relaxed);
    }
}

/// What is not well about a topic; the worst stands first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Fault {
    topic: &'static str,
    found: String,
    mend: String,
    /// What it makes of the bus; a mere risk makes nothing of it.
    state: u8,
}

fn faults(cluster: &Cluster) -> BTreeSet<Fault> {
    let wanted = Wanted::on(cluster.brokers);
    let mut faults = BTreeSet::new();
    for topic in Topic::ALL {
        let Some(found) = cluster.topics.get(topic) else {
            let Difference { found, mend, .. } = Difference::missing();
            faults.insert(Fault { topic: topic.as_str(), found, mend, state: MISSING });
            continue;
        };
        faults.extend(wanted.differences(*topic, found).into_iter().map(|difference| Fault {
            topic: topic.as_str(),
            found: difference.found,
            mend: difference.mend,
            state: if difference.breaks { UNFIT } else { WELL },
        }));
    }
    faults
}

/// Says what was not said at the look before.
fn say(faults: &BTreeSet<Fault>, told: &mut BTreeSet<Fault>) {
    for Fault { topic, found, mend, .. } in faults.difference(told) {
        tracing::warn!(topic, mend, "a topic is not as it should be: {found}; to mend it: {mend}");
    }
    if faults.is_empty() && !told.is_empty() {
        tracing::info!("all topics are as they should be again");
    }
    told.clone_from(faults);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::topics::{Found, Settings};
    use super::*;

    fn cluster(in_sync_now: usize) -> Cluster {
        let settings = Settings { min_in_sync: Some(2), ..Settings::default() };
        let found =
            Found { partitions: 6, leaderless: 0, replicas: 3, in_sync_now, settings: Some(settings) };
        let topics: BTreeMap<Topic, Found> = Topic::ALL.iter().map(|topic| (*topic, found.clone())).collect();
        Cluster { brokers: 3, topics }
    }

    fn trouble(cluster: &Cluster) -> Option<&'static str> {
        let topics = Topics::default();
        topics.note(&faults(cluster));
        topics.trouble()
    }

    #[test]
    fn a_topic_that_is_missing_or_takes_nothing_is_a_trouble_of_the_bus_with_what_to_do() {
        assert_eq!(trouble(&cluster(3)), None);
        assert_eq!(trouble(&cluster(1)), Some("topic_unfit"), "too few in sync");
        let mut lacking = cluster(3);
        lacking.topics.remove(&Topic::SpellcheckInitiate);
        assert_eq!(trouble(&lacking), Some("topic_missing"));
        assert_eq!(faults(&lacking).first().map(|fault| &*fault.mend), Some("bos topics create"));
    }

    #[test]
    fn what_was_said_is_not_said_again() {
        let mut told = BTreeSet::new();
        say(&faults(&cluster(1)), &mut told);
        assert_eq!(faults(&cluster(1)).difference(&told).count(), 0);
        say(&faults(&cluster(3)), &mut told);
        assert!(told.is_empty());
    }
}
