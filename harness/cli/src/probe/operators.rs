//! Each operator kind at shapes of its own: `plans/probe.toml`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail};
use assay_hardware_profiles::{Efficiency, Unit};
use assay_measure::{Context, Instruments, Job, SystemClock, run_case};
use assay_operators::Operator;
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

/// Every case, and what it took so far.
pub(crate) struct Shapes<'a> {
    cases: Vec<(Case, Vec<f64>)>,
    place: &'a Place,
}

impl<'a> Shapes<'a> {
    pub(crate) fn new(cases: &[Case], place: &'a Place) -> Self {
        let cases = cases.iter().map(|case| (case.clone(), Vec::new()));
        Self { cases: cases.collect(), place }
    }

    /// Times each for a while.
    pub(crate) fn round(
        &mut self,
        budget: Seconds,
        interrupted: &AtomicBool,
        progress: &mut Progress,
    ) -> Result<()> {
        let clock = SystemClock::detect();
        for (case, seconds) in &mut self.cases {
            if interrupted.load(Ordering::Relaxed) {
                bail!("interrupted: half a measurement is not written");
            }
            progress.begin(&case.to_string());
            let new = sample(case, budget, &clock, self.place, interrupted)?;
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
            .map(|(case, seconds)| Ok((case, typical(seconds)?)))
            .collect()
    }

    /// The figures, into the unit's efficiency table.
    pub(super) fn fill(&self, unit: &mut Unit) -> Result<()> {
        for (case, time) in self.times()? {
            let operator = Operator::new(case)?;
            if let Operator::Elementwise { elements: 1, .. } = operator {
                unit.launch_overhead = Some(fact(&time, Seconds));
                continue;
            }
            unit.efficiency.push(entry(case, &operator, &time)?);
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
    place: &Place,
    interrupted: &AtomicBool,
) -> Result<Vec<f64>> {
    let workload = registry::workload(case)?;
    let context = &Context {
        last_level_cache: place.cache(),
        ..Context::new(place.name(), 7)
    };
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
