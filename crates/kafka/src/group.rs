//! The state of a consumer group, read without joining it: members and lag.

use std::collections::BTreeMap;
use std::time::Duration;

use contract::Topic;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::settings::KafkaSettings;
use super::topics::TopicState;

/// The state of a consumer group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Kafka's name of the state, such as `Stable`.
    pub state: String,
    /// Members.
    pub members: usize,
    /// Lag: records not read yet.
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
        let mut client = settings.consumer(group);
        client.remove("statistics.interval.ms");
        let client: BaseConsumer = client.create()?;
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

        let mut behind: BTreeMap<&str, i64> = BTreeMap::new();
        let mut unread = 0;
        let ends = ends.elements();
        for end in &ends {
            let Offset::Offset(next) = end.offset() else { continue };
            let key = (end.topic().to_owned(), end.partition());
            let left = if let Some(Offset::Offset(position)) = positions.get(&key) {
                next - position
            } else {
                unread += usize::from(next > 0);
                // An upper bound: retention may have removed some of them.
                next
            };
            *behind.entry(end.topic()).or_default() += left.max(0);
        }
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
