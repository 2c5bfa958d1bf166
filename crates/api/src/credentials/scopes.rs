//! Sets of scopes: what the bearer of a token may do.

use client::documents::Scope;

/// A set of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scopes {
    read: bool,
    write: bool,
    admin: bool,
}

impl Scopes {
    /// The empty set.
    pub const NONE: Self = Self { read: false, write: false, admin: false };
    /// All scopes.
    pub const ALL: Self = Self { read: true, write: true, admin: true };
    /// The default of a new token: `read` and `write`, enough to submit essays and follow them.
    pub const USUAL: Self = Self { read: true, write: true, admin: false };

    /// Whether the set contains a scope.
    pub const fn has(self, scope: Scope) -> bool {
        match scope {
            Scope::Read => self.read,
            Scope::Write => self.write,
            Scope::Admin => self.admin,
        }
    }

    /// The scopes, in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }

    /// The set as it is stored: words separated by commas.
    pub fn to_text(self) -> String {
        self.iter().map(Scope::as_str).collect::<Vec<_>>().join(",")
    }

    /// The set from its stored text. An unknown word, such as one of a later version, grants nothing.
    pub fn parse(text: &str) -> Self {
        text.split(',')
            .filter_map(|word| Scope::ALL.into_iter().find(|scope| scope.as_str() == word))
            .collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        scopes.into_iter().fold(Self::NONE, |some, scope| match scope {
            Scope::Read => Self { read: true, ..some },
            Scope::Write => Self { write: true, ..some },
            Scope::Admin => Self { admin: true, ..some },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Scope, Scopes};

    #[test]
    fn scopes_are_stored_as_words_and_an_unknown_word_grants_nothing() {
        assert_eq!(Scopes::ALL.to_text(), "read,write,admin");
        assert_eq!(Scopes::parse("read,write,admin"), Scopes::ALL);
        assert_eq!(Scopes::parse("read,erase"), Scopes::from_iter([Scope::Read]));
        assert_eq!(Scopes::parse(""), Scopes::NONE);
        assert_eq!(Scopes::NONE.to_text(), "");
    }
}
