//! Schemas of closed sets of words, from the same lists that the rules use.

use domain::{
    AttentionCode, BatchStatus, EssayState, FailureCode, Kind, Language, Phase, PhaseStatus, WaitingCode,
};
use serde_json::Value;
use utoipa::openapi::schema::{Array, ArrayBuilder, Object, ObjectBuilder, SchemaType, Type};

/// The schema of a string that is one of these words.
pub(crate) fn words(words: impl Iterator<Item = &'static str>) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}

macro_rules! sets {
    ($($name:ident: $set:ty;)+) => {$(
        pub(crate) fn $name() -> Object {
            words(<$set>::ALL.iter().map(|word| word.as_str()))
        }
    )+};
}

sets! {
    attention_code: AttentionCode;
    batch_status: BatchStatus;
    essay_state: EssayState;
    failure_code: FailureCode;
    kind: Kind;
    language: Language;
    phase: Phase;
    phase_status: PhaseStatus;
    waiting_code: WaitingCode;
}

/// The schema of a phase or null.
pub(crate) fn phase_or_null() -> Object {
    let words = Phase::ALL.iter().map(|phase| Value::from(phase.as_str())).chain([Value::Null]);
    let types = SchemaType::from_iter([Type::String, Type::Null]);
    ObjectBuilder::new().schema_type(types).enum_values(Some(words)).build()
}

/// The schema of a list of batch statuses.
pub(crate) fn batch_statuses() -> Array {
    ArrayBuilder::new().items(batch_status()).build()
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

/// The schema of a list of phases.
pub(crate) fn phases() -> Array {
    ArrayBuilder::new().items(phase()).build()
}
