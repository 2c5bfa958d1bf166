//! The state of one batch in the lifecycle service, and its transitions. Pure: no clock, no database, no bus.

use std::collections::{HashMap, HashSet};

use contract::{CourseCode, EssayRef, EssayStatus, Language, PhaseName, Verdict};
use uuid::Uuid;

use crate::wire::Cause;

/// A batch, which may not be registered yet.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    pub(super) id: Uuid,
    pub(super) registration: Option<Registration>,
    pub(super) essays: HashMap<Uuid, Essay>,
    /// Every command that moved an essay. At most the last one is in progress.
    pub(super) commands: Vec<Command>,
    pub(super) changes: Changes,
}

/// The changes since the batch was last saved.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes {
    pub(super) registration: bool,
    pub(super) essays: HashSet<Uuid>,
    pub(super) commands: HashSet<usize>,
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
}

#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) phase: PhaseName,
    pub(super) event_id: Uuid,
    pub(super) correlation_id: Uuid,
    /// The essays that it moved, in its order, while it is in progress.
    pub(super) in_progress: Option<InProgress>,
}

#[derive(Debug, Clone)]
pub(super) struct InProgress {
    pub(super) essays: Vec<Uuid>,
    /// The number of essays without a result.
    pub(super) waiting: usize,
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
    /// The phase has ended for every essay that the command moved.
    Outcome { commanded_by: Cause, phase: PhaseName, processed: Vec<EssayRef>, failed: Vec<Uuid> },
}

/// The statuses of an essay in a phase. The other phases have no worker in this process.
#[derive(Debug, Clone, Copy)]
struct PhaseStatuses {
    /// The statuses in which the phase may begin for the first time.
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
    ready: &[EssayStatus::ReadyForProcessing, EssayStatus::SpellcheckedSuccess],
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

    /// Whether the phase accepts an essay with this status: one that is ready for it, or one that an earlier
    /// command has moved into it (a retry).
    fn accept(self, status: EssayStatus) -> bool {
        self.ready.contains(&status) || [self.waiting, self.succeeded, self.failed].contains(&status)
    }
}

