//! A session under the sampler: bursts with the meters around them and panics
//! caught, and the samples on their way to the journal.

use std::sync::atomic::{AtomicBool, Ordering};

use assay_schema::{Event, Seconds, Warning};

use crate::journal::{Journal, STEP, Taken};
use crate::meter::{AllocationMeter, Meter, Readout, Window};
use crate::sampler::{BurstEnd, Tape, Until, burst};
use crate::{Clock, Session, Watch, WorkloadError, caught};

/// Why a case ended badly.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    pub(crate) error: String,
    /// Not run at all, as opposed to broken.
    pub(crate) skipped: bool,
}

impl Failure {
    pub(crate) fn broken(error: impl Into<String>) -> Self {
        Self { error: error.into(), skipped: false }
    }
}

impl From<WorkloadError> for Failure {
    fn from(error: WorkloadError) -> Self {
        Self { error: error.chain(), skipped: error.is_skip() }
    }
}

/// Runs a workload's code; a panic in it becomes a failure of its case.
pub(crate) fn guarded<T>(
    what: &str,
    run: impl FnOnce() -> Result<T, WorkloadError>,
) -> Result<T, Failure> {
    // The session is dropped after a panic and never run again, so a broken
    // invariant in it cannot be seen.
    caught(what, run).map_err(Failure::broken)?.map_err(Failure::from)
}

/// The meters of a case.
pub(crate) struct Meters<'a> {
    pub(crate) allocation: AllocationMeter<'a>,
    pub(crate) others: &'a mut [Box<dyn Meter>],
}

impl Meters<'_> {
    /// The allocator's meter last, so that it does not see what the others
    /// allocate to read their files.
    fn start(&mut self) {
        for meter in self.others.iter_mut() {
            meter.start();
        }
        self.allocation.start();
    }

    fn stop(&mut self) {
        self.allocation.stop();
        for meter in self.others.iter_mut().rev() {
            meter.stop();
        }
    }

    fn read(&mut self, window: &Window) -> Readout {
        let mut all = self.allocation.read(window);
        for meter in self.others.iter_mut() {
            let Readout { metrics, warnings } = meter.read(window);
            all.metrics.extend(metrics);
            all.warnings.extend(warnings);
        }
        all
    }
}

/// What the samples are written on. Made before the session, so that its room
/// is not counted as the session's memory.
pub(crate) struct Desk<'a> {
    pub(crate) watch: Watch<'a>,
    tape: Tape,
    journal: Journal,
    /// Seconds an iteration of the samples of the last burst.
    fresh: Vec<f64>,
}

impl<'a> Desk<'a> {
    pub(crate) fn new(clock: &'a dyn Clock) -> Self {
        Self {
            watch: Watch::new(clock),
            tape: Tape::new(),
            journal: Journal::default(),
            fresh: Vec::new(),
        }
    }

    /// Samples that have not left yet, as events.
    pub(crate) fn release(&mut self, steady_from: u64) -> Vec<Event> {
        self.journal.release(steady_from)
    }
}

/// A session being sampled.
pub(crate) struct Sampling<'a, 'c, C> {
    pub(crate) clock: &'a C,
    pub(crate) session: &'a mut dyn Session,
    pub(crate) desk: &'a mut Desk<'c>,
    pub(crate) meters: Meters<'a>,
    pub(crate) interrupted: &'a AtomicBool,
    window: Window,
    /// Samples too short for the clock, which are left out.
    unseen: u64,
}

impl<'a, 'c, C: Clock> Sampling<'a, 'c, C> {
    pub(crate) fn new(
        clock: &'a C,
        session: &'a mut dyn Session,
        desk: &'a mut Desk<'c>,
        meters: Meters<'a>,
        interrupted: &'a AtomicBool,
    ) -> Self {
        let window = Window::default();
        Self { clock, session, desk, meters, interrupted, window, unseen: 0 }
    }

    /// One burst with the meters around it; its samples go to the journal and
    /// to [`fresh`](Self::fresh). After a failure the whole samples are kept.
    pub(crate) fn burst(
        &mut self,
        iterations: u64,
        until: Until,
    ) -> Result<BurstEnd, Failure> {
        let Self { clock, session, desk, meters, interrupted, .. } = self;
        let Desk { watch, tape, journal, fresh } = &mut **desk;
        watch.pool(iterations > 1);
        let (first_sample, first_step) = (watch.sample(), watch.step());
        meters.start();
        let start = clock.now();
        let end = guarded("an iteration", || {
            burst(*clock, *session, watch, tape, iterations, until, interrupted)
        });
        let ticks = clock.now().saturating_sub(start);
        meters.stop();
        self.window.iterations += watch.step() - first_step;
        self.window.seconds += clock.seconds(ticks);

        fresh.clear();
        for (sample, ticks) in (first_sample..).zip(tape.drain()) {
            if ticks == 0 {
                self.unseen += 1;
                continue;
            }
            let seconds = clock.seconds(ticks) / iterations as f64;
            fresh.push(seconds.0);
            let part = STEP;
            let rank = None;
            journal.note(Taken { part, rank, sample, iterations, seconds });
        }
        watch.drain(&mut |part, rank, taken| {
            journal.note(Taken {
                part,
                rank,
                sample: taken.sample,
                iterations: taken.calls,
                seconds: taken.seconds / taken.calls as f64,
            });
        });
        end
    }

    /// Seconds an iteration of the last burst's samples.
    pub(crate) fn fresh(&self) -> &[f64] {
        &self.desk.fresh
    }

    /// Whether the user asked for an end.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Forgets what the meters have counted.
    pub(crate) fn restart_meters(&mut self) {
        self.meters.read(&self.window);
        self.window = Window::default();
    }

    /// What the meters say of all bursts since, and what the sampler adds.
    pub(crate) fn read_meters(&mut self) -> Readout {
        let mut readout = self.meters.read(&self.window);
        if self.unseen > 0 {
            readout.warnings.push(Warning {
                kind: "timer".to_owned(),
                message: format!(
                    "{} samples took no time that the clock ({}) can see and \
                     were left out; make the iteration longer",
                    self.unseen,
                    self.clock.name()
                ),
            });
        }
        readout
    }

    /// Time since an earlier read of the clock.
    pub(crate) fn since(&self, start: u64) -> Seconds {
        self.clock.seconds(self.clock.now().saturating_sub(start))
    }
}
