//! The service in the process of the test, as `service::run` starts it, with an external Content Service.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{ETAG, IF_NONE_MATCH};
use serde_json::{Value, json};
use service::config::{Config, Sources};
use service::run::{self, Ready, RunOptions};
use telemetry::Tasks;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::program::PATIENCE;

/// The configuration of these variables, given without their prefix.
pub(crate) fn configured(settings: &[(&str, &str)]) -> Config {
    let variable = |key: &str| format!("BATCH_ORCHESTRATOR_SERVICE_{}", key.to_uppercase());
    let environment = settings.iter().map(|(key, value)| (variable(key), (*value).to_owned()));
    Config::load(&Sources { environment: environment.collect(), ..Sources::default() }).unwrap().config
}

pub(crate) struct Service {
    address: String,
    http: reqwest::Client,
    end: CancellationToken,
    tasks: Tasks,
    _folder: TempDir,
}

impl Service {
    pub(crate) async fn start(content: String, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let own = [("data_dir", folder.path().to_str().unwrap()), ("content_service_url", &content)];
        let config = configured(&[own.as_slice(), settings].concat());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (end, tasks) = (CancellationToken::new(), Tasks::new());
        let (tell, ready) = oneshot::channel();
        let told = move |ready: Ready| tell.send(ready).unwrap();
        let service = run::run(
            config,
            listener,
            RunOptions { instant_companions: true, ..RunOptions::default() },
            end.clone(),
            Box::new(told),
        );
        tasks.spawn("service", async { service.await.unwrap() });
        let Ready { address, .. } = timeout(PATIENCE, ready).await.unwrap().unwrap();
        Self {
            address: format!("http://{address}/v1"),
            http: reqwest::Client::new(),
            end,
            tasks,
            _folder: folder,
        }
    }

    /// Submits these essays for a spellcheck; the batch's id.
    pub(crate) async fn submit(&self, essays: &[&str]) -> String {
        let essays: Vec<Value> = essays.iter().map(|text| json!({"text": text})).collect();
        self.hand_in(&json!({"essays": essays, "phases": ["spellcheck"]})).await
    }

    /// Waits for a status for which `is_so` holds; that status.
    pub(crate) async fn until(&self, batch: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let mut status = Value::Null;
        let seen = async {
            let url = format!("{}/batch/{batch}/status", self.address);
            let mut answer = self.http.get(&url).send().await.unwrap();
            loop {
                let etag = answer.headers()[ETAG].clone();
                if answer.status() == StatusCode::OK {
                    status = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
                    if is_so(&status) {
                        return;
                    }
                }
                let change = self.http.get(format!("{url}?wait=5s")).header(IF_NONE_MATCH, etag);
                answer = change.send().await.unwrap();
            }
        };
        let came = timeout(PATIENCE, seen).await.is_ok();
        assert!(came, "the status stays {status}");
        status
    }

    /// The base URL, `http://host:port`.
    pub(crate) fn base(&self) -> &str {
        self.address.trim_end_matches("/v1")
    }

    /// Gets the JSON document at a path.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.http.get(format!("{}{path}", self.base())).send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    /// Gets the JSON lines at a path.
    #[cfg(feature = "kafka")]
    pub(crate) async fn lines(&self, path: &str) -> Vec<Value> {
        let base = self.address.trim_end_matches("/v1");
        let answer = self.http.get(format!("{base}{path}")).send().await.unwrap().text().await.unwrap();
        answer.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Posts with an Idempotency-Key; the answer, and its header `Idempotency-Replayed`.
    pub(crate) async fn post_with_key(&self, path: &str, body: &Value, key: &str) -> (Value, Option<String>) {
        let base = self.address.trim_end_matches("/v1");
        let request = self.http.post(format!("{base}{path}")).header("idempotency-key", key);
        let answer = request.header("content-type", "application/json").body(body.to_string()).send();
        let answer = answer.await.unwrap();
        let replayed =
            answer.headers().get("idempotency-replayed").map(|word| word.to_str().unwrap().to_owned());
        let text = answer.text().await.unwrap();
        (serde_json::from_str(&text).unwrap_or_else(|_| panic!("{path}: {text}")), replayed)
    }

    /// Submits this batch; its id.
    pub(crate) async fn hand_in(&self, batch: &Value) -> String {
        let request =
            self.http.post(format!("{}/batch", self.address)).header("content-type", "application/json");
        let answer = request.body(batch.to_string()).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED, "{:?}", answer.text().await);
        let accepted: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        accepted["batch_id"].as_str().unwrap().to_owned()
    }

    /// Sends one essay to the spell checker; its id.
    pub(crate) async fn trigger(&self, text: &str) -> String {
        let request = self
            .http
            .post(format!("{}/trigger-spellcheck", self.address))
            .header("content-type", "application/json");
        let answer = request.body(json!({"text": text}).to_string()).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED, "{:?}", answer.text().await);
        let accepted: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        accepted["essay_id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn essays(&self, batch: &str) -> Vec<Value> {
        let answer = self.http.get(format!("{}/batch/{batch}/essays", self.address)).send().await.unwrap();
        let page: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        page["data"].as_array().unwrap().clone()
    }

    /// Stops the service as a signal would.
    pub(crate) async fn stop(self) {
        self.end.cancel();
        assert!(self.tasks.shutdown(Duration::from_secs(10)).await.is_empty(), "the service does not stop");
    }
}
