//! What whole graphs say of a unit that a roofline prices (a phone's CPU under
//! llama.cpp, say): a few physical factors, one set a runtime.
//!
//! A graph's time is the sum over its kernels of
//!
//! ```text
//! max(FLOPs / (compute x reached peak), bytes / (memory x reached bandwidth))
//!     + outputs of a product x output + launch
//! ```
//!
//! and the four factors are fitted to the logarithms of measured times: Huber's
//! loss, each factor drawn to 1 by the deviation that `constants.toml` expects
//! (`[calibrated]`). A model's rows of one phase, however many were measured,
//! count together as one row, since they say one thing over again. At least as
//! many phases of different models are asked for as there are factors; with no
//! more than that the priors decide what the rows cannot.

use std::collections::{BTreeMap, BTreeSet};

use assay_hardware_profiles::{OverlayClass, OverlayError};
use assay_schema::Runtime;

use super::rows::{Observation, Unfit};
use super::solve::Problem;
use crate::constants::Constants;
use crate::machine::Factors;
use crate::{PredictError, Target};

/// A measured graph.
struct Row<'a> {
    seen: &'a Observation,
    /// The unit without a calibration.
    bare: Target,
    fuse: bool,
    weight: f64,
}

impl<'a> Row<'a> {
    fn new(seen: &'a Observation) -> Result<Self, PredictError> {
        let unit = Some(seen.unit.name());
        let precision = seen.traced.precision();
        Ok(Self {
            seen,
            bare: Target::new(&seen.profile, unit, precision, None)?,
            fuse: Constants::get()?.runtime(seen.runtime)?.fuse,
            weight: seen.weight,
        })
    }

    /// `ln(predicted / measured)`.
    fn error(&self, factors: Option<Factors>) -> f64 {
        let runtime = self.seen.runtime;
        let seconds = || -> Result<f64, PredictError> {
            let launches = self.seen.traced.launches(self.fuse);
            let priced = match factors {
                None => self.bare.times(launches, runtime)?,
                Some(by) => {
                    self.bare.with(runtime, by)?.times(launches, runtime)?
                }
            };
            Ok(priced.times.total())
        };
        // The fit leaves out what is no number.
        seconds().map_or(f64::NAN, |s| (s / self.seen.seconds).ln())
    }

    /// Workload, model and phase.
    fn path(&self) -> &'a str {
        self.seen.case.split(' ').next().unwrap_or_default()
    }

    /// Workload and model.
    fn model(&self) -> &'a str {
        self.path().rsplit_once('/').map_or(self.path(), |(model, _)| model)
    }
}

/// Runtimes under which whole graphs were measured; none on a unit that was
/// probed, whose table knows more.
pub(super) fn graph_runtimes(
    observations: &[Observation],
) -> Result<BTreeSet<Runtime>, PredictError> {
    let mut runtimes = BTreeSet::new();
    for seen in observations {
        let (_, unit) = seen.profile.unit(Some(seen.unit.name()))?;
        let fuse = Constants::get()?.runtime(seen.runtime)?.fuse;
        let launched = seen.traced.launches(fuse).count();
        if unit.efficiency.is_empty() && launched > 1 {
            runtimes.insert(seen.runtime);
        }
    }
    Ok(runtimes)
}

/// What was found of one runtime.
pub(super) struct Found {
    /// The class of the overlay; `None` where too few rows are left.
    pub(super) class: Option<OverlayClass>,
    /// Rows that took no part, and why.
    pub(super) unfit: Vec<Unfit>,
    /// How many did.
    pub(super) used: usize,
}

/// The factors of one runtime from its rows.
pub(super) fn factors_class(
    observations: &[Observation],
    runtime: Runtime,
) -> Result<Found, PredictError> {
    let least = Factors::NAMES.len() * Constants::get()?.calibrated.rows;
    let mut rows = Vec::new();
    let mut indices = Vec::new();
    let mut unfit = Vec::new();
    for (index, seen) in observations.iter().enumerate() {
        if seen.runtime != runtime {
            continue;
        }
        let why = match Row::new(seen) {
            Err(error) => error.to_string(),
            Ok(row) if !row.error(None).is_finite() => {
                "a time that is no time".to_owned()
            }
            Ok(row) => {
                rows.push(row);
                indices.push(index);
                continue;
            }
        };
        unfit.push(Unfit { index, why });
    }
    let phases: BTreeSet<&str> = rows.iter().map(Row::path).collect();
    let phases = phases.len();
    if rows.len() < least || phases < Factors::NAMES.len() {
        let why = format!(
            "{} usable rows of whole graphs under {runtime}, of {phases} \
             phases of different models; the {} constants {} need {least} \
             rows, of {} such phases",
            rows.len(),
            Factors::NAMES.len(),
            Factors::NAMES.join(", "),
            Factors::NAMES.len()
        );
        let left = indices.into_iter();
        unfit.extend(left.map(|index| Unfit { index, why: why.clone() }));
        return Ok(Found { class: None, unfit, used: 0 });
    }
    count_phases_once(&mut rows);
    let all: Vec<&Row> = rows.iter().collect();
    let class = OverlayClass {
        times: fit(&all)?.named(),
        rows: rows.len(),
        phases: Some(phases),
        error: held_out(&all)?,
        outliers: Vec::new(),
        points: Vec::new(),
    };
    Ok(Found { class: Some(class), unfit, used: rows.len() })
}

/// Weighs rows so that those of a model's phase count as one together.
fn count_phases_once(rows: &mut [Row]) {
    let mut count: BTreeMap<String, f64> = BTreeMap::new();
    for row in rows.iter() {
        *count.entry(row.path().to_owned()).or_default() += 1.0;
    }
    for row in rows {
        let alike = count.get(row.path()).copied().unwrap_or(1.0);
        row.weight /= alike;
    }
}

/// The factors that rows have in common.
fn fit(rows: &[&Row]) -> Result<Factors, PredictError> {
    let problem = Problem {
        common: 0,
        own: Constants::get()?.calibrated.deviations(),
        groups: 1,
        group: vec![0; rows.len()],
        weight: rows.iter().map(|row| row.weight).collect(),
        prior: (Vec::new(), 0.0),
        errors: Box::new(|_, own| {
            let factors = Factors::of(own);
            rows.iter().map(|row| row.error(Some(factors))).collect()
        }),
    };
    let (_, own) = problem.solve(&[]);
    Ok(Factors::of(&own))
}

/// How far off each model is when the others alone were fitted: what an
/// overlay is asked for is a model that nobody measured. Nothing is held out
/// where there is one model only.
fn held_out(rows: &[&Row]) -> Result<OverlayError, PredictError> {
    let models: BTreeSet<&str> = rows.iter().map(|row| row.model()).collect();
    let several = models.len() > 1;
    let (mut before, mut after, mut weight, mut n) = (0.0, 0.0, 0.0, 0);
    let size = |error: f64| (error.exp() - 1.0).abs();
    if several {
        for &model in &models {
            let (held, rest): (Vec<&Row>, Vec<&Row>) =
                rows.iter().copied().partition(|row| row.model() == model);
            let found = fit(&rest)?;
            for row in held {
                before += row.weight * size(row.error(None));
                after += row.weight * size(row.error(Some(found)));
                weight += row.weight;
                n += 1;
            }
        }
    }
    let mean = |sum: f64| (n > 0).then_some(sum / weight);
    Ok(OverlayError {
        method: "each model from the others, a phase counted once".to_owned(),
        before: mean(before),
        after: mean(after),
        n,
        models: several.then_some(models.len()),
    })
}
