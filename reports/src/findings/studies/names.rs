//! Names of settings and axes, as a reader says them.

use std::collections::BTreeSet;

use assay_schema::Case;

use crate::document::printable;

/// The name of the model among the axes that differ.
pub(crate) const MODEL: &str = "model";
/// The name of the workload among them.
pub(crate) const WORKLOAD: &str = "workload";

/// A finite number.
pub(crate) fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// What tells a setting from the others: `cnn, training SNR 10 dB`.
pub(crate) fn name(
    case: &Case,
    differing: &BTreeSet<String>,
    left_out: &[&str],
) -> String {
    let said =
        |axis: &str| differing.contains(axis) && !left_out.contains(&axis);
    let mut parts = Vec::new();
    if said(WORKLOAD) {
        parts.push(case.workload.clone());
    }
    if said(MODEL) {
        parts.push(case.model.clone());
    }
    parts.extend(
        case.axes
            .iter()
            .filter(|(axis, _)| said(axis))
            .map(|(axis, value)| axis_words(axis, value)),
    );
    if parts.is_empty() {
        parts.push(case.model.clone());
    }
    printable(&parts.join(", "))
}

/// An axis in words, and its unit: `train_snr_db` is `training SNR`, dB.
pub(crate) fn axis_name(axis: &str) -> (String, &'static str) {
    let (stem, unit) = [("_db", "dB"), ("_mhz", "MHz"), ("_s", "s")]
        .into_iter()
        .find_map(|(end, unit)| Some((axis.strip_suffix(end)?, unit)))
        .unwrap_or((axis, ""));
    let words: Vec<&str> = stem
        .split('_')
        .map(|word| match word {
            "snr" => "SNR",
            "train" => "training",
            word => word,
        })
        .collect();
    (printable(&words.join(" ")), unit)
}

/// `training SNR 10 dB`.
pub(crate) fn axis_words(axis: &str, value: &str) -> String {
    let (name, unit) = axis_name(axis);
    match number(value) {
        Some(_) if !unit.is_empty() => format!("{name} {value} {unit}"),
        _ => format!("{name} {value}"),
    }
}
