//! The table of topics.

use string_enum::string_enum;

string_enum! {
    /// A topic of the event bus that BOS or one of its embedded companions writes or reads.
    ///
    /// Records are routed by topic: the topic determines what a record holds, never its `event_type`.
    pub enum Topic: "topic" {
        /// BOS or ELS asks the spell checker to check one essay.
        EssaySpellcheckRequested = "huleedu.essay.spellcheck.requested.v1",
        /// BOS registers the essays of a batch with ELS.
        BatchEssaysRegistered = "huleedu.batch.essays.registered.v1",
        /// BOS tells ELS where the text of one essay is.
        EssayContentProvisioned = "huleedu.file.essay.content.provisioned.v1",
        /// BOS asks ELS to start spellcheck.
        SpellcheckInitiate = "huleedu.els.spellcheck.initiate.command.v1",
        /// BOS asks ELS to start nlp. First version, without a reader in 2026.
        NlpInitiateV1 = "huleedu.batch.nlp.initiate.command.v1",
        /// BOS asks ELS to start nlp.
        NlpInitiateV2 = "huleedu.batch.nlp.initiate.command.v2",
        /// BOS asks ELS to start `ai_feedback`.
        AiFeedbackInitiate = "huleedu.batch.ai_feedback.initiate.command.v1",
        /// BOS asks ELS to start `cj_assessment`.
        CjAssessmentInitiate = "huleedu.batch.cj_assessment.initiate.command.v1",
        /// BOS reports that a pipeline has ended.
        BatchPipelineCompleted = "huleedu.batch.pipeline.completed.v1",
        /// The 2025 spell checker's result for one essay.
        EssaySpellcheckCompleted = "huleedu.essay.spellcheck.completed.v1",
        /// The 2026 spell checker's thin result for one essay.
        SpellcheckPhaseCompleted = "huleedu.batch.spellcheck.phase.completed.v1",
        /// The 2026 spell checker's rich result for one essay.
        EssaySpellcheckResults = "huleedu.essay.spellcheck.results.v1",
        /// ELS reports the outcome of a phase.
        BatchPhaseOutcome = "huleedu.els.batch.phase.outcome.v1",
        /// ELS has every text of a batch (a guest's batch).
        BatchContentProvisioningCompleted = "huleedu.batch.content.provisioning.completed.v1",
        /// ELS has every text of a batch and its students are matched (a class).
        BatchEssaysReady = "huleedu.els.batch.essays.ready.v1",
        /// ELS asks the nlp worker to analyse the essays of a batch.
        BatchNlpProcessingRequestedV2 = "huleedu.batch.nlp.processing.requested.v2",
        /// The nlp worker has analysed a batch: which essays succeeded and which failed.
        BatchNlpAnalysisCompleted = "huleedu.batch.nlp.analysis.completed.v1",
        /// The nlp worker's measurements of one essay.
        EssayNlpCompleted = "huleedu.essay.nlp.completed.v1",
    }
}

impl Topic {
    /// The topics that BOS subscribes to and [`read`](crate::read()) accepts.
    pub const READ: &'static [Self] = &[
        Self::EssaySpellcheckCompleted,
        Self::SpellcheckPhaseCompleted,
        Self::EssaySpellcheckResults,
        Self::EssayNlpCompleted,
        Self::BatchPhaseOutcome,
        Self::BatchContentProvisioningCompleted,
        Self::BatchEssaysReady,
    ];

    /// The `event_type` of an envelope on this topic: the topic's name, except for `BatchPipelineCompletedV1`, whose readers
    /// expect `batch.pipeline.completed`.
    pub const fn event_type(self) -> &'static str {
        if matches!(self, Self::BatchPipelineCompleted) { "batch.pipeline.completed" } else { self.as_str() }
    }
}
