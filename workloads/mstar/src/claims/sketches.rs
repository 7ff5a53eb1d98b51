//! Records, predictions and published numbers that the tests make up, so that
//! a statistic comes out as they want it.

use std::collections::BTreeMap;

use assay_schema::{
    Better, Bound, Bytes, Estimate, Evidence, Flops, Metric, Moment, Outcome,
    Prediction, Provenance, PublishedPoint, Record, Runtime, StopReason,
    Verification,
};
use assay_statistics::recomputed;

use super::study::{ARM, ITERATION, OfStudies, SET, STUDIES, studies};
use super::table::{Judgement, Statistic};
use super::{evidence_for, published};

/// A share of an arm on a set of problems.
pub(super) fn on_set(name: &str, arm: &str, set: &str, value: f64) -> Metric {
    Metric::value(name, "1", Better::Higher, value).at([(ARM, arm), (SET, set)])
}

/// A share of an arm along its iterations, from 0.
pub(super) fn along(name: &str, arm: &str, values: &[f64]) -> Vec<Metric> {
    values
        .iter()
        .enumerate()
        .map(|(iteration, value)| {
            Metric::value(name, "1", Better::Higher, *value)
                .at([(ARM, arm), (ITERATION, iteration.to_string().as_str())])
        })
        .collect()
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

/// Metrics of which a statistic is `x` percentage points.
fn metrics_for(statistic: &OfStudies, x: f64) -> Vec<Metric> {
    let x = x / 100.0;
    match *statistic {
        OfStudies::Difference { metric, of, less, set } => vec![
            on_set(metric, of, set, 0.5 + x / 2.0),
            on_set(metric, less, set, 0.5 - x / 2.0),
        ],
        OfStudies::Beside { of, less, arm, set } => vec![
            on_set(of, arm, set, 0.5 + x / 2.0),
            on_set(less, arm, set, 0.5 - x / 2.0),
        ],
        OfStudies::Change { metric, arm } => {
            along(metric, arm, &[0.5, 0.1, 0.5 + x])
        }
        OfStudies::Saturation { metric, arm } => {
            along(metric, arm, &[0.3, 0.9, 0.4, 0.9, 0.5 + x])
        }
        OfStudies::Last { metric, of, less } => {
            let mut all = along(metric, of, &[0.9, 0.5 + x]);
            all.extend(along(metric, less, &[0.1, 0.5]));
            all
        }
    }
}

/// Evidence of studies of several seeds with these values.
pub(super) fn studied(judgement: &Judgement, values: &[f64]) -> Vec<Evidence> {
    let Statistic::Measured(statistic) = &judgement.statistic else {
        return Vec::new();
    };
    let [study, _] = STUDIES;
    let records: Vec<Record> = values
        .iter()
        .enumerate()
        .map(|(seed, &x)| {
            record(&format!("{study} seed={seed}"), metrics_for(statistic, x))
        })
        .collect();
    evidence_for(judgement, &studies(&records), &[], &[])
}

/// A prediction of a case with so many parameters.
pub(super) fn prediction(case: &str, parameters: u64) -> Prediction {
    Prediction {
        case: case.to_owned(),
        axes: BTreeMap::new(),
        profile: "nvidia-a100-sxm4-80gb".to_owned(),
        unit: "gpu".to_owned(),
        runtime: Runtime::Graph,
        latency_s: Estimate {
            point: 1.0,
            low: 0.5,
            high: 2.0,
            confidence: 0.8,
            n: 0,
            method: "made by this test".to_owned(),
        },
        flops: Flops(1.0),
        bytes: Bytes(1.0),
        parameters,
        memory_peak_bytes: Bytes(1.0),
        fits: None,
        memory_parts: Vec::new(),
        energy_j: None,
        bound: Bound::Compute,
        time_by_class: BTreeMap::new(),
        provenance: Provenance::Predicted,
    }
}

/// The published numbers with a sum changed so that it comes out at `x`.
fn points_for(statistic: &Statistic, x: f64) -> Vec<PublishedPoint> {
    let mut points = published().unwrap();
    let Statistic::Published { of } = statistic else { return points };
    let now = recomputed(&points, of, &[]).unwrap().point;
    for point in &mut points {
        if of.iter().any(|term| term.is(point)) {
            point.value *= x / now;
        }
    }
    points
}

/// Evidence in which the statistic is `x`, of a prediction or of what is
/// published.
pub(super) fn made(judgement: &Judgement, x: f64) -> Vec<Evidence> {
    let points = points_for(&judgement.statistic, x);
    let predictions = match &judgement.statistic {
        Statistic::Parameters { path, factor } => {
            // Whole below: half a parameter is none.
            vec![prediction(path, (x / factor) as u64)]
        }
        Statistic::Measured(_) | Statistic::Published { .. } => Vec::new(),
    };
    evidence_for(judgement, &[], &predictions, &points)
}
