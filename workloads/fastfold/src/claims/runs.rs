//! Records and predictions in one shape, as the claims look at them.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use assay_schema::{
    ClaimData, Estimate, Prediction, Record, Runtime, glob_matches,
};
use assay_statistics::median_estimate;

/// Axis to value, both as written.
pub(super) type Axes = BTreeMap<String, String>;

/// A case that was measured or predicted.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// The case without its axes.
    pub(super) path: String,
    pub(super) axes: Axes,
    /// Device measured on, or profile predicted for.
    pub(super) place: String,
    pub(super) data: ClaimData,
    /// Seconds: the median of the steady samples, or the predicted latency.
    pub(super) time: Option<Estimate>,
    /// Memory at its peak, bytes.
    pub(super) peak: Option<f64>,
    pub(super) parameters: Option<f64>,
    pub(super) flops: Option<f64>,
    /// Whether the peak fits the place's memory, where that is known.
    pub(super) fits: Option<bool>,
}

/// What runs have in common: path, place, and axes.
pub(super) type Shared = (String, String, Axes);

/// Which cases a claim is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Like {
    /// The case without its axes; `*` stands for anything.
    pub(super) path: &'static str,
    /// Axes that are fixed.
    pub(super) axes: &'static [(&'static str, &'static str)],
}

/// All that may judge: sound records, of a case that was run twice the later;
/// and predictions, of several runtimes the eager one, since FastFold runs in
/// eager PyTorch, and what fits its profile first. The tiny architecture is no
/// AlphaFold and judges nothing.
pub(super) fn runs(records: &[Record], predictions: &[Prediction]) -> Vec<Run> {
    let mut sound: Vec<&Record> = records
        .iter()
        .filter(|record| record.case.workload == "fastfold")
        .filter(|record| record.is_sound())
        .collect();
    sound.sort_by_key(|record| Reverse(record.started));
    let mut predicted: Vec<&Prediction> = predictions
        .iter()
        .filter(|prediction| prediction.case.starts_with("fastfold/"))
        .collect();
    predicted
        .sort_by_key(|p| (p.runtime != Runtime::Eager, p.fits == Some(false)));
    let measured = sound.into_iter().map(Run::measured);
    let predicted = predicted.into_iter().map(Run::predicted);
    let mut runs: Vec<Run> = Vec::new();
    for run in measured.chain(predicted) {
        let is_tiny = glob_matches("fastfold/tiny/*", &run.path);
        let is_met = runs.iter().any(|met| met.is_again(&run));
        if !is_tiny && !is_met {
            runs.push(run);
        }
    }
    runs
}

impl Run {
    fn measured(record: &Record) -> Self {
        let steps = record.steady_samples("step");
        let work = record.work.as_ref();
        Self {
            path: record.case.path(),
            axes: record.case.axes.clone(),
            place: record.device.clone(),
            data: ClaimData::Generated,
            time: median_estimate(&steps, 0.95).ok(),
            peak: record.metric("memory_peak"),
            parameters: work.map(|work| work.parameters as f64),
            flops: work.map(|work| work.flops.value()),
            fits: None,
        }
    }

    fn predicted(prediction: &Prediction) -> Self {
        Self {
            path: prediction.case.clone(),
            axes: prediction.axes.clone(),
            place: prediction.profile.clone(),
            data: ClaimData::Predicted,
            time: Some(prediction.latency_s.clone()),
            peak: Some(prediction.memory_peak_bytes.value()),
            parameters: Some(prediction.parameters as f64),
            flops: Some(prediction.flops.value()),
            fits: prediction.fits,
        }
    }

    fn is_again(&self, other: &Self) -> bool {
        self.data == other.data
            && self.path == other.path
            && self.place == other.place
            && self.axes == other.axes
    }

    /// Whether it is one of those cases.
    pub(super) fn is(&self, like: &Like) -> bool {
        glob_matches(like.path, &self.path)
            && like.axes.iter().all(|(axis, value)| {
                self.axis(axis).is_some_and(|found| found == *value)
            })
    }

    /// Whether it has these axes, and perhaps others.
    pub(super) fn has(&self, axes: &Axes) -> bool {
        axes.iter().all(|(axis, value)| self.axes.get(axis) == Some(value))
    }

    /// The value of an axis.
    pub(super) fn axis(&self, name: &str) -> Option<&str> {
        self.axes.get(name).map(String::as_str)
    }

    /// The value of an axis that is a number.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.axis(name)?.parse().ok()
    }

    /// Whether its memory was limited, which is what chunks are for.
    pub(super) fn is_limited(&self) -> bool {
        self.number("memory_limit").is_some_and(|limit| limit > 0.0)
    }

    /// Sequences times residues.
    pub(super) fn size(&self) -> f64 {
        let count = |axis| self.number(axis).unwrap_or(1.0);
        count("sequences") * count("residues")
    }

    /// Everything but these axes.
    pub(super) fn without(&self, dropped: &[&str]) -> Shared {
        let mut axes = self.axes.clone();
        axes.retain(|axis, _| !dropped.contains(&axis.as_str()));
        (self.path.clone(), self.place.clone(), axes)
    }

    /// The case and its place, for a reader of an estimate.
    pub(super) fn label(&self) -> String {
        let mut label = self.path.clone();
        for (axis, value) in &self.axes {
            label.push_str(&format!(" {axis}={value}"));
        }
        format!("{label} on {}", self.place)
    }
}
