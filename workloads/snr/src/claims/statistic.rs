//! Statistics over seeds, with their intervals.

use std::collections::BTreeSet;

use assay_schema::{Estimate, Record};
use assay_statistics::{mean_estimate, mean_of_ratios};

use super::runs::{Group, Setting, Snrs, What};
use crate::Strategy;

/// What is computed of a group of runs. Settings are compared at the test
/// SNRs that every seed has of all of them.
#[derive(Clone, Debug)]
pub(super) enum Statistic {
    /// Mean accuracy, percent; `complete` asks for every SNR of the range.
    Accuracy { of: Setting, within: Snrs, complete: bool },
    /// Mean accuracy of some settings less that of others, points; `complete`
    /// asks for every SNR of the range.
    Gain { of: Vec<Setting>, over: Vec<Setting>, within: Snrs, complete: bool },
    /// Training time on all SNRs over that of so many single-SNR networks.
    Speed { networks: f64 },
    /// Gain of bagging on the smallest share that was run less that on the
    /// largest, points.
    Shrinking { within: Snrs },
    /// How many SNRs boosting chose for a test SNR.
    Chosen,
    /// Time of boosting's search over that of the training it leads to.
    Search,
}

/// All SNRs of either set.
pub(super) const EVERY: Snrs = (-20, 20);

impl Statistic {
    /// Its value for a group; `None` with fewer than two seeds.
    pub(super) fn of(&self, group: &Group<'_>) -> Option<Estimate> {
        match self {
            Self::Accuracy { of, within, complete } => {
                let table = Table::new(group, What::Accuracy, &[*of], *within)?;
                if *complete && table.snrs_db != group.snrs(*within) {
                    return None;
                }
                table.mean(|row| 100.0 * row[0])
            }
            Self::Gain { of, over, within, complete } => {
                let all: Vec<Setting> =
                    of.iter().chain(over).copied().collect();
                let table = Table::new(group, What::Accuracy, &all, *within)?;
                if *complete && table.snrs_db != group.snrs(*within) {
                    return None;
                }
                table.mean(|row| {
                    let (of, over) = row.split_at(of.len());
                    100.0 * (mean(of) - mean(over))
                })
            }
            Self::Speed { networks } => {
                let sides = [Strategy::All, Strategy::Single].map(Setting::of);
                let table = Table::new(group, What::Time, &sides, EVERY)?;
                table.ratio(|row| row[0] / (networks * row[1]))
            }
            Self::Shrinking { within } => shrinking(group, *within),
            Self::Chosen => {
                let counts = over_boosted(group, chosen);
                over_seeds(&counts, "mean over seeds")
            }
            Self::Search => {
                let ratios = over_boosted(group, search);
                ratio_over_seeds(&ratios, "geometric mean over seeds")
            }
        }
    }
}

/// For each seed, the mean of each setting over the shared test SNRs.
struct Table {
    snrs_db: Vec<i8>,
    rows: Vec<Vec<f64>>,
}

/// Seeds that have all the settings somewhere, and the test SNRs at which
/// every one of them does.
fn shared(
    group: &Group<'_>,
    what: What,
    settings: &[Setting],
    within: Snrs,
) -> (Vec<u64>, Vec<i8>) {
    let mut seeds = Vec::new();
    let mut snrs = group.snrs(within);
    for seed in group.seeds() {
        let has = |snr: i8| {
            settings
                .iter()
                .all(|&one| group.value(what, one, seed, snr).is_some())
        };
        let own: Vec<i8> =
            group.snrs(within).into_iter().filter(|&snr| has(snr)).collect();
        if !own.is_empty() {
            seeds.push(seed);
            snrs.retain(|snr| own.contains(snr));
        }
    }
    (seeds, snrs)
}

