//! The settings that our topics should have, and how an existing topic differs.

use contract::Topic;
use rdkafka::admin::{NewTopic, TopicReplication};

/// Never raise the number while batches run: a key would move to another partition, and its order would break once.
const PARTITIONS: usize = 6;
const REPLICAS: usize = 3;
/// 14 days, as long as the inbox is kept by default (`inbox_retention`).
const RETENTION_MS: i64 = 14 * DAY_MS;
const MAX_MESSAGE_BYTES: i64 = 2 << 20;
/// The largest message that we send, with its headers. A broker with a lower limit refuses it, which blocks its key.
const LARGEST_SENT: i64 = 950_000;
const DAY_MS: i64 = 24 * 3_600_000;

/// Kafka's names of topic settings.
pub(crate) mod keys {
    pub(crate) const RETENTION: &str = "retention.ms";
    pub(crate) const MAX_MESSAGE: &str = "max.message.bytes";
    pub(crate) const IN_SYNC: &str = "min.insync.replicas";
    pub(crate) const CLEANUP: &str = "cleanup.policy";
}

/// The settings that a topic should have on a cluster of some size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicSpec {
    partitions: usize,
    replicas: usize,
    in_sync: i64,
}

/// The state of an existing topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicState {
    /// Partitions.
    pub partitions: usize,
    /// Partitions without a leader, which can be neither written nor read.
    pub leaderless: usize,
    /// Replicas of the partition that has the fewest.
    pub replicas: usize,
    /// Replicas that are in sync, of the partition that has the fewest.
    pub in_sync_now: usize,
    /// Its settings, where the cluster lets us read them.
    pub settings: Option<Settings>,
}

/// Settings of a topic; `None` where the cluster does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Retention in milliseconds; -1 keeps records for ever.
    pub retention_ms: Option<i64>,
    /// Bytes of the largest record.
    pub max_message_bytes: Option<i64>,
    /// In-sync replicas that a write needs.
    pub min_in_sync: Option<i64>,
    /// `delete`, `compact`, or both.
    pub cleanup: Option<String>,
}

/// A difference between a topic and its wanted settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Whether messages are lost or refused because of it; otherwise it is a risk.
    pub breaks: bool,
    /// What was found.
    pub found: String,
    /// What to do.
    pub mend: String,
}

impl Difference {
    /// The topic is missing, or hidden from our user.
    pub fn missing() -> Self {
        Self {
            breaks: true,
            found: "it is not there, or Kafka does not let us see it".to_owned(),
            mend: "bos topics create".to_owned(),
        }
    }
}

impl TopicSpec {
    /// The wanted settings on a cluster of this size.
    pub fn for_brokers(brokers: usize) -> Self {
        Self {
            partitions: PARTITIONS,
            replicas: brokers.clamp(1, REPLICAS),
            in_sync: if brokers >= REPLICAS { 2 } else { 1 },
        }
    }

    /// The request that creates a topic.
    pub(crate) fn new_topic(self, topic: Topic, values: &Values) -> NewTopic<'_> {
        let number = |n: usize| i32::try_from(n).unwrap_or(1);
        NewTopic::new(topic.as_str(), number(self.partitions), TopicReplication::Fixed(number(self.replicas)))
            .set(keys::RETENTION, &values.retention)
            .set(keys::MAX_MESSAGE, &values.max_message)
            .set(keys::IN_SYNC, &values.in_sync)
    }

    pub(crate) fn values(self) -> Values {
        Values {
            retention: RETENTION_MS.to_string(),
            max_message: MAX_MESSAGE_BYTES.to_string(),
            in_sync: self.in_sync.to_string(),
        }
    }

    /// The differences of an existing topic, the worst first. More partitions, replicas or retention than wanted is no difference.
    pub fn differences(self, topic: Topic, found: &TopicState) -> Vec<Difference> {
        let mut differences = Vec::new();
        let mut differ = |breaks, found: String, mend: String| {
            differences.push(Difference { breaks, found, mend });
        };
        let alter = |key: &str, value: i64| {
            format!(
                "kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config {key}={value}"
            )
        };
        if found.leaderless > 0 {
            differ(
                true,
                format!("{} of {} partitions have no leader", found.leaderless, found.partitions),
                "bring the brokers back that hold them".to_owned(),
            );
        }
        let settings = found.settings.clone().unwrap_or_default();
        if settings.cleanup.as_ref().is_some_and(|policy| policy.contains("compact")) {
            let mend = format!("{},cleanup.policy=delete", alter(keys::RETENTION, RETENTION_MS));
            differ(true, "it is compacted, which drops all events of a batch but the last".to_owned(), mend);
        }
        if let Some(bytes) = settings.max_message_bytes.filter(|bytes| *bytes < MAX_MESSAGE_BYTES) {
            differ(
                bytes < LARGEST_SENT,
                format!("{} is {bytes}, wanted {MAX_MESSAGE_BYTES}", keys::MAX_MESSAGE),
                alter(keys::MAX_MESSAGE, MAX_MESSAGE_BYTES),
            );
        }
        if let Some(least) = settings.min_in_sync {
            let in_sync_now = i64::try_from(found.in_sync_now).unwrap_or(i64::MAX);
            if least > in_sync_now {
                differ(
                    true,
                    format!("{} is {least} and {in_sync_now} are in sync: nothing is written", keys::IN_SYNC),
                    "bring the brokers back that hold its replicas".to_owned(),
                );
            } else if least < self.in_sync {
                differ(
                    false,
                    format!("{} is {least}, wanted {}", keys::IN_SYNC, self.in_sync),
                    alter(keys::IN_SYNC, self.in_sync),
                );
            }
        }
        if found.replicas < self.replicas {
            differ(
                false,
                format!("{} of {} replicas", found.replicas, self.replicas),
                "add replicas with kafka-reassign-partitions.sh".to_owned(),
            );
        }
        if let Some(kept) = settings.retention_ms.filter(|kept| (0..RETENTION_MS).contains(kept)) {
            differ(
                false,
                format!(
                    "{} is {kept} ({} days), wanted {RETENTION_MS} (14 days)",
                    keys::RETENTION,
                    kept / DAY_MS
                ),
                alter(keys::RETENTION, RETENTION_MS),
            );
        }
        if found.partitions < self.partitions {
            differ(
                false,
                format!("{} of {} partitions", found.partitions, self.partitions),
                "raise them while no batch runs (kafka-topics.sh --alter), or leave them".to_owned(),
            );
        }
        differences.sort_by_key(|difference| !difference.breaks);
        differences
    }
}

