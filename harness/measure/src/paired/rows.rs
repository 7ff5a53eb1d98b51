//! From turns to rows: time and every metric that came with it.

use std::collections::{BTreeMap, BTreeSet};

use assay_schema::{Better, Estimate, ModesChange, PercentileChange};
use assay_statistics::{
    Finding, MetricKind, VerdictRule, find, median, modes, quantile_estimate,
    units_of,
};

use super::metric_rows::{Evidence, is_judged, kind, metric_row};
use super::reasons::{Moved, Pair};
use super::{ArmSample, PairedRun, Side};

/// One row before the suite judges it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The case, benchmark or command.
    pub case: String,
    /// The contract's name.
    pub metric: String,
    /// Unit symbol.
    pub unit: String,
    /// Which way is good.
    pub better: Better,
    /// What there is to judge by.
    pub evidence: Evidence,
    /// Typical value of the baseline.
    pub baseline: Option<f64>,
    /// Typical value of the candidate.
    pub candidate: Option<f64>,
    /// Raw samples of all arms.
    pub raw_samples: u64,
    /// Percentiles of both sides.
    pub percentiles: Vec<PercentileChange>,
    /// What moved beside time; of time's rows.
    pub moved: Option<Moved>,
    /// Sentences that hold whatever the verdict.
    pub reasons: Vec<String>,
}

/// The percentiles that are given.
const PERCENTILES: [f64; 3] = [50.0, 95.0, 99.0];
const CONFIDENCE: f64 = 0.95;

/// The rows of a comparison: time first.
pub fn rows(run: &PairedRun, rule: &VerdictRule) -> Vec<Row> {
    let mut rows = vec![time_row(run, rule)];
    for (name, (unit, better)) in metrics(run) {
        if is_judged(&name, better) {
            rows.extend(metric_row(run, &name, &unit, better, rule));
        }
    }
    rows
}

/// What time's units say; the word of `--prove` on whether to go on.
pub(crate) fn time_finding(
    run: &PairedRun,
    rule: &VerdictRule,
) -> Result<Finding, String> {
    units_of(&run.blocks_of(|sample| sample.seconds))
        .and_then(|units| find(&units, MetricKind::Timed, Better::Lower, rule))
        .map_err(|error| match run.blocks().any(has_no_time) {
            true => "a turn took no time that the clock can see; the body \
                     may do nothing"
                .to_owned(),
            false => error.to_string(),
        })
}

fn has_no_time(block: &[ArmSample; 3]) -> bool {
    block.iter().any(|sample| sample.seconds <= 0.0)
}

fn time_row(run: &PairedRun, rule: &VerdictRule) -> Row {
    let baseline: Vec<f64> = run
        .blocks()
        .flat_map(|block| {
            [Side::Baseline, Side::BaselineAgain]
                .map(|side| block[side.index()].seconds)
        })
        .collect();
    let candidate = run.seconds(Side::Candidate);
    let found = time_finding(run, rule);
    let mut reasons = Vec::new();
    let evidence = match found {
        Ok(finding) => Evidence::Units(Box::new(finding)),
        Err(why) => {
            reasons.push(why);
            Evidence::None
        }
    };
    if run.answer_changed() == Some(true) {
        reasons.push("the candidate's answer differs".to_owned());
    }
    let time = match &evidence {
        Evidence::Units(finding) => finding.change.point,
        Evidence::Exact | Evidence::None => 0.0,
    };
    Row {
        case: run.name.clone(),
        metric: "time".to_owned(),
        unit: "s".to_owned(),
        better: Better::Lower,
        evidence,
        baseline: median(&baseline).ok(),
        candidate: median(&candidate).ok(),
        raw_samples: (baseline.len() + candidate.len()) as u64,
        percentiles: percentiles(&baseline, &candidate),
        moved: Some(Moved {
            time,
            beside: beside(run),
            modes: modes_of(&baseline, &candidate),
        }),
        reasons,
    }
}

/// The percentiles of two series.
pub(crate) fn percentiles(
    baseline: &[f64],
    candidate: &[f64],
) -> Vec<PercentileChange> {
    let of = |series: &[f64], percentile: f64| -> Option<Estimate> {
        quantile_estimate(series, percentile / 100.0, CONFIDENCE).ok()
    };
    PERCENTILES
        .into_iter()
        .filter_map(|percentile| {
            Some(PercentileChange {
                percentile,
                baseline: of(baseline, percentile)?,
                candidate: of(candidate, percentile)?,
            })
        })
        .collect()
}

/// The modes of two series, where either has several.
pub(crate) fn modes_of(
    baseline: &[f64],
    candidate: &[f64],
) -> Option<ModesChange> {
    let (baseline, candidate) = (modes(baseline).ok()?, modes(candidate).ok()?);
    (baseline.len() > 1 || candidate.len() > 1)
        .then_some(ModesChange { baseline, candidate })
}

/// Metrics by name, with unit and direction.
fn metrics(run: &PairedRun) -> BTreeMap<String, (String, Better)> {
    let mut metrics = BTreeMap::new();
    for sample in run.blocks().flatten() {
        for (name, metric) in &sample.metrics {
            if !metrics.contains_key(name) {
                let known = (metric.unit.clone(), metric.better);
                metrics.insert(name.clone(), known);
            }
        }
    }
    metrics
}

/// Events that a count needs on either side to be a reason: fewer come and go
/// by themselves.
const LEAST_EVENTS: f64 = 20.0;

/// Typical values of all metrics that both sides have.
fn beside(run: &PairedRun) -> BTreeMap<String, Pair> {
    let names: BTreeSet<&String> =
        run.blocks().flatten().flat_map(|s| s.metrics.keys()).collect();
    names
        .into_iter()
        .filter_map(|name| Some((name.clone(), pair(run, name)?)))
        .collect()
}

fn pair(run: &PairedRun, name: &str) -> Option<Pair> {
    let of = |sides: &[Side]| -> Vec<f64> {
        let arms = |block: &[ArmSample; 3]| -> Vec<f64> {
            sides
                .iter()
                .filter_map(|side| block[side.index()].metrics.get(name))
                .map(|metric| metric.value)
                .collect()
        };
        run.blocks().flat_map(arms).collect()
    };
    let baseline = of(&[Side::Baseline, Side::BaselineAgain]);
    let candidate = of(&[Side::Candidate]);
    if kind(name) == MetricKind::Timed || name == "steal" {
        return Some(Pair {
            baseline: median(&baseline).ok()?,
            candidate: median(&candidate).ok()?,
        });
    }
    // Counts that are mostly 0 have a mean, not a median.
    let mean = |values: &[f64]| {
        let n = values.len();
        (n > 0).then(|| values.iter().sum::<f64>() / n as f64)
    };
    let pair =
        Pair { baseline: mean(&baseline)?, candidate: mean(&candidate)? };
    let turns = run.schedule.slot.iterations as f64 * candidate.len() as f64;
    let events = turns * pair.baseline.abs().max(pair.candidate.abs());
    (events >= LEAST_EVENTS).then_some(pair)
}
