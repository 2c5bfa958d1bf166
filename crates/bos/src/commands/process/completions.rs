//! `bos completions`: prints completions for a shell.

use std::io;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::commands::{Cli, Exit};

/// Print completions for a shell.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bos completions bash > ~/.local/share/bash-completion/completions/bos")]
pub(crate) struct CompletionsCommand {
    /// Name of the shell
    #[arg(value_enum)]
    shell: Shell,
}

impl CompletionsCommand {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "bos", &mut script);
        io::Write::write_all(&mut io::stdout().lock(), &script)?;
        Ok(Exit::Ok)
    }
}
