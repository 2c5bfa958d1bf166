//! The command line: one file per subcommand below, this one for what they share.
//!
//! To add a subcommand: a file with its `Args` and `run`, a variant of [`Command`], an arm in `run`.

#[cfg(feature = "kafka")]
pub mod audit;
pub mod batch;
mod client;
#[cfg(feature = "kafka")]
pub mod companions;
pub mod completions;
pub mod config;
mod corrections;
#[cfg(feature = "crash-points")]
mod crash_at;
pub mod dead_letter;
pub mod demo;
pub mod doctor;
pub mod essay;
mod files;
mod follow;
mod installation;
pub mod migrate;
mod neighbours;
pub mod openapi;
pub mod outbox;
pub mod output;
mod progress;
pub mod promote;
mod rows;
pub mod serve;
mod shapes;
mod submission;
pub mod token;
#[cfg(feature = "kafka")]
pub mod topics;

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

use crate::config::layers::read_secret;

/// How a command ends, for scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Failed.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// What was asked about does not exist.
    NotFound = 3,
    /// Some items failed, the others are done.
    SomeFailed = 4,
    /// The time given to it ran out.
    TimedOut = 5,
    /// No server answers there.
    Unreachable = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Sees essays through spell checking, language measures, feedback and assessment.
#[derive(Debug, Parser)]
#[command(
    name = "bos",
    version,
    after_help = "Examples:\n  bos demo                                      a class of essays from start to end\n  \
        bos serve                                     the service on http://127.0.0.1:5000\n  \
        bos batch submit essays/ --course ENG5 --wait\n\
        Every flag has a twin variable: --server is BATCH_ORCHESTRATOR_SERVICE_SERVER, --token BOS_TOKEN.\n\
        Exit: 0 ok · 1 failed · 2 usage, settings · 3 not found · 4 some failed · 5 timed out · 6 no server",
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Server that client commands talk to
    #[arg(long, global = true, value_name = "URL")]
    #[arg(help = "Server that client commands talk to [default: http://127.0.0.1:5000]")]
    #[arg(env = "BATCH_ORCHESTRATOR_SERVICE_SERVER", hide_env = true)]
    pub server: Option<String>,
    /// Token for the server
    #[arg(long, global = true, value_name = "TOKEN")]
    #[arg(help = "Token for the server; better in BOS_TOKEN, which others do not see")]
    #[arg(env = "BOS_TOKEN", hide_env = true)]
    pub token: Option<SecretString>,
    /// File that holds the token
    #[arg(long, global = true, value_name = "FILE")]
    #[arg(env = "BOS_TOKEN_FILE", hide_env = true)]
    pub token_file: Option<PathBuf>,
    /// Shape of the output: table, json or jsonl
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table)]
    #[arg(value_name = "FORMAT", hide_possible_values = true)]
    #[arg(env = "BATCH_ORCHESTRATOR_SERVICE_OUTPUT", hide_env = true)]
    pub output: Format,
    /// When to colour: auto, always or never
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    #[arg(value_name = "WHEN", hide_possible_values = true)]
    #[arg(env = "BATCH_ORCHESTRATOR_SERVICE_COLOR", hide_env = true)]
    pub color: Color,
    /// Say nothing but the result
    #[arg(short, long, global = true)]
    #[arg(env = "BATCH_ORCHESTRATOR_SERVICE_QUIET", hide_env = true)]
    pub quiet: bool,
    /// Say more
    #[arg(short, long, global = true)]
    #[arg(env = "BATCH_ORCHESTRATOR_SERVICE_VERBOSE", hide_env = true)]
    pub verbose: bool,
}

/// Where a server listens that nobody configured.
const USUAL_SERVER: &str = "http://127.0.0.1:5000";

impl Global {
    /// A client of the server that is named, or of the usual one.
    fn client(&self) -> anyhow::Result<Client> {
        self.client_of(self.server.as_deref().unwrap_or(USUAL_SERVER))
    }

