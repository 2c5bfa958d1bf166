//! Reads essays from files.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use api::essay_file;
use client::clean;
use client::documents::EssayRequest;

/// The path that stands for standard input.
const STDIN: &str = "-";

/// Most files that are listed as left out; further ones are counted.
const LISTED: usize = 50;

/// What these files and folders hold.
pub(crate) struct Files {
    /// The essays, or everything that is wrong with the files.
    pub(crate) essays: Result<Vec<EssayRequest>, Error>,
    /// The entries of folders that are no essays.
    pub(crate) left_out: LeftOut,
}

/// The entries of folders that are not submitted, each with the reason as a predicate.
#[derive(Debug, Default)]
pub(crate) struct LeftOut(Vec<(PathBuf, String)>);

impl LeftOut {
    /// The list for the user; `None` if nothing is left out.
    pub(crate) fn message(&self) -> Option<String> {
        let count = self.0.len();
        let what = match count {
            0 => return None,
            1 => "1 entry of the folder is left out:".to_owned(),
            _ => format!("{count} entries of the folders are left out:"),
        };
        let mut message = what + &lines(self.0.get(..LISTED).unwrap_or(&self.0));
        if count > LISTED {
            let _ = write!(message, "\n  and {} more", count - LISTED);
        }
        Some(message)
    }
}

/// Everything that is wrong with the files.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the essays; nothing was sent{}", lines(.0))]
pub(crate) struct Error(Vec<(PathBuf, String)>);

fn lines(faults: &[(PathBuf, String)]) -> String {
    faults.iter().fold(String::new(), |mut text, (path, fault)| {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n  {}: {fault}", clean(&path.display().to_string()));
        text
    })
}

/// Reads the essays of these files and folders, sorted by path within each folder. An essay's `client_ref` is its file's name
/// without the extension.
///
/// An entry of a folder that is no essay is left out. A file that is named itself and is no essay is a fault, and so are files and
/// folders that cannot be read, are not UTF-8, contain no essay or have names that look the same.
pub(crate) fn read(paths: &[PathBuf]) -> Files {
    let mut faults = Vec::new();
    let mut left_out = LeftOut::default();
    let mut essays = Vec::new();
    let mut names: BTreeMap<String, PathBuf> = BTreeMap::new();
    for path in expand(paths, &mut faults, &mut left_out) {
        let (name, text) = match name_of(&path).and_then(|name| Ok((name, read_text(&path)?))) {
            Ok(essay) => essay,
            Err(fault) => {
                faults.push((path, fault));
                continue;
            }
        };
        if let Some(other) = names.insert(essay_file::look(&name), path.clone()) {
            let fault =
                format!("has the same name as {}, or one that looks the same; rename one", other.display());
            faults.push((path, fault));
        }
        essays.push(EssayRequest::with_text(name, text));
    }
    let essays = if faults.is_empty() { Ok(essays) } else { Err(Error(faults)) };
    Files { essays, left_out }
}

/// Reads one essay from a file or from standard input.
///
/// # Errors
/// When it cannot be read, is no essay or is not UTF-8.
pub(crate) fn read_one(path: &Path) -> Result<String, Error> {
    let text = reason_against(path).map_or_else(|| read_text(path), Err);
    text.map_err(|fault| Error(vec![(path.to_owned(), fault)]))
}

fn expand(paths: &[PathBuf], faults: &mut Vec<(PathBuf, String)>, left_out: &mut LeftOut) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in paths {
        if path.as_os_str() == STDIN || !path.is_dir() {
            match reason_against(path) {
                Some(reason) => faults.push((path.clone(), reason)),
                None => files.push(path.clone()),
            }
            continue;
        }
        match texts_in(path, left_out) {
            Ok(texts) if texts.is_empty() => {
                faults.push((path.clone(), "contains no .txt or .md file".to_owned()));
            }
            Ok(texts) => files.extend(texts),
            Err(error) => faults.push((path.clone(), cannot_read(&error))),
        }
    }
    files
}

fn texts_in(folder: &Path, left_out: &mut LeftOut) -> io::Result<Vec<PathBuf>> {
    let mut entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    let mut texts = Vec::new();
    for path in entries {
        match reason_to_leave_out(&path) {
            Some(reason) => left_out.0.push((path, reason)),
            None => texts.push(path),
        }
    }
    Ok(texts)
}

/// Why an entry of a folder is not taken, as a predicate.
fn reason_to_leave_out(path: &Path) -> Option<String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if let Some(reason) = reason_against(path) {
        return Some(reason);
    }
    if name.starts_with('.') {
        return Some("is hidden: its name begins with a dot".to_owned());
    }
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Some("is a folder; name it too to submit what is in it".to_owned()),
        Ok(found) if !found.is_file() => Some("is not a regular file".to_owned()),
        Ok(_) if essay_file::extension(&name).is_none() => Some(OTHER_FILE.to_owned()),
        Ok(_) => None,
        Err(error) => Some(cannot_read(&error)),
    }
}

const OTHER_FILE: &str = "is not a .txt or .md file";

