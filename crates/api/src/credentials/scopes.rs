//! What the bearer of a token may do: a closed set of words.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One thing that a caller may do. None includes another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Look at what is its own.
    Read,
    /// Hand in, start and change what is its own.
    Write,
    /// Run the installation: make and revoke tokens, erase stored texts by their ids.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// Some of the scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scopes {
    read: bool,
    write: bool,
    admin: bool,
}

impl Scopes {
    /// None.
    pub const NONE: Self = Self { read: false, write: false, admin: false };
    /// All.
    pub const ALL: Self = Self { read: true, write: true, admin: true };
    /// What somebody needs who hands essays in.
    pub const USUAL: Self = Self { read: true, write: true, admin: false };

    /// Whether this one is among them.
    pub const fn has(self, scope: Scope) -> bool {
        match scope {
            Scope::Read => self.read,
            Scope::Write => self.write,
            Scope::Admin => self.admin,
        }
    }

    /// In the order of the set.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }

    /// As they are stored: words with commas.
    pub fn to_text(self) -> String {
        self.iter().map(Scope::as_str).collect::<Vec<_>>().join(",")
    }

    /// As they were stored. A word of a later version gives nothing here.
    pub fn of_text(text: &str) -> Self {
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
    fn scopes_are_stored_as_words_and_an_unknown_word_gives_nothing() {
        assert_eq!(Scopes::ALL.to_text(), "read,write,admin");
        assert_eq!(Scopes::of_text("read,write,admin"), Scopes::ALL);
        assert_eq!(Scopes::of_text("read,erase"), Scopes::from_iter([Scope::Read]));
        assert_eq!(Scopes::of_text(""), Scopes::NONE);
        assert_eq!(Scopes::NONE.to_text(), "");
    }
}
