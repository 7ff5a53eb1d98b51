//! The overlay of a unit that a roofline prices (a CPU, an NPU, a machine that
//! was probed): residuals of single operators, and the factors that whole
//! graphs say of the unit under a runtime (`factors`).

use std::collections::BTreeMap;

use assay_hardware_profiles::{OverlayClass, OverlayError, OverlayPoint};

use super::factors::{factors_class, graph_runtimes};
use super::overlay::{LEAST_ROWS, PARTS, is_outlier, parts_error, robust};
use super::rows::{Observation, Unfit, drawn};
use crate::constants::Constants;
use crate::library::Library;
use crate::machine::Factors;
use crate::models::Class;
use crate::place::place;
use crate::residuals::{Interpolated, Point};
use crate::{PredictError, Target};

/// A row with its residual.
struct Row {
    index: usize,
    class: Class,
    point: Point,
    drawn: u32,
}

/// Classes of an overlay, the observations that took no part, and how many
/// did.
pub(super) type Found = (BTreeMap<String, OverlayClass>, Vec<Unfit>, usize);

/// Residuals of measured operators beside the roofline's predictions, and
/// factors of the runtimes under which graphs were measured. All rows of such
/// a runtime go to its factors: one that is both would be corrected twice.
pub(super) fn overlay_classes(
    observations: &[Observation],
) -> Result<Found, PredictError> {
    let mut rows = Vec::new();
    let mut unfit = Vec::new();
    let graphs = graph_runtimes(observations)?;
    for (index, seen) in observations.iter().enumerate() {
        if graphs.contains(&seen.runtime) {
            continue;
        }
        match row(index, seen)? {
            Ok(row) => rows.push(row),
            Err(why) => unfit.push(Unfit { index, why: why.to_owned() }),
        }
    }
    let mut classes = BTreeMap::new();
    let mut used = rows.len();
    for runtime in graphs {
        let found = factors_class(observations, runtime)?;
        unfit.extend(found.unfit);
        used += found.used;
        if let Some(class) = found.class {
            classes.insert(Factors::class(runtime), class);
        }
    }
    for class in Class::ALL {
        let own: Vec<&Row> = rows.iter().filter(|r| r.class == class).collect();
        if own.len() < LEAST_ROWS {
            continue;
        }
        let found = overlay_class(&own, observations)?;
        if let Some(why) = no_better(class, &found.error) {
            used -= own.len();
            let left_out = own
                .iter()
                .map(|row| Unfit { index: row.index, why: why.clone() });
            unfit.extend(left_out);
        } else {
            classes.insert(class.name().to_owned(), found);
        }
    }
    // Without a class, what was wrong with the graphs, or with all classes, is
    // what there is to say.
    if classes.is_empty()
        && used == 0
        && let Some(first) = unfit.first()
    {
        return Err(PredictError::Calibration(first.why.clone()));
    }
    Ok((classes, unfit, used))
}

/// Why a class's residuals are not kept: on rows that they had not seen, the
/// others' left more than there was.
fn no_better(class: Class, error: &OverlayError) -> Option<String> {
    let (before, after) = (error.before?, error.after?);
    (after >= before).then(|| {
        format!(
            "{} is {:.1} % off without an overlay and {:.1} % with one that \
             had not seen the row",
            class.name(),
            100.0 * before,
            100.0 * after
        )
    })
}

fn row(
    index: usize,
    seen: &Observation,
) -> Result<Result<Row, &'static str>, PredictError> {
    let how = Constants::get()?.runtime(seen.runtime)?;
    let launches = seen.traced.launches(how.fuse);
    let [kernel] = &launches.kernels[..] else {
        return Ok(Err("several operators"));
    };
    let precision = seen.traced.precision();
    let unit = Some(seen.unit.name());
    let target = Target::new(&seen.profile, unit, precision, None)?;
    let predicted = target.times(launches, seen.runtime)?.times.total();
    let class = target.class(&kernel.kind, seen.runtime, launches.is_thin());
    let Some((group, at)) = place(&kernel.kind, precision) else {
        return Ok(Err("no calibration measures this kind"));
    };
    let residual = (seen.seconds / predicted).ln();
    if !residual.is_finite() {
        return Ok(Err("a time that is no time"));
    }
    let point = Point { group, at, residual, weight: seen.weight };
    Ok(Ok(Row { index, class, point, drawn: drawn(&seen.case) }))
}

fn overlay_class(
    rows: &[&Row],
    observations: &[Observation],
) -> Result<OverlayClass, PredictError> {
    let covariance = Library::get()?.covariance;
    let residuals: Vec<f64> = rows.iter().map(|r| r.point.residual).collect();
    let middle = robust(&residuals);
    let (out, kept): (Vec<&Row>, Vec<&Row>) =
        rows.iter().partition(|r| is_outlier(r.point.residual, middle));
    let points = |rows: &[&Row]| rows.iter().map(|row| row.point).collect();
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for part in 0..PARTS {
        let (held, rest): (Vec<&Row>, Vec<&Row>) =
            kept.iter().partition(|row| row.drawn % PARTS == part);
        if rest.is_empty() {
            continue;
        }
        let near = Interpolated::new(covariance, points(&rest));
        for row in held {
            let Point { group, at, residual, .. } = row.point;
            before.push(-residual);
            after.push(near.at(group, &at) - residual);
        }
    }
    Ok(OverlayClass {
        times: BTreeMap::new(),
        rows: rows.len(),
        phases: None,
        error: parts_error(&before, &after),
        points: kept.iter().map(|row| written(&row.point)).collect(),
        outliers: out
            .iter()
            .map(|row| observations[row.index].named())
            .collect(),
    })
}

/// A point as an overlay's file holds it.
pub(super) fn written(point: &Point) -> OverlayPoint {
    OverlayPoint {
        at: point.at.to_vec(),
        group: point.group.to_string(),
        residual: point.residual,
        weight: point.weight,
    }
}
