//! An Apache Kafka for one run: the developer's own, or one that is started here and removed after the run.
//!
//! A started server is one node that is broker and controller (`KRaft`). Topics must be created before they are used, so that a
//! wrong name is detected.

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

/// The variable with the broker for tests, as `host:port`. It is read if a developer sets it, and set for the tests.
pub const ADDRESS_VARIABLE: &str = "BOS_TEST_KAFKA";

/// Any 16 bytes in URL-safe base64; these are `bos-testbed-node`.
const CLUSTER_ID: &str = "Ym9zLXRlc3RiZWQtbm9kZQ";

/// A running Kafka that can create topics.
pub struct Kafka {
    bootstrap_servers: String,
    tls: Option<Tls>,
    server: Option<Server>,
}

impl Kafka {
    /// Downloads what [`Kafka::start`] needs and the machine does not have.
    ///
    /// # Errors
    /// The text says what to install.
    pub fn prepare() -> Result<()> {
        if given(ADDRESS_VARIABLE).is_none() {
            Release::find()?;
        }
        Ok(())
    }

    /// Uses the server that [`ADDRESS_VARIABLE`] names, or starts one.
    pub fn start() -> Result<Self> {
        if let Some(bootstrap_servers) = given(ADDRESS_VARIABLE) {
            return Ok(Self { bootstrap_servers, tls: Tls::given(), server: None });
        }
        let server = Server::start()?;
        let bootstrap_servers = server.bootstrap_servers();
        Ok(Self { bootstrap_servers, tls: Some(server.tls()), server: Some(server) })
    }

    /// Its TLS listeners; a developer's server may have none.
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// The address to which clients connect first, as `host:port`.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// Fails if a server that was started here has ended on its own.
    pub fn check(&mut self) -> Result<()> {
        self.server.as_mut().map_or(Ok(()), Server::check)
    }
}

impl fmt::Display for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.server {
            Some(server) => write!(f, "{}", server.release),
            None => write!(f, "no server, because {ADDRESS_VARIABLE} names a Kafka"),
        }
    }
}

/// A Kafka that is started here and supports faults.
pub struct Server {
    // The first field, so that it is killed before its folder is removed.
    process: Process,
    release: Release,
    ports: Ports,
    folder: TempDir,
}

impl Server {
    /// Starts a server with empty data.
    ///
    /// # Errors
    /// The server did not start. If this machine cannot run it, the text says what to install.
    pub fn start() -> Result<Self> {
        Self::advertising(None)
    }

    /// Starts a server that advertises `proxy`, a port of the loopback address, because clients use the advertised address after
    /// their first request. The proxy must connect to [`Server::port`].
    pub fn start_behind(proxy: u16) -> Result<Self> {
        Self::advertising(Some(proxy))
    }

    /// Starts a server with its data on a small disk (96 MB); `None` if this account may not mount.
    pub fn start_on_small_disk() -> Result<Option<(SmallDisk, Self)>> {
        let folder = folder()?;
        let Some(disk) = SmallDisk::mount(folder.path().join("small"), MEGABYTES)? else { return Ok(None) };
        symlink(disk.folder(), folder.path().join(properties::DATA))
            .context("linking Kafka's data folder")?;
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
        // At the same time, so that making the certificate does not delay the start.
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

    /// The port on which it listens, on the loopback address. It stays the same after [`Server::restart`] and behind a proxy.
    pub fn port(&self) -> u16 {
        self.ports.broker
    }

    /// The address to which clients connect first, as `host:port`: the proxy if there is one.
    pub fn bootstrap_servers(&self) -> String {
        format!("127.0.0.1:{}", self.ports.advertised)
    }

    /// Its TLS listeners, which have no proxy.
    pub fn tls(&self) -> Tls {
        Tls::at(self.ports.ssl, self.ports.sasl_ssl, self.folder.path())
    }

    /// The log file of the server.
    pub fn log(&self) -> PathBuf {
        server::log_file(self.folder.path())
    }

    /// Fails if the server has ended, with the last lines of its log.
    pub fn check(&mut self) -> Result<()> {
        self.process.check()
    }

    /// Kills the server.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Freezes the server: connections stay open and get no answer.
    pub fn pause(&mut self) -> Result<()> {
        self.process.freeze()
    }

    /// Resumes a frozen server.
    pub fn resume(&mut self) -> Result<()> {
        self.process.thaw()
    }

    /// Restarts the server on the same data and ports, and waits until it is ready. A running server is killed first.
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
