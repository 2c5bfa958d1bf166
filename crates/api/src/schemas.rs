//! Schemas of the closed sets of words in parameters and forms. Those in documents are beside the documents.

pub(crate) use client::documents::schemas::{essay_state, kind, language, words};
use utoipa::openapi::schema::{Array, ArrayBuilder, Object};

/// The schema of a list of batch statuses.
pub(crate) fn batch_statuses() -> Array {
    ArrayBuilder::new().items(client::documents::schemas::batch_status()).build()
}

/// The schema of the parameter `sort`.
pub(crate) fn sort() -> Object {
    words(["-created_at", "created_at"].into_iter())
}

/// The schema of the parameter `include`.
pub(crate) fn include() -> Object {
    words(["counts"].into_iter())
}

/// The schema of the parameter `outcome`.
pub(crate) fn outcome() -> Object {
    words(["succeeded", "failed"].into_iter())
}

/// The schema of a course code of the platform.
pub(crate) fn course_code() -> Object {
    words(engine::courses().map(|(code, _)| code))
}
