//! Settings that are one of a few words.

pub use api::Auth;
pub use telemetry::sampling::TracesSampler;
pub use telemetry::{LogFormat, LogLevel};

use super::setting::Setting;

/// How careful the start is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// A laptop or a test: what is risky is warned about.
    Development,
    /// What is risky is refused unless it is allowed by name.
    Production,
}

/// A companion that can run in the process on the embedded bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Companion {
    /// The Content Service, on `/v1/content`.
    Content,
    /// The Essay Lifecycle Service.
    Lifecycle,
    /// The spell checker.
    Spellcheck,
    /// The worker of the nlp phase.
    Nlp,
}

/// A language that essays can be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    En,
    /// Swedish.
    Sv,
}

/// How Kafka connections are protected (librdkafka's `security.protocol`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KafkaSecurity {
    /// Neither encryption nor authentication.
    Plaintext,
    /// TLS.
    Ssl,
    /// A name and a password in the clear.
    SaslPlaintext,
    /// A name and a password under TLS.
    SaslSsl,
}

/// How the name and the password are proven to Kafka (librdkafka's `sasl.mechanism`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaslMechanism {
    /// As they are.
    Plain,
    /// By challenge, SHA-256.
    ScramSha256,
    /// By challenge, SHA-512.
    ScramSha512,
}

/// How the variants of an enum are spelled in the configuration, in any case; the first spelling is the one that is shown.
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
    /// Its name, also that of its task.
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
    /// librdkafka's name for it.
    pub const fn to_librdkafka(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl KafkaSecurity {
    /// Whether what is sent can be read on the way.
    pub const fn is_plaintext(self) -> bool {
        matches!(self, Self::Plaintext | Self::SaslPlaintext)
    }

    /// Whether the client authenticates with a name and a password.
    pub const fn has_a_name(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

/// The companions to run; the word `none` stands for the empty list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Companions(Vec<Companion>);

impl Companions {
    /// Whether this companion is to run.
    pub fn has(&self, companion: Companion) -> bool {
        self.0.contains(&companion)
    }

    /// The companions to run, in the order they were named.
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
