//! `cargo xtask dist`: the binary that is handed out, and its symbols in a file beside it.

use std::env::consts::EXE_SUFFIX;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use testbed::process;

use crate::workspace;

/// Build the release binary without symbols, and its symbols in `bos.debug` beside it
///
/// Writes `target/dist/bos` and `target/dist/bos.debug`. Back-traces and debuggers find the symbols when `bos.debug` lies
/// beside the binary or in `.debug/`; without it, back-traces have addresses only. Needs `objcopy` of the GNU binutils.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Builds and splits. Returns the exit code of the first step that fails.
pub(crate) fn run(_: &Args) -> Result<u8> {
    let status = process::run(&mut workspace::cargo("build --profile dist --locked -p bos".split(' ')))?;
    if !status.success() {
        return Ok(process::exit_code(status));
    }
    let folder = testbed::target_folder()?.join("dist");
    let binary = folder.join(format!("bos{EXE_SUFFIX}"));
    split(&binary, &folder.join("bos.debug"))?;
    for file in [&binary, &folder.join("bos.debug")] {
        let size = fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?.len();
        println!("{} ({} MiB)", file.display(), size >> 20);
    }
    Ok(0)
}

/// Moves the symbols of `binary` to `symbols`. The binary keeps a link with the name and the checksum of that file.
///
/// The link is made in a copy that takes the place of `binary` at the end: cargo links `target/dist/bos` to the file that it
/// would hand out next time.
fn split(binary: &Path, symbols: &Path) -> Result<()> {
    let stripped = binary.with_extension("stripped");
    objcopy([
        "--only-keep-debug".as_ref(),
        "--compress-debug-sections=zlib".as_ref(),
        binary.as_os_str(),
        symbols.as_os_str(),
    ])?;
    let mut link = OsStr::new("--add-gnu-debuglink=").to_owned();
    link.push(symbols);
    objcopy(["--strip-all".as_ref(), &link, binary.as_os_str(), stripped.as_os_str()])?;
    fs::rename(&stripped, binary).with_context(|| format!("cannot replace {}", binary.display()))
}

fn objcopy<const N: usize>(args: [&OsStr; N]) -> Result<()> {
    let status = process::run(Command::new("objcopy").args(args))
        .context("cannot run objcopy, which is part of the GNU binutils")?;
    ensure!(status.success(), "objcopy failed: {status}");
    Ok(())
}