    /// A client of this server, with the token that was given.
    fn client_of(&self, server: &str) -> anyhow::Result<Client> {
        let fault = |subject: &str, problem: &str, next_step: &str| {
            crate::config::Error(vec![crate::config::Fault::new(subject, problem, next_step)])
        };
        let token = match (&self.token, &self.token_file) {
            (Some(_), Some(_)) => {
                let problem = "and --token-file (or BOS_TOKEN_FILE) both give a token";
                return Err(fault("--token (or BOS_TOKEN)", problem, "keep one of the two").into());
            }
            (Some(token), None) => Some(token.clone()),
            (None, Some(file)) => Some(read_secret(file).map(SecretString::from).map_err(|problem| {
                fault("--token-file", &problem, "name a readable file that only its owner may read")
            })?),
            (None, None) => None,
        };
        let client = Client::new(server)?.with_output(Output::new(self));
        match token {
            None => Ok(client),
            Some(token) => Ok(client.with_token(&token).ok_or_else(|| {
                fault("the token", "is not one", "give what `bos token create` printed, and nothing else")
            })?),
        }
    }
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the service
    Serve(serve::ServeCommand),
    /// Show the service at work on a class of essays
    Demo(demo::DemoCommand),
    /// Hand in batches and look at them
    Batch(batch::BatchCommand),
    /// Send single essays to the spell checker and look at them
    Essay(essay::EssayCommand),
    /// Run the service's neighbours over Kafka, for trying and testing
    #[cfg(feature = "kafka")]
    Companions(companions::CompanionsCommand),
    /// Look after the topics of Kafka
    #[cfg(feature = "kafka")]
    Topics(topics::TopicsCommand),
    /// Hold the topics and the database against each other
    #[cfg(feature = "kafka")]
    Audit(audit::AuditCommand),
    /// Bring the tables of PostgreSQL up to date
    Migrate(migrate::MigrateCommand),
    /// Move an embedded installation onto PostgreSQL and Kafka
    Promote(promote::PromoteCommand),
    /// Look at everything the service needs, and say how to mend it
    Doctor(doctor::DoctorCommand),
    /// Look after messages on their way to the bus
    Outbox(outbox::OutboxCommand),
    /// Look after messages that could not be used
    DeadLetter(dead_letter::DeadLetterCommand),
    /// Make tokens of callers, list them and take them back
    Token(token::TokenCommand),
    /// Show or check the configuration
    Config(config::ConfigCommand),
    /// Print the API's description (OpenAPI 3.1)
    Openapi(openapi::OpenapiCommand),
    /// Print completions for a shell
    Completions(completions::CompletionsCommand),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let output = Output::new(&cli.global);
    match run(cli, &output) {
        Ok(exit) => exit.into(),
        // Whoever read our output has seen enough.
        Err(error) if is_broken_pipe(&error) => Exit::Ok.into(),
        Err(error) => {
            output.error(&error);
            exit_of(&error).into()
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
        Command::Outbox(command) => on(&mut Builder::new_current_thread(), command.run(output)),
        Command::DeadLetter(command) => on(&mut Builder::new_current_thread(), command.run(output)),
        Command::Token(command) => on(&mut Builder::new_multi_thread(), command.run(&global, output)),
        Command::Config(command) => command.run(output),
        Command::Completions(command) => command.run(),
    }
}

/// How long threads that are left behind hold up the end of the process, which ends them.
const LEFT_BEHIND: Duration = Duration::from_secs(1);

fn on(runtime: &mut Builder, work: impl Future<Output = anyhow::Result<Exit>>) -> anyhow::Result<Exit> {
    let runtime = runtime.enable_all().build().context("the system gives no threads")?;
    let ended = runtime.block_on(work);
    runtime.shutdown_timeout(LEFT_BEHIND);
    ended
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let cause = error.root_cause().downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// How a command that failed ends.
fn exit_of(error: &anyhow::Error) -> Exit {
    let is_usage = error.is::<crate::config::Error>()
        || error.is::<files::Error>()
        || error.downcast_ref().is_some_and(crate::promote::Error::is_refusal)
        || matches!(error.downcast_ref(), Some(store::Error::Unfit { .. }))
        || error.downcast_ref().is_some_and(crate::run::Error::is_of_the_configuration);
    match error.downcast_ref::<Failure>() {
        Some(failure) => failure.exit(),
        None if is_usage => Exit::Usage,
        None => Exit::Failed,
    }
}

/// Reads a duration with its unit, such as `30s` or `5m`.
fn duration(text: &str) -> Result<Duration, &'static str> {
    humantime::parse_duration(text).map_err(|_| "a duration with its unit is expected, such as 30s or 5m")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    #[cfg(not(feature = "crash-points"))]
    use clap::Parser as _;

    use super::Cli;
    use crate::config::layers::{FLAG_TWINS, PREFIX};

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[cfg(not(feature = "crash-points"))]
    #[test]
    fn an_ordinary_build_has_no_switch_for_crashes() {
        let error = Cli::try_parse_from(["bos", "serve", "--crash-at", "accepted:1"]).unwrap_err();
        assert_eq!(error.kind(), clap::error::ErrorKind::UnknownArgument);
    }

    #[test]
    fn the_help_of_every_command_fits_a_screen_and_shows_an_example() {
        let mut whole = Cli::command();
        whole.build();
        let mut commands = vec![whole];
        while let Some(mut command) = commands.pop() {
            let help = command.render_help().to_string();
            assert!(help.lines().count() <= 40, "{help}");
            assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
            assert!(help.contains("Example"), "{help}");
            commands
                .extend(command.get_subcommands().filter(|command| command.get_name() != "help").cloned());
        }
    }

    /// The commands of the program in a page's blocks of shell, without comments and variables set before.
    fn commands(page: &str) -> Vec<Vec<&str>> {
        let blocks = page.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("sh\n"));
        let lines = blocks.flat_map(str::lines).map(|line| line.split(" #").next().unwrap_or_default());
        let commands = lines.flat_map(|line| line.split("&&"));
        let words = commands.map(|command| {
            let words = command.split_whitespace().map(|word| word.trim_matches('\''));
            words.skip_while(|word| word.contains('=')).collect::<Vec<_>>()
        });
        words.filter(|words| words.first() == Some(&"bos")).collect()
    }

