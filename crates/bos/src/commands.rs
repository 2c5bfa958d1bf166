//! The command line: one file per subcommand, filed by what the command touches; this file has what they share.
//!
//! - `api`: commands that send requests to a server over HTTP.
//! - `database`: operators' commands on the database and Kafka.
//! - `process`: commands that run the service, or need nothing but this program.
//!
//! To add a subcommand: add a file with its `Args` and `run`, a variant of [`Command`], and an arm in `run`.

mod api;
mod database;
mod output;
mod pages;
mod process;
mod settings;

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use secrecy::SecretString;
use tokio::runtime::Builder;

use client::{Client, Failure};
use output::{Color, Format, Output};
use service::config::secret_file::read_secret;

/// The exit code of a command. Scripts rely on the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Success.
    Ok = 0,
    /// The command failed.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// The named batch, essay, token or message does not exist.
    NotFound = 3,
    /// Some items failed; the others succeeded.
    SomeFailed = 4,
    /// The `--timeout` was over before the work was.
    TimedOut = 5,
    /// No server answers at the address.
    Unreachable = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Run batches of essays through spellcheck, nlp, AI feedback and comparative judgement.
#[derive(Debug, Parser)]
#[command(
    name = "bos",
    version,
    after_help = "Examples:\n  bos demo                                      run a class of 30 essays\n  \
        bos serve                                     serve on http://127.0.0.1:5000\n  \
        bos batch submit essays/ --course ENG5 --wait\n\
        Variables set flags too: BATCH_ORCHESTRATOR_SERVICE_SERVER is --server, BOS_TOKEN is --token.\n\
        Exit: 0 ok · 1 failed · 2 usage, settings · 3 not found · 4 some failed · 5 timed out · 6 no server",
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    /// The flags of every command.
    #[command(flatten)]
    pub(crate) global: Global,
    /// The subcommand.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command accepts.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Server that client commands send requests to
    #[arg(long, global = true, value_name = "URL")]
    #[arg(help = "Server that client commands use [default: http://127.0.0.1:5000]")]
    #[arg(env = "BATCH_ORCHESTRATOR_SERVICE_SERVER", hide_env = true)]
    pub(crate) server: Option<String>,
    /// API token
    #[arg(long, global = true, value_name = "TOKEN")]
    #[arg(help = "API token; safer in BOS_TOKEN, which is not in the process list")]
    #[arg(env = "BOS_TOKEN", hide_env = true)]
    pub(crate) token: Option<SecretString>,
    /// File that contains the API token
    #[arg(long, global = true, value_name = "FILE")]
    #[arg(env = "BOS_TOKEN_FILE", hide_env = true)]
    pub(crate) token_file: Option<PathBuf>,
    /// Output format: table, json or jsonl
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table)]
    #[arg(value_name = "FORMAT", hide_possible_values = true)]
    #[arg(env = "BATCH_ORCHESTRATOR_SERVICE_OUTPUT", hide_env = true)]
    pub(crate) output: Format,
    /// When to use colours: auto, always or never
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    #[arg(value_name = "WHEN", hide_possible_values = true)]
    #[arg(env = "BATCH_ORCHESTRATOR_SERVICE_COLOR", hide_env = true)]
    pub(crate) color: Color,
    /// Print nothing but the result
    #[arg(short, long, global = true)]
    #[arg(env = "BATCH_ORCHESTRATOR_SERVICE_QUIET", hide_env = true)]
    pub(crate) quiet: bool,
    /// Print more details
    #[arg(short, long, global = true)]
    #[arg(env = "BATCH_ORCHESTRATOR_SERVICE_VERBOSE", hide_env = true)]
    pub(crate) verbose: bool,
}

/// The address of a server with the default configuration.
const DEFAULT_SERVER: &str = "http://127.0.0.1:5000";

impl Global {
    /// Makes a client of the server that `--server` names, or of the default one.
    ///
    /// # Errors
    /// When the address is not one of HTTP, or the token cannot be read or is malformed.
    fn client(&self) -> anyhow::Result<Client> {
        self.client_of(self.server.as_deref().unwrap_or(DEFAULT_SERVER))
    }

    /// Makes a client of this server, with the token of the flags or variables.
    ///
    /// # Errors
    /// When the address is not one of HTTP, or the token cannot be read or is malformed.
    fn client_of(&self, server: &str) -> anyhow::Result<Client> {
        let fault = |subject: &str, problem: &str, next_step: &str| {
            service::config::Error(vec![service::config::Fault::new(subject, problem, next_step)])
        };
        let token = match (&self.token, &self.token_file) {
            (Some(_), Some(_)) => {
                let problem = "and --token-file (or BOS_TOKEN_FILE) both give a token";
                return Err(fault("--token (or BOS_TOKEN)", problem, "give only one of the two").into());
            }
            (Some(token), None) => Some(token.clone()),
            (None, Some(file)) => Some(read_secret(file).map(SecretString::from).map_err(|problem| {
                fault("--token-file", &problem, "name a file that this user may read, and no other user may")
            })?),
            (None, None) => None,
        };
        let output = Output::new(self);
        let client = Client::new(server)?.on_retry(move |why| output.note(&format!("bos: {why}; retrying")));
        match token {
            None => Ok(client),
            Some(token) => Ok(client.with_token(&token).ok_or_else(|| {
                fault("the API token", "is malformed", "give exactly what `bos token create` printed")
            })?),
        }
    }
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the service
    Serve(process::serve::ServeCommand),
    /// Run a class of 30 essays through the service, and print the results
    Demo(process::demo::DemoCommand),
    /// Submit batches and follow them
    Batch(api::batch::BatchCommand),
    /// Spellcheck single essays
    Essay(api::essay::EssayCommand),
    /// Run stand-ins for the platform's services on Kafka, for tests and trials
    #[cfg(feature = "kafka")]
    Companions(process::companions::CompanionsCommand),
    /// Check and create the topics on Kafka
    #[cfg(feature = "kafka")]
    Topics(database::topics::TopicsCommand),
    /// Check the topics against the database
    #[cfg(feature = "kafka")]
    Audit(database::audit::AuditCommand),
    /// Migrate the tables in PostgreSQL
    Migrate(database::migrate::MigrateCommand),
    /// Move an embedded installation to PostgreSQL and Kafka
    Promote(database::promote::PromoteCommand),
    /// Check every dependency of the service, and say how to correct what is wrong
    Doctor(database::doctor::DoctorCommand),
    /// Manage outbox messages
    Outbox(database::outbox::OutboxCommand),
    /// Manage dead letters
    DeadLetter(database::dead_letter::DeadLetterCommand),
    /// Create, list and revoke API tokens
    Token(database::token::TokenCommand),
    /// Show or check the configuration
    Config(process::config::ConfigCommand),
    /// Print the OpenAPI 3.1 description of the API
    Openapi(process::openapi::OpenapiCommand),
    /// Print completions for a shell
    Completions(process::completions::CompletionsCommand),
}

