//! Validation against the platform's own models, where they are available: the folder `shared/contracts` beside the
//! workspace, `python3` and its package `jsonschema`. Without them the test reports that it was left out, and passes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fixtures::FIXTURES;
use crate::samples::samples;

/// A generation, its model, and whether the validated document is a command.
type Model = (&'static str, &'static str, bool);

/// Writes every sample to `target/contract-documents/{generation}/{model}/{name}.json`; returns the files by model.
fn emit() -> BTreeMap<Model, Vec<PathBuf>> {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../contract-documents");
    let mut written: BTreeMap<Model, Vec<PathBuf>> = BTreeMap::new();
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

/// The validator in the contracts' folder, or what it lacks to run.
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

/// Runs the validator over documents of one model; returns the paths of its findings by file.
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
    let (findings, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(matches!(output.status.code(), Some(0 | 1)), "{model}: {errors}");
    let mut found = BTreeMap::new();
    let mut file = String::new();
    for line in findings.lines() {
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
    assert_eq!(found.len(), files.len(), "{model}: {findings}");
    found
}

#[test]
fn the_models_of_both_generations_accept_the_samples_and_the_fixtures() {
    let mut documents = emit();
    for fixture in FIXTURES {
        if let Some(model) = fixture.model {
            documents.entry((fixture.generation, model, false)).or_default().push(fixture.path());
        }
    }
    let script = match validator() {
        Ok(script) => script,
        Err(missing) => {
            // Not through the print macros, because the test runner captures their output.
            writeln!(std::io::stderr(), "left out: the platform's validator ({missing})").unwrap();
            return;
        }
    };
    for ((generation, model, command), files) in &documents {
        // 2025 had no name for these commands, so its models report the name and nothing else.
        let expected: &[&str] = if *command && *generation == "2025" { &["data/event_name"] } else { &[] };
        for (name, found) in findings(&script, generation, model, files) {
            assert!(found.iter().eq(expected), "{name} as {model} of {generation}: {found:?}");
        }
    }
}
