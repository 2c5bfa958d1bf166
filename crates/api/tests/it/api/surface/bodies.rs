//! Generated bodies for each media type: valid by the schema, and damaged.

use serde_json::{Map, Value, json};

use super::description::{Description, Operation, types_of};
use super::dice::{Dice, TEXT, VALUE};
use super::requests::Known;

/// The limit on bodies in these tests, small so that larger bodies are cheap to generate.
pub(super) const CAP: usize = 256 << 10;

/// A body for an operation, with its media type if it has one.
pub(super) fn draw(
    dice: &mut Dice,
    description: &Description,
    operation: &Operation,
    known: &Known,
    spoiled: bool,
) -> (Option<String>, Vec<u8>) {
    if operation.bodies.is_empty() {
        // Operations without a body accept an empty object.
        let body =
            if spoiled { odd_json(dice, 3).to_string() } else { dice.pick(&["", "", "{}"]).to_owned() };
        let body =
            if spoiled && !dice.once_in(4) { damaged(dice, body.into_bytes()) } else { body.into_bytes() };
        return (dice.pick(&[None, Some("application/json".to_owned())]), body);
    }
    let (kind, schema) = dice.pick(&operation.bodies);
    let drawing = Drawing { description, known };
    let deep = spoiled && dice.once_in(2);
    let (kind, body) = match kind.as_str() {
        "application/json" => {
            let mut value = drawing.sound(dice, &schema, "");
            if deep {
                spoil(dice, &mut value);
            }
            (kind, value.to_string().into_bytes())
        }
        "application/x-ndjson" => (kind, drawing.lines(dice, deep)),
        "multipart/form-data" => (format!("{kind}; boundary={BOUNDARY}"), drawing.form(dice, &schema, deep)),
        "text/plain" | "application/octet-stream" => (kind, text(dice, deep)),
        other => panic!("this test does not know the media type {other}"),
    };
    let body = if spoiled && !deep { damaged(dice, body) } else { body };
    (Some(kind), body)
}

const BOUNDARY: &str = "end-of-part";

struct Drawing<'a> {
    description: &'a Description,
    known: &'a Known,
}

