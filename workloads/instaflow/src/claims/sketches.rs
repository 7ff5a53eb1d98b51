//! Records, predictions and published numbers that the tests make up, so that
//! a statistic comes out as they want it.

use assay_schema::{
    Better, Case, Evidence, Metric, Prediction, Record, Runtime,
};
use assay_statistics::testing;

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
    testing::record(case.parse().unwrap(), metrics)
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
        profile: A100.to_owned(),
        runtime: Runtime::Eager,
        parameters: parameters as u64,
        ..testing::prediction(case, seconds, spread)
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

/// Evidence in which the statistic is `x`, of predictions or of what is
/// published; this to fewer digits with a spread.
pub(super) fn made(
    judgement: &Judgement,
    x: f64,
    spread: f64,
) -> Vec<Evidence> {
    let mut points = published().unwrap();
    let mut predictions = Vec::new();
    match &judgement.statistic {
        Statistic::Measured(_) => {}
        Statistic::Published { of, over } => {
            points = testing::points_as(points, of, over, x, spread).unwrap();
        }
        Statistic::Predicted(one) => {
            predictions = predictions_for(one, x, spread);
        }
    }
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
