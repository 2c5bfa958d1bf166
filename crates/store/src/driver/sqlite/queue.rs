//! The order of units that wait for SQLite's writer, in three lanes.
//!
//! Requests wait for their result and background tasks do not, so callers go first. A task or bulk unit runs when no caller
//! waits, or when it has waited for [`MAX_WAIT`]. In a burst of callers the caller lane is empty only for moments, because
//! callers that just got their result send their next request. So in a burst the writer waits up to [`BURST_WAIT`] for another
//! caller before it starts a background unit that would delay all of them.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::lane::Lane;

/// A task or bulk unit yields to callers for at most this time (chosen).
const MAX_WAIT: Duration = Duration::from_millis(100);
/// How long the writer waits for another caller in a burst (chosen).
const BURST_WAIT: Duration = Duration::from_millis(2);
/// This many callers within [`BURST_WINDOW`] are a burst (chosen).
const BURST_SIZE: usize = 4;
const BURST_WINDOW: Duration = Duration::from_millis(10);

/// The units that wait for the writer.
pub(crate) struct Queue<M> {
    lanes: Mutex<Lanes<M>>,
    arrived: Condvar,
}

struct Lanes<M> {
    callers: VecDeque<M>,
    tasks: VecDeque<(Instant, M)>,
    bulk: VecDeque<(Instant, M)>,
    /// When the last callers were taken, at most [`BURST_SIZE`] of them.
    taken: VecDeque<Instant>,
    closed: bool,
}

impl<M> std::fmt::Debug for Queue<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lanes = self.lanes();
        let (callers, tasks, bulk) = (lanes.callers.len(), lanes.tasks.len(), lanes.bulk.len());
        write!(f, "Queue({callers} callers, {tasks} tasks, {bulk} bulk)")
    }
}

impl<M> Default for Queue<M> {
    fn default() -> Self {
        let lanes = Lanes {
            callers: VecDeque::new(),
            tasks: VecDeque::new(),
            bulk: VecDeque::new(),
            taken: VecDeque::with_capacity(BURST_SIZE),
            closed: false,
        };
        Self { lanes: Mutex::new(lanes), arrived: Condvar::new() }
    }
}

impl<M> Queue<M> {
    /// Adds a unit; returns false if the queue is closed.
    pub(crate) fn push(&self, lane: Lane, unit: M) -> bool {
        {
            let mut lanes = self.lanes();
            if lanes.closed {
                return false;
            }
            match lane {
                Lane::Caller => lanes.callers.push_back(unit),
                Lane::Task => lanes.tasks.push_back((Instant::now(), unit)),
                Lane::Bulk => lanes.bulk.push_back((Instant::now(), unit)),
            }
        }
        self.arrived.notify_one();
        true
    }