impl Drawing<'_> {
    /// A valid value by its schema, and by its description where the schema is less strict.
    fn sound(&self, dice: &mut Dice, schema: &Value, name: &str) -> Value {
        let schema = self.description.follow(schema);
        match name {
            "text" => return text_of(dice).into(),
            "client_ref" => return dice.pick(&["s-001", "Åsa", "9B/17", "\u{1f642}"]).into(),
            "on_invalid" => return dice.pick(&["reject_batch", "skip"]).into(),
            "close" => return true.into(),
            "labels" => {
                return json!({"class": "9B", dice.pick(&["å", "a:b", "term"]): "x".repeat(dice.below(257))});
            }
            "text_storage_id" | "prompt_storage_id" => {
                return self.known.word(dice, "storage_id").unwrap_or_else(|| "a".repeat(32)).into();
            }
            "expires_in" => return dice.pick(&["90d", "1h", "3660d"]).into(),
            "phases" if schema["items"].is_object() => {
                return dice.pick(&[
                    json!([]),
                    json!(["spellcheck"]),
                    json!(["nlp"]),
                    json!(["nlp", "spellcheck"]),
                ]);
            }
            "phases" => return dice.pick(&["spellcheck", "nlp, spellcheck", ""]).into(),
            _ => {}
        }
        if let Some(words) = schema["enum"].as_array() {
            return dice.pick(words);
        }
        match types_of(schema).first().copied() {
            Some("object") => self.sound_object(dice, schema),
            Some("array") => {
                let least = usize::from(name == "essays");
                let items = least + dice.below(4);
                (0..items.max(1)).map(|_| self.sound(dice, &schema["items"], "")).collect()
            }
            Some("boolean") => dice.once_in(2).into(),
            Some("integer") => dice.below(1_000).into(),
            _ => dice.pick(&["9B argumentative text", "å", "\u{1f469}\u{200d}\u{1f393} a", "0"]).into(),
        }
    }

    fn sound_object(&self, dice: &mut Dice, schema: &Value) -> Value {
        let mut members = Map::new();
        let required = schema["required"].as_array();
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            let is_required = required.is_some_and(|names| names.iter().any(|required| required == name));
            if is_required || dice.once_in(3) {
                members.insert(name.clone(), self.sound(dice, schema, name));
            } else if dice.once_in(8) {
                members.insert(name.clone(), Value::Null);
            }
        }
        // Rules that the schema does not contain: these fields exclude each other, and prompts are not supported yet.
        members.remove("prompt");
        if members.get("course_code").is_some_and(Value::is_string) {
            members.remove("language");
        }
        let offered = |name: &str| schema["properties"].get(name).is_some();
        if offered("text_storage_id") {
            let (one, other) =
                if dice.once_in(6) { ("text_storage_id", "text") } else { ("text", "text_storage_id") };
            members.remove(other);
            members.insert(one.to_owned(), self.sound(dice, &Value::Null, one));
        }
        // Null is valid only where the schema allows it.
        members.retain(|name, value| !value.is_null() || schema["properties"][name]["type"].is_array());
        members.into()
    }

    fn lines(&self, dice: &mut Dice, spoiled: bool) -> Vec<u8> {
        let mut batch = self.sound(dice, self.description.schema("BatchRequest"), "");
        let essays = batch.as_object_mut().unwrap().remove("essays").unwrap();
        let mut lines = vec![batch];
        lines.extend(essays.as_array().unwrap().iter().cloned());
        if spoiled {
            let line = dice.below(lines.len());
            spoil(dice, &mut lines[line]);
        }
        let end = dice.pick(&["\n", "\r\n", "\n\n"]);
        let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
        (lines.join(end) + end).into_bytes()
    }

    fn form(&self, dice: &mut Dice, schema: &Value, spoiled: bool) -> Vec<u8> {
        let fields = self.sound(dice, schema, "");
        let mut body = Vec::new();
        let mut part = |disposition: &str, content: &[u8]| {
            let head = format!("--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n");
            body.extend([head.as_bytes(), content, b"\r\n"].concat());
        };
        for (name, value) in fields.as_object().unwrap() {
            match value {
                Value::String(word) => part(&format!("form-data; name=\"{name}\""), word.as_bytes()),
                Value::Array(files) => {
                    for number in 0..files.len() {
                        let disposition = format!("form-data; name=\"{name}\"; filename=\"s-{number}.txt\"");
                        part(&disposition, text_of(dice).as_bytes());
                    }
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {}
            }
        }
        if spoiled {
            let dispositions = [
                "form-data; name=\"essays\"; filename=\"a.zip\"",
                "form-data; name=\"essays\"; filename=\"../../a\\\"b.TXT\"",
                "form-data; name=\"essays\"; filename=\"\"",
                "form-data; name=\"essays\"; filename*=UTF-8''%ff.txt",
                "form-data; name=\"essays\"",
                "form-data; name=\"name\"",
                "form-data; name=\"phases\"",
                "form-data; name=\"course_code\"",
                "form-data; name=\"\"",
                "form-data",
                "attachment; filename=\"\u{1f642}\u{0}.md\"",
            ];
            for _ in 0..=dice.below(3) {
                let content = if dice.once_in(3) { dice.bytes() } else { dice.odd_value().into_bytes() };
                let disposition = if dice.once_in(8) {
                    format!("form-data; name=\"{VALUE}\"")
                } else {
                    dice.pick(&dispositions).to_owned()
                };
                part(&disposition, &content);
            }
        }
        body.extend(format!("--{BOUNDARY}--\r\n").into_bytes());
        body
    }
}

/// A valid text of an essay.
fn text_of(dice: &mut Dice) -> String {
    let more = dice.pick(&["", "\r\n", "\u{1f642} \u{202e}", "\u{1}\u{7f}", "é \"\\/"]);
    let length = if dice.once_in(40) { 200_000 - TEXT.len() - more.len() } else { dice.below(40) };
    format!("{TEXT}{more}{}", "y".repeat(length))
}

fn text(dice: &mut Dice, spoiled: bool) -> Vec<u8> {
    if !spoiled {
        return text_of(dice).into_bytes();
    }
    match dice.below(4) {
        0 => dice.odd_word().into_bytes(),
        1 => format!("{TEXT}\u{0}").into_bytes(),
        2 => [TEXT.as_bytes(), b"\xc3\x28", &dice.bytes()].concat(),
        _ => format!("{TEXT}{}", "z".repeat(200_001)).into_bytes(),
    }
}

