//! The checks of a submission, the same for every format.

use std::collections::HashMap;

use bytes::Bytes;
use domain::{Language, Phase, PhaseSet};
use engine::{SubmittedEssay, SubmittedText};
use store::{Details, Labels, Private};

use super::faults::{Faults, Place};
use super::header::Header;
use super::{Bounds, Draft, DraftEssay, text};
use crate::essay_file::{look, without_mark};
use crate::problem::Code;
use crate::suggest::suggest;

/// Most characters in a name and in other short texts.
const SHORT: usize = 200;

/// Most characters in a `client_ref`: the longest file name on common file systems.
const CLIENT_REF: usize = 255;

/// Most characters in the instructions that pupils were given.
const INSTRUCTIONS: usize = 20_000;

/// What the installation decides for every batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fixed {
    /// The phases that the installation serves.
    pub(crate) served: PhaseSet,
    /// The language of a batch that states neither a course nor a language.
    pub(crate) default_language: Language,
}

/// What happens to a batch with invalid essays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum OnInvalid {
    /// The whole batch is refused.
    #[default]
    RejectBatch,
    /// The valid essays are accepted.
    Skip,
}

/// The checked fields of a batch, without its essays.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) name: Option<Private<String>>,
    pub(super) language: Language,
    pub(super) details: Details,
    pub(super) labels: Labels,
    pub(super) phases: Vec<Phase>,
    pub(super) on_invalid: OnInvalid,
}

/// Checks the fields of the batch, without its essays.
pub(super) fn header(faults: &mut Faults, header: Header, bounds: Bounds, fixed: Fixed) -> Checked {
    let mut line = |at: &str, text: Option<String>| {
        text.and_then(|text| faults.line(Place::Request(at), text, SHORT)).filter(|text| !text.is_empty())
    };
    let name = line("/name", header.name);
    let class_designation = line("/class_designation", header.class_designation);
    let assignment_id = line("/assignment_id", header.assignment_id);
    let essay_instructions = header
        .essay_instructions
        .and_then(|text| faults.paragraph(Place::Request("/essay_instructions"), text, INSTRUCTIONS));
    let prompt_storage_id =
        header.prompt_storage_id.and_then(|id| faults.storage_id(Place::Request("/prompt_storage_id"), &id));
    if header.prompt {
        let detail =
            "prompts as text are not available yet; store the prompt and send its `prompt_storage_id`";
        faults.add(Place::Request("/prompt"), Code::NotAvailable, detail);
    }
    if header.close == Some(false) {
        let detail = "batches that stay open for more essays are not available yet; send all essays at once";
        faults.add(Place::Request("/close"), Code::NotAvailable, detail);
    }
    let (course_code, language) =
        course_and_language(faults, header.course_code.as_deref(), header.language.as_deref());
    Checked {
        name: name.map(Private),
        language: language.unwrap_or(fixed.default_language),
        details: Details {
            course_code: course_code.map(str::to_owned),
            class_designation: class_designation.map(Private),
            essay_instructions: essay_instructions.map(Private),
            assignment_id,
            prompt_storage_id: prompt_storage_id.map(Into::into),
            traceparent: None,
        },
        labels: labels(faults, header.labels, bounds),
        phases: phases(faults, "/phases", &header.phases, fixed.served),
        on_invalid: on_invalid(faults, header.on_invalid.as_deref()),
    }
}

fn on_invalid(faults: &mut Faults, word: Option<&str>) -> OnInvalid {
    match word {
        None | Some("reject_batch") => OnInvalid::RejectBatch,
        Some("skip") => OnInvalid::Skip,
        Some(_) => {
            faults.add(Place::Request("/on_invalid"), Code::UnknownWord, "known here: reject_batch, skip");
            OnInvalid::RejectBatch
        }
    }
}

/// The course and its language. Both may be given if they agree; the table of courses decides the language of a course.
fn course_and_language(
    faults: &mut Faults,
    course: Option<&str>,
    language: Option<&str>,
) -> (Option<&'static str>, Option<Language>) {
    let known = course.and_then(|word| engine::courses().find(|(code, _)| *code == word));
    let (code, taught) = known.unzip();
    let stated = language.and_then(|word| self::language(faults, Place::Request("/language"), word));
    if course.is_some() && code.is_none() {
        let known: Vec<&str> = engine::courses().map(|(code, _)| code).collect();
        let detail = format!("known here: {}", known.join(", "));
        faults.add(Place::Request("/course_code"), Code::UnknownCourseCode, detail);
    }
    if let (Some(taught), Some(stated)) = (taught, stated)
        && taught != stated
    {
        let detail =
            format!("the course is taught in `{taught}`; omit the language, or correct one of the two");
        faults.add(Place::Request("/language"), Code::CourseLanguageConflict, detail);
    }
    (code, taught.or(stated))
}

/// Parses a language.
pub(crate) fn language(faults: &mut Faults, place: Place<'_>, word: &str) -> Option<Language> {
    let language = word.parse().ok();
    if language.is_none() {
        let known: Vec<&str> = Language::ALL.iter().map(|language| language.as_str()).collect();
        faults.add(place, Code::UnknownLanguage, format!("known here: {}", known.join(", ")));
    }
    language
}

