//! Revisions over HTTP: `ETag: "57"`, and a 304 for whoever has that already.

use axum::http::{HeaderMap, HeaderValue, header};

/// The entity tag of a revision.
pub(crate) fn etag(revision: i64) -> String {
    format!("\"{revision}\"")
}

/// A tag as a header's value.
pub(crate) fn etag_value(tag: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{tag}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// What a caller has already, by its `If-None-Match`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Has {
    /// It does not say.
    Nothing,
    /// `*`: anything at all.
    Anything,
    /// One of these tags, without their quotation marks; weak or strong, as RFC 9110 §13.1.2 compares them.
    Tags(Vec<String>),
}

impl Has {
    /// Reads the header, all of its lines. A part that is no entity tag matches nothing.
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let lines: Vec<&str> =
            headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok()).collect();
        if lines.is_empty() {
            return Self::Nothing;
        }
        let parts = lines.iter().flat_map(|line| line.split(',')).map(str::trim);
        if parts.clone().any(|part| part == "*") {
            return Self::Anything;
        }
        Self::Tags(
            parts
                .filter_map(|part| {
                    part.strip_prefix("W/").unwrap_or(part).strip_prefix('"')?.strip_suffix('"')
                })
                .map(str::to_owned)
                .collect(),
        )
    }

    /// Whether this tag is among them.
    pub(crate) fn includes(&self, tag: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Anything => true,
            Self::Tags(tags) => tags.iter().any(|has| has == tag),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_matches_weak_strong_in_a_list_and_by_the_star() {
        let has = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static(value));
            Has::read(&headers).includes("57")
        };
        for matching in ["\"57\"", "W/\"57\"", "\"1\", W/\"57\"", "*"] {
            assert!(has(matching), "{matching}");
        }
        for other in ["\"58\"", "57", "", "\"5\", \"7\"", "\"57"] {
            assert!(!has(other), "{other}");
        }
        assert!(!Has::read(&HeaderMap::new()).includes("57"));
    }
}
