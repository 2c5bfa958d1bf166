//! Messages of the rules → the platform's messages. Besides [`super::from`], the only file that uses both `contract` and `domain`.
//!
//! The rules name a message; its content is read here from the rows that it lists. The bytes never change once they are in the
//! outbox.

use chrono::{DateTime, Utc};
use contract::{
    BatchEssaysRegistered, ClassType, Command, CourseCode, Envelope, EssayContentProvisioned, EssayRef,
    FinalStatus, InitiateAiFeedback, InitiateCjAssessment, InitiateNlp, InitiateSpellcheck, Metadata,
    NlpCommandVersion, Payload, PhaseName, PipelineCompleted, PipelineSummary, Private, Registration, Source,
    SpellcheckRequested, Topic,
};
use domain::{CorrelationId, End, Kind, Language, Message, Phase, Stage, event_id};
use store::{BatchRow, OutboxRow, Tx};
use uuid::Uuid;

use crate::error::Error;
use crate::settings::Settings;
use crate::traceparent::Traceparent;

/// The topic of events for any subscriber. All other messages are commands and registrations for the services of one batch.
pub(crate) const BROADCAST: Topic = Topic::BatchPipelineCompleted;

/// Makes the outbox rows of one message, with this trace context, and takes the next numbers of the batch's sequence.
pub(crate) async fn messages(
    tx: &mut Tx,
    row: &mut BatchRow,
    message: Message,
    settings: &Settings,
    trace: Option<Traceparent>,
) -> Result<Vec<OutboxRow>, Error> {
    let mut writer = Writer::new(row, tx.now(), trace);
    match message {
        Message::SpellcheckRequests { attempt, resend } => {
            let essays = tx.essays_to_process(writer.batch(), Phase::Spellcheck, attempt).await?;
            for essay in essays {
                writer.spellcheck_request(essay.essay_id, essay.storage_id.as_str(), (attempt, resend))?;
            }
        }
        Message::Registration => {
            let essays = tx.essays_stored(writer.batch()).await?;
            let ids: Vec<Uuid> = essays.iter().map(|essay| essay.essay_id.as_uuid()).collect();
            writer.registered(&ids, settings)?;
            for essay in essays {
                let bytes = u64::try_from(essay.size_bytes).unwrap_or_default();
                writer.provisioned(essay.essay_id, essay.storage_id.as_str(), bytes)?;
            }
        }
        Message::Command { phase, attempt, resend } => {
            let essays = tx.essays_to_process(writer.batch(), phase, attempt).await?;
            let essays = essays
                .into_iter()
                .map(|essay| EssayRef {
                    essay_id: essay.essay_id.as_uuid(),
                    text_storage_id: essay.storage_id.into(),
                })
                .collect();
            writer.command(phase, (attempt, resend), essays, settings)?;
        }
        Message::PipelineCompleted { run } => writer.pipeline_completed(run)?,
    }
    Ok(writer.rows)
}

/// The course code that is sent for a batch: the caller's, or the default of its language, because ELS requires one.
fn course(row: &BatchRow, settings: &Settings) -> CourseCode {
    let stated = row.details.course_code.as_deref();
    let fallback = match row.batch.language {
        Language::En => &settings.default_course_en,
        Language::Sv => &settings.default_course_sv,
    };
    let parsed = stated.and_then(|code| code.parse().ok()).or_else(|| fallback.parse().ok());
    parsed.unwrap_or_else(|| language(row.batch.language).default_course())
}

fn language(language: Language) -> contract::Language {
    match language {
        Language::En => contract::Language::English,
        Language::Sv => contract::Language::Swedish,
    }
}

/// The part of an event id that tells a message that is sent again from the first one. Each resend has its own number, so its
/// event id is the same on every publish attempt.
fn resend_part(resend: u32) -> String {
    if resend == 0 { String::new() } else { format!("resend {resend}") }
}

/// The platform's name of a phase.
pub(super) fn phase_name(phase: Phase) -> PhaseName {
    match phase {
        Phase::Spellcheck => PhaseName::Spellcheck,
        Phase::Nlp => PhaseName::Nlp,
        Phase::AiFeedback => PhaseName::AiFeedback,
        Phase::CjAssessment => PhaseName::CjAssessment,
    }
}

/// The destination of a message, and the parts that its event id is derived from.
struct Address<'a> {
    topic: Topic,
    source: Source,
    aggregate: &'a str,
    phase: Option<Phase>,
    attempt: Option<u32>,
    resend: u32,
    part: &'a str,
    kafka_key: String,
    ordering_key: String,
    correlation: CorrelationId,
    metadata: Option<Metadata>,
}

