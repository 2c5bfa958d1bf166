use super::*;

/// Output of cargo 1.95 for a package whose programs end in every way, without back-traces.
const SAMPLE: &str = include_str!("sample.txt");

fn read(output: &str) -> Summary {
    let mut summary = Summary::default();
    output.lines().for_each(|line| summary.read_line(line));
    summary
}

/// A program with one test that passed.
fn fine(name: &str) -> String {
    format!(
        "     Running tests/{name}.rs (target/debug/deps/{name}-1)\n\nrunning 1 test\ntest a ... ok\n\n\
         test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n"
    )
}

#[test]
fn every_end_of_a_program_is_told() {
    let mut summary = read(SAMPLE);
    assert_eq!(summary.end(101), 101);
    assert_eq!(
        summary.to_string(),
        "failed:   fails (--lib)\n\
         failed:   --test aborts did not finish: signal: 6, SIGABRT: process abort signal\n\
         failed:   tests/leaves.rs (target/debug/deps/leaves-0e863d9b5c097802) did not finish\n\
         failed:   --test leaves3 did not finish: exit status: 3\n\
         failed:   src/lib.rs - (line 4) (--doc)\n\
         left out: ign, ignored without a reason\n\
         left out: ign2, needs a printer\n\
         5 passed, 5 failed, 2 left out"
    );
}

#[test]
fn programs_that_pass_are_added_up() {
    let mut summary = read(&[fine("a"), fine("b")].concat());
    summary.leave_out(vec!["Swedish spelling: install hunspell-sv".to_owned()]);
    assert_eq!(summary.end(0), 0);
    assert_eq!(
        summary.to_string(),
        "left out: Swedish spelling: install hunspell-sv\n2 passed, 0 failed, 1 left out"
    );
}

#[test]
fn a_program_without_a_result_is_a_failure_also_where_cargo_sees_none() {
    let output =
        [fine("a"), "     Running tests/b.rs (target/debug/deps/b-1)\n\nrunning 2 tests\n".to_owned()];
    let mut summary = read(&[&output[0], &output[1], &output[0]].map(String::as_str).concat());
    assert_eq!(summary.end(0), 1);
    assert_eq!(
        summary.to_string(),
        "failed:   tests/b.rs (target/debug/deps/b-1) did not finish\n2 passed, 1 failed, 0 left out"
    );
}

#[test]
fn a_program_that_is_killed_after_its_result_has_not_finished() {
    let killed = "error: test failed, to rerun pass `-p store --test a`\n\nCaused by:\n  \
         process didn't exit successfully: `target/debug/deps/a-1` (signal: 9, SIGKILL: kill)\n";
    let mut summary = read(&[&fine("a"), killed].concat());
    assert_eq!(summary.end(101), 101);
    assert_eq!(
        summary.to_string(),
        "failed:   -p store --test a did not finish: signal: 9, SIGKILL: kill\n1 passed, 1 failed, 0 left out"
    );
}

#[test]
fn what_cargo_says_on_the_line_of_an_unfinished_test_is_read() {
    let started = "     Running tests/b.rs (target/debug/deps/b-1)\n\nrunning 1 test\ntest b ... ";
    let error = "error: test failed, to rerun pass `-p b --test b`\n";
    let mut summary = read(&[started, error, started, &fine("a")].concat());
    summary.end(101);
    assert_eq!(
        summary.to_string(),
        "failed:   -p b --test b did not finish\n\
         failed:   tests/b.rs (target/debug/deps/b-1) did not finish\n\
         1 passed, 2 failed, 0 left out"
    );
}

#[test]
fn colors_do_not_matter() {
    let colored = fine("a")
        .replace("     Running", "\x1b[1m\x1b[92m     Running\x1b[0m")
        .replace("ok.", "\x1b[32mok\x1b[0m.");
    let mut summary = read(&colored);
    assert_eq!((summary.end(0), summary.to_string().as_str()), (0, "1 passed, 0 failed, 0 left out"));
}

#[test]
fn an_error_of_cargo_alone_is_a_failure() {
    let mut summary = read("error: package ID specification `x` did not match any packages\n");
    assert_eq!(summary.end(101), 101);
    assert!(summary.to_string().ends_with("0 passed, 1 failed, 0 left out"));
}