/// The settings of a new topic, as text.
pub(crate) struct Values {
    retention: String,
    max_message: String,
    in_sync: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> TopicState {
        TopicState {
            partitions: 6,
            leaderless: 0,
            replicas: 3,
            in_sync_now: 3,
            settings: Some(Settings {
                retention_ms: Some(RETENTION_MS),
                max_message_bytes: Some(MAX_MESSAGE_BYTES),
                min_in_sync: Some(2),
                cleanup: Some("delete".to_owned()),
            }),
        }
    }

    fn told(wanted: TopicSpec, found: &TopicState) -> Vec<(bool, String)> {
        let differences = wanted.differences(Topic::BatchPhaseOutcome, found);
        differences.into_iter().map(|difference| (difference.breaks, difference.found)).collect()
    }

    #[test]
    fn a_created_topic_has_no_differences_and_neither_has_one_with_more() {
        assert_eq!(told(TopicSpec::for_brokers(3), &good()), []);
        let more = TopicState {
            partitions: 12,
            settings: Some(Settings { retention_ms: Some(-1), ..good().settings.unwrap() }),
            ..good()
        };
        assert_eq!(told(TopicSpec::for_brokers(3), &more), []);
        let lone = TopicState {
            replicas: 1,
            in_sync_now: 1,
            settings: Some(Settings { min_in_sync: Some(1), ..good().settings.unwrap() }),
            ..good()
        };
        assert_eq!(told(TopicSpec::for_brokers(1), &lone), [], "a cluster of one broker has no more");
        assert_eq!(told(TopicSpec::for_brokers(5), &lone).len(), 2);
    }

    #[test]
    fn differences_that_lose_or_refuse_messages_come_first() {
        let bad = TopicState {
            partitions: 1,
            leaderless: 1,
            replicas: 1,
            in_sync_now: 1,
            settings: Some(Settings {
                retention_ms: Some(7 * DAY_MS),
                max_message_bytes: Some(1_048_588),
                min_in_sync: Some(2),
                cleanup: Some("compact,delete".to_owned()),
            }),
        };
        let told = told(TopicSpec::for_brokers(3), &bad);
        let breaks: Vec<bool> = told.iter().map(|(breaks, _)| *breaks).collect();
        assert_eq!(breaks, [true, true, true, false, false, false, false], "{told:?}");
    }

    #[test]
    fn a_topic_whose_limit_is_below_our_largest_message_is_broken() {
        let small = |bytes| TopicState {
            settings: Some(Settings { max_message_bytes: Some(bytes), ..good().settings.unwrap() }),
            ..good()
        };
        assert!(told(TopicSpec::for_brokers(3), &small(500_000))[0].0);
        assert!(!told(TopicSpec::for_brokers(3), &small(1_048_588))[0].0, "Kafka's default is enough");
    }

    #[test]
    fn unknown_settings_are_no_difference() {
        assert_eq!(told(TopicSpec::for_brokers(3), &TopicState { settings: None, ..good() }), []);
    }
}