struct Writer<'r> {
    row: &'r mut BatchRow,
    now: DateTime<Utc>,
    id: String,
    rows: Vec<OutboxRow>,
    /// The W3C trace context, for the headers and the metadata of commands.
    traceparent: Option<String>,
}

impl<'r> Writer<'r> {
    fn new(row: &'r mut BatchRow, now: DateTime<Utc>, trace: Option<Traceparent>) -> Self {
        let id = row.batch.id.to_string();
        Self { row, now, id, rows: Vec::new(), traceparent: trace.map(|trace| trace.to_string()) }
    }

    fn batch(&self) -> domain::BatchId {
        self.row.batch.id
    }

    /// An address for the batch itself: keyed and ordered by the batch's id.
    fn address(&self, topic: Topic, source: Source) -> Address<'static> {
        Address {
            topic,
            source,
            aggregate: "",
            phase: None,
            attempt: None,
            resend: 0,
            part: "",
            kafka_key: self.id.clone(),
            ordering_key: self.id.clone(),
            correlation: self.row.batch.correlation_id,
            metadata: None,
        }
    }

    fn attempt_correlation(&self, phase: Phase, attempt: u32) -> CorrelationId {
        self.row.batch.correlation_id.for_attempt(self.row.batch.run, phase, attempt)
    }

    fn write<T: Payload>(&mut self, to: Address<'_>, data: T) -> Result<(), Error> {
        let aggregate = if to.aggregate.is_empty() { &self.id } else { to.aggregate };
        let run = self.row.batch.run;
        let resend = resend_part(to.resend);
        let part = if to.resend == 0 { to.part } else { &resend };
        let event = event_id(to.topic.as_str(), aggregate, run, to.phase, to.attempt, part);
        let envelope =
            Envelope::new(to.topic, event, to.correlation.as_uuid(), self.now, to.source, data, to.metadata);
        let key_seq = self.row.next_key_seq;
        self.row.next_key_seq += 1;
        let delivery = contract::Delivery {
            key_seq,
            attempt: to.attempt,
            resend: to.resend,
            traceparent: self.traceparent.as_deref(),
        };
        let headers: serde_json::Map<String, serde_json::Value> = contract::headers(&envelope, delivery)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        self.rows.push(OutboxRow {
            shard: self.row.shard,
            event_id: event,
            ordering_key: to.ordering_key,
            key_seq,
            topic: to.topic.as_str().to_owned(),
            kafka_key: to.kafka_key,
            payload: envelope.to_bytes(),
            headers: serde_json::to_string(&headers).map_err(|_| Error::Unwritable)?,
        });
        Ok(())
    }

    /// Adds a request to the spell checker. A single essay is a batch of one, and its request follows its registration; the
    /// requests of a class need no order among each other.
    fn spellcheck_request(
        &mut self,
        essay: domain::EssayId,
        text: &str,
        (attempt, resend): (u32, u32),
    ) -> Result<(), Error> {
        let language = language(self.row.batch.language);
        let parent = Some(self.row.batch.id.as_uuid());
        let data = SpellcheckRequested::new(essay.as_uuid(), parent, text, language, self.now);
        let id = essay.to_string();
        let of_batch = self.id.clone();
        let (kafka_key, ordering_key) = match self.row.batch.kind {
            Kind::Class => (of_batch, id.clone()),
            Kind::Single => (id.clone(), of_batch),
        };
        let to = Address {
            aggregate: &id,
            phase: Some(Phase::Spellcheck),
            attempt: Some(attempt),
            resend,
            kafka_key,
            ordering_key,
            correlation: self.attempt_correlation(Phase::Spellcheck, attempt),
            ..self.address(Topic::EssaySpellcheckRequested, Source::BatchService)
        };
        self.write(to, data)
    }

    fn registered(&mut self, essays: &[Uuid], settings: &Settings) -> Result<(), Error> {
        let (user, org) = (self.row.owner.user_id.clone(), self.row.owner.org_id.clone());
        let prompt = self.row.details.prompt_storage_id.clone();
        let data = BatchEssaysRegistered::new(
            &Registration {
                batch_id: self.row.batch.id.as_uuid(),
                essay_ids: essays,
                course_code: course(self.row, settings),
                user_id: &user,
                org_id: org.as_deref(),
                student_prompt_ref: prompt.as_deref(),
            },
            self.now,
        );
        let to = self.address(Topic::BatchEssaysRegistered, Source::BatchService);
        self.write(to, data)
    }

    /// Adds a provisioned event. In a class each is ordered by its essay alone, because ELS buffers content and needs no order among
    /// essays.
    fn provisioned(&mut self, essay: domain::EssayId, text: &str, bytes: u64) -> Result<(), Error> {
        let batch = self.row.batch.id.as_uuid();
        let correlation = self.row.batch.correlation_id.as_uuid();
        let data = EssayContentProvisioned::new(batch, essay.as_uuid(), text, bytes, correlation, self.now);
        let id = essay.to_string();
        let ordering_key = match self.row.batch.kind {
            Kind::Class => id.clone(),
            Kind::Single => self.id.clone(),
        };
        let to = Address {
            part: &id,
            ordering_key,
            ..self.address(Topic::EssayContentProvisioned, Source::BatchOrchestratorService)
        };
        self.write(to, data)
    }

    fn command(
        &mut self,
        phase: Phase,
        (attempt, resend): (u32, u32),
        essays: Vec<EssayRef>,
        settings: &Settings,
    ) -> Result<(), Error> {
        let details = &self.row.details;
        let shown = |text: &Option<store::Private<String>>| match text {
            Some(text) if settings.events_include_class_context => Private::from(text.0.as_str()),
            _ => Private::default(),
        };
        let command = Command {
            batch_id: self.row.batch.id.as_uuid(),
            essays,
            language: language(self.row.batch.language),
            course_code: course(self.row, settings),
            class_type: ClassType::Guest,
            essay_instructions: shown(&details.essay_instructions),
            class_designation: shown(&details.class_designation),
            assignment_id: details.assignment_id.clone(),
            student_prompt_ref: details.prompt_storage_id.clone(),
            owner_user_id: self.row.owner.user_id.clone(),
            org_id: self.row.owner.org_id.clone(),
        };
        let version =
            if settings.nlp_command_version == 1 { NlpCommandVersion::V1 } else { NlpCommandVersion::V2 };
        let topic = match phase {
            Phase::Spellcheck => Topic::SpellcheckInitiate,
            Phase::Nlp => version.topic(),
            Phase::AiFeedback => Topic::AiFeedbackInitiate,
            Phase::CjAssessment => Topic::CjAssessmentInitiate,
        };
        let to = Address {
            phase: Some(phase),
            attempt: Some(attempt),
            resend,
            correlation: self.attempt_correlation(phase, attempt),
            metadata: Some(Metadata { traceparent: self.traceparent.clone(), ..command.metadata() }),
            ..self.address(topic, Source::BatchOrchestratorService)
        };
        let now = self.now;
        match phase {
            Phase::Spellcheck => self.write(to, InitiateSpellcheck::new(&command, now)),
            Phase::Nlp => self.write(to, InitiateNlp::new(&command, version, now)),
            Phase::AiFeedback => self.write(to, InitiateAiFeedback::new(&command, now)),
            Phase::CjAssessment => self.write(to, InitiateCjAssessment::new(&command, now)),
        }
    }

    fn pipeline_completed(&mut self, run: u32) -> Result<(), Error> {
        let batch = &self.row.batch;
        let of_run = || batch.phases.iter().filter(|record| record.run == run);
        let completed: Vec<PhaseName> = of_run()
            .filter(|record| record.status.is_success())
            .map(|record| phase_name(record.phase))
            .collect();
        let began = of_run().filter_map(|record| record.started_at).min().unwrap_or(batch.created_at);
        let final_status = match batch.stage {
            Stage::Ended { end: End::Succeeded } => FinalStatus::CompletedSuccessfully,
            Stage::Ended { end: End::WithFailures } => FinalStatus::CompletedWithFailures,
            Stage::Ended { end: End::Cancelled } => FinalStatus::Cancelled,
            Stage::Ended { end: End::Failed }
            | Stage::Storing { .. }
            | Stage::Registering
            | Stage::Ready
            | Stage::Running(_) => FinalStatus::FailedCritically,
        };
        let took = (self.now - began).as_seconds_f64();
        let data = PipelineCompleted::new(
            &PipelineSummary {
                batch_id: batch.id.as_uuid(),
                completed_phases: &completed,
                final_status,
                processing_duration_seconds: took.max(0.0),
                successful_essay_count: batch.succeeded,
                failed_essay_count: batch.failed,
                correlation_id: batch.correlation_id.as_uuid(),
            },
            self.now,
        );
        let to = self.address(Topic::BatchPipelineCompleted, Source::BatchOrchestratorService);
        self.write(to, data)
    }
}
