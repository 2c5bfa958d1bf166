//! The time from the start of `bos` to its first 200 on `/readyz`, and its memory then.

use anyhow::Result;

use super::Setting;
use crate::{
    report::{Figure, Target},
    server::{Program, Server},
};

pub(super) fn measure(setting: &Setting<'_>) -> Result<Vec<Figure>> {
    let (mut fresh, mut again, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..setting.rounds {
        let folder = setting.fresh("start")?;
        for seconds in [&mut fresh, &mut again] {
            let server = Server::start(Program::Bos(setting.bos), &folder)?;
            seconds.push(server.ready_after.as_secs_f64());
            memory.extend(server.resident_mib());
            server.stop()?;
        }
    }
    Ok(vec![
        Figure::new("start", "to ready, empty data folder", "s", fresh).must(Target::AtMost(0.2)),
        Figure::new("start", "to ready, the folder's second start", "s", again).must(Target::AtMost(0.2)),
        Figure::new("memory", "idle, no dictionary loaded", "MiB", memory).must(Target::AtMost(60.0)),
    ])
}