impl Table {
    fn new(
        group: &Group<'_>,
        what: What,
        settings: &[Setting],
        within: Snrs,
    ) -> Option<Self> {
        let (seeds, snrs_db) = shared(group, what, settings, within);
        if snrs_db.is_empty() {
            return None;
        }
        let rows = seeds
            .into_iter()
            .map(|seed| {
                let over_snrs = |&setting: &Setting| {
                    let values: Option<Vec<f64>> = snrs_db
                        .iter()
                        .map(|&snr| group.value(what, setting, seed, snr))
                        .collect();
                    values.map(|values| mean(&values))
                };
                settings.iter().map(over_snrs).collect::<Option<Vec<f64>>>()
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Self { snrs_db, rows })
    }

    fn each(&self, of: impl Fn(&[f64]) -> f64) -> Vec<f64> {
        self.rows.iter().map(|row| of(row)).collect()
    }

    fn mean(&self, of: impl Fn(&[f64]) -> f64) -> Option<Estimate> {
        let name = format!("mean over seeds at {}", listed(&self.snrs_db));
        over_seeds(&self.each(of), &name)
    }

    fn ratio(&self, of: impl Fn(&[f64]) -> f64) -> Option<Estimate> {
        let snrs = listed(&self.snrs_db);
        let name = format!("geometric mean over seeds at {snrs}");
        ratio_over_seeds(&self.each(of), &name)
    }
}

fn listed(snrs_db: &[i8]) -> String {
    match snrs_db {
        [] => String::new(),
        [one] => format!("{one} dB"),
        [first, .., last] => {
            let count = snrs_db.len();
            format!("{count} SNRs from {first} to {last} dB")
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The mean with the interval of Student's law.
fn over_seeds(values: &[f64], name: &str) -> Option<Estimate> {
    let mean = mean_estimate(values, 0.95).ok()?;
    Some(Estimate { method: format!("{name}: {}", mean.method), ..mean })
}

/// The same on a logarithmic scale.
fn ratio_over_seeds(ratios: &[f64], name: &str) -> Option<Estimate> {
    let mean = mean_of_ratios(ratios, 0.95).ok()?;
    Some(Estimate { method: format!("{name}: {}", mean.method), ..mean })
}

fn shrinking(group: &Group<'_>, within: Snrs) -> Option<Estimate> {
    let shares = group.shares(Strategy::Bagged);
    let [least, .., most] = shares.as_slice() else { return None };
    let settings = [
        Setting::share(Strategy::Bagged, *least),
        Setting::share(Strategy::Single, *least),
        Setting::share(Strategy::Bagged, *most),
        Setting::share(Strategy::Single, *most),
    ];
    let table = Table::new(group, What::Accuracy, &settings, within)?;
    let mut estimate =
        table.mean(|row| 100.0 * ((row[0] - row[1]) - (row[2] - row[3])))?;
    let shares = format!(", shares of {least} and {most}");
    estimate.method.push_str(&shares);
    Some(estimate)
}

/// A number of a seed's boosting, for each seed that has it.
fn over_boosted(
    group: &Group<'_>,
    of: impl Fn(&[&Record]) -> Option<f64>,
) -> Vec<f64> {
    let boosted = Setting::of(Strategy::Boosted);
    group
        .seeds()
        .into_iter()
        .filter_map(|seed| {
            let records: Vec<&Record> = group.records(boosted, seed).collect();
            of(&records)
        })
        .collect()
}

/// SNRs chosen for a test SNR, on average.
fn chosen(records: &[&Record]) -> Option<f64> {
    let mut choices: BTreeSet<(&str, &str)> = BTreeSet::new();
    for record in records {
        for (at, _) in record.metric_values("quality/chosen_snr") {
            let target = at.get("test_snr_db")?.as_str();
            choices.insert((target, at.get("rank")?.as_str()));
        }
    }
    let targets: BTreeSet<&str> =
        choices.iter().map(|(target, _)| *target).collect();
    let any = !targets.is_empty();
    any.then(|| choices.len() as f64 / targets.len() as f64)
}

/// Search time over training time.
fn search(records: &[&Record]) -> Option<f64> {
    let (mut searched, mut trained) = (0.0, 0.0);
    for record in records {
        searched += record.metric("quality/search_time")?;
        trained += record
            .metric("quality/training_time_total")
            .or_else(|| record.metric("quality/training_time"))?;
    }
    (searched > 0.0 && trained > 0.0).then(|| searched / trained)
}
