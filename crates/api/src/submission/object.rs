//! Small JSON bodies: one object with a few members.

use domain::{Phase, PhaseSet};
use serde_json::value::RawValue;

use super::faults::{Faults, Place};
use super::header::{malformed, not_an_object};
use super::json::{Members, Object};
use super::{check, text};
use crate::problem::Problem;

/// The members of a body that is one object.
pub(crate) fn members(body: &str) -> Result<Members<'_>, Problem> {
    match serde_json::from_str(body).map_err(|error| malformed(&error))? {
        Object::Members(members) => Ok(members),
        Object::Other(_) => Err(not_an_object(body)),
    }
}

/// Reads a body that is one object of these members; everything wrong with it is one problem.
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

/// The phases in a list of words; whether they are served is for the rules to say.
pub(crate) fn phases_of(faults: &mut Faults, words: &[(usize, String)]) -> Vec<Phase> {
    check::phases(faults, "/phases", words, PhaseSet::ALL)
}
