//! As whom a request counts towards the limit on requests in progress.

/// The caller under whose name a request is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Counted {
    /// The public part of a token.
    Token(String),
    /// A user whom a gateway names, with the organisation.
    OfGateway(String, Option<String>),
}
