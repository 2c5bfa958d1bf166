//! An embedded installation with everything in it that can be there when it is stopped.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use companions::{CompanionSettings, Companions};
use contract::Topic;
use domain::{BatchId, CorrelationId, EssayId, Phase, PhaseSet};
use engine::ports::{Broker, Clock, ContentStore, SystemClock};
use engine::{Applied, Cause, Crash, Engine, LocalBroker, News, Origin, Settings};
use serde_json::{Value, json};
use store::{EssayReport, Store};
use tempfile::TempDir;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::host::Client;
use crate::program::{PATIENCE, Server};

pub(super) struct Laptop {
    folder: TempDir,
    /// A batch that has ended, with its status and results.
    pub(super) done: String,
    pub(super) status: Value,
    pub(super) results: Vec<Value>,
    /// A batch that waits for a start request.
    pub(super) ready: String,
    /// Batches of three essays each: one with unread news, one with one reported essay, one whose command waits in the outbox, and
    /// one whose texts are staged.
    pub(super) running: Vec<String>,
    /// A request, its Idempotency-Key, and the answer to it.
    pub(super) asked: (Value, &'static str, Value),
}

fn class(name: &str, phases: &[&str]) -> Value {
    let essays: Vec<Value> = (0..3)
        .map(|n| json!({"text": format!("Essay {n} of {name}."), "client_ref": format!("s-{n}")}))
        .collect();
    json!({"name": name, "essays": essays, "phases": phases, "course_code": "ENG5", "labels": {"class": "9B"}})
}

/// Submits a batch under an Idempotency-Key; the answer.
async fn hand_in(client: &Client, batch: &Value, key: &str) -> Value {
    let answer = client.submit_under(key, batch).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    answer.body
}

fn id(answer: &Value) -> String {
    answer["batch_id"].as_str().unwrap().to_owned()
}

fn stop(mut server: Server) {
    server.terminate();
    assert!(server.ended().success());
}

impl Laptop {
    pub(super) fn folder(&self) -> String {
        self.folder.path().to_str().unwrap().to_owned()
    }

    pub(super) async fn with_everything() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::on(folder.path(), &[]);
        let client = Client::of(&server);
        let token = server.run(&["token", "create", "--user", "anna"]);
        assert_eq!(token.code, 0, "{}", token.stderr);
        let done = id(&hand_in(&client, &class("done", &["spellcheck", "nlp"]), "done").await);
        let status = client.until(&done, "completed_successfully").await;
        let results = client.lines(&format!("/v1/batch/{done}/results")).await;
        let mut waiting = Vec::new();
        for name in ["ready", "unread", "half", "unsent"] {
            let answer = hand_in(&client, &class(name, &[]), name).await;
            client.until(&id(&answer), "ready").await;
            waiting.push(answer);
        }
        stop(server);
        // Without a Content Service texts stay staged.
        let server = Server::on(folder.path(), &["content_service_url=http://127.0.0.1:1/v1/content"]);
        let staged = id(&hand_in(&Client::of(&server), &class("staged", &["spellcheck"]), "staged").await);
        stop(server);

        let [ready, unread, half, unsent] = [0, 1, 2, 3].map(|at| id(&waiting[at]));
        let asked = (class("unread", &[]), "unread", waiting[1].clone());
        at_work(folder.path(), [&unread, &half, &unsent]).await;
        Self { folder, done, status, results, ready, running: vec![unread, half, unsent, staged], asked }
    }
}

/// Brings the batches to the states of an installation that is stopped in the middle of its work.
async fn at_work(folder: &Path, [unread, half, unsent]: [&str; 3]) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let now = Arc::clone(&clock);
    let store = Store::open_sqlite(&folder.join("bos.db"), Arc::new(move || now.now())).unwrap();
    let broker = LocalBroker::open(store.clone()).await.unwrap();
    let companions = Companions::open(
        &folder.join("companions.db"),
        CompanionSettings { instant: true, ..CompanionSettings::default() },
    )
    .unwrap();

    let on_bus = engine(&store, &clock, Some(broker.clone())).await;
    start(&on_bus, unread).await;
    complete_phase_unread(&store, &broker, &companions, &clock, unread).await;
    start(&on_bus, half).await;
    report_one_essay(&on_bus, &companions, half).await;
    let off_bus = engine(&store, &clock, None).await;
    start(&off_bus, unsent).await;
    store.close().await;
}

async fn engine(store: &Store, clock: &Arc<dyn Clock>, bus: Option<LocalBroker>) -> Arc<Engine> {
    let rules = domain::Settings { served: PhaseSet::ALL, ..domain::Settings::default() };
    let settings = Settings::with_rules(rules);
    Engine::open(store.clone(), settings, Arc::clone(clock), bus, Crash::default()).await.unwrap()
}

fn batch(id: &str) -> BatchId {
    id.parse().unwrap()
}

async fn apply(engine: &Engine, id: &str, news: News) {
    let cause = Cause { origin: Origin::Task("test"), correlation: None, trace: None };
    let applied = engine.apply(batch(id), news, cause).await.unwrap();
    assert!(matches!(applied, Applied::Changed { .. }), "{applied:?}");
}

async fn start(engine: &Engine, id: &str) {
    apply(engine, id, News::StartRequested { phases: vec![Phase::Spellcheck, Phase::Nlp] }).await;
}

/// The companions complete a phase while no consumer reads their messages.
async fn complete_phase_unread(
    store: &Store,
    broker: &LocalBroker,
    companions: &Companions,
    clock: &Arc<dyn Clock>,
    id: &str,
) {
    let (end, tasks) = (CancellationToken::new(), TaskTracker::new());
    let bus: Arc<dyn Broker> = Arc::new(broker.clone());
    let content: Arc<dyn ContentStore> = companions.content();
    for (_, work) in companions.tasks(bus, content, Arc::clone(clock), &end) {
        tasks.spawn(work);
    }
    let outcome = async {
        loop {
            let read = store.read(|tx| {
                Box::pin(async move {
                    tx.read_log(0, &[Topic::BatchPhaseOutcome.as_str()], 1_000, usize::MAX).await
                })
            });
            let page: Result<_, store::Error> = read.await;
            if page.unwrap().records.iter().any(|record| record.row.key == id) {
                return;
            }
            clock.sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, outcome).await.expect("the phase has an outcome");
    end.cancel();
    tasks.close();
    tasks.wait().await;
}

/// Reports one essay, with figures that no companion gives.
async fn report_one_essay(engine: &Engine, companions: &Companions, id: &str) {
    let corrected = companions.content().put("Corrected.".into()).await.unwrap();
    let correlation: Option<CorrelationId> = None;
    let report = EssayReport {
        essay_id: EssayId::new(batch(id), 1),
        succeeded: true,
        text_storage_id: Some(corrected.parse().unwrap()),
        error_code: None,
        precision: store::Precision::Vague,
        figures: Some(r#"{"words": 42, "corrections": 1}"#.to_owned()),
    };
    let news = News::EssaysReported { phase: Phase::Spellcheck, correlation, reports: vec![report] };
    apply(engine, id, news).await;
}
