//! Exporting to the collector: a bounded queue, a thread of OpenTelemetry that drains it, and metrics of what was sent and dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use opentelemetry::KeyValue;
use opentelemetry_http::{HttpClient, HttpError, Request, Response, ResponseBodyTooLarge};
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, RetryPolicy, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanExporter, SpanProcessor as _,
};
use tokio::runtime::Handle;

use super::Collector;
use crate::metrics::{SPANS_DROPPED, SPANS_EXPORTED};

/// The most spans that wait for the collector; about 10 MB.
const QUEUE: usize = 8_192;
/// Spans of one request.
const AT_ONCE: usize = 512;
/// How long a span may wait for a full batch.
const DELAY: Duration = Duration::from_secs(1);
/// How long connecting to the collector, and a whole request, may take.
const CONNECT: Duration = Duration::from_secs(2);
const CALL: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read.
const ANSWER_CAP: usize = 64 << 10;

/// Why traces cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum CannotExport {
    /// The HTTP client cannot be made.
    #[error("the client of the collector cannot be made")]
    Client(#[from] reqwest::Error),
    /// OpenTelemetry refuses the settings.
    #[error("the exporter of traces cannot be made")]
    Exporter(#[from] ExporterBuildError),
}

/// Queues spans and exports them.
#[derive(Debug)]
pub(super) struct Exporter {
    processor: BatchSpanProcessor,
    waiting: Arc<AtomicUsize>,
}

impl Exporter {
    pub(super) fn start(collector: Collector) -> Result<Self, CannotExport> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .timeout(CALL)
            .user_agent(concat!("bos/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let mut otlp = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(RuntimeClient { http, runtime: Handle::current() })
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(collector.endpoint)
            .with_headers(collector.headers)
            .with_timeout(CALL)
            // No retries: during a long outage each batch would occupy the only thread.
            .with_retry_policy(RetryPolicy::disabled())
            .build()?;
        let resource = Resource::builder()
            .with_service_name(collector.service_name)
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        otlp.set_resource(&resource);
        let waiting = Arc::<AtomicUsize>::default();
        let counted = Counted { otlp, waiting: Arc::clone(&waiting), is_away: AtomicBool::new(false) };
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(AT_ONCE)
            .with_scheduled_delay(DELAY)
            .build();
        let processor = BatchSpanProcessor::builder(counted).with_batch_config(batches).build();
        Ok(Self { processor, waiting })
    }

    /// Queues a span, or drops it when too many wait. Never blocks.
    pub(super) fn take(&self, span: SpanData) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= QUEUE {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            dropped("queue_full", 1);
        } else {
            self.processor.on_end(span);
        }
    }

    /// Exports what waits, for at most `patience`.
    pub(super) fn end(&self, patience: Duration) {
        if self.processor.shutdown_with_timeout(patience).is_err() {
            let left = self.waiting.load(Ordering::Relaxed);
            tracing::warn!(spans = left, "the last spans could not be exported in time and are dropped");
        }
    }
}

/// The exporter of OpenTelemetry, with metrics, and one log line when the collector fails or recovers.
#[derive(Debug)]
struct Counted {
    otlp: opentelemetry_otlp::SpanExporter,
    waiting: Arc<AtomicUsize>,
    is_away: AtomicBool,
}

impl SpanExporter for Counted {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let outcome = self.otlp.export(batch).await;
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
        let was_away = self.is_away.swap(outcome.is_err(), Ordering::Relaxed);
        match &outcome {
            Ok(()) => {
                metrics::counter!(SPANS_EXPORTED).increment(spans as u64);
                if was_away {
                    tracing::info!("the trace collector accepts spans again");
                }
            }
            Err(error) => {
                dropped("export_failed", spans as u64);
                if !was_away {
                    tracing::warn!(%error, "the trace collector cannot be used; spans are dropped until it can");
                }
            }
        }
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.otlp.shutdown_with_timeout(timeout)
    }
}

fn dropped(reason: &'static str, spans: u64) {
    metrics::counter!(SPANS_DROPPED, "reason" => reason).increment(spans);
}

/// An HTTP client for the exporter's thread, which does not belong to the async runtime.
#[derive(Debug)]
struct RuntimeClient {
    http: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for RuntimeClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        let http = self.http.clone();
        self.runtime.spawn(async move { call(http, request).await }).await?
    }
}

async fn call(http: reqwest::Client, request: reqwest::Request) -> Result<Response<Bytes>, HttpError> {
    let answer = http.execute(request).await?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let mut body = Vec::new();
    let mut chunks = answer.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        if body.len() + chunk.len() > ANSWER_CAP {
            return Err(Box::new(ResponseBodyTooLarge::new()));
        }
        body.extend_from_slice(&chunk);
    }
    let mut response = Response::builder().status(status).body(Bytes::from(body))?;
    *response.headers_mut() = headers;
    Ok(response)
}
