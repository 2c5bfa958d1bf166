//! Revisions as entity tags: `ETag: "57"`, and 304 if the caller already has that revision.

use axum::http::{HeaderMap, HeaderValue, header};

/// The entity tag of a revision.
pub(crate) fn etag(revision: i64) -> String {
    format!("\"{revision}\"")
}

/// The header value of a tag, in quotation marks.
pub(crate) fn etag_value(tag: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{tag}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// The versions that a caller already has, by its `If-None-Match`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Has {
    /// The header is absent.
    Nothing,
    /// `*`: any version.
    Anything,
    /// These tags, without quotation marks. Weak and strong tags compare equal (RFC 9110 §13.1.2).
    Tags(Vec<String>),
}

impl Has {
    /// Reads all lines of the header. A part that is not an entity tag matches nothing.
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

    /// Whether the caller has this tag.
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
    fn a_tag_matches_a_weak_and_a_strong_tag_in_a_list_and_a_star() {
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
