//! Monitors the topics while the service runs, and logs a topic that is missing or takes no records, with what to do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use contract::Topic;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::admin::{Admin, Cluster};
use super::settings::KafkaSettings;
use super::topics::{Difference, TopicSpec};

/// Time between two checks while all topics are well.
const PERIOD: Duration = Duration::from_mins(5);
/// Time between two checks while a topic is not well, the cluster does not answer, or a client error requested a re-check.
const AGAIN: Duration = Duration::from_secs(5);

const WELL: u8 = 0;
const MISSING: u8 = 1;
const UNFIT: u8 = 2;

/// The state of the topics as of the last check. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct TopicMonitor {
    state: Arc<AtomicU8>,
    requested: Arc<Notify>,
}

impl TopicMonitor {
    /// Requests a check soon, because a record could not be sent or read and a topic may be the reason.
    pub(crate) fn request_check(&self) {
        self.requested.notify_one();
    }

    /// The code of the worst fault of any topic, if there is one.
    pub(crate) fn trouble(&self) -> Option<&'static str> {
        match self.state.load(Ordering::Relaxed) {
            MISSING => Some("topic_missing"),
            UNFIT => Some("topic_unfit"),
            _ => None,
        }
    }

    /// Checks the topics until `end`, and logs each fault once when it appears.
    pub(crate) async fn watch(self, settings: KafkaSettings, end: CancellationToken) {
        let mut told = BTreeSet::new();
        while !end.is_cancelled() {
            let password = settings.password_version();
            match Admin::new(&settings) {
                Ok(admin) => {
                    let is_present = || settings.password_version() == password;
                    self.check_until(&admin, &end, is_present, &mut told).await;
                    // Closing waits for librdkafka's threads, so it happens off the runtime.
                    tokio::task::spawn_blocking(|| drop(admin));
                }
                Err(error) => {
                    tracing::warn!(%error, "the topics cannot be checked: no Kafka client could be made");
                    end.cancelled().await;
                }
            }
        }
    }

    /// Checks until `end`, or until the password of the client is no longer the present one.
    async fn check_until(
        &self,
        admin: &Admin,
        end: &CancellationToken,
        is_present: impl Fn() -> bool,
        told: &mut BTreeSet<Fault>,
    ) {
        while is_present() {
            // Authorization and connection errors are reported by the producer and the consumer.
            let checked = end.run_until_cancelled(admin.inspect(Topic::ALL)).await;
            let Some(checked) = checked else { return };
            let is_well = match checked {
                Ok(cluster) => {
                    let faults = faults(&cluster);
                    // Log before readiness shows the code, so that the log already explains it.
                    log_new(&faults, told);
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
                () = self.requested.notified() => {}
            }
        }
    }

    fn note(&self, faults: &BTreeSet<Fault>) {
        let state = faults.iter().map(|fault| fault.state).find(|state| *state != WELL).unwrap_or(WELL);
        self.state.store(state, Ordering::Relaxed);
    }
}

/// A fault of a topic; the worst sorts first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Fault {
    topic: &'static str,
    found: String,
    mend: String,
    /// The state of the bus because of it; `WELL` for a mere risk.
    state: u8,
}

fn faults(cluster: &Cluster) -> BTreeSet<Fault> {
    let wanted = TopicSpec::for_brokers(cluster.brokers);
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

/// Logs the faults that the previous check did not find.
fn log_new(faults: &BTreeSet<Fault>, told: &mut BTreeSet<Fault>) {
    for Fault { topic, found, mend, .. } in faults.difference(told) {
        tracing::warn!(topic, mend, "topic {topic}: {found}; next step: {mend}");
    }
    if faults.is_empty() && !told.is_empty() {
        tracing::info!("all topics are as expected again");
    }
    told.clone_from(faults);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::topics::{Settings, TopicState};

    fn cluster(in_sync_now: usize) -> Cluster {
        let settings = Settings { min_in_sync: Some(2), ..Settings::default() };
        let found =
            TopicState { partitions: 6, leaderless: 0, replicas: 3, in_sync_now, settings: Some(settings) };
        let topics: BTreeMap<Topic, TopicState> =
            Topic::ALL.iter().map(|topic| (*topic, found.clone())).collect();
        Cluster { brokers: 3, topics }
    }

    fn trouble(cluster: &Cluster) -> Option<&'static str> {
        let monitor = TopicMonitor::default();
        monitor.note(&faults(cluster));
        monitor.trouble()
    }

    #[test]
    fn a_topic_that_is_missing_or_takes_no_records_makes_the_bus_unusable_and_says_what_to_do() {
        assert_eq!(trouble(&cluster(3)), None);
        assert_eq!(trouble(&cluster(1)), Some("topic_unfit"), "too few in sync");
        let mut lacking = cluster(3);
        lacking.topics.remove(&Topic::SpellcheckInitiate);
        assert_eq!(trouble(&lacking), Some("topic_missing"));
        assert_eq!(faults(&lacking).first().map(|fault| &*fault.mend), Some("bos topics create"));
    }

    #[test]
    fn a_fault_is_logged_once() {
        let mut told = BTreeSet::new();
        log_new(&faults(&cluster(1)), &mut told);
        assert_eq!(faults(&cluster(1)).difference(&told).count(), 0);
        log_new(&faults(&cluster(3)), &mut told);
        assert!(told.is_empty());
    }
}
