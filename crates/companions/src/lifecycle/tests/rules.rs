//! The rules of the platform's lifecycle service, one after the other.

use contract::Verdict;
use engine::ports::Record;

use super::{BATCH, Els, FIRST, SECOND, analysed, checked, summary};
use crate::testing::{id, nlp, provisioned, registered, spellcheck};

/// A rule of the platform's service: what happens, record by record, and what it publishes for each.
struct Rule {
    name: &'static str,
    steps: Vec<(Record, &'static [&'static str])>,
}

/// Essays 1, 2 and 3 are registered and have their texts.
fn rules() -> Vec<Rule> {
    let command = |essays: &[u128]| {
        let texts: Vec<_> = essays.iter().map(|number| (id(*number), format!("t{number}"))).collect();
        let texts: Vec<_> = texts.iter().map(|(essay, text)| (*essay, text.as_str())).collect();
        spellcheck(id(BATCH), id(FIRST), &texts)
    };
    let analyse = |essays: &[u128]| {
        let texts: Vec<_> = essays.iter().map(|number| (id(*number), "c")).collect();
        nlp(id(BATCH), id(FIRST), &texts)
    };
    let good = |essay| checked(FIRST, essay, Verdict::Succeeded);
    let bad = |essay| checked(FIRST, essay, Verdict::Failed);
    vec![
        Rule {
            name: "a command moves only essays in the entry status; the others are skipped for good",
            steps: vec![
                (command(&[1, 2]), &["check 1:t1", "check 2:t2"]),
                (good(1), &[]),
                // Too early for the second and third: only the first is spellchecked.
                (analyse(&[1, 2, 3]), &["analyse 1:c"]),
                (good(2), &["spellcheck completed_successfully: processed 2:c2, failed "]),
                (analysed(FIRST, &[1], &[]), &["nlp completed_successfully: processed 1:c, failed "]),
            ],
        },
        Rule {
            name: "the same command again asks for each essay once",
            steps: vec![
                (command(&[1, 2]), &["check 1:t1", "check 2:t2"]),
                (command(&[1, 2]), &[]),
                (good(1), &[]),
                (good(2), &["spellcheck completed_successfully: processed 1:c1 2:c2, failed "]),
                (command(&[1, 2]), &[]),
                (good(2), &[]),
            ],
        },
        Rule {
            name: "a command again takes the essays that an earlier one has not moved",
            steps: vec![
                (command(&[1]), &["check 1:t1"]),
                (command(&[1, 2]), &["check 2:t2"]),
                (good(1), &[]),
                (bad(2), &["spellcheck completed_with_failures: processed 1:c1, failed 2"]),
            ],
        },
        Rule {
            name: "an outcome names all essays of the phase, whichever command moved them, also failed ones again",
            steps: vec![
                (command(&[1]), &["check 1:t1"]),
                (bad(1), &["spellcheck failed_critically: processed , failed 1"]),
                (command(&[2]), &["check 2:t2"]),
                (good(2), &["spellcheck completed_with_failures: processed 2:c2, failed 1"]),
                // Essays that went on belong to the next phase.
                (analyse(&[2]), &["analyse 2:c"]),
                (command(&[3]), &["check 3:t3"]),
                (good(3), &["spellcheck completed_with_failures: processed 3:c3, failed 1"]),
            ],
        },
        Rule {
            name: "there is no way out of a failed status",
            steps: vec![
                (command(&[1]), &["check 1:t1"]),
                (bad(1), &["spellcheck failed_critically: processed , failed 1"]),
                (spellcheck(id(BATCH), id(SECOND), &[(id(1), "t1")]), &[]),
                (good(1), &[]),
                (analyse(&[1]), &[]),
            ],
        },
        Rule {
            name: "nlp begins at spellchecked essays only",
            steps: vec![(analyse(&[1]), &[]), (command(&[1]), &["check 1:t1"])],
        },
        Rule {
            name: "the result of an essay that was not commanded changes nothing",
            steps: vec![
                (good(1), &[]),
                (command(&[1]), &["check 1:t1"]),
                (good(1), &["spellcheck completed_successfully: processed 1:c1, failed "]),
            ],
        },
        Rule {
            name: "a text or a registration again changes nothing",
            steps: vec![
                (registered(id(BATCH), &[id(1), id(2), id(3), id(4)]), &[]),
                (provisioned(id(BATCH), id(1), "other"), &[]),
                (command(&[1, 4]), &["check 1:t1"]),
            ],
        },
    ]
}

#[tokio::test]
async fn each_rule_of_the_platforms_lifecycle_service_holds() {
    for Rule { name, steps } in rules() {
        let mut els = Els::with(&[1, 2, 3]).await;
        for (at, (record, published)) in steps.into_iter().enumerate() {
            assert_eq!(summary(&els.process(&[record]).await), published, "{name}, step {at}");
            els.restart();
        }
    }
}
