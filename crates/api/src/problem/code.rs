//! The closed list of problem codes: status, title, whether repeating helps, and the page of each.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use axum::http::StatusCode;
use serde::{Serialize, Serializer};

/// Whether the same request can succeed later.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeat {
    Retryable,
    Final,
}

/// One line per code; a code without its page does not compile.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:literal, $repeat:ident, $title:literal;)*) => {
        /// What kind of problem it is; stable, for programs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code as it is written in answers.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The kind in a few words, the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// The page about it: what happened, why, what to do. Markdown.
            pub const fn page(self) -> &'static str {
                match self { $(Self::$variant => include_str!(concat!("../problems/", $name, ".md")),)* }
            }

            /// The HTTP status.
            pub fn status(self) -> StatusCode {
                let status: u16 = match self { $(Self::$variant => $status,)* };
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }

            const fn repeat(self) -> Repeat {
                match self { $(Self::$variant => Repeat::$repeat,)* }
            }
        }
    };
}

codes! {
    /// Some essays are not acceptable.
    Invalid = "invalid", 422, Final, "Some essays are not acceptable";
    /// There is no essay.
    NoEssays = "no_essays", 422, Final, "There is no essay";
    /// The batch has too many essays.
    TooManyEssays = "too_many_essays", 422, Final, "The batch has too many essays";
    /// An essay is empty.
    EmptyText = "empty_text", 422, Final, "An essay is empty";
    /// An essay is blank.
    BlankText = "blank_text", 422, Final, "An essay is blank";
    /// A text contains U+0000.
    NulCharacter = "nul_character", 422, Final, "A text contains U+0000";
    /// The text is not UTF-8.
    InvalidUtf8 = "invalid_utf8", 400, Final, "The text is not UTF-8";
    /// An essay is too large.
    TextTooLarge = "text_too_large", 413, Final, "An essay is too large";
    /// The request is too large.
    BodyTooLarge = "body_too_large", 413, Final, "The request is too large";
    /// The body broke off.
    BodyInterrupted = "body_interrupted", 400, Retryable, "The body broke off";
    /// The request came too slowly.
    RequestTimeout = "request_timeout", 408, Retryable, "The request came too slowly";
    /// The media type is not supported.
    UnsupportedMediaType = "unsupported_media_type", 415, Final, "The media type is not supported";
    /// The content encoding is not supported.
    UnsupportedEncoding = "unsupported_encoding", 415, Final, "The content encoding is not supported";
    /// The body is not JSON.
    MalformedJson = "malformed_json", 400, Final, "The body is not JSON";
    /// A key is there twice.
    DuplicateKey = "duplicate_key", 400, Final, "A key is there twice";
    /// A field is unknown.
    UnknownField = "unknown_field", 422, Final, "A field is unknown";
    /// A field is missing.
    MissingField = "missing_field", 422, Final, "A field is missing";
    /// A field has the wrong type.
    WrongType = "wrong_type", 422, Final, "A field has the wrong type";
    /// A query parameter is unknown.
    UnknownParameter = "unknown_parameter", 400, Final, "A query parameter is unknown";
    /// A query parameter is not acceptable.
    InvalidParameter = "invalid_parameter", 400, Final, "A query parameter is not acceptable";
    /// A label is not acceptable.
    InvalidLabel = "invalid_label", 422, Final, "A label is not acceptable";
    /// A text holds control characters.
    ControlCharacter = "control_character", 422, Final, "A short text holds control characters";
    /// A text is too long.
    TooLong = "too_long", 422, Final, "A short text is too long";
    /// A word is unknown.
    UnknownWord = "unknown_word", 422, Final, "A word is unknown";
    /// Two fields say the same.
    ConflictingFields = "conflicting_fields", 422, Final, "Two fields exclude each other";
    /// The form is malformed.
    MalformedForm = "malformed_form", 400, Final, "The form is malformed";
    /// A file is of a kind that is not taken.
    UnsupportedFile = "unsupported_file", 422, Final, "A file is not a text";
    /// It is not available yet.
    NotAvailable = "not_available", 422, Final, "This is not available yet";
    /// The course code is unknown.
    UnknownCourseCode = "unknown_course_code", 422, Final, "The course code is unknown";
    /// The language is unknown.
    UnknownLanguage = "unknown_language", 422, Final, "The language is unknown";
    /// Course and language disagree.
    CourseLanguageConflict = "course_language_conflict", 422, Final, "Course and language disagree";
    /// The phase is unknown.
    UnknownPhase = "unknown_phase", 422, Final, "The phase is unknown";
    /// No phase is named.
    NoPhases = "no_phases", 422, Final, "No phase is named";
    /// A phase is named twice.
    DuplicatePhase = "duplicate_phase", 422, Final, "A phase is named twice";
    /// Nobody serves this phase.
    PhaseNotServed = "phase_not_served", 409, Final, "Nobody serves this phase";
    /// A single essay is only spellchecked.
    SingleEssay = "single_essay", 409, Final, "A single essay is only spellchecked";
    /// Nobody says who calls.
    Unauthenticated = "unauthenticated", 401, Final, "Nobody says who calls";
    /// The token is of no use.
    InvalidToken = "invalid_token", 401, Final, "The token is of no use";
    /// The caller may not do this.
    InsufficientScope = "insufficient_scope", 403, Final, "The caller may not do this";
    /// The id is malformed.
    MalformedId = "malformed_id", 400, Final, "The id is malformed";
    /// There is no such thing.
    NotFound = "not_found", 404, Final, "There is no such thing";
    /// There is no such batch.
    UnknownBatch = "unknown_batch", 404, Final, "There is no such batch";
    /// It was erased.
    Erased = "erased", 410, Final, "It was erased";
    /// The method is not allowed.
    MethodNotAllowed = "method_not_allowed", 405, Final, "The method is not allowed";
    /// It exists already.
    AlreadyExists = "already_exists", 409, Final, "It exists already";
    /// Not possible in this state.
    WrongStage = "wrong_stage", 409, Final, "Not possible in this state";
    /// A phase is running.
    AlreadyRunning = "already_running", 409, Final, "A phase is running";
    /// Already done.
    AlreadyDone = "already_done", 409, Final, "Already done";
    /// The batch has ended.
    BatchEnded = "batch_ended", 409, Final, "The batch has ended";
    /// The batch takes no more essays.
    NotOpen = "not_open", 409, Final, "The batch takes no more essays";
    /// The lifecycle service cannot retry.
    NeighbourCannotRetry = "neighbour_cannot_retry", 409, Final, "The lifecycle service cannot retry";
    /// There is nothing to retry.
    NothingToRetry = "nothing_to_retry", 409, Final, "There is nothing to retry";
    /// Not begun yet.
    TooEarly = "too_early", 409, Retryable, "Not begun yet";
    /// The Idempotency-Key is malformed.
    IdempotencyKeyMalformed = "idempotency_key_malformed", 400, Final, "The Idempotency-Key is malformed";
    /// The Idempotency-Key was used for another request.
    IdempotencyKeyReused = "idempotency_key_reused", 422, Final, "The Idempotency-Key was used for another request";
    /// The same request is being worked on.
    IdempotencyInProgress = "idempotency_in_progress", 409, Retryable, "The same request is being worked on";
    /// The backlog is full.
    BacklogFull = "backlog_full", 503, Retryable, "The backlog is full";
    /// Too many requests.
    TooManyRequests = "too_many_requests", 429, Retryable, "Too many requests";
    /// The service is not available.
    Unavailable = "unavailable", 503, Retryable, "The service is not available";
    /// Something went wrong inside.
    Internal = "internal", 500, Final, "Something went wrong inside";
}

impl Code {
    /// Whether the same request can succeed later, unchanged.
    pub fn is_retryable(self) -> bool {
        self.repeat() == Repeat::Retryable
    }

    /// What `WWW-Authenticate` says (RFC 6750 §3), for problems of who calls.
    pub(super) fn challenge(self) -> Option<&'static str> {
        let challenges = [
            (Self::Unauthenticated, r#"Bearer realm="bos""#),
            (Self::InvalidToken, r#"Bearer realm="bos", error="invalid_token""#),
            (Self::InsufficientScope, r#"Bearer realm="bos", error="insufficient_scope""#),
        ];
        challenges.into_iter().find(|(code, _)| *code == self).map(|(_, challenge)| challenge)
    }

    /// What `Retry-After` says when nobody knows better: some seconds for what passes, nothing for the rest.
    pub(super) fn default_retry_after(self) -> Option<Duration> {
        self.is_retryable().then_some(Duration::from_secs(if self == Self::BacklogFull { 10 } else { 1 }))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Code {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.iter().copied().find(|code| code.as_str() == name).ok_or(())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
