//! The state of one batch in the lifecycle service, and its transitions. Pure: no clock, no database, no bus.

use std::collections::{BTreeSet, HashMap, HashSet};

use contract::{CourseCode, EssayRef, EssayStatus, Language, PhaseName, Verdict};
use uuid::Uuid;

use crate::wire::Cause;

/// A batch, which may not be registered yet.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    pub(super) id: Uuid,
    pub(super) registration: Option<Registration>,
    pub(super) essays: HashMap<Uuid, Essay>,
    /// The commands that moved essays, by phase and correlation id. The platform's service keeps no such record: it decides
    /// only whether a command is a retry, where retries are possible.
    pub(super) commands: BTreeSet<(PhaseName, Uuid)>,
    pub(super) changes: Changes,
}

/// The changes since the batch was last saved.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes {
    pub(super) registration: bool,
    pub(super) essays: HashSet<Uuid>,
    /// New commands, each with its event id.
    pub(super) commands: Vec<(PhaseName, Uuid, Uuid)>,
}

#[derive(Debug, Clone)]
pub(super) struct Registration {
    pub(super) event_id: Uuid,
    pub(super) correlation_id: Uuid,
    pub(super) expected: u32,
    pub(super) course_code: CourseCode,
    pub(super) user_id: String,
    /// Every text is present, and this was published.
    pub(super) complete: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Essay {
    /// Its position in the registration; `None` for a text that arrived before it.
    pub(super) position: Option<u32>,
    pub(super) text_storage_id: Option<String>,
    /// `None` until it is registered and has its text.
    pub(super) status: Option<EssayStatus>,
    /// The correlation id of the command that moved it last. Only where retries are possible it decides whether a result is of
    /// that command; otherwise a command moves an essay into a phase once.
    pub(super) moved_by: Option<Uuid>,
}

/// The lifecycle service's reaction to a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// No event. Unknown, unready and repeated things are ignored silently, as by the platform's service.
    None,
    /// Every text of the batch is present.
    ContentComplete {
        registered_by: Cause,
        expected: u32,
        course_code: CourseCode,
        user_id: String,
        essays: Vec<EssayRef>,
    },
    /// These essays are requested from the worker of the phase.
    Requests { phase: PhaseName, language: Language, essays: Vec<EssayRef> },
    /// A snapshot of all essays whose status belongs to the phase, of which none is unfinished.
    Outcome { phase: PhaseName, processed: Vec<EssayRef>, failed: Vec<Uuid> },
}

/// The statuses of an essay in a phase. The other phases have no worker in this process.
#[derive(Debug, Clone, Copy)]
struct PhaseStatuses {
    /// The entry statuses of the phase: a command moves essays with one of these, and no others.
    ready: &'static [EssayStatus],
    waiting: EssayStatus,
    succeeded: EssayStatus,
    failed: EssayStatus,
}

const SPELLCHECK: PhaseStatuses = PhaseStatuses {
    ready: &[EssayStatus::ReadyForProcessing],
    waiting: EssayStatus::AwaitingSpellcheck,
    succeeded: EssayStatus::SpellcheckedSuccess,
    failed: EssayStatus::SpellcheckFailed,
};
const NLP: PhaseStatuses = PhaseStatuses {
    ready: &[EssayStatus::SpellcheckedSuccess, EssayStatus::AiFeedbackSuccess],
    waiting: EssayStatus::AwaitingNlp,
    succeeded: EssayStatus::NlpSuccess,
    failed: EssayStatus::NlpFailed,
};

impl PhaseStatuses {
    fn from_phase(phase: PhaseName) -> Option<Self> {
        match phase {
            PhaseName::Spellcheck => Some(SPELLCHECK),
            PhaseName::Nlp => Some(NLP),
            PhaseName::AiFeedback | PhaseName::CjAssessment | PhaseName::StudentMatching => None,
        }
    }

    /// Whether an essay with this status belongs to the phase.
    fn include(self, status: EssayStatus) -> bool {
        [self.waiting, self.succeeded, self.failed].contains(&status)
    }
}

