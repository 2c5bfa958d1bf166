//! Tests that the checker finds violations: one good history, and for every invariant the changes that
//! violate it.

use invariants::{Evaluation, Judge};
use uuid::Uuid;

use super::{Evidence, Invariant, check};
use crate::{
    canary::{Secret, Sighting},
    database::{Batch, Database, Essay, EssayPhase, Event, Key},
    history::{Call, Facts, Op, Outcome, Seen},
};

const CLASS: Uuid = Uuid::from_u128(0x10);
const SINGLE: Uuid = Uuid::from_u128(0x20);
const LONE_ESSAY: Uuid = Uuid::from_u128(0x21);
const ESSAYS: [Uuid; 2] = [Uuid::from_u128(0x11), Uuid::from_u128(0x12)];

const SPELLCHECK: &str = "huleedu.els.spellcheck.initiate.command.v1";
const NLP: &str = "huleedu.batch.nlp.initiate.command.v2";
const REQUEST: &str = "huleedu.essay.spellcheck.requested.v1";
const COMPLETED: &str = "huleedu.batch.pipeline.completed.v1";

/// A history with its log and database.
struct World {
    calls: Vec<Call>,
    database: Database,
    sightings: Vec<Sighting>,
    poison: usize,
    now_us: u64,
}

impl World {
    /// A class whose first answer was lost, a single essay, an invalid body, and another body under a used
    /// key; everything is read twice, the second time after it has ended. There is one expected dead letter.
    fn good() -> Self {
        let database = Database {
            batches: vec![batch(CLASS, 4), batch(SINGLE, 3)],
            essays: vec![
                essay(ESSAYS[0], CLASS, Some("w0n1-0")),
                essay(ESSAYS[1], CLASS, Some("w0n1-1")),
                essay(LONE_ESSAY, SINGLE, None),
            ],
            results: [ESSAYS[0], ESSAYS[1], LONE_ESSAY].map(spellchecked).to_vec(),
            keys: vec![key("chaos-w0n1", CLASS), key("chaos-w0n2", SINGLE)],
            log: vec![
                event(1, SPELLCHECK, CLASS, 1, &ESSAYS),
                event(2, REQUEST, LONE_ESSAY, 1, &[LONE_ESSAY]),
                event(3, NLP, CLASS, 2, &ESSAYS),
                event(4, COMPLETED, CLASS, 3, &[]),
                event(5, COMPLETED, SINGLE, 2, &[]),
            ],
            dead_letters: 1,
            ..Database::default()
        };
        let mut world = Self { calls: Vec::new(), database, sightings: Vec::new(), poison: 1, now_us: 0 };
        world.call(Op::SubmitClass, Outcome::Info, asked("w0n1", "w0n1", 2));
        world.call(Op::SubmitClass, Outcome::Ok, accepted("w0n1", CLASS));
        world.call(Op::SubmitEssay, Outcome::Ok, accepted("w0n2", LONE_ESSAY));
        world.call(Op::SubmitInvalid, Outcome::Fail, refused("w0n3", "w0n3", 400));
        world.call(Op::SubmitUnderUsedKey, Outcome::Fail, refused("w0n1", "w0n4", 422));
        world.read(Op::ReadBatch, CLASS, "processing", 4);
        world.read(Op::ReadEssay, LONE_ESSAY, "waiting", 0);
        world.call(Op::Converge, Outcome::Ok, Facts::default());
        world.read(Op::ReadBatch, CLASS, "completed_successfully", 9);
        world.read(Op::ReadEssay, LONE_ESSAY, "succeeded", 0);
        world
    }

    fn call(&mut self, op: Op, outcome: Outcome, facts: Facts) -> &mut Call {
        let began_us = self.now_us;
        self.now_us += 10;
        self.calls.push(Call { began_us, ended_us: Some(began_us + 5), worker: 0, op, outcome, facts });
        self.calls.last_mut().unwrap()
    }

