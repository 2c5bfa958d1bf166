//! The reader of `.env`, a file that this service shares with every other program that is started in its folder.
//!
//! Lines of other programs may hold anything: JSON, blanks, an apostrophe, another encoding. So this parser refuses no file. It
//! attaches a problem to the variable of a line that it cannot read, and [`layers`](super::layers) reports the problem if the
//! variable is a setting.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use super::error::Fault;
use super::origin::{Origin, Variable};

/// What is wrong with a line that names a variable and does not set it.
const NO_ASSIGNMENT: &str = "is not NAME=value";
const OPEN_QUOTE: &str = "has a quotation mark that is not closed, or text after its closing one";

/// A variable of the file.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    name: String,
    /// Counted from 1; of a value with several lines, the first.
    line: usize,
    /// The value, or what is wrong with the line as a predicate. It never quotes the line, which may hold a secret.
    value: Result<String, &'static str>,
}

/// Reads the variables of a file. A file that does not exist has none, and neither has a folder of that name, which is where
/// some programs install themselves.
///
/// # Errors
/// The file exists and cannot be read.
pub(super) fn read(path: &Path, environment: &[(String, String)]) -> Result<Vec<Variable>, Fault> {
    match fs::read(path) {
        Ok(bytes) => {
            let entries = parse(&decode(&bytes), environment).into_iter();
            let variables = entries.map(|Entry { name, line, value }| {
                let origin = Origin::Dotenv { path: path.to_owned(), line, variable: name.clone() };
                Variable { name, value, origin }
            });
            Ok(variables.collect())
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::IsADirectory) => {
            Ok(Vec::new())
        }
        Err(error) => {
            let problem = format!("cannot be read ({})", error.kind());
            Err(Fault::new(path.display(), problem, "make it readable or remove it"))
        }
    }
}

/// The file as text, without a byte order mark. Windows PowerShell writes UTF-16. What is not text becomes U+FFFD, which no
/// setting may contain.
fn decode(bytes: &[u8]) -> Cow<'_, str> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes.as_chunks::<2>().0.iter().map(|pair| unit(*pair)).collect::<Vec<_>>();
        Cow::Owned(String::from_utf16_lossy(&units))
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
        _ => String::from_utf8_lossy(bytes),
    }
}

fn parse(text: &str, environment: &[(String, String)]) -> Vec<Entry> {
    let mut known: HashMap<&str, String> = HashMap::new();
    let mut entries = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while !rest.is_empty() {
        let (first, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let Some((name, assigned)) = variable(first) else {
            rest = after;
            line += 1;
            continue;
        };
        let mut remaining = after;
        let value = match assigned {
            None => Err(NO_ASSIGNMENT),
            Some(start) => {
                let begin = first.len() - start.len();
                match quoted(rest.get(begin..).unwrap_or_default()) {
                    Some((written, length)) => {
                        remaining = rest.get(begin + length..).unwrap_or_default();
                        remaining = remaining.split_once('\n').map_or("", |(_, next)| next);
                        Ok(written)
                    }
                    None if start.starts_with(['"', '\'', '`']) => Err(OPEN_QUOTE),
                    None => Ok(Written { text: uncommented(start), escapes: false, substitutes: true }),
                }
                .and_then(|written| written.value(&known, environment))
            }
        };
        if let Ok(value) = &value {
            known.insert(name, value.clone());
        }
        entries.push(Entry { name: name.to_owned(), line, value });
        line += rest.get(..rest.len() - remaining.len()).unwrap_or_default().matches('\n').count();
        rest = remaining;
    }
    entries
}

/// The variable that a line names, and what follows its `=`; `None` for a line that names none.
fn variable(line: &str) -> Option<(&str, Option<&str>)> {
    let line = line.trim();
    let (exported, line) = match line.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => (true, rest.trim_start()),
        _ => (false, line),
    };
    let end = line.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(line.len());
    let (name, rest) = line.split_at_checked(end)?;
    if name.is_empty() {
        return None;
    }
    match rest.trim_start().strip_prefix('=') {
        Some(value) => Some((name, Some(value.trim_start()))),
        // `export NAME` sets nothing, in a shell too.
        None if exported => None,
        None => Some((name, None)),
    }
}

/// A value as it is written.
struct Written<'a> {
    text: &'a str,
    /// Whether `\n`, `\"` and the like stand for one character.
    escapes: bool,
    /// Whether `${NAME}` stands for another variable's value.
    substitutes: bool,
}

/// The value in quotation marks at the beginning of `text`, which may have several lines, and the length of both with their
/// marks. `None` if a mark is not closed, or more than a comment follows on the line of the closing one: then it was no quotation.
fn quoted(text: &str) -> Option<(Written<'_>, usize)> {
    let mark = text.chars().next().filter(|first| matches!(first, '"' | '\'' | '`'))?;
    let inside = text.get(1..)?;
    let mut escaped = false;
    let (end, _) = inside.char_indices().find(|(_, character)| {
        let closes = *character == mark && !escaped;
        escaped = mark == '"' && *character == '\\' && !escaped;
        closes
    })?;
    let after = inside.get(end + 1..)?;
    let after = after.split_once('\n').map_or(after, |(line, _)| line).trim();
    let written = Written { text: inside.get(..end)?, escapes: mark == '"', substitutes: mark == '"' };
    (after.is_empty() || after.starts_with('#')).then_some((written, end + 2))
}

