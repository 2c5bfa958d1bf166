use super::Pipeline;
use crate::Phase::{self, AiFeedback, CjAssessment, Nlp, Spellcheck};
use crate::Refusal;

fn resolve(asked: &[Phase], done: &[Phase]) -> Result<Pipeline, Refusal> {
    Pipeline::resolve(asked, |phase| done.contains(&phase))
}

fn pipeline(phases: &[Phase], added: &[Phase], skipped: &[Phase]) -> Pipeline {
    Pipeline { phases: phases.to_vec(), added: added.to_vec(), skipped: skipped.to_vec() }
}

#[test]
fn phases_run_in_the_order_of_their_dependencies() {
    assert_eq!(
        resolve(&[CjAssessment, Nlp, Spellcheck], &[]),
        Ok(pipeline(&[Spellcheck, Nlp, CjAssessment], &[], &[]))
    );
}

#[test]
fn missing_prerequisites_are_added_and_named() {
    assert_eq!(
        resolve(&[AiFeedback], &[]),
        Ok(pipeline(&[Spellcheck, Nlp, AiFeedback], &[Spellcheck, Nlp], &[]))
    );
    assert_eq!(resolve(&[CjAssessment], &[]), Ok(pipeline(&[Spellcheck, CjAssessment], &[Spellcheck], &[])));
}

#[test]
fn what_has_succeeded_is_left_out_and_named_where_it_was_asked_for() {
    assert_eq!(resolve(&[Spellcheck, Nlp], &[Spellcheck]), Ok(pipeline(&[Nlp], &[], &[Spellcheck])));
    assert_eq!(resolve(&[AiFeedback], &[Spellcheck]), Ok(pipeline(&[Nlp, AiFeedback], &[Nlp], &[])));
}

#[test]
fn nothing_asked_nothing_left_and_twice_the_same_are_refused() {
    assert_eq!(resolve(&[], &[]), Err(Refusal::NoPhases));
    assert_eq!(resolve(&[Spellcheck], &[Spellcheck]), Err(Refusal::AlreadyDone { phases: vec![Spellcheck] }));
    assert_eq!(resolve(&[Nlp, Spellcheck, Nlp], &[]), Err(Refusal::DuplicatePhase { phase: Nlp }));
}

#[test]
fn every_prerequisite_stands_before_its_phase_and_brings_its_own() {
    for phase in Phase::ALL {
        for before in phase.prerequisites() {
            assert!(before < phase);
            assert!(before.prerequisites().iter().all(|earlier| phase.prerequisites().contains(earlier)));
        }
    }
}