    fn read(&mut self, op: Op, id: Uuid, status: &str, revision: i64) -> &mut Seen {
        let counts = if op == Op::ReadBatch { vec![(2, 2), (2, 2)] } else { Vec::new() };
        let seen = Seen { run: 1, revision, status: status.to_owned(), counts };
        let facts = Facts { id: Some(id), status: Some(200), seen: Some(seen), ..Facts::default() };
        self.call(op, Outcome::Ok, facts).facts.seen.as_mut().unwrap()
    }

    /// The last call of this kind.
    fn last(&mut self, op: Op) -> &mut Call {
        self.calls.iter_mut().rfind(|call| call.op == op).unwrap()
    }

    fn findings(&self) -> Vec<Evaluation> {
        check(Evidence {
            calls: &self.calls,
            database: &self.database,
            sightings: &self.sightings,
            searched: 1,
            poison: self.poison,
        })
    }

    /// The violated invariants, each with its finding.
    fn violations(&self) -> Vec<(&'static str, String)> {
        let findings = self.findings();
        findings
            .iter()
            .flat_map(|evaluation| &evaluation.findings)
            .map(|finding| (finding.invariant.id(), finding.to_string()))
            .collect()
    }
}

/// Changes a good world and returns the ids of the violated invariants, each once.
fn broken(make_bad: impl FnOnce(&mut World)) -> Vec<&'static str> {
    let mut world = World::good();
    make_bad(&mut world);
    let mut ids: Vec<_> = world.violations().into_iter().map(|(id, _)| id).collect();
    ids.dedup();
    ids
}

fn batch(id: Uuid, next_key_seq: i64) -> Batch {
    Batch { id, run: 1, next_key_seq, ended: true, failed: false }
}

fn essay(id: Uuid, batch: Uuid, client_ref: Option<&str>) -> Essay {
    Essay { id, batch, client_ref: client_ref.map(str::to_owned) }
}

fn spellchecked(essay: Uuid) -> EssayPhase {
    EssayPhase { essay, phase: "spellcheck".to_owned(), succeeded: true }
}

fn key(key: &str, batch: Uuid) -> Key {
    Key { key: key.to_owned(), batch: Some(batch), answer_hash: Some("answer".to_owned()) }
}

fn event(id: u128, topic: &str, key: Uuid, key_seq: i64, essays: &[Uuid]) -> Event {
    Event {
        topic: topic.to_owned(),
        key: key.to_string(),
        partition: 0,
        id: Uuid::from_u128(id),
        value: b"{}".to_vec(),
        ours: true,
        key_seq: Some(key_seq),
        attempt: Some(1),
        resend: 0,
        essays: essays.to_vec(),
    }
}

fn asked(key: &str, tag: &str, essays: usize) -> Facts {
    Facts { key: Some(format!("chaos-{key}")), tag: Some(tag.to_owned()), essays, ..Facts::default() }
}

fn accepted(tag: &str, id: Uuid) -> Facts {
    let essays = if id == CLASS { 2 } else { 1 };
    Facts {
        status: Some(202),
        id: Some(id),
        answer_hash: Some("answer".to_owned()),
        ..asked(tag, tag, essays)
    }
}

fn refused(key: &str, tag: &str, status: u16) -> Facts {
    Facts { status: Some(status), problem: Some("{}".to_owned()), ..asked(key, tag, 1) }
}

#[test]
fn a_good_history_passes_and_every_invariant_was_checked() {
    let world = World::good();
    assert_eq!(world.violations(), []);
    assert!(world.findings().iter().all(|finding| finding.checked > 0));
    let evaluated: Vec<_> = world.findings().iter().map(|evaluation| evaluation.invariant).collect();
    assert_eq!(evaluated, Invariant::evaluated_by(Judge::ChaosEmbedded).collect::<Vec<_>>());
}

