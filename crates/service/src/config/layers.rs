//! The layers of the configuration: reads each source, and keeps the value with the highest rank.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use super::error::Fault;
use super::setting::Setting;
use super::{DEFAULTS, KEYS, Key, Shown, file};
use api::suggest::suggest;

/// The prefix of this service's environment variables.
pub const PREFIX: &str = "BATCH_ORCHESTRATOR_SERVICE_";

/// Variables that the platform's services and OpenTelemetry share: they are read without the prefix too, and the prefixed name
/// wins.
pub const SHARED_NAMES: [&str; 13] = [
    "HOST",
    "PORT",
    "KAFKA_BOOTSTRAP_SERVERS",
    "CONTENT_SERVICE_URL",
    "ELS_URL",
    "LOG_LEVEL",
    "DATABASE_URL",
    "ENVIRONMENT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_SERVICE_NAME",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
];

/// Prefixed variables that stand for flags of the command line and are not settings of the service.
pub const FLAG_TWINS: [&str; 6] = ["CONFIG", "SERVER", "OUTPUT", "COLOR", "QUIET", "VERBOSE"];

/// The sources of the layers.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file of `--config`.
    pub file: Option<PathBuf>,
    /// A file of variables, usually `.env`. It may be missing.
    pub dotenv: Option<PathBuf>,
    /// The variables of the environment.
    pub environment: Vec<(String, String)>,
    /// The settings that flags give.
    pub flags: Vec<Flag>,
}

/// A setting that a flag gives.
#[derive(Debug, Clone)]
pub struct Flag {
    /// The flag as the user typed it, such as `--port`.
    pub flag: String,
    /// The key that it sets; checked like a key of a file.
    pub key: String,
    /// The text of the value.
    pub value: String,
}

impl Sources {
    /// The sources of this process: `.env` in the working directory, the environment, and these.
    pub fn of_process(file: Option<PathBuf>, flags: Vec<Flag>) -> Self {
        let environment = std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .collect();
        Self { file, dotenv: Some(PathBuf::from(".env")), environment, flags }
    }
}

