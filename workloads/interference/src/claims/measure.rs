//! What a claim takes from one record.

use std::collections::{BTreeMap, BTreeSet};

use assay_schema::Record;

/// Pairs of classes: the right one, and the one that was answered.
pub(super) type Pairs = [(&'static str, &'static str)];

/// A number of one record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Measure {
    /// Accuracy over all test SNRs.
    Accuracy,
    /// Accuracy of a technology.
    Of(&'static str),
    /// Accuracy of a technology at an SNR, dB.
    OfAt(&'static str, i32),
    /// Mean accuracy from an SNR up, dB.
    UpFrom(i32),
    /// Share of the errors that is made below an SNR, dB.
    ErrorsBelow(i32),
    /// Mean rate of some confusions.
    Confused(&'static Pairs),
    /// Mean rate of some confusions minus that of all others.
    ConfusedMore(&'static Pairs),
    /// Training time up to the chosen epoch.
    TrainingTime,
    /// Training time of an epoch.
    EpochTime,
}

/// The name of accuracies.
pub(super) const ACCURACY: &str = "quality/accuracy";
/// The name of counts of answers.
pub(super) const CONFUSION: &str = "quality/confusion";

impl Measure {
    /// The number, where the record has it.
    pub(super) fn of(self, record: &Record) -> Option<f64> {
        match self {
            Self::Accuracy => record.metric(ACCURACY),
            Self::Of(technology) => {
                record.metric_at(ACCURACY, &[("technology", technology)])
            }
            Self::OfAt(technology, snr_db) => {
                let snr_db = snr_db.to_string();
                let at =
                    [("technology", technology), ("snr_db", snr_db.as_str())];
                record.metric_at(ACCURACY, &at)
            }
            Self::UpFrom(least) => {
                let by_snr = by_snr(record);
                let own: Vec<f64> =
                    by_snr.range(least..).map(|(_, share)| *share).collect();
                mean(&own)
            }
            Self::ErrorsBelow(limit) => {
                // The test set has equally many snapshots at every SNR.
                let by_snr = by_snr(record);
                let errors = |(_, share): (&i32, &f64)| 1.0 - share;
                let below: f64 = by_snr.range(..limit).map(errors).sum();
                let all: f64 = by_snr.iter().map(errors).sum();
                (all > 0.0).then(|| below / all)
            }
            Self::Confused(pairs) => Confusion::of(record).mean_rate(pairs),
            Self::ConfusedMore(pairs) => {
                let confusion = Confusion::of(record);
                let own = confusion.mean_rate(pairs)?;
                Some(own - confusion.mean_rate_of_others(pairs))
            }
            Self::TrainingTime => record.metric("quality/training_time"),
            Self::EpochTime => record.metric("quality/epoch_time"),
        }
    }
}

/// Accuracy over all classes, by SNR in dB.
fn by_snr(record: &Record) -> BTreeMap<i32, f64> {
    record
        .metric_values(ACCURACY)
        .filter(|(at, _)| at.len() == 1)
        .filter_map(|(at, share)| {
            Some((at.get("snr_db")?.parse::<i32>().ok()?, share))
        })
        .collect()
}

/// `None` without a value.
pub(super) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty())
        .then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Answers by right class and given class, over all SNRs.
struct Confusion<'a> {
    counts: BTreeMap<(&'a str, &'a str), f64>,
    totals: BTreeMap<&'a str, f64>,
}

impl<'a> Confusion<'a> {
    fn of(record: &'a Record) -> Self {
        let mut counts: BTreeMap<(&str, &str), f64> = BTreeMap::new();
        for (at, count) in record.metric_values(CONFUSION) {
            if let (Some(right), Some(given)) =
                (at.get("true"), at.get("predicted"))
            {
                counts.insert((right.as_str(), given.as_str()), count);
            }
        }
        let mut totals: BTreeMap<&str, f64> = BTreeMap::new();
        for (&(right, _), count) in &counts {
            *totals.entry(right).or_insert(0.0) += count;
        }
        Self { counts, totals }
    }

    /// The share of a class's snapshots that were answered with another; a
    /// pair that was never counted has rate 0.
    fn rate(&self, right: &str, given: &str) -> Option<f64> {
        let total = self.totals.get(right).filter(|total| **total > 0.0)?;
        let count = self.counts.get(&(right, given)).copied();
        Some(count.unwrap_or(0.0) / total)
    }

    fn mean_rate(&self, pairs: &Pairs) -> Option<f64> {
        let rates: Option<Vec<f64>> = pairs
            .iter()
            .map(|(right, given)| self.rate(right, given))
            .collect();
        mean(&rates?)
    }

    /// Over all pairs of different classes but these; 0 where there are none.
    fn mean_rate_of_others(&self, pairs: &Pairs) -> f64 {
        let classes: BTreeSet<&str> = self
            .counts
            .keys()
            .flat_map(|&(right, given)| [right, given])
            .collect();
        let all = classes.len() * classes.len().saturating_sub(1);
        let others = all.saturating_sub(pairs.len());
        if others == 0 {
            return 0.0;
        }
        let is_named = |right: &str, given: &str| {
            pairs.iter().any(|&(a, b)| a == right && b == given)
        };
        let sum: f64 = self
            .counts
            .keys()
            .filter(|(right, given)| right != given && !is_named(right, given))
            .filter_map(|(right, given)| self.rate(right, given))
            .sum();
        sum / others as f64
    }
}
