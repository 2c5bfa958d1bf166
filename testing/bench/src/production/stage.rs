//! An installation for one measurement: an empty database, empty topics, the companions, and the service.

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use contract::Topic;
use kafka::settings::KafkaSettings;
use testbed::bos;

use super::{Place, bus, database::Database};
use crate::server::{Server, Sign};

const DATABASE: &str = "bos_bench";
/// The pause between two checks.
const POLL: Duration = Duration::from_millis(200);
/// The time-out of waiting for the companions; chosen.
const OUTCOMES_DEADLINE: Duration = Duration::from_mins(5);

pub(super) struct Stage<'a> {
    place: &'a Place<'a>,
    folder: PathBuf,
    content: SocketAddr,
    pub(super) database: Database,
}

impl<'a> Stage<'a> {
    /// Prepares an empty database and empty topics. Only the servers run.
    pub(super) fn new(place: &'a Place<'a>) -> Result<Self> {
        let folder = place.setting.fresh("stage")?;
        let database = Database::make(place.postgres, DATABASE)?;
        let stage = Self { place, folder, content: bos::free_address()?, database };
        bus::empty(&stage.kafka())?;
        for words in [["migrate", "up"], ["topics", "create"]] {
            let output = stage.bos().args(words).output().context("starting the service's program")?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "`bos {}` failed: {said}", words.join(" "));
        }
        Ok(stage)
    }

    pub(super) fn kafka(&self) -> KafkaSettings {
        KafkaSettings::plaintext(self.place.kafka)
    }

    /// The program `bos`, configured for this installation.
    fn bos(&self) -> Command {
        let mut command = bos::command(self.place.setting.bos, &self.folder);
        command.env("DATABASE_URL", &self.database.url);
        command.env("KAFKA_BOOTSTRAP_SERVERS", self.place.kafka);
        command.env("CONTENT_SERVICE_URL", format!("http://{}/v1/content", self.content));
        command.env("BATCH_ORCHESTRATOR_SERVICE_DATA_DIR", &self.folder);
        command
    }

    /// Starts the companions, which answer at once, with `words` as further arguments.
    pub(super) fn companions(&self, words: &[&str]) -> Result<Server> {
        let mut command = self.bos();
        command.env_remove("DATABASE_URL").env_remove("CONTENT_SERVICE_URL");
        command.args(["companions", "--instant", "--content-port", &self.content.port().to_string()]);
        command.args(words);
        Server::spawn(&mut command, self.content, Sign::Listens, &self.folder.join("companions.log"))
    }

    /// Starts a process of the service and waits until it is ready.
    pub(super) fn replica(&self) -> Result<Server> {
        let address = bos::free_address()?;
        let mut command = self.bos();
        bos::serve(&mut command, address.port(), &[]);
        let log = self.folder.join(format!("replica-{}.log", address.port()));
        Server::spawn(&mut command, address, Sign::Ready, &log)
    }

    /// Waits until the companions have reported the outcome of a phase for this number of batches. They report it after its
    /// results.
    pub(super) fn wait_for_outcomes(&self, batches: i64) -> Result<()> {
        let begun = Instant::now();
        while bus::records(&self.kafka(), Topic::BatchPhaseOutcome)? < batches {
            ensure!(begun.elapsed() < OUTCOMES_DEADLINE, "the companions have not sent all outcomes");
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Waits until no text and no message waits, and all batches have ended.
    pub(super) fn settle(&mut self) -> Result<()> {
        self.database.wait_for_none(
            "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM staged_texts) \
             + (SELECT count(*) FROM batches WHERE ended_at IS NULL)",
        )
    }
}
