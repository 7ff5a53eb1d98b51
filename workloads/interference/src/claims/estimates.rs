//! From numbers of single runs to an estimate over seeds.
//!
//! Runs are paired by their seed (the same split of the same data); seeds
//! that one side lacks are left out. A mean over seeds has Student's
//! interval; a ratio has it on a logarithmic scale. A spread and a best
//! setting have no such law: their intervals are bootstrapped over seeds,
//! and with few seeds too narrow.

use std::collections::BTreeMap;

use assay_schema::Estimate;
use assay_statistics::{Bootstrap, mean_estimate, mean_of_ratios};

use super::measure::Measure;
use super::runs::Runs;
use super::table::Statistic;

const CONFIDENCE: f64 = 0.95;

const BOOTSTRAP: Bootstrap =
    Bootstrap { resamples: 2000, confidence: CONFIDENCE, seed: 1905 };

/// Least training SNRs among which one can be called the best.
const LEAST_SNRS: usize = 3;

impl Statistic {
    /// The statistic over the seeds that all its settings have; `None` with
    /// fewer than two.
    pub(super) fn estimate(&self, runs: &Runs<'_>) -> Option<Estimate> {
        match *self {
            Self::Value(setting, measure) => {
                let values = runs.values(setting, measure);
                let values: Vec<f64> = values.into_values().collect();
                student(&values, "mean over seeds")
            }
            Self::Difference((a, of_a), (b, of_b)) => {
                let rows = rows(&[runs.values(a, of_a), runs.values(b, of_b)]);
                let values = with(&rows, |row| row[0] - row[1]);
                student(&values, "mean over seeds of paired differences")
            }
            Self::Ratio((a, of_a), (b, of_b)) => {
                ratio(&rows(&[runs.values(a, of_a), runs.values(b, of_b)]))
            }
            Self::Saving((a, of_a), (b, of_b)) => {
                let rows = rows(&[runs.values(a, of_a), runs.values(b, of_b)]);
                ratio(&rows).map(saving)
            }
            Self::Spread(settings, measure) => {
                let columns: Vec<_> =
                    settings.iter().map(|&s| runs.values(s, measure)).collect();
                over_rows("spread of means", &rows(&columns), |means| {
                    let high = means.iter().copied().reduce(f64::max);
                    let low = means.iter().copied().reduce(f64::min);
                    high.zip(low).map(|(high, low)| high - low)
                })
            }
            Self::BestSnr(like) => {
                let found = runs.single_snrs(like);
                if found.len() < LEAST_SNRS {
                    return None;
                }
                let columns: Vec<_> = found
                    .iter()
                    .map(|(_, s)| runs.values(*s, Measure::Accuracy))
                    .collect();
                over_rows("best of means", &rows(&columns), |means| {
                    let pairs = means.iter().zip(&found);
                    let best = pairs.max_by(|a, b| a.0.total_cmp(b.0));
                    best.map(|(_, (snr_db, _))| *snr_db)
                })
            }
        }
    }
}

/// One row a seed that all columns have.
fn rows(columns: &[BTreeMap<u64, f64>]) -> Vec<Vec<f64>> {
    let Some(first) = columns.first() else { return Vec::new() };
    first
        .keys()
        .filter_map(|seed| {
            let row = columns.iter().map(|column| column.get(seed).copied());
            row.collect::<Option<Vec<f64>>>()
        })
        .collect()
}

fn with(rows: &[Vec<f64>], statistic: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    rows.iter().map(|row| statistic(row)).collect()
}

/// The mean of one number a seed, with Student's interval.
fn student(values: &[f64], method: &str) -> Option<Estimate> {
    let mean = mean_estimate(values, CONFIDENCE).ok()?;
    Some(Estimate { method: format!("{method}: {}", mean.method), ..mean })
}

/// The first column over the second.
fn ratio(rows: &[Vec<f64>]) -> Option<Estimate> {
    let ratios = with(rows, |row| row[0] / row[1]);
    let mean = mean_of_ratios(&ratios, CONFIDENCE).ok()?;
    let method = format!("paired ratios over seeds: {}", mean.method);
    Some(Estimate { method, ..mean })
}

/// A ratio of times as the share that is saved, percent.
fn saving(ratio: Estimate) -> Estimate {
    Estimate {
        point: 100.0 * (1.0 - ratio.point),
        low: 100.0 * (1.0 - ratio.high),
        high: 100.0 * (1.0 - ratio.low),
        ..ratio
    }
}

/// A statistic of the columns' means, bootstrapped over rows.
fn over_rows(
    name: &str,
    rows: &[Vec<f64>],
    statistic: impl Fn(&[f64]) -> Option<f64>,
) -> Option<Estimate> {
    let width = rows.first()?.len();
    let of_picked = |picked: &[usize]| {
        let means: Vec<f64> = (0..width)
            .map(|column| {
                let sum: f64 = picked.iter().map(|&i| rows[i][column]).sum();
                sum / picked.len() as f64
            })
            .collect();
        statistic(&means).unwrap_or(f64::NAN)
    };
    BOOTSTRAP.rows(&format!("{name} over seeds"), rows.len(), of_picked).ok()
}
