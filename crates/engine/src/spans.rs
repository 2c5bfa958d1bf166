//! The engine's spans in the trace of a batch: messages processed, decisions made, messages sent.
//!
//! They are spans of `tracing` under a target of their own ([`TARGET`]). The target is disabled unless traces are exported, and a
//! call then costs one comparison. Each span carries its trace context ([`Traceparent`]) as a field, because the context must be
//! known within a transaction, which writes it into the headers of outgoing messages. Spans are never entered, so that log lines
//! do not carry them. They end when they are dropped; spans of a unit are dropped after its COMMIT.

use domain::{Batch, BatchId};
use tracing::Level;

use crate::news::{CONSUMER, Cause, News, Origin};
use crate::ports::{Record, RecordPosition, SendError};
use crate::traceparent::Traceparent;

/// The `tracing` target of spans that are exported as traces and do not appear in the log.
pub const TARGET: &str = "trace";

/// The most links of one span.
const LINKS: usize = 32;

/// A span that ends when it is dropped.
#[derive(Debug)]
pub struct Span {
    context: Traceparent,
    span: tracing::Span,
}

impl Span {
    /// Wraps a span of `tracing` that [`trace_span!`](crate::trace_span) has made, with its trace context.
    pub const fn new(context: Traceparent, span: tracing::Span) -> Self {
        Self { context, span }
    }

    /// The trace context of the span.
    pub const fn context(&self) -> Traceparent {
        self.context
    }

    /// Records a field that was left empty when the span was made.
    pub fn record(&self, field: &'static str, value: impl tracing::Value) {
        self.span.record(field, value);
    }

    /// Marks the span as failed with this code.
    pub fn record_error(&self, code: &str) {
        self.span.record("trace.error", code);
    }
}

/// Whether spans are enabled, that is, whether traces are exported.
pub fn is_enabled() -> bool {
    tracing::span_enabled!(target: TARGET, Level::INFO)
}

/// A trace context for a new child span of `parent`; `None` when spans are disabled or the trace is not sampled.
pub fn child_of(parent: Option<Traceparent>) -> Option<Traceparent> {
    parent.filter(|parent| parent.is_sampled() && is_enabled())?.child()
}

/// Makes a [`Span`]: `trace_span!(context, parent, kind, name; field = value, …)`.
///
/// `context` is the span's own trace context, `parent` an `Option` of its parent's. The kind is `server`, `client`, `producer`,
/// `consumer` or `internal`.
#[macro_export]
macro_rules! trace_span {
    ($context:expr, $parent:expr, $kind:literal, $name:expr; $($fields:tt)*) => {
        $crate::spans::Span::new($context, ::tracing::info_span!(
            target: $crate::spans::TARGET,
            parent: None,
            "span",
            trace.at = %$context,
            trace.parent = $parent.map(::tracing::field::display),
            trace.kind = $kind,
            trace.name = $name,
            trace.error = ::tracing::field::Empty,
            $($fields)*
        ))
    };
}

/// The spans of one piece of news that is applied to a batch, and the trace context for what follows from it.
#[derive(Debug, Default)]
pub(crate) struct NewsSpans {
    /// The trace context of messages that the decision sends.
    pub(crate) context: Option<Traceparent>,
    /// The span of the consumed message.
    _message: Option<Span>,
    decision: Option<Span>,
}

impl NewsSpans {
    /// Starts the spans of news with these causes. `of_batch` is the batch's own trace context; a batch without one takes that of
    /// the first cause.
    ///
    /// The parent is the context of a cause in the same trace, so that the news of a service that passes the trace on is a child
    /// of that service's span. Otherwise the parent is the batch's own context, and the decision links to the contexts of the
    /// causes, for example to the trace of a caller's later request.
    pub(crate) fn new(
        of_batch: Option<Traceparent>,
        batch: &Batch,
        news: &News,
        causes: &[&Cause],
        system: &'static str,
    ) -> Self {
        let mut contexts = causes.iter().filter_map(|cause| cause.trace);
        let Some(of_batch) = of_batch.or_else(|| contexts.next()) else { return Self::default() };
        if !of_batch.is_sampled() || !is_enabled() {
            return Self { context: Some(of_batch), ..Self::default() };
        }
        let contexts: Vec<Traceparent> = causes.iter().filter_map(|cause| cause.trace).collect();
        let parent =
            contexts.iter().copied().find(|context| context.trace() == of_batch.trace()).unwrap_or(of_batch);
        let links = links(parent, &contexts);
        let message = causes
            .iter()
            .find_map(|cause| message_span(parent, &links, batch.id, cause, causes.len(), system));
        let links = if message.is_some() { String::new() } else { links };
        let parent = message.as_ref().map_or(parent, Span::context);
        let decision = decision_span(parent, &links, batch, news);
        let context = Some(decision.as_ref().map_or(parent, Span::context));
        Self { context, _message: message, decision }
    }

