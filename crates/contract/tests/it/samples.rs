//! One sample of every record that is written.

use chrono::{DateTime, Utc};
use contract::*;
use uuid::Uuid;

pub(crate) const BATCH: Uuid = Uuid::from_u128(0x0198_b3d2_5a10_7c3e_9a51_2f60_c4d8_1e07);
pub(crate) const ESSAYS: [Uuid; 2] = [
    Uuid::from_u128(0x0198_b3d2_5a11_7c3e_8f02_b1a6_c2d3_e4f5),
    Uuid::from_u128(0x0198_b3d2_5a12_7c3e_a3c4_00d1_e2f3_a4b5),
];
pub(crate) const CORRELATION: Uuid = Uuid::from_u128(0x6a0b_5c1e_4d2f_5e3a_8b7c_9d0e_1f2a_3b4c);
const EVENT: Uuid = Uuid::from_u128(0x7f3e_2d1c_0b9a_5877_8665_5443_3221_1000);
const TEXT: &str = "4e1d0c9b8a7f6e5d4c3b2a1908172635";
const CORRECTED: &str = "99887766554433221100ffeeddccbbaa";
const PROMPT: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";

pub(crate) fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_772_439_330, 250_000_999).unwrap()
}

pub(crate) fn essays() -> Vec<EssayRef> {
    [TEXT, CORRECTED]
        .iter()
        .zip(ESSAYS)
        .map(|(text, essay_id)| EssayRef { essay_id, text_storage_id: (*text).to_owned() })
        .collect()
}

pub(crate) fn command() -> Command {
    Command {
        batch_id: BATCH,
        essays: essays(),
        language: Language::English,
        course_code: CourseCode::Eng6,
        class_type: ClassType::Guest,
        essay_instructions: "".into(),
        class_designation: "".into(),
        assignment_id: Some("assignment-12".to_owned()),
        student_prompt_ref: Some(PROMPT.to_owned()),
        owner_user_id: "user_7".to_owned(),
        org_id: None,
    }
}

/// A record with the models that it must satisfy.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) topic: Topic,
    /// The platform's models, by generation.
    pub(crate) models: Vec<(&'static str, &'static str)>,
    /// Whether the payload is a command, whose `event_name` did not exist in 2025.
    pub(crate) command: bool,
    pub(crate) bytes: Vec<u8>,
    pub(crate) pretty: String,
}

fn sample<T: Payload>(name: &'static str, topic: Topic, source: Source, data: T) -> Sample {
    sample_for(name, topic, source, data, None)
}

fn sample_for<T: Payload>(
    name: &'static str,
    topic: Topic,
    source: Source,
    data: T,
    metadata: Option<Metadata>,
) -> Sample {
    let envelope = Envelope::new(topic, EVENT, CORRELATION, at(), source, data, metadata);
    Sample {
        name,
        topic,
        models: vec![("2026", T::MODEL)],
        command: false,
        bytes: envelope.to_bytes(),
        pretty: serde_json::to_string_pretty(&envelope).unwrap(),
    }
}

impl Sample {
    fn and(mut self, generation: &'static str, model: &'static str) -> Self {
        self.models.push((generation, model));
        self
    }

    fn command(mut self, model_of_2025: &'static str) -> Self {
        self.command = true;
        self.and("2025", model_of_2025)
    }
}

fn report(verdict: Verdict) -> SpellcheckReport<'static> {
    let succeeded = verdict == Verdict::Succeeded;
    SpellcheckReport {
        essay_id: ESSAYS[0],
        batch_id: BATCH,
        correlation_id: CORRELATION,
        verdict,
        original_text_storage_id: TEXT,
        corrected_text_storage_id: succeeded.then_some(CORRECTED),
        corrections_made: if succeeded { 3 } else { 0 },
        word_count: if succeeded { 120 } else { 0 },
        processing_duration_ms: 41,
        error_code: (!succeeded).then_some("dictionary_missing"),
        processor_version: "speller 1.0",
    }
}

