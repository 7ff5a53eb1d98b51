//! Records of one study, gathered by what they share, and means over what
//! differs: their seeds.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use assay_schema::{Estimate, Record};
use assay_statistics::{mean_estimate, mean_of_ratios};

/// Confidence of an interval over seeds.
pub(super) const CONFIDENCE: f64 = 0.95;

/// Sound records of one case that differ in the axes of a study's own alone.
pub(super) struct Group<'a> {
    path: &'static str,
    /// Axes but those, and the device.
    shared: (BTreeMap<&'a str, &'a str>, &'a str),
    /// The latest first.
    records: Vec<&'a Record>,
}

/// The sound records of a case, gathered; they may differ in the axes `own`.
pub(super) fn groups<'a>(
    records: &'a [Record],
    path: &'static str,
    own: &[&str],
) -> Vec<Group<'a>> {
    let mut sound: Vec<&Record> = records
        .iter()
        .filter(|record| record.case.path() == path && record.is_sound())
        .collect();
    sound.sort_by_key(|record| Reverse(record.started));
    let mut groups: Vec<Group<'a>> = Vec::new();
    for record in sound {
        let axes: BTreeMap<&str, &str> = record
            .case
            .axes
            .iter()
            .map(|(axis, value)| (axis.as_str(), value.as_str()))
            .filter(|(axis, _)| !own.contains(axis))
            .collect();
        let shared = (axes, record.device.as_str());
        let met = groups.iter_mut().find(|group| group.shared == shared);
        match met {
            Some(group) => group.records.push(record),
            None => {
                groups.push(Group { path, shared, records: vec![record] });
            }
        }
    }
    groups
}

fn seed_of(record: &Record) -> &str {
    record.case.axis("seed").unwrap_or_default()
}

impl Group<'_> {
    /// The value of an axis that all records share.
    pub(super) fn axis(&self, name: &str) -> Option<&str> {
        self.shared.0.get(name).copied()
    }

    /// Of each seed, what the latest record that has something of it says.
    pub(super) fn over_seeds<T>(
        &self,
        of: impl Fn(&Record) -> Option<T>,
    ) -> Vec<T> {
        let seeds: BTreeSet<&str> =
            self.records.iter().map(|record| seed_of(record)).collect();
        seeds
            .into_iter()
            .filter_map(|seed| {
                self.records
                    .iter()
                    .copied()
                    .filter(|record| seed_of(record) == seed)
                    .find_map(&of)
            })
            .collect()
    }

    /// An estimate that says what it is of and under what conditions.
    pub(super) fn labelled(&self, estimate: Estimate, what: &str) -> Estimate {
        let (axes, device) = &self.shared;
        let mut conditions = self.path.to_owned();
        for (axis, value) in axes {
            conditions.push_str(&format!(" {axis}={value}"));
        }
        let method =
            format!("{}; {what}; {conditions} on {device}", estimate.method);
        Estimate { method, ..estimate }
    }
}

/// The last value of a metric at these places, whatever its other places.
pub(super) fn value_at(
    record: &Record,
    metric: &str,
    places: &[(&str, &str)],
) -> Option<f64> {
    values_at(record, metric, places).map(|(_, value)| value).last()
}

/// The finite values of a metric at these places, with all their places.
pub(super) fn values_at<'a>(
    record: &'a Record,
    metric: &'a str,
    places: &'a [(&'a str, &'a str)],
) -> impl Iterator<Item = (&'a BTreeMap<String, String>, f64)> + 'a {
    record.metric_values(metric).filter(move |(at, value)| {
        value.is_finite()
            && places
                .iter()
                .all(|(axis, place)| at.get(*axis).is_some_and(|p| p == place))
    })
}

/// What a single seed says, without an interval of seeds.
fn single(value: f64) -> Estimate {
    Estimate {
        point: value,
        low: value,
        high: value,
        confidence: CONFIDENCE,
        n: 1,
        method: "one seed".to_owned(),
    }
}

/// The mean over seeds, with Student's interval from two on.
pub(super) fn mean(values: &[f64]) -> Option<Estimate> {
    match values {
        [value] => Some(single(*value)),
        values => mean_estimate(values, CONFIDENCE).ok(),
    }
}

/// The geometric mean over seeds; `None` where one is not above 0.
pub(super) fn mean_ratio(ratios: &[f64]) -> Option<Estimate> {
    match ratios {
        [ratio] if *ratio > 0.0 => Some(single(*ratio)),
        [_] => None,
        ratios => mean_of_ratios(ratios, CONFIDENCE).ok(),
    }
}
