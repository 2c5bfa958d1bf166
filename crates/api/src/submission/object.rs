//! Small JSON bodies that are one object.

use domain::{Phase, PhaseSet};
use serde_json::value::RawValue;

use super::faults::{Faults, Place};
use super::header::{malformed, not_an_object};
use super::json::{Members, Object};
use super::{check, text};
use crate::problem::Problem;

/// The members of a body that is one object.
///
/// # Errors
/// A problem if the body is not JSON or not an object.
pub(crate) fn members(body: &str) -> Result<Members<'_>, Problem> {
    match serde_json::from_str(body).map_err(|error| malformed(&error))? {
        Object::Members(members) => Ok(members),
        Object::Other(_) => Err(not_an_object(body)),
    }
}

/// Parses a body that is one object with the `known` members.
///
/// # Errors
/// One problem with all faults.
pub(crate) fn one_object(
    body: &[u8],
    known: &'static [&'static str],
    each: impl FnMut(&mut Faults, &'static str, &RawValue),
) -> Result<(), Problem> {
    let body = text::repair(body);
    let mut faults = Faults::default();
    faults.members(Place::Request(""), members(&body)?, known, each);
    if faults.is_empty() { Ok(()) } else { Err(faults.into_problem()) }
}

/// Parses a list of phases. The rules check whether the phases are served.
pub(crate) fn phases_of(faults: &mut Faults, words: &[(usize, String)]) -> Vec<Phase> {
    check::phases(faults, "/phases", words, PhaseSet::ALL)
}
