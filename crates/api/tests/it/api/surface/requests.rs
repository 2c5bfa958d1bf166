//! Generated requests for an operation: valid ones, ones with one invalid part, and ones with several.

use std::collections::BTreeMap;
use std::fmt;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request, header};
use futures::stream;
use serde_json::Value;
use url::form_urlencoded::byte_serialize;

use super::bodies;
use super::description::{Description, Operation, Parameter, Place, types_of};
use super::dice::{Dice, VALUE};

/// Most values that are kept of each kind.
const KEPT: usize = 100;

/// A request, which is printed if its answer is wrong.
pub(super) struct Case {
    pub(super) method: Method,
    pub(super) uri: String,
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Vec<u8>,
    /// Whether the connection breaks before the end of the body.
    breaks_off: bool,
}

/// Values from earlier answers: ids by the name of their field, and cursors by their operation.
#[derive(Default)]
pub(super) struct Known {
    words: BTreeMap<String, Vec<String>>,
    keys: usize,
}

/// Segments of paths that name one thing together.
pub(super) const POSITIONS: [&str; 2] = ["{shard}/{row}", "{topic}/{partition}/{offset}"];

/// The part of a request that is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spoiled {
    Path,
    Query,
    Header,
    Frame,
    Body,
}

const PLACES: [Spoiled; 5] = [Spoiled::Path, Spoiled::Query, Spoiled::Header, Spoiled::Frame, Spoiled::Body];

