//! Whether the service becomes slower with more ended batches in its file.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use super::{Setting, finish};
use crate::{
    report::{Figure, Target},
    server::{Program, Server},
};

/// The number of measurements whose batches have ended in the file before it is measured.
const AGES: [u32; 3] = [1, 10, 30];

/// Measures files of three ages in turn: first, second, third, first again, …
pub(super) fn measure(setting: &Setting<'_>) -> Result<Vec<Figure>> {
    let batches = finish::batches(setting);
    let times = if setting.quick { [1, 3, 5] } else { AGES };
    let growing = setting.fresh("growing")?;
    let mut files = Vec::new();
    let mut filled = 0;
    for age in times {
        let server = Server::start(Program::Instant, &growing)?;
        for _ in filled..age {
            finish::run(server.address, &growing, batches)?;
        }
        filled = age;
        server.stop()?;
        let folder = setting.fresh(&format!("age-{age}"))?;
        copy_files(&growing, &folder)?;
        files.push((folder, Vec::new()));
    }
    for _ in 0..setting.rounds {
        for (folder, rates) in &mut files {
            let server = Server::start(Program::Instant, folder)?;
            rates.push(finish::run(server.address, folder, batches)?);
            server.stop()?;
        }
    }
    let young = files.first().map(|(_, rates)| rates.clone()).unwrap_or_default();
    let figures = times.into_iter().zip(files).map(|(age, (_, rates))| {
        let figure =
            Figure::new("growth", format!("finish with {} ended batches", age * batches), "essays/s", rates);
        if age == 1 {
            return figure;
        }
        figure.beside("the youngest file", young.clone()).must(Target::TimesLimit(0.85))
    });
    Ok(figures.collect())
}

/// Copies the files of a stopped service, and syncs them, because the system would otherwise write them while the next row is
/// measured. This process must have no SQLite connection to the files, because closing a copied file would release its
/// locks.
fn copy_files(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let copy = to.join(entry.file_name());
        fs::copy(entry.path(), &copy).context("copying the data of a stopped service")?;
        fs::File::options().append(true).open(&copy)?.sync_all()?;
    }
    Ok(())
}
