//! A prepared benchmark: a routine without its output's type, ready for laps.

use assay_measure::{AllocationCounter, Clock, caught};
use assay_schema::{Better, LockstepMetric, Seconds};

use crate::routine::{Lap, Outside, Routine, Throughput};

/// A lap under the sampler, and a chunk of inputs, last at least this long,
/// so that reads of the clock around them (some 50 ns) are less than a
/// thousandth.
const LAP_TIME: Seconds = Seconds(100e-6);

/// Most inputs at hand at once.
const MOST_INPUTS: usize = 1 << 14;

/// Iterations of a lap, where there are no inputs. The sampler puts several
/// laps into a sample if that is not long enough.
const MOST_ITERATIONS: usize = 1 << 20;

/// A named value beside time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) metric: LockstepMetric,
}

/// What one lap gave.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct LapTime {
    /// Of all iterations, set-up excluded.
    pub(crate) seconds: Seconds,
    /// Of all iterations, set-up excluded; none without a counter.
    pub(crate) allocations: Option<u64>,
}

/// A routine whose output's type is forgotten.
trait Runnable {
    /// Runs a lap and keeps its last output.
    ///
    /// # Errors
    ///
    /// In words, that the body did not run to its end.
    fn lap(&mut self, lap: Lap<'_>) -> Result<(), String>;
    /// Reads the metrics from the last output, and drops it.
    fn metrics(&mut self) -> Result<Vec<Named>, String>;
    /// The last output's fingerprint.
    fn fingerprint(&self) -> Option<u64>;
}

struct WithOutput<O> {
    routine: Routine<O>,
    last: Option<O>,
}

impl<O> Runnable for WithOutput<O> {
    fn lap(&mut self, lap: Lap<'_>) -> Result<(), String> {
        self.last = (self.routine.laps)(lap);
        match self.last {
            Some(_) => Ok(()),
            None => Err("the executor came back before its future was done; \
                         it must run a future to its end"
                .to_owned()),
        }
    }

    fn metrics(&mut self) -> Result<Vec<Named>, String> {
        let Some(output) = &self.last else { return Ok(Vec::new()) };
        let mut all = Vec::with_capacity(self.routine.metrics.len());
        for metric in &self.routine.metrics {
            let value = (metric.read)(output);
            if !value.is_finite() {
                return Err(format!(
                    "the metric `{}` is {value}; expected a finite number",
                    metric.name
                ));
            }
            let (unit, better) = (metric.unit.clone(), metric.better);
            let metric_value = LockstepMetric { value, unit, better };
            all.push(Named { name: metric.name.clone(), metric: metric_value });
        }
        Ok(all)
    }

    fn fingerprint(&self) -> Option<u64> {
        let of = self.routine.fingerprint.as_ref()?;
        self.last.as_ref().map(of)
    }
}

/// Ready for laps; has run once.
pub(crate) struct Prepared {
    runnable: Box<dyn Runnable>,
    chunked: bool,
    length: usize,
    throughputs: Vec<Throughput>,
}

impl Prepared {
    pub(crate) fn new<O: 'static>(routine: Routine<O>) -> Self {
        Self {
            chunked: routine.chunked,
            length: 1,
            throughputs: routine.throughputs.clone(),
            runnable: Box::new(WithOutput { routine, last: None }),
        }
    }

    pub(crate) fn throughputs(&self) -> &[Throughput] {
        &self.throughputs
    }

    /// Iterations of a lap that lasts long enough; of a routine with inputs,
    /// the inputs at hand at once.
    pub(crate) fn lap_length(&self) -> u64 {
        self.length as u64
    }

    /// Whether inputs are made in chunks.
    pub(crate) fn is_chunked(&self) -> bool {
        self.chunked
    }

    /// Runs a lap under somebody else's clock.
    ///
    /// # Errors
    ///
    /// In words; a panic of the body passes through.
    pub(crate) fn lap(
        &mut self,
        iterations: u64,
        outside: &mut dyn Outside,
    ) -> Result<(), String> {
        let (iterations, chunk) = (iterations.max(1), self.length);
        self.runnable.lap(Lap { iterations, chunk, outside })
    }

    /// Runs a lap and times it.
    ///
    /// # Errors
    ///
    /// In words; a panic of the body passes through.
    pub(crate) fn timed<C: Clock>(
        &mut self,
        iterations: u64,
        clock: &C,
        counter: Option<&dyn AllocationCounter>,
    ) -> Result<LapTime, String> {
        let counted = || counter.map(|c| c.snapshot().allocations);
        let mut outside = Aside { clock, counter, ticks: 0, allocations: 0 };
        let before = counted();
        let start = clock.now();
        let done = self.lap(iterations, &mut outside);
        let end = clock.now();
        let after = counted();
        done?;
        let ticks = end.saturating_sub(start).saturating_sub(outside.ticks);
        let allocations = before.zip(after).map(|(before, after)| {
            after.saturating_sub(before).saturating_sub(outside.allocations)
        });
        Ok(LapTime { seconds: clock.seconds(ticks), allocations })
    }

    /// Finds how many iterations a lap needs to last long enough.
    ///
    /// # Errors
    ///
    /// In words; a panic of the body passes through.
    pub(crate) fn size_lap<C: Clock>(
        &mut self,
        clock: &C,
    ) -> Result<(), String> {
        let most = if self.chunked { MOST_INPUTS } else { MOST_ITERATIONS };
        while self.length < most {
            let time = self.timed(self.lap_length(), clock, None)?;
            if time.seconds >= LAP_TIME {
                break;
            }
            self.length *= 2;
        }
        Ok(())
    }

    /// Values that are read from the last lap's output.
    ///
    /// # Errors
    ///
    /// In words, that one is not finite.
    pub(crate) fn metrics(&mut self) -> Result<Vec<Named>, String> {
        self.runnable.metrics()
    }

    /// The fingerprint of the last lap's output.
    pub(crate) fn fingerprint(&self) -> Option<u64> {
        self.runnable.fingerprint()
    }
}

/// Takes what is left out from the time and from the allocations.
struct Aside<'a, C> {
    clock: &'a C,
    counter: Option<&'a dyn AllocationCounter>,
    ticks: u64,
    allocations: u64,
}

impl<C: Clock> Outside for Aside<'_, C> {
    fn leave_out(&mut self, work: &mut dyn FnMut()) {
        let start = self.clock.now();
        let before = self.counter.map_or(0, |c| c.snapshot().allocations);
        work();
        let after = self.counter.map_or(0, |c| c.snapshot().allocations);
        self.allocations += after.saturating_sub(before);
        self.ticks += self.clock.now().saturating_sub(start);
    }
}

/// Runs what others wrote; a panic becomes words.
///
/// # Errors
///
/// What it said, or that it panicked.
pub(crate) fn guarded<T>(
    what: &str,
    run: impl FnOnce() -> Result<T, String>,
) -> Result<T, String> {
    // What panicked is dropped by the caller and never run again.
    caught(what, run)?
}

/// The metric `allocations`, an iteration.
pub(crate) fn allocations_metric(total: u64, iterations: u64) -> Named {
    Named {
        name: "allocations".to_owned(),
        metric: LockstepMetric {
            value: total as f64 / iterations as f64,
            unit: "1".to_owned(),
            better: Better::Lower,
        },
    }
}
