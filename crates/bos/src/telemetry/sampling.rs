//! Which traces are kept: decided once, where a trace enters the service, and carried along from there.

use std::num::NonZeroU128;

use engine::Traceparent;

use crate::config::Config;
use crate::config::words::TracesSampler;

/// The bits of a trace id that are drawn at random whoever made it, a random UUID included: its last 56.
const RANDOM_BITS: u32 = 56;

/// Which traces are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    /// The caller's word counts, where it gives one.
    by_parent: bool,
    /// Others are kept when their random bits are below this.
    below: u64,
}

impl Default for Sampling {
    /// What the caller keeps, and all that begin here.
    fn default() -> Self {
        Self { by_parent: true, below: 1 << RANDOM_BITS }
    }
}

impl From<&Config> for Sampling {
    fn from(config: &Config) -> Self {
        let all = 1_u64 << RANDOM_BITS;
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a part of 2^56 from 0 to 1 fits, to the precision that a part has"
        )]
        let part = (config.otel_traces_sampler_arg.0 * all as f64) as u64;
        let (by_parent, below) = match config.otel_traces_sampler {
            TracesSampler::AlwaysOn => (false, all),
            TracesSampler::AlwaysOff => (false, 0),
            TracesSampler::TraceIdRatio => (false, part),
            TracesSampler::ParentBasedAlwaysOn => (true, all),
            TracesSampler::ParentBasedAlwaysOff => (true, 0),
            TracesSampler::ParentBasedTraceIdRatio => (true, part),
        };
        Self { by_parent, below }
    }
}

impl Sampling {
    /// Whether this trace is kept, which a caller has begun or nobody yet.
    pub fn keeps(self, trace: NonZeroU128, caller: Option<Traceparent>) -> bool {
        if let Some(caller) = caller.filter(|_| self.by_parent) {
            return caller.is_sampled();
        }
        let random = trace.get() & ((1 << RANDOM_BITS) - 1);
        random < u128::from(self.below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    fn sampling(sampler: &str, part: &str) -> Sampling {
        let variables = [("OTEL_TRACES_SAMPLER", sampler), ("OTEL_TRACES_SAMPLER_ARG", part)];
        let environment =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let sources = Sources { environment, ..Sources::default() };
        Sampling::from(&Config::load(&sources).unwrap().config)
    }

    #[test]
    fn the_callers_word_counts_where_the_sampler_goes_by_it() {
        let trace = NonZeroU128::MAX;
        let caller = |sampled| Traceparent::with_random_span(trace, sampled);
        assert_eq!(sampling("parentbased_always_on", "1"), Sampling::default());
        for sampler in ["parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"] {
            assert!(sampling(sampler, "0.5").keeps(trace, caller(true)), "{sampler}");
            assert!(!sampling(sampler, "0.5").keeps(trace, caller(false)), "{sampler}");
        }
        assert!(sampling("always_on", "0").keeps(trace, caller(false)));
        assert!(!sampling("always_off", "1").keeps(trace, caller(true)));
        assert!(!sampling("parentbased_always_off", "1").keeps(trace, None));
    }

    #[test]
    fn a_ratio_keeps_its_part_of_random_uuids() {
        let quarter = sampling("traceidratio", "0.25");
        let kept = (0..4_000_u32)
            .filter(|n| {
                let id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, &n.to_be_bytes());
                NonZeroU128::new(id.as_u128()).is_some_and(|trace| quarter.keeps(trace, None))
            })
            .count();
        assert!((850..1150).contains(&kept), "{kept}");
    }
}
