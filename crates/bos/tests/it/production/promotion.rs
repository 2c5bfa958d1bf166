//! An embedded installation moves to a real PostgreSQL and a real Kafka, and its batches continue there.

mod laptop;
mod refusals;
mod steps;

use serde_json::{Value, json};
use service::companions::CompanionBehaviour;
use tokio::sync::Mutex;

use super::kafka;
use super::road::{Companions, ONE_AT_A_TIME, service};
use crate::databases::on_postgres;
use crate::program::{Ran, bos};
use laptop::Laptop;

/// Runs `bos promote` on this folder.
fn promote(folder: &str, target: &str, kafka: &str, content: &str, more: &[&str]) -> Ran {
    let arguments = ["promote", "--data-dir", folder, "--kafka", kafka, "--content", content, "-o", "json"];
    bos(&[arguments.as_slice(), more].concat()).env("DATABASE_URL", target).output().unwrap().into()
}

fn rows(ran: &Ran) -> Vec<Value> {
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    serde_json::from_str::<Value>(&ran.stdout).unwrap().as_array().unwrap().clone()
}

/// Results without the ids of texts, which the new Content Service assigns anew.
fn without_texts(mut lines: Vec<Value>) -> Vec<Value> {
    for line in &mut lines {
        for key in ["original_text_storage_id", "text_storage_id"] {
            assert!(line[key].is_string(), "{line}");
            line[key] = Value::Null;
        }
        for phase in line["phases"].as_array_mut().unwrap() {
            phase["text_storage_id"] = Value::Null;
        }
    }
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_keeps_everything_and_running_batches_continue() {
    let Some(kafka) = kafka() else { return };
    let _alone: tokio::sync::MutexGuard<'_, ()> = Mutex::lock(&ONE_AT_A_TIME).await;
    let laptop = Laptop::with_everything().await;
    on_postgres(async |_, url| {
        // A batch between two phases goes on only where its essays may be commanded in the middle.
        let retries = [("els_retries", "true")];
        let companions = Companions::start_with(&kafka, CompanionBehaviour::instant(), &retries).await;
        let folder = laptop.folder();
        let dry = promote(&folder, &url, &kafka, &companions.content, &["--dry-run"]);
        assert!(rows(&dry).iter().all(|row| row["target_rows"].is_null()), "{}", dry.stdout);

        let ran = promote(&folder, &url, &kafka, &companions.content, &[]);
        for row in rows(&ran) {
            assert!(row["checksum"].is_string(), "{row}");
            if matches!(
                row["table"].as_str(),
                Some("batches" | "essays" | "labels" | "idempotency" | "tokens")
            ) {
                assert_eq!(row["source_rows"], row["target_rows"], "{row}");
                assert_ne!(row["source_rows"], 0, "{row}");
            }
        }
        assert!(!ran.stderr.contains("postgres://postgres"), "{}", ran.stderr);

        let service = service(&kafka, &companions.content, &url).await;
        for batch in &laptop.running {
            let status = service.until(batch, |status| !status["ended_at"].is_null()).await;
            assert_eq!(status["status"], "completed_successfully", "{status}");
            assert_eq!(status["counts"]["succeeded"], 3, "{status}");
        }
        // The essay that had a result kept it: no work was done twice.
        let essays = service.essays(&laptop.running[1]).await;
        let reported: Vec<&Value> =
            essays.iter().filter(|essay| essay["phases"][0]["figures"]["words"] == 42).collect();
        assert_eq!(reported.len(), 1, "{essays:?}");

        let status = service.get(&format!("/v1/batch/{}/status", laptop.done)).await;
        assert_eq!(
            (&status["status"], &status["counts"]),
            (&laptop.status["status"], &laptop.status["counts"])
        );
        assert_eq!(status["phases"], laptop.status["phases"]);
        let results = service.lines(&format!("/v1/batch/{}/results", laptop.done)).await;
        let texts: Vec<String> =
            results.iter().map(|line| line["text_storage_id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(without_texts(results), without_texts(laptop.results.clone()));
        let http = reqwest::Client::new();
        for text in texts {
            let found = http.get(format!("{}/{text}", companions.content)).send().await.unwrap();
            assert_eq!(found.status(), 200);
        }

        let (body, key, answer) = &laptop.asked;
        let again = service.post_with_key("/v1/batch", body, key).await;
        assert_eq!((&again.0, again.1.as_deref()), (answer, Some("true")));

        // A batch from the laptop is registered with the new services when it is started.
        service
            .post_with_key(&format!("/v1/batch/{}/initiate-spellcheck", laptop.ready), &json!({}), "start")
            .await;
        let status = service.until(&laptop.ready, |status| !status["ended_at"].is_null()).await;
        assert_eq!(status["status"], "completed_successfully", "{status}");
        service.stop().await;

        let refused = crate::program::run(&["serve", "--port", "0", "--data-dir", &folder]);
        assert_eq!(refused.code, 2, "{}", refused.stderr);
        assert!(refused.stderr.contains("was promoted to PostgreSQL at"), "{}", refused.stderr);
        let again = promote(&folder, &url, &kafka, &companions.content, &[]);
        assert_eq!(again.code, 0, "{}", again.stderr);
        assert!(again.stderr.contains("nothing is left to do"), "{}", again.stderr);
        companions.stop().await;
    })
    .await;
}