/// A value without quotation marks: to the end of its line, or to a comment.
fn uncommented(line: &str) -> &str {
    let comment = line.char_indices().find(|(at, character)| {
        *character == '#'
            && line.get(..*at).is_some_and(|before| before.is_empty() || before.ends_with([' ', '\t']))
    });
    line.get(..comment.map_or(line.len(), |(at, _)| at)).unwrap_or(line).trim_end()
}

impl Written<'_> {
    /// The value that is meant. A variable of the environment has precedence over one of the file, as it has for a setting.
    fn value(
        &self,
        known: &HashMap<&str, String>,
        environment: &[(String, String)],
    ) -> Result<String, &'static str> {
        let mut value = String::with_capacity(self.text.len());
        let mut rest = self.text;
        while let Some(character) = rest.chars().next() {
            let after = rest.get(character.len_utf8()..).unwrap_or_default();
            if self.escapes && character == '\\' {
                let (meant, length) = match after.chars().next() {
                    Some('n') => ("\n", 1),
                    Some('r') => ("\r", 1),
                    Some('t') => ("\t", 1),
                    Some('"') => ("\"", 1),
                    Some('$') => ("$", 1),
                    Some('\\') => ("\\", 1),
                    _ => ("\\", 0),
                };
                value.push_str(meant);
                rest = after.get(length..).unwrap_or_default();
            } else if let Some((name, next)) = self.reference(rest) {
                let outside =
                    environment.iter().find(|(variable, _)| variable == name).map(|(_, value)| value);
                let meant = outside.or_else(|| known.get(name));
                value.push_str(meant.ok_or("refers to a variable, by ${NAME}, that is not set")?);
                rest = next;
            } else {
                value.push(character);
                rest = after;
            }
        }
        Ok(value)
    }

    /// The name in a `${NAME}` at the beginning of `text`, and what follows it.
    fn reference<'t>(&self, text: &'t str) -> Option<(&'t str, &'t str)> {
        let (name, next) = text.strip_prefix("${").filter(|_| self.substitutes)?.split_once('}')?;
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        is_name.then_some((name, next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The variables of a file: `name@line=value`, or `name@line!problem`.
    fn parsed(text: &str) -> Vec<String> {
        let environment = [("HOME".to_owned(), "/srv/anna".to_owned())];
        let entries = parse(&decode(text.as_bytes()), &environment);
        let shown = entries.into_iter().map(|Entry { name, line, value }| match value {
            Ok(value) => format!("{name}@{line}={value}"),
            Err(problem) => format!("{name}@{line}!{problem}"),
        });
        shown.collect()
    }

    #[test]
    fn every_common_way_to_write_a_value_is_understood() {
        assert_eq!(
            parsed(
                "# comment\nA=1\n B = 2 # two\nexport C='3 # three'\nD=\"f\\\"our\\n\\$\\q\" # four\nE=\r\nF=a#b\nG='it''\n\
                 export H\nI=hello world\nJ=`{\"a\": 'b'}`\nK=# nothing\n"
            ),
            [
                "A@2=1".to_owned(),
                "B@3=2".to_owned(),
                "C@4=3 # three".to_owned(),
                "D@5=f\"our\n$\\q".to_owned(),
                "E@6=".to_owned(),
                "F@7=a#b".to_owned(),
                format!("G@8!{OPEN_QUOTE}"),
                "I@10=hello world".to_owned(),
                "J@11={\"a\": 'b'}".to_owned(),
                "K@12=".to_owned(),
            ]
        );
    }

    #[test]
    fn lines_of_other_programs_hide_no_line_after_them() {
        for other in [
            "GREETING=it's",
            "MOTD=hello world",
            "X={\"a\": 1}",
            "X={\"a\": \"it's\", 'b': \"",
            "A='tis the season",
            "A=\"open",
            "PATH=C:\\new\\",
            "just words, and \"more",
            "key: value",
            "[section]",
            "=nothing",
            "É=1",
            "KEY=\"-----BEGIN KEY-----\nLINE=1\n-----END KEY-----\"",
            "A=${",
            "A=${MISSING}",
        ] {
            let found = parsed(&format!("{other}\nLOG_LEVEL=warning\nQ=1\n"));
            let line = other.lines().count() + 1;
            assert!(found.contains(&format!("LOG_LEVEL@{line}=warning")), "{other}: {found:?}");
            assert!(!found.iter().any(|found| found.starts_with("LINE")), "{found:?}");
        }
    }

    #[test]
    fn a_value_can_refer_to_another_variable() {
        assert_eq!(
            parsed(
                "U=bos\nA=postgres://${U}@db\nB=\"${HOME}/x\"\nC='${U}'\nD=pa$$U\nHOME=/tmp\nE=${HOME}\nF=${NONE}\n"
            ),
            [
                "U@1=bos",
                "A@2=postgres://bos@db",
                "B@3=/srv/anna/x",
                "C@4=${U}",
                "D@5=pa$$U",
                "HOME@6=/tmp",
                "E@7=/srv/anna",
                "F@8!refers to a variable, by ${NAME}, that is not set",
            ]
        );
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_name() {
        let utf16 =
            |unit: fn(u16) -> [u8; 2]| "\u{feff}A=å\n".encode_utf16().flat_map(unit).collect::<Vec<u8>>();
        let marked = "\u{feff}A=å\n".as_bytes().to_vec();
        for bytes in [marked, utf16(u16::to_le_bytes), utf16(u16::to_be_bytes)] {
            let entries = parse(&decode(&bytes), &[]);
            assert_eq!(entries, [Entry { name: "A".to_owned(), line: 1, value: Ok("å".to_owned()) }]);
        }
    }
}
