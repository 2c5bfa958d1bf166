//! "Did you mean": the nearest of the names that exist.

/// The candidate that `name` is most likely a slip of, or `None` when nothing is near.
///
/// Near is a Jaro-Winkler similarity of at least 0.85: a letter lost, doubled, swapped or replaced, also in a
/// long name, while two different words of the same length stay apart.
pub fn suggest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(similarity, _)| *similarity >= 0.85)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::suggest;

    #[test]
    fn a_slip_of_the_finger_finds_its_name() {
        let names = ["port", "host", "phase_timeout", "labels"];
        assert_eq!(suggest("prot", names), Some("port"));
        assert_eq!(suggest("phase_timout", names), Some("phase_timeout"));
        assert_eq!(suggest("label", names), Some("labels"));
    }

    #[test]
    fn a_stranger_finds_nothing() {
        assert_eq!(suggest("volume", ["port", "host"]), None);
    }
}
