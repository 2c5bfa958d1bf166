//! Named background tasks: which are alive, which have died, and a shutdown that waits for them.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// The background tasks of one process. Clones share them.
///
/// Everything that runs beside a request is spawned here, so that readiness can check the tasks themselves and a shutdown
/// waits for them.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    alive: Arc<Mutex<BTreeMap<&'static str, usize>>>,
}

impl Tasks {
    /// No tasks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The signal on which tasks end. [`Tasks::shutdown`] cancels it.
    pub fn stop_signal(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Spawns `task` in a span of its name.
    ///
    /// A panic ends this task alone. The panic hook logs the location, this function logs the name, and [`Tasks::report`] shows
    /// one task fewer alive.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn_boxed(name, Box::pin(task));
    }

    /// The part of [`Tasks::spawn`] that is compiled once, and not for every task.
    fn spawn_boxed(&self, name: &'static str, task: BoxFuture<'static, ()>) {
        let alive = Alive::mark(Arc::clone(&self.alive), name);
        let task = async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                tracing::error!("a background task panicked");
            }
            drop(alive);
        };
        self.tracker.spawn(task.instrument(tracing::info_span!("task", name)));
    }

    /// Every name that was ever spawned, with its number of live tasks; 0 means that it ended or died.
    pub fn report(&self) -> Vec<(&'static str, usize)> {
        lock(&self.alive).iter().map(|(name, alive)| (*name, *alive)).collect()
    }

    /// Asks all tasks to end, and waits for them for at most `deadline`.
    ///
    /// Returns the names of the tasks that were still running then. The runtime drops them when it is dropped.
    pub async fn shutdown(&self, deadline: Duration) -> Vec<&'static str> {
        self.stop.cancel();
        self.tracker.close();
        match tokio::time::timeout(deadline, self.tracker.wait()).await {
            Ok(()) => Vec::new(),
            Err(_) => {
                self.report().into_iter().filter(|(_, alive)| *alive > 0).map(|(name, _)| name).collect()
            }
        }
    }
}

/// Counts one task as alive until it is dropped, however it ends.
struct Alive {
    counts: Arc<Mutex<BTreeMap<&'static str, usize>>>,
    name: &'static str,
}

impl Alive {
    fn mark(counts: Arc<Mutex<BTreeMap<&'static str, usize>>>, name: &'static str) -> Self {
        *lock(&counts).entry(name).or_default() += 1;
        Self { counts, name }
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        if let Some(count) = lock(&self.counts).get_mut(self.name) {
            *count = count.saturating_sub(1);
        }
    }
}

/// Locks the counts; they are consistent even after a panic of the holder.
fn lock<'a>(
    counts: &'a Mutex<BTreeMap<&'static str, usize>>,
) -> std::sync::MutexGuard<'a, BTreeMap<&'static str, usize>> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Tasks;

    #[tokio::test]
    async fn a_panicking_task_is_reported_dead_and_the_others_run_on() {
        let tasks = Tasks::new();
        let stop = tasks.stop_signal();
        tasks.spawn("steady", async move { stop.cancelled().await });
        tasks.spawn("clumsy", async { panic!("on purpose") });
        while tasks.report() != [("clumsy", 0), ("steady", 1)] {
            tokio::task::yield_now().await;
        }
        assert!(tasks.shutdown(Duration::from_secs(5)).await.is_empty());
        assert_eq!(tasks.report(), [("clumsy", 0), ("steady", 0)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_end_is_named_after_the_deadline() {
        let tasks = Tasks::new();
        tasks.spawn("stubborn", std::future::pending());
        assert_eq!(tasks.shutdown(Duration::from_secs(25)).await, ["stubborn"]);
    }
}
