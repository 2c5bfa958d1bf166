//! The seeds per minute of the simulation.

use std::{process::Command, process::Stdio, time::Instant};

use anyhow::{Context as _, Result, ensure};

use super::Place;
use crate::report::{Figure, Target};

pub(super) fn measure(place: &Place<'_>) -> Result<Vec<Figure>> {
    let seeds = place.setting.size(1_000_u32, 200);
    let mut rates = Vec::new();
    for _ in 0..place.setting.rounds {
        let mut simulation = Command::new(place.simulation);
        simulation.args(["--seeds", &seeds.to_string()]).stdin(Stdio::null());
        let begun = Instant::now();
        let output = simulation.output().context("starting the simulation")?;
        ensure!(
            output.status.success(),
            "the simulation failed: {}",
            String::from_utf8_lossy(&output.stdout)
        );
        rates.push(f64::from(seeds) * 60.0 / begun.elapsed().as_secs_f64());
    }
    Ok(vec![
        Figure::new("simulation", "as `cargo xtask simulate` runs it", "seeds/min", rates)
            .must(Target::AtLeast(1_000.0)),
    ])
}
