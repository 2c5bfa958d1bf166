//! Suggestions for misspelt names ("did you mean …?").

/// The longest name for which a suggestion is made, in bytes (chosen): longer than every name that is known anywhere, and short
/// enough that a comparison costs nothing. A name of a request may be as long as its body.
const LONGEST: usize = 64;

/// The candidate that `name` is most likely a misspelling of, or `None` if no candidate is similar or `name` is
/// longer than 64 bytes.
///
/// Similar means a Jaro-Winkler similarity of at least 0.85 (chosen): it covers a letter that is missing, doubled, swapped or
/// replaced, also in long names, and separates different words of the same length.
pub fn suggest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LONGEST {
        return None;
    }
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
    fn a_misspelt_name_finds_its_candidate() {
        let names = ["port", "host", "phase_timeout", "labels"];
        assert_eq!(suggest("prot", names), Some("port"));
        assert_eq!(suggest("phase_timout", names), Some("phase_timeout"));
        assert_eq!(suggest("label", names), Some("labels"));
    }

    #[test]
    fn a_name_that_is_longer_than_any_known_one_is_not_compared() {
        let long = "volume_of_the_body_of_a_request_in_megabytes_per_second_and_day";
        let name = format!("{long}xx");
        assert_eq!((suggest(long, [long]), name.len()), (Some(long), 65));
        assert_eq!(suggest(&name, [name.as_str()]), None);
    }

    #[test]
    fn an_unrelated_name_finds_no_candidate() {
        assert_eq!(suggest("volume", ["port", "host"]), None);
    }
}
