//! Closed sets of words in the API's description: the very lists that the rules use.

use domain::{
    AttentionCode, BatchStatus, EssayState, FailureCode, Kind, Language, Phase, PhaseStatus, WaitingCode,
};
use serde_json::Value;
use utoipa::openapi::schema::{Array, ArrayBuilder, Object, ObjectBuilder, SchemaType, Type};

/// A string that is one of these words.
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

/// A phase, where there is one.
pub(crate) fn phase_or_null() -> Object {
    let words = Phase::ALL.iter().map(|phase| Value::from(phase.as_str())).chain([Value::Null]);
    let types = SchemaType::from_iter([Type::String, Type::Null]);
    ObjectBuilder::new().schema_type(types).enum_values(Some(words)).build()
}

/// Any of the statuses.
pub(crate) fn batch_statuses() -> Array {
    ArrayBuilder::new().items(batch_status()).build()
}

/// The orders of a list.
pub(crate) fn sort() -> Object {
    words(["-created_at", "created_at"].into_iter())
}

/// What a list can have beside its page.
pub(crate) fn include() -> Object {
    words(["counts"].into_iter())
}

/// The ends of essays that results can be asked by.
pub(crate) fn outcome() -> Object {
    words(["succeeded", "failed"].into_iter())
}

/// The courses of the platform.
pub(crate) fn course_code() -> Object {
    words(engine::courses().map(|(code, _)| code))
}

/// A list of phases.
pub(crate) fn phases() -> Array {
    ArrayBuilder::new().items(phase()).build()
}
