use clap::CommandFactory as _;
#[cfg(not(feature = "crash-points"))]
use clap::Parser as _;

use super::Cli;
use service::config::layers::{FLAG_TWINS, PREFIX};

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[cfg(not(feature = "crash-points"))]
#[test]
fn an_ordinary_build_has_no_flag_for_crash_points() {
    let error = Cli::try_parse_from(["bos", "serve", "--crash-at", "accepted:1"]).unwrap_err();
    assert_eq!(error.kind(), clap::error::ErrorKind::UnknownArgument);
}

#[test]
fn the_help_of_every_command_fits_a_screen_and_shows_an_example() {
    let mut whole = Cli::command();
    whole.build();
    let mut commands = vec![whole];
    while let Some(mut command) = commands.pop() {
        let help = command.render_help().to_string();
        assert!(help.lines().count() <= 40, "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
        assert!(help.contains("Example"), "{help}");
        commands.extend(command.get_subcommands().filter(|command| command.get_name() != "help").cloned());
    }
}

/// Our pages. Records of decisions are not among them: they describe the state at the time of the choice.
#[cfg(feature = "kafka")]
const PAGES: [(&str, &str); 6] = [
    ("README.md", include_str!("../../../../README.md")),
    ("ARCHITECTURE.md", include_str!("../../../../ARCHITECTURE.md")),
    ("SECURITY.md", include_str!("../../../../SECURITY.md")),
    ("docs/operations.md", include_str!("../../../../docs/operations.md")),
    ("docs/reliability.md", include_str!("../../../../docs/reliability.md")),
    ("docs/glossary.md", include_str!("../../../../docs/glossary.md")),
];

/// The `bos` commands of a shell text, without comments and leading variables.
fn commands(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().map(|line| line.split(" #").next().unwrap_or_default());
    let commands = lines.flat_map(|line| line.split("&&").flat_map(|part| part.split(['|', ';', '(', ')'])));
    let words = commands.map(|command| {
        let words = command.split_whitespace().map(|word| word.trim_matches(['\'', '"']).to_owned());
        let words = words.skip_while(|word| word.contains('='));
        // What follows is a redirection of the shell.
        words.take_while(|word| word != ">").collect::<Vec<_>>()
    });
    words.filter(|words| words.first().is_some_and(|word| word == "bos")).collect()
}

/// The commands in the blocks of a page for the shell, and those in its text, which may only name a command.
#[cfg(feature = "kafka")]
fn shown(page: &str) -> [Vec<Vec<String>>; 2] {
    let pieces: Vec<&str> = page.split("```").collect();
    let (text, blocks): (Vec<_>, Vec<_>) = pieces.iter().enumerate().partition(|(at, _)| at % 2 == 0);
    let blocks = blocks.into_iter().filter_map(|(_, block)| block.strip_prefix("sh\n"));
    let spans = text.into_iter().flat_map(|(_, text)| text.split('`').skip(1).step_by(2));
    let of_spans = spans.flat_map(|span| commands(&span.replace('\n', " ")));
    [blocks.flat_map(commands).collect(), of_spans.collect()]
}

/// What is wrong with a command that a page or a help text shows. Words such as `$ID` or `…` stand for a value.
fn objection(words: &[String]) -> Option<clap::Error> {
    use clap::error::ErrorKind;
    let stands_for_a_value = |word: &String| word.starts_with('$') || word.contains(['…', '<', '>']);
    let error = Cli::command().try_get_matches_from(words).err()?;
    let lacks_a_value = [ErrorKind::ValueValidation, ErrorKind::InvalidValue].contains(&error.kind())
        && words.iter().any(stands_for_a_value);
    (!lacks_a_value).then_some(error)
}

/// As [`objection`], for a command that is only named: its subcommand or its arguments may be missing.
#[cfg(feature = "kafka")]
fn objection_to_name(words: &[String]) -> Option<clap::Error> {
    use clap::error::ErrorKind;
    let incomplete = [
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
        ErrorKind::MissingRequiredArgument,
        ErrorKind::MissingSubcommand,
    ];
    objection(words).filter(|error| !incomplete.contains(&error.kind()))
}

#[cfg(feature = "kafka")]
#[test]
fn every_command_in_the_documents_is_accepted() {
    let problems = [
        include_str!("../../../api/src/problems/too_early.md"),
        include_str!("../../../api/src/problems/insufficient_scope.md"),
        include_str!("../../../api/src/problems/unauthenticated.md"),
        include_str!("../../../api/src/problems/invalid_token.md"),
    ];
    let pages = PAGES.into_iter().chain(problems.map(|page| ("a page of problems", page)));
    let mut count = 0;
    for (name, page) in pages {
        let [complete, named] = shown(page);
        count += complete.len() + named.len();
        let objections = complete.iter().filter_map(|words| objection(words));
        let objections = objections.chain(named.iter().filter_map(|words| objection_to_name(words)));
        let objections: Vec<String> = objections.map(|error| error.to_string()).collect();
        assert!(objections.is_empty(), "{name}: {}", objections.concat());
    }
    assert!(count > 80, "{count} commands were found");
}

#[test]
fn every_example_in_the_help_is_accepted() {
    let mut whole = Cli::command();
    whole.build();
    let mut left = vec![whole];
    let mut count = 0;
    while let Some(mut command) = left.pop() {
        let help = command.render_help().to_string();
        let help = help.split("Example").nth(1).unwrap_or_default();
        // Two blanks separate an example from its explanation.
        let examples = help.lines().filter_map(|line| line.trim_start().split("  ").next());
        for example in examples.flat_map(commands) {
            count += 1;
            let objection = objection(&example);
            assert!(objection.is_none(), "{objection:?}");
        }
        left.extend(command.get_subcommands().filter(|command| command.get_name() != "help").cloned());
    }
    assert!(count > 20, "{count} examples were found");
}

#[test]
fn a_command_that_does_not_exist_is_objected_to() {
    for wrong in [
        "bos promot --to x",
        "bos batch submit --fases nlp x",
        "bos token revoke",
        "bos outbox retry x/y",
        "ID=$(bos token lst)",
    ] {
        let found = commands(wrong);
        assert!(found.len() == 1 && objection(&found[0]).is_some(), "{wrong}");
    }
    for right in ["bos outbox retry \"$ID\"", "A=1 bos promote --to postgres://bos@db/bos && true"] {
        assert!(objection(&commands(right)[0]).is_none(), "{right}");
    }
}

#[test]
fn the_variable_of_every_global_flag_and_setting_is_known_to_the_configuration() {
    let mut whole = Cli::command();
    whole.build();
    let serve = whole.find_subcommand("serve").cloned();
    for command in [Some(whole), serve].into_iter().flatten() {
        for flag in command.get_arguments().filter(|flag| flag.get_long().is_some()) {
            if matches!(flag.get_id().as_str(), "help" | "version" | "origin" | "set") {
                continue;
            }
            let twin = flag.get_env().and_then(|name| name.to_str()).map(|name| name.replace(PREFIX, ""));
            if twin.as_deref().is_some_and(|twin| matches!(twin, "BOS_TOKEN" | "BOS_TOKEN_FILE")) {
                // They lack the prefix of settings, so the configuration does not check them.
                continue;
            }
            let twin = twin.unwrap_or_else(|| flag.get_id().as_str().to_uppercase());
            let of_setting = service::config::KEYS.iter().any(|key| key.name.to_uppercase() == twin);
            assert!(FLAG_TWINS.contains(&twin.as_str()) || of_setting, "{twin}");
        }
    }
}
