//! Converts spans of `tracing` to spans of OpenTelemetry.
//!
//! Our spans carry their own trace context in fields (`trace.at`, `trace.parent`), because it goes into rows and headers before a
//! span is exported. So this is not a general bridge: it takes spans of [`TARGET`] only.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::SystemTime;

use engine::Traceparent;
use engine::ports::{Clock as _, SystemClock};
use engine::spans::TARGET;
use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::export::Exporter;

/// Receives the spans of traces.
#[derive(Debug)]
pub(super) struct SpanLayer {
    exporter: Arc<Exporter>,
    clock: SystemClock,
    scope: InstrumentationScope,
}

impl SpanLayer {
    pub(super) fn new(exporter: Arc<Exporter>) -> Self {
        let scope = InstrumentationScope::builder("bos").with_version(env!("CARGO_PKG_VERSION")).build();
        Self { exporter, clock: SystemClock::default(), scope }
    }

    fn now(&self) -> SystemTime {
        self.clock.now().into()
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for SpanLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().target() != TARGET {
            return;
        }
        let mut open = Open { began: self.now(), ..Open::default() };
        attributes.record(&mut open);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(open);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            values.record(open);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(open) = span.extensions_mut().remove::<Open>() else { return };
        if let Some(span) = open.end(self.now(), &self.scope) {
            self.exporter.take(span);
        }
    }
}

/// A span that has not ended.
#[derive(Debug)]
struct Open {
    began: SystemTime,
    at: Option<Traceparent>,
    parent: Option<Traceparent>,
    kind: SpanKind,
    name: String,
    links: Vec<Link>,
    status: Status,
    attributes: Vec<KeyValue>,
}

impl Default for Open {
    fn default() -> Self {
        Self {
            began: SystemTime::UNIX_EPOCH,
            at: None,
            parent: None,
            kind: SpanKind::Internal,
            name: String::new(),
            links: Vec::new(),
            status: Status::Unset,
            attributes: Vec::new(),
        }
    }
}

impl Open {
    fn end(self, ended: SystemTime, scope: &InstrumentationScope) -> Option<SpanData> {
        let parent = self.parent;
        let mut links = SpanLinks::default();
        links.links = self.links;
        Some(SpanData {
            span_context: context(self.at?, false),
            parent_span_id: parent.map_or(SpanId::INVALID, span_id),
            // The parent of a server or consumer span is in another process.
            parent_span_is_remote: parent.is_some()
                && matches!(self.kind, SpanKind::Server | SpanKind::Consumer),
            span_kind: self.kind,
            name: self.name.into(),
            start_time: self.began,
            // The wall clock may have been set back meanwhile.
            end_time: ended.max(self.began),
            attributes: self.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links,
            status: self.status,
            instrumentation_scope: scope.clone(),
        })
    }

    fn text(&mut self, field: &str, text: &str) {
        match field {
            "trace.at" => self.at = text.parse().ok(),
            "trace.parent" => self.parent = text.parse().ok(),
            "trace.name" => text.clone_into(&mut self.name),
            "trace.kind" => {
                self.kind = match text {
                    "server" => SpanKind::Server,
                    "client" => SpanKind::Client,
                    "producer" => SpanKind::Producer,
                    "consumer" => SpanKind::Consumer,
                    _ => SpanKind::Internal,
                }
            }
            "trace.links" => {
                let places = text.split(' ').filter_map(|place| place.parse().ok());
                self.links = places.map(|place| Link::with_context(context(place, true))).collect();
            }
            "trace.error" => {
                self.status = Status::error("");
                self.attribute("error.type", text.to_owned());
            }
            _ => self.attribute(field, text.to_owned()),
        }
    }

    /// Sets an attribute; the last value of a field wins.
    fn attribute(&mut self, field: &str, value: impl Into<Value>) {
        let value = value.into();
        match self.attributes.iter_mut().find(|known| known.key.as_str() == field) {
            Some(known) => known.value = value,
            None => self.attributes.push(KeyValue::new(field.to_owned(), value)),
        }
    }
}

impl Visit for Open {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(field.name(), &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.attribute(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.attribute(field.name(), i64::try_from(value).unwrap_or(i64::MAX));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.attribute(field.name(), value);
    }
}

fn span_id(place: Traceparent) -> SpanId {
    SpanId::from_bytes(place.span().get().to_be_bytes())
}

fn context(place: Traceparent, is_remote: bool) -> SpanContext {
    SpanContext::new(
        TraceId::from_bytes(place.trace().get().to_be_bytes()),
        span_id(place),
        TraceFlags::default().with_sampled(place.is_sampled()),
        is_remote,
        TraceState::NONE,
    )
}
