//! What a batch gains: tokens a second of a decode step of several rows over
//! those of one row, beside what the predicted times of the two allow.
//!
//! With `t(b)` the time of a step of `b` rows, measured, and `p(b)` the same
//! predicted on the machine's own profile (roofline plus overhead):
//!
//! ```text
//! gain = b t(1) / t(b)     allowed = b p(1) / p(b)     share = gain / allowed
//! ```
//!
//! `allowed` has no band: one machine and one model of it stand behind both
//! times, so that their errors are of one sign and mostly cancel.
//!
//! They do not where one time is predicted worse than the other, and the share
//! alone does not show it: it is `(p(b) / t(b)) / (p(1) / t(1))`, so that a
//! single row slower than predicted flatters the batch, and one that is faster
//! (weights that stay in cache are predicted to come from memory) makes a batch
//! at its predicted time look short of it. Both factors therefore stand beside
//! the share: the speeds over the predicted ones, of one row and of the batch.

use assay_schema::{Case, Estimate};
use assay_statistics::ratio_estimate;

use super::Pair;

/// The phase of which a step gives each row one token.
const PHASE: &str = "decode";

/// Rows of a step.
const BATCH: &str = "batch";

/// A decode step of several rows, measured and predicted, beside that of one.
#[derive(Clone, Debug)]
pub(crate) struct BatchGain {
    /// The case of several rows.
    pub(crate) case: Case,
    pub(crate) rows: usize,
    /// Measured tokens a second, over those of one row.
    pub(crate) gain: Estimate,
    /// The same, as predicted.
    pub(crate) allowed: f64,
    /// The first over the second; its interval is the measurement's.
    pub(crate) share: Estimate,
    /// The speed of one row over the predicted one, `p(1) / t(1)`.
    pub(crate) one_row: Estimate,
    /// The same of the batch: `share` is this over the other.
    pub(crate) batch: Estimate,
}

