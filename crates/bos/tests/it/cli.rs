//! The program, run as users run it: its output and its exit code.

mod batches;
mod configuring;
mod operating;
mod paging;
mod serving;

use crate::program::{Server, bos, run, run_with_input};

/// Replaces what differs from run to run: ids, addresses, durations, timestamps. An id keeps its width.
fn steady(text: &str) -> String {
    let words: String = text
        .split_inclusive([' ', '\n'])
        .map(|word| {
            let end = word.trim_end_matches([' ', '\n']).len();
            let (word, gap) = word.split_at(end);
            steady_word(word) + gap
        })
        .collect();
    let mut lines: Vec<String> = Vec::new();
    for line in words.lines() {
        let line =
            match (line.find(" in "), line.find(" s ").or_else(|| line.strip_suffix(" s").map(str::len))) {
                (Some(from), Some(to)) if from < to => {
                    format!("{} in [time]{}", &line[..from], &line[to + 2..])
                }
                _ => line.to_owned(),
            };
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n")
}

fn steady_word(word: &str) -> String {
    let is_id = |word: &str| word.len() == 36 && word.bytes().filter(|b| *b == b'-').count() == 4;
    let is_instant =
        |word: &str| word.len() > 19 && word.ends_with('Z') && word.as_bytes().get(10) == Some(&b'T');
    let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '/');
    if is_id(bare) {
        word.replace(bare, ID)
    } else if is_instant(bare) {
        word.replace(bare, "[instant]")
    } else if let Some((_, rest)) = bare.split_once("127.0.0.1:") {
        let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
        word.replace(&format!("127.0.0.1:{port}"), "[address]")
    } else {
        word.to_owned()
    }
}

/// As long as a real id, so that columns stay aligned.
const ID: &str = "01970000-0000-7000-8000-000000000000";
