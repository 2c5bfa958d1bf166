//! The program itself, run as people run it: what it prints, and how it ends.

mod batches;
mod serving;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

/// The program, in an environment that says nothing.
fn bos(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bos"));
    let quiet_folder = std::env::temp_dir();
    command.env_clear().current_dir(quiet_folder).args(arguments).stdin(Stdio::null());
    command
}

/// What a run printed and how it ended.
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self {
            code: output.status.code().expect("the program was killed"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

fn run(arguments: &[&str]) -> Ran {
    bos(arguments).output().unwrap().into()
}

fn run_with_input(arguments: &[&str], input: &str) -> Ran {
    let mut command = bos(arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}

/// A server of its own folder on a free port, killed at the end.
struct Server {
    process: Child,
    address: String,
    banner: Vec<String>,
    folder: TempDir,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut process = bos(&["serve", "--port", "0", "--data-dir", data.to_str().unwrap()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut banner = Vec::new();
        while banner.last().is_none_or(|line: &String| !line.starts_with("Try:")) {
            banner.push(lines.next().expect("the server ended before it was ready"));
        }
        let address = banner.iter().find_map(|line| line.split("http://").nth(1)).unwrap();
        let address = format!("http://{}", address.split('/').next().unwrap());
        Self { process, address, banner, folder }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        run(&[arguments, &["--server", &self.address]].concat())
    }

    /// A folder with these essays.
    fn essays(&self, name: &str, essays: &[(&str, &str)]) -> String {
        let folder = self.folder.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in essays {
            std::fs::write(folder.join(name), text).unwrap();
        }
        folder.to_str().unwrap().to_owned()
    }

    fn data(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The text with what differs from run to run replaced: ids, addresses, durations, instants, folders.
fn steady(text: &str) -> String {
    let is_id = |word: &str| word.len() == 36 && word.bytes().filter(|b| *b == b'-').count() == 4;
    let is_instant = |word: &str| word.len() > 19 && word.ends_with('Z') && word.as_bytes().get(10) == Some(&b'T');
    let of_word = |word: &str| {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '/');
        if is_id(bare) {
            word.replace(bare, "[id]")
        } else if is_instant(bare) {
            word.replace(bare, "[instant]")
        } else if bare.contains("127.0.0.1:") {
            let port: String = bare.split("127.0.0.1:").nth(1).unwrap().chars().take_while(char::is_ascii_digit).collect();
            word.replace(&format!("127.0.0.1:{port}"), "[address]")
        } else {
            word.to_owned()
        }
    };
    let words: String = text.split_inclusive([' ', '\n']).map(|word| {
        let end = word.len() - word.trim_end_matches([' ', '\n']).len();
        let (word, gap) = word.split_at(word.len() - end);
        of_word(word) + gap
    }).collect();
    let mut lines: Vec<String> = Vec::new();
    for line in words.lines() {
        let line = match (line.find(" in "), line.find(" s ").or_else(|| line.strip_suffix(" s").map(str::len))) {
            (Some(from), Some(to)) if from < to => format!("{} in [time]{}", &line[..from], &line[to + 2..]),
            _ => line.to_owned(),
        };
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n")
}
