//! A batch line by line: the first line is about the batch, each further one is an essay.

use super::Draft;
use super::faults::{Faults, Place};
use super::header::{malformed, not_an_object, read_essay};
use super::json::{ESSAYS_KEPT, Object};
use crate::problem::{Code, Problem};

fn lines_of(body: &str) -> impl Iterator<Item = &str> {
    body.split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line))
        .filter(|line| !line.trim().is_empty())
}

/// Reads the lines; empty ones are passed over. A line that is no JSON is a fault of its essay alone.
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
                let detail = format!("this line is not JSON, at column {}", error.column());
                faults.add(Place::Essay(index, ""), Code::MalformedJson, detail);
                super::DraftEssay::default()
            }
        };
        draft.essays.push(essay);
    }
    Ok(draft)
}
