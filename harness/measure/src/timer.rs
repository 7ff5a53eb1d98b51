//! The instrument's own error: what the clock can show, what a read costs,
//! and what the sampler adds to a sample.

use std::hint::black_box;
use std::sync::atomic::AtomicBool;

use assay_schema::{Seconds, Verification};

use crate::meter::AllocationCounter;
use crate::sampler::{BURST, Tape, Until, burst};
use crate::{Clock, Pace, Progress, Session, Watch, WorkloadError};

/// What a clock can do, measured.
#[derive(Clone, Debug, PartialEq)]
pub struct TimerReport {
    /// Which clock.
    pub clock: String,
    /// The smallest step that two reads show.
    pub resolution: Seconds,
    /// One read.
    pub read_cost: Seconds,
}

/// Measures a clock: the median of some hundred runs of a thousand reads.
pub fn timer_report<C: Clock>(clock: &C) -> TimerReport {
    const READS: u64 = 1000;
    let read_cost = median_of(201, || {
        let start = clock.now();
        for _ in 0..READS {
            black_box(clock.now());
        }
        clock.seconds(clock.now().saturating_sub(start)) / READS as f64
    });
    let resolution = clock.resolution();
    TimerReport { clock: clock.name(), resolution, read_cost }
}

/// What the sampler adds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplerCost {
    /// Time that one sample of an empty iteration takes in all: the loop, the
    /// call, two reads of the clock, the writing down.
    pub per_sample: Seconds,
    /// Allocations a sample; none known without a counting allocator.
    pub allocations_per_sample: Option<f64>,
}

/// Runs the real sampling loop on an iteration that does nothing.
pub fn sampler_cost<C: Clock>(
    clock: &C,
    allocations: Option<&dyn AllocationCounter>,
) -> SamplerCost {
    const BURSTS: usize = 51;
    let (mut watch, mut tape) = (Watch::new(clock), Tape::new());
    let interrupted = AtomicBool::new(false);
    let until = Until { deadline: u64::MAX, samples: BURST };
    let session: &mut dyn Session = &mut Empty;
    let mut allocated = 0;
    let per_sample = median_of(BURSTS, || {
        let before = allocations.map_or(0, |a| a.snapshot().allocations);
        let start = clock.now();
        // An empty session neither fails nor ends.
        let end = burst(
            clock,
            session,
            &mut watch,
            &mut tape,
            1,
            until,
            &interrupted,
        );
        let time = clock.seconds(clock.now().saturating_sub(start));
        let after = allocations.map_or(0, |a| a.snapshot().allocations);
        allocated += after - before;
        debug_assert!(end.is_ok());
        time / tape.drain().count().max(1) as f64
    });
    SamplerCost {
        per_sample,
        allocations_per_sample: allocations
            .map(|_| allocated as f64 / (BURSTS * BURST) as f64),
    }
}

/// The median of several measurements.
fn median_of(times: usize, mut measure: impl FnMut() -> Seconds) -> Seconds {
    let mut all: Vec<f64> = (0..times).map(|_| measure().0).collect();
    all.sort_by(f64::total_cmp);
    Seconds(all[times / 2])
}

/// A session that does nothing.
struct Empty;

impl Session for Empty {
    fn verify(&mut self) -> Result<Verification, WorkloadError> {
        Err(WorkloadError::Unsupported("there is no answer".to_owned()))
    }

    fn pace(&self) -> Pace {
        Pace::Steady
    }

    #[inline(never)]
    fn iterate(
        &mut self,
        watch: &mut Watch<'_>,
    ) -> Result<Progress, WorkloadError> {
        black_box(watch);
        Ok(Progress::More)
    }
}
