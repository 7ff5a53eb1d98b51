//! A survey's findings: many models of one workload side by side, in what
//! was measured, predicted and published of them.
//!
//! Everything starts from [`Reading`]s: one number of one case at one place,
//! of one provenance. The three provenances are never averaged, and no line
//! is fitted through two of them. Which workload it is makes no difference:
//! what is compared follows from the records, predictions and published
//! points that are there.

mod breakdown;
mod capability;
mod fits;
mod hardware;
mod memory_parts;
mod precisions;
mod quality;

use std::collections::{BTreeMap, BTreeSet};

use assay_schema::{
    Case, Estimate, Prediction, Provenance, PublishedPoint, Record,
};

pub(crate) use breakdown::{Bar, Breakdown, by_kernel, by_module};
pub(crate) use capability::{Costed, Trade, trades};
pub(crate) use fits::{FitPanel, FitSeries, fit_panels};
pub(crate) use hardware::{AcrossPlaces, across_places};
pub(crate) use memory_parts::{PartedMemory, parted_memory};
pub(crate) use precisions::{
    PrecisionCurve, PrecisionGroup, base_of, precision_groups, width_rank,
};
pub(crate) use quality::{Quality, qualities};

use super::measured::is_usable;
use super::pairs::HOST;
use super::settings::phase_rank;
use super::{RunFindings, Setting, is_study};

pub use breakdown::taken_apart;

/// Models of one setting that make a survey; fewer are a comparison, which
/// other sections show.
pub(crate) const LEAST_MODELS: usize = 6;

/// The name of a published time of one token.
const PER_TOKEN: &[&str] = &["time_per_output_token"];

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Quantity {
    /// Of one pass, seconds.
    Time,
    /// At its peak, bytes.
    Memory,
}

impl Quantity {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Time, Self::Memory];

    /// The unit of its readings.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Time => "s",
            Self::Memory => "B",
        }
    }

    /// The names under which it is published.
    fn published_as(self) -> &'static [&'static str] {
        match self {
            Self::Time => &["time"],
            Self::Memory => &["memory_peak", "memory"],
        }
    }

    /// A published value in its unit; `None` for a unit of something else.
    fn in_unit(self, value: f64, unit: &str) -> Option<f64> {
        let factor = match (self, unit) {
            (Self::Time, "s") | (Self::Memory, "B") => 1.0,
            (Self::Time, "ms") => 1e-3,
            (Self::Time, "us" | "µs") => 1e-6,
            (Self::Memory, "kB") => 1e3,
            (Self::Memory, "MB") => 1e6,
            (Self::Memory, "GB") => 1e9,
            (Self::Memory, "KiB") => 1024.0,
            (Self::Memory, "MiB") => 1024.0 * 1024.0,
            (Self::Memory, "GiB") => 1024.0 * 1024.0 * 1024.0,
            _ => return None,
        };
        Some(value * factor)
    }
}

/// One number of one case at one place.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) provenance: Provenance,
    /// Where the plan names the place; the first come first.
    pub(crate) rank: usize,
    /// The machine that measured, the profile and unit predicted for, or the
    /// machine of the publication.
    pub(crate) place: String,
    pub(crate) case: Case,
    /// In the quantity's unit; without a width where no interval is known.
    pub(crate) value: Estimate,
}

impl Reading {
    /// The case's number format; empty where it names none.
    pub(crate) fn precision(&self) -> &str {
        self.case.axis("precision").unwrap_or_default()
    }
}

/// Whether an estimate has a width.
pub(crate) fn has_width(value: &Estimate) -> bool {
    value.low < value.high
}

/// A number without an interval.
fn exact(value: f64, method: &str) -> Estimate {
    Estimate {
        point: value,
        low: value,
        high: value,
        confidence: 1.0,
        n: 0,
        method: method.to_owned(),
    }
}

