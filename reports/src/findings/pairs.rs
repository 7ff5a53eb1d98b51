//! Pairs: a case that was measured and predicted on the same machine, and
//! how far the prediction was off.

use assay_schema::{Case, Prediction};
use assay_statistics::{largest_absolute_error, median_absolute_error};

use super::{Measured, RunFindings};
use crate::{Observed, ValidationRow};

/// The profile whose predictions are about the machine that measured.
pub(super) const HOST: &str = "host";

/// A measured case with the prediction of it on `host`.
#[derive(Clone, Debug)]
pub(crate) struct Pair<'a> {
    pub(crate) measured: Measured<'a>,
    pub(crate) predicted: &'a Prediction,
    /// Predicted over measured, less one.
    pub(crate) error: f64,
}

/// Pairs by case; a case without both stays out.
pub(crate) fn pairs<'a>(
    measured: &[Measured<'a>],
    predictions: &[&'a Prediction],
) -> Vec<Pair<'a>> {
    let on_host: Vec<(Case, &Prediction)> = predictions
        .iter()
        .filter(|prediction| prediction.profile == HOST)
        .filter_map(|prediction| Some((prediction.full_case()?, *prediction)))
        .collect();
    measured
        .iter()
        .filter(|measured| measured.whole)
        .filter_map(|measured| {
            let (_, predicted) = on_host
                .iter()
                .find(|(case, _)| *case == measured.record.case)?;
            Some(Pair {
                measured: measured.clone(),
                predicted,
                error: predicted.latency_s.point / measured.latency.point - 1.0,
            })
        })
        .collect()
}

/// How good the predictions of a set are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ErrorSummary {
    pub(crate) n: usize,
    /// Median of the absolute errors, a fraction.
    pub(crate) median: f64,
    /// Largest absolute error, a fraction.
    pub(crate) worst: f64,
    /// How many observations lie inside the predicted band.
    pub(crate) inside: usize,
}

/// Summary of predicted against observed; `None` without any.
pub(crate) fn error_summary(rows: &[ValidationRow]) -> Option<ErrorSummary> {
    let predicted: Vec<f64> =
        rows.iter().map(|row| row.predicted.point).collect();
    let observed: Vec<f64> =
        rows.iter().map(|row| row.observed.point()).collect();
    Some(ErrorSummary {
        n: rows.len(),
        median: median_absolute_error(&predicted, &observed).ok()?,
        worst: largest_absolute_error(&predicted, &observed).ok()?,
        inside: rows
            .iter()
            .filter(|row| {
                (row.predicted.low..=row.predicted.high)
                    .contains(&row.observed.point())
            })
            .count(),
    })
}

/// The pairs of runs, and the published latencies that a prediction of the
/// same case and profile stands beside, as lines of a validation.
pub(crate) fn validation_rows(runs: &[RunFindings<'_>]) -> Vec<ValidationRow> {
    let mut rows = Vec::new();
    for run in runs {
        rows.extend(run.pairs.iter().map(|pair| {
            ValidationRow::new(
                pair.measured.record.case.clone(),
                run.machine.clone(),
                pair.predicted.latency_s.clone(),
                Observed::Measured(pair.measured.latency.clone()),
                "this run".into(),
            )
        }));
        for point in &run.data.published {
            let latency = matches!(point.metric.as_str(), "time" | "latency");
            if !latency || point.unit != "s" || !is_above_zero(point.value) {
                continue;
            }
            let Ok(case) = point.case.parse::<Case>() else { continue };
            let matching = run.predictions.iter().find(|prediction| {
                prediction.profile == point.profile
                    && prediction.full_case().as_ref() == Some(&case)
            });
            if let Some(prediction) = matching {
                rows.push(ValidationRow::new(
                    case,
                    point.profile.clone(),
                    prediction.latency_s.clone(),
                    Observed::Published(point.value),
                    point.source.clone(),
                ));
            }
        }
    }
    rows
}

/// False for NaN, too.
fn is_above_zero(value: f64) -> bool {
    value.is_finite() && value > 0.0
}
