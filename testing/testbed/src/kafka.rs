//! An Apache Kafka for one run: the developer's own, or one that is started here and gone afterwards.
//!
//! A started server is one node that is broker and controller at once (`KRaft`). Topics must be created before they are
//! used, so that a name that nobody made is noticed.

pub mod acls;
mod metadata;
mod properties;
mod release;
#[cfg(test)]
mod tests;
pub mod tls;

use std::{
    fmt, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context, Result, anyhow};
use tempfile::TempDir;

use crate::{
    given, port,
    server::{self, Process},
    small_disk::{MEGABYTES, SmallDisk},
    target_folder,
};
use properties::Ports;
use release::Release;
use tls::Tls;

/// The variable that names the broker for tests, as `host:port`: read here when a developer gives one, set for the tests.
pub const ADDRESS_VARIABLE: &str = "BOS_TEST_KAFKA";

/// Any 16 bytes in URL-safe base64; these read `bos-testbed-node`.
const CLUSTER_ID: &str = "Ym9zLXRlc3RiZWQtbm9kZQ";

/// A Kafka that answers and has a broker to give topics to.
pub struct Kafka {
    bootstrap_servers: String,
    tls: Option<Tls>,
    server: Option<Server>,
}

impl Kafka {
    /// Sees to it that [`Kafka::start`] finds what it needs, which may be fetched. Fails with what to install.
    pub fn prepare() -> Result<()> {
        if given(ADDRESS_VARIABLE).is_none() {
            Release::find()?;
        }
        Ok(())
    }

    /// Takes the server named by [`ADDRESS_VARIABLE`], or starts one.
    pub fn start() -> Result<Self> {
        if let Some(bootstrap_servers) = given(ADDRESS_VARIABLE) {
            return Ok(Self { bootstrap_servers, tls: Tls::given(), server: None });
        }
        let server = Server::start()?;
        let bootstrap_servers = server.bootstrap_servers();
        Ok(Self { bootstrap_servers, tls: Some(server.tls()), server: Some(server) })
    }

    /// Its encrypted doors; a developer's server need not have any.
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// What clients connect to first, as `host:port`.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// Fails once a server that was started here has ended by itself.
    pub fn check(&mut self) -> Result<()> {
        self.server.as_mut().map_or(Ok(()), Server::check)
    }
}

impl fmt::Display for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.server {
            Some(server) => write!(f, "{}", server.release),
            None => write!(f, "nothing, Kafka is the one of {ADDRESS_VARIABLE}"),
        }
    }
}

/// A Kafka that is started here, and takes faults.
pub struct Server {
    // Killed before its folder goes, which an orderly end would only delay.
    process: Process,
    release: Release,
    ports: Ports,
    folder: TempDir,
}

impl Server {
    /// Starts a server with empty data. Fails with what to install when this machine cannot run it.
    pub fn start() -> Result<Self> {
        Self::advertising(None)
    }

    /// Starts a server that sends its clients to `proxy`, a port of the loopback address, because they go where the
    /// server says it is as soon as they have asked it once. The proxy passes on to [`Server::port`].
    pub fn start_behind(proxy: u16) -> Result<Self> {
        Self::advertising(Some(proxy))
    }

    /// Starts a server with its data on a disk of some megabytes; none where nothing may be mounted.
    pub fn start_on_small_disk() -> Result<Option<(SmallDisk, Self)>> {
        let folder = folder()?;
        let Some(disk) = SmallDisk::mount(folder.path().join("small"), MEGABYTES)? else { return Ok(None) };
        symlink(disk.folder(), folder.path().join(properties::DATA)).context("leading Kafka to its data")?;
        let server = Self::in_folder(folder, None)?;
        Ok(Some((disk, server)))
    }

    fn advertising(advertised: Option<u16>) -> Result<Self> {
        Self::in_folder(folder()?, advertised)
    }

    fn in_folder(folder: TempDir, advertised: Option<u16>) -> Result<Self> {
        let release = Release::find()?;
        let [broker, controller, ssl, sasl_ssl] = port::free()?;
        let advertised = advertised.unwrap_or(broker);
        let ports = Ports { broker, controller, advertised, ssl, sasl_ssl };
        fs::write(folder.path().join(properties::FILE), properties::text(&ports))?;

        let mut format = release.program("kafka.tools.StorageTool", folder.path());
        format.args(["format", "--standalone", "-t", CLUSTER_ID, "-c", properties::FILE]);
        for user in tls::users() {
            format.arg("--add-scram").arg(user);
        }
        let log = server::log_file(folder.path());
        // Side by side, so that the certificate costs a start no time of its own.
        thread::scope(|threads| {
            let certified = threads.spawn(|| tls::certify(&release, folder.path()));
            let formatted = server::run_first("formatting Kafka's data", &mut format, &log);
            certified.join().map_err(|_| anyhow!("making Kafka's certificate panicked"))??;
            formatted
        })?;

        let process = launch(&release, folder.path())?;
        let mut server = Self { process, release, ports, folder };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// The port of the loopback address where it listens, also after [`Server::restart`] and behind a proxy.
    pub fn port(&self) -> u16 {
        self.ports.broker
    }

    /// What clients connect to first, as `host:port`: the proxy, if there is one.
    pub fn bootstrap_servers(&self) -> String {
        format!("127.0.0.1:{}", self.ports.advertised)
    }

    /// Its encrypted doors. No proxy stands before them.
    pub fn tls(&self) -> Tls {
        Tls::at(self.ports.ssl, self.ports.sasl_ssl, self.folder.path())
    }

    /// The file that everything it says goes to.
    pub fn log(&self) -> PathBuf {
        server::log_file(self.folder.path())
    }

    /// Fails once the server has ended, and says what it said last.
    pub fn check(&mut self) -> Result<()> {
        self.process.check()
    }

    /// Kills the server.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Freezes the server: connections stay open and nobody answers.
    pub fn pause(&mut self) -> Result<()> {
        self.process.freeze()
    }

    /// Lets a frozen server go on.
    pub fn resume(&mut self) -> Result<()> {
        self.process.thaw()
    }

    /// Starts the server again on its data and its ports, and waits until it answers; one that still runs is killed.
    pub fn restart(&mut self) -> Result<()> {
        self.kill()?;
        self.process = launch(&self.release, self.folder.path())?;
        self.wait_until_ready()
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let port = self.ports.broker;
        self.process.wait_until(|_| metadata::brokers(port).is_ok_and(|brokers| brokers > 0))
    }
}

fn folder() -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("kafka-").tempdir_in(target_folder()?);
    folder.context("making a folder for Kafka's data")
}

fn launch(release: &Release, folder: &Path) -> Result<Process> {
    let mut kafka = release.program("kafka.Kafka", folder);
    kafka.arg(properties::FILE);
    Process::start("kafka", &mut kafka, &server::log_file(folder))
}