    /// Waits for the first unit of the next group; `None` once the queue is closed and empty.
    pub(crate) fn first(&self) -> Option<(M, Lane)> {
        let mut lanes = self.lanes();
        let began = Instant::now();
        loop {
            let now = Instant::now();
            if let Some(unit) = lanes.overdue(now).or_else(|| lanes.pop_caller(now)) {
                return Some(unit);
            }
            let rest = BURST_WAIT.saturating_sub(now.duration_since(began));
            if lanes.is_burst(now) && !rest.is_zero() && !lanes.closed {
                let waited = self.arrived.wait_timeout(lanes, rest);
                lanes = waited.unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            if let Some(unit) = lanes.pop_task().or_else(|| lanes.pop_bulk()) {
                return Some(unit);
            }
            if lanes.closed {
                return None;
            }
            lanes = self.arrived.wait(lanes).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next waiting unit that may join a group begun by this lane, if any: callers join callers and tasks, tasks join
    /// tasks, and a bulk unit has a group of its own.
    pub(crate) fn next(&self, lane: Lane) -> Option<(M, Lane)> {
        let mut lanes = self.lanes();
        let now = Instant::now();
        match lane {
            Lane::Caller => lanes.pop_caller(now),
            Lane::Task => lanes.pop_caller(now).or_else(|| lanes.pop_task()),
            Lane::Bulk => None,
        }
    }

    /// Refuses further units. Waiting units still run.
    pub(crate) fn close(&self) {
        self.lanes().closed = true;
        self.arrived.notify_all();
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes<M>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M> Lanes<M> {
    /// The oldest task or bulk unit, if it has waited for [`MAX_WAIT`].
    fn overdue(&mut self, now: Instant) -> Option<(M, Lane)> {
        let since = |lane: &VecDeque<(Instant, M)>| lane.front().map(|(at, _)| *at);
        let oldest = [since(&self.tasks), since(&self.bulk)].into_iter().flatten().min()?;
        if now.duration_since(oldest) < MAX_WAIT {
            return None;
        }
        if since(&self.tasks) == Some(oldest) { self.pop_task() } else { self.pop_bulk() }
    }

    fn is_burst(&self, now: Instant) -> bool {
        self.taken.len() == BURST_SIZE
            && self.taken.front().is_some_and(|at| now.duration_since(*at) < BURST_WINDOW)
    }

    fn pop_caller(&mut self, now: Instant) -> Option<(M, Lane)> {
        let unit = self.callers.pop_front()?;
        if self.taken.len() == BURST_SIZE {
            self.taken.pop_front();
        }
        self.taken.push_back(now);
        Some((unit, Lane::Caller))
    }

    fn pop_task(&mut self) -> Option<(M, Lane)> {
        self.tasks.pop_front().map(|(_, unit)| (unit, Lane::Task))
    }

    fn pop_bulk(&mut self) -> Option<(M, Lane)> {
        self.bulk.pop_front().map(|(_, unit)| (unit, Lane::Bulk))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(queue: &Queue<&'static str>) -> Vec<&'static str> {
        queue.close();
        std::iter::from_fn(|| queue.first()).map(|(unit, _)| unit).collect()
    }

    #[test]
    fn callers_run_before_tasks_and_tasks_before_bulk() {
        let queue = Queue::default();
        for (lane, unit) in
            [(Lane::Bulk, "bulk"), (Lane::Task, "task"), (Lane::Caller, "one"), (Lane::Caller, "two")]
        {
            assert!(queue.push(lane, unit));
        }
        assert_eq!(order(&queue), ["one", "two", "task", "bulk"]);
        assert!(!queue.push(Lane::Caller, "late"));
    }

    #[test]
    fn overdue_units_run_before_callers_oldest_first() {
        let queue = Queue::default();
        let long_ago = Instant::now().checked_sub(2 * MAX_WAIT).unwrap();
        queue.lanes().bulk.push_back((long_ago, "bulk"));
        queue.lanes().tasks.push_back((long_ago + MAX_WAIT / 2, "task"));
        queue.push(Lane::Task, "young task");
        queue.push(Lane::Caller, "caller");
        assert_eq!(order(&queue), ["bulk", "task", "caller", "young task"]);
    }

    #[test]
    fn in_a_burst_a_task_yields_to_the_next_caller_and_then_runs() {
        let queue = Queue::default();
        for _ in 0..BURST_SIZE {
            queue.push(Lane::Caller, "caller");
            assert_eq!(queue.first(), Some(("caller", Lane::Caller)));
        }
        queue.push(Lane::Task, "task");
        assert!(queue.lanes().is_burst(Instant::now()));
        assert_eq!(queue.first(), Some(("task", Lane::Task)), "no caller came");
        assert!(!queue.lanes().is_burst(Instant::now() + BURST_WINDOW), "a burst ends");
    }

    #[test]
    fn callers_join_caller_and_task_groups_tasks_join_tasks_and_bulk_joins_none() {
        let queue = Queue::default();
        queue.push(Lane::Task, "task");
        assert_eq!(queue.next(Lane::Caller), None);
        assert_eq!(queue.next(Lane::Bulk), None);
        queue.push(Lane::Caller, "caller");
        assert_eq!(queue.next(Lane::Task), Some(("caller", Lane::Caller)));
        assert_eq!(queue.next(Lane::Task), Some(("task", Lane::Task)));
        queue.push(Lane::Bulk, "bulk");
        assert_eq!(queue.next(Lane::Task), None);
    }
}
