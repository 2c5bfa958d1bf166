//! The types of settings whose value is one of a fixed set of words.

pub use api::Auth;
pub use domain::SingleEssayRoad;
pub use telemetry::sampling::TracesSampler;
pub use telemetry::{LogFormat, LogLevel};

use super::setting::Setting;

/// Whether risky settings cause a warning or prevent the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// Risky settings cause a warning.
    Development,
    /// Risky settings prevent the start, unless an `allow_…` setting allows them.
    Production,
}

/// A companion that can run in the process on the embedded bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Companion {
    /// The Content Service, served at `/v1/content`.
    Content,
    /// The Essay Lifecycle Service.
    Lifecycle,
    /// The spell checker.
    Spellcheck,
    /// The worker of the nlp phase.
    Nlp,
}

/// The language of an essay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    En,
    /// Swedish.
    Sv,
}

/// Encryption and authentication of connections to Kafka (librdkafka's `security.protocol`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KafkaSecurity {
    /// Neither encryption nor authentication.
    Plaintext,
    /// TLS without a user name.
    Ssl,
    /// A user name and a password without encryption.
    SaslPlaintext,
    /// A user name and a password over TLS.
    SaslSsl,
}

/// How the password is sent to Kafka (librdkafka's `sasl.mechanism`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaslMechanism {
    /// The password itself.
    Plain,
    /// Challenge and response with SHA-256, without the password.
    ScramSha256,
    /// Challenge and response with SHA-512, without the password.
    ScramSha512,
}

/// Implements [`Setting`] for enums: the spellings of each variant, in any case. Error messages list the first of each.
macro_rules! spellings {
    ($($name:ident { $($variant:ident = $first:literal $(| $other:literal)*,)* })*) => {$(
        impl Setting for $name {
            fn parse(text: &str) -> Result<Self, String> {
                match text.to_ascii_lowercase().as_str() {
                    $($first $(| $other)* => Ok(Self::$variant),)*
                    _ => Err(concat!("is none of:" $(, " ", $first)*).to_owned()),
                }
            }
        }
    )*};
}

spellings! {
    LogLevel {
        Debug = "debug",
        Info = "info",
        Warning = "warning" | "warn",
        Error = "error",
        Critical = "critical",
    }
    LogFormat {
        Auto = "auto",
        Text = "text",
        Json = "json",
    }
    TracesSampler {
        AlwaysOn = "always_on",
        AlwaysOff = "always_off",
        TraceIdRatio = "traceidratio",
        ParentBasedAlwaysOn = "parentbased_always_on",
        ParentBasedAlwaysOff = "parentbased_always_off",
        ParentBasedTraceIdRatio = "parentbased_traceidratio",
    }
    Environment {
        Development = "development" | "dev",
        Production = "production" | "prod",
    }
    Auth {
        Off = "off",
        Token = "token",
        Gateway = "gateway",
    }
    Companion {
        Content = "content",
        Lifecycle = "lifecycle",
        Spellcheck = "spellcheck",
        Nlp = "nlp",
    }
    SingleEssayRoad {
        Request = "request",
        Lifecycle = "lifecycle",
    }
    Language {
        En = "en",
        Sv = "sv",
    }
    KafkaSecurity {
        Plaintext = "plaintext",
        Ssl = "ssl",
        SaslPlaintext = "sasl_plaintext",
        SaslSsl = "sasl_ssl",
    }
    SaslMechanism {
        Plain = "plain",
        ScramSha256 = "scram-sha-256",
        ScramSha512 = "scram-sha-512",
    }
}

impl Companion {
    /// The name of the companion and of its background task.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Lifecycle => "lifecycle",
            Self::Spellcheck => "spellcheck",
            Self::Nlp => "nlp",
        }
    }
}

impl SaslMechanism {
    /// librdkafka's name of the mechanism.
    pub const fn to_librdkafka(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl KafkaSecurity {
    /// Whether connections are unencrypted.
    pub const fn is_plaintext(self) -> bool {
        matches!(self, Self::Plaintext | Self::SaslPlaintext)
    }

    /// Whether the client authenticates with a user name and a password.
    pub const fn uses_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

/// The companions to run; the word `none` is the empty list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Companions(Vec<Companion>);

impl Companions {
    /// Whether this companion should run.
    pub fn has(&self, companion: Companion) -> bool {
        self.0.contains(&companion)
    }

    /// The companions to run, in the order of the setting.
    pub fn iter(&self) -> impl Iterator<Item = Companion> {
        self.0.iter().copied()
    }
}

impl Setting for Companions {
    fn parse(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self(Vec::new()));
        }
        text.split(',').map(|word| Companion::parse(word.trim())).collect::<Result<_, _>>().map(Self)
    }
}
