//! Findings: what is said, before anybody decides how it is laid out.
//!
//! Pure: records and predictions in, medians with intervals, pairs, errors
//! and sentences out. The order of the input does not matter: everything is
//! sorted by name first.

mod batching;
mod classes;
mod errors;
mod headlines;
mod labels;
mod measured;
mod memory_by_size;
mod pairs;
mod settings;
mod studies;
mod survey;
mod time_by_class;

use assay_schema::{Outcome, Prediction, Record, Verification};

pub(crate) use batching::{BatchGain, batch_gains};
pub(crate) use classes::{
    Aim, by_class, by_device, by_publisher, class_title, is_language_model,
    judge,
};
pub(crate) use errors::{
    Constants, Errors, beside, constants_of, errors, is_held_out, is_time,
};
pub(crate) use headlines::headlines;
pub(crate) use labels::{Labels, axes_text};
pub(crate) use measured::{Measured, measured};
pub(crate) use memory_by_size::{Peak, SizeGroup, growth, size_groups};
pub(crate) use pairs::{
    ErrorSummary, Pair, error_summary, pairs, validation_rows,
};
pub(crate) use settings::{Setting, settings, tokens};
pub(crate) use studies::{
    MODEL, OverSeeds, Series, Study, StudySetting, WORKLOAD, axis_name,
    axis_words, is_study, name, number, studies,
};
pub use survey::taken_apart;
pub(crate) use survey::{
    AcrossPlaces, Bar, Breakdown, Costed, FitPanel, FitSeries, PartedMemory,
    PrecisionCurve, PrecisionGroup, Quality, Quantity, Reading, Trade,
    across_places, base_of, by_kernel, by_module, fit_panels, has_width,
    parameters, parted_memory, precision_groups, qualities, readings, trades,
    width_rank,
};
pub(crate) use time_by_class::{
    ClassTimes, all_classes, measured_times, predicted_elsewhere,
    predicted_here,
};

use crate::RunData;

/// What one run has to say.
pub(crate) struct RunFindings<'a> {
    pub(crate) data: &'a RunData,
    /// The host's name; made unique where two runs share one.
    pub(crate) machine: String,
    /// All records, by case.
    pub(crate) records: Vec<&'a Record>,
    /// Predictions that are finite, by case, profile, unit and runtime.
    pub(crate) predictions: Vec<&'a Prediction>,
    /// Sound records with their latencies; a training run of a study has
    /// none that a median could stand for.
    pub(crate) measured: Vec<Measured<'a>>,
    /// Measured with predicted, on this machine.
    pub(crate) pairs: Vec<Pair<'a>>,
    pub(crate) counts: Counts,
}

/// How the cases of a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) all: usize,
    /// Finished with a right answer: these are charted.
    pub(crate) sound: usize,
    /// Finished, but no answer was checked.
    pub(crate) unverified: usize,
    /// Finished with a wrong answer.
    pub(crate) wrong: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
    pub(crate) unfinished: usize,
}

/// All runs, oldest first.
pub(crate) fn find(runs: &[RunData]) -> Vec<RunFindings<'_>> {
    let mut sorted: Vec<&RunData> = runs.iter().collect();
    sorted.sort_by(|a, b| {
        let key = |run: &RunData| {
            (
                run.header.started,
                run.header.host.name.clone(),
                run.header.plan.name.clone(),
                run.header.command.clone(),
            )
        };
        key(a).cmp(&key(b))
    });
    let mut names: Vec<String> = Vec::new();
    for run in &sorted {
        names.push(unique_name(&run.header.host.name, &names));
    }
    sorted.into_iter().zip(names).map(|(run, name)| one(run, name)).collect()
}

fn unique_name(name: &str, taken: &[String]) -> String {
    let name = if name.is_empty() { "this machine" } else { name };
    if !taken.iter().any(|other| other == name) {
        return name.to_owned();
    }
    let mut number = 2;
    loop {
        let numbered = format!("{name} ({number})");
        if !taken.contains(&numbered) {
            return numbered;
        }
        number += 1;
    }
}

fn one(data: &RunData, machine: String) -> RunFindings<'_> {
    let mut records: Vec<&Record> = data.records.iter().collect();
    records.sort_by(|a, b| {
        (&a.case, a.started, &a.device).cmp(&(&b.case, b.started, &b.device))
    });
    let mut predictions: Vec<&Prediction> = data
        .predictions
        .iter()
        .filter(|prediction| measured::is_usable(&prediction.latency_s))
        .collect();
    predictions.sort_by(|a, b| {
        (&a.case, &a.axes, &a.profile, &a.unit, a.runtime)
            .cmp(&(&b.case, &b.axes, &b.profile, &b.unit, b.runtime))
    });
    let measured = measured(&records);
    let pairs = pairs(&measured, &predictions);
    let counts = count(&records);
    RunFindings { data, machine, records, predictions, measured, pairs, counts }
}

fn count(records: &[&Record]) -> Counts {
    let mut counts = Counts { all: records.len(), ..Counts::default() };
    for record in records {
        match (&record.outcome, &record.verification) {
            (Outcome::Finished(_), Some(check)) if check.passed() => {
                counts.sound += 1;
            }
            (Outcome::Finished(_), Some(_)) => counts.wrong += 1,
            (Outcome::Finished(_), None) => counts.unverified += 1,
            (Outcome::Failed(_), _) => counts.failed += 1,
            (Outcome::Skipped(_), _) => counts.skipped += 1,
            (Outcome::Unfinished, _) => counts.unfinished += 1,
        }
    }
    counts
}

/// Why a record is not charted; `None` when it is.
pub(crate) fn why_not_charted(
    record: &Record,
) -> Option<(&'static str, String)> {
    match (&record.outcome, &record.verification) {
        (Outcome::Failed(reason), _) => Some(("failed", reason.clone())),
        (Outcome::Skipped(reason), _) => Some(("skipped", reason.clone())),
        (Outcome::Unfinished, _) => Some((
            "unfinished",
            "no end was written: the run was killed, or goes on; run it \
             again with --resume"
                .into(),
        )),
        (Outcome::Finished(_), None) => Some((
            "unverified",
            "its answer was not checked, and a timing needs a right answer"
                .into(),
        )),
        (Outcome::Finished(_), Some(check)) => {
            (!check.passed()).then(|| ("wrong answer", wrong(check)))
        }
    }
}

fn wrong(check: &Verification) -> String {
    format!(
        "off by {:.1e} of the largest magnitude against {}; allowed {:.1e}",
        check.relative_difference, check.against, check.tolerance
    )
}