    /// Starts the span of a new batch, as a child of the request's span.
    pub(crate) fn for_new_batch(request: Option<Traceparent>, batch: &Batch) -> Self {
        let decision = child_of(request).map(|context| {
            crate::trace_span!(context, request, "internal", "decide accepted";
                batch.id = %batch.id,
                correlation.id = %batch.correlation_id.as_uuid(),
                essays = batch.total,
                outcome = "applied",
                batch.revision = 1_i64)
        });
        Self { context: decision.as_ref().map(Span::context).or(request), _message: None, decision }
    }

    /// Records the outcome, and the batch's state after it.
    pub(crate) fn record_outcome(&self, outcome: &'static str, after: &Batch) {
        let Some(decision) = &self.decision else { return };
        decision.record("outcome", outcome);
        decision.record("batch.status", after.status().as_str());
        if let Some((phase, attempt)) = after.current() {
            decision.record("phase", phase.as_str());
            decision.record("attempt", attempt);
        }
    }

    /// Starts the span of messages that the unit itself puts on the embedded bus.
    pub(crate) fn send_span(&self, batch: BatchId, system: &'static str) -> Option<Span> {
        let context = child_of(self.context)?;
        Some(crate::trace_span!(context, self.context, "producer", tracing::field::Empty;
            messaging.system = system,
            messaging.operation.type = "send",
            messaging.operation.name = "send",
            messaging.destination.name = tracing::field::Empty,
            messaging.batch.message_count = tracing::field::Empty,
            batch.id = %batch))
    }
}

fn decision_span(parent: Traceparent, links: &str, batch: &Batch, news: &News) -> Option<Span> {
    let context = parent.child()?;
    let name = format!("decide {}", news.kind());
    Some(crate::trace_span!(context, Some(parent), "internal", name;
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

fn message_span(
    parent: Traceparent,
    links: &str,
    batch: BatchId,
    cause: &Cause,
    messages: usize,
    system: &'static str,
) -> Option<Span> {
    let Origin::Bus(message) = &cause.origin else { return None };
    let context = parent.child()?;
    let name = format!("process {}", message.topic);
    Some(crate::trace_span!(context, Some(parent), "consumer", name;
        trace.links = links,
        messaging.system = system,
        messaging.operation.type = "process",
        messaging.operation.name = "process",
        messaging.destination.name = message.topic,
        messaging.destination.partition.id = message.partition,
        messaging.kafka.offset = message.offset,
        messaging.consumer.group.name = CONSUMER,
        messaging.batch.message_count = messages,
        event.id = %message.event_id,
        batch.id = %batch))
}

/// Starts the span of storing texts of a batch at the Content Service.
pub(crate) fn store_span(of_batch: Option<Traceparent>, batch: BatchId, essays: usize) -> Option<Span> {
    let context = child_of(of_batch)?;
    Some(crate::trace_span!(context, of_batch, "internal", "store texts"; batch.id = %batch, essays = essays))
}

/// Starts the span of sending a record, as a child of the trace context in its header, and replaces the header by the span's
/// context.
pub(crate) fn send_span(record: &mut Record) -> Option<Span> {
    let carried = record
        .headers
        .iter_mut()
        .find(|(header, _)| header == Traceparent::HEADER)
        .map(|(_, context)| context)?;
    let parent = carried.parse().ok();
    let context = child_of(parent)?;
    *carried = context.to_string();
    Some(crate::trace_span!(context, parent, "producer", format!("send {}", record.topic);
        messaging.system = KAFKA,
        messaging.operation.type = "send",
        messaging.operation.name = "send",
        messaging.destination.name = record.topic.as_str(),
        messaging.destination.partition.id = tracing::field::Empty,
        messaging.kafka.message.key = record.key.as_str(),
        messaging.kafka.offset = tracing::field::Empty,
        event.id = %record.event_id))
}

/// Records the answer of the bus.
pub(crate) fn record_answer(span: &Span, outcome: Result<RecordPosition, SendError>) {
    match outcome {
        Ok(RecordPosition { partition, offset }) => {
            span.record("messaging.destination.partition.id", partition);
            span.record("messaging.kafka.offset", offset);
        }
        Err(SendError::Unavailable { code } | SendError::Refused { code } | SendError::Failed { code }) => {
            span.record_error(code);
        }
    }
}

/// Records which messages a unit has put on the embedded bus.
pub(crate) fn record_messages(span: &Span, topic: &str, messages: usize) {
    span.record("trace.name", format!("send {topic}").as_str());
    span.record("messaging.destination.name", topic);
    span.record("messaging.batch.message_count", messages);
}

/// The attribute `messaging.system` for the embedded bus and for Kafka.
pub(crate) const fn messaging_system(embedded_bus: bool) -> &'static str {
    if embedded_bus { "bos_log" } else { KAFKA }
}

const KAFKA: &str = "kafka";

/// The contexts other than the parent's, each once, as a list separated by spaces.
fn links(parent: Traceparent, contexts: &[Traceparent]) -> String {
    let mut linked: Vec<Traceparent> = Vec::new();
    for context in contexts {
        if *context != parent && !linked.contains(context) {
            linked.push(*context);
        }
        if linked.len() == LINKS {
            break;
        }
    }
    linked.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
