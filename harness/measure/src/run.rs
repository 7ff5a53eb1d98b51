//! One case, from its start to its end: prepare, verify, sample, read the
//! meters. The order of events is that of the record.

use std::sync::atomic::{AtomicBool, Ordering};

use assay_schema::{
    Better, Case, Event, Metric, Outcome, Reading, Seconds, StopReason,
    Verification, WorkSummary,
};

use crate::meter::{AllocationCounter, AllocationMeter, Meter, Readout};
use crate::sampling::{Desk, Failure, Meters, Sampling, guarded};
use crate::steady::sample_steady;
use crate::study::sample_study;
use crate::{Clock, Context, Pace, Session, Settings, Workload};

/// Where events go, in order. An error of the sink ends the run.
pub type Sink<'a, E> = &'a mut dyn FnMut(Event) -> Result<(), E>;

/// What to run.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// The workload of the case.
    pub workload: &'a dyn Workload,
    /// The case, defaults filled in.
    pub case: &'a Case,
    /// Where and with what.
    pub context: &'a Context,
    /// Its work, from the trace, for the record.
    pub work: Option<&'a WorkSummary>,
}

/// What to measure with.
pub struct Instruments<'a, C> {
    /// The clock.
    pub clock: &'a C,
    /// Meters beside time, in the order in which they are started.
    pub meters: &'a mut [Box<dyn Meter>],
    /// The counting allocator, if the program has one.
    pub allocations: Option<&'a dyn AllocationCounter>,
    /// Set by ctrl-C; looked at between iterations.
    pub interrupted: &'a AtomicBool,
}

/// Why a case ends before its end.
pub(crate) enum Halt<E> {
    /// Its events cannot be kept.
    Sink(E),
    /// It is broken.
    Case(Failure),
    /// Ctrl-C before the first sample.
    Interrupted,
}

impl<E> From<Failure> for Halt<E> {
    fn from(failure: Failure) -> Self {
        Self::Case(failure)
    }
}

/// Runs one case and hands its events to the sink, in the order `Started`,
/// `Verified`, then `Sample`, `Meter` and `Warning`, then `Finished` or
/// `Failed`.
///
/// Whatever the case does, this returns: a wrong answer, an error or a panic
/// in the workload becomes `Failed` (or skipped), with the samples taken so
/// far kept. A case that ctrl-C stops while sampling is
/// `Finished` with [`StopReason::Interrupted`]; one that it stops earlier has
/// no end and is `Outcome::Unfinished`, so that a resumed run takes it again.
///
/// # Errors
///
/// The first error of the sink.
pub fn run_case<C: Clock, E>(
    job: Job<'_>,
    settings: &Settings,
    instruments: Instruments<'_, C>,
    sink: Sink<'_, E>,
) -> Result<Outcome, E> {
    let clock = instruments.clock;
    if instruments.interrupted.load(Ordering::Relaxed) {
        return Ok(Outcome::Unfinished);
    }
    sink(Event::Started {
        case: job.case.clone(),
        at: clock.moment(),
        device: job.context.device.clone(),
        work: job.work.cloned(),
    })?;
    match prepare_and_sample(job, settings, instruments, sink) {
        Ok(stop) => {
            sink(Event::Finished { at: clock.moment(), stop: stop.clone() })?;
            Ok(Outcome::Finished(stop))
        }
        Err(Halt::Sink(error)) => Err(error),
        Err(Halt::Interrupted) => Ok(Outcome::Unfinished),
        Err(Halt::Case(Failure { error, skipped })) => {
            let (at, text) = (clock.moment(), error.clone());
            sink(Event::Failed { at, error: text, skipped })?;
            Ok(if skipped {
                Outcome::Skipped(error)
            } else {
                Outcome::Failed(error)
            })
        }
    }
}