impl Batch {
    /// An empty batch.
    pub(super) fn new(id: Uuid) -> Self {
        Self {
            id,
            registration: None,
            essays: HashMap::new(),
            commands: Vec::new(),
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

    /// Starts a phase. Of the named essays, those that belong to this batch and are ready move on; the others
    /// are ignored. When none moves, or the command has moved essays before, nothing is published. One phase
    /// is in progress at a time. Another command for the same phase replaces the one in progress, and essays
    /// that it does not name have failed.
    pub(super) fn command(
        &mut self,
        phase: PhaseName,
        named: Vec<EssayRef>,
        language: Language,
        cause: &Cause,
    ) -> Reply {
        let Some(statuses) = PhaseStatuses::from_phase(phase) else { return Reply::None };
        let repeated =
            |command: &Command| command.phase == phase && command.correlation_id == cause.correlation_id;
        if self.commands.iter().any(repeated)
            || self.in_progress().is_some_and(|(_, command)| command.phase != phase)
        {
            return Reply::None;
        }
        let mut seen = HashSet::with_capacity(named.len());
        let ready = |essay: &EssayRef| {
            let status = self.essays.get(&essay.essay_id).and_then(|known| known.status);
            status.is_some_and(|status| statuses.accept(status))
        };
        let moving: Vec<EssayRef> =
            named.into_iter().filter(|essay| ready(essay) && seen.insert(essay.essay_id)).collect();
        if moving.is_empty() {
            return Reply::None;
        }
        self.replace_command(statuses, &seen);
        for moved in &moving {
            self.change(moved.essay_id, |essay| {
                essay.text_storage_id = Some(moved.text_storage_id.clone());
                essay.status = Some(statuses.waiting);
            });
        }
        let essays: Vec<Uuid> = moving.iter().map(|essay| essay.essay_id).collect();
        self.changes.commands.insert(self.commands.len());
        self.commands.push(Command {
            phase,
            event_id: cause.event_id,
            correlation_id: cause.correlation_id,
            in_progress: Some(InProgress { waiting: essays.len(), essays }),
        });
        Reply::Requests { phase, language, essays: moving }
    }

    /// Ends the command in progress without an outcome, because another one replaces it for the essays
    /// `taken`.
    fn replace_command(&mut self, statuses: PhaseStatuses, taken: &HashSet<Uuid>) {
        let Some((at, _)) = self.in_progress() else { return };
        let left = self.commands.get_mut(at).and_then(|command| command.in_progress.take());
        self.changes.commands.insert(at);
        for essay_id in left.into_iter().flat_map(|left| left.essays).filter(|id| !taken.contains(id)) {
            self.change(essay_id, |essay| {
                if essay.status == Some(statuses.waiting) {
                    essay.status = Some(statuses.failed);
                }
            });
        }
    }

    /// Applies a result of the spell checker. A result for a command that is not in progress is stale and
    /// ignored.
    pub(super) fn spellchecked(
        &mut self,
        essay_id: Uuid,
        verdict: Verdict,
        corrected_text_storage_id: Option<String>,
        cause: &Cause,
    ) -> Reply {
        let Some(at) = self.command_answered_by(PhaseName::Spellcheck, cause) else { return Reply::None };
        self.set_result(at, SPELLCHECK, essay_id, verdict, corrected_text_storage_id);
        self.end_if_complete(at, SPELLCHECK, cause)
    }

    /// Applies the result of the nlp worker for the batch. An essay that it does not name has failed.
    pub(super) fn analysed(&mut self, succeeded: &[Uuid], cause: &Cause) -> Reply {
        let Some(at) = self.command_answered_by(PhaseName::Nlp, cause) else { return Reply::None };
        let succeeded: HashSet<&Uuid> = succeeded.iter().collect();
        for essay_id in self.commands.get(at).map(Command::essays).unwrap_or_default() {
            let verdict = if succeeded.contains(&essay_id) { Verdict::Succeeded } else { Verdict::Failed };
            self.set_result(at, NLP, essay_id, verdict, None);
        }
        self.end_if_complete(at, NLP, cause)
    }

    /// The index of the command in progress, if this record answers it.
    fn command_answered_by(&self, phase: PhaseName, cause: &Cause) -> Option<usize> {
        let (at, command) = self.in_progress()?;
        (command.phase == phase && command.correlation_id == cause.correlation_id).then_some(at)
    }

    /// Sets the result of a waiting essay. A waiting essay always belongs to the command in progress, so its
    /// status alone decides whether the result counts.
    fn set_result(
        &mut self,
        at: usize,
        statuses: PhaseStatuses,
        essay_id: Uuid,
        verdict: Verdict,
        new_text: Option<String>,
    ) {
        if self.essays.get(&essay_id).is_none_or(|essay| essay.status != Some(statuses.waiting)) {
            return;
        }
        self.change(essay_id, |essay| match verdict {
            Verdict::Succeeded => {
                essay.status = Some(statuses.succeeded);
                essay.text_storage_id = new_text.or_else(|| essay.text_storage_id.take());
            }
            Verdict::Failed => essay.status = Some(statuses.failed),
        });
        if let Some(in_progress) = self.commands.get_mut(at).and_then(|command| command.in_progress.as_mut())
        {
            in_progress.waiting = in_progress.waiting.saturating_sub(1);
        }
    }

    /// Ends the command when no essay waits.
    fn end_if_complete(&mut self, at: usize, statuses: PhaseStatuses, cause: &Cause) -> Reply {
        let Some(command) = self.commands.get_mut(at) else { return Reply::None };
        let Some(ended) = command.in_progress.take_if(|in_progress| in_progress.waiting == 0) else {
            return Reply::None;
        };
        self.changes.commands.insert(at);
        let (phase, event_id) = (command.phase, command.event_id);
        let succeeded =
            |id: &Uuid| self.essays.get(id).is_some_and(|essay| essay.status == Some(statuses.succeeded));
        let (processed, failed): (Vec<Uuid>, Vec<Uuid>) = ended.essays.into_iter().partition(succeeded);
        let with_text = |id: Uuid| self.essays.get(&id)?.with_text(id);
        Reply::Outcome {
            commanded_by: Cause { event_id, ..*cause },
            phase,
            processed: processed.into_iter().filter_map(with_text).collect(),
            failed,
        }
    }

    fn in_progress(&self) -> Option<(usize, &Command)> {
        self.commands.iter().enumerate().rfind(|(_, command)| command.in_progress.is_some())
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

impl Command {
    fn essays(&self) -> Vec<Uuid> {
        self.in_progress.as_ref().map(|in_progress| in_progress.essays.clone()).unwrap_or_default()
    }

    /// The status of an essay that waits in this phase; `None` when this process has no worker for it.
    pub(super) fn waiting_status(&self) -> Option<EssayStatus> {
        PhaseStatuses::from_phase(self.phase).map(|statuses| statuses.waiting)
    }
}
