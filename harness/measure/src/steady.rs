//! Sampling a steady session: how many iterations a sample has, where the
//! warm-up ends, and when there are enough samples.

use assay_schema::{Event, Seconds, StopReason, Warning};
use assay_statistics::{WarmUp, median_estimate, warm_up};

use crate::run::Halt;
use crate::sampler::{BURST, BurstEnd, Until};
use crate::sampling::{Failure, Sampling};
use crate::{Clock, Settings, Sink};

/// Past this many iterations in one sample the body does nothing.
const MOST_ITERATIONS: u64 = 1_000_000_000;

/// Bursts grow with the time sampled, so that statistics stay a small share.
const SHORTEST_BURST: Seconds = Seconds(0.01);

/// A first sample shorter than this share of the budget is left out of the
/// meters' window: many more follow.
const CHEAP_SHARE: f64 = 0.1;

/// What is known so far.
struct Progress {
    iterations: u64,
    /// Samples with that many iterations, seconds an iteration.
    series: Vec<f64>,
    /// The number of the series' first sample.
    series_from: u64,
    /// Where the warm-up ends in the series, once found.
    steady: Option<usize>,
    /// Whether samples were handed over with that answer.
    released: bool,
}

impl Progress {
    /// The number of the first steady sample.
    fn steady_from(&self) -> Option<u64> {
        self.steady.map(|first| self.series_from + first as u64)
    }

    /// The steady samples so far.
    fn steady_series(&self) -> &[f64] {
        self.steady.map_or(&[], |first| &self.series[first..])
    }

    /// Half width of the median's interval over the median; `None` without an
    /// interval at the confidence asked for.
    fn relative_half_width(&self, confidence: f64) -> Option<f64> {
        let estimate =
            median_estimate(self.steady_series(), confidence).ok()?;
        // Too few samples for the confidence give an interval of less.
        (estimate.confidence >= confidence)
            .then(|| estimate.relative_half_width())
    }

    /// Decides, when time is up before the warm-up's end was found: the only
    /// sample is kept, of a few the first is warm-up, of many the first half.
    fn settle(&mut self) -> Option<Warning> {
        if self.steady.is_some() || self.series.is_empty() {
            return None;
        }
        let n = self.series.len();
        let (first, what) = match warm_up(&self.series) {
            Ok(WarmUp::Steady { first }) => (first, None),
            Ok(WarmUp::TooShort { needed }) => (
                usize::from(n > 1),
                Some(format!(
                    "{n} samples are too few to find the warm-up's end \
                     ({needed} are needed); the first counts as warm-up where \
                     there are more"
                )),
            ),
            Ok(WarmUp::Unsteady { change }) => (
                n / 2,
                Some(format!(
                    "the time of an iteration still changes ({:+.1} % at the \
                     end); the first half counts as warm-up",
                    change * 100.0
                )),
            ),
            Err(error) => (n / 2, Some(error.to_string())),
        };
        self.steady = Some(first);
        what.map(|what| Warning {
            kind: "warm-up".to_owned(),
            message: format!("{what}; give the case a longer budget"),
        })
    }
}

/// Samples until precise, until the budget is spent, or until interrupted.
pub(crate) fn sample_steady<C: Clock, E>(
    sampling: &mut Sampling<'_, '_, C>,
    settings: &Settings,
    sink: Sink<'_, E>,
) -> Result<StopReason, Halt<E>> {
    let mut progress = Progress {
        iterations: 1,
        series: Vec::new(),
        series_from: 0,
        steady: None,
        released: false,
    };
    let ended = sample(sampling, settings, &mut progress, sink);
    let warning = progress.settle();
    let left = sampling.desk.release(progress.steady_from().unwrap_or(0));
    if matches!(ended, Err(Halt::Sink(_))) {
        return ended; // A sink that failed is not written to again.
    }
    for event in left {
        sink(event).map_err(Halt::Sink)?;
    }
    let mut stop = ended?;
    if let Some(warning) = warning {
        sink(Event::Warning(warning)).map_err(Halt::Sink)?;
    }
    let steady = progress.steady_series();
    if steady.is_empty() {
        return Err(Halt::Case(Failure::broken(
            "no sample was taken before the end",
        )));
    }
    if let StopReason::BudgetSpent { relative_half_width, .. } = &mut stop {
        *relative_half_width =
            progress.relative_half_width(settings.confidence);
        if let Some(warning) = too_few(steady, &progress, settings) {
            sink(Event::Warning(warning)).map_err(Halt::Sink)?;
        }
    }
    Ok(stop)
}

