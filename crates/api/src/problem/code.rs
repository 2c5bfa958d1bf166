//! The closed list of problem codes, each with its status, title, page, and whether the request can be retried.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use axum::http::StatusCode;

/// Whether the same request, unchanged, can succeed later.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeat {
    Retryable,
    Final,
}

/// One line per code. A code without a page does not compile.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:literal, $repeat:ident, $title:literal;)*) => {
        /// The kind of a problem, stable, for programs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code as it is written in answers, such as `not_found`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The kind of problem in a few words, the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// The page that explains the problem in Markdown: what happened, why, what to do.
            pub const fn page(self) -> &'static str {
                match self { $(Self::$variant => include_str!(concat!("../problems/", $name, ".md")),)* }
            }

            /// The HTTP status of the answer.
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
    /// The request has no essays.
    NoEssays = "no_essays", 422, Final, "The request has no essays";
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
    /// The body is incomplete.
    BodyInterrupted = "body_interrupted", 400, Retryable, "The body is incomplete";
    /// The request arrived too slowly.
    RequestTimeout = "request_timeout", 408, Retryable, "The request arrived too slowly";
    /// The media type is not supported.
    UnsupportedMediaType = "unsupported_media_type", 415, Final, "The media type is not supported";
    /// The content encoding is not supported.
    UnsupportedEncoding = "unsupported_encoding", 415, Final, "The content encoding is not supported";
    /// The body is not JSON.
    MalformedJson = "malformed_json", 400, Final, "The body is not JSON";
    /// A key occurs more than once.
    DuplicateKey = "duplicate_key", 400, Final, "A key occurs more than once";
    /// A field is unknown.
    UnknownField = "unknown_field", 422, Final, "A field is unknown";
    /// A field is missing.
    MissingField = "missing_field", 422, Final, "A field is missing";
    /// A field has the wrong type.
    WrongType = "wrong_type", 422, Final, "A field has the wrong type";
    /// A query parameter is unknown.
    UnknownParameter = "unknown_parameter", 400, Final, "A query parameter is unknown";
    /// A query parameter is invalid.
    InvalidParameter = "invalid_parameter", 400, Final, "A query parameter is invalid";
    /// A label is invalid.
    InvalidLabel = "invalid_label", 422, Final, "A label is invalid";
    /// A short text contains control characters.
    ControlCharacter = "control_character", 422, Final, "A short text contains control characters";
    /// A short text is too long.
    TooLong = "too_long", 422, Final, "A short text is too long";
    /// A value is not in the allowed set.
    UnknownWord = "unknown_word", 422, Final, "A value is not in the allowed set";
    /// Two fields exclude each other.
    ConflictingFields = "conflicting_fields", 422, Final, "Two fields exclude each other";
    /// The form is malformed.
    MalformedForm = "malformed_form", 400, Final, "The form is malformed";
    /// The file type is not supported.
    UnsupportedFile = "unsupported_file", 422, Final, "The file type is not supported";
    /// This is not available yet.
    NotAvailable = "not_available", 422, Final, "This is not available yet";
    /// Essays have the same name.
    DuplicateClientRef = "duplicate_client_ref", 422, Final, "Essays have the same name";
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
    /// No service runs this phase.
    PhaseNotServed = "phase_not_served", 409, Final, "No service runs this phase";
    /// A single essay can only be spellchecked.
    SingleEssay = "single_essay", 409, Final, "A single essay can only be spellchecked";
    /// Authentication is required.
    Unauthenticated = "unauthenticated", 401, Final, "Authentication is required";
    /// The token is invalid.
    InvalidToken = "invalid_token", 401, Final, "The token is invalid";
    /// The caller lacks the required scope.
    InsufficientScope = "insufficient_scope", 403, Final, "The caller lacks the required scope";
    /// The host is not served here.
    ForeignHost = "foreign_host", 403, Final, "The host is not served here";
    /// The web page may not use this service.
    ForeignOrigin = "foreign_origin", 403, Final, "The web page may not use this service";
    /// The header Host is invalid.
    InvalidHost = "invalid_host", 400, Final, "The header Host is invalid";
    /// The id is malformed.
    MalformedId = "malformed_id", 400, Final, "The id is malformed";
    /// Not found.
    NotFound = "not_found", 404, Final, "Not found";
    /// The batch does not exist.
    UnknownBatch = "unknown_batch", 404, Final, "The batch does not exist";
    /// The resource was erased.
    Erased = "erased", 410, Final, "The resource was erased";
    /// The method is not allowed.
    MethodNotAllowed = "method_not_allowed", 405, Final, "The method is not allowed";
    /// The batch already exists.
    AlreadyExists = "already_exists", 409, Final, "The batch already exists";
    /// Not possible in this state.
    WrongStage = "wrong_stage", 409, Final, "Not possible in this state";
    /// A phase is running.
    AlreadyRunning = "already_running", 409, Final, "A phase is running";
    /// The phases have already succeeded.
    AlreadyDone = "already_done", 409, Final, "The phases have already succeeded";
    /// The batch has ended.
    BatchEnded = "batch_ended", 409, Final, "The batch has ended";
    /// The batch accepts no more essays.
    NotOpen = "not_open", 409, Final, "The batch accepts no more essays";
    /// The lifecycle service cannot retry.
    NeighbourCannotRetry = "neighbour_cannot_retry", 409, Final, "The lifecycle service cannot retry";
    /// There is nothing to retry.
    NothingToRetry = "nothing_to_retry", 409, Final, "There is nothing to retry";
    /// The message is ahead of the batch.
    TooEarly = "too_early", 409, Retryable, "The message is ahead of the batch";
    /// The Idempotency-Key is malformed.
    IdempotencyKeyMalformed = "idempotency_key_malformed", 400, Final, "The Idempotency-Key is malformed";
    /// The Idempotency-Key was used for another request.
    IdempotencyKeyReused = "idempotency_key_reused", 422, Final, "The Idempotency-Key was used for another request";
    /// The same request is in progress.
    IdempotencyInProgress = "idempotency_in_progress", 409, Retryable, "The same request is in progress";
    /// The backlog is full.
    BacklogFull = "backlog_full", 503, Retryable, "The backlog is full";
    /// Too many requests.
    TooManyRequests = "too_many_requests", 429, Retryable, "Too many requests";
    /// Too many connections.
    TooManyConnections = "too_many_connections", 503, Retryable, "Too many connections";
    /// The service is unavailable.
    Unavailable = "unavailable", 503, Retryable, "The service is unavailable";
    /// Internal error.
    Internal = "internal", 500, Final, "Internal error";
}

impl Code {
    /// Whether the same request, unchanged, can succeed later.
    pub fn is_retryable(self) -> bool {
        self.repeat() == Repeat::Retryable
    }

    /// The value of `WWW-Authenticate` (RFC 6750 §3), for problems of authentication and authorization.
    pub(super) fn challenge(self) -> Option<&'static str> {
        let challenges = [
            (Self::Unauthenticated, r#"Bearer realm="bos""#),
            (Self::InvalidToken, r#"Bearer realm="bos", error="invalid_token""#),
            (Self::InsufficientScope, r#"Bearer realm="bos", error="insufficient_scope""#),
        ];
        challenges.into_iter().find(|(code, _)| *code == self).map(|(_, challenge)| challenge)
    }

    /// `Retry-After` of a problem that sets none itself: 10 s for a full backlog, 1 s for other retryable problems (chosen).
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
