//! Records, predictions and published numbers that a test makes up, so that a
//! statistic comes out as it wants it.

use std::collections::BTreeMap;

use assay_schema::{
    Bound, Bytes, Case, Estimate, Flops, Metric, Moment, Outcome, Prediction,
    Provenance, PublishedPoint, Record, Runtime, SampleBatch, StopReason,
    Verification,
};

use crate::{Term, recomputed};

const MADE: &str = "made by this test";

/// A sound record of the CPU, started at moment 0.
pub fn record(case: Case, metrics: Vec<Metric>) -> Record {
    Record {
        case,
        started: Moment(0),
        device: "cpu".to_owned(),
        work: None,
        verification: Some(Verification {
            against: MADE.to_owned(),
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

/// Steps of so many seconds, past the warm-up.
pub fn samples(seconds: Vec<f64>) -> Vec<SampleBatch> {
    vec![SampleBatch {
        part: "step".to_owned(),
        rank: None,
        iterations: 1,
        warm_up: false,
        seconds,
    }]
}

/// A prediction of so many seconds for a GPU that replays a graph, with a band
/// of `1 + spread` times either way. It names no profile and has no
/// parameters; its other numbers are 1.
pub fn prediction(case: &Case, seconds: f64, spread: f64) -> Prediction {
    Prediction {
        case: case.path(),
        axes: case.axes.clone(),
        profile: String::new(),
        unit: "gpu".to_owned(),
        runtime: Runtime::Graph,
        latency_s: Estimate {
            point: seconds,
            low: seconds / (1.0 + spread),
            high: seconds * (1.0 + spread),
            confidence: 0.8,
            n: 0,
            method: MADE.to_owned(),
        },
        time_by_class: BTreeMap::new(),
        flops: Flops(1.0),
        bytes: Bytes(1.0),
        parameters: 0,
        memory_peak_bytes: Bytes(1.0),
        memory_parts: Vec::new(),
        fits: None,
        energy_j: None,
        bound: Bound::Compute,
        provenance: Provenance::Predicted,
    }
}

/// Published numbers, those of a sum changed so that it comes out at `x`; with
/// a spread, printed without digits after the point. `None` where one of them
/// is missing.
pub fn points_as(
    mut points: Vec<PublishedPoint>,
    of: &[Term],
    over: &[Term],
    x: f64,
    spread: f64,
) -> Option<Vec<PublishedPoint>> {
    let now = recomputed(&points, of, over)?.point;
    for point in &mut points {
        if of.iter().any(|term| term.is(point)) {
            point.value *= x / now;
            if spread > 0.0 {
                point.value = point.value.round();
            }
        }
    }
    Some(points)
}