fn sample<C: Clock, E>(
    sampling: &mut Sampling<'_, '_, C>,
    settings: &Settings,
    progress: &mut Progress,
    sink: Sink<'_, E>,
) -> Result<StopReason, Halt<E>> {
    let clock = sampling.clock;
    let shortest = settings.shortest_sample(clock.resolution());
    let start = clock.now();
    let last = start.saturating_add(clock.ticks(settings.budget));
    let mut flushed = start;
    loop {
        // The first sample of a series stands alone: it sizes the next.
        let samples = progress.series.len().clamp(1, BURST);
        let time = (sampling.since(start) * 0.1)
            .max(SHORTEST_BURST)
            .min(settings.flush_every);
        let deadline = clock.now().saturating_add(clock.ticks(time)).min(last);
        let until = Until { deadline, samples };
        let before = sampling.desk.watch.sample();
        let end = sampling.burst(progress.iterations, until)?;
        if progress.series.is_empty() {
            progress.series_from = before;
        }
        let fresh = sampling.fresh();
        progress.series.extend_from_slice(fresh);
        let newest = fresh.last().copied();
        let whole = sampling.desk.watch.sample() - before;
        let spent = sampling.since(start);

        match end {
            BurstEnd::Done => return Ok(StopReason::Completed),
            BurstEnd::Interrupted => return Ok(StopReason::Interrupted),
            BurstEnd::Paused => {}
        }
        if before == 0
            && Seconds(newest.unwrap_or(0.0)) < settings.budget * CHEAP_SHARE
        {
            sampling.restart_meters();
        }
        if spent >= settings.budget {
            return Ok(StopReason::BudgetSpent {
                budget_s: settings.budget,
                relative_half_width: None,
            });
        }
        // What has been handed over as steady stays so; until then every look
        // judges the whole series anew.
        if !progress.released {
            let all_seen = whole == sampling.fresh().len() as u64;
            let newest = newest.filter(|_| all_seen);
            if let Some(more) = more_iterations(progress, newest, shortest)? {
                progress.iterations = more;
                progress.series.clear();
                continue;
            }
            progress.steady = match warm_up(&progress.series) {
                Ok(WarmUp::Steady { first }) => Some(first),
                Ok(WarmUp::Unsteady { .. } | WarmUp::TooShort { .. })
                | Err(_) => None,
            };
        }
        let Some(steady_from) = progress.steady_from() else { continue };
        if let Some(width) = precise(progress, settings) {
            return Ok(StopReason::Precise { relative_half_width: width });
        }
        if sampling.since(flushed) >= settings.flush_every {
            for event in sampling.desk.release(steady_from) {
                sink(event).map_err(Halt::Sink)?;
            }
            progress.released = true;
            flushed = clock.now();
        }
    }
}

