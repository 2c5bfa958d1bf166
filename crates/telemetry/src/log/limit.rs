//! How many lines of one kind are written in a second: a flood of requests, or of one failure, must not fill a disk.

use std::collections::HashMap;
use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::metrics::LOG_LINES_DROPPED;

/// Lines of one kind that are written in a second (chosen): a busy service loses none but those of answered requests, and a
/// flood of one kind makes about 100 MB an hour.
const LINES_PER_SECOND: u32 = 100;

/// What counts as one kind: the place in the code, and the status of an answer. Both are closed sets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    callsite: Identifier,
    status: Option<u16>,
}

/// The lines of one kind.
#[derive(Debug)]
struct Window {
    /// Seconds since the start.
    second: u64,
    /// Lines within that second.
    written: u32,
    /// Lines left out since the last report.
    left_out: u64,
    level: Level,
    message: String,
}

/// Lines of one kind that were left out.
#[derive(Debug, PartialEq, Eq)]
struct LeftOut {
    level: Level,
    message: String,
    status: Option<u16>,
    lines: u64,
}

/// Counts the lines of every kind.
#[derive(Debug)]
pub(super) struct Limit {
    began: Instant,
    kinds: Mutex<HashMap<Kind, Window>>,
}

impl Default for Limit {
    fn default() -> Self {
        Self { began: Instant::now(), kinds: Mutex::default() }
    }
}

impl Limit {
    /// Whether this event becomes a line. One that does not is counted.
    fn admits(&self, event: &Event<'_>, second: u64) -> bool {
        let mut status = Status(None);
        event.record(&mut status);
        let kind = Kind { callsite: event.metadata().callsite(), status: status.0 };
        let mut kinds = self.lock();
        let window = kinds.entry(kind).or_insert_with(|| Window {
            second,
            written: 0,
            left_out: 0,
            level: *event.metadata().level(),
            message: String::new(),
        });
        if window.second != second {
            window.second = second;
            window.written = 0;
        }
        if window.written < LINES_PER_SECOND {
            window.written += 1;
            return true;
        }
        if window.left_out == 0 {
            let mut message = Message(mem::take(&mut window.message));
            event.record(&mut message);
            window.message = message.0;
        }
        window.left_out += 1;
        false
    }

    /// Logs one line for each kind of which lines were left out since the last call.
    pub(super) fn report(&self) {
        for LeftOut { level, message, status, lines } in self.take() {
            metrics::counter!(LOG_LINES_DROPPED, "reason" => "rate").increment(lines);
            let of_level = level.as_str();
            tracing::warn!(
                of_level,
                of_message = message,
                of_status = status,
                lines,
                "left out lines of one kind"
            );
        }
    }

    fn take(&self) -> Vec<LeftOut> {
        let mut kinds = self.lock();
        let with_lines = kinds.iter_mut().filter(|(_, window)| window.left_out > 0);
        let mut left_out: Vec<LeftOut> = with_lines
            .map(|(kind, window)| LeftOut {
                level: window.level,
                message: mem::take(&mut window.message),
                status: kind.status,
                lines: mem::take(&mut window.left_out),
            })
            .collect();
        left_out.sort_by_key(|kind| std::cmp::Reverse(kind.lines));
        left_out
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Kind, Window>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A layer of the log that gets no more events than the limit admits. Other layers get every event.
///
/// It is not a filter of that layer: `event_enabled` of a filter leaves the state of `tracing_subscriber`'s filters unclear
/// for the next event (an assertion of version 0.3.23 fails in debug builds).
#[derive(Debug, Clone)]
pub(super) struct Limited<L> {
    pub(super) layer: L,
    pub(super) limit: Arc<Limit>,
}

impl<S: Subscriber, L: Layer<S>> Layer<S> for Limited<L> {
    fn on_layer(&mut self, subscriber: &mut S) {
        self.layer.on_layer(subscriber);
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.layer.on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        self.layer.on_record(id, values, context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if self.limit.admits(event, self.limit.began.elapsed().as_secs()) {
            self.layer.on_event(event, context);
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        self.layer.on_enter(id, context);
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        self.layer.on_exit(id, context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        self.layer.on_close(id, context);
    }
}

/// Reads the field `status` of an event.
struct Status(Option<u16>);

impl Visit for Status {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "status" {
            self.0 = u16::try_from(value).ok();
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

/// Reads the message of an event.
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // Writing to a string cannot fail.
            let _ = fmt::Write::write_fmt(&mut self.0, format_args!("{value:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Counted(Arc<Mutex<usize>>);

    impl<S: Subscriber> Layer<S> for Counted {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
            *self.0.lock().unwrap() += 1;
        }
    }

    fn answered(status: u16, times: usize) {
        for _ in 0..times {
            tracing::info!(status, "answered");
        }
    }

    #[test]
    fn a_flood_of_one_kind_is_cut_and_counted_and_other_kinds_are_not() {
        let limit = Arc::<Limit>::default();
        let (written, all) = (Counted::default(), Counted::default());
        let limited = Limited { layer: written.clone(), limit: Arc::clone(&limit) };
        let log = tracing_subscriber::registry().with(limited).with(all.clone());
        tracing::subscriber::with_default(log, || {
            answered(401, 1_000);
            answered(202, 10);
            tracing::error!("the disk is full");
        });
        // A second may begin in the middle.
        let written = *written.0.lock().unwrap();
        assert!((111..=211).contains(&written), "{written}");
        assert_eq!(*all.0.lock().unwrap(), 1_011, "the layer of traces gets every event");
        let lines = (1_011 - written) as u64;
        let (message, status) = ("answered".to_owned(), Some(401));
        assert_eq!(limit.take(), [LeftOut { level: Level::INFO, message, status, lines }]);
        assert_eq!(limit.take(), []);
    }
}
