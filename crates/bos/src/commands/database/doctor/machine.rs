//! Checks of this machine: its disk, and the server that may run on it.

use std::path::Path;

use bytesize::ByteSize;
use serde::Deserialize;

use super::NEIGHBOUR_PATIENCE;
use super::content::client;
use super::finding::{Finding, causes, in_time};
use service::config::Config;

/// Free space below one tenth of `max_staged_size` is a failure; below all of it, a warning (chosen).
const SCARCE: u64 = 10;

/// Checks the disk on a thread of its own, because a request to an unreachable file system may never return.
pub(super) async fn check(config: &Config) -> Vec<Finding> {
    let config = config.clone();
    let disk = async {
        let checked = tokio::task::spawn_blocking(move || disk(&config)).await;
        checked.unwrap_or_else(|error| vec![Finding::failure("disk", causes(error), "run it again")])
    };
    in_time("disk", disk).await
}

/// Checks the free space of the data folder. Only embedded parts write there: the database with the staged texts, and the
/// companions' file with the stored ones.
fn disk(config: &Config) -> Vec<Finding> {
    let writes_here = config.database_url.is_none() || config.content_service_url.is_none();
    if !writes_here {
        return vec![Finding::ok("disk", "no data is stored on this machine")];
    }
    // Before the first start the folder does not exist, and a parent shows the free space.
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
            let found = format!("cannot read the free space of {} ({error})", folder.display());
            return Finding::failure("disk", found, "choose another folder with --data-dir");
        }
    };
    let cap = config.max_staged_size;
    let found = format!("{} free at {}; staged texts may take {cap}", ByteSize(space), folder.display());
    let mend = "free some space, choose another disk with --data-dir, or lower max_staged_size";
    if space < cap.as_u64() / SCARCE {
        Finding::failure("disk", found, mend)
    } else if space < cap.as_u64() {
        Finding::warning("disk", found, mend)
    } else {
        Finding::ok("disk", found)
    }
}

/// A server that answers at the configured address.
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

/// Reads `/readyz` of the server at the configured address; `None` if nothing answers there.
pub(super) async fn server(config: &Config) -> Option<Server> {
    let address = std::net::SocketAddr::new(config.host, config.port);
    let url = format!("http://{address}/readyz");
    let response = client(NEIGHBOUR_PATIENCE).ok()?.get(url).send().await.ok()?;
    let read: reqwest::Result<Readiness> = response.json().await;
    let finding = match read {
        Ok(readiness) => judged(&readiness),
        Err(error) => {
            let found =
                format!("the server at {address} is not a bos server ({})", causes(error.without_url()));
            Finding::failure("server", found, "give the --host and --port of the server")
        }
    };
    Some(Server { address: address.to_string(), finding })
}

fn judged(readiness: &Readiness) -> Finding {
    let dead = readiness.tasks.iter().filter(|task| task.alive == 0).map(|task| task.name.as_str());
    let dead: Vec<&str> = dead.collect();
    let degraded: Vec<String> =
        readiness.degraded.iter().map(|one| format!("{} ({})", one.name, one.code)).collect();
    if readiness.status != "ready" {
        let found = format!(
            "not ready: the store is {}, dead tasks: [{}], degraded: [{}]",
            readiness.store,
            dead.join(", "),
            degraded.join(", ")
        );
        let mend = if dead.is_empty() {
            "correct the cause; the log says more"
        } else {
            "see its log, and restart it"
        };
        return Finding::failure("server", found, mend);
    }
    if degraded.is_empty() {
        return Finding::ok("server", format!("ready; {} tasks run", readiness.tasks.len()));
    }
    Finding::warning(
        "server",
        format!("ready, degraded: {}", degraded.join(", ")),
        "check that these dependencies run, and see docs/operations.md for the codes",
    )
}
