//! Settings: the axes under which models are compared with each other, such
//! as "decode, batch 1, context 128".
//!
//! Precision is no part of a setting: a phone runs 4-bit weights where a
//! server runs f16, and the comparison names the precision beside the number.

use std::collections::{BTreeMap, BTreeSet};

use assay_schema::Case;

use super::{RunFindings, axes_text, is_study};
use crate::document::printable;

/// A phase with every axis but the precision.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Setting {
    pub(crate) phase: String,
    pub(crate) axes: BTreeMap<String, String>,
}

impl Setting {
    /// The setting of a case; `None` for an operator, which has no phase.
    pub(crate) fn of(case: &Case) -> Option<Self> {
        let mut axes = case.axes.clone();
        axes.remove("precision");
        Some(Self { phase: case.phase.clone()?, axes })
    }

    /// `decode, batch 1, context 128`.
    pub(crate) fn text(&self) -> String {
        let axes = axes_text(&self.axes);
        if axes.is_empty() {
            return printable(&self.phase);
        }
        printable(&format!("{}, {axes}", self.phase))
    }
}

/// The settings of all cases, by phase in the order in which a model is used,
/// and within a phase those with most models first.
pub(crate) fn settings(runs: &[RunFindings<'_>]) -> Vec<Setting> {
    let mut models: BTreeMap<Setting, BTreeSet<String>> = BTreeMap::new();
    let mut note = |case: &Case| {
        if let Some(setting) = Setting::of(case) {
            models.entry(setting).or_default().insert(case.model.clone());
        }
    };
    for run in runs {
        run.measured.iter().for_each(|m| note(&m.record.case));
        run.predictions
            .iter()
            .filter_map(|prediction| prediction.full_case())
            .filter(|case| !is_study(case))
            .for_each(|case| note(&case));
    }
    let mut sorted: Vec<(Setting, usize)> = models
        .into_iter()
        .map(|(setting, models)| (setting, models.len()))
        .collect();
    sorted.sort_by(|(a, models_a), (b, models_b)| {
        (phase_rank(&a.phase), &a.phase, models_b, a).cmp(&(
            phase_rank(&b.phase),
            &b.phase,
            models_a,
            b,
        ))
    });
    sorted.into_iter().map(|(setting, _)| setting).collect()
}

/// Where a phase stands in the use of a model; unknown ones come last.
pub(super) fn phase_rank(phase: &str) -> usize {
    ["encode", "prefill", "decode", "generate", "forward", "train-step"]
        .iter()
        .position(|known| *known == phase)
        .unwrap_or(usize::MAX)
}

/// The axis of models that see: tiles of a picture, each of as many visual
/// tokens as its model makes of one, which no case says.
const TILES: &str = "tiles";

/// Tokens that one run of the phase handles: all prompt tokens of a prefill,
/// one a batch row of a decode step; `None` where no count applies, as of a
/// prefill that reads pictures before its words.
pub(crate) fn tokens(case: &Case) -> Option<f64> {
    let number = |axis: &str| case.axis(axis)?.parse::<f64>().ok();
    let batch = match case.axis("batch") {
        Some(_) => number("batch")?,
        None => 1.0,
    };
    match case.phase.as_deref()? {
        "prefill" if case.axis(TILES).is_some() => None,
        "prefill" => Some(batch * number("prompt")?),
        "decode" => Some(batch),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_follow_the_contract_of_each_phase() {
        let count = |text: &str| tokens(&text.parse().unwrap());
        assert_eq!(count("slm/a/prefill batch=2 prompt=128"), Some(256.0));
        assert_eq!(count("slm/a/decode batch=4 context=9"), Some(4.0));
        assert_eq!(count("slm/a/train-step batch=4"), None);
        assert_eq!(count("slm/a/prefill"), None);
        assert_eq!(count("mstar/a/prefill prompt=32 tiles=13"), None);
        assert_eq!(count("mstar/a-language/prefill prompt=32"), Some(32.0));
        assert_eq!(count("operators/softmax"), None);
    }

    #[test]
    fn a_setting_leaves_the_precision_out() {
        let case = "slm/a/decode batch=1 precision=f16".parse().unwrap();
        assert_eq!(Setting::of(&case).unwrap().text(), "decode, batch 1");
    }
}
