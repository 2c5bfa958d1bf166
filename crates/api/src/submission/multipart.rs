//! A batch as a form: fields for the batch, a file for each essay.

use bytes::Bytes;
use futures::stream;
use sha2::{Digest as _, Sha256};

use super::check::client_ref_of_file;
use super::faults::{Faults, Place};
use super::header::Header;
use super::json::ESSAYS_KEPT;
use super::{Draft, DraftEssay, text};
use crate::problem::{Code, Problem};

/// The fields that a form may have, apart from files.
const FIELDS: &[&str] = &["name", "course_code", "language", "phases", "on_invalid"];

/// One part of a form.
pub(crate) struct Part {
    name: String,
    file_name: Option<String>,
    content: Bytes,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Part({} bytes)", self.content.len())
    }
}

impl Part {
    /// Parses the parts of a form.
    ///
    /// # Errors
    /// 400 if the media type names no boundary, or the body is not a form with that boundary.
    pub(crate) async fn all_of(body: Bytes, content_type: &str) -> Result<Vec<Self>, Problem> {
        let refused = |detail: &str| Problem::new(Code::MalformedForm, detail);
        let boundary = multer::parse_boundary(content_type)
            .map_err(|_| refused("The Content-Type of the form names no boundary."))?;
        let mut form = multer::Multipart::new(stream::iter([Ok::<_, std::io::Error>(body)]), boundary);
        let broken =
            |_| refused("The body is not a form with this boundary, or ends too early; nothing was stored.");
        let mut parts = Vec::new();
        while let Some(field) = form.next_field().await.map_err(broken)? {
            let name = field.name().unwrap_or_default().to_owned();
            let file_name = field.file_name().map(str::to_owned);
            parts.push(Self { name, file_name, content: field.bytes().await.map_err(broken)? });
        }
        Ok(parts)
    }

    /// A digest of the parts without the boundary, which differs each time a client sends the same form.
    pub(crate) fn digest(parts: &[Self]) -> [u8; 32] {
        let mut hash = Sha256::new();
        for part in parts {
            let file_name = part.file_name.as_deref().unwrap_or_default();
            for piece in [part.name.as_bytes(), file_name.as_bytes(), &part.content] {
                hash.update((piece.len() as u64).to_be_bytes());
                hash.update(piece);
            }
        }
        hash.finalize().into()
    }
}

/// Parses the parts: parts with a file name are essays, in their order; the others are fields.
pub(super) fn read(faults: &mut Faults, parts: Vec<Part>) -> Draft {
    let mut draft = Draft::default();
    let mut seen: Vec<String> = Vec::new();
    for part in parts {
        match part.file_name {
            Some(file_name) => {
                let index = draft.count;
                draft.count += 1;
                if index < ESSAYS_KEPT {
                    draft.essays.push(essay(faults, index, &file_name, &part.content));
                }
            }
            None => {
                field(faults, &mut draft.header, &mut seen, part.name, &part.content);
            }
        }
    }
    draft
}

fn essay(faults: &mut Faults, index: usize, file_name: &str, content: &[u8]) -> DraftEssay {
    let place = Place::Essay(index, "/text");
    let ending = file_name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    let text = match ending.as_deref() {
        Some("txt" | "md") => text::decode(faults, place, content),
        Some("zip") => {
            let detail = "archives are not supported yet; unpack it and send its .txt and .md files";
            faults.add(place, Code::NotAvailable, detail);
            None
        }
        _ => {
            faults.add(place, Code::UnsupportedFile, "an essay must be a .txt or .md file in UTF-8");
            None
        }
    };
    DraftEssay { client_ref: client_ref_of_file(file_name), text, text_storage_id: None }
}

fn field(faults: &mut Faults, header: &mut Header, seen: &mut Vec<String>, name: String, content: &[u8]) {
    let pointer = format!("/{name}");
    if !FIELDS.contains(&name.as_str()) {
        return faults.unknown(Place::Request(""), &name, FIELDS);
    }
    let Some(text) = text::decode(faults, Place::Request(&pointer), content) else { return };
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
