//! A promotion that is interrupted after every step and run again has the same result.

use service::companions::CompanionBehaviour;
use service::config::Config;
use service::promote::{Error, Report, StepLimit, run};
use tokio::sync::Mutex;

use super::super::kafka;
use super::super::road::{Companions, ONE_AT_A_TIME};
use super::laptop::Laptop;
use crate::databases::on_postgres;
use crate::neighbour::service::configured;

fn settings(folder: &str, database: &str, kafka: &str, content: &str) -> Config {
    configured(&[
        ("data_dir", folder),
        ("database_url", database),
        ("kafka_bootstrap_servers", kafka),
        ("content_service_url", content),
    ])
}

/// The figures that must be equal. Checksums are not among them, because ids and timestamps differ.
fn figures(report: &Report) -> Vec<(&'static str, u64, Option<u64>)> {
    report.tables.iter().map(|row| (row.table, row.source_rows, row.target_rows)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_interrupted_after_every_step_has_the_same_result() {
    let Some(kafka) = kafka() else { return };
    let _alone = Mutex::lock(&ONE_AT_A_TIME).await;
    let laptop = Laptop::with_everything().await;
    let twin = tempfile::tempdir().unwrap();
    for file in ["bos.db", "companions.db"] {
        // The server is stopped, so the files are complete with their write-ahead logs.
        for name in [file.to_owned(), format!("{file}-wal")] {
            let from = std::path::Path::new(&laptop.folder()).join(&name);
            if from.exists() {
                std::fs::copy(from, twin.path().join(&name)).unwrap();
            }
        }
    }
    let companions = Companions::start(&kafka, CompanionBehaviour::instant()).await;
    let at_once = std::sync::Mutex::new(None);
    on_postgres(async |_, url| {
        let config = settings(&laptop.folder(), &url, &kafka, &companions.content);
        let report = Box::pin(run(&config, &StepLimit::default(), &|_| {})).await.unwrap();
        *at_once.lock().unwrap() = Some(report);
    })
    .await;
    on_postgres(async |store, url| {
        let config = settings(twin.path().to_str().unwrap(), &url, &kafka, &companions.content);
        let mut lives = 0;
        let report = loop {
            lives += 1;
            assert!(lives < 500, "it makes no progress");
            // Each run is stopped after one step.
            match Box::pin(run(&config, &StepLimit::new(1), &|_| {})).await {
                Ok(report) => break report,
                Err(Error::Stopped) => {}
                Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
            }
            let whole = store.read(|tx| Box::pin(tx.promotion())).await.unwrap();
            assert!(whole.is_none_or(|promotion| !promotion.is_done) || lives > 15, "open too early");
        };
        assert!(lives > 15, "{lives} lives");
        let at_once = at_once.lock().unwrap().take().unwrap();
        assert!(report.was_done || figures(&report) == figures(&at_once), "{report:?} and {at_once:?}");
        for (table, expected) in store::promotion::TABLES.iter().zip(figures(&at_once)) {
            let rows = store.read(move |tx| Box::pin(tx.count_rows(table))).await.unwrap();
            assert_eq!((table.name, Some(rows)), (expected.0, expected.2));
        }
    })
    .await;
    companions.stop().await;
}