impl Command {
    /// Whether this command runs a service, which goes on and ends whether or not its output is read.
    const fn serves(&self) -> bool {
        #[cfg(feature = "kafka")]
        if matches!(self, Self::Companions(_)) {
            return true;
        }
        matches!(self, Self::Serve(_) | Self::Demo(_))
    }
}

/// Runs the command line of this process.
pub(crate) fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let output = Output::new(&cli.global);
    let serves = cli.command.serves();
    let ended = run(cli, &output);
    telemetry::flush_log();
    match ended {
        Ok(exit) => exit.into(),
        // The reader closed the pipe, as `head` does; that is not a failure.
        Err(error) if is_broken_pipe(&error) => Exit::Ok.into(),
        Err(error) => {
            let exit = exit_of(&error);
            if serves {
                output::aside(move || Output::error(&error)).wait();
            } else {
                Output::error(&error);
            }
            exit.into()
        }
    }
}

fn run(cli: Cli, output: &Output) -> anyhow::Result<Exit> {
    let Cli { global, command } = cli;
    match command {
        Command::Serve(command) => on(&mut Builder::new_multi_thread(), command.run(output)),
        Command::Demo(command) => on(&mut Builder::new_multi_thread(), command.run(output)),
        Command::Openapi(command) => command.run(),
        Command::Batch(command) => {
            let client = global.client()?;
            on(&mut Builder::new_current_thread(), command.run(&client, output))
        }
        Command::Essay(command) => {
            let client = global.client()?;
            on(&mut Builder::new_current_thread(), command.run(&client, output))
        }
        #[cfg(feature = "kafka")]
        Command::Companions(command) => on(&mut Builder::new_multi_thread(), command.run(output)),
        #[cfg(feature = "kafka")]
        Command::Topics(command) => on(&mut Builder::new_current_thread(), command.run(output)),
        #[cfg(feature = "kafka")]
        Command::Audit(command) => on(&mut Builder::new_multi_thread(), command.run(output)),
        Command::Migrate(command) => on(&mut Builder::new_current_thread(), command.run(output)),
        Command::Promote(command) => on(&mut Builder::new_multi_thread(), command.run(output)),
        Command::Doctor(command) => on(&mut Builder::new_current_thread(), command.run(output)),
        Command::Outbox(command) => on(&mut Builder::new_multi_thread(), command.run(&global, output)),
        Command::DeadLetter(command) => on(&mut Builder::new_multi_thread(), command.run(&global, output)),
        Command::Token(command) => on(&mut Builder::new_multi_thread(), command.run(&global, output)),
        Command::Config(command) => command.run(output),
        Command::Completions(command) => command.run(),
    }
}

/// How long the end of a command waits for threads that still run (chosen). The end of the process ends them.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

fn on(runtime: &mut Builder, work: impl Future<Output = anyhow::Result<Exit>>) -> anyhow::Result<Exit> {
    let runtime = runtime.enable_all().build().context("cannot start the threads of the async runtime")?;
    let ended = runtime.block_on(work);
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    ended
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let cause = error.root_cause().downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// The exit code of a command that failed with this error.
fn exit_of(error: &anyhow::Error) -> Exit {
    let is_usage = error.is::<service::config::Error>()
        || error.is::<api::files::Error>()
        || error.downcast_ref().is_some_and(service::promote::Error::is_refusal)
        || matches!(error.downcast_ref(), Some(store::Error::Unfit { .. }))
        || error.downcast_ref().is_some_and(service::Error::is_configuration_error);
    match error.downcast_ref::<Failure>() {
        Some(failure) => exit_of_request(failure),
        None if is_usage => Exit::Usage,
        None => Exit::Failed,
    }
}

/// The exit code of a command whose request failed.
const fn exit_of_request(failure: &Failure) -> Exit {
    match failure {
        Failure::Address(_) => Exit::Usage,
        Failure::Unreachable { .. } => Exit::Unreachable,
        Failure::Problem(problem) if problem.status() == 404 => Exit::NotFound,
        Failure::Problem(_)
        | Failure::Stranger { .. }
        | Failure::OtherVersion(_)
        | Failure::NoRandomness
        | Failure::Unwritable => Exit::Failed,
    }
}

/// Parses a duration with its unit, such as `30s` or `5m`.
///
/// # Errors
/// When the text is not a duration with a unit.
fn duration(text: &str) -> Result<Duration, &'static str> {
    humantime::parse_duration(text).map_err(|_| "expected a duration with its unit, such as 30s or 5m")
}

#[cfg(test)]
mod tests;