#[test]
fn i1_an_acknowledged_id_that_is_not_found_is_a_violation() {
    let gone = |world: &mut World| {
        let facts = Facts { id: Some(CLASS), status: Some(404), ..Facts::default() };
        world.call(Op::ReadBatch, Outcome::Fail, facts);
        world.read(Op::ReadBatch, CLASS, "completed_successfully", 9);
    };
    assert_eq!(broken(gone), ["I1"], "also when it comes back");
    assert_eq!(
        broken(|world| world.last(Op::ReadEssay).outcome = Outcome::Info),
        ["I1"],
        "it could not be read"
    );
}

#[test]
fn i2_a_phase_that_is_requested_twice_or_never_is_a_violation() {
    let twice = |world: &mut World| {
        world.database.log.push(event(6, SPELLCHECK, CLASS, 4, &ESSAYS[..1]));
        world.database.batches[0].next_key_seq = 5;
    };
    assert_eq!(broken(twice), ["I2"]);
    assert_eq!(broken(|world| world.database.log[2].essays.truncate(1)), ["I2"]);
    assert_eq!(broken(|world| world.database.log[1].essays.clear()), ["I2"]);
}

#[test]
fn i3_essays_of_a_refused_request_are_a_violation() {
    let left = |client_ref: &'static str| {
        move |world: &mut World| {
            let other = Uuid::from_u128(0x30);
            world.database.batches.push(batch(other, 1));
            world.database.essays.push(essay(Uuid::from_u128(0x31), other, Some(client_ref)));
        }
    };
    assert_eq!(broken(left("w0n3-0")), ["I3"]);
    assert_eq!(broken(left("w0n4-0")), ["I3"]);
    let accepted = |world: &mut World| world.last(Op::SubmitInvalid).outcome = Outcome::Ok;
    assert_eq!(broken(accepted), ["I3"]);
}

#[test]
fn i3_an_acknowledged_request_that_left_not_exactly_one_batch_is_a_violation() {
    let unanswered = |world: &mut World| world.calls[1].outcome = Outcome::Info;
    assert_eq!(broken(unanswered), ["I3"], "never answered");
    assert_eq!(broken(|world| drop(world.database.essays.remove(1)))[..1], ["I3"], "half a class");
    let twice = |world: &mut World| {
        let other = Uuid::from_u128(0x30);
        world.database.batches.push(batch(other, 1));
        world.database.essays.push(essay(Uuid::from_u128(0x31), other, Some("w0n1-0")));
        world.database.essays.push(essay(Uuid::from_u128(0x32), other, Some("w0n1-1")));
    };
    assert_eq!(broken(twice), ["I3"], "the class again");
    assert_eq!(
        broken(|world| world.database.batches.push(batch(Uuid::from_u128(0x40), 1))),
        ["I3"],
        "a batch without a request"
    );
}

#[test]
fn i4_other_bytes_under_the_same_event_id_are_a_violation() {
    let again = |change: fn(&mut Event)| {
        move |world: &mut World| {
            let mut copy = world.database.log[0].clone();
            change(&mut copy);
            world.database.log.push(copy);
        }
    };
    assert_eq!(broken(again(|_| ())), [""; 0], "a duplicate is no violation");
    assert_eq!(broken(again(|event| event.value = b"{ }".to_vec())), ["I4"]);
    assert_eq!(broken(again(|event| event.partition = 1)), ["I4"]);
    assert_eq!(broken(again(|event| event.key = SINGLE.to_string())).first(), Some(&"I4"));
}

#[test]
fn i6_an_event_that_was_never_committed_or_is_lost_is_a_violation() {
    let of_a_rolled_back_number =
        |world: &mut World| world.database.log.push(event(9, COMPLETED, CLASS, 4, &[]));
    assert_eq!(broken(of_a_rolled_back_number), ["I6"], "its number was rolled back");
    let of_an_unknown_batch =
        |world: &mut World| world.database.log.push(event(9, COMPLETED, Uuid::from_u128(0x99), 1, &[]));
    assert_eq!(broken(of_an_unknown_batch), ["I6"], "its batch was rolled back");
    let of_the_same_number = |world: &mut World| world.database.log.push(event(9, COMPLETED, CLASS, 3, &[]));
    assert_eq!(broken(of_the_same_number), ["I6"]);
    assert_eq!(broken(|world| drop(world.database.log.remove(3))), ["I6"], "it was committed and is missing");
}