fn prepare_and_sample<C: Clock, E>(
    job: Job<'_>,
    settings: &Settings,
    instruments: Instruments<'_, C>,
    sink: Sink<'_, E>,
) -> Result<StopReason, Halt<E>> {
    let Instruments { clock, meters, allocations, interrupted } = instruments;
    let mut desk = Desk::new(clock);
    // What is alive from here on is the case's.
    let allocation = AllocationMeter::on(&job.context.device, allocations);
    let start = clock.now();
    let mut session =
        guarded("preparing", || job.workload.prepare(job.case, job.context))?;
    let time = clock.seconds(clock.now().saturating_sub(start));
    let meters = Meters { allocation, others: meters };
    let sampling =
        Sampling::new(clock, &mut *session, &mut desk, meters, interrupted);
    let stop = verify_and_sample(sampling, time, settings, sink);
    // A panic while tearing down is a bug of the case like any other.
    let dropped = guarded("dropping the session", move || {
        drop(session);
        Ok(())
    });
    let stop = stop?;
    dropped?;
    Ok(stop)
}

fn verify_and_sample<C: Clock, E>(
    mut sampling: Sampling<'_, '_, C>,
    prepare_time: Seconds,
    settings: &Settings,
    sink: Sink<'_, E>,
) -> Result<StopReason, Halt<E>> {
    let time =
        Metric::value("prepare_time", "s", Better::Lower, prepare_time.0);
    sink(Event::Meter { step: None, metric: time }).map_err(Halt::Sink)?;
    verify(sampling.session, sink)?;
    if sampling.is_interrupted() {
        return Err(Halt::Interrupted);
    }
    let pace = guarded("asking for the pace", || Ok(sampling.session.pace()))?;
    sampling.desk.watch.keep_last(pace == Pace::Steady);
    let stop = match pace {
        Pace::Steady => sample_steady(&mut sampling, settings, sink),
        Pace::Study => sample_study(&mut sampling, settings, sink),
    }?;
    let readout = sampling.read_meters();
    for quality in sampling.desk.watch.drain_qualities() {
        sink(Event::Meter { step: None, metric: quality.metric })
            .map_err(Halt::Sink)?;
    }
    for drawn in sampling.desk.watch.drain_pictures() {
        sink(Event::Pictures(drawn)).map_err(Halt::Sink)?;
    }
    write_readout(readout, sink).map_err(Halt::Sink)?;
    Ok(stop)
}

/// No timing without a right answer.
fn verify<E>(
    session: &mut dyn Session,
    sink: Sink<'_, E>,
) -> Result<(), Halt<E>> {
    let verification = guarded("verifying", || session.verify())?;
    sink(Event::Verified(verification.clone())).map_err(Halt::Sink)?;
    if verification.passed() {
        return Ok(());
    }
    Err(Halt::Case(Failure::broken(format!(
        "wrong answer: {:e} relative to {} ({:e} absolute), allowed {:e}",
        verification.relative_difference,
        verification.against,
        verification.largest_difference,
        verification.tolerance,
    ))))
}

/// What the meters said. A value that is no number is none.
fn write_readout<E>(
    Readout { metrics, warnings }: Readout,
    sink: Sink<'_, E>,
) -> Result<(), E> {
    for mut metric in metrics {
        match metric.reading {
            Reading::Value(value) if !value.is_finite() => {
                metric.reading =
                    Reading::Unavailable(format!("the meter read {value}"));
            }
            Reading::Value(_) | Reading::Unavailable(_) => {}
        }
        sink(Event::Meter { step: None, metric })?;
    }
    warnings.into_iter().map(Event::Warning).try_for_each(sink)
}

/// Verifies a case without timing it: prepares it and asks for its answer.
///
/// # Errors
///
/// Why there is no answer; a wrong one is no error here.
pub fn verify_case(job: Job<'_>) -> Result<Verification, VerifyError> {
    let refused = |failure: Failure| VerifyError {
        case: job.case.to_string(),
        error: failure.error,
        skipped: failure.skipped,
    };
    guarded("preparing", || job.workload.prepare(job.case, job.context))
        .and_then(|mut session| guarded("verifying", move || session.verify()))
        .map_err(refused)
}

/// A case that gave no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{case}: {error}")]
pub struct VerifyError {
    /// The case.
    pub case: String,
    /// What went wrong.
    pub error: String,
    /// This machine cannot run it, as opposed to broken.
    pub skipped: bool,
}