pub(crate) fn samples() -> Vec<Sample> {
    let (command, essays) = (command(), essays());
    let on_behalf = || Some(command.metadata());
    let registration = Registration {
        batch_id: BATCH,
        essay_ids: &ESSAYS,
        course_code: CourseCode::Eng5,
        user_id: "user_7",
        org_id: Some("org_2"),
        student_prompt_ref: Some(PROMPT),
    };
    let summary = PipelineSummary {
        batch_id: BATCH,
        completed_phases: &[PhaseName::Spellcheck, PhaseName::Nlp],
        final_status: FinalStatus::CompletedWithFailures,
        processing_duration_seconds: 12.0,
        successful_essay_count: 1,
        failed_essay_count: 1,
        correlation_id: CORRELATION,
    };
    let nlp = NlpReport {
        essay_id: ESSAYS[0],
        batch_id: BATCH,
        text_storage_id: CORRECTED,
        language: Language::English,
        figures: NlpFigures {
            words: 208,
            sentences: Some(13),
            mean_sentence_length: Some(16.0),
            lix: Some(38.5),
            type_token_ratio: Some(0.61),
            flesch: Some(71.25),
        },
        processing_time_ms: 8,
    };
    let nlp_command = |version| InitiateNlp::new(&command, version, at());
    let bos = Source::BatchOrchestratorService;
    let (els, speller, analyst) =
        (Source::EssayLifecycleService, Source::SpellcheckerService, Source::NlpService);
    vec![
        sample(
            "spellcheck_requested",
            Topic::EssaySpellcheckRequested,
            Source::BatchService,
            SpellcheckRequested::new(ESSAYS[0], Some(BATCH), TEXT, Language::Swedish, at()),
        )
        .and("2025", "SpellcheckRequestedDataV1")
        .and("2025", "EssayLifecycleSpellcheckRequestV1")
        .and("2026", "EssayLifecycleSpellcheckRequestV1"),
        sample(
            "batch_essays_registered",
            Topic::BatchEssaysRegistered,
            Source::BatchService,
            BatchEssaysRegistered::new(&registration, at()),
        ),
        sample(
            "essay_content_provisioned",
            Topic::EssayContentProvisioned,
            bos,
            EssayContentProvisioned::new(BATCH, ESSAYS[0], TEXT, 1_843, CORRELATION, at()),
        ),
        sample_for(
            "initiate_spellcheck",
            Topic::SpellcheckInitiate,
            bos,
            InitiateSpellcheck::new(&command, at()),
            on_behalf(),
        )
        .command("BatchServiceSpellcheckInitiateCommandDataV1"),
        sample_for(
            "initiate_nlp",
            NlpCommandVersion::V2.topic(),
            bos,
            nlp_command(NlpCommandVersion::V2),
            on_behalf(),
        )
        .command("BatchServiceNLPInitiateCommandDataV1"),
        sample_for(
            "initiate_nlp_v1",
            NlpCommandVersion::V1.topic(),
            bos,
            nlp_command(NlpCommandVersion::V1),
            on_behalf(),
        )
        .and("2026", "BatchServiceNLPInitiateCommandDataV1")
        .command("BatchServiceNLPInitiateCommandDataV1"),
        sample_for(
            "initiate_ai_feedback",
            Topic::AiFeedbackInitiate,
            bos,
            InitiateAiFeedback::new(&command, at()),
            on_behalf(),
        )
        .command("BatchServiceAIFeedbackInitiateCommandDataV1"),
        sample_for(
            "initiate_cj_assessment",
            Topic::CjAssessmentInitiate,
            bos,
            InitiateCjAssessment::new(&command, at()),
            on_behalf(),
        )
        .command("BatchServiceCJAssessmentInitiateCommandDataV1"),
        sample(
            "pipeline_completed",
            Topic::BatchPipelineCompleted,
            bos,
            PipelineCompleted::new(&summary, at()),
        ),
        sample(
            "content_provisioning_completed",
            Topic::BatchContentProvisioningCompleted,
            els,
            BatchContentProvisioningCompleted::new(
                BATCH,
                &essays,
                2,
                CourseCode::Sv1,
                "user_7",
                CORRELATION,
                at(),
            ),
        ),
        sample(
            "phase_outcome",
            Topic::BatchPhaseOutcome,
            els,
            ElsBatchPhaseOutcome::new(BATCH, PhaseName::Spellcheck, &essays[..1], &ESSAYS[1..], CORRELATION),
        ),
        sample(
            "nlp_requested",
            Topic::BatchNlpProcessingRequestedV2,
            els,
            BatchNlpProcessingRequestedV2::new(BATCH, &essays, Language::English, None, at()),
        ),
        sample(
            "spellcheck_thin_success",
            Topic::SpellcheckPhaseCompleted,
            speller,
            SpellcheckPhaseCompleted::new(&report(Verdict::Succeeded), at()),
        ),
        sample(
            "spellcheck_thin_failure",
            Topic::SpellcheckPhaseCompleted,
            speller,
            SpellcheckPhaseCompleted::new(&report(Verdict::Failed), at()),
        ),
        sample(
            "spellcheck_rich_success",
            Topic::EssaySpellcheckResults,
            speller,
            SpellcheckResult::new(&report(Verdict::Succeeded), at()),
        ),
        sample(
            "spellcheck_rich_failure",
            Topic::EssaySpellcheckResults,
            speller,
            SpellcheckResult::new(&report(Verdict::Failed), at()),
        ),
        sample("essay_nlp_completed", Topic::EssayNlpCompleted, analyst, EssayNlpCompleted::new(&nlp, at())),
        sample(
            "nlp_analysed",
            Topic::BatchNlpAnalysisCompleted,
            analyst,
            BatchNlpAnalysisCompleted::new(BATCH, &ESSAYS[..1], &ESSAYS[1..], 1.5, at()),
        ),
    ]
}