impl Batch {
    /// An empty batch.
    pub(super) fn new(id: Uuid) -> Self {
        Self {
            id,
            registration: None,
            essays: HashMap::new(),
            commands: BTreeSet::new(),
            changes: Changes::default(),
        }
    }

    /// Registers the essays of the batch. Texts that arrived before get their positions now.
    pub(super) fn register(
        &mut self,
        registration: Registration,
        essay_ids: &[Uuid],
        cause: &Cause,
    ) -> Reply {
        if self.registration.is_some() {
            return Reply::None;
        }
        self.registration = Some(registration);
        self.changes.registration = true;
        for (essay_id, position) in essay_ids.iter().zip(0..) {
            let essay = self.essays.entry(*essay_id).or_default();
            essay.position.get_or_insert(position);
            essay.status = essay.text_storage_id.as_ref().map(|_| EssayStatus::ReadyForProcessing);
            self.changes.essays.insert(*essay_id);
        }
        self.content_complete(cause)
    }

    /// Records the text of an essay. A second text for an essay, and a text for an essay that is not
    /// registered, is ignored.
    pub(super) fn provision(&mut self, essay_id: Uuid, text_storage_id: String, cause: &Cause) -> Reply {
        let registered = self.registration.is_some();
        if registered && !self.essays.contains_key(&essay_id) {
            return Reply::None;
        }
        let essay = self.essays.entry(essay_id).or_default();
        if essay.text_storage_id.is_some() {
            return Reply::None;
        }
        essay.text_storage_id = Some(text_storage_id);
        essay.status = registered.then_some(EssayStatus::ReadyForProcessing);
        self.changes.essays.insert(essay_id);
        self.content_complete(cause)
    }

    fn content_complete(&mut self, cause: &Cause) -> Reply {
        let Some(registration) = self.registration.as_mut().filter(|registration| !registration.complete)
        else {
            return Reply::None;
        };
        let ready = |essay: &&Essay| essay.status.is_some();
        let provisioned = self.essays.values().filter(ready).count();
        if provisioned < registration.expected as usize {
            return Reply::None;
        }
        registration.complete = true;
        self.changes.registration = true;
        let mut ready: Vec<_> = self.essays.iter().filter(|(_, essay)| essay.status.is_some()).collect();
        ready.sort_unstable_by_key(|(essay_id, essay)| (essay.position, **essay_id));
        Reply::ContentComplete {
            registered_by: Cause {
                event_id: registration.event_id,
                correlation_id: registration.correlation_id,
                at: cause.at,
                trace: cause.trace,
            },
            expected: registration.expected,
            course_code: registration.course_code,
            user_id: registration.user_id.clone(),
            essays: ready.into_iter().filter_map(|(essay_id, essay)| essay.with_text(*essay_id)).collect(),
        }
    }

    /// Starts a phase. Of the named essays, those that belong to this batch and are in the entry status of the phase move on. All
    /// others are skipped silently, and when none moves, nothing is published, now or later.
    ///
    /// With `retries`, a command under a correlation id that is new for the phase also moves essays that are in the phase already,
    /// and those of a batch that went through the earlier phases elsewhere.
    pub(super) fn command(
        &mut self,
        phase: PhaseName,
        named: Vec<EssayRef>,
        language: Language,
        cause: &Cause,
        retries: bool,
    ) -> Reply {
        let Some(statuses) = PhaseStatuses::from_phase(phase) else { return Reply::None };
        let is_retry = retries && !self.commands.contains(&(phase, cause.correlation_id));
        let mut seen = HashSet::with_capacity(named.len());
        let ready = |essay: &EssayRef| {
            let status = self.essays.get(&essay.essay_id).and_then(|known| known.status);
            status.is_some_and(|status| {
                let may_begin_here = statuses.include(status) || status == EssayStatus::ReadyForProcessing;
                statuses.ready.contains(&status) || (is_retry && may_begin_here)
            })
        };
        let moving: Vec<EssayRef> =
            named.into_iter().filter(|essay| ready(essay) && seen.insert(essay.essay_id)).collect();
        if moving.is_empty() {
            return Reply::None;
        }
        for moved in &moving {
            self.change(moved.essay_id, |essay| {
                essay.text_storage_id = Some(moved.text_storage_id.clone());
                essay.status = Some(statuses.waiting);
                essay.moved_by = Some(cause.correlation_id);
            });
        }
        if self.commands.insert((phase, cause.correlation_id)) {
            self.changes.commands.push((phase, cause.correlation_id, cause.event_id));
        }
        Reply::Requests { phase, language, essays: moving }
    }

