//! The types of the settings for traces.

use secrecy::SecretString;

use super::setting::{Setting, http_base};

/// The base URL of an OTLP collector, without a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectorUrl(String);

impl CollectorUrl {
    /// The URL to which spans are sent.
    pub fn traces_url(&self) -> String {
        format!("{}/v1/traces", self.0)
    }
}

impl Setting for CollectorUrl {
    fn parse(text: &str) -> Result<Self, String> {
        http_base(text, "http://localhost:4318", "collector").map(Self)
    }
}

/// Headers for a collector, in the form of `OTEL_EXPORTER_OTLP_HEADERS`: `name=value,name=value`, values percent-encoded.
#[derive(Debug, Clone)]
pub struct CollectorHeaders(pub SecretString);

impl CollectorHeaders {
    fn pairs(text: &str) -> impl Iterator<Item = Option<(String, String)>> {
        text.split(',').map(str::trim).filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=')?;
            let name = name.trim().to_ascii_lowercase();
            let value = decoded(value.trim())?;
            let is_name = !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
            let is_value = value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
            (is_name && is_value).then_some((name, value))
        })
    }

    /// The headers as name and value, with the names in lower case.
    pub fn headers(&self) -> Vec<(String, String)> {
        use secrecy::ExposeSecret as _;
        Self::pairs(self.0.expose_secret()).flatten().collect()
    }
}

impl Setting for CollectorHeaders {
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        if Self::pairs(text).any(|pair| pair.is_none()) {
            return Err(
                "is not a list of name=value, separated by commas, with percent-encoded values".to_owned()
            );
        }
        Ok(Self(SecretString::from(text)))
    }
}

/// Decodes percent-encoding; `None` if it is malformed, or the result is not UTF-8.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            u8::try_from(digit()? * 16 + digit()?).ok()?
        } else {
            byte
        });
    }
    String::from_utf8(bytes).ok()
}

/// A ratio from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part(pub f64);

impl Setting for Part {
    fn parse(text: &str) -> Result<Self, String> {
        let part: Option<f64> = text.parse().ok();
        part.filter(|part| (0.0..=1.0).contains(part))
            .map(Self)
            .ok_or_else(|| "is not a number from 0 to 1, such as 0.05".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_sent_below_the_base_url() {
        let of = |text| CollectorUrl::parse(text).map(|url| url.traces_url());
        assert_eq!(of("http://localhost:4318").unwrap(), "http://localhost:4318/v1/traces");
        assert_eq!(of("http://localhost:4318/otlp/").unwrap(), "http://localhost:4318/otlp/v1/traces");
        for refused in ["localhost:4318", "https://localhost", "http://me:you@localhost", "http://x/?a=b"] {
            assert!(of(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn headers_are_parsed_in_the_form_of_opentelemetry() {
        let headers = CollectorHeaders::parse("Authorization=Bearer%20abc=, x-tenant=school").unwrap();
        let expected = [("authorization", "Bearer abc="), ("x-tenant", "school")];
        assert_eq!(headers.headers(), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        for refused in ["authorization", "a b=c", "a=%2", "a=%0d%0ab: c", "=x"] {
            assert!(CollectorHeaders::parse(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_ratio_outside_0_to_1_is_refused() {
        assert_eq!(Part::parse("0.25"), Ok(Part(0.25)));
        assert!(["-0.1", "1.1", "NaN", "half"].iter().all(|text| Part::parse(text).is_err()));
    }
}
