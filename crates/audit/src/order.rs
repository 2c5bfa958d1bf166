//! The order of the service's own events (I5).

use std::collections::HashMap;

use uuid::Uuid;

use super::{Count, event, said::Said};

/// Checks that the first records of the events of each ordering key follow the events' numbers: on one partition by offset, and
/// across topics by the time of sending, within the tolerance for the writers' clocks.
pub(super) fn check(said: &HashMap<Uuid, Said>, skew_ms: i64, ordered: &mut Count) {
    let mut events: Vec<(u64, i64, &Uuid, &Said)> =
        said.iter().filter_map(|(id, said)| Some((said.ordering_key?, said.key_seq, id, said))).collect();
    events.sort_unstable_by_key(|(key, key_seq, id, _)| (*key, *key_seq, **id));
    ordered.checked += events.len();
    for pair in events.windows(2) {
        let [(key, seq, id, earlier), (next_key, next_seq, next_id, later)] = pair else { continue };
        if key != next_key {
            continue;
        }
        if seq == next_seq {
            ordered.violated(|| {
                (event(**id), format!("event {next_id} of the same ordering key has the same number, {seq}"))
            });
        }
        let is_behind = earlier.partition == later.partition && later.offset < earlier.offset;
        if is_behind || later.at_ms.saturating_add(skew_ms) < earlier.at_ms {
            ordered.violated(|| {
                (
                    event(**next_id),
                    format!("it has the number {next_seq} and was sent before event {id}, number {seq}"),
                )
            });
        }
    }
}
