//! A full disk under PostgreSQL's write-ahead log, which ends the server.

use service::companions::CompanionBehaviour;
use sqlx_core::connection::Connection as _;
use sqlx_core::query::query;
use sqlx_postgres::PgConnection;
use testbed::postgres;
use testbed::small_disk::SmallDisk;

use super::callers::{Callers, all_end};
use super::road::{Companions, ONE_AT_A_TIME, service};
use super::{apart, kafka, migrated, started_or_left_out};
use crate::host::Client;

/// Classes that are acknowledged before the disk is full.
const BEFORE: usize = 12;

/// A server with its write-ahead log on a small disk.
async fn server() -> Option<(SmallDisk, postgres::Server)> {
    let start = || {
        let mut server = postgres::Server::start()?;
        let disk = server.log_on_small_disk()?;
        anyhow::Ok(disk.map(|disk| (disk, server)))
    };
    started_or_left_out("bos-full-log", "a full disk under PostgreSQL's log", start).await
}

/// Switches to new log files until there is no space for another.
async fn wear_out(url: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    while query("SELECT pg_switch_wal()").execute(&mut connection).await.is_ok() {}
}

/// F44.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_write_ahead_log_loses_nothing_acknowledged() {
    let Some(kafka) = kafka() else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    let Some((disk, mut server)) = server().await else { return };
    let url = server.url();
    migrated(&url).await;
    let companions = Companions::start(&kafka, CompanionBehaviour::instant()).await;
    let service = service(&kafka, &companions.content, &url).await;
    let client = Client::at(service.base());
    let callers = Callers::of(&client);
    let fault = async {
        callers.until_acknowledged(BEFORE).await;
        let disk = apart(move || disk.fill().map(|()| disk)).await.unwrap();
        wear_out(&url).await;
        callers.until_refused(4).await;
        let healed = apart(move || {
            disk.clear()?;
            server.restart()?;
            anyhow::Ok((disk, server))
        });
        let healed = healed.await.unwrap();
        callers.until_acknowledged(4).await;
        callers.stop();
        healed
    };
    let (ids, _server) = futures::join!(callers.hand_in(), fault);
    all_end(&ids, &service).await;
    service.stop().await;
    companions.stop().await;
}
