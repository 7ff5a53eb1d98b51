//! What a stage of the search tells: metrics, and what later stages need of
//! it; into a file, back from it, and into the record.

use assay_measure::Watch;
use assay_schema::{Better, Metric, Reading, Seconds};
use serde::{Deserialize, Serialize};

/// What a stage told; stands in its file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Told {
    /// What it took, s; 0 where nothing was made.
    pub(super) seconds: f64,
    /// For the record.
    pub(super) metrics: Vec<Metric>,
    /// Loss on held-out text, where something was trained.
    #[serde(default)]
    pub(super) loss: Option<f64>,
    /// Share of closed gates of each layer, where they were counted.
    #[serde(default)]
    pub(super) zeros: Option<Vec<f64>>,
}

/// A metric with a value, at places of its own axes.
pub(super) fn metric(
    name: &str,
    unit: &str,
    better: Better,
    value: f64,
    at: &[(&str, String)],
) -> Metric {
    let at = at.iter().map(|(axis, place)| (*axis, place));
    Metric::value(name, unit, better, value).at(at)
}

/// The arithmetic mean; NaN of nothing, which a record keeps as unavailable.
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Places as a metric takes them.
pub(super) fn place<'a>(at: &[(&'a str, &str)]) -> Vec<(&'a str, String)> {
    at.iter().map(|(axis, place)| (*axis, (*place).to_owned())).collect()
}

/// The values of a metric at some places, in order.
pub(super) fn values(
    metrics: &[Metric],
    name: &str,
    at: &[(&str, &str)],
) -> Vec<f64> {
    let is_there = |own: &&Metric| {
        own.name == name
            && at.iter().all(|(axis, place)| {
                own.at.get(*axis).is_some_and(|found| found == place)
            })
    };
    metrics
        .iter()
        .filter(is_there)
        .filter_map(|own| match own.reading {
            Reading::Value(value) => Some(value),
            Reading::Unavailable(_) => None,
        })
        .collect()
}

/// What a stage told, into the record: its time as the part `part`, where it
/// took any, and its metrics.
pub(super) fn report(
    watch: &mut Watch<'_>,
    part: Option<&'static str>,
    told: Told,
) {
    if let Some(part) = part.filter(|_| told.seconds > 0.0) {
        watch.record(part, Seconds(told.seconds));
    }
    for metric in told.metrics {
        watch.tell(metric);
    }
}
