//! The submissions: classes, single essays, and bodies that must be refused. Every text contains the run's
//! canary.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{canary::Canary, history::Op};

/// Essays of the largest class.
const LARGEST_CLASS: usize = 12;

/// Sentences without mistakes.
const SENTENCES: [&str; 9] = [
    "It was the best day of the summer.",
    "The teacher said that homework is good for us, but I am not so sure.",
    "First of all, phones can be useful in a lesson.",
    "On the other hand they make a lot of noise.",
    "In conclusion, a school day that begins later helps all of us.",
    "She got a letter from her grandmother in Malmö.",
    "“Why not?” he asked, and we all laughed.",
    "There are many reasons for it, and I will name three.",
    "We waited for the bus until it was dark.",
];

/// Sentences with a mistake, one per text. The corrections are the companions' work and not tested here.
const MISTAKES: [&str; 4] = [
    "My freind and I went to the library on Saturday.",
    "Every pupil should get a choise.",
    "The dog ran accross the street and was gone.",
    "I have allways wanted to see the northern lights.",
];

/// A write request.
#[derive(Debug, Clone)]
pub(crate) struct Submission {
    pub(crate) op: Op,
    pub(crate) path: &'static str,
    pub(crate) media_type: &'static str,
    pub(crate) key: String,
    pub(crate) tag: String,
    pub(crate) essays: usize,
    pub(crate) body: Vec<u8>,
}

/// Makes submissions; the same seed and worker make the same ones.
pub(crate) struct Author {
    random: fastrand::Rng,
    canary: Canary,
    worker: usize,
    made: usize,
}

impl Author {
    pub(crate) fn new(seed: u64, worker: usize, canary: Canary) -> Self {
        Self { random: fastrand::Rng::with_seed(seed ^ worker as u64), canary, worker, made: 0 }
    }

    /// A class for both phases.
    pub(crate) fn class(&mut self) -> Submission {
        let tag = self.tag();
        let count = self.random.usize(1..=LARGEST_CLASS);
        let body = self.class_of(&tag, count);
        batch(Op::SubmitClass, tag, count, &body)
    }

    /// A single essay.
    pub(crate) fn essay(&mut self) -> Submission {
        let tag = self.tag();
        let body = json!({"text": self.text(), "language": "en"});
        Submission { path: "/v1/trigger-spellcheck", ..batch(Op::SubmitEssay, tag, 1, &body) }
    }

    /// Another body under the key of `used`.
    pub(crate) fn under_the_key_of(&mut self, used: &Submission) -> Submission {
        let tag = self.tag();
        let is_single = used.op == Op::SubmitEssay;
        let body = if is_single { json!({"text": self.text()}) } else { self.class_of(&tag, 1) };
        let key = used.key.clone();
        Submission { key, path: used.path, ..batch(Op::SubmitUnderUsedKey, tag, 1, &body) }
    }

    /// A body that must be refused as a whole, though most of it is valid.
    pub(crate) fn invalid(&mut self) -> Submission {
        let tag = self.tag();
        let mut body = self.class_of(&tag, 3);
        let fault = self.random.usize(0..7);
        match fault {
            0 => set(&mut body, "/essays", json!([])),
            1 => set(&mut body, "/essays/2/text", json!(" \n ")),
            2 => set(&mut body, "/course_code", json!("ENG9")),
            3 => set(&mut body, "/phases", json!(["spellcheck", "grammar"])),
            4 => set(&mut body, "/essays/1/text", json!(format!("{}\u{0}", self.text()))),
            _ => {}
        }
        let mut submission = batch(Op::SubmitInvalid, tag, 3, &body);
        match fault {
            5 => submission.body.truncate(submission.body.len() / 2),
            6 => submission.media_type = "application/xml",
            _ => {}
        }
        submission
    }

    fn class_of(&mut self, tag: &str, count: usize) -> Value {
        let essays: Vec<_> = (0..count)
            .map(|number| json!({"client_ref": client_ref(tag, number), "text": self.text()}))
            .collect();
        json!({
            "name": format!("9B {}", self.canary.name),
            "course_code": "ENG5",
            "phases": ["spellcheck", "nlp"],
            "essays": essays,
        })
    }

    fn text(&mut self) -> String {
        let mistake = self.random.choice(MISTAKES).unwrap_or_default();
        let mut text = format!("Number {} is mine. {mistake} ", self.canary.text);
        for _ in 0..self.random.usize(2..12) {
            text.push_str(self.random.choice(SENTENCES).unwrap_or_default());
            text.push(if self.random.u8(..) < 32 { '\n' } else { ' ' });
        }
        text
    }

    fn tag(&mut self) -> String {
        self.made += 1;
        format!("w{}n{}", self.worker, self.made)
    }
}

/// The client's name for an essay of a body.
fn client_ref(tag: &str, number: usize) -> String {
    format!("{tag}-{number}")
}

/// The tag in a `client_ref` made here.
pub(crate) fn tag_of(client_ref: &str) -> &str {
    client_ref.rsplit_once('-').map_or(client_ref, |(tag, _)| tag)
}

fn batch(op: Op, tag: String, essays: usize, body: &Value) -> Submission {
    let (path, media_type) = ("/v1/batch", "application/json");
    Submission {
        op,
        path,
        media_type,
        key: format!("chaos-{tag}"),
        tag,
        essays,
        body: body.to_string().into_bytes(),
    }
}

fn set(body: &mut Value, pointer: &str, value: Value) {
    if let Some(place) = body.pointer_mut(pointer) {
        *place = value;
    }
}

/// A short hash for comparing bytes.
pub(crate) fn hash(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().take(8).fold(0_u64, |hash, byte| hash << 8 | u64::from(*byte)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_submissions_again_and_every_text_holds_the_canary() {
        let author = |seed| Author::new(seed, 2, Canary::of(7));
        let (one, two) = (author(1).class(), author(1).class());
        assert_eq!((&one.body, &one.key), (&two.body, &two.key));
        assert_ne!(one.body, author(2).class().body);
        let text = String::from_utf8(one.body).unwrap();
        assert_eq!(text.matches(&Canary::of(7).text).count(), one.essays);
    }

    #[test]
    fn the_tag_of_an_essay_is_in_its_name() {
        assert_eq!(tag_of(&client_ref("w1n20", 3)), "w1n20");
    }
}
