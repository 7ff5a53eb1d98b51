//! From turns to rows: time and every metric that came with it.

use std::collections::{BTreeMap, BTreeSet};

use assay_schema::{Better, Estimate, ModesChange, PercentileChange};
use assay_statistics::{
    Finding, MetricKind, VerdictRule, find, median, modes, quantile_estimate,
    units_of,
};

use super::energy_rows::{energy_rows, is_energy};
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
    /// Whether the candidate answers otherwise; of a case's first row.
    pub answer_changed: Option<bool>,
    /// Compared in spite of what makes it incomparable.
    pub forced: bool,
    /// Sentences that hold whatever the verdict.
    pub reasons: Vec<String>,
}

impl Row {
    /// A row that nothing is known of yet.
    pub(crate) fn new(
        case: impl Into<String>,
        metric: impl Into<String>,
        unit: impl Into<String>,
        better: Better,
    ) -> Self {
        Self {
            case: case.into(),
            metric: metric.into(),
            unit: unit.into(),
            better,
            evidence: Evidence::None,
            baseline: None,
            candidate: None,
            raw_samples: 0,
            percentiles: Vec::new(),
            moved: None,
            answer_changed: None,
            forced: false,
            reasons: Vec::new(),
        }
    }

    /// A row of time.
    pub(crate) fn of_time(case: impl Into<String>) -> Self {
        Self::new(case, "time", "s", Better::Lower)
    }
}

/// The percentiles that are given.
const PERCENTILES: [f64; 3] = [50.0, 95.0, 99.0];
const CONFIDENCE: f64 = 0.95;

/// The rows of a comparison: time first.
pub fn rows(run: &PairedRun, rule: &VerdictRule) -> Vec<Row> {
    let mut rows = vec![time_row(run, rule)];
    for (name, (unit, better)) in metrics(run) {
        if is_judged(&name, better) && !is_energy(run, &name) {
            rows.extend(metric_row(run, &name, &unit, better, rule));
        }
    }
    rows.extend(energy_rows(run, rule));
    rows
}

/// How many rows [`rows`] gives at most: time, and each metric judged.
pub(crate) fn row_count(run: &PairedRun) -> usize {
    let judged = |(name, (_, better)): &(String, (String, Better))| {
        is_judged(name, *better) && !is_energy(run, name)
    };
    let energies = run.around.as_ref().map_or(0, |a| a.energies.len());
    1 + metrics(run).into_iter().filter(judged).count() + energies
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
    let mut row = Row::of_time(&run.name);
    let mut time = 0.0;
    match time_finding(run, rule) {
        Ok(finding) => {
            time = finding.change.point;
            row.evidence = Evidence::Units(Box::new(finding));
        }
        Err(why) => row.reasons.push(why),
    }
    row.answer_changed = run.answer_changed();
    if row.answer_changed == Some(true) {
        row.reasons.push("the candidate's answer differs".to_owned());
    }
    row.baseline = median(&baseline).ok();
    row.candidate = median(&candidate).ok();
    row.raw_samples = (baseline.len() + candidate.len()) as u64;
    row.percentiles = percentiles(&baseline, &candidate);
    row.moved = Some(Moved {
        time,
        seconds: row.baseline,
        beside: beside(run),
        modes: modes_of(&baseline, &candidate),
        shared_steal: run.around.as_ref().and_then(|around| around.steal),
    });
    row
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

/// Typical values of all metrics that both sides have, of turns and, where
/// turns have it not, of long turns.
fn beside(run: &PairedRun) -> BTreeMap<String, Pair> {
    let turns: Vec<&[ArmSample; 3]> = run.blocks().collect();
    let mut found = BTreeMap::new();
    if let Some(long) = &run.long_turns {
        let blocks: Vec<&[ArmSample; 3]> =
            long.rounds.iter().flatten().collect();
        found = pairs(&blocks, long.iterations);
        // What was taken from those turns was not taken from the ones whose
        // time is judged.
        found.remove("steal");
        found.remove("throttled");
    }
    found.extend(pairs(&turns, run.schedule.slot.iterations));
    found
}

fn pairs(
    blocks: &[&[ArmSample; 3]],
    iterations: u64,
) -> BTreeMap<String, Pair> {
    let names: BTreeSet<&String> = blocks
        .iter()
        .flat_map(|block| block.iter())
        .flat_map(|sample| sample.metrics.keys())
        .collect();
    names
        .into_iter()
        .filter_map(|name| {
            Some((name.clone(), pair(blocks, iterations, name)?))
        })
        .collect()
}

fn pair(
    blocks: &[&[ArmSample; 3]],
    iterations: u64,
    name: &str,
) -> Option<Pair> {
    let of = |sides: &[Side]| -> Vec<f64> {
        let arms = |block: &&[ArmSample; 3]| -> Vec<f64> {
            sides
                .iter()
                .filter_map(|side| block[side.index()].metrics.get(name))
                .map(|metric| metric.value)
                .collect()
        };
        blocks.iter().flat_map(arms).collect()
    };
    let baseline = of(&[Side::Baseline, Side::BaselineAgain]);
    let candidate = of(&[Side::Candidate]);
    if kind(name) == MetricKind::Timed || name == "counters_ran" {
        return Some(Pair {
            baseline: median(&baseline).ok()?,
            candidate: median(&candidate).ok()?,
        });
    }
    // Counts that are mostly 0 have a mean, not a median; so do shares of
    // time that come in ticks.
    let mean = |values: &[f64]| {
        let n = values.len();
        (n > 0).then(|| values.iter().sum::<f64>() / n as f64)
    };
    let pair =
        Pair { baseline: mean(&baseline)?, candidate: mean(&candidate)? };
    if name == "steal" || name == "throttled" {
        return Some(pair);
    }
    let turns = iterations as f64 * candidate.len() as f64;
    let events = turns * pair.baseline.abs().max(pair.candidate.abs());
    (events >= LEAST_EVENTS).then_some(pair)
}
