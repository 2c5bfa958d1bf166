//! Who goes next: units wait for the writer in three lanes.
//!
//! Callers wait for their answer, the background tasks for nobody; so callers go first, and a background unit goes when no
//! caller is there or when it has waited for [`PATIENCE`]. In a rush (several callers in a few milliseconds) "no caller is
//! there" is true for moments only: those answered just now are about to ask again. Then the writer looks out for them for
//! [`LOOK_OUT`] before it begins a background unit, which all of them would have to sit through.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A background unit waits for callers no longer than this.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long the writer looks out for callers in a rush.
const LOOK_OUT: Duration = Duration::from_millis(2);
/// As many callers within [`RUSH_TIME`] are a rush.
const RUSH: usize = 4;
const RUSH_TIME: Duration = Duration::from_millis(10);

/// Which lane a unit waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Somebody waits for the answer: up to a mebibyte or so.
    Caller,
    /// A background task's step, of a few milliseconds.
    Task,
    /// A class with more than a mebibyte of texts: a group of its own, behind those that are quick.
    Bulk,
}

impl Lane {
    /// The lane of a caller's unit that stores this many bytes of texts.
    pub fn of_bytes(bytes: usize) -> Self {
        if bytes > 1 << 20 { Self::Bulk } else { Self::Caller }
    }
}

/// The units that wait for the writer.
pub(crate) struct Queue<M> {
    lanes: Mutex<Lanes<M>>,
    arrived: Condvar,
}

struct Lanes<M> {
    callers: VecDeque<M>,
    tasks: VecDeque<(Instant, M)>,
    bulk: VecDeque<(Instant, M)>,
    /// When the last callers were taken, at most [`RUSH`] of them.
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
            taken: VecDeque::with_capacity(RUSH),
            closed: false,
        };
        Self { lanes: Mutex::new(lanes), arrived: Condvar::new() }
    }
}

impl<M> Queue<M> {
    /// Lines a unit up; false when the queue is closed.
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

    /// Waits for the first unit of the next group; none once the queue is closed and empty.
    pub(crate) fn first(&self) -> Option<(M, Lane)> {
        let mut lanes = self.lanes();
        let began = Instant::now();
        loop {
            let now = Instant::now();
            if let Some(unit) = lanes.overdue(now).or_else(|| lanes.pop_caller(now)) {
                return Some(unit);
            }
            let rest = LOOK_OUT.saturating_sub(now.duration_since(began));
            if lanes.is_rush(now) && !rest.is_zero() && !lanes.closed {
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

    /// The next unit that may join a group of this lane, if one waits: callers join callers and tasks, tasks join tasks, and
    /// bulk stays alone.
    pub(crate) fn next(&self, lane: Lane) -> Option<(M, Lane)> {
        let mut lanes = self.lanes();
        let now = Instant::now();
        match lane {
            Lane::Caller => lanes.pop_caller(now),
            Lane::Task => lanes.pop_caller(now).or_else(|| lanes.pop_task()),
            Lane::Bulk => None,
        }
    }

    /// Takes no further unit; those that wait still go.
    pub(crate) fn close(&self) {
        self.lanes().closed = true;
        self.arrived.notify_all();
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes<M>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M> Lanes<M> {
    /// The unit behind the callers that has waited longest, if for too long.
    fn overdue(&mut self, now: Instant) -> Option<(M, Lane)> {
        let since = |lane: &VecDeque<(Instant, M)>| lane.front().map(|(at, _)| *at);
        let oldest = [since(&self.tasks), since(&self.bulk)].into_iter().flatten().min()?;
        if now.duration_since(oldest) < PATIENCE {
            return None;
        }
        if since(&self.tasks) == Some(oldest) { self.pop_task() } else { self.pop_bulk() }
    }

    fn is_rush(&self, now: Instant) -> bool {
        self.taken.len() == RUSH && self.taken.front().is_some_and(|at| now.duration_since(*at) < RUSH_TIME)
    }

    fn pop_caller(&mut self, now: Instant) -> Option<(M, Lane)> {
        let unit = self.callers.pop_front()?;
        if self.taken.len() == RUSH {
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
    fn callers_go_before_tasks_and_tasks_before_bulk() {
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
    fn who_has_waited_too_long_goes_before_the_callers_oldest_first() {
        let queue = Queue::default();
        let long_ago = Instant::now().checked_sub(2 * PATIENCE).unwrap();
        queue.lanes().bulk.push_back((long_ago, "bulk"));
        queue.lanes().tasks.push_back((long_ago + PATIENCE / 2, "task"));
        queue.push(Lane::Task, "young task");
        queue.push(Lane::Caller, "caller");
        assert_eq!(order(&queue), ["bulk", "task", "caller", "young task"]);
    }

    #[test]
    fn in_a_rush_a_task_lets_the_next_caller_pass_and_then_goes() {
        let queue = Queue::default();
        for _ in 0..RUSH {
            queue.push(Lane::Caller, "caller");
            assert_eq!(queue.first(), Some(("caller", Lane::Caller)));
        }
        queue.push(Lane::Task, "task");
        assert!(queue.lanes().is_rush(Instant::now()));
        assert_eq!(queue.first(), Some(("task", Lane::Task)), "nobody came");
        assert!(!queue.lanes().is_rush(Instant::now() + RUSH_TIME), "a rush ends");
    }

    #[test]
    fn callers_join_any_quick_group_tasks_join_tasks_and_bulk_stays_alone() {
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
