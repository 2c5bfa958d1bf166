//! What the peers do with a command or a request.

use contract::PhaseName;
use uuid::Uuid;

use super::lifecycle::{Essay, Place, Unheard};
use super::{Outgoing, Peers, events};
use crate::chance::Fault;

impl Peers {
    /// Whether this command or request is skipped. It is skipped for good, with its event id, and each at most
    /// once, so that sending it again under another id helps.
    pub(super) fn forgets(&mut self, event: Uuid, key: (PhaseName, Uuid, u32)) -> bool {
        if self.forgotten_events.contains(&event) {
            return true;
        }
        if self.forgotten.contains(&key) || !self.chance.injects(Fault::Forgotten) {
            return false;
        }
        self.forgotten.insert(key);
        self.forgotten_events.insert(event)
    }

    /// The spell checker's work on one essay, for a command or a request.
    pub(super) fn check(
        &mut self,
        cause: (Uuid, Uuid),
        batch: Uuid,
        (essay, text): (Uuid, &str),
        attempt: u32,
    ) {
        let succeeded = self.decide((essay, PhaseName::Spellcheck, attempt));
        let records = if self.chance.percent(20) {
            vec![self.writer.result_of_2025(cause, essay, batch, text, succeeded)]
        } else {
            self.writer.report(cause, PhaseName::Spellcheck, batch, essay, text, succeeded)
        };
        self.outgoing.extend(records.into_iter().map(|record| Outgoing { record, batch, is_result: true }));
        let phase = PhaseName::Spellcheck;
        self.unheard.push(Unheard { cause, batch, essay, phase, succeeded });
    }

    /// Publishes, once, that all registered essays of a batch have their texts.
    pub(super) fn complete(&mut self, batch_id: Uuid) {
        let Some(batch) = self.batches.get_mut(&batch_id) else { return };
        let Some((event, correlation, essays)) = batch.registered.as_ref() else { return };
        if batch.complete || !essays.iter().all(|essay| batch.texts.contains_key(essay)) {
            return;
        }
        batch.complete = true;
        for (essay, text) in &batch.texts {
            batch.essays.insert(*essay, Essay { place: Place::Ready, text: text.clone() });
        }
        self.statuses.set(batch_id, batch.essays.values());
        let record = self.writer.complete((*event, *correlation), batch_id, &batch.texts);
        self.outgoing.push(Outgoing { record, batch: batch_id, is_result: false });
    }

    pub(super) fn command(
        &mut self,
        cause: (Uuid, Uuid),
        phase: PhaseName,
        batch_id: Uuid,
        essays: &[(Uuid, String)],
        attempt: u32,
    ) {
        let Some(batch) = self.batches.get_mut(&batch_id).filter(|batch| batch.complete) else {
            let what = format!("{phase} was commanded before its registration");
            self.report_wrong(format!("batch {batch_id}"), what);
            return;
        };
        let place = |essay: &Uuid| batch.essays.get(essay).map(|essay| essay.place);
        let unknown = essays.iter().any(|(essay, _)| place(essay).is_none());
        let too_early = essays
            .iter()
            .any(|(essay, _)| matches!(place(essay), Some(Place::Waiting(before)) if before < phase));
        let is_retry = self.retries && !batch.executed.contains(&(phase, cause.1));
        let moves = |place: Place| place.is_entry_of(phase) || (is_retry && place.is_in(phase));
        let moving: Vec<_> =
            essays.iter().filter(|(essay, _)| place(essay).is_some_and(moves)).cloned().collect();
        for (essay, text) in &moving {
            batch.essays.insert(*essay, Essay { place: Place::Waiting(phase), text: text.clone() });
        }
        if !moving.is_empty() {
            batch.executed.insert((phase, cause.1));
            self.statuses.set(batch_id, batch.essays.values());
        }
        if unknown {
            let what = format!("{phase} was commanded for essays that are not registered");
            self.report_wrong(format!("batch {batch_id}"), what);
        }
        if too_early && self.calm {
            let what = format!("{phase} was commanded before the phase before it was finished here");
            self.report_wrong(format!("batch {batch_id}"), what);
        }
        for (essay, text) in moving {
            if phase == PhaseName::Spellcheck {
                self.check(cause, batch_id, (essay, &text), attempt);
                continue;
            }
            let succeeded = self.decide((essay, phase, attempt));
            let report = self.writer.report(cause, phase, batch_id, essay, &text, succeeded);
            let results =
                report.into_iter().map(|record| Outgoing { record, batch: batch_id, is_result: true });
            self.outgoing.extend(results);
            self.unheard.push(Unheard { cause, batch: batch_id, essay, phase, succeeded });
        }
    }

    /// The lifecycle service deals with one result. With it, all essays of the phase are reported, unless one of
    /// them is unfinished.
    pub(super) fn hear(&mut self) {
        if self.unheard.is_empty() || self.chance.injects(Fault::LifecycleSlow) {
            return;
        }
        let at = self.chance.below(self.unheard.len());
        let Unheard { cause, batch: batch_id, essay, phase, succeeded } = self.unheard.remove(at);
        let Some(batch) = self.batches.get_mut(&batch_id) else { return };
        // The result of an essay that it has not commanded is an error there, and changes nothing.
        let Some(known) = batch.essays.get_mut(&essay).filter(|known| known.place == Place::Waiting(phase))
        else {
            return;
        };
        known.place = Place::Done(phase, succeeded);
        if succeeded {
            known.text = events::text_after(phase, &known.text);
        }
        self.statuses.set(batch_id, batch.essays.values());
        if batch.essays.values().any(|essay| essay.place == Place::Waiting(phase)) {
            return;
        }
        let of = |wanted: bool| {
            batch.essays.iter().filter(move |(_, essay)| essay.place == Place::Done(phase, wanted))
        };
        let good: Vec<_> = of(true).map(|(essay, known)| (*essay, known.text.clone())).collect();
        let bad: Vec<_> = of(false).map(|(essay, _)| *essay).collect();
        let record = self.writer.outcome(cause, phase, batch_id, (&good, &bad), &essay.to_string());
        self.outgoing.push(Outgoing { record, batch: batch_id, is_result: true });
    }
}
