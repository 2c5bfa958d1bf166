//! A batch as a form: fields for the batch, a file for each essay.

mod disposition;
mod transfer;

use bytes::Bytes;
use futures::stream;
use sha2::{Digest as _, Sha256};

use self::disposition::Disposition;
use super::faults::{Faults, Place, is_showable};
use super::header::Header;
use super::json::ESSAYS_KEPT;
use super::{Draft, DraftEssay, text};
use crate::essay_file::{self, without_mark};
use crate::problem::{Code, Problem};

/// The fields that a form may have, apart from files.
const FIELDS: &[&str] = &["name", "course_code", "language", "phases", "on_invalid"];

/// A form: its parts, and what an Idempotency-Key was bound to by the former version.
#[derive(Debug)]
pub(crate) struct Form {
    parts: Vec<Part>,
    /// A digest of the parts as the former version read them.
    pub(crate) former: [u8; 32],
}

/// One part of a form.
struct Part {
    /// The position in the form, counted from 1.
    number: usize,
    /// What the part says about itself, or what is wrong with that.
    disposition: Result<Disposition, &'static str>,
    /// The decoded content, or why it cannot be decoded.
    content: Result<Bytes, (Code, &'static str)>,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Part {}", self.number)
    }
}

impl Form {
    /// Parses the parts of a form.
    ///
    /// # Errors
    /// 400 if the media type names no boundary, or the body is not a form with that boundary.
    pub(crate) async fn read(body: Bytes, content_type: &str) -> Result<Self, Problem> {
        let refused = |detail: &str| Problem::new(Code::MalformedForm, detail);
        let boundary = multer::parse_boundary(content_type)
            .map_err(|_| refused("The Content-Type of the form names no boundary."))?;
        let mut form = multer::Multipart::new(stream::iter([Ok::<_, std::io::Error>(body)]), boundary);
        let mut parts = Vec::new();
        let mut former = Sha256::new();
        loop {
            let number = parts.len() + 1;
            let broken = |_| {
                refused(&format!(
                    "The body is not a form with this boundary, or ends too early, at part {number}; nothing was stored."
                ))
            };
            let Some(field) = form.next_field().await.map_err(broken)? else { break };
            let header = |name: &str| field.headers().get(name).map(|value| value.as_bytes().to_vec());
            let disposition = disposition::parse(header("content-disposition").as_deref());
            let encoding = header("content-transfer-encoding");
            let other_charset =
                field.content_type().and_then(|kind| kind.get_param(mime::CHARSET)).is_some_and(|charset| {
                    charset != mime::UTF_8 && !charset.as_str().eq_ignore_ascii_case("us-ascii")
                });
            let [name, file_name] =
                [field.name(), field.file_name()].map(|name| name.unwrap_or_default().to_owned());
            let content = field.bytes().await.map_err(broken)?;
            for piece in [name.as_bytes(), file_name.as_bytes(), &content] {
                former.update((piece.len() as u64).to_be_bytes());
                former.update(piece);
            }
            let content = if other_charset {
                Err((Code::UnsupportedMediaType, "has a charset other than UTF-8"))
            } else {
                transfer::decode(encoding.as_deref(), content)
            };
            parts.push(Part { number, disposition, content });
        }
        Ok(Self { parts, former: former.finalize().into() })
    }
}

impl Part {
    /// The part in a message: its position, and the name of its field if an answer may repeat it.
    fn title(&self) -> String {
        match &self.disposition {
            Ok(disposition) if is_showable(&disposition.name) => {
                format!("part {} of the form (`{}`)", self.number, disposition.name)
            }
            _ => format!("part {} of the form", self.number),
        }
    }
}

/// Parses the parts: parts with a file name are essays, in their order; the others are fields.
pub(super) fn read(faults: &mut Faults, form: Form) -> Draft {
    let mut draft = Draft::default();
    let mut seen: Vec<String> = Vec::new();
    for part in form.parts {
        let title = part.title();
        let disposition = match part.disposition {
            Ok(disposition) => disposition,
            Err(what) => {
                faults.add(Place::Request(""), Code::MalformedForm, format!("{title} {what}"));
                continue;
            }
        };
        match disposition.file_name {
            // A browser sends this for an input in which no file was chosen.
            Some(Ok(name)) if name.is_empty() && part.content.as_ref().is_ok_and(Bytes::is_empty) => {}
            Some(file_name) => {
                let index = draft.count;
                draft.count += 1;
                if index < ESSAYS_KEPT {
                    draft.essays.push(essay(faults, index, &title, file_name, part.content));
                }
            }
            None => match part.content {
                Ok(content) => field(faults, &mut draft.header, &mut seen, disposition.name, &content),
                Err((code, what)) => faults.add(Place::Request(""), code, format!("{title} {what}")),
            },
        }
    }
    draft
}

fn essay(
    faults: &mut Faults,
    index: usize,
    title: &str,
    file_name: Result<String, &'static str>,
    content: Result<Bytes, (Code, &'static str)>,
) -> DraftEssay {
    let file_name = file_name
        .map_err(|what| {
            let detail = format!("{title}: its file name {what}");
            faults.add(Place::Essay(index, "/client_ref"), Code::MalformedForm, detail);
        })
        .ok();
    let content = content
        .map_err(|(code, what)| faults.add(Place::Essay(index, "/text"), code, format!("{title} {what}")))
        .ok();
    let text = file_name.as_ref().zip(content);
    let text = text.and_then(|(name, content)| text_of(faults, Place::Essay(index, "/text"), name, &content));
    let client_ref = file_name.as_deref().and_then(essay_file::client_ref).map(str::to_owned);
    DraftEssay { client_ref, text, text_storage_id: None }
}

fn text_of(faults: &mut Faults, place: Place<'_>, file_name: &str, content: &[u8]) -> Option<String> {
    let extension = essay_file::extension(file_name);
    let (code, detail) = match (extension.as_deref(), essay_file::format_of(content)) {
        (Some("zip"), _) => (
            Code::NotAvailable,
            "archives are not supported yet; unpack it and send its .txt and .md files".to_owned(),
        ),
        _ if essay_file::holds_attributes(file_name) => {
            (Code::UnsupportedFile, "macOS keeps the attributes of another file in it".to_owned())
        }
        (Some(known), None) if essay_file::EXTENSIONS.contains(&known) => {
            return text::decode(faults, place, content);
        }
        (_, None) => (Code::UnsupportedFile, "an essay must be a .txt or .md file in UTF-8".to_owned()),
        (_, Some(format)) => (
            Code::UnsupportedFile,
            format!("the file is {format}; an essay must be a .txt or .md file in UTF-8"),
        ),
    };
    faults.add(place, code, detail);
    None
}

fn field(faults: &mut Faults, header: &mut Header, seen: &mut Vec<String>, name: String, content: &[u8]) {
    let pointer = format!("/{name}");
    if !FIELDS.contains(&name.as_str()) {
        return faults.unknown(Place::Request(""), &name, FIELDS);
    }
    let Some(text) = text::decode(faults, Place::Request(&pointer), content) else { return };
    let text = without_mark(text);
    if name != "phases" && seen.contains(&name) {
        return faults.repeated(Place::Request(""), &name);
    }
    match name.as_str() {
        "name" => header.name = Some(text),
        "course_code" => header.course_code = Some(text),
        "language" => header.language = Some(text),
        "on_invalid" => header.on_invalid = Some(text),
        // `phases`, separated by commas or in several fields.
        _ => {
            let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
            for word in words {
                header.phases.push((header.phases.len(), word.to_owned()));
            }
        }
    }
    seen.push(name);
}