/// All readings of a quantity: measured, predicted, published; each case once
/// at each place, by provenance, place in the plan, place and case.
pub(crate) fn readings(
    runs: &[RunFindings<'_>],
    quantity: Quantity,
) -> Vec<Reading> {
    let mut all: Vec<Reading> = Vec::new();
    for run in runs {
        all.extend(measured(run, quantity));
        all.extend(predicted(run, quantity));
        all.extend(published(run, quantity, quantity.published_as()));
    }
    once_each(all)
}

/// Published times of one token of a generation, seconds, as [`readings`].
fn published_per_token(runs: &[RunFindings<'_>]) -> Vec<Reading> {
    let mut all: Vec<Reading> = Vec::new();
    for run in runs {
        all.extend(published(run, Quantity::Time, PER_TOKEN));
    }
    once_each(all)
}

/// Usable readings in order. Several runs predict the same, and several
/// sources print the same: each stands once.
fn once_each(mut all: Vec<Reading>) -> Vec<Reading> {
    all.retain(|one| is_usable(&one.value) && !is_study(&one.case));
    all.sort_by(|a, b| {
        (a.provenance, a.rank, &a.place, &a.case)
            .cmp(&(b.provenance, b.rank, &b.place, &b.case))
            // Of several sources the first by name, not the smallest value.
            .then_with(|| a.value.method.cmp(&b.value.method))
            .then_with(|| a.value.point.total_cmp(&b.value.point))
    });
    all.dedup_by(|next, kept| {
        (next.provenance, &next.place, &next.case)
            == (kept.provenance, &kept.place, &kept.case)
    });
    all
}

fn measured(run: &RunFindings<'_>, quantity: Quantity) -> Vec<Reading> {
    let of = |record: &Record, value: Estimate| Reading {
        provenance: Provenance::Measured,
        rank: 0,
        place: run.machine.clone(),
        case: record.case.clone(),
        value,
    };
    match quantity {
        Quantity::Time => run
            .measured
            .iter()
            .filter(|one| one.whole)
            .map(|one| of(one.record, one.latency.clone()))
            .collect(),
        Quantity::Memory => run
            .records
            .iter()
            .filter(|record| record.is_sound())
            .filter_map(|&record| {
                let peak = record.metric("memory_peak")?;
                Some(of(record, exact(peak, "the allocator's peak")))
            })
            .collect(),
    }
}

fn predicted(run: &RunFindings<'_>, quantity: Quantity) -> Vec<Reading> {
    let several = several_runtimes(run);
    run.predictions
        .iter()
        // Memory that does not fit is a finding; time without it is none.
        .filter(|one| quantity == Quantity::Memory || one.fits != Some(false))
        .filter_map(|one| {
            let value = match quantity {
                Quantity::Time => one.latency_s.clone(),
                Quantity::Memory => {
                    exact(one.memory_peak_bytes.value(), "predicted peak")
                }
            };
            Some(Reading {
                provenance: Provenance::Predicted,
                rank: rank(&run.data.header.plan.predict_on, &one.profile),
                place: place(run, one, &several),
                case: one.full_case()?,
                value,
            })
        })
        .collect()
}

/// The published points of a run that go by one of some names.
fn published<'a>(
    run: &'a RunFindings<'_>,
    quantity: Quantity,
    names: &'static [&'static str],
) -> impl Iterator<Item = Reading> + 'a {
    let predict_on = &run.data.header.plan.predict_on;
    let reading = move |point: &PublishedPoint| {
        let value = quantity.in_unit(point.value, &point.unit)?;
        Some(Reading {
            provenance: Provenance::Published,
            rank: rank(predict_on, &point.profile),
            place: point.profile.clone(),
            case: point.case.parse().ok()?,
            value: exact(value, &point.source),
        })
    };
    run.data
        .published
        .iter()
        .filter(move |point| names.contains(&point.metric.as_str()))
        .filter_map(reading)
}

/// Where a plan names a profile; last where it does not.
fn rank(predict_on: &[String], profile: &str) -> usize {
    let named = |on: &String| on.split([':', '@']).next() == Some(profile);
    predict_on.iter().position(named).unwrap_or(usize::MAX)
}

/// A workload on a unit of a profile.
type Unit<'a> = (&'a str, &'a str, &'a str);

fn unit_of(prediction: &Prediction) -> Unit<'_> {
    let workload = prediction.case.split('/').next().unwrap_or_default();
    (workload, &prediction.profile, &prediction.unit)
}