#[test]
fn i7_a_regression_is_a_violation() {
    let back = |status: &'static str, revision: i64| {
        move |world: &mut World| {
            world.read(Op::ReadBatch, CLASS, status, revision);
        }
    };
    assert_eq!(broken(back("processing", 10)), ["I7", "I8"]);
    assert_eq!(broken(back("completed_successfully", 8)), ["I7"], "an older revision");
    assert_eq!(broken(back("failed", 10)), ["I7"], "another end in the same run");
    let next_run = |world: &mut World| {
        world.read(Op::ReadBatch, CLASS, "processing", 10).run = 2;
        world.read(Op::ReadBatch, CLASS, "completed_with_failures", 11).run = 2;
    };
    assert_eq!(broken(next_run), [""; 0], "a new run starts again");
}

#[test]
fn i7_readings_at_the_same_time_have_no_order() {
    let beside = |world: &mut World| {
        let began_us = world.last(Op::ReadBatch).began_us;
        world.read(Op::ReadBatch, CLASS, "processing", 8);
        world.read(Op::ReadBatch, CLASS, "completed_successfully", 9);
        let late = world.calls.len() - 2;
        world.calls[late].began_us = began_us;
    };
    assert_eq!(broken(beside), [""; 0]);
}

#[test]
fn i7_counts_that_do_not_sum_to_the_total_are_a_violation() {
    let short = |world: &mut World| world.last(Op::ReadBatch).facts.seen.as_mut().unwrap().counts[1] = (2, 1);
    assert_eq!(broken(short), ["I7"]);
}

#[test]
fn i8_a_batch_that_does_not_end_is_a_violation() {
    let open = |world: &mut World| {
        "processing".clone_into(&mut world.last(Op::ReadBatch).facts.seen.as_mut().unwrap().status);
    };
    assert_eq!(broken(open), ["I8"]);
    assert_eq!(broken(|world| world.database.batches[1].ended = false), ["I8"]);
}

#[test]
fn i10_a_waiting_message_or_an_unexpected_dead_letter_is_a_violation() {
    assert_eq!(broken(|world| world.database.outbox.push((Uuid::from_u128(1), false))), ["I10"]);
    assert_eq!(broken(|world| world.database.outbox.push((Uuid::from_u128(1), true))), ["I10"]);
    assert_eq!(broken(|world| world.database.staged_texts = 1), ["I10"]);
    assert_eq!(broken(|world| world.database.dead_letters = 2), ["I10"], "an unexpected one");
    assert_eq!(broken(|world| world.database.dead_letters = 0), ["I10"], "a missing one");
}

#[test]
fn i11_two_answers_under_a_key_are_a_violation() {
    let again = |facts: Facts| {
        move |world: &mut World| {
            world.call(Op::SubmitClass, Outcome::Ok, facts);
        }
    };
    let other_bytes = Facts { answer_hash: Some("other".to_owned()), ..accepted("w0n1", CLASS) };
    assert_eq!(broken(again(other_bytes)), ["I11"]);
    let other_id = Facts { id: Some(SINGLE), ..accepted("w0n1", CLASS) };
    assert_eq!(broken(again(other_id)), ["I11"]);
    assert_eq!(broken(|world| world.database.keys.push(key("chaos-w0n1", CLASS))), ["I11"]);
    assert_eq!(broken(|world| world.last(Op::SubmitUnderUsedKey).facts.status = Some(400)), ["I11"]);
    let taken = |world: &mut World| world.last(Op::SubmitUnderUsedKey).outcome = Outcome::Ok;
    assert_eq!(broken(taken), ["I3", "I11"]);
}

#[test]
fn i13_a_canary_in_the_log_is_a_violation() {
    let told = |world: &mut World| {
        world.sightings.push(Sighting { place: "the log".to_owned(), secret: Secret::Text });
    };
    assert_eq!(broken(told), ["I13"]);
}
