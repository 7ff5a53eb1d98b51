//! Sampling a study: every iteration is one sample, until it is done.

use assay_schema::{Event, StopReason, Warning};

use crate::run::Halt;
use crate::sampler::{BURST, BurstEnd, Until};
use crate::sampling::Sampling;
use crate::{Clock, Settings, Sink};

/// Runs a study to its end, or until interrupted. The budget cuts nothing; a
/// study that takes longer gets a warning.
pub(crate) fn sample_study<C: Clock, E>(
    sampling: &mut Sampling<'_, '_, C>,
    settings: &Settings,
    sink: Sink<'_, E>,
) -> Result<StopReason, Halt<E>> {
    let clock = sampling.clock;
    let start = clock.now();
    let pause = clock.ticks(settings.flush_every);
    let stop = loop {
        let deadline = clock.now().saturating_add(pause);
        let end = sampling.burst(1, Until { deadline, samples: BURST });
        for event in sampling.desk.release(0) {
            sink(event).map_err(Halt::Sink)?;
        }
        for quality in sampling.desk.watch.drain_qualities() {
            let (step, metric) = (Some(quality.step), quality.metric);
            sink(Event::Meter { step, metric }).map_err(Halt::Sink)?;
        }
        for drawn in sampling.desk.watch.drain_pictures() {
            sink(Event::Pictures(drawn)).map_err(Halt::Sink)?;
        }
        match end? {
            BurstEnd::Paused => {}
            BurstEnd::Done => break StopReason::Completed,
            BurstEnd::Interrupted => break StopReason::Interrupted,
        }
    };
    let spent = sampling.since(start);
    if spent > settings.budget && stop == StopReason::Completed {
        let warning = Warning {
            kind: "budget".to_owned(),
            message: format!(
                "the study took {:.1} s, its budget was {:.1} s; take fewer \
                 steps, or plan for it",
                spent.0, settings.budget.0
            ),
        };
        sink(Event::Warning(warning)).map_err(Halt::Sink)?;
    }
    Ok(stop)
}
