//! Canaries: strings that occur only in what a run submits, so that every place where they appear is known.

/// The canaries of one run. They are numbers, so that no spell checker changes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Canary {
    /// Part of every essay.
    pub(crate) text: String,
    /// Part of the name of every class.
    pub(crate) name: String,
}

impl Canary {
    /// The canaries of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let number = |salt| fastrand::Rng::with_seed(seed ^ salt).u64(10_u64.pow(17)..10_u64.pow(18));
        Self { text: number(0x7e_97).to_string(), name: number(0x4a_3e).to_string() }
    }

    /// The canaries in these bytes.
    pub(crate) fn found_in(&self, bytes: &[u8]) -> impl Iterator<Item = Secret> + use<> {
        let holds = |word: &str| bytes.windows(word.len()).any(|window| window == word.as_bytes());
        let text = holds(&self.text).then_some(Secret::Text);
        let name = holds(&self.name).then_some(Secret::Name);
        text.into_iter().chain(name)
    }

    /// As [`Canary::found_in`], for bytes from a place where none may be.
    pub(crate) fn sightings(&self, place: &str, bytes: &[u8]) -> impl Iterator<Item = Sighting> {
        self.found_in(bytes).map(|secret| Sighting { place: place.to_owned(), secret })
    }
}

/// The kind of private text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secret {
    /// Of an essay.
    Text,
    /// Of a class.
    Name,
}

/// A place where a canary was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sighting {
    pub(crate) place: String,
    pub(crate) secret: Secret,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_is_found_inside_other_bytes_and_that_of_another_run_is_not() {
        let (mine, other) = (Canary::of(1), Canary::of(2));
        let bytes = format!("\u{0}…{}!", mine.text).into_bytes();
        assert_eq!(mine.found_in(&bytes).collect::<Vec<_>>(), [Secret::Text]);
        assert_eq!(other.found_in(&bytes).count(), 0);
        assert_ne!(mine.text, mine.name);
    }
}
