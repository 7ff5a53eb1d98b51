//! What was measured: a sound record's samples as a median with an interval.

use assay_schema::{Estimate, Record};

use super::is_study;

/// Confidence of every measured interval in a report.
pub(crate) const CONFIDENCE: f64 = 0.95;

/// The part whose samples span the whole of the work.
const WHOLE: &str = "step";

/// One part of one sound record.
#[derive(Clone, Debug)]
pub(crate) struct Measured<'a> {
    pub(crate) record: &'a Record,
    pub(crate) part: &'a str,
    /// Whether the part is the whole case, which predictions speak of.
    pub(crate) whole: bool,
    /// Seconds.
    pub(crate) latency: Estimate,
}

/// Every part of every sound record that has enough samples for an interval.
/// A study's samples are its epochs, which have no steady time: it stays out.
pub(crate) fn measured<'a>(records: &[&'a Record]) -> Vec<Measured<'a>> {
    let sound = records
        .iter()
        .filter(|record| record.is_sound() && !is_study(&record.case));
    sound.flat_map(|record| parts(record)).collect()
}

fn parts(record: &Record) -> Vec<Measured<'_>> {
    let names = record.parts();
    let alone = names.len() == 1;
    names
        .into_iter()
        .filter_map(|part| {
            let samples = record.steady_samples(part);
            let latency =
                assay_statistics::median_estimate(&samples, CONFIDENCE).ok()?;
            is_usable(&latency).then_some(Measured {
                record,
                part,
                whole: alone || part == WHOLE,
                latency,
            })
        })
        .collect()
}

/// Whether a latency can be drawn and divided by: finite and above zero.
pub(crate) fn is_usable(latency: &Estimate) -> bool {
    [latency.point, latency.low, latency.high]
        .iter()
        .all(|value| value.is_finite() && *value > 0.0)
}
