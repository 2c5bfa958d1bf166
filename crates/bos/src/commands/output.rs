//! Printing: results go to standard output, everything else to standard error.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use clap::ValueEnum;
use client::clean;
use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};
use serde::Serialize;
use terminal_size::{Width, terminal_size_of};

use crate::commands::Global;

/// How long the last words of a service wait for their reader (chosen).
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Prints on a thread of its own, because a pipe that is not read blocks the thread that writes to it.
pub(crate) fn aside(print: impl FnOnce() + Send + 'static) -> Printing {
    let (sender, printed) = mpsc::channel();
    thread::spawn(move || {
        print();
        // The caller need not wait.
        let _ = sender.send(());
    });
    Printing(printed)
}

/// What [`aside`] prints.
pub(crate) struct Printing(Receiver<()>);

impl Printing {
    /// Waits until it is printed, for at most a second.
    pub(crate) fn wait(self) {
        // A time-out means that the output is not read.
        let _ = self.0.recv_timeout(LAST_WORDS);
    }
}

/// The format of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns
    Table,
    /// One JSON document
    Json,
    /// One JSON object per line
    Jsonl,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// How a command prints, as the global flags say.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    format: Format,
    color: bool,
    quiet: bool,
    verbose: bool,
}

impl Output {
    /// From the global flags, and from whether standard output is a terminal.
    pub(crate) fn new(global: &Global) -> Self {
        let color = match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        };
        Self { format: global.output, color, quiet: global.quiet, verbose: global.verbose }
    }

    /// The format of results that `--output` requests.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Whether escape sequences may be printed.
    pub(crate) fn has_color(&self) -> bool {
        self.color
    }

    /// Whether `--quiet` is set: only results are printed.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether `--verbose` is set.
    pub(crate) fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Prints a sentence that belongs to the result: to standard output beside a table, to standard error beside JSON.
    ///
    /// # Errors
    /// When standard output is closed.
    pub(crate) fn say(&self, text: &str) -> anyhow::Result<()> {
        match self.format {
            Format::Table => writeln!(io::stdout().lock(), "{text}")?,
            Format::Json | Format::Jsonl => self.note(text),
        }
        Ok(())
    }

    /// Prints a table, whatever the format is.
    ///
    /// # Errors
    /// When standard output is closed.
    pub(crate) fn table<T>(
        header: &[&str],
        rows: &[T],
        cells: impl Fn(&T) -> Vec<String>,
    ) -> anyhow::Result<()> {
        writeln!(io::stdout().lock(), "{}", table(header, rows.iter().map(cells)))?;
        Ok(())
    }

    /// Prints rows as a table or as JSON. An empty table prints nothing.
    ///
    /// # Errors
    /// When standard output is closed, or a row cannot be written as JSON.
    pub(crate) fn rows<T: Serialize>(
        &self,
        header: &[&str],
        rows: &[T],
        cells: impl Fn(&T) -> Vec<String>,
    ) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        match self.format {
            Format::Table if rows.is_empty() => {}
            Format::Table => writeln!(out, "{}", table(header, rows.iter().map(cells)))?,
            Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(rows)?)?,
            Format::Jsonl => rows.iter().try_for_each(|row| line(&mut out, row))?,
        }
        Ok(())
    }

    /// Prints one value: as `text` in the table format, else as JSON.
    ///
    /// # Errors
    /// When standard output is closed, or the value cannot be written as JSON.
    pub(crate) fn one<T: Serialize>(&self, thing: &T, text: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        match self.format {
            Format::Table => writeln!(out, "{}", text(thing))?,
            Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(thing)?)?,
            Format::Jsonl => line(&mut out, thing)?,
        }
        Ok(())
    }

    /// Prints a note to standard error, unless `--quiet` is set.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }

    /// Prints a warning to standard error, also with `--quiet`: it explains the exit code.
    pub(crate) fn warn(text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// Prints a detail to standard error, if `--verbose` is set.
    pub(crate) fn detail(&self, text: &str) {
        if self.verbose {
            self.note(text);
        }
    }

    /// Prints the error of a failed command with its causes to standard error.
    pub(crate) fn error(error: &anyhow::Error) {
        let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
        let _ = writeln!(io::stderr().lock(), "bos: {}", causes.join(": "));
    }
}

fn line(out: &mut impl io::Write, thing: &impl Serialize) -> anyhow::Result<()> {
    writeln!(out, "{}", serde_json::to_string(thing)?)?;
    Ok(())
}

/// Lays out columns without borders, so that they can be copied, and no wider than the terminal if there is one. Columns of
/// numbers are right-aligned.
fn table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header.to_vec());
    // No terminal, or one that reports no size, gives no width to fit the columns into.
    if let Some((Width(columns @ 1..), _)) = terminal_size_of(io::stdout()) {
        table.set_width(columns);
    }
    let rows: Vec<Vec<String>> = rows.map(|row| row.iter().map(|cell| clean(cell)).collect()).collect();
    let is_number = |cell: &String| cell.bytes().all(|byte| byte.is_ascii_digit());
    for row in &rows {
        table.add_row(row.iter().enumerate().map(|(column, cell)| {
            let numbers = rows.iter().filter_map(|row| row.get(column)).all(is_number);
            Cell::new(cell).set_alignment(if numbers { CellAlignment::Right } else { CellAlignment::Left })
        }));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn a_table_without_a_terminal_has_no_escape_sequences() {
        let text = table(&["key", "value"], std::iter::once(vec!["port".to_owned(), "5000".to_owned()]));
        assert!(text.contains("port") && text.contains("5000"));
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn numbers_are_right_aligned_and_control_characters_are_removed() {
        let rows = [["a", "7"], ["b\u{1b}[31m\nb", "1204"], ["c", ""]];
        let text = table(&["name", "words"], rows.iter().map(|row| row.map(str::to_owned).to_vec()));
        insta::assert_snapshot!(text);
    }
}
