//! Measured cases as rows of a fit.

use std::collections::BTreeMap;
use std::sync::Arc;

use assay_hardware_profiles::{
    Architecture, HardwareProfile, UnitName, facts_digest,
};
use assay_schema::Runtime;

use crate::ceilings::Ceilings;
use crate::constants::Constants;
use crate::kernels::Kernel;
use crate::models::Class;
use crate::place::{Group, Place, place};
use crate::serving::serve;
use crate::target::has_class_models;
use crate::{PredictError, Traced};

/// A case that somebody measured.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The case with its axes, as text: names the row, and draws its fold.
    pub case: String,
    /// Its graph at its precision.
    pub traced: Arc<Traced>,
    /// The machine.
    pub profile: Arc<HardwareProfile>,
    /// The unit of it.
    pub unit: UnitName,
    /// How it was launched.
    pub runtime: Runtime,
    /// What was measured, s.
    pub seconds: f64,
    /// Who measured it: rows of one source deviate together.
    pub source: String,
    /// How much it counts beside others: 1, or less where it was rounded.
    pub weight: f64,
}

impl Observation {
    /// The case and its time, for a list.
    pub(super) fn named(&self) -> String {
        format!("{}: {} s", self.case, self.seconds)
    }
}

/// A row that no class can use, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// Index of the observation.
    pub index: usize,
    /// The reason.
    pub why: String,
}

/// A row of one class.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// Index of the observation.
    pub(super) index: usize,
    pub(super) class: Class,
    pub(super) family: Architecture,
    /// Digest of the device's facts: devices are told apart by nothing else.
    pub(super) device: String,
    pub(super) ceilings: Arc<Ceilings>,
    pub(super) kernels: Vec<Kernel>,
    /// Whether the host's dispatch shows.
    pub(super) dispatched: bool,
    /// Whether it is one kernel that was timed alone.
    pub(super) alone: bool,
    /// Where a residual of it belongs; graphs of many kernels have none.
    pub(super) place: Option<(Group, Place)>,
    /// Device, source and whether dispatch shows: what deviates together.
    pub(super) group: String,
    pub(super) seconds: f64,
    pub(super) weight: f64,
    /// A number drawn by the case alone, the same on every device.
    pub(super) drawn: u32,
}

/// A row that weighs less is rounded by more than a tenth or two.
pub const LEAST_SCORED_WEIGHT: f64 = 0.5;

impl Row {
    /// Whether its error says something of the model.
    pub(super) fn is_scored(&self) -> bool {
        self.weight >= LEAST_SCORED_WEIGHT
    }

    /// `ln(predicted / measured)` with a class's values.
    pub(super) fn error(&self, values: &[f64]) -> f64 {
        let mut total = 0.0;
        for kernel in &self.kernels {
            let Some(times) = self.class.times(values, &self.ceilings, kernel)
            else {
                return f64::NAN;
            };
            total += kernel.count as f64 * times.total();
        }
        if self.alone {
            total +=
                self.class.alone(values, &self.ceilings, &self.kernels[0].kind);
        }
        if self.dispatched {
            total = total.max(self.class.dispatch(values));
        }
        total += self.class.call(values);
        (total / self.seconds).ln()
    }
}

/// A number that draws folds; it need not be strong, only the same everywhere.
pub(super) fn drawn(case: &str) -> u32 {
    let hash = assay_schema::fnv1a(case);
    // Its low bits are weak: stir them.
    hash ^ (hash >> 15) ^ (hash >> 7)
}

/// Rows of GPU classes, and the observations that no class can use.
pub(super) fn rows(
    observations: &[Observation],
) -> Result<(Vec<Row>, Vec<Unfit>), PredictError> {
    let mut rows = Vec::new();
    let mut unfit = Vec::new();
    let mut digests: BTreeMap<(String, UnitName), String> = BTreeMap::new();
    for (index, seen) in observations.iter().enumerate() {
        match row(index, seen, &mut digests)? {
            Ok(row) => rows.push(row),
            Err(why) => unfit.push(Unfit { index, why }),
        }
    }
    Ok((rows, unfit))
}

fn row(
    index: usize,
    seen: &Observation,
    digests: &mut BTreeMap<(String, UnitName), String>,
) -> Result<Result<Row, String>, PredictError> {
    if !(seen.seconds.is_finite() && seen.seconds > 0.0) {
        return Ok(Err(format!("{} s is no time", seen.seconds)));
    }
    let constants = Constants::get()?;
    let how = constants.runtime(seen.runtime)?;
    let launches = seen.traced.launches(how.fuse);
    let precision = seen.traced.precision();
    let (_, unit) = seen.profile.unit(Some(seen.unit.name()))?;
    if !has_class_models(seen.unit, unit) {
        return Ok(Err(format!("{} has no class models", seen.unit)));
    }
    let served = match serve(&seen.profile, seen.unit, unit, precision) {
        Ok(served) => served,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let ceilings =
        Ceilings::new(&seen.profile, unit, precision, &served, constants);
    let kernels: Vec<Kernel> = launches.kernels.clone();
    let class = |kernel: &Kernel| {
        Class::of(
            &kernel.kind,
            seen.runtime,
            launches.is_thin(),
            ceilings.on_matrix_unit,
        )
    };
    let Some(first) = kernels.first() else {
        return Ok(Err("nothing is computed".to_owned()));
    };
    let the_class = class(first);
    if kernels.iter().any(|kernel| class(kernel) != the_class) {
        return Ok(Err("operators of several classes".to_owned()));
    }
    if the_class == Class::Collective {
        let values = &crate::library::Library::get()?.entry(the_class).prior;
        if the_class.times(values, &ceilings, first).is_none() {
            return Ok(Err("the profile states no link".to_owned()));
        }
    }
    let place = match &kernels[..] {
        [only] => place(&only.kind, precision),
        _ => None,
    };
    let key = (seen.profile.name.clone(), seen.unit);
    let device = digests
        .entry(key)
        .or_insert_with(|| facts_digest(&seen.profile, seen.unit))
        .clone();
    Ok(Ok(Row {
        index,
        class: the_class,
        family: unit.architecture,
        ceilings: Arc::new(ceilings),
        dispatched: how.dispatch > 0.0,
        alone: launches.is_alone(seen.runtime),
        group: format!("{device} {} {}", seen.source, how.dispatch > 0.0),
        kernels,
        place,
        seconds: seen.seconds,
        weight: seen.weight,
        drawn: drawn(&seen.case),
        device,
    }))
}