impl Known {
    /// Collects the ids and cursors of an answer, at every level.
    pub(super) fn learn(&mut self, operation: &Operation, answer: &Value) {
        match answer {
            Value::Object(members) => {
                for (name, value) in members {
                    match value.as_str() {
                        Some(word) if name.ends_with("_id") => self.keep(name, word),
                        Some(word) if name == "next_cursor" => self.keep(&operation.id, word),
                        _ => self.learn(operation, value),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.learn(operation, item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    pub(super) fn keep(&mut self, name: &str, word: &str) {
        let words = self.words.entry(name.to_owned()).or_default();
        if !words.iter().any(|known| known == word) {
            words.push(word.to_owned());
        }
        let surplus = words.len().saturating_sub(KEPT);
        words.drain(..surplus);
    }

    /// One of the values with a name. Recent ones are more likely, because their batches can still change.
    pub(super) fn word(&self, dice: &mut Dice, name: &str) -> Option<String> {
        let words = self.words.get(name)?;
        let recent = words.len().saturating_sub(4);
        let begin = if dice.once_in(2) { recent } else { 0 };
        Some(dice.pick(&words[begin..]))
    }
}

impl Case {
    /// Draws a request for an operation.
    pub(super) fn draw(
        dice: &mut Dice,
        description: &Description,
        operation: &Operation,
        known: &mut Known,
    ) -> Self {
        let spoiled: Vec<Spoiled> = match dice.below(8) {
            0..3 => Vec::new(),
            3..7 => vec![dice.pick(&PLACES)],
            _ => PLACES.into_iter().filter(|_| dice.once_in(2)).collect(),
        };
        let has = |place| spoiled.contains(&place);
        let mut headers = named(dice, operation, known, has(Spoiled::Header));
        let (kind, mut body) = bodies::draw(dice, description, operation, known, has(Spoiled::Body));
        headers.extend(kind.map(|kind| ("content-type", kind.into_bytes())));
        let breaks_off = has(Spoiled::Body) && dice.once_in(12);
        if has(Spoiled::Frame) {
            frame(dice, &mut headers, &mut body);
        }
        let path = path(dice, operation, known, has(Spoiled::Path));
        let query = query(dice, operation, known, has(Spoiled::Query));
        let uri = if query.is_empty() { path } else { format!("{path}?{query}") };
        Self { method: operation.method.clone(), uri, headers, body, breaks_off }
    }

    /// A request with a method and a path only.
    pub(super) fn bare(method: Method, uri: String) -> Self {
        Self { method, uri, headers: Vec::new(), body: Vec::new(), breaks_off: false }
    }

    pub(super) fn request(&self) -> Request<Body> {
        let mut request = Request::builder().method(self.method.clone()).uri(&self.uri);
        for (name, value) in &self.headers {
            let value = HeaderValue::from_bytes(value).unwrap();
            request = request.header(HeaderName::from_static(name), value);
        }
        let whole = Ok(self.body.clone());
        let body = if self.breaks_off {
            Body::from_stream(stream::iter([whole, Err(std::io::Error::other("broken off"))]))
        } else {
            Body::from(self.body.clone())
        };
        request.body(body).unwrap_or_else(|error| panic!("{error}:\n{self}"))
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = |bytes: &[u8]| bytes.get(..2_000).unwrap_or(bytes).escape_ascii().to_string();
        writeln!(f, "{} {}", self.method, start(self.uri.as_bytes()))?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {}", start(value))?;
        }
        let end = if self.breaks_off { ", then it breaks off" } else { "" };
        writeln!(f, "\n{}\n({} bytes{end})", start(&self.body), self.body.len())
    }
}

fn encoded(word: &str) -> String {
    byte_serialize(word.as_bytes()).collect()
}

/// The same, cut so that it fits a request line.
fn short(word: &str) -> String {
    byte_serialize(&word.as_bytes()[..word.len().min(2_000)]).collect()
}

fn path(dice: &mut Dice, operation: &Operation, known: &Known, spoiled: bool) -> String {
    let mut path = operation.path.clone();
    for segments in POSITIONS.into_iter().filter(|segments| !spoiled && operation.path.contains(segments)) {
        if let Some(position) = known.word(dice, segments) {
            path = path.replace(segments, &position);
        }
    }
    for Parameter { name, .. } in operation.parameters_in(Place::Path) {
        let sound = known.word(dice, name).unwrap_or_else(|| "0".repeat(32));
        let word = if spoiled { odd_segment(dice, known, &sound) } else { sound };
        path = path.replace(&format!("{{{name}}}"), &word);
    }
    path
}

/// An invalid or unknown id, percent-encoded. Never empty, because that would be another path.
fn odd_segment(dice: &mut Dice, known: &Known, sound: &str) -> String {
    let written =
        ["%00", "%FF", "%C3%28", "%ED%A0%80", "%", "%zz", "%2F", "..", ".", "..%2f..", "~", "0", "a:b"];
    match dice.below(10) {
        0 => dice.pick(&written).to_owned(),
        1 => format!("{}%{:02X}{}", &sound[..4], dice.below(256), &sound[4..]),
        // A well-formed id of no batch.
        2..5 => {
            let digits: Vec<String> = (0..12).map(|_| format!("{:x}", dice.below(16))).collect();
            format!("0197aa00-0000-7000-8000-{}", digits.concat())
        }
        5 => dice.pick(&[
            "00000000-0000-0000-0000-000000000000".to_owned(),
            "0b9c6c0e-3f6e-4f1c-9a43-1d4a4a1f6a10".to_owned(),
            "f".repeat(16),
            "F".repeat(32),
        ]),
        6 => dice
            .pick(&[sound.to_uppercase(), sound.replace('-', ""), format!("{{{sound}}}")])
            .replace('{', "%7B"),
        // An id of another kind.
        7 => {
            let name = dice.pick(&["batch_id", "essay_id", "storage_id", "token_id", "correlation_id"]);
            known.word(dice, name).unwrap_or_else(|| "1".to_owned())
        }
        8 => format!("x{}", short(&dice.odd_word())),
        _ => format!("{sound}{}", dice.pick(&["0", "%20", "%0A", "+", "%C2%A0"])),
    }
}

fn query(dice: &mut Dice, operation: &Operation, known: &Known, spoiled: bool) -> String {
    let mut pairs = Vec::new();
    for parameter in operation.parameters_in(Place::Query) {
        if dice.once_in(4)
            && let Some(word) = sound_word(dice, operation, parameter, known)
        {
            pairs.push(format!("{}={}", parameter.name, encoded(&word)));
        }
    }
    if spoiled {
        let parameters: Vec<&Parameter> = operation.parameters_in(Place::Query).collect();
        for _ in 0..=dice.below(2) {
            pairs.push(odd_pair(dice, &parameters));
        }
    }
    pairs.join("&")
}

/// A valid value, by the schema and by the description.
fn sound_word(
    dice: &mut Dice,
    operation: &Operation,
    parameter: &Parameter,
    known: &Known,
) -> Option<String> {
    let schema =
        if parameter.schema["items"].is_object() { &parameter.schema["items"] } else { &parameter.schema };
    if let Some(words) = schema["enum"].as_array() {
        return dice.pick(words).as_str().map(str::to_owned);
    }
    match (parameter.name.as_str(), types_of(schema).first().copied()) {
        ("cursor", _) => known.word(dice, &operation.id),
        ("label", _) => Some(dice.pick(&["class:9B", "a:", ":", "å:ä:ö"]).to_owned()),
        ("wait", _) => Some(dice.pick(&["1ms", "0s", "2ms"]).to_owned()),
        (_, Some("boolean")) => Some(dice.pick(&["true", "false"]).to_owned()),
        (_, Some("integer")) => {
            let (least, most) = (schema["minimum"].as_u64()?, schema["maximum"].as_u64()?);
            Some(dice.pick(&[least, least + 1, most]).to_string())
        }
        _ if schema["format"] == "date-time" => Some(dice.pick(&TIMES[..3]).to_owned()),
        _ => Some(dice.pick(&["ann", "å", "x y"]).to_owned()),
    }
}

const TIMES: [&str; 12] = [
    "1970-01-01T00:00:00Z",
    "2026-03-29T02:30:00.999999+02:00",
    "9999-12-31T23:59:59Z",
    "0000-01-01T00:00:00Z",
    "-0001-12-31T23:59:59Z",
    "-4713-01-01T00:00:00Z",
    "-262143-01-01T00:00:00Z",
    "+262142-12-31T23:59:59Z",
    "+10000-01-01T00:00:00Z",
    "2026-06-30T23:59:60Z",
    "2026-02-30T00:00:00Z",
    "2026-01-01",
];

/// A parameter that is unknown, repeated or invalid.
fn odd_pair(dice: &mut Dice, parameters: &[&Parameter]) -> String {
    let written =
        ["&&&", "=", "=x", "x", "%FF=1", "%zz=%zz", "limit[]=1", "+=+", "a%00b=c", "stauts=ready", "x=1;y=2"];
    if parameters.is_empty() || dice.once_in(5) {
        return match dice.below(3) {
            0 => dice.pick(&written).to_owned(),
            1 => format!("{}={}", encoded(VALUE), encoded(VALUE)),
            _ => format!("x={}", short(&dice.odd_value())),
        };
    }
    let Parameter { name, schema, .. } = dice.pick(parameters);
    let numbers =
        ["0", "501", "-1", "1.0", "1e2", "007", "+1", "0x10", "4294967296", "99999999999999999999", "٣"];
    let escapes = ["%FF", "%zz", "%", "%00", "a%3A%00", "%C3%28:b", "", "class", "21s", "1ms%201", "-1s"];
    let far = ["0", "-1", "9223372036854775807", "8210266876799999999", "x"];
    let value = match dice.below(6) {
        _ if schema["format"] == "date-time" && dice.once_in(2) => encoded(dice.pick(&TIMES)),
        0 => encoded(dice.pick(&numbers)),
        1 => dice.pick(&escapes).to_owned(),
        2 => format!("{}&{name}=1", dice.pick(&["1", "ready", "true", "1ms"])),
        3 => format!("{}.{}", dice.pick(&far), short(&dice.odd_value())),
        4 => format!("{}.0197aa00-0000-7000-8000-000000000000", dice.pick(&far)),
        _ => format!("{}{}", dice.pick(&["", "a:"]), short(&dice.odd_value())),
    };
    format!("{name}={value}")
}

/// The headers that the description declares.
fn named(
    dice: &mut Dice,
    operation: &Operation,
    known: &mut Known,
    spoiled: bool,
) -> Vec<(&'static str, Vec<u8>)> {
    let mut headers = Vec::new();
    for Parameter { name, .. } in operation.parameters_in(Place::Header) {
        let odd: [&[u8]; 10] = [
            b"",
            b"\"\"",
            b"\"open",
            b"\xff\xfe",
            b"\t",
            b"a,b",
            b"*",
            b"W/",
            b"\"1\", W/\"2\"",
            VALUE.as_bytes(),
        ];
        let (header, sound) = match name.as_str() {
            "Idempotency-Key" => {
                // A used key gets the stored answer, or is refused for another request.
                let number = if dice.once_in(3) { dice.below(known.keys + 1) } else { known.keys };
                known.keys += usize::from(number == known.keys);
                ("idempotency-key", dice.pick(&[format!("k-{number}"), format!("\"k-{number}\"")]))
            }
            "If-None-Match" => {
                ("if-none-match", dice.pick(&["\"1\"", "W/\"2\"", "*", "\"0\", \"3\""]).to_owned())
            }
            other => panic!("this test does not know the header {other}"),
        };
        if spoiled {
            let long = vec![b'k'; dice.pick(&[255, 256, 10_000])];
            let value = if dice.once_in(5) { long } else { dice.pick(&odd).to_vec() };
            let times = 1 + usize::from(dice.once_in(4));
            headers.extend(std::iter::repeat_n((header, value), times));
        } else if dice.once_in(2) {
            headers.push((header, sound.into_bytes()));
        }
    }
    headers
}

/// Invalid headers about the body, and headers that the API ignores.
fn frame(dice: &mut Dice, headers: &mut Vec<(&'static str, Vec<u8>)>, body: &mut Vec<u8>) {
    let kinds: [&[u8]; 13] = [
        b"",
        b"text",
        b"text/csv",
        b"text/plain; charset=utf-16",
        b"application/json; charset=latin1",
        b"application/json;charset=UTF-8",
        b"application/vnd.api+json",
        b"application/zip",
        b"application/x-ndjson",
        b"multipart/form-data",
        b"multipart/form-data; boundary=",
        b"multipart/form-data; boundary=\"\xff\"",
        b"application/x-www-form-urlencoded",
    ];
    let around: [(&'static str, &[u8]); 7] = [
        ("content-encoding", b"gzip"),
        ("content-encoding", b"br"),
        ("content-encoding", b"identity"),
        ("content-encoding", b"\xff"),
        ("content-length", b"99999999999999999999"),
        ("content-length", b"999999999"),
        ("content-length", b"-1"),
    ];
    let others: [(&'static str, &[u8]); 16] = [
        ("transfer-encoding", b"chunked"),
        ("expect", b"100-continue"),
        ("x-correlation-id", b"not an id"),
        ("x-correlation-id", b"00000000-0000-0000-0000-000000000000"),
        ("x-correlation-id", b"0b9c6c0e-3f6e-4f1c-9a43-1d4a4a1f6a10"),
        ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("traceparent", b"ff-\xff"),
        ("prefer", b"wait=100"),
        ("accept", b"text/html;q=\xff"),
        ("accept-encoding", b"br, *;q=0"),
        ("range", b"bytes=5-1"),
        ("if-match", b"\"7\""),
        ("authorization", b"Bearer \xff"),
        ("x-user-id", b"eve"),
        ("x-http-method-override", b"DELETE"),
        ("host", b"a, b"),
    ];
    match dice.below(5) {
        0 => {
            headers.retain(|(name, _)| *name != header::CONTENT_TYPE.as_str());
            if dice.once_in(5) {
                body.clear();
            }
        }
        1 => {
            headers.retain(|(name, _)| *name != header::CONTENT_TYPE.as_str());
            headers.push(("content-type", dice.pick(&kinds).to_vec()));
        }
        2..4 => {
            let (name, value) = dice.pick(&around);
            headers.push((name, value.to_vec()));
        }
        _ => {
            for _ in 0..=dice.below(3) {
                let (name, value) = dice.pick(&others);
                headers.push((name, value.to_vec()));
            }
        }
    }
}
