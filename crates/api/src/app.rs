//! The state that the handlers share.

use std::sync::{Arc, OnceLock};

use axum::extract::FromRef;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use companions::ContentService;
use engine::Engine;
use engine::ports::Broker;
use telemetry::{Metrics, Tasks};
use tokio_util::sync::CancellationToken;

use super::body::Bodies;
use super::callers::Counted;
use super::status::{BusAvailability, Cache};
use super::submission::{Bounds, Fixed};
use crate::metrics;
use crate::settings::ApiSettings;
use crate::shares::Shares;

/// The state of the handlers. Clones share it.
#[derive(Clone)]
pub struct App {
    shared: Arc<Shared>,
    /// Behind its own pointer, because the state is cloned several times for each request.
    around: Arc<Around>,
}

/// Optional parts of the process that handlers use.
#[derive(Clone, Default)]
struct Around {
    metrics: Option<Metrics>,
    bus: Option<Arc<dyn Broker>>,
    ending: CancellationToken,
}

struct Shared {
    settings: ApiSettings,
    engine: Arc<Engine>,
    content: Option<Arc<ContentService>>,
    tasks: Tasks,
    bodies: Bodies,
    callers: Shares<Counted>,
    statuses: Cache,
    /// Rendered at the first request for it.
    description: OnceLock<Bytes>,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("App")
    }
}

impl App {
    /// The state of one server. `content` is the embedded Content Service, where this server offers it.
    pub fn new(
        settings: ApiSettings,
        engine: Arc<Engine>,
        content: Option<Arc<ContentService>>,
        tasks: Tasks,
    ) -> Self {
        let bodies = Bodies::new(settings.bodies);
        let callers = Shares::new(settings.max_requests_per_caller);
        let shared = Shared {
            settings,
            engine,
            content,
            tasks,
            bodies,
            callers,
            statuses: Cache::default(),
            description: OnceLock::new(),
        };
        Self { shared: Arc::new(shared), around: Arc::default() }
    }

    /// Sets the metrics that `/metrics` renders. Without them, the page is empty.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        metrics::describe();
        Arc::make_mut(&mut self.around).metrics = Some(metrics);
        self
    }

    /// Sets the event bus, whose outages readiness reports.
    #[must_use]
    pub fn with_bus(mut self, bus: Arc<dyn Broker>) -> Self {
        Arc::make_mut(&mut self.around).bus = Some(bus);
        self
    }

    /// Sets the shutdown signal, on which requests that wait for a change are answered at once.
    #[must_use]
    pub fn ending_on(mut self, ending: CancellationToken) -> Self {
        Arc::make_mut(&mut self.around).ending = ending;
        self
    }

    pub(crate) fn ending(&self) -> &CancellationToken {
        &self.around.ending
    }

    pub(crate) fn settings(&self) -> &ApiSettings {
        &self.shared.settings
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.shared.engine
    }

    pub(crate) fn content(&self) -> Option<Arc<ContentService>> {
        self.shared.content.clone()
    }

    pub(crate) fn tasks(&self) -> &Tasks {
        &self.shared.tasks
    }

    pub(crate) fn metrics(&self) -> Option<&Metrics> {
        self.around.metrics.as_ref()
    }

    /// The event bus, if the process has one.
    pub(crate) fn bus(&self) -> Option<&Arc<dyn Broker>> {
        self.around.bus.as_ref()
    }

    /// The outage of the event bus, if there is one: its code, and since when, where that is known.
    pub(crate) fn bus_outage(&self) -> Option<(&'static str, Option<DateTime<Utc>>)> {
        let met = self.engine().bus_outage();
        let since = met.map(|outage| outage.since);
        // The broker's code comes first: the broker holds the connections, the engine only sees that an answer is missing.
        let known = self.around.bus.as_ref().and_then(|bus| bus.outage());
        known.or_else(|| met.map(|outage| outage.code)).map(|code| (code, since))
    }

    /// Whether the event bus is known to be available.
    pub(crate) fn bus_availability(&self) -> BusAvailability {
        self.bus_outage()
            .map_or(BusAvailability::Available, |(_, since)| BusAvailability::Unavailable { since })
    }

    pub(crate) fn bodies(&self) -> &Bodies {
        &self.shared.bodies
    }

    /// The requests in progress of each caller.
    pub(crate) fn callers(&self) -> &Shares<Counted> {
        &self.shared.callers
    }

    pub(crate) fn statuses(&self) -> &Cache {
        &self.shared.statuses
    }

    /// The place of the rendered OpenAPI description.
    pub(crate) fn description(&self) -> &OnceLock<Bytes> {
        &self.shared.description
    }

    /// The limits that submissions are checked against.
    pub(crate) fn bounds(&self) -> Bounds {
        let settings = self.settings();
        let number = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        Bounds {
            essays: number(settings.max_essays.get()),
            text: usize::try_from(settings.max_text_size.as_u64()).unwrap_or(usize::MAX),
            labels: number(settings.max_labels),
            label_key: number(settings.max_label_key.get()),
            label_value: number(settings.max_label_value.get()),
        }
    }

    /// What the installation decides for every batch: the served phases and the default language.
    pub(crate) fn fixed(&self) -> Fixed {
        let settings = self.engine().settings();
        Fixed { served: settings.rules.served, default_language: settings.default_language }
    }
}

impl FromRef<App> for Bodies {
    fn from_ref(app: &App) -> Self {
        app.bodies().clone()
    }
}
