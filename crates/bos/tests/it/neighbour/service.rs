//! The service in this process, as `bos::run` starts it, with a Content Service from outside.

use std::time::Duration;

use bos::config::{Config, Flag, Sources};
use bos::run::{self, Extras, Ready};
use bos::tasks::Tasks;
use reqwest::StatusCode;
use reqwest::header::{ETAG, IF_NONE_MATCH};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::program::PATIENCE;

pub(super) struct Service {
    address: String,
    http: reqwest::Client,
    end: CancellationToken,
    tasks: Tasks,
    _folder: TempDir,
}

impl Service {
    pub(super) async fn start(content: String, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let own = [("data_dir", folder.path().to_str().unwrap()), ("content_service_url", &content)];
        let flags = own.iter().chain(settings).map(|(key, value)| Flag {
            flag: "test".to_owned(),
            key: (*key).to_owned(),
            value: (*value).to_owned(),
        });
        let config = Config::load(&Sources { flags: flags.collect(), ..Sources::default() }).unwrap().config;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (end, tasks) = (CancellationToken::new(), Tasks::new());
        let (tell, ready) = oneshot::channel();
        let told = move |ready: Ready| tell.send(ready).unwrap();
        let service = run::run(
            config,
            listener,
            Extras { instant_companions: true, ..Extras::default() },
            end.clone(),
            told,
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

    /// Hands these essays in for a spellcheck; the batch's id.
    pub(super) async fn submit(&self, essays: &[&str]) -> String {
        let essays: Vec<Value> = essays.iter().map(|text| json!({"text": text})).collect();
        let body = json!({"essays": essays, "phases": ["spellcheck"]}).to_string();
        let request =
            self.http.post(format!("{}/batch", self.address)).header("content-type", "application/json");
        let answer = request.body(body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED, "{:?}", answer.text().await);
        let accepted: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        accepted["batch_id"].as_str().unwrap().to_owned()
    }

    /// The first status of the batch that is so.
    pub(super) async fn until(&self, batch: &str, is_so: impl Fn(&Value) -> bool) -> Value {
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
        assert!(came, "it stays at {status}");
        status
    }

    pub(super) async fn essays(&self, batch: &str) -> Vec<Value> {
        let answer = self.http.get(format!("{}/batch/{batch}/essays", self.address)).send().await.unwrap();
        let page: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        page["data"].as_array().unwrap().clone()
    }

    /// Stops it as a signal would.
    pub(super) async fn stop(self) {
        self.end.cancel();
        assert!(self.tasks.shutdown(Duration::from_secs(10)).await.is_empty(), "the service does not stop");
    }
}
