//! The platform's own models as judges, where they are at hand: the folder `shared/contracts` beside the workspace,
//! `python3` and its package `jsonschema`. Without them this says so and passes; nothing else needs them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fixtures::FIXTURES;
use crate::samples::samples;

/// A model of a generation, with whether what it judges here is a command.
type Judge = (&'static str, &'static str, bool);

/// Every document in `target/contract-documents/{generation}/{model}/{name}.json`, by the model that is to judge it.
fn emit() -> BTreeMap<Judge, Vec<PathBuf>> {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../contract-documents");
    let mut written: BTreeMap<Judge, Vec<PathBuf>> = BTreeMap::new();
    for sample in samples() {
        for (generation, model) in &sample.models {
            let folder = root.join(generation).join(model);
            std::fs::create_dir_all(&folder).unwrap();
            let file = folder.join(format!("{}.json", sample.name));
            std::fs::write(&file, &sample.bytes).unwrap();
            written.entry((generation, model, sample.command)).or_default().push(file);
        }
    }
    written
}

/// The validator of the contracts' folder, if it can run; what is missing otherwise.
fn validator() -> Result<PathBuf, &'static str> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/contracts/validate.py");
    if !script.is_file() {
        return Err("the platform's contracts are not beside the workspace");
    }
    match Command::new("python3").args(["-c", "import jsonschema"]).output() {
        Err(_) => Err("python3 is not installed"),
        Ok(output) if !output.status.success() => Err("python3 has no package jsonschema"),
        Ok(_) => Ok(script),
    }
}

/// Runs the validator over documents of one model; the paths of its findings by file.
fn findings(
    script: &Path,
    generation: &str,
    model: &str,
    files: &[PathBuf],
) -> BTreeMap<String, BTreeSet<String>> {
    let folder = if generation == "2025" { "seed" } else { "head" };
    let output = Command::new("python3")
        .arg(script)
        .args([folder, &format!("EventEnvelope[{model}]")])
        .args(files)
        .output()
        .unwrap();
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(matches!(output.status.code(), Some(0 | 1)), "{model}: {complained}");
    let mut found = BTreeMap::new();
    let mut file = String::new();
    for line in said.lines() {
        match line.strip_prefix("    ") {
            None => {
                line.split_whitespace().last().unwrap_or_default().clone_into(&mut file);
                found.entry(file.clone()).or_insert_with(BTreeSet::new);
            }
            Some(finding) => {
                let path = finding.split(':').next().unwrap_or_default().to_owned();
                found.entry(file.clone()).or_insert_with(BTreeSet::new).insert(path);
            }
        }
    }
    assert_eq!(found.len(), files.len(), "{model}: {said}");
    found
}

#[test]
fn the_models_of_both_generations_accept_what_is_written_and_what_the_fixtures_say() {
    let mut documents = emit();
    for fixture in FIXTURES {
        if let Some(model) = fixture.model {
            documents.entry((fixture.generation, model, false)).or_default().push(fixture.path());
        }
    }
    let script = match validator() {
        Ok(script) => script,
        Err(missing) => {
            // Not through the macros, whose output the test runner keeps to itself.
            writeln!(std::io::stderr(), "left out: the platform's validator ({missing})").unwrap();
            return;
        }
    };
    for ((generation, model, command), files) in &documents {
        // 2025 had no name for these commands: the one thing its models may find.
        let expected: &[&str] = if *command && *generation == "2025" { &["data/event_name"] } else { &[] };
        for (name, found) in findings(&script, generation, model, files) {
            assert!(found.iter().eq(expected), "{name} as {model} of {generation}: {found:?}");
        }
    }
}
