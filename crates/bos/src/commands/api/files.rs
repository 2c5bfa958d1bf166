//! Reads essays from files.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use client::documents::EssayRequest;

/// The path that stands for standard input.
const STDIN: &str = "-";

/// Extensions of the files that are read from a folder. A file that is named itself is read whatever its extension is.
const EXTENSIONS: [&str; 2] = ["txt", "md"];

/// Everything that is wrong with the files.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the essays; nothing was sent{}", lines(.0))]
pub(crate) struct Error(Vec<(PathBuf, String)>);

fn lines(faults: &[(PathBuf, String)]) -> String {
    faults.iter().fold(String::new(), |mut text, (path, fault)| {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n  {}: {fault}", path.display());
        text
    })
}

/// Reads the essays of these files and folders, sorted by path within each folder. An essay's `client_ref` is its file's name
/// without the extension.
///
/// # Errors
/// All files and folders that cannot be read, are not UTF-8, contain no essay or have the same name.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Vec<EssayRequest>, Error> {
    let mut faults = Vec::new();
    let mut essays = Vec::new();
    let mut names: BTreeMap<String, PathBuf> = BTreeMap::new();
    for path in expand(paths, &mut faults) {
        let text = match read_text(&path) {
            Ok(text) => text,
            Err(fault) => {
                faults.push((path, fault));
                continue;
            }
        };
        let name = name_of(&path);
        if let Some(other) = names.insert(name.clone(), path.clone()) {
            faults.push((path, format!("has the same name as {}; rename one of them", other.display())));
        }
        essays.push(EssayRequest::with_text(name, text));
    }
    if faults.is_empty() { Ok(essays) } else { Err(Error(faults)) }
}

/// Reads one essay from a file or from standard input.
///
/// # Errors
/// When it cannot be read or is not UTF-8.
pub(crate) fn read_one(path: &Path) -> Result<String, Error> {
    read_text(path).map_err(|fault| Error(vec![(path.to_owned(), fault)]))
}

fn expand(paths: &[PathBuf], faults: &mut Vec<(PathBuf, String)>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in paths {
        if path.as_os_str() == STDIN || !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        match texts_in(path) {
            Ok(texts) if texts.is_empty() => {
                faults.push((path.clone(), "contains no .txt or .md file".to_owned()));
            }
            Ok(texts) => files.extend(texts),
            Err(error) => faults.push((path.clone(), cannot_read(&error))),
        }
    }
    files
}

fn texts_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let extension = path.extension().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_file() && EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known)) {
            texts.push(path);
        }
    }
    texts.sort();
    Ok(texts)
}

/// Reads the text unchanged: line ends and a byte order mark stay.
fn read_text(path: &Path) -> Result<String, String> {
    let bytes = if path.as_os_str() == STDIN {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    String::from_utf8(bytes.map_err(|error| cannot_read(&error))?).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        format!("is not UTF-8 at byte {offset}; save it as UTF-8")
    })
}

fn cannot_read(error: &io::Error) -> String {
    format!("cannot be read ({})", error.kind())
}

fn name_of(path: &Path) -> String {
    if path.as_os_str() == STDIN {
        return "stdin".to_owned();
    }
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::read;

    #[test]
    fn the_texts_of_a_folder_are_read_in_order_and_byte_for_byte() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("b.TXT", "two\r\n"), ("a.md", "\u{feff}one"), ("notes.pdf", "no")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let essays = read(&[folder.path().to_owned()]).unwrap();
        let essays: Vec<_> = essays.iter().map(|e| (e.client_ref.as_deref(), e.text.as_deref())).collect();
        assert_eq!(essays, [(Some("a"), Some("\u{feff}one")), (Some("b"), Some("two\r\n"))]);
    }

    #[test]
    fn all_faults_of_the_files_are_reported_together() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("latin1.txt"), b"caf\xe9").unwrap();
        fs::write(path("same.txt"), "x").unwrap();
        fs::write(path("same.md"), "x").unwrap();
        fs::create_dir(path("empty")).unwrap();
        let Err(error) = read(&[folder.path().to_owned(), path("empty"), path("absent.txt")]) else {
            panic!("the files were accepted")
        };
        let message = error.to_string().replace(&folder.path().display().to_string(), "DIR");
        insta::assert_snapshot!(message, @r"
        cannot read the essays; nothing was sent
          DIR/empty: contains no .txt or .md file
          DIR/latin1.txt: is not UTF-8 at byte 3; save it as UTF-8
          DIR/same.txt: has the same name as DIR/same.md; rename one of them
          DIR/absent.txt: cannot be read (entity not found)
        ");
        assert!(read(&[PathBuf::from(folder.path())]).is_err());
    }
}
