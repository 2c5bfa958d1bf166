//! Settings that are one of a few words.

use super::setting::Setting;

/// An enum whose variants are words, in any case; the first spelling of a variant is the one that is shown.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $first:literal $(| $other:literal)*,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// The word as it is written in the configuration.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $first,)* }
            }
        }

        impl Setting for $name {
            fn parse(text: &str) -> Result<Self, String> {
                match text.to_ascii_lowercase().as_str() {
                    $($first $(| $other)* => Ok(Self::$variant),)*
                    _ => Err(concat!("is none of:" $(, " ", $first)*).to_owned()),
                }
            }
        }
    };
}

words! {
    /// How much is logged: this level and everything graver.
    LogLevel {
        /// Every step, for finding a fault.
        Debug = "debug",
        /// One line per decision.
        Info = "info",
        /// What somebody should look at.
        Warning = "warning" | "warn",
        /// What failed.
        Error = "error",
        /// The platform's word for the gravest level; the same as `error` here.
        Critical = "critical",
    }
}

words! {
    /// The shape of a log line.
    LogFormat {
        /// Text on a terminal, JSON elsewhere.
        Auto = "auto",
        /// For people.
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

words! {
    /// Which traces are kept, in OpenTelemetry's words.
    TracesSampler {
        /// All.
        AlwaysOn = "always_on",
        /// None.
        AlwaysOff = "always_off",
        /// A part.
        TraceIdRatio = "traceidratio",
        /// What the caller keeps; all that begin here.
        ParentBasedAlwaysOn = "parentbased_always_on",
        /// What the caller keeps, and nothing else.
        ParentBasedAlwaysOff = "parentbased_always_off",
        /// What the caller keeps; a part of those that begin here.
        ParentBasedTraceIdRatio = "parentbased_traceidratio",
    }
}

words! {
    /// How careful the start is.
    Environment {
        /// A laptop or a test: what is risky is warned about.
        Development = "development" | "dev",
        /// What is risky is refused unless it is allowed by name.
        Production = "production" | "prod",
    }
}

words! {
    /// Who may call.
    Auth {
        /// Everybody who reaches the port is the one principal `local`.
        Off = "off",
        /// Callers bring a static token.
        Token = "token",
        /// Callers are named by headers that a gateway vouches for with its token.
        Gateway = "gateway",
    }
}

words! {
    /// A neighbour that can run in the process on the embedded bus.
    Companion {
        /// The Content Service, on `/v1/content`.
        Content = "content",
        /// The Essay Lifecycle Service.
        Lifecycle = "lifecycle",
        /// The spell checker.
        Spellcheck = "spellcheck",
        /// The worker of the nlp phase.
        Nlp = "nlp",
    }
}

words! {
    /// A language that essays can be in.
    Language {
        /// English.
        En = "en",
        /// Swedish.
        Sv = "sv",
    }
}

words! {
    /// How Kafka connections are protected (librdkafka's `security.protocol`).
    KafkaSecurity {
        /// Nothing is encrypted and nobody proves who they are.
        Plaintext = "plaintext",
        /// TLS.
        Ssl = "ssl",
        /// A name and a password in the clear.
        SaslPlaintext = "sasl_plaintext",
        /// A name and a password under TLS.
        SaslSsl = "sasl_ssl",
    }
}

words! {
    /// How the name and the password are proven to Kafka (librdkafka's `sasl.mechanism`).
    SaslMechanism {
        /// As they are.
        Plain = "plain",
        /// By challenge, SHA-256.
        ScramSha256 = "scram-sha-256",
        /// By challenge, SHA-512.
        ScramSha512 = "scram-sha-512",
    }
}

impl KafkaSecurity {
    /// Whether what is sent can be read on the way.
    pub const fn is_plaintext(self) -> bool {
        matches!(self, Self::Plaintext | Self::SaslPlaintext)
    }

    /// Whether we say who we are.
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
