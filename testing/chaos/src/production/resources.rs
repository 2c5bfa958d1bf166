//! What the replicas hold of the machine (I12): it goes back to where it was, and they answer at once whatever is away.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use super::{cluster::Cluster, nemesis::CRASHING};
use crate::{check::Finding, http::Client};

/// How often each replica is asked whether it lives.
const PERIOD: Duration = Duration::from_millis(200);
/// In 99 of 100 cases it must say so within this: far more than it needs, because processors are shared with three servers,
/// the load and whatever else the machine does.
const ALIVE_WITHIN: Duration = Duration::from_secs(1);
/// So many more files and sockets than at the start may be open at the end: connections that the clients keep.
const MORE_FILES: usize = 64;
/// So many more threads: librdkafka keeps one for each broker it has heard of.
const MORE_THREADS: usize = 16;
/// And so much more memory, of which an allocator gives nothing back soon.
const MORE_KIB: usize = 400 * 1024;

/// What a process holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Held {
    files: usize,
    threads: usize,
    kib: usize,
}

impl Held {
    /// As the system tells it.
    pub(crate) fn by(process: u32) -> Result<Self> {
        let files = fs::read_dir(format!("/proc/{process}/fd")).context("listing a replica's files")?.count();
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or_default()
        };
        Ok(Self { files, threads: number("Threads"), kib: number("VmRSS") })
    }

    /// What it holds too much of, beside what it held at first.
    fn beyond(self, first: Self) -> Vec<String> {
        let kinds = [
            ("files and sockets", self.files, first.files, MORE_FILES),
            ("threads", self.threads, first.threads, MORE_THREADS),
            ("KiB", self.kib, first.kib, MORE_KIB),
        ];
        let too_much = kinds.into_iter().filter(|(_, now, before, more)| *now > before + more);
        too_much.map(|(what, now, before, _)| format!("{now} {what} at the end, {before} at first")).collect()
    }
}

/// I12.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    first: Vec<Held>,
    waits: Vec<Duration>,
    looks: usize,
    violations: Vec<String>,
}

impl Resources {
    /// As the replicas are before anything happens to them.
    pub(crate) fn at_first(cluster: &Cluster) -> Result<Self> {
        let first = (0..CRASHING).map(|replica| Held::by(cluster.process(replica)?));
        Ok(Self { first: first.collect::<Result<_>>()?, ..Self::default() })
    }

    /// Asks them whether they live until it is over, except those who are frozen or dead.
    pub(crate) fn watch(&mut self, cluster: &Cluster, over: &AtomicBool) {
        while !over.load(Ordering::SeqCst) {
            for address in cluster.addresses.iter().take(CRASHING) {
                let (begun, freezes) = (Instant::now(), cluster.freezes());
                let answered = Client::new([*address]).get("/healthz");
                if answered.is_ok_and(|answer| answer.status == 200)
                    && freezes == cluster.freezes()
                    && freezes.is_multiple_of(2)
                {
                    self.waits.push(begun.elapsed());
                }
            }
            thread::sleep(PERIOD);
        }
    }

    /// Holds what they have at the end against what they had at first.
    pub(crate) fn at_the_end(&mut self, cluster: &Cluster) -> Result<()> {
        for (replica, first) in self.first.iter().enumerate() {
            let beyond = Held::by(cluster.process(replica)?)?.beyond(*first);
            self.looks += 1;
            self.violations.extend(beyond.into_iter().map(|what| format!("replica {replica} holds {what}")));
        }
        Ok(())
    }

    /// The longest that 99 of 100 waited.
    pub(crate) fn wait(&self) -> Duration {
        let mut waits = self.waits.clone();
        waits.sort_unstable();
        waits.get((waits.len() * 99 / 100).min(waits.len().saturating_sub(1))).copied().unwrap_or_default()
    }

    pub(crate) fn finding(&self) -> Finding {
        let mut violations = self.violations.clone();
        let wait = self.wait();
        if wait > ALIVE_WITHIN {
            violations.push(format!("/healthz took {} ms in one of 100 cases", wait.as_millis()));
        }
        Finding {
            id: "I12",
            title: "resources go back to where they were, and it is alive meanwhile",
            checked: if self.looks == 0 { 0 } else { self.waits.len() },
            unit: "answers of /healthz",
            violations,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_keeps_open_is_found() {
        let first = Held { files: 50, threads: 20, kib: 100_000 };
        assert_eq!(Held { files: 60, ..first }.beyond(first), [""; 0]);
        let leaky = Held { files: 500, threads: 200, kib: 900_000 };
        assert_eq!(leaky.beyond(first).len(), 3);
    }

    #[test]
    fn a_process_that_answers_too_late_too_often_is_found_and_no_answer_at_all_shows_nothing() {
        let mut resources = Resources { looks: 1, ..Resources::default() };
        assert_eq!(resources.finding().checked, 0);
        resources.waits = vec![Duration::from_millis(3); 200];
        assert_eq!(resources.finding().violations, [""; 0]);
        resources.waits.extend([Duration::from_secs(3); 20]);
        assert_eq!(resources.finding().violations.len(), 1);
    }
}
