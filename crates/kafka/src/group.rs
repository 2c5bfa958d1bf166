//! The state of a consumer group, read without joining it: members and lag.
//!
//! Offsets alone do not tell the lag: transaction markers and aborted records have offsets and are never delivered. So a small
//! difference of offsets is read, and what comes is counted.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use contract::Topic;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::settings::KafkaSettings;
use super::topics::TopicState;

/// The largest difference of offsets in one topic that is read to count its records; chosen. A larger one is an upper bound.
const COUNTED: i64 = 1_000;
/// The longest wait of one poll.
const POLL: Duration = Duration::from_millis(100);

/// The state of a consumer group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Kafka's name of the state, such as `Stable`.
    pub state: String,
    /// Members.
    pub members: usize,
    /// Lag: records not read yet. Counted where there are few, else an upper bound.
    pub lag: i64,
    /// The topic with the largest lag.
    pub furthest_behind: Option<Topic>,
    /// Partitions with records for which the group has no committed offset; it will begin at their start.
    pub unread: usize,
}

impl Group {
    /// Reads the state of the group over these topics without joining it. Blocks the calling thread.
    ///
    /// # Errors
    /// When the cluster does not answer within `patience`.
    pub fn inspect(
        settings: &KafkaSettings,
        group: &str,
        topics: &BTreeMap<Topic, TopicState>,
        patience: Duration,
    ) -> Result<Self, KafkaError> {
        let begun = Instant::now();
        let mut client = settings.consumer(group);
        client.remove("statistics.interval.ms");
        let client: BaseConsumer = client.set("enable.partition.eof", "true").create()?;
        let groups = client.fetch_group_list(Some(group), patience)?;
        let known = groups.groups().iter().find(|known| known.name() == group);
        let (state, members) = known.map_or(("Dead", 0), |known| (known.state(), known.members().len()));

        if topics.is_empty() {
            let state = state.to_owned();
            return Ok(Self { state, members, lag: 0, furthest_behind: None, unread: 0 });
        }
        let mut partitions = TopicPartitionList::new();
        for (topic, found) in topics {
            for partition in 0..i32::try_from(found.partitions).unwrap_or(i32::MAX) {
                // `End` in place of a time asks for the offset after the last record.
                partitions.add_partition_offset(topic.as_str(), partition, Offset::End)?;
            }
        }
        let ends = client.offsets_for_times(partitions.clone(), patience)?;
        let positions = client.committed_offsets(partitions, patience)?.to_topic_map();

        let mut behind: BTreeMap<&str, Behind> = BTreeMap::new();
        let mut unread = 0;
        let ends = ends.elements();
        for end in &ends {
            let Offset::Offset(next) = end.offset() else { continue };
            let key = (end.topic().to_owned(), end.partition());
            let topic = behind.entry(end.topic()).or_default();
            if let Some(Offset::Offset(position)) = positions.get(&key) {
                topic.offsets += (next - position).max(0);
                topic.partitions.extend((next > *position).then_some((end.partition(), *position)));
            } else {
                unread += usize::from(next > 0);
                // An upper bound: retention may have removed some of them.
                topic.without_position += next;
            }
        }
        let behind: BTreeMap<&str, i64> = behind
            .into_iter()
            .map(|(topic, behind)| {
                let counted = behind.count(&client, topic, patience.saturating_sub(begun.elapsed()));
                (topic, counted.unwrap_or(behind.offsets) + behind.without_position)
            })
            .collect();
        Ok(Self {
            state: state.to_owned(),
            members,
            lag: behind.values().sum(),
            furthest_behind: behind
                .iter()
                .max_by_key(|(_, left)| **left)
                .filter(|(_, left)| **left > 0)
                .and_then(|(topic, _)| topic.parse().ok()),
            unread,
        })
    }
}

/// How far a group is behind in one topic, by offsets.
#[derive(Debug, Default)]
struct Behind {
    /// The sum over the partitions with a committed offset.
    offsets: i64,
    /// Of the other partitions.
    without_position: i64,
    /// Partitions with offsets after the committed one, each with that.
    partitions: BTreeMap<i32, i64>,
}

impl Behind {
    /// Reads and counts the records after the committed offsets, if there can be only a few; `None` if they are not counted in
    /// time.
    fn count(&self, client: &BaseConsumer, topic: &str, patience: Duration) -> Option<i64> {
        if self.partitions.is_empty() || self.offsets > COUNTED {
            return None;
        }
        let mut list = TopicPartitionList::new();
        for (partition, position) in &self.partitions {
            list.add_partition_offset(topic, *partition, Offset::Offset(*position)).ok()?;
        }
        client.assign(&list).ok()?;
        let (begun, mut records, mut open) = (Instant::now(), 0, self.partitions.len());
        while open > 0 {
            match client.poll(POLL) {
                Some(Ok(_)) => records += 1,
                Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
                Some(Err(_)) | None => {}
            }
            if begun.elapsed() > patience {
                return None;
            }
        }
        Some(records)
    }
}
