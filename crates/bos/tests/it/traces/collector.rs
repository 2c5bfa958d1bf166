//! A collector that receives spans by OTLP over HTTP and keeps them.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;
use tokio::net::TcpListener;

use telemetry::Tasks;

/// The spans received, and the headers of the last request.
#[derive(Default)]
struct Kept {
    spans: Vec<Span>,
    resource: Option<Resource>,
    headers: HeaderMap,
}

pub(crate) struct Collector {
    pub(crate) endpoint: String,
    kept: Arc<Mutex<Kept>>,
    _tasks: Tasks,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let kept = Arc::<Mutex<Kept>>::default();
        let into = Arc::clone(&kept);
        let take = async move |headers: HeaderMap, body: Bytes| {
            assert_eq!(headers[header::CONTENT_TYPE], "application/x-protobuf");
            let request = ExportTraceServiceRequest::decode(body).unwrap();
            let mut kept = into.lock().unwrap();
            kept.headers = headers;
            for of_resource in request.resource_spans {
                kept.resource = of_resource.resource;
                kept.spans.extend(of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
            }
        };
        let tasks = Tasks::new();
        tasks.spawn("collector", async {
            axum::serve(listener, Router::new().route("/v1/traces", post(take))).await.unwrap();
        });
        Self { endpoint, kept, _tasks: tasks }
    }

    pub(crate) fn header(&self, name: &str) -> String {
        self.kept.lock().unwrap().headers.get(name).unwrap().to_str().unwrap().to_owned()
    }

    pub(crate) fn service(&self) -> String {
        let kept = self.kept.lock().unwrap();
        text(&kept.resource.as_ref().unwrap().attributes, "service.name").unwrap()
    }

    pub(crate) fn spans(&self) -> Spans {
        Spans(self.kept.lock().unwrap().spans.clone())
    }
}

/// Spans that were received, with queries.
pub(crate) struct Spans(pub(crate) Vec<Span>);

impl Spans {
    /// The decision with which a batch completed successfully.
    pub(crate) fn last_result(&self) -> &Span {
        let ends = |span: &&Span| {
            text(&span.attributes, "batch.status").as_deref() == Some("completed_successfully")
        };
        self.0.iter().find(ends).expect("the last result")
    }

    /// The spans of one trace.
    pub(crate) fn of_trace(&self, trace: &str) -> Self {
        Self(self.0.iter().filter(|span| hex(&span.trace_id) == trace).cloned().collect())
    }

    /// The spans with the attribute `batch.id` of this batch.
    pub(crate) fn of_batch(&self, batch: &str) -> Self {
        let about = |span: &&Span| text(&span.attributes, "batch.id").as_deref() == Some(batch);
        Self(self.0.iter().filter(about).cloned().collect())
    }

    pub(crate) fn named(&self, name: &str) -> Vec<&Span> {
        self.0.iter().filter(|span| span.name == name).collect()
    }

    #[track_caller]
    pub(crate) fn only(&self, name: &str) -> &Span {
        let [span] = self.named(name)[..] else { panic!("not one {name} in {:?}", self.names()) };
        span
    }

    pub(crate) fn of_kind(&self, kind: SpanKind) -> impl Iterator<Item = &Span> {
        self.0.iter().filter(move |span| span.kind() == kind)
    }

    pub(crate) fn parent(&self, span: &Span) -> Option<&Span> {
        self.0.iter().find(|other| other.span_id == span.parent_span_id)
    }

    /// The names of the span and its ancestors, the first ancestor first.
    pub(crate) fn road(&self, span: &Span) -> Vec<&str> {
        let mut road: Vec<&str> =
            std::iter::successors(self.0.iter().find(|own| own.span_id == span.span_id), |span| {
                self.parent(span)
            })
            .map(|span| span.name.as_str())
            .collect();
        road.reverse();
        road
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.0.iter().map(|span| span.name.as_str()).collect()
    }

    /// Asserts that no span was sent twice.
    #[track_caller]
    pub(crate) fn are_different(&self) {
        let ids: HashSet<_> = self.0.iter().map(|span| &span.span_id).collect();
        assert_eq!(ids.len(), self.0.len());
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// The value of a text attribute.
pub(crate) fn text(attributes: &[KeyValue], name: &str) -> Option<String> {
    let value = attributes.iter().find(|attribute| attribute.key == name)?.value.clone()?.value?;
    if let Value::StringValue(text) = value { Some(text) } else { None }
}
