//! Essays in files.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::commands::api::submission::Essay;

/// The name of standard input among paths.
const STDIN: &str = "-";

/// Files that hold essays: everything named, and the texts in the folders named.
const ENDINGS: [&str; 2] = ["txt", "md"];

/// What is wrong with the files, all of it at once.
#[derive(Debug, thiserror::Error)]
#[error("nothing was sent{}", told(.0))]
pub(crate) struct Error(Vec<(PathBuf, String)>);

fn told(faults: &[(PathBuf, String)]) -> String {
    faults.iter().fold(String::new(), |mut text, (path, fault)| {
        // Writing to a string does not fail.
        let _ = write!(text, "\n  {}: {fault}", path.display());
        text
    })
}

/// Reads the essays in these files and folders, sorted by path within each folder; an essay is called after its
/// file, without the ending.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Vec<Essay>, Error> {
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
            faults.push((path, format!("has the same name as {}; rename one", other.display())));
        }
        essays.push(Essay { client_ref: name, text });
    }
    if faults.is_empty() { Ok(essays) } else { Err(Error(faults)) }
}

/// Reads the one essay of a file or of standard input.
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
                faults.push((path.clone(), "holds no .txt or .md file".to_owned()));
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
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if path.is_file() && ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)) {
            texts.push(path);
        }
    }
    texts.sort();
    Ok(texts)
}

/// The text as it is: no line end is changed and nothing is stripped.
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
        let essays: Vec<_> = essays.iter().map(|e| (e.client_ref.as_str(), e.text.as_str())).collect();
        assert_eq!(essays, [("a", "\u{feff}one"), ("b", "two\r\n")]);
    }

    #[test]
    fn everything_that_is_wrong_with_the_files_is_told_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("latin1.txt"), b"caf\xe9").unwrap();
        fs::write(path("same.txt"), "x").unwrap();
        fs::write(path("same.md"), "x").unwrap();
        fs::create_dir(path("empty")).unwrap();
        let Err(error) = read(&[folder.path().to_owned(), path("empty"), path("absent.txt")]) else {
            panic!("the files were taken")
        };
        let told = error.to_string().replace(&folder.path().display().to_string(), "DIR");
        insta::assert_snapshot!(told, @r"
        nothing was sent
          DIR/empty: holds no .txt or .md file
          DIR/latin1.txt: is not UTF-8 at byte 3; save it as UTF-8
          DIR/same.txt: has the same name as DIR/same.md; rename one
          DIR/absent.txt: cannot be read (entity not found)
        ");
        assert!(read(&[PathBuf::from(folder.path())]).is_err());
    }
}
