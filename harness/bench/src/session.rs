//! A benchmark under the sampler of `assay-measure`, which finds the warm-up's
//! end and stops when the median is precise; nothing of that is done again
//! here. One iteration of the sampler is one lap.

use std::convert::Infallible;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use assay_measure::{
    AllocationCounter, Clock, Context, Instruments, Job, Pace, Progress,
    Session, Settings, StealMeter, Watch, Workload, WorkloadError, run_case,
};
use assay_schema::{
    Case, Estimate, Event, Outcome, StopReason, Verification, Warning,
    WorkloadInfo,
};
use assay_statistics::median_estimate;

use crate::bench::Entry;
use crate::counters::{Counters, kept};
use crate::prepared::{Named, Prepared, allocations_metric, guarded};
use crate::routine::{Outside, Throughput};

/// A benchmark, measured.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// Steady samples in their order, seconds an iteration.
    pub(crate) seconds: Vec<f64>,
    /// The median of those; none of a single sample.
    pub(crate) estimate: Option<Estimate>,
    /// Values beside time, an iteration.
    pub(crate) metrics: Vec<Named>,
    pub(crate) fingerprint: Option<u64>,
    pub(crate) throughputs: Vec<Throughput>,
    pub(crate) warnings: Vec<Warning>,
}

/// Samples one benchmark.
///
/// # Errors
///
/// In words, what in the benchmark is broken.
pub(crate) fn measure<C: Clock + Clone + 'static>(
    entry: &Entry,
    settings: &Settings,
    clock: &C,
    counter: Option<&'static dyn AllocationCounter>,
) -> Result<Measured, String> {
    let facts = Arc::new(Mutex::new(Facts::default()));
    let workload =
        Laps { entry, clock: clock.clone(), counter, facts: facts.clone() };
    let case = Case::new("bench", entry.name.as_str(), None);
    let job = Job {
        workload: &workload,
        case: &case,
        context: &Context::new("cpu", 0),
        work: None,
    };
    let mut meters = Counters::new().into_meters();
    meters.push(Box::new(StealMeter::new()));
    let instruments = Instruments {
        clock,
        meters: &mut meters,
        // The session counts by itself, set-up left out.
        allocations: None,
        interrupted: &AtomicBool::new(false),
    };
    let mut events = Vec::new();
    let ended = run_case(job, settings, instruments, &mut |event| {
        events.push(event);
        Ok::<(), Infallible>(())
    });
    let facts = std::mem::take(
        &mut *facts.lock().unwrap_or_else(PoisonError::into_inner),
    );
    match ended {
        Ok(Outcome::Finished(stop)) => {
            Ok(gather(events, &stop, facts, settings))
        }
        Ok(Outcome::Failed(error) | Outcome::Skipped(error)) => Err(error),
        Ok(Outcome::Unfinished) => Err("it was interrupted".to_owned()),
    }
}

/// What the events say of one iteration of the body.
fn gather(
    events: Vec<Event>,
    stop: &StopReason,
    facts: Facts,
    settings: &Settings,
) -> Measured {
    let lap = facts.lap.max(1) as f64;
    let mut seconds = Vec::new();
    let mut metrics = facts.metrics;
    let mut warnings = Vec::new();
    for event in events {
        match event {
            Event::Sample(batch) if !batch.warm_up => {
                seconds.extend(batch.seconds.iter().map(|s| s / lap));
            }
            Event::Meter { metric, .. } => {
                metrics.extend(kept(metric).map(|mut named| {
                    named.metric.value /= lap;
                    named
                }));
            }
            Event::Warning(warning) => warnings.push(warning),
            Event::Sample(_)
            | Event::Pictures(_)
            | Event::Started { .. }
            | Event::Verified(_)
            | Event::Finished { .. }
            | Event::Failed { .. } => {}
        }
    }
    if let Some(counted) = facts.allocations {
        metrics.push(allocations_metric(counted, facts.iterations.max(1)));
    }
    if let StopReason::BudgetSpent { relative_half_width: Some(width), .. } =
        stop
        && *width > settings.target
    {
        warnings.push(Warning {
            kind: "imprecise".to_owned(),
            message: format!(
                "the budget of {} s ended at a median known to {:.1} %; \
                 {:.0} % was wanted: give a longer --budget, or quieten the \
                 machine",
                settings.budget.0,
                width * 100.0,
                settings.target * 100.0
            ),
        });
    }
    Measured {
        estimate: median_estimate(&seconds, settings.confidence).ok(),
        seconds,
        metrics,
        fingerprint: facts.fingerprint,
        throughputs: facts.throughputs,
        warnings,
    }
}

