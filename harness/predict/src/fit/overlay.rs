//! A device's overlay: multipliers of its classes' constants, and what they
//! leave over as residuals.

use std::collections::BTreeMap;

use assay_hardware_profiles::{
    Architecture, Overlay, OverlayClass, OverlayError, facts_digest,
};

use super::joint::device_multipliers;
use super::roofline::{Found, overlay_classes, written};
use super::rows::{Observation, Row, Unfit, rows};
use crate::PredictError;
use crate::library::{Entry, Library};
use crate::models::Class;
use crate::residuals::{Covariance, Interpolated, Point};
use crate::target::has_class_models;

/// Fewer rows of a class than this leave it as it is.
pub(super) const LEAST_ROWS: usize = 5;

/// Robust deviations from which a residual is an outlier, and what it must
/// exceed besides: a class that fits to 1 % has none at 4 %.
const OUTLIER: f64 = 3.5;
const LEAST_OUTLIER: f64 = 0.5;

/// Parts that the rows are cut into, to predict each from the others.
pub(super) const PARTS: u32 = 5;

/// A device's own corrections of one class.
#[derive(Clone, Debug)]
pub(super) struct Own {
    values: Vec<f64>,
    times: Vec<f64>,
    near: Interpolated,
    /// Indices of the rows that were left out as outliers.
    outliers: Vec<usize>,
}

impl Own {
    /// Fits multipliers, then keeps what is left over.
    pub(super) fn fit(
        entry: &Entry,
        covariance: Covariance,
        rows: &[&Row],
        values: &[f64],
    ) -> Self {
        let times = device_multipliers(entry, rows, values);
        let mut own = values.to_vec();
        let at = entry.device.iter().map(|(at, _)| *at);
        entry.multiply(&mut own, at.zip(times.iter().copied()));
        let residuals: Vec<f64> =
            rows.iter().map(|row| -row.error(&own)).collect();
        let middle = robust(&residuals);
        let mut points = Vec::new();
        let mut outliers = Vec::new();
        for (row, &residual) in rows.iter().zip(&residuals) {
            if is_outlier(residual, middle) {
                outliers.push(row.index);
            } else if let Some((group, at)) = row.place {
                points.push(Point { group, at, residual, weight: row.weight });
            }
        }
        let near = Interpolated::new(covariance, points);
        Self { values: own, times, near, outliers }
    }

    /// `ln(predicted / measured)` of a row.
    pub(super) fn error(&self, row: &Row) -> f64 {
        let near =
            row.place.map_or(0.0, |(group, at)| self.near.at(group, &at));
        row.error(&self.values) + near
    }
}

/// Whether a residual is an outlier among those of that middle and deviation.
pub(super) fn is_outlier(
    residual: f64,
    (middle, deviation): (f64, f64),
) -> bool {
    let off = (residual - middle).abs();
    off > OUTLIER * deviation && off > LEAST_OUTLIER
}

/// The median and the deviation that a normal distribution with that median
/// absolute deviation would have; at least 2 %.
pub(super) fn robust(values: &[f64]) -> (f64, f64) {
    let median = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    };
    let middle = median(&mut values.to_vec());
    let mut off: Vec<f64> = values.iter().map(|v| (v - middle).abs()).collect();
    (middle, (1.4826 * median(&mut off)).max(0.02))
}

/// The mean of `|predicted / measured - 1|` before and after a fit, of parts
/// that were each predicted from the others; none without parts.
pub(super) fn parts_error(before: &[f64], after: &[f64]) -> OverlayError {
    let mean = |errors: &[f64]| {
        let sizes = errors.iter().map(|error| (error.exp() - 1.0).abs());
        let any = !errors.is_empty();
        any.then(|| sizes.sum::<f64>() / errors.len() as f64)
    };
    OverlayError {
        method: "each fifth of the shapes from the other four".to_owned(),
        before: mean(before),
        after: mean(after),
        n: after.len(),
        models: None,
    }
}