/// The units for which a workload is predicted under several runtimes.
fn several_runtimes<'a>(run: &'a RunFindings<'_>) -> BTreeSet<Unit<'a>> {
    let mut met: BTreeMap<Unit<'_>, BTreeSet<_>> = BTreeMap::new();
    for one in &run.predictions {
        met.entry(unit_of(one)).or_default().insert(one.runtime);
    }
    met.into_iter()
        .filter(|(_, runtimes)| runtimes.len() > 1)
        .map(|(unit, _)| unit)
        .collect()
}

/// `nvidia-t4:gpu`, with the runtime where there are several; this machine by
/// its name.
fn place(
    run: &RunFindings<'_>,
    prediction: &Prediction,
    several: &BTreeSet<Unit<'_>>,
) -> String {
    let mut place = match prediction.profile.as_str() {
        HOST => format!("{} ({HOST})", run.machine),
        name => format!("{name}:{}", prediction.unit),
    };
    if several.contains(&unit_of(prediction)) {
        place.push_str(&format!(", {}", prediction.runtime));
    }
    place
}

/// Whether a case stands at a setting: the same phase, and every axis that it
/// names, but its precision, as there. Papers leave axes out.
fn belongs(case: &Case, setting: &Setting) -> bool {
    case.phase.as_ref() == Some(&setting.phase)
        && case.axes.iter().all(|(axis, value)| {
            axis == "precision" || setting.axes.get(axis) == Some(value)
        })
}

/// Workload and model.
pub(crate) type Model = (String, String);

/// The model of a case.
fn model_of(case: &Case) -> Model {
    (case.workload.clone(), case.model.clone())
}

/// The learned values of each model, as the trace counts them.
pub(crate) fn parameters(runs: &[RunFindings<'_>]) -> BTreeMap<Model, f64> {
    let mut counts = BTreeMap::new();
    let mut note = |case: &Case, count: u64| {
        if count > 0 {
            counts.entry(model_of(case)).or_insert(count as f64);
        }
    };
    for run in runs {
        for one in &run.predictions {
            if let Some(case) = one.full_case() {
                note(&case, one.parameters);
            }
        }
        for record in &run.records {
            if let Some(work) = &record.work {
                note(&record.case, work.parameters);
            }
        }
    }
    counts
}

/// Workload and phase.
type Group = (String, usize, String);

/// Readings of each workload and phase, phases in the order in which a model
/// is used; operators, which have no phase, stay out.
fn by_phase(readings: &[Reading]) -> BTreeMap<Group, Vec<&Reading>> {
    let mut groups: BTreeMap<Group, Vec<&Reading>> = BTreeMap::new();
    for one in readings {
        let Some(phase) = &one.case.phase else { continue };
        let key = (one.case.workload.clone(), phase_rank(phase), phase.clone());
        groups.entry(key).or_default().push(one);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paper_that_leaves_axes_out_still_stands_at_a_setting() {
        let case = |text: &str| -> Case { text.parse().unwrap() };
        let full = case("w/m/decode batch=1 context=75 precision=f16");
        let setting = Setting::of(&full).unwrap();
        assert!(belongs(&full, &setting));
        assert!(belongs(&case("w/m/decode context=75"), &setting));
        assert!(belongs(&case("w/m/decode precision=q4_0"), &setting));
        assert!(!belongs(&case("w/m/decode context=8"), &setting));
        assert!(!belongs(&case("w/m/decode tokens=8"), &setting));
        assert!(!belongs(&case("w/m/prefill"), &setting));
        assert!(!belongs(&case("w/m"), &setting));
    }

    #[test]
    fn published_units_are_turned_to_base_units() {
        let memory = Quantity::Memory;
        assert_eq!(memory.in_unit(2.0, "MiB"), Some(2_097_152.0));
        assert_eq!(memory.in_unit(1.5, "GB"), Some(1.5e9));
        assert_eq!(Quantity::Time.in_unit(250.0, "ms"), Some(0.25));
        assert_eq!(Quantity::Time.in_unit(1.0, "GB"), None);
    }

    #[test]
    fn a_profile_ranks_as_the_plan_names_it() {
        let plan = ["a:cpu".to_owned(), "b@graph".into(), "c".into()];
        assert_eq!(rank(&plan, "b"), 1);
        assert_eq!(rank(&plan, "c"), 2);
        assert_eq!(rank(&plan, "d"), usize::MAX);
    }
}
