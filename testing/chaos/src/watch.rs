//! Reads the metrics of the service repeatedly; counters restart with each process.

use std::{collections::BTreeMap, sync::atomic::Ordering, thread, time::Duration};

use crate::{
    canary::Sighting,
    http::Client,
    load::{Replica, Run},
};

/// The counter of events that had been applied before.
const DUPLICATES: &str = "bos_messages_consumed_total{outcome=\"duplicate\"}";

/// The period of reading.
const PERIOD: Duration = Duration::from_millis(50);

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    /// The highest number of duplicates read from each process.
    duplicates: BTreeMap<usize, u64>,
    /// The number of readings.
    pub(crate) readings: usize,
    pub(crate) sightings: Vec<Sighting>,
}

impl Watched {
    /// The number of redelivered events. Those of a process's last moments are missing.
    pub(crate) fn duplicates(&self) -> u64 {
        self.duplicates.values().sum()
    }

    /// Adds what was read from another replica.
    pub(crate) fn add(&mut self, other: Self) {
        let before = self.duplicates.len();
        let lives = other.duplicates.into_values().enumerate();
        self.duplicates.extend(lives.map(|(life, duplicates)| (before + life, duplicates)));
        self.readings += other.readings;
        self.sightings.extend(other.sightings);
    }

    fn take(&mut self, run: &Run, life: usize, page: &[u8]) {
        self.readings += 1;
        let read = value_of(&String::from_utf8_lossy(page), DUPLICATES).unwrap_or_default();
        let known = self.duplicates.entry(life).or_default();
        *known = read.max(*known);
        for secret in run.canary.found_in(page) {
            self.sightings.push(Sighting { place: "/metrics".to_owned(), secret });
        }
    }
}

/// Reads the metrics of one replica until the run is over.
pub(crate) fn watch(run: &Run, replica: &Replica) -> Watched {
    let mut watched = Watched::default();
    let mut client = Client::new([replica.address]);
    while !run.over.load(Ordering::Relaxed) {
        let life = replica.life.load(Ordering::Relaxed);
        if let Ok(answer) = client.get("/metrics") {
            watched.take(run, life, &answer.body);
        }
        thread::sleep(PERIOD);
    }
    watched
}

/// The value of a series on a page of the Prometheus text format.
fn value_of(page: &str, series: &str) -> Option<u64> {
    page.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_found_by_its_whole_name() {
        let page = format!(
            "# TYPE x counter\nbos_messages_consumed_total{{outcome=\"applied\"}} 9\n{DUPLICATES} 4\n"
        );
        assert_eq!(value_of(&page, DUPLICATES), Some(4));
        assert_eq!(value_of("", DUPLICATES), None);
    }
}
