//! The layers of the configuration: reads each source, and keeps the value with the highest rank.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::error::Fault;
use super::origin::{Origin, Variable};
use super::secret_file::read_secret;
use super::setting::Setting;
use super::{DEFAULTS, KEYS, Key, RedactedSetting, dotenv, file};
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
    pub fn from_process(file: Option<PathBuf>, flags: Vec<Flag>) -> Self {
        let environment = std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .collect();
        Self { file, dotenv: Some(PathBuf::from(".env")), environment, flags }
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
            match dotenv::read(path, &sources.environment) {
                Ok(variables) => values.add_variables(&variables),
                Err(fault) => values.faults.push(fault),
            }
        }
        let environment = sources.environment.iter().cloned().map(|(name, value)| {
            let origin = Origin::Environment(name.clone());
            Variable { name, value: Ok(value), origin }
        });
        values.add_variables(&environment.collect::<Vec<_>>());
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
        let path = found.in_file.then(|| found.text.clone());
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
            let parsed = path
                .map_or_else(|| T::parse(text.trim()), |path| T::parse_file(text.trim(), Path::new(&path)));
            parsed.map_err(|problem| Fault::new(&subject, problem, next_step))
        });
        value.map_err(|fault| self.faults.push(fault)).ok()
    }

    /// Every setting as it was written; call it before [`take`](Self::take).
    pub(super) fn shown(&self) -> Vec<RedactedSetting> {
        KEYS.iter()
            .map(|key| {
                let found = self.found.get(key.name);
                let value = found.map(|found| match (key.secret, found.in_file) {
                    (true, false) => "<redacted>".to_owned(),
                    (true, true) => format!("<from {}>", found.text),
                    (false, _) => found.text.clone(),
                });
                RedactedSetting { key: key.name, value, origin: found.map(|found| found.origin.clone()) }
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
        // `--set` gives any setting, so its user may not know that this one is a secret. A flag of its own says so in its help.
        if key.secret && !in_file && matches!(&origin, Origin::Flag(flag) if flag.starts_with("--set")) {
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
            Origin::Dotenv { variable, .. } => 2 + u8::from(variable.starts_with(PREFIX)),
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

    /// Adds a layer of variables: the shared names first, so that the prefixed names win. All other variables belong to other
    /// programs, whatever is wrong with them.
    fn add_variables(&mut self, variables: &[Variable]) {
        for variable in variables {
            let shared = variable.name.strip_suffix("_FILE").unwrap_or(&variable.name);
            let key = variable.name.to_ascii_lowercase();
            if SHARED_NAMES.contains(&shared)
                && find_key(&key).is_some_and(|(_, in_file)| in_file == (shared != variable.name))
            {
                self.add_variable(&key, variable);
            }
        }
        for variable in variables {
            let Some(name) = variable.name.strip_prefix(PREFIX) else { continue };
            if FLAG_TWINS.contains(&name) {
                continue;
            }
            if is_injected_by_kubernetes(name, variable.value.as_deref().unwrap_or_default()) {
                self.ignored.push(variable.name.clone());
                continue;
            }
            let key = name.to_ascii_lowercase();
            if name.chars().any(|c| c.is_ascii_lowercase()) || find_key(&key).is_none() {
                let known = KEYS.iter().map(|key| key.name);
                let nearest = suggest(&key, known).map(|key| format!("{PREFIX}{}", key.to_ascii_uppercase()));
                self.faults.push(unknown(variable.origin.to_string(), nearest));
                continue;
            }
            self.add_variable(&key, variable);
        }
    }

    fn add_variable(&mut self, key: &str, variable: &Variable) {
        match &variable.value {
            Ok(value) => self.add(key, value.clone(), variable.origin.clone()),
            Err(problem) => {
                let next_step = "write NAME=value, and quotation marks in pairs";
                self.faults.push(Fault::new(&variable.origin, *problem, next_step));
            }
        }
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
        Origin::Dotenv { .. } | Origin::Environment(_) | Origin::Flag(_) => origin.to_string(),
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
