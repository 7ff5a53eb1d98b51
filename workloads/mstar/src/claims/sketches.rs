//! Records, predictions and published numbers that the tests make up, so that
//! a statistic comes out as they want it.

use assay_schema::{Better, Evidence, Metric, Prediction, Record};
use assay_statistics::testing;

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
    testing::record(case.parse().unwrap(), metrics)
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
    let profile = "nvidia-a100-sxm4-80gb".to_owned();
    let bare = testing::prediction(&case.parse().unwrap(), 1.0, 1.0);
    Prediction { profile, parameters, ..bare }
}

/// Evidence in which the statistic is `x`, of a prediction or of what is
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
        Statistic::Published { of } => {
            points = testing::points_as(points, of, &[], x, spread).unwrap();
        }
        Statistic::Parameters { path, factor } => {
            // Whole below: half a parameter is none.
            predictions.push(prediction(path, (x / factor) as u64));
        }
    }
    evidence_for(judgement, &[], &predictions, &points)
}
