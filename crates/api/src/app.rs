//! What the handlers share.

use std::sync::Arc;

use axum::extract::FromRef;
use chrono::{DateTime, Utc};
use companions::ContentService;
use engine::Engine;
use engine::ports::Broker;
use telemetry::{Metrics, Tasks};
use tokio_util::sync::CancellationToken;

use super::body::Bodies;
use super::status::Cache;
use super::submission::{Bounds, Fixed};
use crate::metrics;
use crate::settings::ApiSettings;

/// The handlers' state; clones share it.
#[derive(Clone)]
pub struct App {
    shared: Arc<Shared>,
    /// Behind a pointer of its own: the state is cloned several times for each request.
    around: Arc<Around>,
}

/// What the process has around the handlers.
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
    statuses: Cache,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("App")
    }
}

impl App {
    /// The state of one server; `content` is the Content Service that it offers, if it does.
    pub fn new(
        settings: ApiSettings,
        engine: Arc<Engine>,
        content: Option<Arc<ContentService>>,
        tasks: Tasks,
    ) -> Self {
        let bodies = Bodies::new(settings.bodies);
        let shared = Shared { settings, engine, content, tasks, bodies, statuses: Cache::default() };
        Self { shared: Arc::new(shared), around: Arc::default() }
    }

    /// With the figures that `/metrics` shows; without, it shows none.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        metrics::describe();
        Arc::make_mut(&mut self.around).metrics = Some(metrics);
        self
    }

    /// With the event bus, which readiness asks how it is.
    #[must_use]
    pub fn with_bus(mut self, bus: Arc<dyn Broker>) -> Self {
        Arc::make_mut(&mut self.around).bus = Some(bus);
        self
    }

    /// With the signal on which requests that wait for a change are answered at once.
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

    /// Why the event bus cannot be used just now, and since when, as far as that is known.
    pub(crate) fn bus_trouble(&self) -> Option<(&'static str, Option<DateTime<Utc>>)> {
        let met = self.engine().bus_outage();
        let since = met.map(|trouble| trouble.since);
        // Who holds the connections knows more than who waits for an answer in vain.
        let known = self.around.bus.as_ref().and_then(|bus| bus.outage());
        known.or_else(|| met.map(|trouble| trouble.code)).map(|code| (code, since))
    }

    pub(crate) fn bodies(&self) -> &Bodies {
        &self.shared.bodies
    }

    pub(crate) fn statuses(&self) -> &Cache {
        &self.shared.statuses
    }

    /// What a batch may hold.
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

    /// What is settled for every batch.
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
