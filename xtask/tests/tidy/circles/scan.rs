//! The paths that a Rust file names, without a parser: enough of the lexer to tell code from comments and strings.

/// A path that a file names.
#[derive(Debug, PartialEq)]
pub(crate) struct Reference {
    /// The names of the path, such as `crate`, `two`, `Two`.
    pub(crate) path: Vec<String>,
    /// The name that the file gives it by `use`; none for a path in an expression or a type.
    pub(crate) name: Option<String>,
    pub(crate) line: usize,
}

/// What the scan found in a file, test code left out.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Scanned {
    pub(crate) references: Vec<Reference>,
    /// Modules in files of their own that are compiled for tests only.
    pub(crate) test_modules: Vec<String>,
}

#[derive(Clone, Copy)]
struct Token<'a> {
    text: &'a str,
    line: usize,
}

impl Scanned {
    pub(crate) fn new(text: &str) -> Self {
        let code = without_comments_and_strings(text);
        let mut scanned = Self::default();
        let tokens = scanned.without_tests(&tokens(&code));
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let follows = |text: &str| tokens.get(at + 1).is_some_and(|next| next.text == text);
            let inside = at > 0 && tokens.get(at - 1).is_some_and(|before| before.text == "::");
            if token.text == "use" && !follows("<") {
                at = scanned.import(&tokens, at + 1, &[]);
            } else if ["crate", "super", "self"].contains(&token.text) && follows("::") && !inside {
                let mut path = vec![token.text.to_owned()];
                while let [colons, name, ..] = tokens.get(at + 1..).unwrap_or_default() {
                    if colons.text != "::" || !is_name(name.text) {
                        break;
                    }
                    path.push(name.text.to_owned());
                    at += 2;
                }
                scanned.references.push(Reference { path, name: None, line: token.line });
            }
            at += 1;
        }
        scanned
    }

    /// Reads one branch of a `use` below `above`, and gives the place of the token that ends it.
    fn import(&mut self, tokens: &[Token<'_>], mut at: usize, above: &[String]) -> usize {
        let mut path = above.to_vec();
        let mut name = None;
        let line = tokens.get(at).map_or(1, |token| token.line);
        while let Some(token) = tokens.get(at) {
            match token.text {
                "{" => {
                    loop {
                        at = self.import(tokens, at + 1, &path);
                        if tokens.get(at).is_none_or(|token| token.text != ",") {
                            break;
                        }
                    }
                    // The closing brace is behind the last branch; what is imported stands inside.
                    return at + 1;
                }
                "}" | "," | ";" => break,
                "as" => {
                    at += 1;
                    name = tokens.get(at).map(|token| token.text.to_owned());
                }
                "::" | "*" => {}
                "self" if !path.is_empty() => {}
                text => path.push(text.to_owned()),
            }
            at += 1;
        }
        if path.len() > above.len()
            || tokens.get(at.wrapping_sub(1)).is_some_and(|token| token.text == "self")
        {
            name = name.or_else(|| path.last().cloned());
            self.references.push(Reference { path, name, line });
        }
        at
    }

    /// The tokens without items behind `#[cfg(test)]`; notes the modules among those items that have files.
    fn without_tests<'a>(&mut self, tokens: &[Token<'a>]) -> Vec<Token<'a>> {
        let mut kept = Vec::new();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let ahead: Vec<_> = tokens.iter().skip(at).take(7).map(|token| token.text).collect();
            if ahead != ["#", "[", "cfg", "(", "test", ")", "]"] {
                kept.push(*token);
                at += 1;
                continue;
            }
            at += 7;
            let mut depth = 0_usize;
            let mut module = None;
            while let Some(token) = tokens.get(at) {
                at += 1;
                match token.text {
                    "mod" if depth == 0 => module = tokens.get(at).map(|token| token.text.to_owned()),
                    "{" | "(" | "[" => depth += 1,
                    "}" | ")" | "]" => {
                        depth = depth.saturating_sub(1);
                        if depth == 0
                            && token.text == "}"
                            && tokens.get(at).is_none_or(|next| next.text != ";")
                        {
                            break;
                        }
                    }
                    ";" if depth == 0 => {
                        self.test_modules.extend(module.take());
                        break;
                    }
                    _ => {}
                }
            }
        }
        kept
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (index, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let end = if is_name(rest) {
                rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            let (text, after) = rest.split_at(end);
            tokens.push(Token { text, line: index + 1 });
            rest = after.trim_start();
        }
    }
    tokens
}

