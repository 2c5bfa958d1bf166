//! This machine: its disk, and the server that may run on it.

use std::path::Path;

use bytesize::ByteSize;
use serde::Deserialize;

use super::NEIGHBOUR_PATIENCE;
use super::content::client;
use super::finding::{Finding, causes, in_time};
use service::config::Config;

/// The disk must hold at least this part of the texts that may wait.
const SCARCE: u64 = 10;

/// A file system that is gone may answer never, so the question is put on a thread of its own.
pub(super) async fn look(config: &Config) -> Vec<Finding> {
    let config = config.clone();
    let disk = async {
        let looked = tokio::task::spawn_blocking(move || disk(&config)).await;
        looked.unwrap_or_else(|error| vec![Finding::failure("disk", causes(error), "run it again")])
    };
    in_time("disk", disk).await
}

/// What is embedded writes here: the database with the texts that wait, and the companions' file with those that are stored.
fn disk(config: &Config) -> Vec<Finding> {
    let writes_here = config.database_url.is_none() || config.content_service_url.is_none();
    if !writes_here {
        return vec![Finding::ok("disk", "nothing is kept on this machine")];
    }
    // Before the first start it is the folder's parent that has the space.
    let Some(folder) = config.data_dir.ancestors().find(|folder| folder.exists()) else {
        return vec![free(Path::new("."), config)];
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    vec![free(folder, config)]
}

fn free(folder: &Path, config: &Config) -> Finding {
    let space = match rustix::fs::statvfs(folder) {
        Ok(space) => space.f_bavail.saturating_mul(space.f_frsize),
        Err(error) => {
            let found = format!("{} cannot be looked at ({error})", folder.display());
            return Finding::failure("disk", found, "choose another folder with --data-dir");
        }
    };
    let cap = config.max_staged_size;
    let found = format!("{} free at {}; texts that wait may take {cap}", ByteSize(space), folder.display());
    let mend = "make room, choose another disk with --data-dir, or lower max_staged_size";
    if space < cap.as_u64() / SCARCE {
        Finding::failure("disk", found, mend)
    } else if space < cap.as_u64() {
        Finding::warning("disk", found, mend)
    } else {
        Finding::ok("disk", found)
    }
}

/// A server that answers where one is configured.
pub(super) struct Server {
    pub(super) address: String,
    pub(super) finding: Finding,
}

#[derive(Deserialize)]
struct Readiness {
    status: String,
    store: String,
    tasks: Vec<Alive>,
    degraded: Vec<Degraded>,
}

#[derive(Deserialize)]
struct Alive {
    name: String,
    alive: usize,
}

#[derive(Deserialize)]
struct Degraded {
    name: String,
    code: String,
}

/// Asks the server of this configuration how it is; none when nobody of ours answers there.
pub(super) async fn server(config: &Config) -> Option<Server> {
    let address = std::net::SocketAddr::new(config.host, config.port);
    let url = format!("http://{address}/readyz");
    let response = client(NEIGHBOUR_PATIENCE).ok()?.get(url).send().await.ok()?;
    let read: reqwest::Result<Readiness> = response.json().await;
    let finding = match read {
        Ok(readiness) => judged(&readiness),
        Err(error) => {
            let found =
                format!("what answers at {address} is no bos server ({})", causes(error.without_url()));
            Finding::failure("server", found, "name the server's --host and --port")
        }
    };
    Some(Server { address: address.to_string(), finding })
}

fn judged(readiness: &Readiness) -> Finding {
    let dead = readiness.tasks.iter().filter(|task| task.alive == 0).map(|task| task.name.as_str());
    let dead: Vec<&str> = dead.collect();
    let away: Vec<String> =
        readiness.degraded.iter().map(|one| format!("{} ({})", one.name, one.code)).collect();
    if readiness.status != "ready" {
        let found = format!("not ready: the store is {}, dead tasks: [{}]", readiness.store, dead.join(", "));
        return Finding::failure("server", found, "see its log, and start it again");
    }
    if away.is_empty() {
        return Finding::ok("server", format!("ready; {} tasks run", readiness.tasks.len()));
    }
    Finding::warning("server", format!("ready, without: {}", away.join(", ")), "see that they run")
}
