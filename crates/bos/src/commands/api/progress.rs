//! Progress bars, one for each phase of a batch. They are drawn on a terminal only.

use domain::Phase;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::commands::output::Output;
use client::documents::{PhaseDocument, StatusDocument};

/// The progress bars of a batch, on standard error. They stay visible at the end.
pub(crate) struct Bars {
    all: MultiProgress,
    bars: Vec<(Phase, ProgressBar)>,
    style: ProgressStyle,
    /// Number of submitted essays that are not in the batch.
    rejected: u64,
}

impl Bars {
    /// Starts without bars; `rejected` is the number of essays that were skipped at submission.
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

    /// Draws the progress of each phase.
    pub(crate) fn show(&mut self, status: &StatusDocument) {
        let submitted = u64::from(status.counts.total) + self.rejected;
        for phase in &status.phases {
            let known = self.bars.iter().position(|(name, _)| *name == phase.phase);
            let bar = if let Some((_, bar)) = known.and_then(|at| self.bars.get(at)) {
                bar.clone()
            } else {
                let bar = self.all.add(ProgressBar::new(submitted).with_style(self.style.clone()));
                bar.set_prefix(phase.phase.as_str());
                self.bars.push((phase.phase, bar.clone()));
                bar
            };
            let progress = Progress::new(phase, submitted);
            bar.set_position(progress.done + progress.failed_before);
            bar.set_message(progress.message(submitted));
        }
    }

    /// Stops drawing, and leaves the bars on the screen.
    pub(crate) fn leave(&self) {
        self.bars.iter().for_each(|(_, bar)| bar.abandon());
    }
}

/// How many of the submitted essays a phase is done with.
#[derive(Debug, PartialEq, Eq)]
struct Progress {
    done: u64,
    failed: u64,
    /// Essays that failed or were skipped before this phase.
    failed_before: u64,
}

impl Progress {
    fn new(phase: &PhaseDocument, submitted: u64) -> Self {
        let counts = &phase.essay_counts;
        let has_begun = counts.total > 0;
        let failed = u64::from(counts.failed);
        Self {
            done: u64::from(counts.successful) + failed,
            failed,
            failed_before: if has_begun { submitted.saturating_sub(counts.total.into()) } else { 0 },
        }
    }

    fn message(&self, submitted: u64) -> String {
        let mut text = format!("{}/{submitted}", self.done);
        for (number, what) in [(self.failed, "failed"), (self.failed_before, "failed before")] {
            if number > 0 {
                text = format!("{text}   {number} {what}");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::Progress;
    use client::documents::{PhaseCounts, PhaseDocument};
    use domain::{Phase, PhaseStatus};

    fn message(total: u32, successful: u32, failed: u32) -> String {
        let pending_dispatch_or_processing = total - successful - failed;
        let phase = PhaseDocument {
            phase: Phase::Nlp,
            status: PhaseStatus::InProgress,
            attempt: 1,
            essay_counts: PhaseCounts { total, pending_dispatch_or_processing, successful, failed },
            started_at: None,
            completed_at: None,
            error_code: None,
            outcome_missing: false,
            waiting_on: None,
        };
        Progress::new(&phase, 30).message(30)
    }

    #[test]
    fn a_bar_counts_all_submitted_essays_and_names_the_failed_ones() {
        assert_eq!(message(0, 0, 0), "0/30");
        assert_eq!(message(30, 12, 0), "12/30");
        assert_eq!(message(29, 27, 2), "29/30   2 failed   1 failed before");
    }
}