/// Arbitrary JSON with at most this number of levels.
fn odd_json(dice: &mut Dice, levels: usize) -> Value {
    match dice.below(if levels == 0 { 7 } else { 9 }) {
        0 => Value::Null,
        1 => dice.once_in(2).into(),
        2 => dice.pick(&[json!(0), json!(-1), json!(i64::MIN), json!(u64::MAX), json!(4_294_967_296_u64)]),
        3 => dice.pick(&[json!(1e308), json!(-0.0), json!(0.1), json!(1.0)]),
        4..7 => dice.odd_value().into(),
        7 => (0..dice.below(4)).map(|_| odd_json(dice, levels - 1)).collect(),
        _ => {
            let members = (0..dice.below(4)).map(|_| (dice.odd_value(), odd_json(dice, levels - 1)));
            Value::Object(members.collect())
        }
    }
}

/// Makes one place of a document invalid.
fn spoil(dice: &mut Dice, value: &mut Value) {
    if dice.once_in(6) {
        *value = odd_json(dice, 3);
        return;
    }
    match value {
        Value::Object(members) if !members.is_empty() => {
            let names: Vec<String> = members.keys().cloned().collect();
            let name = dice.pick(&names);
            match dice.below(8) {
                0 => drop(members.remove(&name)),
                1 => {
                    let moved = members.remove(&name).unwrap_or_default();
                    let renamed = dice.pick(&[
                        format!("{name}s"),
                        name.to_uppercase(),
                        VALUE.to_owned(),
                        TEXT.to_owned(),
                    ]);
                    members.insert(renamed, moved);
                }
                2 => {
                    let odd = odd_json(dice, 2);
                    members.insert(dice.odd_value(), odd);
                }
                _ => spoil(dice, &mut members[&name]),
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let at = dice.below(items.len());
            match dice.below(8) {
                0 => items.clear(),
                1 => items.push(items[at].clone()),
                2 => items.push(odd_json(dice, 2)),
                // More essays than a batch may have, and far more.
                3 => {
                    let many = dice.pick(&[17, 2_001, 9_000]);
                    items.resize(many, json!({"text": "a"}));
                }
                _ => spoil(dice, &mut items[at]),
            }
        }
        Value::Object(_)
        | Value::Array(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_) => {
            *value = odd_json(dice, 3);
        }
    }
}

/// Damages the bytes, independent of their content.
fn damaged(dice: &mut Dice, mut body: Vec<u8>) -> Vec<u8> {
    let at = dice.below(body.len() + 1);
    match dice.below(16) {
        0 => Vec::new(),
        1 => body[..at].to_vec(),
        2 => dice.bytes(),
        3..5 => {
            let harm: [&[u8]; 12] = [
                b"\xff",
                b"\0",
                b"\"",
                b"{",
                b"}",
                b",",
                b"\\",
                b"\n",
                b"\xc3",
                b"\\ud800",
                b"/**/",
                b"\xef\xbb\xbf",
            ];
            body.splice(at..at, dice.pick(&harm).to_vec());
            body
        }
        5 => [&body[..], dice.pick(&[&b"]"[..], b"{}", b"null", b"\0", b" "])].concat(),
        6 => b"[".repeat(10_000),
        7 => b"{\"a\":".repeat(10_000),
        8..11 => [&body[..], &b" ".repeat(CAP)].concat(),
        11 => String::from_utf8_lossy(&body).encode_utf16().flat_map(u16::to_le_bytes).collect(),
        12 => [b"\xef\xbb\xbf", &body[..]].concat(),
        // Duplicates the first key of the first object.
        13 => {
            let text = String::from_utf8_lossy(&body).into_owned();
            let name = text.split('"').nth(1).unwrap_or("a");
            text.replacen('{', &format!("{{{}:null,", Value::from(name)), 1).into_bytes()
        }
        14 => String::from_utf8_lossy(&body).replace(TEXT, &format!("{TEXT}\\udc00\\u0000")).into_bytes(),
        _ => {
            let numbers =
                ["1e999", "-", "01", "NaN", ".5", "123456789012345678901234567890", "'a'", "undefined"];
            format!("{{\"essays\": [{}], \"text\": {0}}}", dice.pick(&numbers)).into_bytes()
        }
    }
}