/// A device's calibration.
#[derive(Clone, Debug)]
pub struct Calibrated {
    /// What to save.
    pub overlay: Overlay,
    /// Observations that took no part, and why.
    pub unfit: Vec<Unfit>,
}

/// Fits an overlay to measurements of one unit of one machine. `made` and
/// `source` are words for the file.
///
/// # Errors
///
/// Observations of several machines, or too few of every class.
pub fn calibrate(
    observations: &[Observation],
    made: &str,
    source: &str,
) -> Result<Calibrated, PredictError> {
    calibrate_with(Library::get()?, observations, made, source)
}

pub(super) fn calibrate_with(
    library: &Library,
    observations: &[Observation],
    made: &str,
    source: &str,
) -> Result<Calibrated, PredictError> {
    let Some(first) = observations.first() else {
        return Err(PredictError::Calibration("no measured case".into()));
    };
    let digest = facts_digest(&first.profile, first.unit);
    for other in observations {
        if facts_digest(&other.profile, other.unit) != digest {
            return Err(PredictError::Calibration(format!(
                "measurements of {}:{} and of {}:{}; an overlay is of one \
                 device",
                first.profile.name, first.unit, other.profile.name, other.unit
            )));
        }
    }
    let (_, unit) = first.profile.unit(Some(first.unit.name()))?;
    let (classes, unfit, used) = if has_class_models(first.unit, unit) {
        class_models(library, unit.architecture, observations)?
    } else {
        overlay_classes(observations)?
    };
    if classes.is_empty() {
        return Err(PredictError::Calibration(format!(
            "{used} usable rows, but no class of operators has {LEAST_ROWS}"
        )));
    }
    Ok(Calibrated {
        overlay: Overlay {
            format_version: assay_hardware_profiles::OVERLAY_FORMAT_VERSION,
            profile: first.profile.name.clone(),
            unit: first.unit,
            facts: digest,
            made: made.to_owned(),
            source: source.to_owned(),
            rows: used,
            classes,
        },
        unfit,
    })
}

/// Multipliers and residuals of the classes that have models.
fn class_models(
    library: &Library,
    family: Architecture,
    observations: &[Observation],
) -> Result<Found, PredictError> {
    let (rows, unfit) = rows(observations)?;
    let mut classes = BTreeMap::new();
    for class in Class::ALL {
        let own: Vec<&Row> = rows.iter().filter(|r| r.class == class).collect();
        if own.len() >= LEAST_ROWS {
            let name = class.name().to_owned();
            classes.insert(
                name,
                overlay_class(library, class, family, &own, observations),
            );
        }
    }
    Ok((classes, unfit, rows.len()))
}

fn overlay_class(
    library: &Library,
    class: Class,
    family: Architecture,
    rows: &[&Row],
    observations: &[Observation],
) -> OverlayClass {
    let entry = library.entry(class);
    let values = entry.resolve(class, family, None).values;
    // Each part from the others: the error on what was not fitted.
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for part in 0..PARTS {
        let (held, rest): (Vec<&Row>, Vec<&Row>) =
            rows.iter().partition(|row| row.drawn % PARTS == part);
        if rest.len() < LEAST_ROWS {
            continue;
        }
        let own = Own::fit(entry, library.covariance, &rest, &values);
        for row in held {
            before.push(row.error(&values));
            after.push(own.error(row));
        }
    }
    let own = Own::fit(entry, library.covariance, rows, &values);
    let names = class.constants();
    OverlayClass {
        times: entry
            .device
            .iter()
            .zip(&own.times)
            .map(|((at, _), times)| (names[*at].to_owned(), *times))
            .collect(),
        rows: rows.len(),
        phases: None,
        error: parts_error(&before, &after),
        points: own.near.points().iter().map(written).collect(),
        outliers: own
            .outliers
            .iter()
            .map(|&index| observations[index].named())
            .collect(),
    }
}
