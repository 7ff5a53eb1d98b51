//! Records of one study, gathered by what they share, and means over what
//! differs: their seeds. Both are the harness's (`assay_statistics`); here is
//! how confident they are, and which values of a record are asked for.

use std::collections::BTreeMap;

pub(super) use assay_statistics::Study as Group;

use assay_schema::{Estimate, Record};
use assay_statistics::{mean_over_seeds, ratio_over_seeds, studies};

/// Confidence of an interval over seeds.
pub(super) const CONFIDENCE: f64 = 0.95;

/// The sound records of a case, gathered; they may differ in the axes `own`.
pub(super) fn groups<'a>(
    records: &'a [Record],
    path: &str,
    own: &[&str],
) -> Vec<Group<'a>> {
    studies(records, &[path], own)
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

/// The mean over seeds, with Student's interval from two on.
pub(super) fn mean(values: &[f64]) -> Option<Estimate> {
    mean_over_seeds(values, CONFIDENCE).ok()
}

/// The geometric mean over seeds; `None` where one is not above 0.
pub(super) fn mean_ratio(ratios: &[f64]) -> Option<Estimate> {
    ratio_over_seeds(ratios, CONFIDENCE).ok()
}
