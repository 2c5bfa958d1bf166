//! A batch as NDJSON: the first line is the batch, each further line an essay.

use super::Draft;
use super::faults::{Faults, Place};
use super::header::{malformed, not_an_object, read_essay};
use super::json::{ESSAYS_KEPT, Object};
use crate::essay_file::unmarked;
use crate::problem::{Code, Problem};

fn lines_of(body: &str) -> impl Iterator<Item = &str> {
    body.split('\n')
        .map(|line| unmarked(line.strip_suffix('\r').unwrap_or(line)))
        .filter(|line| !line.trim().is_empty())
}

/// Parses the lines and skips empty ones. A line that is not JSON is a fault of its essay only.
///
/// # Errors
/// A problem if the first line is not a JSON object.
pub(super) fn read(faults: &mut Faults, body: &str) -> Result<Draft, Problem> {
    let mut draft = Draft::default();
    let mut lines = lines_of(body);
    let Some(first) = lines.next() else {
        return Ok(draft);
    };
    match serde_json::from_str(first).map_err(|error| malformed(&error))? {
        Object::Members(members) => draft.header = super::header::read(faults, members),
        Object::Other(_) => return Err(not_an_object(first)),
    }
    for (index, line) in lines.enumerate() {
        draft.count = index + 1;
        if index >= ESSAYS_KEPT {
            continue;
        }
        let essay = match serde_json::from_str(line) {
            Ok(essay) => read_essay(faults, index, essay),
            Err(error) => {
                let detail = format!("the line is not JSON, at column {}", error.column());
                faults.add(Place::Essay(index, ""), Code::MalformedJson, detail);
                super::DraftEssay::default()
            }
        };
        draft.essays.push(essay);
    }
    Ok(draft)
}