/// What a session leaves behind.
#[derive(Debug, Default)]
struct Facts {
    /// Iterations of the body in one of the sampler's.
    lap: u64,
    iterations: u64,
    allocations: Option<u64>,
    metrics: Vec<Named>,
    fingerprint: Option<u64>,
    throughputs: Vec<Throughput>,
}

/// One benchmark, as the sampler sees workloads.
struct Laps<'a, C> {
    entry: &'a Entry,
    clock: C,
    counter: Option<&'static dyn AllocationCounter>,
    facts: Arc<Mutex<Facts>>,
}

impl<C: Clock + Clone + 'static> Workload for Laps<'_, C> {
    fn info(&self) -> WorkloadInfo {
        WorkloadInfo::default()
    }

    fn prepare(
        &self,
        _case: &Case,
        _context: &Context,
    ) -> Result<Box<dyn Session>, WorkloadError> {
        Ok(Box::new(LapSession {
            prepared: self.entry.build().map_err(WorkloadError::other)?,
            clock: self.clock.clone(),
            counter: self.counter,
            iterations: 0,
            allocations: 0,
            facts: Arc::clone(&self.facts),
        }))
    }
}

struct LapSession<C> {
    prepared: Prepared,
    clock: C,
    counter: Option<&'static dyn AllocationCounter>,
    iterations: u64,
    allocations: u64,
    facts: Arc<Mutex<Facts>>,
}

impl<C: Clock> Session for LapSession<C> {
    /// Runs the body once and finds how long a lap is. There is no answer to
    /// compare with: that a body is right is its own crate's to test, and its
    /// fingerprint says whether it still does the same.
    fn verify(&mut self) -> Result<Verification, WorkloadError> {
        let Self { prepared, clock, .. } = self;
        let (fingerprint, metrics) = guarded("the body", || {
            prepared.timed(1, clock, None)?;
            let (fingerprint, metrics) =
                (prepared.fingerprint(), prepared.metrics()?);
            prepared.size_lap(clock)?;
            Ok((fingerprint, metrics))
        })
        .map_err(WorkloadError::other)?;
        let mut facts =
            self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        facts.lap = prepared.lap_length();
        facts.metrics = metrics;
        facts.fingerprint = fingerprint;
        facts.throughputs = prepared.throughputs().to_vec();
        Ok(Verification {
            against: "itself".to_owned(),
            largest_difference: 0.0,
            relative_difference: 0.0,
            tolerance: 0.0,
        })
    }

    fn pace(&self) -> Pace {
        Pace::Steady
    }

    fn iterate(
        &mut self,
        watch: &mut Watch<'_>,
    ) -> Result<Progress, WorkloadError> {
        let counted = || self.counter.map_or(0, |c| c.snapshot().allocations);
        let before = counted();
        let mut outside =
            Unwatched { watch, counter: self.counter, allocations: 0 };
        let length = self.prepared.lap_length();
        self.prepared
            .lap(length, &mut outside)
            .map_err(WorkloadError::other)?;
        let left_out = outside.allocations;
        self.iterations += length;
        self.allocations +=
            counted().saturating_sub(before).saturating_sub(left_out);
        Ok(Progress::More)
    }
}

impl<C> Drop for LapSession<C> {
    fn drop(&mut self) {
        let mut facts =
            self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        facts.iterations = self.iterations;
        facts.allocations = self.counter.map(|_| self.allocations);
    }
}

/// Leaves set-up out of the watch's time and of the allocations.
struct Unwatched<'a, 'w> {
    watch: &'a mut Watch<'w>,
    counter: Option<&'static dyn AllocationCounter>,
    allocations: u64,
}

impl Outside for Unwatched<'_, '_> {
    fn leave_out(&mut self, work: &mut dyn FnMut()) {
        let Self { watch, counter, allocations } = self;
        watch.untimed(|| {
            let before = counter.map_or(0, |c| c.snapshot().allocations);
            work();
            let after = counter.map_or(0, |c| c.snapshot().allocations);
            *allocations += after.saturating_sub(before);
        });
    }
}
