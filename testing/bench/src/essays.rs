//! What is handed in: texts of one length out of made-up words, and the requests that carry them.

use crate::http::Request;

/// The length of every text, in bytes: an essay of about 300 words.
pub(crate) const TEXT_BYTES: usize = 1_800;

/// The essays of a class.
pub(crate) const CLASS: u16 = 30;

/// A text of [`TEXT_BYTES`] bytes. The same number makes the same text on every machine.
pub(crate) fn text(number: u64) -> String {
    let mut random = Random(number.wrapping_add(1));
    let mut text = String::with_capacity(TEXT_BYTES + 10);
    while text.len() < TEXT_BYTES {
        for _ in 0..2 + random.below(8) {
            text.push(char::from(b'a' + random.below(26)));
        }
        text.push(' ');
    }
    text.truncate(TEXT_BYTES);
    text
}

/// `POST /v1/batch` with this number of essays, for these phases, under a new Idempotency-Key each time it is sent.
pub(crate) fn batch(essays: u16, phases: &[&str]) -> Request {
    let essays: Vec<_> = (0..essays)
        .map(|n| serde_json::json!({ "client_ref": format!("s-{n:04}"), "text": text(n.into()) }))
        .collect();
    let body = serde_json::json!({
        "name": "9B argumentative text", "course_code": "ENG5", "phases": phases, "essays": essays,
    });
    Request::post("/v1/batch", body.to_string().as_bytes())
}

/// `POST /v1/trigger-spellcheck`.
pub(crate) fn single() -> Request {
    Request::post("/v1/trigger-spellcheck", serde_json::json!({ "text": text(0) }).to_string().as_bytes())
}

/// `SplitMix64`: enough disorder for text that no cache or compressor can take advantage of.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u8) -> u8 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        u8::try_from((mixed ^ (mixed >> 31)) % u64::from(bound)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_one_length_and_differ_by_number() {
        assert_eq!(text(7).len(), TEXT_BYTES);
        assert_eq!(text(7), text(7));
        assert_ne!(text(7), text(8));
    }
}
