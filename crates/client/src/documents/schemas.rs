//! Schemas of closed sets of words, from the same lists that the rules use.

use domain::{
    AttentionCode, BatchStatus, EssayState, FailureCode, Kind, Language, Phase, PhaseStatus, WaitingCode,
};
use serde_json::Value;
use utoipa::openapi::schema::{Array, ArrayBuilder, Object, ObjectBuilder, SchemaType, Type};

/// The schema of a string that is one of these words.
pub fn words(words: impl Iterator<Item = &'static str>) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}

macro_rules! sets {
    ($($name:ident: $set:ident, $doc:literal;)+) => {$(
        #[doc = concat!("The schema of ", $doc, ".")]
        pub fn $name() -> Object {
            words($set::ALL.iter().map(|word| word.as_str()))
        }
    )+};
}

sets! {
    attention_code: AttentionCode, "a reason for attention";
    batch_status: BatchStatus, "the status of a batch";
    essay_state: EssayState, "the state of an essay";
    failure_code: FailureCode, "the reason for which a phase failed";
    kind: Kind, "the kind of a batch";
    language: Language, "a language";
    phase: Phase, "a phase";
    phase_status: PhaseStatus, "the status of a phase";
    waiting_code: WaitingCode, "what a batch waits for";
}

/// The schema of a phase or null.
pub fn phase_or_null() -> Object {
    let words = Phase::ALL.iter().map(|phase| Value::from(phase.as_str())).chain([Value::Null]);
    let types = SchemaType::from_iter([Type::String, Type::Null]);
    ObjectBuilder::new().schema_type(types).enum_values(Some(words)).build()
}

/// The schema of a list of phases.
pub fn phases() -> Array {
    ArrayBuilder::new().items(phase()).build()
}
