//! Where the time of a step goes: its parts by class of kernel, measured or
//! predicted.
//!
//! A session may name parts of its step after classes of kernels. A class's
//! time is the median of its samples; what the step's median has beyond their
//! sum no kernel of a class took: the engine's own operators. Medians need
//! not add up, so that rest may fall below zero, which reads as none.

use assay_schema::{Case, Estimate, Prediction, Provenance};

use super::pairs::HOST;
use super::{Measured, RunFindings};

/// The classes in the order of bars and columns: what sessions may record,
/// and what predictions add to it.
const CLASSES: [&str; 11] = [
    "matmul",
    "attention",
    "softmax",
    "norm",
    "elementwise",
    "convolution",
    "recurrence",
    "copy",
    "optimizer",
    "communication",
    "overhead",
];

/// What is left of a measured step.
const REST: &str = "engine's own operators";

/// Machines on which a case's classes are predicted, beside its own.
const MOST_PROFILES: usize = 2;

/// A step apart by class.
#[derive(Clone, Debug)]
pub(crate) struct ClassTimes {
    pub(crate) case: Case,
    /// The machine that measured, or the profile predicted for.
    pub(crate) place: String,
    pub(crate) provenance: Provenance,
    /// The whole step, seconds.
    pub(crate) step: Estimate,
    /// Classes that took any time, in the order of [`all_classes`].
    pub(crate) classes: Vec<ClassTime>,
}

/// What a class took of a step.
#[derive(Clone, Debug)]
pub(crate) struct ClassTime {
    pub(crate) class: &'static str,
    pub(crate) seconds: f64,
    /// With its interval, where the class itself was measured.
    pub(crate) measured: Option<Estimate>,
}

impl ClassTimes {
    /// A class's share of the step, a fraction.
    pub(crate) fn share(&self, class: &str) -> f64 {
        self.classes
            .iter()
            .find(|one| one.class == class)
            .map_or(0.0, |one| one.seconds / self.step.point)
    }
}

/// All classes in their order, the rest of a measured step last.
pub(crate) fn all_classes() -> impl Iterator<Item = &'static str> {
    CLASSES.into_iter().chain([REST])
}

/// The measured steps whose other parts are all classes of kernels.
pub(crate) fn measured_times(run: &RunFindings<'_>) -> Vec<ClassTimes> {
    let steps = run.measured.iter().filter(|one| one.whole);
    steps.filter_map(|step| of_record(run, step)).collect()
}

fn of_record(run: &RunFindings<'_>, step: &Measured<'_>) -> Option<ClassTimes> {
    let is_class = |part: &&str| CLASSES.contains(part);
    let mut others =
        step.record.parts().into_iter().filter(|part| *part != step.part);
    if !others.all(|part| is_class(&part)) {
        return None;
    }
    let of_class = |class: &'static str| {
        let part = run.measured.iter().find(|one| {
            std::ptr::eq(one.record, step.record) && one.part == class
        })?;
        let latency = &part.latency;
        Some(ClassTime {
            class,
            seconds: latency.point,
            measured: Some(latency.clone()),
        })
    };
    let mut classes: Vec<ClassTime> =
        CLASSES.into_iter().filter_map(of_class).collect();
    if classes.is_empty() {
        return None;
    }
    let taken: f64 = classes.iter().map(|one| one.seconds).sum();
    let rest = step.latency.point - taken;
    if rest > 0.0 {
        classes.push(ClassTime { class: REST, seconds: rest, measured: None });
    }
    Some(ClassTimes {
        case: step.record.case.clone(),
        place: run.machine.clone(),
        provenance: Provenance::Measured,
        step: step.latency.clone(),
        classes,
    })
}

/// The prediction of a measured case on the machine that measured it.
pub(crate) fn predicted_here(
    run: &RunFindings<'_>,
    case: &Case,
) -> Option<ClassTimes> {
    run.predictions
        .iter()
        .filter(|prediction| prediction.profile == HOST)
        .filter(|prediction| prediction.full_case().as_ref() == Some(case))
        .find_map(|prediction| {
            let place = format!("{} ({HOST})", run.machine);
            of_prediction(prediction, case.clone(), place)
        })
}

/// Predictions of a measured case on GPUs, the first machines of the plan;
/// where the case itself was not predicted, of the case of its workload,
/// model and phase that differs in the fewest axes.
pub(crate) fn predicted_elsewhere(
    run: &RunFindings<'_>,
    case: &Case,
) -> Vec<ClassTimes> {
    let planned = &run.data.header.plan.predict_on;
    let place_in_plan = |profile: &str| {
        let named = |on: &String| on.split(':').next() == Some(profile);
        planned.iter().position(named).unwrap_or(usize::MAX)
    };
    let mut found: Vec<(usize, &Prediction, Case)> = run
        .predictions
        .iter()
        .filter(|one| one.unit == "gpu" && one.profile != HOST)
        .filter(|one| one.fits != Some(false))
        .filter(|one| !one.time_by_class.is_empty())
        .filter_map(|one| {
            let other = one.full_case()?;
            let place = place_in_plan(&one.profile);
            (other.path() == case.path()).then_some((place, *one, other))
        })
        .collect();
    // Stable: what differs in as many axes keeps the order of predictions.
    found.sort_by_key(|(place, one, other)| {
        (*place, one.profile.clone(), differing(case, other))
    });
    found.dedup_by(|(_, next, _), (_, kept, _)| next.profile == kept.profile);
    found
        .into_iter()
        .filter_map(|(_, one, other)| {
            of_prediction(one, other, one.profile.clone())
        })
        .take(MOST_PROFILES)
        .collect()
}

/// Axes that two cases do not share.
fn differing(a: &Case, b: &Case) -> usize {
    let unlike = a.axes.iter().filter(|(axis, v)| b.axis(axis) != Some(v));
    let missing = b.axes.keys().filter(|axis| a.axis(axis).is_none());
    unlike.count() + missing.count()
}

fn of_prediction(
    prediction: &Prediction,
    case: Case,
    place: String,
) -> Option<ClassTimes> {
    let classes: Vec<ClassTime> = CLASSES
        .into_iter()
        .filter_map(|class| {
            let seconds = prediction.time_by_class.get(class)?.value();
            let usable = seconds.is_finite() && seconds > 0.0;
            usable.then_some(ClassTime { class, seconds, measured: None })
        })
        .collect();
    (!classes.is_empty()).then(|| ClassTimes {
        case,
        place,
        provenance: Provenance::Predicted,
        step: prediction.latency_s.clone(),
        classes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_differ_in_values_and_in_axes_that_one_of_them_lacks() {
        let case = |text: &str| -> Case { text.parse().unwrap() };
        let a = case("w/m/p batch=1 length=8 precision=f32");
        assert_eq!(differing(&a, &a), 0);
        assert_eq!(differing(&a, &case("w/m/p batch=2 length=8")), 2);
        assert_eq!(differing(&case("w/m/p"), &a), 3);
    }
}
