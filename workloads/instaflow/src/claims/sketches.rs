//! Records, predictions and published numbers that the tests make up, so that
//! a statistic comes out as they want it.

use std::collections::BTreeMap;

use assay_schema::{
    Better, Bound, Bytes, Case, Estimate, Evidence, Flops, Metric, Moment,
    Outcome, Prediction, Provenance, PublishedPoint, Record, Runtime,
    StopReason, Verification,
};

use assay_statistics::recomputed;

use super::predicted::{A100, Like, OfPredictions, ordered, time_of};
use super::study::{FRECHET, OfStudies, STUDY, Setting, studies};
use super::table::{Judgement, Statistic};
use super::{evidence_for, published};

/// A quality of a method, with steps of its own where the claim names none.
pub(super) fn quality(name: &str, of: Setting, value: f64) -> Metric {
    let steps = of.steps.unwrap_or("100");
    Metric::value(name, "1", Better::Neither, value)
        .at([("method", of.method), ("steps", steps)])
}

/// A study's record.
pub(super) fn record(case: &str, metrics: Vec<Metric>) -> Record {
    Record {
        case: case.parse().unwrap(),
        started: Moment(0),
        device: "cpu".to_owned(),
        work: None,
        verification: Some(Verification {
            against: "made by this test".to_owned(),
            largest_difference: 0.0,
            relative_difference: 0.0,
            tolerance: 1e-4,
        }),
        samples: Vec::new(),
        metrics: metrics.into_iter().map(|one| (Some(0), one)).collect(),
        pictures: Vec::new(),
        warnings: Vec::new(),
        outcome: Outcome::Finished(StopReason::Completed),
    }
}

/// Frechet distances of the 2-flow at 25 steps, at scales of guidance.
pub(super) fn guided(of: Setting, scales: &[(f64, f64)]) -> Vec<Metric> {
    scales
        .iter()
        .map(|(scale, distance)| {
            let mut metric = quality(FRECHET, of, *distance);
            metric.at.insert("guidance".to_owned(), scale.to_string());
            metric
        })
        .collect()
}

/// Records in which a statistic has one value a seed.
fn records_for(statistic: &OfStudies, values: &[f64]) -> Vec<Record> {
    let metrics = |x: f64| match *statistic {
        OfStudies::Ratio { metric, of, over } => {
            vec![quality(metric, of, 3.0 * x), quality(metric, over, 3.0)]
        }
        OfStudies::Difference { metric, of, less } => vec![
            quality(metric, of, 0.5 + x / 2.0),
            quality(metric, less, 0.5 - x / 2.0),
        ],
        OfStudies::BestGuidance { of } => {
            guided(of, &[(x + 0.25, 3.0), (x, 1.0), (x - 0.25, 2.0)])
        }
    };
    values
        .iter()
        .enumerate()
        .map(|(seed, &x)| record(&format!("{STUDY} seed={seed}"), metrics(x)))
        .collect()
}

/// A prediction with a band of so many times either way.
fn prediction(
    case: &Case,
    seconds: f64,
    parameters: f64,
    spread: f64,
) -> Prediction {
    Prediction {
        case: case.path(),
        axes: case.axes.clone(),
        profile: A100.to_owned(),
        unit: "gpu".to_owned(),
        runtime: Runtime::Eager,
        latency_s: Estimate {
            point: seconds,
            low: seconds / (1.0 + spread),
            high: seconds * (1.0 + spread),
            confidence: 0.8,
            n: 0,
            method: "made by this test".to_owned(),
        },
        flops: Flops(1.0),
        bytes: Bytes(1.0),
        parameters: parameters as u64,
        memory_peak_bytes: Bytes(1.0),
        memory_parts: Vec::new(),
        fits: None,
        energy_j: None,
        bound: Bound::Compute,
        time_by_class: BTreeMap::new(),
        provenance: Provenance::Predicted,
    }
}

/// A case of that kind.
pub(super) fn case(like: &Like) -> Case {
    let case: Case = like.path.parse().unwrap();
    let axes = like.axes.iter();
    axes.fold(case, |case, (axis, value)| case.with(*axis, value))
}

/// Predictions in which a statistic is `x`.
pub(super) fn predictions_for(
    statistic: &OfPredictions,
    x: f64,
    spread: f64,
) -> Vec<Prediction> {
    let timed =
        |like: &Like, seconds| prediction(&case(like), seconds, 0.0, spread);
    match statistic {
        OfPredictions::Latency { case } => {
            let points = published().unwrap();
            let seconds = x * time_of(&points, case).unwrap().value;
            vec![prediction(&case.parse().unwrap(), seconds, 0.0, spread)]
        }
        OfPredictions::Ratio { of, over } => {
            vec![timed(of, x), timed(over, 1.0)]
        }
        OfPredictions::Rate { of, numerator } => {
            vec![timed(of, numerator / x)]
        }
        OfPredictions::Sum { of } => {
            let total: f64 = of.iter().map(|term| term.factor).sum();
            of.iter().map(|term| timed(&term.of, x / total)).collect()
        }
        OfPredictions::Saving { of, against } => {
            let seconds = (1.0 - x / 100.0) * against.len() as f64;
            let others = against.iter().map(|like| timed(like, 1.0));
            others.chain([timed(of, seconds)]).collect()
        }
        OfPredictions::Parameters { of, factor } => {
            vec![prediction(&case(of), 1.0, x / factor, spread)]
        }
    }
}

/// The published numbers with a sum changed so that it comes out at `x`; with
/// a spread, printed to fewer digits.
fn points_for(
    statistic: &Statistic,
    x: f64,
    spread: f64,
) -> Vec<PublishedPoint> {
    let mut points = published().unwrap();
    let Statistic::Published { of, over } = statistic else {
        return points;
    };
    let now = recomputed(&points, of, over).unwrap().point;
    for point in &mut points {
        if of.iter().any(|term| term.is(point)) {
            point.value *= x / now;
            if spread > 0.0 {
                point.value = point.value.round();
            }
        }
    }
    points
}

/// Evidence in which the statistic is `x`, of predictions or of what is
/// published.
pub(super) fn made(
    judgement: &Judgement,
    x: f64,
    spread: f64,
) -> Vec<Evidence> {
    let points = points_for(&judgement.statistic, x, spread);
    let predictions = match &judgement.statistic {
        Statistic::Predicted(one) => predictions_for(one, x, spread),
        Statistic::Measured(_) | Statistic::Published { .. } => Vec::new(),
    };
    evidence_for(judgement, &[], &ordered(&predictions), &points)
}

/// Evidence of a study with these values.
pub(super) fn studied(judgement: &Judgement, values: &[f64]) -> Vec<Evidence> {
    let Statistic::Measured(statistic) = &judgement.statistic else {
        return Vec::new();
    };
    let records = records_for(statistic, values);
    evidence_for(judgement, &studies(&records), &[], &[])
}
