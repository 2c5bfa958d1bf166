//! What a neighbour of BOS reads: ELS and the workers.
//!
//! The thin answer of the spell checker, which ELS reads too, is read by [`read`](crate::read()).

use serde::Deserialize;
use uuid::Uuid;

use super::envelope::open;
use super::fields::{Bounded, Id, Reference, StorageId, Word, id, optional_id, required};
use super::news::RawEntity;
use super::{Incoming, ReadError};
use crate::course::{CourseCode, Language};
use crate::parts::EssayRef;
use crate::status::PhaseName;
use crate::topic::Topic;

/// What a record tells a neighbour of BOS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NeighbourBody {
    /// A batch holds these essays, whose texts will come.
    EssaysRegistered {
        /// The batch.
        batch_id: Uuid,
        /// How many texts to wait for.
        expected_essay_count: u32,
        /// The essays.
        essay_ids: Vec<Uuid>,
        /// The course.
        course_code: CourseCode,
        /// The owner.
        user_id: String,
        /// The owner's organisation.
        org_id: Option<String>,
        /// Where the task that was given to the pupils is kept.
        student_prompt_ref: Option<String>,
    },
    /// The text of one essay is in place. The name of its file is not read: it may be a pupil's.
    EssayContentProvisioned {
        /// The batch.
        batch_id: Uuid,
        /// The upload it came with; BOS gives the essay's id.
        file_upload_id: String,
        /// Where the text is.
        text_storage_id: String,
        /// How long it is.
        file_size_bytes: u64,
    },
    /// A phase is to start.
    InitiatePhase {
        /// The phase, which the topic says.
        phase: PhaseName,
        /// The batch.
        batch_id: Uuid,
        /// The essays to process, with their texts.
        essays: Vec<EssayRef>,
        /// Their language.
        language: Language,
        /// Where the task that was given to the pupils is kept.
        student_prompt_ref: Option<String>,
    },
    /// One essay is to be spellchecked.
    SpellcheckRequested {
        /// The essay.
        essay_id: Uuid,
        /// Its batch.
        batch_id: Option<Uuid>,
        /// Its text.
        text_storage_id: String,
        /// Its language; English where the writer does not say, as the models of both generations allow.
        language: Language,
    },
    /// The essays of a batch are to be analysed.
    NlpRequested {
        /// The batch.
        batch_id: Uuid,
        /// The essays, with their texts.
        essays: Vec<EssayRef>,
        /// Their language.
        language: Language,
    },
    /// The essays of a batch have been analysed.
    NlpAnalysed {
        /// The batch.
        batch_id: Uuid,
        /// The essays that succeeded.
        succeeded: Vec<Uuid>,
        /// The essays that failed.
        failed: Vec<Uuid>,
    },
}

