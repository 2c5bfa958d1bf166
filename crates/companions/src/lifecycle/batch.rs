//! What the lifecycle service knows of one batch, and how it changes. Pure: no clock, no database, no bus.

use std::collections::{HashMap, HashSet};

use contract::{CourseCode, EssayRef, EssayStatus, Language, PhaseName, Verdict};
use uuid::Uuid;

use crate::wire::Cause;

/// A batch, registered or only heard of.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    pub(super) id: Uuid,
    pub(super) registration: Option<Registration>,
    pub(super) essays: HashMap<Uuid, Essay>,
    /// Every command that moved an essay; at most the last is under way.
    pub(super) commands: Vec<Command>,
    pub(super) changes: Changes,
}

/// What has changed since the batch was last saved.
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
    /// Every text is there and that has been said.
    pub(super) complete: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Essay {
    /// Where it stands in the registration; none for a text that came first.
    pub(super) position: Option<u32>,
    pub(super) text_storage_id: Option<String>,
    /// None until it is registered and has its text.
    pub(super) status: Option<EssayStatus>,
}

#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) phase: PhaseName,
    pub(super) event_id: Uuid,
    pub(super) correlation_id: Uuid,
    /// The essays it moved, in its order, while it is under way.
    pub(super) under_way: Option<UnderWay>,
}

#[derive(Debug, Clone)]
pub(super) struct UnderWay {
    pub(super) essays: Vec<Uuid>,
    /// How many of them wait for their result.
    pub(super) waiting: usize,
}

/// What the lifecycle service has to say to a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// Nothing. Unknown, unready and repeated things are passed over without a word, as the platform's service does.
    Silence,
    /// Every text of the batch is in place.
    ContentComplete {
        registered_by: Cause,
        expected: u32,
        course_code: CourseCode,
        user_id: String,
        essays: Vec<EssayRef>,
    },
    /// These essays go to the worker of the phase.
    Requests { phase: PhaseName, language: Language, essays: Vec<EssayRef> },
    /// The phase has ended for every essay that the command moved.
    Outcome { commanded_by: Cause, phase: PhaseName, processed: Vec<EssayRef>, failed: Vec<Uuid> },
}

/// The statuses through which a phase leads an essay. The other phases have no worker in this process.
#[derive(Debug, Clone, Copy)]
struct Way {
    /// Where it may begin, besides where it has led before.
    ready: &'static [EssayStatus],
    waiting: EssayStatus,
    succeeded: EssayStatus,
    failed: EssayStatus,
}

const SPELLCHECK: Way = Way {
    ready: &[EssayStatus::ReadyForProcessing],
    waiting: EssayStatus::AwaitingSpellcheck,
    succeeded: EssayStatus::SpellcheckedSuccess,
    failed: EssayStatus::SpellcheckFailed,
};
const NLP: Way = Way {
    ready: &[EssayStatus::ReadyForProcessing, EssayStatus::SpellcheckedSuccess],
    waiting: EssayStatus::AwaitingNlp,
    succeeded: EssayStatus::NlpSuccess,
    failed: EssayStatus::NlpFailed,
};

impl Way {
    fn of(phase: PhaseName) -> Option<Self> {
        match phase {
            PhaseName::Spellcheck => Some(SPELLCHECK),
            PhaseName::Nlp => Some(NLP),
            PhaseName::AiFeedback | PhaseName::CjAssessment | PhaseName::StudentMatching => None,
        }
    }

    /// Whether the phase may take an essay of this status: one that is ready for it, or one that an earlier command has sent
    /// this way before (a retry).
    fn takes(self, status: EssayStatus) -> bool {
        self.ready.contains(&status) || [self.waiting, self.succeeded, self.failed].contains(&status)
    }
}

impl Batch {
    /// A batch of which nothing is known yet.
    pub(super) fn new(id: Uuid) -> Self {
        Self {
            id,
            registration: None,
            essays: HashMap::new(),
            commands: Vec::new(),
            changes: Changes::default(),
        }
    }

