//! Registration of a batch with ELS: its essays, their texts, and the confirmation.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::course::CourseCode;
use crate::envelope::payload;
use crate::parts::{EntityRef, EssayRef, PromptRef, SystemMetadata};
use crate::time::Timestamp;

/// The data of [`BatchEssaysRegistered`].
#[derive(Debug, Clone, Copy)]
pub struct Registration<'a> {
    /// The batch.
    pub batch_id: Uuid,
    /// The essays whose text is stored, and no others, because ELS waits for every registered text without a time-out.
    pub essay_ids: &'a [Uuid],
    /// The course, which ELS requires.
    pub course_code: CourseCode,
    /// The owner.
    pub user_id: &'a str,
    /// The owner's organisation.
    pub org_id: Option<&'a str>,
    /// The Content Service's id of the assignment text.
    pub student_prompt_ref: Option<&'a str>,
}

/// Registers the essays of a batch with ELS, on [`Topic::BatchEssaysRegistered`](crate::Topic::BatchEssaysRegistered).
/// 2026 only.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BatchEssaysRegistered<'a> {
    event: &'static str,
    entity_id: Uuid,
    expected_essay_count: usize,
    essay_ids: &'a [Uuid],
    metadata: SystemMetadata<'static>,
    course_code: CourseCode,
    student_prompt_ref: Option<PromptRef<'a>>,
    user_id: &'a str,
    org_id: Option<&'a str>,
    class_id: Option<&'a str>,
}

payload!(BatchEssaysRegistered<'_>, "BatchEssaysRegistered");

impl<'a> BatchEssaysRegistered<'a> {
    const EVENT: &'static str = "batch.essays.registered";

    /// The event, with its timestamp. ELS waits for as many texts as there are ids. `class_id` is null, which
    /// makes it a guest's batch.
    pub fn new(registration: &Registration<'a>, at: DateTime<Utc>) -> Self {
        Self {
            event: Self::EVENT,
            entity_id: registration.batch_id,
            expected_essay_count: registration.essay_ids.len(),
            essay_ids: registration.essay_ids,
            metadata: SystemMetadata::new(EntityRef::batch(registration.batch_id), Self::EVENT, at.into()),
            course_code: registration.course_code,
            student_prompt_ref: registration.student_prompt_ref.map(PromptRef::new),
            user_id: registration.user_id,
            org_id: registration.org_id,
            class_id: None,
        }
    }
}

/// Tells ELS where the text of one essay is, on
/// [`Topic::EssayContentProvisioned`](crate::Topic::EssayContentProvisioned). 2026 only.
///
/// The file name is derived from the essay's id, because students often name files after themselves.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EssayContentProvisioned<'a> {
    event: &'static str,
    entity_id: Uuid,
    file_upload_id: Uuid,
    original_file_name: String,
    raw_file_storage_id: &'a str,
    text_storage_id: &'a str,
    file_size_bytes: u64,
    content_md5_hash: Option<&'static str>,
    correlation_id: Uuid,
    timestamp: Timestamp,
}

payload!(EssayContentProvisioned<'_>, "EssayContentProvisionedV1");

impl<'a> EssayContentProvisioned<'a> {
    /// The event, with its timestamp. There was no upload, so the upload has the essay's id and the raw file is the
    /// text.
    pub fn new(
        batch_id: Uuid,
        essay_id: Uuid,
        text_storage_id: &'a str,
        file_size_bytes: u64,
        correlation_id: Uuid,
        at: DateTime<Utc>,
    ) -> Self {
        Self {
            event: "essay.content.provisioned",
            entity_id: batch_id,
            file_upload_id: essay_id,
            original_file_name: format!("{essay_id}.txt"),
            raw_file_storage_id: text_storage_id,
            text_storage_id,
            file_size_bytes,
            content_md5_hash: None,
            correlation_id,
            timestamp: at.into(),
        }
    }
}

/// ELS has every text of a batch, on
/// [`Topic::BatchContentProvisioningCompleted`](crate::Topic::BatchContentProvisioningCompleted). 2026 only.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BatchContentProvisioningCompleted<'a> {
    event: &'static str,
    batch_id: Uuid,
    provisioned_count: usize,
    expected_count: u32,
    course_code: CourseCode,
    user_id: &'a str,
    essays_for_processing: &'a [EssayRef],
    correlation_id: Uuid,
    timestamp: Timestamp,
}

payload!(BatchContentProvisioningCompleted<'_>, "BatchContentProvisioningCompletedV1");

impl<'a> BatchContentProvisioningCompleted<'a> {
    /// The event, with its timestamp, with the essays as ELS paired them with texts.
    pub fn new(
        batch_id: Uuid,
        essays: &'a [EssayRef],
        expected_count: u32,
        course_code: CourseCode,
        user_id: &'a str,
        correlation_id: Uuid,
        at: DateTime<Utc>,
    ) -> Self {
        Self {
            event: "batch.content.provisioning.completed",
            batch_id,
            provisioned_count: essays.len(),
            expected_count,
            course_code,
            user_id,
            essays_for_processing: essays,
            correlation_id,
            timestamp: at.into(),
        }
    }
}
