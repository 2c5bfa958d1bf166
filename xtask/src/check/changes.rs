//! What changed, as git and cargo say it.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Output},
};

use anyhow::{Context, Result, bail};
use cargo_metadata::MetadataCommand;

use super::plan::{Package, Scope};
use crate::workspace;

/// The crates with files that differ from `revision`: in commits since the branches parted, in the working tree, or new.
///
/// # Errors
///
/// When `revision` does not exist, or git or cargo fails.
pub(super) fn since(revision: &str) -> Result<Scope> {
    let base = git(&["merge-base", revision, "HEAD"]).with_context(|| {
        format!("cannot compare with `{revision}`; name another revision with --since, or use --all")
    })?;
    let changed = git(&["diff", "--name-only", "--no-renames", base.trim()])?;
    let new = git(&["ls-files", "--others", "--exclude-standard"])?;
    Ok(Scope::of_changes(changed.lines().chain(new.lines()), &packages()?))
}

fn git(words: &[&str]) -> Result<String> {
    let Output { status, stdout, stderr } =
        Command::new("git").args(words).current_dir(workspace::root()).output().context("cannot run git")?;
    if !status.success() {
        bail!("git {}: {}", words.join(" "), String::from_utf8_lossy(&stderr).trim());
    }
    Ok(String::from_utf8(stdout)?)
}

fn packages() -> Result<Vec<Package>> {
    let metadata = MetadataCommand::new().no_deps().current_dir(workspace::root()).exec()?;
    let root = &metadata.workspace_root;
    let packages = metadata.workspace_packages().into_iter().map(|package| {
        let folder = package.manifest_path.parent().context("a manifest is in a folder")?;
        let mut includes = BTreeSet::new();
        find_includes(folder.as_std_path(), root.as_std_path(), &mut includes)?;
        let folder = folder.strip_prefix(root)?.to_string();
        Ok(Package { name: package.name.to_string(), folder, includes })
    });
    packages.collect()
}

/// Adds the pages at the root and under `docs` that Rust files in `folder` include.
fn find_includes(folder: &Path, root: &Path, includes: &mut BTreeSet<String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find_includes(&path, root, includes)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)?;
            let named =
                text.split("include_str!(\"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0));
            let outside = named.filter_map(|file| {
                let file = path.parent()?.join(file).canonicalize().ok()?;
                let file = file.strip_prefix(root.canonicalize().ok()?).ok()?;
                Some(file.to_str()?.to_owned())
            });
            includes.extend(outside);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_that_a_crate_includes_are_found() {
        let packages = packages().unwrap();
        let includes = |page: &str| packages.iter().any(|package| package.includes.contains(page));
        assert!(includes("docs/operations.md") && includes("README.md"));
        assert!(packages.iter().any(|package| package.name == "xtask" && package.folder == "xtask"));
    }

    #[test]
    fn a_revision_that_does_not_exist_is_named_with_the_next_step() {
        let error = since("no-such-branch").unwrap_err().to_string();
        assert!(error.contains("no-such-branch") && error.contains("--all"), "{error}");
    }
}
