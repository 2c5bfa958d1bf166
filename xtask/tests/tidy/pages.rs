//! A Markdown page as a Markdown parser reads it: its links, its headings and the commands in its code blocks.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of the many events of a page, each function needs a few"
)]

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

use crate::sources::Source;

/// A link or a command on a page, with its line.
pub(crate) struct Found {
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// The pages of the repository. The essays of `demo` are data.
pub(crate) fn pages(sources: &[Source]) -> impl Iterator<Item = &Source> {
    sources.iter().filter(|source| source.has_extension("md") && !source.path.starts_with("demo/"))
}

/// Targets of links and images.
pub(crate) fn links(page: &Source) -> Vec<Found> {
    let events = Parser::new(&page.text).into_offset_iter();
    let targets = events.filter_map(|(event, range)| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
            Some(Found { line: page.line_at(range.start), text: dest_url.to_string() })
        }
        _ => None,
    });
    targets.collect()
}

/// The code spans, such as `a` in a sentence.
pub(crate) fn code_spans(page: &Source) -> Vec<Found> {
    let spans = Parser::new(&page.text).into_offset_iter().filter_map(|(event, range)| match event {
        Event::Code(text) => Some(Found { line: page.line_at(range.start), text: text.to_string() }),
        _ => None,
    });
    spans.collect()
}

/// The anchors of the headings, as code hosts make them: lower case, dashes for blanks, no punctuation.
pub(crate) fn anchors(page: &Source) -> Vec<String> {
    let mut anchors = Vec::new();
    let mut heading: Option<String> = None;
    for event in Parser::new(&page.text) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => anchors.extend(heading.take().map(|text| slug(&text))),
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            _ => {}
        }
    }
    anchors
}

fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Commands in shell blocks, without the prompt, the comment, and the variables set before the command.
pub(crate) fn commands(page: &Source) -> Vec<Found> {
    let mut commands = Vec::new();
    let mut in_shell = false;
    for (event, range) in Parser::new(&page.text).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                in_shell = matches!(&*info, "" | "sh" | "bash" | "shell" | "console");
            }
            Event::End(TagEnd::CodeBlock) => in_shell = false,
            Event::Text(block) if in_shell => {
                let first = page.line_at(range.start);
                for (index, line) in block.lines().enumerate() {
                    let line = line.split(" #").next().unwrap_or(line).trim_start_matches("$ ");
                    let parts = line.split("&&").flat_map(|part| part.split(['|', ';', '&']));
                    let words = parts.map(|part| {
                        let words = part.split_whitespace();
                        words.skip_while(|word| word.contains('=')).collect::<Vec<_>>().join(" ")
                    });
                    let words = words.filter(|words| !words.is_empty());
                    commands.extend(words.map(|text| Found { line: first + index, text }));
                }
            }
            _ => {}
        }
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(found: &[Found]) -> Vec<(usize, &str)> {
        found.iter().map(|found| (found.line, found.text.as_str())).collect()
    }

    #[test]
    fn links_are_found_with_their_lines_and_not_in_code() {
        let page = Source::new("a.md", "# A\n\nSee [b](b.md) and ![c](c.png).\n\n`[d](d.md)`\n");
        assert_eq!(texts(&links(&page)), [(3, "b.md"), (3, "c.png")]);
    }

    #[test]
    fn code_spans_are_found_in_sentences_and_not_in_blocks() {
        let page = Source::new("a.md", "# A `b`\n\nSee `c.rs`.\n\n```sh\n`d`\n```\n");
        assert_eq!(texts(&code_spans(&page)), [(1, "b"), (3, "c.rs")]);
    }

    #[test]
    fn headings_have_the_anchors_that_code_hosts_make() {
        let page = Source::new("a.md", "# What `bos` is, and why\n\n## 2 One road\n");
        assert_eq!(anchors(&page), ["what-bos-is-and-why", "2-one-road"]);
    }

    #[test]
    fn commands_are_without_prompts_comments_and_variables() {
        let text = "```sh\n$ A=1 cargo run -- demo  # ten seconds\ncd x && cargo build\n```\n\n```rust\ncargo();\n```\n";
        let page = Source::new("a.md", text);
        assert_eq!(texts(&commands(&page)), [(2, "cargo run -- demo"), (3, "cd x"), (3, "cargo build")]);
    }
}