/// Why a file is no essay by its name, as a predicate. A file without an extension is one if it is named itself.
fn reason_against(path: &Path) -> Option<String> {
    if path.as_os_str() == STDIN || path.is_dir() {
        return None;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if essay_file::holds_attributes(&name) {
        return Some("is a file in which macOS keeps attributes of another file".to_owned());
    }
    let extension = essay_file::extension(&name)?;
    (!essay_file::EXTENSIONS.contains(&extension.as_str())).then(|| OTHER_FILE.to_owned())
}

/// Reads a text without its byte order mark. Line ends stay as they are.
fn read_text(path: &Path) -> Result<String, String> {
    let bytes = if path.as_os_str() == STDIN {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    let bytes = bytes.map_err(|error| cannot_read(&error))?;
    if let Some(format) = essay_file::format_of(&bytes) {
        return Err(format!("is {format}, whatever its name says; save it as text"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        format!("is not UTF-8 at byte {offset}; save it as UTF-8")
    })?;
    Ok(essay_file::without_mark(text))
}

fn cannot_read(error: &io::Error) -> String {
    format!("cannot be read ({})", error.kind())
}

fn name_of(path: &Path) -> Result<String, String> {
    if path.as_os_str() == STDIN {
        return Ok("stdin".to_owned());
    }
    let stem = path.file_stem().unwrap_or_default();
    stem.to_str().map(str::to_owned).ok_or_else(|| "has a name that is not UTF-8; rename it".to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::{Files, read};

    /// The names of these files' essays, the message about what is left out, and the faults.
    fn told(paths: &[PathBuf], folder: &Path) -> (Vec<String>, String, String) {
        let Files { essays, left_out } = read(paths);
        let steady = |text: String| {
            text.replace(&folder.display().to_string(), "DIR").replace("e\u{308}", "[e and mark]")
        };
        let left_out = left_out.message().unwrap_or_default();
        match essays {
            Ok(essays) => {
                let names = essays.into_iter().filter_map(|essay| essay.client_ref).collect();
                (names, steady(left_out), String::new())
            }
            Err(error) => (Vec::new(), steady(left_out), steady(error.to_string())),
        }
    }

    #[test]
    fn the_texts_of_a_folder_are_read_in_order_without_their_byte_order_mark() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("b.TXT", "two\r\n"), ("a.md", "\u{feff}one")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let essays = read(&[folder.path().to_owned()]).essays.unwrap();
        let essays: Vec<_> = essays.iter().map(|e| (e.client_ref.as_deref(), e.text.as_deref())).collect();
        assert_eq!(essays, [(Some("a"), Some("one")), (Some("b"), Some("two\r\n"))]);
    }

    #[test]
    fn what_a_folder_holds_besides_essays_is_left_out_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["._anna.txt", ".hidden.txt", "BO.TXT", "anna.txt", "carl.pdf", "eva.docx", "README"] {
            fs::write(path(name), "Hello there.").unwrap();
        }
        fs::create_dir(path("dora")).unwrap();
        fs::create_dir(path("fred.txt")).unwrap();
        fs::write(path("dora/essay.txt"), "Hello there.").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("nowhere", path("gone.txt")).unwrap();
        let (names, left_out, _) = told(&[folder.path().to_owned()], folder.path());
        assert_eq!(names, ["BO", "anna"]);
        insta::assert_snapshot!(left_out, @r"
        8 entries of the folders are left out:
          DIR/._anna.txt: is a file in which macOS keeps attributes of another file
          DIR/.hidden.txt: is hidden: its name begins with a dot
          DIR/README: is not a .txt or .md file
          DIR/carl.pdf: is not a .txt or .md file
          DIR/dora: is a folder; name it too to submit what is in it
          DIR/eva.docx: is not a .txt or .md file
          DIR/fred.txt: is a folder; name it too to submit what is in it
          DIR/gone.txt: cannot be read (entity not found)
        ");
        let alone = [path("README"), path(".hidden.txt"), path("dora")];
        assert_eq!(told(&alone, folder.path()).0, ["README", ".hidden", "essay"]);
    }

    #[test]
    fn all_faults_of_the_files_are_reported_together() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("latin1.txt"), b"caf\xe9").unwrap();
        fs::write(path("same.txt"), "x").unwrap();
        fs::write(path("same.md"), "x").unwrap();
        fs::write(path("zoe\u{308}.txt"), "x").unwrap();
        fs::write(path("zo\u{eb}.md"), "x").unwrap();
        fs::write(path("fake.txt"), "%PDF-1.7").unwrap();
        fs::write(path("fake.pdf"), "not really a pdf").unwrap();
        fs::create_dir(path("empty")).unwrap();
        let paths =
            [folder.path().to_owned(), path("empty"), path("absent.txt"), path("fake.pdf"), path("._a.md")];
        let (_, _, faults) = told(&paths, folder.path());
        insta::assert_snapshot!(faults, @r"
        cannot read the essays; nothing was sent
          DIR/empty: contains no .txt or .md file
          DIR/fake.pdf: is not a .txt or .md file
          DIR/._a.md: is a file in which macOS keeps attributes of another file
          DIR/fake.txt: is a PDF, whatever its name says; save it as text
          DIR/latin1.txt: is not UTF-8 at byte 3; save it as UTF-8
          DIR/same.txt: has the same name as DIR/same.md, or one that looks the same; rename one
          DIR/zoë.md: has the same name as DIR/zo[e and mark].txt, or one that looks the same; rename one
          DIR/absent.txt: cannot be read (entity not found)
        ");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_name_that_is_not_utf8_is_refused_and_not_repaired() {
        use std::os::unix::ffi::OsStrExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9.txt"));
        fs::write(path, "x").unwrap();
        let (_, _, faults) = told(&[folder.path().to_owned()], folder.path());
        assert!(faults.contains("has a name that is not UTF-8"), "{faults}");
    }
}
