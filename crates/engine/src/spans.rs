//! The spans of a batch's trace, as far as they are the engine's: what arrived, what was decided, what was sent.
//!
//! They are spans of `tracing` under a target of their own ([`TARGET`]), which nobody listens to unless traces are exported: then
//! a call here costs one comparison. Each carries its own place in the trace ([`Traceparent`]) as a field, because the place must
//! be known in the middle of a transaction, where it goes into the headers of what is sent. They are never entered, so that they
//! say nothing in the log, and they end when they are dropped: with the COMMIT, where they belong to a unit.

use domain::{Batch, BatchId};
use tracing::Level;

use crate::ports::{Placed, Record, SendError};
use crate::{Cause, News, Origin, Traceparent};

/// The target of spans that belong to a trace and to no log.
pub const TARGET: &str = "trace";

/// Links of one span, at most.
const LINKS: usize = 32;

/// A span that ends when it is dropped.
#[derive(Debug)]
pub struct Span {
    at: Traceparent,
    span: tracing::Span,
}

impl Span {
    /// A span of `tracing` that [`trace_span!`](crate::trace_span) has made, at this place.
    pub const fn new(at: Traceparent, span: tracing::Span) -> Self {
        Self { at, span }
    }

    /// Where it is.
    pub const fn at(&self) -> Traceparent {
        self.at
    }

    /// Says something about it that was left open.
    pub fn record(&self, field: &'static str, value: impl tracing::Value) {
        self.span.record(field, value);
    }

    /// It went wrong, for this reason.
    pub fn fail(&self, code: &str) {
        self.span.record("trace.error", code);
    }
}

/// Whether anybody listens.
pub fn are_on() -> bool {
    tracing::span_enabled!(target: TARGET, Level::INFO)
}

/// A place for a span under this one; none when nobody listens or the trace is not kept.
pub fn below(parent: Option<Traceparent>) -> Option<Traceparent> {
    parent.filter(|parent| parent.is_sampled() && are_on())?.child()
}

/// Makes a span at a place: `trace_span!(at, parent, kind, name; field = value, …)`. The parent may be none; the kind is
/// `server`, `client`, `producer`, `consumer` or `internal`.
#[macro_export]
macro_rules! trace_span {
    ($at:expr, $parent:expr, $kind:literal, $name:expr; $($fields:tt)*) => {
        $crate::spans::Span::new($at, ::tracing::info_span!(
            target: $crate::spans::TARGET,
            parent: None,
            "span",
            trace.at = %$at,
            trace.parent = $parent.map(::tracing::field::display),
            trace.kind = $kind,
            trace.name = $name,
            trace.error = ::tracing::field::Empty,
            $($fields)*
        ))
    };
}

/// What became of news on its way into a batch: where what follows from it belongs, and the spans to be ended with the COMMIT.
#[derive(Debug, Default)]
pub(crate) struct Arrival {
    /// Where what follows from it belongs.
    pub(crate) at: Option<Traceparent>,
    /// As it came by the bus.
    _message: Option<Span>,
    decision: Option<Span>,
}

impl Arrival {
    /// News of these causes comes to a batch whose own place is `home`. Without one, the batch follows whoever brings news.
    ///
    /// The news of a neighbour that hands the trace on is a child of the neighbour's message; of any other, of the batch's own
    /// place. A caller's later request is a trace of its own, which the decision links to.
    pub(crate) fn of(
        home: Option<Traceparent>,
        batch: &Batch,
        news: &News,
        causes: &[&Cause],
        system: &'static str,
    ) -> Self {
        let mut brought = causes.iter().filter_map(|cause| cause.trace);
        let Some(home) = home.or_else(|| brought.next()) else { return Self::default() };
        if !home.is_sampled() || !are_on() {
            return Self { at: Some(home), ..Self::default() };
        }
        let brought: Vec<Traceparent> = causes.iter().filter_map(|cause| cause.trace).collect();
        let parent = brought.iter().copied().find(|place| place.trace() == home.trace()).unwrap_or(home);
        let links = links(parent, &brought);
        let message =
            causes.iter().find_map(|cause| message(parent, &links, batch.id, cause, causes.len(), system));
        let links = if message.is_some() { String::new() } else { links };
        let parent = message.as_ref().map_or(parent, Span::at);
        let decision = decision(parent, &links, batch, news);
        Self { at: Some(decision.as_ref().map_or(parent, Span::at)), _message: message, decision }
    }

    /// A batch is handed in by a request at this place.
    pub(crate) fn of_batch(requested: Option<Traceparent>, batch: &Batch) -> Self {
        let decision = below(requested).map(|at| {
            crate::trace_span!(at, requested, "internal", "decide accepted";
                batch.id = %batch.id,
                correlation.id = %batch.correlation_id.as_uuid(),
                essays = batch.total,
                outcome = "applied",
                batch.revision = 1_i64)
        });
        Self { at: decision.as_ref().map(Span::at).or(requested), _message: None, decision }
    }

