//! Each operator kind at shapes of its own: `plans/probe.toml`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail};
use assay_hardware_profiles::{Efficiency, Unit};
use assay_measure::{Context, Instruments, Job, SystemClock, run_case};
use assay_operators::{Operator, trace};
use assay_schema::{Case, Estimate, Event, Outcome, Precision, Seconds};
use assay_sweep::{expand, parse_plan_file};

use super::{fact, typical};
use crate::device::Place;
use crate::progress::Progress;
use crate::registry;
use crate::table::si;

/// The cases of the probe.
pub(super) fn cases() -> Result<Vec<Case>> {
    let text = include_str!("../../plans/probe.toml");
    cases_of(text, "plans/probe.toml")
}

/// The cases of a plan file, complete.
pub(crate) fn cases_of(text: &str, name: &str) -> Result<Vec<Case>> {
    let file = parse_plan_file(text, name)?;
    let catalogue = registry::catalogue();
    expand(&file, &catalogue)?
        .cases
        .iter()
        .map(|planned| registry::complete(&planned.case, None, Precision::F32))
        .collect()
}

/// Inputs in the last-level cache rotate over a quarter of it, twice this
/// share: more than the caches of the cores hold, and less than is left of a
/// cache that others use too.
const CACHED: f64 = 0.125;

/// A case, where its inputs lie, and what it took so far.
struct Timed {
    case: Case,
    cached: bool,
    seconds: Vec<f64>,
}

/// Every case, and what it took so far.
pub(crate) struct Shapes<'a> {
    cases: Vec<Timed>,
    place: &'a Place,
}

impl<'a> Shapes<'a> {
    /// All with their inputs in memory.
    pub(crate) fn new(cases: &[Case], place: &'a Place) -> Self {
        let timed = |case: &Case| Timed {
            case: case.clone(),
            cached: false,
            seconds: Vec::new(),
        };
        Self { cases: cases.iter().map(timed).collect(), place }
    }

    /// Those that move little enough once more, with their inputs in the
    /// last-level cache, as a small network finds them; none where the cache
    /// is not known.
    pub(crate) fn and_cached(mut self) -> Result<Self> {
        let Some(cache) = self.place.cache() else { return Ok(self) };
        let mut again = Vec::new();
        for Timed { case, .. } in &self.cases {
            let graph = trace(&Operator::new(case)?)?;
            if graph.total_traffic(Precision::F32) <= cache * CACHED {
                again.push(Timed {
                    case: case.clone(),
                    cached: true,
                    seconds: Vec::new(),
                });
            }
        }
        self.cases.extend(again);
        Ok(self)
    }

    /// How many are timed.
    pub(crate) fn count(&self) -> usize {
        self.cases.len()
    }

    /// Times each for a while.
    pub(crate) fn round(
        &mut self,
        budget: Seconds,
        interrupted: &AtomicBool,
        progress: &mut Progress,
    ) -> Result<()> {
        let clock = SystemClock::detect();
        let place = self.place;
        let cache = place.cache();
        for Timed { case, cached, seconds } in &mut self.cases {
            let share = if *cached { CACHED } else { 1.0 };
            let context = Context {
                last_level_cache: cache.map(|cache| cache * share),
                ..Context::new(place.name(), 7)
            };
            if interrupted.load(Ordering::Relaxed) {
                bail!("interrupted: half a measurement is not written");
            }
            progress.begin(&case.to_string());
            let new =
                sample(case, budget, &clock, (place, &context), interrupted)?;
            let median = assay_statistics::median(&new)?;
            progress.end(&format!("{case}: {}", si(median, "s")));
            seconds.extend(new);
        }
        Ok(())
    }

    /// What each takes.
    pub(crate) fn times(&self) -> Result<Vec<(&Case, Estimate)>> {
        self.cases
            .iter()
            .map(|timed| Ok((&timed.case, typical(&timed.seconds)?)))
            .collect()
    }

    /// The figures, into the unit's efficiency table.
    pub(super) fn fill(&self, unit: &mut Unit) -> Result<()> {
        for ((case, time), timed) in self.times()?.iter().zip(&self.cases) {
            let operator = Operator::new(case)?;
            if let Operator::Elementwise { elements: 1, .. } = operator {
                if !timed.cached {
                    unit.launch_overhead = Some(fact(time, Seconds));
                }
                continue;
            }
            let entry = entry(case, &operator, time)?;
            unit.efficiency.push(Efficiency { cached: timed.cached, ..entry });
        }
        Ok(())
    }
}

