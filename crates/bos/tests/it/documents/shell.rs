//! A bash that runs the blocks of a page in a folder of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use testbed::{left_out, port};

use crate::program::PROGRAM;

/// What the shell has besides the commands of the page. Addresses of the page become those of the test; what serves until it is
/// stopped goes to the background and is waited for until it is ready, as its banner says; what was started before of the same
/// kind is stopped first. The tests of `xtask` check the commands of cargo.
const PRELUDE: &str = r#"
set -euo pipefail
here() {
  local text=$1
  text=${text//localhost:5000/127.0.0.1:$PORT}
  text=${text//127.0.0.1:8001/127.0.0.1:$CONTENT_PORT}
  text=${text//content_service:8000/127.0.0.1:$CONTENT_PORT}
  text=${text//'postgres://bos@localhost/bos'/${TEST_DATABASE:-}}
  text=${text//'postgres://owner@localhost/bos'/${TEST_DATABASE:-}}
  text=${text//localhost:9092/${TEST_KAFKA:-}}
  text=${text//kafka-1:9092/${TEST_KAFKA:-}}
  printf %s "$text"
}
stop() {
  if [ -f "$1.pid" ]; then
    kill "$(cat "$1.pid")"
    tail -s 0.05 --pid="$(cat "$1.pid")" -f /dev/null
    rm "$1.pid"
  fi
}
start() {
  local name=$1 line
  stop "$name"
  mkfifo "$name.out"
  "$BOS" "$@" > "$name.out" 2>> "$name.log" &
  echo $! > "$name.pid"
  exec 9< "$name.out"
  rm "$name.out"
  while read -r line <&9; do
    case $line in Try:* | Stop:*) return ;; esac
  done
  cat "$name.log" >&2
  return 1
}
bos() {
  local word words=()
  for word in "$@"; do words+=("$(here "$word")"); done
  for word in DATABASE_URL KAFKA_BOOTSTRAP_SERVERS CONTENT_SERVICE_URL; do
    if [ -n "${!word:-}" ]; then export "$word=$(here "${!word}")"; fi
  done
  case $1 in
    serve) start "${words[@]}" ;;
    companions) start "${words[@]}" --content-port "$CONTENT_PORT" ;;
    batch | essay)
      local code=0
      BATCH_ORCHESTRATOR_SERVICE_SERVER=http://127.0.0.1:$PORT "$BOS" "${words[@]}" || code=$?
      # 4 says that essays were left out, as the command asks for.
      case "$code $*" in '4 '*'--on-invalid skip'*) return 0 ;; *) return "$code" ;; esac
      ;;
    doctor)
      # Right after a start the consumer group is still forming, and the doctor says to run it again.
      local turn
      for turn in {1..60}; do
        if "$BOS" "${words[@]}" > doctor; then cat doctor; return; fi
      done
      cat doctor >&2
      return 4
      ;;
    *) "$BOS" "${words[@]}" ;;
  esac
}
curl() {
  local word words=()
  for word in "$@"; do words+=("$(here "$word")"); done
  command curl --fail-with-body --max-time 60 "${words[@]}" | tee -a answers
}
cargo() { :; }
"#;

/// The folder of the commands, with the port of its service.
pub(super) struct Shell {
    folder: TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Shell {
    /// A shell; `None`, with a report, if the machine lacks a program that the pages ask the reader to install.
    pub(super) fn new() -> Option<Self> {
        for program in ["bash", "curl", "jq"] {
            if !Command::new(program).arg("--version").output().is_ok_and(|ran| ran.status.success()) {
                left_out("documents", &format!("the commands of the pages: install {program}"));
                return None;
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo");
        std::os::unix::fs::symlink(demo, folder.path().join("demo")).unwrap();
        let [service, content] = port::free().unwrap();
        let variables = vec![
            ("BOS", PROGRAM.to_owned()),
            ("PORT", service.to_string()),
            ("CONTENT_PORT", content.to_string()),
            ("BATCH_ORCHESTRATOR_SERVICE_PORT", service.to_string()),
        ];
        Some(Self { folder, variables })
    }

    /// Adds a variable of the shell.
    #[cfg(feature = "kafka")]
    pub(super) fn set(&mut self, name: &'static str, value: &str) {
        self.variables.push((name, value.to_owned()));
    }

    /// Where an embedded service keeps its data.
    pub(super) fn data(&self) -> PathBuf {
        self.folder.path().join("bos-data")
    }

    /// Runs a block; each of its commands must succeed. Returns what they printed.
    pub(super) fn run(&self, block: &super::Block) -> String {
        self.execute(&block.commands, &format!("{}, {}", block.page, block.heading))
    }

    /// Runs `bos` with these words; returns what it printed.
    pub(super) fn bos(&self, words: &[&str]) -> String {
        self.execute(&format!("bos {}\n", words.join(" ")), "a command of the test")
    }

    pub(super) fn execute(&self, commands: &str, what: &str) -> String {
        let mut bash = Command::new("bash");
        // Variables of the calling shell do not configure the program.
        bash.env_clear().envs(
            ["PATH", "HOME", "TMPDIR"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))),
        );
        bash.envs(self.variables.iter().map(|(name, value)| (*name, value)));
        let ran = bash
            .args(["-c", &format!("{PRELUDE}\n{commands}")])
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(ran.status.success(), "{what}: {}\n{commands}\n{out}\n{err}", ran.status);
        out.into_owned()
    }

    /// What `curl` received so far, answer by answer.
    pub(super) fn answers(&self) -> Vec<Value> {
        let answers = fs::read_to_string(self.folder.path().join("answers")).unwrap();
        serde_json::Deserializer::from_str(&answers).into_iter().collect::<Result<_, _>>().unwrap()
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        for name in ["serve", "companions"] {
            let file = self.folder.path().join(format!("{name}.pid"));
            let id = fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok());
            if let Some(id) = id.and_then(Pid::from_raw) {
                // A process that has ended already needs no signal.
                let _ = kill_process(id, Signal::KILL);
            }
        }
    }
}
