//! Reader for the neighbour services of BOS: ELS and the workers.
//!
//! ELS also reads the thin answer of the spell checker; [`read`](crate::read()) reads that one.

use serde::Deserialize;
use uuid::Uuid;

use super::envelope::open;
use super::fields::{Bounded, Id, Reference, Word, id, optional_id, required};
use super::news::RawEntity;
use super::{Incoming, ReadError};
use crate::course::{CourseCode, Language};
use crate::parts::EssayRef;
use crate::status::PhaseName;
use crate::strings::StorageId;
use crate::topic::Topic;

/// The payload of a record for a neighbour service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NeighbourBody {
    /// A batch was registered with these essays; one message per text follows.
    EssaysRegistered {
        /// The batch.
        batch_id: Uuid,
        /// Number of texts to wait for.
        expected_essay_count: u32,
        /// The essays.
        essay_ids: Vec<Uuid>,
        /// The course.
        course_code: CourseCode,
        /// The owner.
        user_id: String,
        /// The owner's organisation.
        org_id: Option<String>,
        /// The storage id of the assignment text.
        student_prompt_ref: Option<String>,
    },
    /// The text of one essay is stored. The file name is not read, because it may hold a student's name.
    EssayContentProvisioned {
        /// The batch.
        batch_id: Uuid,
        /// The id of the upload; BOS sends the essay's id.
        file_upload_id: String,
        /// The storage id of the text.
        text_storage_id: String,
        /// The size of the text in bytes.
        file_size_bytes: u64,
    },
    /// The command to start a phase.
    InitiatePhase {
        /// The phase; it follows from the topic.
        phase: PhaseName,
        /// The batch.
        batch_id: Uuid,
        /// The essays to process, with their texts.
        essays: Vec<EssayRef>,
        /// The language of the essays.
        language: Language,
        /// The storage id of the assignment text.
        student_prompt_ref: Option<String>,
    },
    /// The request to spellcheck one essay.
    SpellcheckRequested {
        /// The essay.
        essay_id: Uuid,
        /// Its batch.
        batch_id: Option<Uuid>,
        /// The storage id of its text.
        text_storage_id: String,
        /// The language of the essay; English if the record has none, as in the models of both generations.
        language: Language,
    },
    /// The request to analyse the essays of a batch.
    NlpRequested {
        /// The batch.
        batch_id: Uuid,
        /// The essays, with their texts.
        essays: Vec<EssayRef>,
        /// The language of the essays.
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

/// Reads a record for a neighbour service of BOS.
///
/// # Errors
/// See [`ReadError`]. A topic that no neighbour service reads here is [`ReadError::NotRead`].
#[expect(clippy::wildcard_enum_match_arm, reason = "every other topic is not read here")]
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

/// A command of BOS or a request of ELS to process the essays of a batch.
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