/// The place where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// [`DEFAULTS`].
    Default,
    /// A line of the `--config` file, counted from 1.
    File {
        /// The file as the user named it.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// The name of a variable in the `.env` file.
    Dotenv(String),
    /// The name of a variable of the environment.
    Environment(String),
    /// A flag as the user typed it.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Dotenv(variable) => write!(f, ".env {variable}"),
            Self::Environment(variable) => write!(f, "environment {variable}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

#[derive(Debug)]
struct Found {
    text: String,
    origin: Origin,
    /// Whether `text` is the path of a file that contains the value.
    in_file: bool,
}

/// The text of every key from its highest layer, and the faults found while reading.
#[derive(Debug, Default)]
pub(crate) struct Values {
    found: BTreeMap<&'static str, Found>,
    defaults: BTreeMap<&'static str, String>,
    faults: Vec<Fault>,
    ignored: Vec<String>,
}

impl Values {
    pub(super) fn read(sources: &Sources) -> Self {
        let mut values = Self::default();
        values.add_file(DEFAULTS, |_| Origin::Default);
        if let Some(path) = &sources.file {
            match fs::read_to_string(path) {
                Ok(text) => {
                    values.add_file(&text, |line| Origin::File { path: path.clone(), line });
                }
                Err(error) => values.faults.push(Fault::new(
                    path.display(),
                    format!("cannot be read ({})", error.kind()),
                    "name a file that exists with --config",
                )),
            }
        }
        if let Some(path) = &sources.dotenv {
            let variables = values.dotenv_variables(path);
            values.add_variables(&variables, Origin::Dotenv);
        }
        values.add_variables(&sources.environment, Origin::Environment);
        for flag in &sources.flags {
            values.add(&flag.key, flag.value.clone(), Origin::Flag(flag.flag.clone()));
        }
        values
    }

    /// Removes the text of a setting and parses it. On failure it records a fault and returns `None`.
    pub(super) fn take<T: Setting>(&mut self, key: &'static str) -> Option<T> {
        let Some(found) = self.found.remove(key) else {
            let unset = T::unset();
            if unset.is_none() {
                self.faults.push(Fault::new(key, "has no value", "set it"));
            }
            return unset;
        };
        let subject = subject(key, &found.origin);
        let text = if found.in_file {
            read_secret(Path::new(&found.text)).map_err(|problem| {
                Fault::new(&subject, problem, "name a file that this process can read and other users cannot")
            })
        } else {
            Ok(found.text)
        };
        let value = text.and_then(|text| {
            let next_step = match self.defaults.get(key) {
                Some(default) => format!("correct it, or remove it to use the default, {default}"),
                None => "correct it or remove it".to_owned(),
            };
            T::parse(text.trim()).map_err(|problem| Fault::new(&subject, problem, next_step))
        });
        value.map_err(|fault| self.faults.push(fault)).ok()
    }

    /// Every setting as it was written; call it before [`take`](Self::take).
    pub(super) fn shown(&self) -> Vec<Shown> {
        KEYS.iter()
            .map(|key| {
                let found = self.found.get(key.name);
                let value = found.map(|found| match (key.secret, found.in_file) {
                    (true, false) => "<redacted>".to_owned(),
                    (true, true) => format!("<from {}>", found.text),
                    (false, _) => found.text.clone(),
                });
                Shown { key: key.name, value, origin: found.map(|found| found.origin.clone()) }
            })
            .collect()
    }

    pub(super) fn into_findings(self) -> (Vec<Fault>, Vec<String>) {
        (self.faults, self.ignored)
    }

    fn add_file(&mut self, text: &str, origin: impl Fn(usize) -> Origin) {
        match file::parse(text) {
            Ok(entries) => {
                for entry in entries {
                    let origin = origin(entry.line);
                    match entry.value {
                        Ok(value) => self.add(&entry.key, value, origin),
                        Err(problem) => self.faults.push(Fault::new(
                            subject(&entry.key, &origin),
                            problem,
                            "write one `key = value` a line",
                        )),
                    }
                }
            }
            Err((line, problem)) => self.faults.push(Fault::new(
                origin(line),
                format!("is not TOML ({problem})"),
                "write `key = value`, with text in quotes",
            )),
        }
    }

    /// Adds one value; it replaces that of a lower layer.
    fn add(&mut self, name: &str, text: String, origin: Origin) {
        let subject = subject(name, &origin);
        let Some((key, in_file)) = find_key(name) else {
            let known = KEYS.iter().map(|key| key.name);
            self.faults.push(unknown(subject, suggest(name, known).map(str::to_owned)));
            return;
        };
        if text.trim().is_empty() {
            self.faults.push(Fault::new(subject, "is empty", "give it a value or remove it"));
            return;
        }
        if text.contains('\u{FFFD}') {
            self.faults.push(Fault::new(subject, "is not valid UTF-8", "write it in UTF-8"));
            return;
        }
        if key.secret && !in_file && matches!(origin, Origin::Flag(_)) {
            let next_step =
                format!("set {}_file, or the variable {PREFIX}{}", key.name, key.name.to_ascii_uppercase());
            self.faults.push(Fault::new(
                subject,
                "is a secret, and other processes can read a command line",
                next_step,
            ));
            return;
        }
        let rank = |origin: &Origin| match origin {
            Origin::Default => 0,
            Origin::File { .. } => 1,
            Origin::Dotenv(name) => 2 + u8::from(name.starts_with(PREFIX)),
            Origin::Environment(name) => 4 + u8::from(name.starts_with(PREFIX)),
            Origin::Flag(_) => 6,
        };
        if let Some(before) = self.found.get(key.name)
            && rank(&before.origin) == rank(&origin)
            && before.in_file != in_file
        {
            let problem = format!("and {} both give {}", before.origin, key.name);
            self.faults.push(Fault::new(subject, problem, "remove one of them"));
            return;
        }
        if origin == Origin::Default {
            self.defaults.insert(key.name, text.clone());
        }
        self.found.insert(key.name, Found { text, origin, in_file });
    }

    /// Adds a layer of variables: the shared names first, so that the prefixed names win.
    fn add_variables(&mut self, variables: &[(String, String)], origin: fn(String) -> Origin) {
        for (variable, value) in variables {
            let shared = variable.strip_suffix("_FILE").unwrap_or(variable);
            if SHARED_NAMES.contains(&shared)
                && find_key(&variable.to_ascii_lowercase())
                    .is_some_and(|(_, in_file)| in_file == (shared != variable))
            {
                self.add(&variable.to_ascii_lowercase(), value.clone(), origin(variable.clone()));
            }
        }
        for (variable, value) in variables {
            let Some(name) = variable.strip_prefix(PREFIX) else { continue };
            if FLAG_TWINS.contains(&name) {
                continue;
            }
            if is_injected_by_kubernetes(name, value) {
                self.ignored.push(variable.clone());
                continue;
            }
            let key = name.to_ascii_lowercase();
            if name.chars().any(|c| c.is_ascii_lowercase()) || find_key(&key).is_none() {
                let known = KEYS.iter().map(|key| key.name);
                let nearest = suggest(&key, known).map(|key| format!("{PREFIX}{}", key.to_ascii_uppercase()));
                self.faults.push(unknown(origin(variable.clone()).to_string(), nearest));
                continue;
            }
            self.add(&key, value.clone(), origin(variable.clone()));
        }
    }

    fn dotenv_variables(&mut self, path: &Path) -> Vec<(String, String)> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                let problem = format!("cannot be read ({})", error.kind());
                self.faults.push(Fault::new(path.display(), problem, "make it readable or remove it"));
                return Vec::new();
            }
        };
        let mut variables = Vec::new();
        for entry in dotenvy::Iter::new(Cursor::new(&text)) {
            match entry {
                Ok(variable) => variables.push(variable),
                // The library's own message repeats the line, which may be a secret.
                Err(dotenvy::Error::LineParse(bad, _)) => {
                    let line = text.lines().position(|line| line == bad).map_or(0, |index| index + 1);
                    let subject = format!("{}:{line}", path.display());
                    self.faults.push(Fault::new(
                        subject,
                        "is not NAME=value",
                        "put values with spaces in quotes",
                    ));
                }
                Err(_) => {
                    self.faults.push(Fault::new(path.display(), "cannot be read", "correct or remove it"));
                }
            }
        }
        variables
    }
}