/// Parses the requested phases, in their order. The rules add missing prerequisites.
pub(crate) fn phases(
    faults: &mut Faults,
    path: &str,
    words: &[(usize, String)],
    served: PhaseSet,
) -> Vec<Phase> {
    let mut phases = Vec::new();
    let names =
        |phases: &mut dyn Iterator<Item = Phase>| phases.map(Phase::as_str).collect::<Vec<_>>().join(", ");
    for (at, word) in words {
        let pointer = format!("{path}/{at}");
        let place = Place::Request(&pointer);
        match word.parse::<Phase>() {
            Err(_) => {
                let known = Phase::ALL.iter().map(|phase| phase.as_str());
                let detail = match suggest(word, known) {
                    Some(near) => format!("unknown phase; did you mean `{near}`?"),
                    None => format!("unknown phase; known here: {}", names(&mut Phase::ALL.iter().copied())),
                };
                faults.add(place, Code::UnknownPhase, detail);
            }
            Ok(phase) if phases.contains(&phase) => {
                faults.add(place, Code::DuplicatePhase, format!("{phase} is named twice"));
            }
            Ok(phase) if !served.contains(phase) => {
                let detail =
                    format!("no service runs {phase} here; possible are {}", names(&mut served.iter()));
                faults.add(place, Code::PhaseNotServed, detail);
            }
            Ok(phase) => phases.push(phase),
        }
    }
    phases
}

fn labels(faults: &mut Faults, labels: Vec<(String, String)>, bounds: Bounds) -> Labels {
    if labels.len() > bounds.labels {
        let detail = format!("{} labels, at most {} are allowed", labels.len(), bounds.labels);
        faults.add(Place::Request("/labels"), Code::InvalidLabel, detail);
        return Labels::new();
    }
    let mut checked = Labels::new();
    for (key, value) in labels {
        let place = Place::Request("/labels");
        if key.is_empty() {
            faults.add(place, Code::MissingField, "a label has an empty key");
            continue;
        }
        let Some(key) = faults.line(place, key, bounds.label_key) else { continue };
        let Some(value) = faults.line(place, value, bounds.label_value) else { continue };
        // Keys can become equal without their byte order marks.
        if checked.insert(key, Private(value)).is_some() {
            faults.add(place, Code::DuplicateKey, "a label occurs more than once");
        }
    }
    checked
}

/// Checks the essays and returns the valid ones.
pub(super) fn essays(faults: &mut Faults, draft: &mut Draft, bounds: Bounds) -> Vec<SubmittedEssay> {
    if draft.count > bounds.essays {
        let detail =
            format!("{} essays, at most {} are allowed; split the batch", draft.count, bounds.essays);
        faults.add(Place::Request("/essays"), Code::TooManyEssays, detail);
    } else if draft.count == 0 && !faults.has_request_faults() {
        faults.add(Place::Request("/essays"), Code::NoEssays, "a batch must have at least one essay");
    }
    let mut accepted = Vec::with_capacity(draft.essays.len());
    let mut names = HashMap::new();
    for (index, essay) in draft.essays.iter_mut().enumerate() {
        let text = content(faults, index, essay, bounds.text);
        let client_ref = essay.client_ref.take().and_then(|name| {
            // A `client_ref` with unprintable characters is not repeated in the errors.
            faults.line(Place::Essay(index, "/client_ref"), name, CLIENT_REF)
        });
        essay.client_ref.clone_from(&client_ref);
        refuse_duplicate(faults, &mut names, index, client_ref.as_deref().unwrap_or_default());
        if let Some(text) = text
            && !faults.has_essay(index)
        {
            accepted.push(SubmittedEssay { client_ref: client_ref.map(Private), text });
        }
    }
    accepted
}

/// Refuses an essay whose name an earlier one has, because its results could be taken for those of another pupil. Names that only
/// look the same are the same to the people who read them.
fn refuse_duplicate(faults: &mut Faults, names: &mut HashMap<String, usize>, index: usize, name: &str) {
    let look = look(name);
    if look.is_empty() {
        return;
    }
    let first = *names.entry(look).or_insert(index);
    if first != index {
        let detail =
            format!("the essay has the same name as /essays/{first}, or one that looks the same; rename one");
        faults.add(Place::Essay(index, "/client_ref"), Code::DuplicateClientRef, detail);
    }
}

/// The text of an essay or its storage id; exactly one of the two must be given.
fn content(
    faults: &mut Faults,
    index: usize,
    essay: &mut DraftEssay,
    longest: usize,
) -> Option<SubmittedText> {
    match (essay.text.take(), essay.text_storage_id.take()) {
        (Some(_), Some(_)) => {
            let detail = "both `text` and `text_storage_id` are given; send one of them";
            faults.add(Place::Essay(index, ""), Code::ConflictingFields, detail);
            None
        }
        (None, None) if faults.has_essay(index) => None,
        (None, None) => {
            let detail = "`text` is missing; send `text` or `text_storage_id`";
            faults.add(Place::Essay(index, "/text"), Code::MissingField, detail);
            None
        }
        (Some(text), None) => {
            text::check(faults, Place::Essay(index, "/text"), &text, longest);
            Some(SubmittedText::Body(Bytes::from(without_mark(text))))
        }
        (None, Some(id)) => {
            faults.storage_id(Place::Essay(index, "/text_storage_id"), &id).map(SubmittedText::Stored)
        }
    }
}