    /// Says what was decided.
    pub(crate) fn decided(&self, outcome: &'static str, after: &Batch) {
        let Some(decision) = &self.decision else { return };
        decision.record("outcome", outcome);
        decision.record("batch.status", after.status().as_str());
        if let Some((phase, attempt)) = after.current() {
            decision.record("phase", phase.as_str());
            decision.record("attempt", attempt);
        }
    }

    /// What is put on the bus within this unit.
    pub(crate) fn sending(&self, batch: BatchId, system: &'static str) -> Option<Span> {
        let at = below(self.at)?;
        Some(crate::trace_span!(at, self.at, "producer", tracing::field::Empty;
            messaging.system = system,
            messaging.operation.type = "send",
            messaging.operation.name = "send",
            messaging.destination.name = tracing::field::Empty,
            messaging.batch.message_count = tracing::field::Empty,
            batch.id = %batch))
    }
}

fn decision(parent: Traceparent, links: &str, batch: &Batch, news: &News) -> Option<Span> {
    let at = parent.child()?;
    let name = format!("decide {}", news.kind());
    Some(crate::trace_span!(at, Some(parent), "internal", name;
        trace.links = links,
        batch.id = %batch.id,
        correlation.id = %batch.correlation_id.as_uuid(),
        essays = news.essays(),
        outcome = tracing::field::Empty,
        batch.revision = batch.revision + 1,
        batch.status = tracing::field::Empty,
        phase = tracing::field::Empty,
        attempt = tracing::field::Empty))
}

fn message(
    parent: Traceparent,
    links: &str,
    batch: BatchId,
    cause: &Cause,
    messages: usize,
    system: &'static str,
) -> Option<Span> {
    let Origin::Bus(message) = &cause.origin else { return None };
    let at = parent.child()?;
    let name = format!("process {}", message.topic);
    Some(crate::trace_span!(at, Some(parent), "consumer", name;
        trace.links = links,
        messaging.system = system,
        messaging.operation.type = "process",
        messaging.operation.name = "process",
        messaging.destination.name = message.topic,
        messaging.destination.partition.id = message.partition,
        messaging.kafka.offset = message.offset,
        messaging.consumer.group.name = crate::consumer::CONSUMER,
        messaging.batch.message_count = messages,
        event.id = %message.event_id,
        batch.id = %batch))
}

/// Texts of a batch are on their way to the Content Service.
pub(crate) fn storing(home: Option<Traceparent>, batch: BatchId, essays: usize) -> Option<Span> {
    let at = below(home)?;
    Some(crate::trace_span!(at, home, "internal", "store texts"; batch.id = %batch, essays = essays))
}

/// A record is on its way to the bus: under the place that it carries, whose stead the span's takes.
pub(crate) fn sent(record: &mut Record) -> Option<Span> {
    let carried = record
        .headers
        .iter_mut()
        .find(|(header, _)| header == Traceparent::HEADER)
        .map(|(_, place)| place)?;
    let parent = carried.parse().ok();
    let at = below(parent)?;
    *carried = at.to_string();
    Some(crate::trace_span!(at, parent, "producer", format!("send {}", record.topic);
        messaging.system = KAFKA,
        messaging.operation.type = "send",
        messaging.operation.name = "send",
        messaging.destination.name = record.topic.as_str(),
        messaging.destination.partition.id = tracing::field::Empty,
        messaging.kafka.message.key = record.key.as_str(),
        messaging.kafka.offset = tracing::field::Empty,
        event.id = %record.event_id))
}

/// Says what the bus answered.
pub(crate) fn landed(span: &Span, outcome: Result<Placed, SendError>) {
    match outcome {
        Ok(Placed { partition, offset }) => {
            span.record("messaging.destination.partition.id", partition);
            span.record("messaging.kafka.offset", offset);
        }
        Err(SendError::Unavailable { code } | SendError::Refused { code } | SendError::Failed { code }) => {
            span.fail(code);
        }
    }
}

/// Says what was put on the bus.
pub(crate) fn put(span: &Span, topic: &str, messages: usize) {
    span.record("trace.name", format!("send {topic}").as_str());
    span.record("messaging.destination.name", topic);
    span.record("messaging.batch.message_count", messages);
}

/// The messaging system's name, for a bus that is beyond the relay and for one that is in our own database.
pub(crate) const fn system(on_bus: bool) -> &'static str {
    if on_bus { "bos_log" } else { KAFKA }
}

const KAFKA: &str = "kafka";

/// The other places, each once.
fn links(parent: Traceparent, places: &[Traceparent]) -> String {
    let mut linked: Vec<Traceparent> = Vec::new();
    for place in places {
        if *place != parent && !linked.contains(place) {
            linked.push(*place);
        }
        if linked.len() == LINKS {
            break;
        }
    }
    linked.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