    /// The batch is to hold these essays. Texts that came first find their places now.
    pub(super) fn register(
        &mut self,
        registration: Registration,
        essay_ids: &[Uuid],
        cause: &Cause,
    ) -> Reply {
        if self.registration.is_some() {
            return Reply::Silence;
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

    /// The text of one essay is in place. A second text for an essay, and one for an essay that the registration does not
    /// name, is passed over.
    pub(super) fn provision(&mut self, essay_id: Uuid, text_storage_id: String, cause: &Cause) -> Reply {
        let registered = self.registration.is_some();
        if registered && !self.essays.contains_key(&essay_id) {
            return Reply::Silence;
        }
        let essay = self.essays.entry(essay_id).or_default();
        if essay.text_storage_id.is_some() {
            return Reply::Silence;
        }
        essay.text_storage_id = Some(text_storage_id);
        essay.status = registered.then_some(EssayStatus::ReadyForProcessing);
        self.changes.essays.insert(essay_id);
        self.content_complete(cause)
    }

    fn content_complete(&mut self, cause: &Cause) -> Reply {
        let Some(registration) = self.registration.as_mut().filter(|registration| !registration.complete)
        else {
            return Reply::Silence;
        };
        let ready = |essay: &&Essay| essay.status.is_some();
        let provisioned = self.essays.values().filter(ready).count();
        if provisioned < registration.expected as usize {
            return Reply::Silence;
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

    /// A phase is to start. Of the essays named, those that are known, of this batch and ready for it move on; the others are
    /// passed over, and if none moves nothing is said. A command that has moved essays before is passed over too. One phase
    /// is under way at a time; another command for it takes its place, and what that one does not name has failed.
    pub(super) fn command(
        &mut self,
        phase: PhaseName,
        named: Vec<EssayRef>,
        language: Language,
        cause: &Cause,
    ) -> Reply {
        let Some(way) = Way::of(phase) else { return Reply::Silence };
        let repeated =
            |command: &Command| command.phase == phase && command.correlation_id == cause.correlation_id;
        if self.commands.iter().any(repeated)
            || self.under_way().is_some_and(|(_, command)| command.phase != phase)
        {
            return Reply::Silence;
        }
        let mut seen = HashSet::with_capacity(named.len());
        let ready = |essay: &EssayRef| {
            let status = self.essays.get(&essay.essay_id).and_then(|known| known.status);
            status.is_some_and(|status| way.takes(status))
        };
        let moving: Vec<EssayRef> =
            named.into_iter().filter(|essay| ready(essay) && seen.insert(essay.essay_id)).collect();
        if moving.is_empty() {
            return Reply::Silence;
        }
        self.replace_command(way, &seen);
        for moved in &moving {
            self.change(moved.essay_id, |essay| {
                essay.text_storage_id = Some(moved.text_storage_id.clone());
                essay.status = Some(way.waiting);
            });
        }
        let essays: Vec<Uuid> = moving.iter().map(|essay| essay.essay_id).collect();
        self.changes.commands.insert(self.commands.len());
        self.commands.push(Command {
            phase,
            event_id: cause.event_id,
            correlation_id: cause.correlation_id,
            under_way: Some(UnderWay { waiting: essays.len(), essays }),
        });
        Reply::Requests { phase, language, essays: moving }
    }

    /// Ends the command under way without a word: another takes its place for the essays `taken`.
    fn replace_command(&mut self, way: Way, taken: &HashSet<Uuid>) {
        let Some((at, _)) = self.under_way() else { return };
        let left = self.commands.get_mut(at).and_then(|command| command.under_way.take());
        self.changes.commands.insert(at);
        for essay_id in left.into_iter().flat_map(|left| left.essays).filter(|id| !taken.contains(id)) {
            self.change(essay_id, |essay| {
                if essay.status == Some(way.waiting) {
                    essay.status = Some(way.failed);
                }
            });
        }
    }

    /// The spell checker is done with an essay. A word for a command that is not under way is stale.
    pub(super) fn spellchecked(
        &mut self,
        essay_id: Uuid,
        verdict: Verdict,
        corrected_text_storage_id: Option<String>,
        cause: &Cause,
    ) -> Reply {
        let Some(at) = self.answered(PhaseName::Spellcheck, cause) else { return Reply::Silence };
        self.conclude(at, SPELLCHECK, essay_id, verdict, corrected_text_storage_id);
        self.outcome(at, SPELLCHECK, cause)
    }

    /// The nlp worker is done with the batch. An essay that it does not name has failed.
    pub(super) fn analysed(&mut self, succeeded: &[Uuid], cause: &Cause) -> Reply {
        let Some(at) = self.answered(PhaseName::Nlp, cause) else { return Reply::Silence };
        let succeeded: HashSet<&Uuid> = succeeded.iter().collect();
        for essay_id in self.commands.get(at).map(Command::essays).unwrap_or_default() {
            let verdict = if succeeded.contains(&essay_id) { Verdict::Succeeded } else { Verdict::Failed };
            self.conclude(at, NLP, essay_id, verdict, None);
        }
        self.outcome(at, NLP, cause)
    }

    /// The command under way that this is an answer to.
    fn answered(&self, phase: PhaseName, cause: &Cause) -> Option<usize> {
        let (at, command) = self.under_way()?;
        (command.phase == phase && command.correlation_id == cause.correlation_id).then_some(at)
    }

    /// Whoever waits belongs to the command under way, so the status alone says whether the word counts.
    fn conclude(&mut self, at: usize, way: Way, essay_id: Uuid, verdict: Verdict, new_text: Option<String>) {
        if self.essays.get(&essay_id).is_none_or(|essay| essay.status != Some(way.waiting)) {
            return;
        }
        self.change(essay_id, |essay| match verdict {
            Verdict::Succeeded => {
                essay.status = Some(way.succeeded);
                essay.text_storage_id = new_text.or_else(|| essay.text_storage_id.take());
            }
            Verdict::Failed => essay.status = Some(way.failed),
        });
        if let Some(under_way) = self.commands.get_mut(at).and_then(|command| command.under_way.as_mut()) {
            under_way.waiting = under_way.waiting.saturating_sub(1);
        }
    }

    /// Ends the command when nobody waits any longer.
    fn outcome(&mut self, at: usize, way: Way, cause: &Cause) -> Reply {
        let Some(command) = self.commands.get_mut(at) else { return Reply::Silence };
        let Some(ended) = command.under_way.take_if(|under_way| under_way.waiting == 0) else {
            return Reply::Silence;
        };
        self.changes.commands.insert(at);
        let (phase, event_id) = (command.phase, command.event_id);
        let succeeded =
            |id: &Uuid| self.essays.get(id).is_some_and(|essay| essay.status == Some(way.succeeded));
        let (processed, failed): (Vec<Uuid>, Vec<Uuid>) = ended.essays.into_iter().partition(succeeded);
        let with_text = |id: Uuid| self.essays.get(&id)?.with_text(id);
        Reply::Outcome {
            commanded_by: Cause { event_id, ..*cause },
            phase,
            processed: processed.into_iter().filter_map(with_text).collect(),
            failed,
        }
    }

    fn under_way(&self) -> Option<(usize, &Command)> {
        self.commands.iter().enumerate().rfind(|(_, command)| command.under_way.is_some())
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
        self.under_way.as_ref().map(|under_way| under_way.essays.clone()).unwrap_or_default()
    }

    /// The status of an essay that waits in this phase; none where no worker of this process serves it.
    pub(super) fn waiting_status(&self) -> Option<EssayStatus> {
        Way::of(self.phase).map(|way| way.waiting)
    }
}