    /// Applies a result of the spell checker. The result of an essay that does not wait for one is ignored: it was requested by
    /// another service, or it is a repetition.
    pub(super) fn spellchecked(
        &mut self,
        essay_id: Uuid,
        verdict: Verdict,
        corrected_text_storage_id: Option<String>,
        command: Option<Uuid>,
    ) -> Reply {
        let is_set = self.set_result(SPELLCHECK, essay_id, command, (verdict, corrected_text_storage_id));
        self.outcome(PhaseName::Spellcheck, SPELLCHECK, is_set)
    }

    /// Applies the results of the nlp worker for some essays of the batch.
    pub(super) fn analysed(&mut self, succeeded: &[Uuid], failed: &[Uuid], command: Option<Uuid>) -> Reply {
        let mut is_set = false;
        for (essays, verdict) in [(succeeded, Verdict::Succeeded), (failed, Verdict::Failed)] {
            for essay_id in essays {
                is_set |= self.set_result(NLP, *essay_id, command, (verdict, None));
            }
        }
        self.outcome(PhaseName::Nlp, NLP, is_set)
    }

    /// Sets the result of a waiting essay; returns whether it waited. With a `command`, a result of another one is ignored.
    fn set_result(
        &mut self,
        statuses: PhaseStatuses,
        essay_id: Uuid,
        command: Option<Uuid>,
        (verdict, new_text): (Verdict, Option<String>),
    ) -> bool {
        let waits = |essay: &Essay| {
            let is_of = |command: Uuid| essay.moved_by.is_none_or(|moved_by| moved_by == command);
            essay.status == Some(statuses.waiting) && command.is_none_or(is_of)
        };
        if !self.essays.get(&essay_id).is_some_and(waits) {
            return false;
        }
        self.change(essay_id, |essay| match verdict {
            Verdict::Succeeded => {
                essay.status = Some(statuses.succeeded);
                essay.text_storage_id = new_text.or_else(|| essay.text_storage_id.take());
            }
            Verdict::Failed => essay.status = Some(statuses.failed),
        });
        true
    }

    /// With each result, a snapshot of the essays whose status belongs to the phase; none while one of them is unfinished.
    fn outcome(&self, phase: PhaseName, statuses: PhaseStatuses, has_result: bool) -> Reply {
        let with_status = |wanted: EssayStatus| {
            let mut essays: Vec<_> =
                self.essays.iter().filter(|(_, essay)| essay.status == Some(wanted)).collect();
            essays.sort_unstable_by_key(|(essay_id, essay)| (essay.position, **essay_id));
            essays
        };
        if !has_result || self.essays.values().any(|essay| essay.status == Some(statuses.waiting)) {
            return Reply::None;
        }
        let processed = with_status(statuses.succeeded);
        Reply::Outcome {
            phase,
            processed: processed.into_iter().filter_map(|(id, essay)| essay.with_text(*id)).collect(),
            failed: with_status(statuses.failed).into_iter().map(|(id, _)| *id).collect(),
        }
    }

    fn change(&mut self, essay_id: Uuid, change: impl FnOnce(&mut Essay)) {
        if let Some(essay) = self.essays.get_mut(&essay_id) {
            change(essay);
            self.changes.essays.insert(essay_id);
        }
    }
}

impl Essay {
    fn with_text(&self, essay_id: Uuid) -> Option<EssayRef> {
        Some(EssayRef { essay_id, text_storage_id: self.text_storage_id.clone()? })
    }
}
