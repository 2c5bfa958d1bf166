//! Watches the resources of the replicas (I12): they return to their baseline, and `/healthz` answers during
//! every fault.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use invariants::{Evaluation, Finding, Invariant};

use super::{cluster::Cluster, nemesis::CRASHING};
use crate::http::Client;

/// The period of reading `/healthz` of each replica.
const PERIOD: Duration = Duration::from_millis(200);
/// The bound for 99 of 100 answers: far more than an answer takes, because the processors are shared with
/// three servers, the load and other work (chosen).
const ALIVE_WITHIN: Duration = Duration::from_secs(1);
/// Additional files and sockets that may be open at the end: connections that the clients keep (chosen).
const MORE_FILES: usize = 64;
/// Additional threads at the end: librdkafka keeps one for each broker it has seen (chosen).
const MORE_THREADS: usize = 16;
/// Additional memory at the end, because the allocator returns freed memory late (chosen).
const MORE_KIB: usize = 400 * 1024;

/// The resources of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Held {
    files: usize,
    threads: usize,
    kib: usize,
}

impl Held {
    /// Reads them from `/proc`.
    pub(crate) fn by(process: u32) -> Result<Self> {
        let files = fs::read_dir(format!("/proc/{process}/fd")).context("listing a replica's files")?.count();
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or_default()
        };
        Ok(Self { files, threads: number("Threads"), kib: number("VmRSS") })
    }

    /// The resources that exceed those of `first` by more than the bounds.
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

/// The evidence of I12.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    first: Vec<Held>,
    waits: Vec<Duration>,
    looks: usize,
    findings: Vec<Finding>,
}

impl Resources {
    /// Reads the resources of the replicas before the first fault.
    pub(crate) fn at_first(cluster: &Cluster) -> Result<Self> {
        let first = (0..CRASHING).map(|replica| Held::by(cluster.process(replica)?));
        Ok(Self { first: first.collect::<Result<_>>()?, ..Self::default() })
    }

    /// Reads `/healthz` until `over`; answers of paused and dead replicas do not count.
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

    /// Compares the resources at the end with those at the start.
    pub(crate) fn at_the_end(&mut self, cluster: &Cluster) -> Result<()> {
        for (replica, first) in self.first.iter().enumerate() {
            let beyond = Held::by(cluster.process(replica)?)?.beyond(*first);
            self.looks += 1;
            let findings = beyond
                .into_iter()
                .map(|what| Finding::new(Invariant::I12, format!("replica {replica}"), what));
            self.findings.extend(findings);
        }
        Ok(())
    }

    /// The 99th percentile of the answer times.
    pub(crate) fn wait(&self) -> Duration {
        let mut waits = self.waits.clone();
        waits.sort_unstable();
        waits.get((waits.len() * 99 / 100).min(waits.len().saturating_sub(1))).copied().unwrap_or_default()
    }

    pub(crate) fn evaluation(&self) -> Evaluation {
        let mut findings = self.findings.clone();
        let wait = self.wait();
        if wait > ALIVE_WITHIN {
            let what = format!("one of 100 answers took {} ms", wait.as_millis());
            findings.push(Finding::new(Invariant::I12, "/healthz", what));
        }
        let checked = if self.looks == 0 { 0 } else { self.waits.len() };
        Evaluation::new(Invariant::I12, checked, "answers of /healthz", findings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_leak_is_found() {
        let first = Held { files: 50, threads: 20, kib: 100_000 };
        assert_eq!(Held { files: 60, ..first }.beyond(first), [""; 0]);
        let leaky = Held { files: 500, threads: 200, kib: 900_000 };
        assert_eq!(leaky.beyond(first).len(), 3);
    }

    #[test]
    fn slow_answers_are_found_and_no_answer_counts_as_not_checked() {
        let mut resources = Resources { looks: 1, ..Resources::default() };
        assert_eq!(resources.evaluation().checked, 0);
        resources.waits = vec![Duration::from_millis(3); 200];
        assert!(resources.evaluation().findings.is_empty());
        resources.waits.extend([Duration::from_secs(3); 20]);
        assert_eq!(resources.evaluation().findings.len(), 1);
    }
}