/// The gains of all decode steps of several rows whose step of one row was
/// measured and predicted too, by case.
pub(crate) fn batch_gains(pairs: &[Pair<'_>]) -> Vec<BatchGain> {
    let mut gains: Vec<BatchGain> =
        pairs.iter().filter_map(|pair| gain(pair, pairs)).collect();
    gains.sort_by(|a, b| {
        (&a.case.workload, &a.case.model, a.rows, &a.case).cmp(&(
            &b.case.workload,
            &b.case.model,
            b.rows,
            &b.case,
        ))
    });
    gains
}

fn gain(several: &Pair<'_>, pairs: &[Pair<'_>]) -> Option<BatchGain> {
    let case = &several.measured.record.case;
    if case.phase.as_deref() != Some(PHASE) {
        return None;
    }
    let rows: usize = case.axis(BATCH)?.parse().ok()?;
    if rows < 2 {
        return None;
    }
    let mut alone = case.clone();
    alone.axes.insert(BATCH.to_owned(), "1".to_owned());
    // On the same device: a run may hold a case on several.
    let device = &several.measured.record.device;
    let one = pairs.iter().find(|pair| {
        let record = pair.measured.record;
        record.case == alone && record.device == *device
    })?;
    let times = (&one.measured.latency, &several.measured.latency);
    let gain = ratio_estimate(times.0, times.1).ok()?.scaled(rows as f64);
    let predicted = |pair: &Pair<'_>| pair.predicted.latency_s.point;
    let allowed = rows as f64 * predicted(one) / predicted(several);
    let allowed =
        Some(allowed).filter(|gain| gain.is_finite() && *gain > 0.0)?;
    let share = gain.scaled(1.0 / allowed);
    let one_row = times.0.inverted(predicted(one));
    let batch = times.1.inverted(predicted(several));
    let case = case.clone();
    Some(BatchGain { case, rows, gain, allowed, share, one_row, batch })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use assay_schema::{
        Bound, Bytes, Flops, Moment, Outcome, Prediction, Provenance, Record,
        Runtime, StopReason,
    };

    use super::super::Measured;
    use super::*;

    fn estimate(point: f64, half: f64) -> Estimate {
        Estimate {
            point,
            low: point - half,
            high: point + half,
            confidence: 0.95,
            n: 30,
            method: "made by this test".to_owned(),
        }
    }

    fn record(case: &str) -> Record {
        Record {
            case: case.parse().unwrap(),
            started: Moment(0),
            device: "cpu".to_owned(),
            work: None,
            verification: None,
            samples: Vec::new(),
            metrics: Vec::new(),
            pictures: Vec::new(),
            warnings: Vec::new(),
            outcome: Outcome::Finished(StopReason::Completed),
        }
    }

    fn prediction(case: &Case, seconds: f64) -> Prediction {
        Prediction {
            case: case.path(),
            axes: case.axes.clone(),
            profile: "host".to_owned(),
            unit: "cpu".to_owned(),
            runtime: Runtime::Flex,
            latency_s: estimate(seconds, 0.0),
            flops: Flops(1.0),
            bytes: Bytes(1.0),
            parameters: 1,
            memory_peak_bytes: Bytes(1.0),
            fits: None,
            memory_parts: Vec::new(),
            energy_j: None,
            bound: Bound::Memory,
            time_by_class: BTreeMap::new(),
            provenance: Provenance::Predicted,
        }
    }

    /// Cases with measured and predicted seconds.
    fn found(cases: &[(&str, f64, f64)]) -> Vec<BatchGain> {
        let records: Vec<Record> =
            cases.iter().map(|(case, ..)| record(case)).collect();
        let predictions: Vec<Prediction> = records
            .iter()
            .zip(cases)
            .map(|(record, (_, _, p))| prediction(&record.case, *p))
            .collect();
        let pairs: Vec<Pair<'_>> = records
            .iter()
            .zip(&predictions)
            .zip(cases)
            .map(|((record, predicted), (_, t, p))| Pair {
                measured: Measured {
                    record,
                    part: "step",
                    whole: true,
                    latency: estimate(*t, 0.01 * t),
                },
                predicted,
                error: p / t - 1.0,
            })
            .collect();
        batch_gains(&pairs)
    }

    #[test]
    fn a_gain_stands_beside_what_the_prediction_allows() {
        let gains = found(&[
            ("w/m/decode batch=16 context=8", 4.0, 2.0),
            ("w/m/decode batch=1 context=8", 1.0, 1.0),
            ("w/m/decode batch=4 context=8", 1.0, 1.0),
        ]);
        let [four, sixteen] = gains.as_slice() else { panic!() };
        assert_eq!((four.rows, sixteen.rows), (4, 16));
        assert!((four.share.point - 1.0).abs() < 1e-12, "{four:?}");
        assert!((sixteen.gain.point - 4.0).abs() < 1e-12, "{sixteen:?}");
        assert!((sixteen.allowed - 8.0).abs() < 1e-12, "{sixteen:?}");
        let share = &sixteen.share;
        assert!((share.point - 0.5).abs() < 1e-12, "{share:?}");
        assert!(share.low < 0.5 && share.high > 0.5, "{share:?}");
    }

    #[test]
    fn the_share_is_told_apart_into_its_two_speeds() {
        // One row twice as fast as predicted, the batch as fast as predicted.
        let gains = found(&[
            ("w/m/decode batch=16 context=8", 4.0, 4.0),
            ("w/m/decode batch=1 context=8", 0.5, 1.0),
        ]);
        let [one] = gains.as_slice() else { panic!() };
        assert!((one.one_row.point - 2.0).abs() < 1e-12, "{one:?}");
        assert!((one.batch.point - 1.0).abs() < 1e-12, "{one:?}");
        assert!((one.share.point - 0.5).abs() < 1e-12, "{one:?}");
        assert!(one.batch.low < 1.0 && one.batch.high > 1.0, "{one:?}");
    }

    #[test]
    fn without_its_step_of_one_row_a_batch_has_no_gain() {
        let gains = found(&[
            ("w/m/decode batch=16 context=8", 4.0, 2.0),
            ("w/m/decode batch=1 context=9", 1.0, 1.0),
            ("w/m/prefill batch=1 prompt=8", 1.0, 1.0),
            ("w/m/prefill batch=2 prompt=8", 1.0, 1.0),
        ]);
        assert!(gains.is_empty(), "{gains:?}");
    }
}
