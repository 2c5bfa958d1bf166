//! Tests of the API through its router, on an engine over SQLite in a folder of its own. No background task runs, so an accepted
//! batch stays as it was accepted.

mod away;
mod both_databases;
mod callers;
mod content;
mod description;
mod documents;
mod forms;
mod idempotency;
mod listing;
mod operating;
mod polling;
mod refusing;
mod starting;
mod submitting;
mod surface;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use ::api::body::BodyLimits;
use ::api::{ApiSettings, App, Auth, Origins, router};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::Response;
use bytesize::ByteSize;
use companions::{CompanionSettings, Companions};
use domain::BatchId;
use engine::ports::{Broker, Clock as _, SystemClock};
use engine::{Applied, Cause, Crash, Engine, News, Origin};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use store::{Store, StoredEssay};
use telemetry::Tasks;
use telemetry::sampling::Sampling;
use tower::ServiceExt as _;

/// One server under test.
struct Api {
    router: Router,
    engine: Arc<Engine>,
    _folder: tempfile::TempDir,
}

/// An answer with its whole body.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Api {
    async fn open() -> Self {
        Self::with(|_| {}).await
    }

    /// With an event bus whose outages the test controls.
    async fn on_bus(store: Option<Store>, bus: Arc<dyn Broker>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = store.unwrap_or_else(|| Self::database(&folder));
        Self::made(store, folder, |_| {}, Some(bus)).await
    }

    fn database(folder: &tempfile::TempDir) -> Store {
        Store::open_sqlite(&folder.path().join("bos.db"), Arc::new(|| SystemClock::default().now())).unwrap()
    }

    /// Serves spellcheck and nlp, with the default settings as changed by `change`.
    async fn with(change: impl FnOnce(&mut ApiSettings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Self::database(&folder);
        Self::of(store, folder, change).await
    }

    /// With this database.
    async fn on(store: Store) -> Self {
        Self::of(store, tempfile::tempdir().unwrap(), |_| {}).await
    }

    async fn of(store: Store, folder: tempfile::TempDir, change: impl FnOnce(&mut ApiSettings)) -> Self {
        Self::made(store, folder, change, None).await
    }

    async fn made(
        store: Store,
        folder: tempfile::TempDir,
        change: impl FnOnce(&mut ApiSettings),
        bus: Option<Arc<dyn Broker>>,
    ) -> Self {
        let mut api_settings = settings();
        change(&mut api_settings);
        let rules = domain::Settings {
            served: [domain::Phase::Spellcheck, domain::Phase::Nlp].into_iter().collect(),
            ..domain::Settings::default()
        };
        let settings = engine::Settings::with_rules(rules);
        let engine = Engine::open(store, settings, Arc::new(SystemClock::default()), None, Crash::default())
            .await
            .unwrap();
        let companions =
            Companions::open(&folder.path().join("companions.db"), CompanionSettings::default()).unwrap();
        let mut app = App::new(api_settings, Arc::clone(&engine), Some(companions.content()), Tasks::new());
        if let Some(bus) = bus {
            app = app.with_bus(bus);
        }
        Self { router: router(app), engine, _folder: folder }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response: Response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn get_with(&self, path: &str, name: &str, value: &str) -> Answer {
        self.send(Request::get(path).header(name, value).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, media_type: &str, body: impl Into<Body>) -> Answer {
        self.send(Request::post(path).header(header::CONTENT_TYPE, media_type).body(body.into()).unwrap())
            .await
    }

    async fn post_json(&self, path: &str, body: &Value) -> Answer {
        self.post(path, "application/json", body.to_string()).await
    }

    async fn post_with_key(&self, path: &str, key: &str, body: &Value) -> Answer {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", key)
            .body(Body::from(body.to_string()))
            .unwrap();
        self.send(request).await
    }

    /// Submits a batch with this number of essays; returns its id.
    async fn batch_of(&self, essays: usize) -> String {
        let answer = self.post_json("/v1/batch", &batch(essays)).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
        answer.json()["batch_id"].as_str().unwrap().to_owned()
    }

    /// Reports all texts of a batch as stored, as ingest would.
    async fn store_texts(&self, batch: &str) {
        let batch: BatchId = batch.parse().unwrap();
        let page = self.get(&format!("/v1/batch/{batch}/essays?limit=500")).await.json();
        let stored = page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|essay| StoredEssay {
                essay_id: essay["essay_id"].as_str().unwrap().parse().unwrap(),
                storage_id: "0".repeat(32).parse().unwrap(),
                size_bytes: 4,
            })
            .collect();
        self.tell(batch, News::TextsStored { stored, refused: Vec::new() }).await;
    }

    async fn tell(&self, batch: BatchId, news: News) {
        let cause = Cause { origin: Origin::Task("test"), correlation: None, trace: None };
        let applied = self.engine.apply(batch, news, cause).await.unwrap();
        assert!(matches!(applied, Applied::Changed { .. }), "{applied:?}");
    }

    /// The number of stored batches, classes and single essays.
    async fn stored(&self) -> usize {
        let mut count = 0;
        for kind in ["class", "single"] {
            let page = self.get(&format!("/v1/batch?kind={kind}&limit=500")).await.json();
            count += page["data"].as_array().unwrap().len();
        }
        count
    }
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts a problem with this status and code, and its correlation id; returns the body.
    #[track_caller]
    fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["type"], format!("/problems/{code}"));
        assert_eq!(problem["correlation_id"], self.header("x-correlation-id"));
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.ends_with(['.', '?'])), "{problem}");
        problem
    }
}

/// The default settings of the service, without authentication.
fn settings() -> ApiSettings {
    let number = |n| NonZeroU32::new(n).unwrap();
    ApiSettings {
        auth: Auth::Off,
        gateway_token: None,
        origins: Origins::default(),
        max_requests_per_caller: number(256),
        bodies: BodyLimits {
            max_size: ByteSize::mib(32),
            max_in_flight: ByteSize::mib(256),
            chunk_timeout: Duration::from_secs(10),
            min_rate: ByteSize::kib(4),
            total_timeout: Duration::from_mins(10),
        },
        max_essays: number(2_000),
        max_text_size: ByteSize::kb(200),
        max_labels: 16,
        max_label_key: number(64),
        max_label_value: number(256),
        max_staged_size: ByteSize::gib(2),
        max_outbox_rows: number(1_000_000),
        status_wait_limit: Duration::from_secs(20),
        idempotency_retention: Duration::from_hours(24),
        sampling: Sampling::default(),
    }
}

/// A valid batch.
fn batch(essays: usize) -> Value {
    let essays: Vec<Value> =
        (0..essays).map(|n| json!({"client_ref": format!("s-{n:03}"), "text": "Text"})).collect();
    json!({"name": "9B argumentative text", "course_code": "ENG5", "labels": {"class": "9B"}, "essays": essays})
}
