//! Toy workloads on a fake clock, and a run of one of them.

use std::sync::atomic::AtomicBool;

use assay_measure::{
    Context, FakeClock, Instruments, Job, Meter, Pace, Progress, Session,
    Settings, Watch, Workload, WorkloadError, run_case,
};
use assay_schema::{
    Case, Event, Outcome, Record, Seconds, Verification, WorkloadInfo,
};

/// A right answer.
pub(crate) fn right() -> Verification {
    Verification {
        against: "closed form".to_owned(),
        largest_difference: 0.0,
        relative_difference: 0.0,
        tolerance: 1e-4,
    }
}

type Make =
    dyn Fn(&FakeClock) -> Result<Box<dyn Session>, WorkloadError> + Send + Sync;

/// A workload with one case, made by a function.
pub(crate) struct Toy {
    pub(crate) clock: FakeClock,
    pub(crate) make: Box<Make>,
}

impl Workload for Toy {
    fn info(&self) -> WorkloadInfo {
        WorkloadInfo {
            workload: "toy".to_owned(),
            models: vec!["one".to_owned()],
            ..WorkloadInfo::default()
        }
    }

    fn prepare(
        &self,
        _case: &Case,
        _context: &Context,
    ) -> Result<Box<dyn Session>, WorkloadError> {
        (self.make)(&self.clock)
    }
}

/// A session whose iteration is a function.
pub(crate) struct Body<F> {
    pub(crate) pace: Pace,
    pub(crate) verify: fn() -> Result<Verification, WorkloadError>,
    pub(crate) iterate: F,
}

impl<F> Session for Body<F>
where
    F: FnMut(&mut Watch<'_>) -> Result<Progress, WorkloadError>,
{
    fn verify(&mut self) -> Result<Verification, WorkloadError> {
        (self.verify)()
    }

    fn pace(&self) -> Pace {
        self.pace
    }

    fn iterate(
        &mut self,
        watch: &mut Watch<'_>,
    ) -> Result<Progress, WorkloadError> {
        (self.iterate)(watch)
    }
}

/// How a toy's run went.
pub(crate) struct Ran {
    pub(crate) events: Vec<Event>,
    pub(crate) outcome: Outcome,
}

impl Ran {
    pub(crate) fn record(&self) -> Record {
        Record::from_events(&self.events).unwrap()
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        let record = self.record();
        record.warnings.iter().map(|w| w.kind.clone()).collect()
    }
}

/// Runs what `make` makes.
pub(crate) fn run(
    settings: &Settings,
    make: impl Fn(&FakeClock) -> Result<Box<dyn Session>, WorkloadError>
    + Send
    + Sync
    + 'static,
) -> Ran {
    run_with(settings, &mut [], &AtomicBool::new(false), make)
}

/// The same with meters and a stop flag.
pub(crate) fn run_with(
    settings: &Settings,
    meters: &mut [Box<dyn Meter>],
    interrupted: &AtomicBool,
    make: impl Fn(&FakeClock) -> Result<Box<dyn Session>, WorkloadError>
    + Send
    + Sync
    + 'static,
) -> Ran {
    let clock = FakeClock::new();
    let toy = Toy { clock: clock.clone(), make: Box::new(make) };
    let case = Case::new("toy", "one", None);
    let context = Context::new("cpu", 1);
    let job =
        Job { workload: &toy, case: &case, context: &context, work: None };
    let instruments =
        Instruments { clock: &clock, meters, allocations: None, interrupted };
    let mut events = Vec::new();
    let mut sink = |event: Event| {
        events.push(event);
        Ok::<(), std::convert::Infallible>(())
    };
    let outcome = run_case(job, settings, instruments, &mut sink).unwrap();
    Ran { events, outcome }
}

/// A steady session: iteration `n` takes `time(n)`.
pub(crate) fn steady(
    clock: &FakeClock,
    time: impl Fn(u64) -> f64 + 'static,
) -> Box<dyn Session> {
    let clock = clock.clone();
    Box::new(Body {
        pace: Pace::Steady,
        verify: || Ok(right()),
        iterate: move |watch: &mut Watch<'_>| {
            clock.advance(Seconds(time(watch.step())));
            Ok(Progress::More)
        },
    })
}