/// Reads a record that is meant for a neighbour of BOS.
///
/// # Errors
/// See [`ReadError`]. A topic that only BOS reads, or nobody here, is [`ReadError::NotRead`].
#[expect(clippy::wildcard_enum_match_arm, reason = "a topic is read here or it is not")]
pub fn read_neighbour(topic: Topic, bytes: &[u8]) -> Result<Incoming<NeighbourBody>, ReadError> {
    let phase = match topic {
        Topic::BatchEssaysRegistered => return open::<RawRegistered>(bytes)?.try_map(RawRegistered::body),
        Topic::EssayContentProvisioned => return open::<RawContent>(bytes)?.try_map(RawContent::body),
        Topic::EssaySpellcheckRequested => return open::<RawRequest>(bytes)?.try_map(RawRequest::body),
        Topic::BatchNlpProcessingRequestedV2 => {
            return open::<RawWork>(bytes)?.try_map(RawWork::nlp_requested);
        }
        Topic::BatchNlpAnalysisCompleted => return open::<RawAnalysed>(bytes)?.try_map(RawAnalysed::body),
        Topic::SpellcheckInitiate => PhaseName::Spellcheck,
        Topic::NlpInitiateV1 | Topic::NlpInitiateV2 => PhaseName::Nlp,
        Topic::AiFeedbackInitiate => PhaseName::AiFeedback,
        Topic::CjAssessmentInitiate => PhaseName::CjAssessment,
        topic => return Err(ReadError::NotRead { topic }),
    };
    open::<RawWork>(bytes)?.try_map(|work| work.command(phase))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawPrompt {
    references: Option<RawPromptReferences>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawPromptReferences {
    student_prompt_text: Option<Reference>,
}

impl RawPrompt {
    fn storage_id(prompt: Option<Self>) -> Option<String> {
        prompt?.references?.student_prompt_text?.into_inner()
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawRegistered {
    entity_id: Option<Id>,
    expected_essay_count: Option<u32>,
    essay_ids: Option<Bounded<Uuid>>,
    course_code: Option<Word<CourseCode>>,
    user_id: Option<String>,
    org_id: Option<String>,
    student_prompt_ref: Option<RawPrompt>,
}

impl RawRegistered {
    fn body(self) -> Result<NeighbourBody, ReadError> {
        Ok(NeighbourBody::EssaysRegistered {
            batch_id: id([self.entity_id], "data.entity_id")?,
            expected_essay_count: required(self.expected_essay_count, "data.expected_essay_count")?,
            essay_ids: Bounded::items(self.essay_ids, "data.essay_ids")?,
            course_code: Word::known(self.course_code, "data.course_code")?,
            user_id: required(self.user_id, "data.user_id")?,
            org_id: self.org_id,
            student_prompt_ref: RawPrompt::storage_id(self.student_prompt_ref),
        })
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawContent {
    entity_id: Option<Id>,
    file_upload_id: Option<String>,
    text_storage_id: Option<StorageId>,
    file_size_bytes: Option<u64>,
}

impl RawContent {
    fn body(self) -> Result<NeighbourBody, ReadError> {
        Ok(NeighbourBody::EssayContentProvisioned {
            batch_id: id([self.entity_id], "data.entity_id")?,
            file_upload_id: required(self.file_upload_id, "data.file_upload_id")?,
            text_storage_id: required(self.text_storage_id, "data.text_storage_id")?.into_inner(),
            file_size_bytes: required(self.file_size_bytes, "data.file_size_bytes")?,
        })
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawRequest {
    entity_ref: Option<RawEntity>,
    entity_id: Option<Id>,
    parent_id: Option<Id>,
    text_storage_id: Option<StorageId>,
    language: Option<Word<Language>>,
}

impl RawRequest {
    fn body(self) -> Result<NeighbourBody, ReadError> {
        let (essay, parent) = RawEntity::ids(self.entity_ref);
        Ok(NeighbourBody::SpellcheckRequested {
            essay_id: id([essay, self.entity_id], "data.entity_id")?,
            batch_id: optional_id([parent, self.parent_id], "data.parent_id")?,
            text_storage_id: required(self.text_storage_id, "data.text_storage_id")?.into_inner(),
            language: match self.language {
                None => Language::English,
                stated => Word::known(stated, "data.language")?,
            },
        })
    }
}

/// A command of BOS or a request of ELS: work on the essays of a batch.
#[derive(Deserialize, Default)]
#[serde(default)]
struct RawWork {
    entity_ref: Option<RawEntity>,
    entity_id: Option<Id>,
    batch_id: Option<Id>,
    essays_to_process: Option<Bounded<EssayRef>>,
    essays_for_cj: Option<Bounded<EssayRef>>,
    language: Option<Word<Language>>,
    student_prompt_ref: Option<RawPrompt>,
}

impl RawWork {
    fn parts(self) -> Result<(Uuid, Vec<EssayRef>, Language, Option<RawPrompt>), ReadError> {
        let (batch, _) = RawEntity::ids(self.entity_ref);
        Ok((
            id([self.batch_id, batch, self.entity_id], "data.entity_id")?,
            Bounded::items(self.essays_to_process.or(self.essays_for_cj), "data.essays_to_process")?,
            Word::known(self.language, "data.language")?,
            self.student_prompt_ref,
        ))
    }

    fn command(self, phase: PhaseName) -> Result<NeighbourBody, ReadError> {
        let (batch_id, essays, language, prompt) = self.parts()?;
        let student_prompt_ref = RawPrompt::storage_id(prompt);
        Ok(NeighbourBody::InitiatePhase { phase, batch_id, essays, language, student_prompt_ref })
    }

    fn nlp_requested(self) -> Result<NeighbourBody, ReadError> {
        let (batch_id, essays, language, _) = self.parts()?;
        Ok(NeighbourBody::NlpRequested { batch_id, essays, language })
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawAnalysed {
    batch_id: Option<Id>,
    processing_summary: Option<RawSummary>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawSummary {
    successful_essay_ids: Option<Bounded<Uuid>>,
    failed_essay_ids: Option<Bounded<Uuid>>,
}

impl RawAnalysed {
    fn body(self) -> Result<NeighbourBody, ReadError> {
        let summary = required(self.processing_summary, "data.processing_summary")?;
        Ok(NeighbourBody::NlpAnalysed {
            batch_id: id([self.batch_id], "data.batch_id")?,
            succeeded: Bounded::items(
                summary.successful_essay_ids,
                "data.processing_summary.successful_essay_ids",
            )?,
            failed: Bounded::items(summary.failed_essay_ids, "data.processing_summary.failed_essay_ids")?,
        })
    }
}
