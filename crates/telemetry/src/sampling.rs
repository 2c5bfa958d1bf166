//! Sampling of traces: decided once, where a trace enters the service, and propagated from there.

use std::num::NonZeroU128;

use engine::Traceparent;

/// The bits of a trace id that are random in every generator, including random UUIDs: the last 56 (W3C Trace Context).
const RANDOM_BITS: u32 = 56;

/// Which traces are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    /// Follow the caller's decision where it made one.
    by_parent: bool,
    /// Keep other traces whose random bits are below this.
    below: u64,
}

impl Default for Sampling {
    /// Keeps what the caller keeps, and every trace that begins here.
    fn default() -> Self {
        Self { by_parent: true, below: 1 << RANDOM_BITS }
    }
}

/// Which traces are kept, in OpenTelemetry's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TracesSampler {
    /// All.
    AlwaysOn,
    /// None.
    AlwaysOff,
    /// A ratio.
    TraceIdRatio,
    /// What the caller keeps; all that begin here.
    ParentBasedAlwaysOn,
    /// What the caller keeps, and nothing else.
    ParentBasedAlwaysOff,
    /// What the caller keeps; a ratio of those that begin here.
    ParentBasedTraceIdRatio,
}

impl Sampling {
    /// A sampler; `ratio`, from 0 to 1, matters to those that keep a ratio.
    pub fn new(sampler: TracesSampler, ratio: f64) -> Self {
        let all = 1_u64 << RANDOM_BITS;
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a part of 2^56 from 0 to 1 fits, to the precision that a part has"
        )]
        let part = (ratio * all as f64) as u64;
        let (by_parent, below) = match sampler {
            TracesSampler::AlwaysOn => (false, all),
            TracesSampler::AlwaysOff => (false, 0),
            TracesSampler::TraceIdRatio => (false, part),
            TracesSampler::ParentBasedAlwaysOn => (true, all),
            TracesSampler::ParentBasedAlwaysOff => (true, 0),
            TracesSampler::ParentBasedTraceIdRatio => (true, part),
        };
        Self { by_parent, below }
    }

    /// Whether to keep this trace; `caller` is the context of the caller, if it began the trace.
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
    use TracesSampler::*;

    #[test]
    fn a_parent_based_sampler_follows_the_caller() {
        let trace = NonZeroU128::MAX;
        let caller = |sampled| Traceparent::with_random_span(trace, sampled);
        assert_eq!(Sampling::new(ParentBasedAlwaysOn, 1.0), Sampling::default());
        for sampler in [ParentBasedAlwaysOn, ParentBasedAlwaysOff, ParentBasedTraceIdRatio] {
            assert!(Sampling::new(sampler, 0.5).keeps(trace, caller(true)), "{sampler:?}");
            assert!(!Sampling::new(sampler, 0.5).keeps(trace, caller(false)), "{sampler:?}");
        }
        assert!(Sampling::new(AlwaysOn, 0.0).keeps(trace, caller(false)));
        assert!(!Sampling::new(AlwaysOff, 1.0).keeps(trace, caller(true)));
        assert!(!Sampling::new(ParentBasedAlwaysOff, 1.0).keeps(trace, None));
    }

    #[test]
    fn a_ratio_sampler_keeps_that_ratio_of_random_uuids() {
        let quarter = Sampling::new(TraceIdRatio, 0.25);
        let kept = (0..4_000_u32)
            .filter(|n| {
                let id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, &n.to_be_bytes());
                NonZeroU128::new(id.as_u128()).is_some_and(|trace| quarter.keeps(trace, None))
            })
            .count();
        assert!((850..1150).contains(&kept), "{kept}");
    }
}