    #[cfg(feature = "kafka")]
    #[test]
    fn every_command_on_our_pages_is_understood() {
        for page in [include_str!("../../../README.md"), include_str!("../../../docs/operations.md")] {
            let commands = commands(page);
            assert!(commands.len() > 5);
            for command in commands {
                let understood = Cli::command().try_get_matches_from(&command);
                assert!(understood.is_ok(), "{command:?}: {}", understood.unwrap_err());
            }
        }
    }

    #[test]
    fn every_global_flag_and_every_setting_s_flag_has_a_twin_that_the_configuration_lets_pass() {
        let mut whole = Cli::command();
        whole.build();
        let serve = whole.find_subcommand("serve").cloned();
        for command in [Some(whole), serve].into_iter().flatten() {
            for flag in command.get_arguments().filter(|flag| flag.get_long().is_some()) {
                if matches!(flag.get_id().as_str(), "help" | "version" | "origin" | "set") {
                    continue;
                }
                let twin = flag.get_env().and_then(|name| name.to_str()).map(|name| name.replace(PREFIX, ""));
                if twin.as_deref().is_some_and(|twin| matches!(twin, "BOS_TOKEN" | "BOS_TOKEN_FILE")) {
                    // No setting begins so; the configuration does not look at them.
                    continue;
                }
                let twin = twin.unwrap_or_else(|| flag.get_id().as_str().to_uppercase());
                let of_setting = crate::config::KEYS.iter().any(|key| key.name.to_uppercase() == twin);
                assert!(FLAG_TWINS.contains(&twin.as_str()) || of_setting, "{twin}");
            }
        }
    }
}
