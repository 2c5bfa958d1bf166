//! The submission of a batch: parsed from JSON, NDJSON or a form, then checked as a whole, so that all its errors are reported
//! together and before anything is stored.

mod check;
mod content;
mod faults;
mod header;
pub(crate) mod json;
mod multipart;
mod ndjson;
mod object;
mod shapes;
mod text;

use bytes::Bytes;
use client::documents::Rejection;
use domain::{Language, Phase};
use engine::SubmittedEssay;
use store::{Details, Labels, Private};

use self::check::OnInvalid;
pub(crate) use self::check::{Fixed, language};
pub(crate) use self::content::Content;
pub(crate) use self::faults::{Faults, Place};
use self::header::Header;
pub(crate) use self::multipart::Form;
pub(crate) use self::object::{members, one_object, phases_of};
pub(crate) use self::shapes::FormRequest;
pub(crate) use self::text::{check as check_text, decode, repair};
use super::problem::{Code, Item, Problem};

/// The limits that a submission is checked against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Most essays in a batch.
    pub(crate) essays: usize,
    /// Most bytes in an essay's text.
    pub(crate) text: usize,
    /// Most labels on a batch.
    pub(crate) labels: usize,
    /// Most characters in a label's key.
    pub(crate) label_key: usize,
    /// Most characters in a label's value.
    pub(crate) label_value: usize,
}

/// The body of a submission, by its format.
#[derive(Debug)]
pub(crate) enum Written {
    /// One JSON object.
    Json(Bytes),
    /// NDJSON: a line for the batch, then a line for each essay.
    Ndjson(Bytes),
    /// A form: fields for the batch, files for the essays.
    Form(Form),
}

/// A batch that was parsed and not yet checked.
#[derive(Debug, Default)]
struct Draft {
    header: Header,
    essays: Vec<DraftEssay>,
    /// The number of essays in the body, which can exceed `essays.len()` (see `ESSAYS_KEPT`).
    count: usize,
}

/// An essay that was parsed and not yet checked.
#[derive(Debug, Default)]
struct DraftEssay {
    client_ref: Option<String>,
    text: Option<String>,
    text_storage_id: Option<String>,
}

/// A batch that passed all checks.
#[derive(Debug)]
pub(crate) struct Acceptable {
    pub(crate) name: Option<Private<String>>,
    pub(crate) language: Language,
    pub(crate) details: Details,
    pub(crate) labels: Labels,
    pub(crate) phases: Vec<Phase>,
    pub(crate) essays: Vec<SubmittedEssay>,
    pub(crate) rejections: Vec<Rejection>,
    pub(crate) rejected: usize,
    /// The digest of the content, for the Idempotency-Key.
    pub(crate) content: [u8; 32],
}

/// Parses and checks a batch.
///
/// # Errors
/// A problem with all faults, unless only essays are at fault, the batch says `"on_invalid": "skip"` and an essay is left.
pub(crate) fn read(written: Written, bounds: Bounds, fixed: Fixed) -> Result<Acceptable, Problem> {
    let mut faults = Faults::default();
    let mut draft = match written {
        Written::Json(body) => header::read_json(&mut faults, &repair(&body))?,
        Written::Ndjson(body) => ndjson::read(&mut faults, &repair(&body))?,
        Written::Form(form) => multipart::read(&mut faults, form),
    };
    let content = Content::of(&draft).digest();
    let header = check::header(&mut faults, std::mem::take(&mut draft.header), bounds, fixed);
    let essays = check::essays(&mut faults, &mut draft, bounds);
    let (written, at_fault) = (draft.count, faults.essays());
    let skip = header.on_invalid == OnInvalid::Skip;
    if faults.has_request_faults() || (!faults.is_empty() && !skip) || essays.is_empty() {
        return Err(refusal(faults, &draft, written));
    }
    let (items, _) = faults.into_items(|index| draft.client_ref(index));
    Ok(Acceptable {
        name: header.name,
        language: header.language,
        details: header.details,
        labels: header.labels,
        phases: header.phases,
        essays,
        rejections: items.into_iter().filter_map(rejection).collect(),
        rejected: at_fault,
        content,
    })
}

fn refusal(faults: Faults, draft: &Draft, written: usize) -> Problem {
    let refused = faults.essays();
    let (items, untold) = faults.into_items(|index| draft.client_ref(index));
    let mut detail = match (refused, written) {
        (0, _) => "The batch is invalid; nothing was stored.".to_owned(),
        (1, 1) => "The only essay was refused; nothing was stored.".to_owned(),
        (refused, written) => format!("{refused} of {written} essays were refused; nothing was stored."),
    };
    if untold > 0 {
        detail = format!("{detail} {untold} more errors are not listed.");
    }
    Problem::new(code_of(&items, refused), detail).with_errors(items)
}

/// The code of the whole problem. Too many or no essays take precedence. If no essay is at fault and all faults have one code, it
/// is that code; otherwise `invalid`.
fn code_of(items: &[Item], refused: usize) -> Code {
    let codes = items.iter().map(|item| item.code);
    let size = codes.clone().find(|code| matches!(code, Code::TooManyEssays | Code::NoEssays));
    let first = codes.clone().next().filter(|first| refused == 0 && codes.clone().all(|code| code == *first));
    size.or(first).unwrap_or(Code::Invalid)
}

impl Draft {
    fn client_ref(&self, index: usize) -> Option<String> {
        self.essays.get(index).and_then(|essay| essay.client_ref.clone())
    }
}

/// The rejection of an essay; `None` for a fault of the request.
fn rejection(item: Item) -> Option<Rejection> {
    let Item { pointer, client_ref, index, code, detail, parameter: _ } = item;
    let code = code.as_str().into();
    Some(Rejection { index: index?, client_ref, code, pointer: pointer.unwrap_or_default(), detail })
}