/// Finds the setting with this name; `true` if the name is the `_file` form of a secret.
fn find_key(name: &str) -> Option<(Key, bool)> {
    let exact = KEYS.iter().find(|key| key.name == name).map(|key| (*key, false));
    exact.or_else(|| {
        let of_secret = name.strip_suffix("_file")?;
        KEYS.iter().find(|key| key.secret && key.name == of_secret).map(|key| (*key, true))
    })
}

/// The subject of a message about `key`: the variable or the flag; for a file, its line and the key.
pub(super) fn subject(key: &str, origin: &Origin) -> String {
    match origin {
        Origin::Default => key.to_owned(),
        Origin::File { .. } => format!("{origin} {key}"),
        Origin::Dotenv(_) | Origin::Environment(_) | Origin::Flag(_) => origin.to_string(),
    }
}

fn unknown(subject: String, nearest: Option<String>) -> Fault {
    let next_step = match nearest {
        Some(name) => format!("did you mean {name}?"),
        None => "`bos config show` lists every setting".to_owned(),
    };
    Fault::new(subject, "is not a setting", next_step)
}

/// Whether Kubernetes injects this variable for a Service whose name begins with the prefix.
///
/// Source: Kubernetes, "Service: Environment variables" (`{SVC}_SERVICE_HOST`, `{SVC}_SERVICE_PORT`,
/// `{SVC}_SERVICE_PORT_{NAME}`, and Docker-link style `{SVC}_PORT`, `{SVC}_PORT_{n}_TCP…`).
fn is_injected_by_kubernetes(name: &str, value: &str) -> bool {
    let link = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    let of_port = name.strip_prefix("PORT_").or_else(|| name.split_once("_PORT_").map(|(_, rest)| rest));
    let numbered = of_port.and_then(|rest| rest.split_once('_')).is_some_and(|(number, rest)| {
        number.parse::<u16>().is_ok()
            && ["TCP", "UDP", "SCTP"].iter().any(|protocol| rest.starts_with(protocol))
    });
    numbered
        || (link && (name == "PORT" || name.ends_with("_PORT")))
        || name.ends_with("SERVICE_HOST")
        || name.ends_with("SERVICE_PORT")
        || name.contains("SERVICE_PORT_")
}

/// Reads a secret from a file, without the line ends at its end.
///
/// # Errors
/// The file cannot be read, is empty, or users other than its owner and group can access it. The text is a predicate that
/// names the file and never contains its content.
pub fn read_secret(path: &Path) -> Result<String, String> {
    let cannot =
        |error: std::io::Error| format!("names {}, which cannot be read ({})", path.display(), error.kind());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(path).map_err(cannot)?.permissions().mode();
        if mode & 0o007 != 0 {
            return Err(format!(
                "names {}, which every user can read (mode {:o})",
                path.display(),
                mode & 0o777
            ));
        }
    }
    let text = fs::read_to_string(path).map_err(cannot)?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        Err(format!("names {}, which is empty", path.display()))
    } else {
        Ok(text.to_owned())
    }
}
