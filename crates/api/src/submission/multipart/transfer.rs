//! The `Content-Transfer-Encoding` of a part. RFC 7578 §4.7 advises against it, and mail libraries write it all the same.

use base64::Engine as _;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use bytes::Bytes;

use crate::problem::Code;

/// Base64 with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Decodes the content of a part.
///
/// # Errors
/// The encoding is none that RFC 2045 defines, or the content is not in it. The text is a predicate of the part.
pub(super) fn decode(header: Option<&[u8]>, content: Bytes) -> Result<Bytes, (Code, &'static str)> {
    let encoding = header.unwrap_or(b"binary").trim_ascii().to_ascii_lowercase();
    match encoding.as_slice() {
        b"7bit" | b"8bit" | b"binary" => Ok(content),
        b"base64" => base64(&content)
            .map(Bytes::from)
            .ok_or((Code::MalformedForm, "is not in base64, as its Content-Transfer-Encoding says")),
        b"quoted-printable" => quoted_printable(&content)
            .map(Bytes::from)
            .ok_or((Code::MalformedForm, "is not quoted-printable, as its Content-Transfer-Encoding says")),
        _ => Err((
            Code::UnsupportedEncoding,
            "has a Content-Transfer-Encoding other than 7bit, 8bit, binary, base64 and quoted-printable",
        )),
    }
}

/// Decodes base64, without its line ends.
pub(super) fn base64(content: &[u8]) -> Option<Vec<u8>> {
    let letters: Vec<u8> = content.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    BASE64.decode(letters).ok()
}

/// Decodes quoted-printable (RFC 2045 §6.7). A line that ends with `=` continues on the next one; blanks at the end of a line
/// were added on the way.
pub(super) fn quoted_printable(content: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(content.len());
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        let bare = line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line));
        let end = line.get(bare.len()..).unwrap_or_default();
        let mut rest = if end.is_empty() { bare } else { bare.trim_ascii_end() };
        let continues = rest.ends_with(b"=");
        rest = rest.strip_suffix(b"=").unwrap_or(rest);
        while let [first, after @ ..] = rest {
            rest = after;
            if *first == b'=' {
                let (digits, after) = after.split_at_checked(2)?;
                decoded.push(byte(digits)?);
                rest = after;
            } else {
                decoded.push(*first);
            }
        }
        if !continues {
            decoded.extend_from_slice(end);
        }
    }
    Some(decoded)
}

/// The byte of two hexadecimal digits.
pub(super) fn byte(digits: &[u8]) -> Option<u8> {
    let digits =
        std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|d| d.is_ascii_hexdigit()))?;
    u8::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_decoded_as_its_transfer_encoding_says() {
        let decoded = |encoding: &'static [u8], content: &'static [u8]| {
            decode(Some(encoding), Bytes::from_static(content))
                .map(|content| content.to_vec())
                .map_err(|(code, _)| code)
        };
        let text = "Café = naïve.\r\nTwo\n".as_bytes().to_vec();
        assert_eq!(decoded(b"base64", b"Q2Fmw6kgPSBuYcOv\r\ndmUuDQpUd28K\r\n"), Ok(text.clone()));
        assert_eq!(decoded(b" BASE64 ", b"SGVsbG8gdGhlcmUu"), Ok(b"Hello there.".to_vec()));
        assert_eq!(decoded(b"base64", b"YQ"), Ok(b"a".to_vec()));
        assert_eq!(decoded(b"Quoted-Printable", b"Caf=C3=A9 =3D na=c3=AFve.  \r\nT=\r\nwo\n"), Ok(text));
        for same in [&b"7bit"[..], b"8BIT", b"binary"] {
            assert_eq!(decoded(same, b"a=3D"), Ok(b"a=3D".to_vec()));
        }
        assert_eq!(decoded(b"base64", b"not base64!"), Err(Code::MalformedForm));
        assert_eq!(decoded(b"quoted-printable", b"50 =of"), Err(Code::MalformedForm));
        assert_eq!(decoded(b"gzip", b""), Err(Code::UnsupportedEncoding));
        assert_eq!(decode(None, Bytes::from_static(b"a")), Ok(Bytes::from_static(b"a")));
    }
}