/// How many iterations a sample should have instead, if the newest (`None`:
/// too short to be seen) is too short for the clock.
fn more_iterations(
    progress: &Progress,
    newest: Option<f64>,
    shortest: Seconds,
) -> Result<Option<u64>, Failure> {
    let iterations = progress.iterations;
    let wanted = match newest {
        Some(seconds) if seconds * iterations as f64 >= shortest.0 => {
            return Ok(None);
        }
        // Half as long again, so that noise does not bring it back here.
        Some(seconds) => (1.5 * shortest.0 / seconds).ceil() as u64,
        None => u64::MAX,
    };
    if iterations >= MOST_ITERATIONS {
        return Err(Failure::broken(format!(
            "{iterations} iterations took {} s: the iteration does nothing",
            newest.unwrap_or(0.0) * iterations as f64
        )));
    }
    // A step at a time, as the first iterations are the slowest.
    let next = wanted.clamp(iterations + 1, iterations.saturating_mul(10));
    Ok(Some(next.min(MOST_ITERATIONS)))
}

/// The half width, if it is within the target and may be believed.
fn precise(progress: &Progress, settings: &Settings) -> Option<f64> {
    let steady = progress.steady_series();
    let time = steady.iter().sum::<f64>() * progress.iterations as f64;
    if steady.len() < settings.minimum_samples || time < settings.minimum_time.0
    {
        return None;
    }
    progress
        .relative_half_width(settings.confidence)
        .filter(|width| *width <= settings.target)
}

/// A warning where the budget held only a few iterations.
fn too_few(
    steady: &[f64],
    progress: &Progress,
    settings: &Settings,
) -> Option<Warning> {
    let needed = settings.minimum_samples;
    let taken = progress.series.len();
    if taken >= needed {
        return None;
    }
    let longest = steady.iter().copied().fold(0.0, f64::max);
    Some(Warning {
        kind: "budget".to_owned(),
        message: format!(
            "an iteration takes {longest:.3} s, so that the budget of {} s \
             held {taken} of the {needed} samples wanted; give --budget {:.0}s \
             or more",
            settings.budget.0,
            (longest * (needed + 1) as f64).ceil(),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(iterations: u64, series: &[f64]) -> Progress {
        Progress {
            iterations,
            series: series.to_vec(),
            series_from: 7,
            steady: None,
            released: false,
        }
    }

    #[test]
    fn a_short_sample_gets_half_as_many_iterations_again_as_it_needs() {
        let more = |iterations, newest| {
            more_iterations(&with(iterations, &[]), newest, Seconds(1e-3))
        };
        // 10 iterations of 50 us are half a millisecond.
        assert_eq!(more(10, Some(50e-6)), Ok(Some(30)));
        assert_eq!(more(10, Some(100e-6)), Ok(None));
        // Ten times as many at most, whatever a first look says.
        assert_eq!(more(10, Some(1e-9)), Ok(Some(100)));
        assert_eq!(more(10, None), Ok(Some(100)));
    }

    #[test]
    fn a_body_that_takes_no_time_however_often_it_runs_is_an_error() {
        let nothing = with(MOST_ITERATIONS, &[]);
        let failure =
            more_iterations(&nothing, None, Seconds(1e-3)).unwrap_err();
        assert!(failure.error.contains("does nothing"), "{}", failure.error);
    }

    #[test]
    fn undecided_samples_are_settled_by_their_number() {
        let settled = |series: &[f64]| {
            let mut progress = with(1, series);
            let warned = progress.settle().is_some();
            (progress.steady_from(), warned)
        };
        assert_eq!(settled(&[]), (None, false));
        assert_eq!(settled(&[1.0]), (Some(7), true));
        assert_eq!(settled(&[1.0; 5]), (Some(8), true));
        assert_eq!(settled(&[1.0; 20]), (Some(7), false));
        let falling: Vec<f64> = (1..=20).rev().map(f64::from).collect();
        assert_eq!(settled(&falling), (Some(17), true));
    }

    #[test]
    fn few_samples_have_no_interval_at_the_confidence_asked_for() {
        let mut progress = with(1, &[1.0; 6]);
        progress.steady = Some(1);
        assert_eq!(progress.relative_half_width(0.95), None);
        progress.steady = Some(0);
        assert_eq!(progress.relative_half_width(0.95), Some(0.0));
    }
}
