//! Files that hold a secret.

use std::fs;
use std::path::Path;

/// Reads a secret from a file, without the byte order mark at its beginning and the line ends at its end.
///
/// # Errors
/// The file cannot be read, is empty, or users other than its owner and group can access it. The text is a predicate that
/// names the file and never contains its content.
pub fn read_secret(path: &Path) -> Result<String, String> {
    let cannot =
        |error: std::io::Error| format!("names {}, which cannot be read ({})", path.display(), error.kind());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(path).map_err(cannot)?.permissions().mode();
        if mode & 0o007 != 0 {
            return Err(format!(
                "names {}, which every user can read (mode {:o})",
                path.display(),
                mode & 0o777
            ));
        }
    }
    let text = fs::read_to_string(path).map_err(cannot)?;
    let text = text.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        Err(format!("names {}, which is empty", path.display()))
    } else {
        Ok(text.to_owned())
    }
}
