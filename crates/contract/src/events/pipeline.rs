//! The end of a pipeline.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::envelope::payload;
use crate::parts::{EntityRef, SystemMetadata, finite};
use crate::status::{FinalStatus, PhaseName};

/// The data of [`PipelineCompleted`].
#[derive(Debug, Clone, Copy)]
pub struct PipelineSummary<'a> {
    /// The batch.
    pub batch_id: Uuid,
    /// The phases in which at least one essay succeeded, in order.
    pub completed_phases: &'a [PhaseName],
    /// How the pipeline ended.
    pub final_status: FinalStatus,
    /// Seconds from the acceptance of the pipeline to its end.
    pub processing_duration_seconds: f64,
    /// Number of essays that succeeded in every requested phase.
    pub successful_essay_count: u32,
    /// Number of all other essays.
    pub failed_essay_count: u32,
    /// The batch's correlation id.
    pub correlation_id: Uuid,
}

/// A pipeline has ended, on [`Topic::BatchPipelineCompleted`](crate::Topic::BatchPipelineCompleted). 2026 only.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PipelineCompleted<'a> {
    event: &'static str,
    batch_id: Uuid,
    completed_phases: &'a [PhaseName],
    final_status: FinalStatus,
    #[serde(serialize_with = "finite")]
    processing_duration_seconds: f64,
    successful_essay_count: u32,
    failed_essay_count: u32,
    correlation_id: Uuid,
    metadata: SystemMetadata<'static>,
}

payload!(PipelineCompleted<'_>, "BatchPipelineCompletedV1");

impl<'a> PipelineCompleted<'a> {
    const EVENT: &'static str = "batch.pipeline.completed";

    /// The event, with its timestamp.
    pub fn new(summary: &PipelineSummary<'a>, at: DateTime<Utc>) -> Self {
        Self {
            event: Self::EVENT,
            batch_id: summary.batch_id,
            completed_phases: summary.completed_phases,
            final_status: summary.final_status,
            processing_duration_seconds: summary.processing_duration_seconds,
            successful_essay_count: summary.successful_essay_count,
            failed_essay_count: summary.failed_essay_count,
            correlation_id: summary.correlation_id,
            metadata: SystemMetadata::new(EntityRef::batch(summary.batch_id), Self::EVENT, at.into()),
        }
    }
}
