//! Commands from BOS to ELS.
//!
//! Each command is the union of the two generations' models, with the `event_name` of 2026. In 2025 ELS read no commands and
//! the name had no value, so a 2025 model reports the `event_name` and nothing else.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::course::{CourseCode, Language};
use crate::envelope::{Metadata, payload};
use crate::parts::{EntityRef, EssayRef, Private, PromptRef, Subject};
use crate::status::ClassType;
use crate::time::Timestamp;
use crate::topic::Topic;

/// The data of a command, for any phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The batch.
    pub batch_id: Uuid,
    /// The essays to process, each with the text that the phase before produced.
    pub essays: Vec<EssayRef>,
    /// The language of the essays.
    pub language: Language,
    /// The course. For a batch that states only a language: the operator's choice, or [`Language::default_course`].
    pub course_code: CourseCode,
    /// Whether the batch belongs to a guest or to a class.
    pub class_type: ClassType,
    /// The assignment's instructions; empty unless the operator allows class context to be sent.
    pub essay_instructions: Private,
    /// The name of the class; empty unless the operator allows class context to be sent.
    pub class_designation: Private,
    /// The platform's id of an assignment, at most 100 characters.
    pub assignment_id: Option<String>,
    /// The Content Service's id of the assignment text.
    pub student_prompt_ref: Option<String>,
    /// The owner of the batch.
    pub owner_user_id: String,
    /// The owner's organisation.
    pub org_id: Option<String>,
}

impl Command {
    /// The envelope's metadata: the owner of the batch.
    pub fn metadata(&self) -> Metadata {
        Metadata { user_id: Some(self.owner_user_id.clone()), org_id: self.org_id.clone(), traceparent: None }
    }

    fn prompt(&self) -> Option<PromptRef<'_>> {
        self.student_prompt_ref.as_deref().map(PromptRef::new)
    }

    fn start(&self, event_name: &'static str, at: DateTime<Utc>) -> Start<'_> {
        Start {
            event_name,
            subject: EntityRef::batch(self.batch_id).into(),
            timestamp: at.into(),
            essays_to_process: &self.essays,
            language: self.language,
        }
    }

    fn teaching(&self) -> TeachingContext<'_> {
        TeachingContext {
            course_code: self.course_code,
            teacher_name: "",
            class_designation: &self.class_designation,
            essay_instructions: &self.essay_instructions,
            student_prompt_ref: self.prompt(),
            class_type: self.class_type,
        }
    }
}

/// The fields of every command.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Start<'a> {
    event_name: &'static str,
    #[serde(flatten)]
    subject: Subject,
    timestamp: Timestamp,
    essays_to_process: &'a [EssayRef],
    language: Language,
}

/// The fields of a command whose receiver assesses the essays as a teacher would.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct TeachingContext<'a> {
    course_code: CourseCode,
    teacher_name: &'static str,
    class_designation: &'a Private,
    essay_instructions: &'a Private,
    student_prompt_ref: Option<PromptRef<'a>>,
    class_type: ClassType,
}

/// Starts spellcheck, on [`Topic::SpellcheckInitiate`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct InitiateSpellcheck<'a>(Start<'a>);

payload!(InitiateSpellcheck<'_>, "BatchServiceSpellcheckInitiateCommandDataV1");

impl<'a> InitiateSpellcheck<'a> {
    /// The command, with its timestamp.
    pub fn new(command: &'a Command, at: DateTime<Utc>) -> Self {
        Self(command.start("batch.spellcheck.initiate.command", at))
    }
}

/// The version of the nlp command, and so its topic. The current platform reads the second version only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NlpCommandVersion {
    /// [`Topic::NlpInitiateV1`].
    V1,
    /// [`Topic::NlpInitiateV2`].
    #[default]
    V2,
}

impl NlpCommandVersion {
    /// The topic of this version.
    pub const fn topic(self) -> Topic {
        match self {
            Self::V1 => Topic::NlpInitiateV1,
            Self::V2 => Topic::NlpInitiateV2,
        }
    }
}

/// Starts nlp, on [`NlpCommandVersion::topic`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InitiateNlp<'a> {
    #[serde(flatten)]
    start: Start<'a>,
    student_prompt_ref: Option<PromptRef<'a>>,
}

payload!(InitiateNlp<'_>, "BatchServiceNLPInitiateCommandDataV2");

impl<'a> InitiateNlp<'a> {
    /// The command, with its timestamp. The versions differ in their `event_name` only.
    pub fn new(command: &'a Command, version: NlpCommandVersion, at: DateTime<Utc>) -> Self {
        let event_name = match version {
            NlpCommandVersion::V1 => "batch.nlp.initiate.command",
            NlpCommandVersion::V2 => "batch.nlp.initiate.command.v2",
        };
        Self { start: command.start(event_name, at), student_prompt_ref: command.prompt() }
    }
}

/// Starts `ai_feedback`, on [`Topic::AiFeedbackInitiate`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InitiateAiFeedback<'a> {
    #[serde(flatten)]
    start: Start<'a>,
    #[serde(flatten)]
    teaching: TeachingContext<'a>,
    owner_user_id: &'a str,
}

payload!(InitiateAiFeedback<'_>, "BatchServiceAIFeedbackInitiateCommandDataV1");

impl<'a> InitiateAiFeedback<'a> {
    /// The command, with its timestamp.
    pub fn new(command: &'a Command, at: DateTime<Utc>) -> Self {
        Self {
            start: command.start("batch.ai_feedback.initiate.command", at),
            teaching: command.teaching(),
            owner_user_id: &command.owner_user_id,
        }
    }
}

/// Starts `cj_assessment`, on [`Topic::CjAssessmentInitiate`].
///
/// The list of essays stands twice: 2025 reads `essays_for_cj`, 2026 reads `essays_to_process`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InitiateCjAssessment<'a> {
    #[serde(flatten)]
    start: Start<'a>,
    essays_for_cj: &'a [EssayRef],
    #[serde(flatten)]
    teaching: TeachingContext<'a>,
    assignment_id: Option<&'a str>,
}

payload!(InitiateCjAssessment<'_>, "BatchServiceCJAssessmentInitiateCommandDataV1");

impl<'a> InitiateCjAssessment<'a> {
    /// The command, with its timestamp.
    pub fn new(command: &'a Command, at: DateTime<Utc>) -> Self {
        Self {
            start: command.start("batch.cj_assessment.initiate.command", at),
            essays_for_cj: &command.essays,
            teaching: command.teaching(),
            assignment_id: command.assignment_id.as_deref(),
        }
    }
}