/// Steady samples of one case, its answer checked first: of the whole call on
/// the processor, of the device's own time on a GPU.
fn sample(
    case: &Case,
    budget: Seconds,
    clock: &SystemClock,
    (place, context): (&Place, &Context),
    interrupted: &AtomicBool,
) -> Result<Vec<f64>> {
    let workload = registry::workload(case)?;
    let part = place.kernel_part();
    let job = Job { workload, case, context, work: None };
    let instruments =
        Instruments { clock, meters: &mut [], allocations: None, interrupted };
    let mut samples = Vec::new();
    let mut keep = |event: Event| -> Result<()> {
        if let Event::Sample(batch) = event
            && !batch.warm_up
            && batch.part == part
        {
            samples.extend(batch.seconds);
        }
        Ok(())
    };
    let settings = place.settings(budget);
    match run_case(job, &settings, instruments, &mut keep)? {
        Outcome::Finished(_) => Ok(samples),
        Outcome::Failed(why) | Outcome::Skipped(why) => bail!("{case}: {why}"),
        Outcome::Unfinished => bail!("{case}: not finished"),
    }
}

fn entry(
    case: &Case,
    operator: &Operator,
    time: &Estimate,
) -> Result<Efficiency> {
    let mut dims: BTreeMap<String, f64> = case
        .axes
        .iter()
        .filter_map(|(axis, value)| {
            let number = match value.as_str() {
                "true" => 1.0,
                "false" => 0.0,
                text => text.parse().ok()?,
            };
            Some((axis.clone(), number))
        })
        .collect();
    if let Operator::Conv2d {
        in_channels,
        height,
        width,
        kernel,
        stride,
        padding,
        groups,
        ..
    } = *operator
    {
        let size = |n: usize| (n + 2 * padding - kernel) / stride + 1;
        dims.insert("positions".into(), (size(height) * size(width)) as f64);
        let taps = in_channels / groups * kernel * kernel;
        dims.insert("taps".into(), taps as f64);
    }
    Ok(Efficiency {
        operator: case.model.clone(),
        kind: case
            .axis("kind")
            .or_else(|| case.axis("phase"))
            .map(str::to_owned),
        precision: registry::precision(case)?,
        threads: Some(rayon::current_num_threads() as u32),
        dims,
        cached: false,
        seconds: fact(time, Seconds),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::micro_kernels;

    /// The shapes that predictions are judged by.
    fn judged() -> Vec<Case> {
        let text = include_str!("../../plans/operators-default.toml");
        cases_of(text, "operators-default.toml")
            .unwrap()
            .into_iter()
            .filter(|case| {
                ["matmul", "layernorm", "softmax", "attention"]
                    .contains(&case.model.as_str())
            })
            .collect()
    }

    #[test]
    fn what_moves_little_is_timed_once_more_from_the_cache() {
        let cases = cases().unwrap();
        let place = Place::cpu();
        let shapes = Shapes::new(&cases, &place).and_cached().unwrap();
        let again = &shapes.cases[cases.len()..];
        assert!(again.iter().all(|timed| timed.cached));
        let Some(cache) = place.cache() else {
            assert!(again.is_empty());
            return;
        };
        assert!(!again.is_empty() && again.len() < cases.len());
        for timed in &shapes.cases[..cases.len()] {
            let graph = trace(&Operator::new(&timed.case).unwrap()).unwrap();
            let little = graph.total_traffic(Precision::F32) <= cache * CACHED;
            let found = again.iter().any(|one| one.case == timed.case);
            assert_eq!(found, little, "{}", timed.case);
        }
    }

    #[test]
    fn every_measured_shape_is_a_factor_2_away_from_every_judged_one() {
        let micro_kernels = micro_kernels::cases().unwrap();
        for probed in cases().unwrap().into_iter().chain(micro_kernels) {
            for judged in judged() {
                let alike = judged.model == probed.model
                    && judged.axis("phase") == probed.axis("phase");
                if !alike {
                    continue;
                }
                let ratio = judged
                    .axes
                    .iter()
                    .filter_map(|(axis, value)| {
                        let a: f64 = value.parse().ok()?;
                        let b: f64 = probed.axis(axis)?.parse().ok()?;
                        Some((a / b).max(b / a))
                    })
                    .fold(1.0, f64::max);
                assert!(ratio >= 2.0, "{probed} is too near {judged}");
            }
        }
    }
}