/// The text with blanks for comments, strings and characters; lines stay where they are.
fn without_comments_and_strings(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = length_of_comment(rest)
            .or_else(|| length_of_raw_string(rest, &code))
            .or_else(|| length_of_string(rest))
            .or_else(|| length_of_character(rest));
        if let Some(length) = skipped {
            let (gone, after) = rest.split_at(length.min(rest.len()));
            code.extend(gone.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = after;
        } else {
            code.push(first);
            rest = rest.split_at(first.len_utf8()).1;
        }
    }
    code
}

fn length_of_comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    text.strip_prefix("/*")?;
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let here = text.get(at..).unwrap_or_default();
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    Some(at)
}

/// `r"…"`, `r#"…"#` and so on; not at the end of a name.
fn length_of_raw_string(text: &str, before: &str) -> Option<usize> {
    let inside = text.strip_prefix('r')?;
    let in_a_name = before.ends_with(|c: char| c.is_alphanumeric() || c == '_') && !before.ends_with('b');
    let marks: String = inside.chars().take_while(|c| *c == '#').collect();
    let begins = inside.get(marks.len()..)?.strip_prefix('"')?;
    if in_a_name {
        return None;
    }
    let end = format!("\"{marks}");
    let length = begins.find(&end).map_or(begins.len(), |at| at + end.len());
    Some(1 + marks.len() + 1 + length)
}

fn length_of_string(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('"')?;
    let mut escaped = false;
    for (at, c) in inside.char_indices() {
        match c {
            '"' if !escaped => return Some(at + 2),
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    Some(text.len())
}

/// `'x'` or `'\n'`; a lifetime has no second quote so near.
fn length_of_character(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('\'')?;
    if inside.starts_with('\\') {
        return inside.get(2..)?.find('\'').map(|at| at + 4);
    }
    let first = inside.chars().next()?;
    inside.get(first.len_utf8()..)?.starts_with('\'').then_some(first.len_utf8() + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        let found = Scanned::new(text).references.into_iter();
        found
            .map(|found| {
                format!(
                    "{} {}{}",
                    found.line,
                    found.path.join("::"),
                    found.name.map_or(String::new(), |name| format!(" as {name}"))
                )
            })
            .collect()
    }

    #[test]
    fn branches_of_an_import_are_paths_of_their_own() {
        assert_eq!(
            paths("use crate::{\n    a::{self, B},\n    c as d, e::*,\n};\npub(crate) use x::Y;\n"),
            ["2 crate::a as a", "2 crate::a::B as B", "3 crate::c as d", "3 crate::e as e", "5 x::Y as Y"]
        );
    }

    #[test]
    fn paths_in_code_are_found_and_those_in_text_are_not() {
        assert_eq!(
            paths(
                "fn f(a: &'static super::A) -> Result<crate::b::C<u8>> { '\"'; \"crate::x::Y\"; r#\"crate::z::Z \"# }\n// self::g::h\nself::i::j();"
            ),
            ["1 super::A", "1 crate::b::C", "3 self::i::j"]
        );
    }

    #[test]
    fn test_code_is_left_out_and_its_modules_are_named() {
        let scanned = Scanned::new(
            "#[cfg(test)]\nmod tests;\n#[cfg(test)]\npub(crate) mod testing {\n    use crate::a::B;\n}\nuse crate::c::D;\n",
        );
        assert_eq!(scanned.test_modules, ["tests"]);
        assert_eq!(scanned.references.len(), 1);
    }
}
