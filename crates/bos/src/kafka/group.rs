//! The consumer group from outside: who is in it, and how far it is behind.

use std::collections::BTreeMap;
use std::time::Duration;

use contract::Topic;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::settings::KafkaSettings;
use super::topics::Found;

/// How a consumer group is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Kafka's word for it, such as `Stable`.
    pub state: String,
    /// Processes in it.
    pub members: usize,
    /// Records not read yet.
    pub lag: i64,
    /// The topic that most of them are in.
    pub furthest_behind: Option<Topic>,
    /// Partitions that hold records and of which the group has no position: it begins at their beginning.
    pub unread: usize,
}

impl Group {
    /// Looks at a group that reads these topics, without joining it. Waits for the cluster on this thread.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub fn look(
        settings: &KafkaSettings,
        group: &str,
        topics: &BTreeMap<Topic, Found>,
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
                // Instead of a time, the place behind the last record.
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
                // Of these, some may be gone from the topic already.
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
