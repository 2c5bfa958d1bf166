//! Progress bars, one for each phase of a batch; on a terminal only.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::commands::output::Output;
use client::documents::{PhaseStatus, Status};

/// The bars of a batch; drawn on standard error, left standing at the end.
pub(crate) struct Bars {
    all: MultiProgress,
    bars: Vec<(String, ProgressBar)>,
    style: ProgressStyle,
    /// Essays that were handed in and are not in the batch.
    rejected: u64,
}

impl Bars {
    /// No bars yet.
    pub(crate) fn new(output: &Output, rejected: usize) -> Self {
        let target =
            if output.is_quiet() { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = if output.has_color() { "{bar:24.green/black.bright}" } else { "{bar:24}" };
        let style = ProgressStyle::with_template(&format!("{{prefix:<13}}{bar} {{msg}}"))
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("━╸─");
        Self {
            all: MultiProgress::with_draw_target(target),
            bars: Vec::new(),
            style,
            rejected: u64::try_from(rejected).unwrap_or(u64::MAX),
        }
    }

    /// Shows where the batch stands.
    pub(crate) fn show(&mut self, status: &Status) {
        let everyone = status.counts.total + self.rejected;
        for phase in &status.phases {
            let known = self.bars.iter().position(|(name, _)| *name == phase.phase);
            let bar = if let Some((_, bar)) = known.and_then(|at| self.bars.get(at)) {
                bar.clone()
            } else {
                let bar = self.all.add(ProgressBar::new(everyone).with_style(self.style.clone()));
                bar.set_prefix(phase.phase.clone());
                self.bars.push((phase.phase.clone(), bar.clone()));
                bar
            };
            let standing = Standing::of(phase, everyone);
            bar.set_position(standing.done + standing.lost_before);
            bar.set_message(standing.words(everyone));
        }
    }

    /// Leaves the bars as they are.
    pub(crate) fn leave(&self) {
        self.bars.iter().for_each(|(_, bar)| bar.abandon());
    }
}

/// How far a phase has come, measured against everything that was handed in.
#[derive(Debug, PartialEq, Eq)]
struct Standing {
    done: u64,
    failed: u64,
    lost_before: u64,
}

impl Standing {
    fn of(phase: &PhaseStatus, everyone: u64) -> Self {
        let counts = &phase.essay_counts;
        let has_begun = counts.total > 0;
        Self {
            done: counts.successful + counts.failed,
            failed: counts.failed,
            lost_before: if has_begun { everyone.saturating_sub(counts.total) } else { 0 },
        }
    }

    fn words(&self, everyone: u64) -> String {
        let mut words = format!("{}/{everyone}", self.done);
        for (number, what) in [(self.failed, "failed"), (self.lost_before, "failed before")] {
            if number > 0 {
                words = format!("{words}   {number} {what}");
            }
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::Standing;
    use client::documents::{PhaseCounts, PhaseStatus};

    fn words(total: u64, successful: u64, failed: u64) -> String {
        let phase = PhaseStatus {
            phase: "nlp".to_owned(),
            status: "in_progress".to_owned(),
            attempt: 1,
            essay_counts: PhaseCounts { total, successful, failed },
            waiting_on: None,
        };
        Standing::of(&phase, 30).words(30)
    }

    #[test]
    fn a_bar_counts_what_was_handed_in_and_says_what_is_missing() {
        assert_eq!(words(0, 0, 0), "0/30");
        assert_eq!(words(30, 12, 0), "12/30");
        assert_eq!(words(29, 27, 2), "29/30   2 failed   1 failed before");
    }
}
