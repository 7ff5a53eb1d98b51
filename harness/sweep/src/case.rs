//! One case against the catalogue: is it runnable, and what are the values
//! of the axes that it leaves out?

use assay_schema::{
    AxisSpec, AxisValues, Case, Catalogue, WorkloadInfo, nearest,
};

use crate::SweepError;

/// Checks a case and fills in the defaults of the axes that it leaves out.
///
/// Values get their one spelling (`batch=01` becomes `batch=1`), so that equal
/// cases are equal values. Completing a completed case changes nothing.
///
/// # Errors
/// Unknown workload, model, phase, axis or value, with the nearest valid one.
pub fn complete(
    case: &Case,
    catalogue: &Catalogue,
) -> Result<Case, SweepError> {
    let info = workload(&case.workload, catalogue)?;
    check_path(info, &case.model, case.phase.as_deref())?;
    let axes = info.axes_of(&case.model, case.phase.as_deref());

    let mut completed = Case { axes: Default::default(), ..case.clone() };
    for (name, value) in &case.axes {
        let axis = find_axis(&axes, name).ok_or_else(|| {
            unknown_axis(
                &case.path(),
                name,
                axes.iter().map(|axis| axis.name.as_str()),
            )
        })?;
        let value = check_value(&case.path(), axis, value)?;
        completed.axes.insert(name.clone(), value);
    }
    for axis in axes {
        let followed = axis.follows.as_ref().and_then(|f| case.axes.get(f));
        completed.axes.entry(axis.name.clone()).or_insert_with(|| {
            followed.cloned().unwrap_or_else(|| {
                axis.default_of(&case.model, case.phase.as_deref()).to_owned()
            })
        });
    }
    Ok(completed)
}

/// The workload of that name.
pub(crate) fn workload<'a>(
    name: &str,
    catalogue: &'a Catalogue,
) -> Result<&'a WorkloadInfo, SweepError> {
    catalogue.workload(name).ok_or_else(|| SweepError::UnknownWorkload {
        found: name.to_owned(),
        nearest: nearest_of(
            name,
            catalogue.workloads.iter().map(|info| info.workload.as_str()),
        ),
    })
}

/// Whether model and phase are of the workload.
pub(crate) fn check_path(
    info: &WorkloadInfo,
    model: &str,
    phase: Option<&str>,
) -> Result<(), SweepError> {
    if !info.models.iter().any(|known| known == model) {
        return Err(SweepError::UnknownModel {
            workload: info.workload.clone(),
            found: model.to_owned(),
            nearest: nearest_of(model, info.models.iter().map(String::as_str)),
        });
    }
    let phases = info.phases_of(model);
    let path = format!("{}/{model}", info.workload);
    match phase {
        None if phases.is_empty() => Ok(()),
        None => Err(SweepError::MissingPhase {
            model: path,
            phases: phases.join(", "),
        }),
        Some(phase) if phases.iter().any(|known| known == phase) => Ok(()),
        Some(phase) if phases.is_empty() => {
            Err(SweepError::NoPhases { model: path, found: phase.to_owned() })
        }
        Some(phase) => Err(SweepError::UnknownPhase {
            model: path,
            found: phase.to_owned(),
            nearest: nearest_of(phase, phases.iter().map(String::as_str)),
        }),
    }
}

/// The axis of that name among those of a case.
pub(crate) fn find_axis<'a>(
    axes: &[&'a AxisSpec],
    name: &str,
) -> Option<&'a AxisSpec> {
    axes.iter().copied().find(|axis| axis.name == name)
}

/// The error of an axis that a case does not have.
pub(crate) fn unknown_axis<'a>(
    case: &str,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> SweepError {
    SweepError::UnknownAxis {
        case: case.to_owned(),
        found: name.to_owned(),
        nearest: nearest_of(name, known),
    }
}

/// The one spelling of an allowed value.
fn check_value(
    case: &str,
    axis: &AxisSpec,
    value: &str,
) -> Result<String, SweepError> {
    axis.values.canonical(value).ok_or_else(|| SweepError::Value {
        case: case.to_owned(),
        axis: axis.name.clone(),
        found: value.to_owned(),
        expected: axis.values.expected(),
        nearest: match &axis.values {
            AxisValues::Word { words } => {
                nearest(value, words.iter().map(String::as_str))
                    .map(str::to_owned)
            }
            AxisValues::Integer { .. } | AxisValues::Number { .. } => None,
        },
    })
}

/// The nearest name, or a word that says that there are none at all.
pub(crate) fn nearest_of<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> String {
    nearest(word, known).unwrap_or("(there are none)").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::catalogue;

    fn completed(text: &str) -> Result<String, String> {
        complete(&text.parse().unwrap(), &catalogue())
            .map(|case| case.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn axes_left_out_take_the_default_of_their_phase_or_operator() {
        assert_eq!(
            completed("slm/tiny/prefill batch=02").unwrap(),
            "slm/tiny/prefill batch=2 precision=f32 prompt=16"
        );
        assert_eq!(
            completed("slm/qwen2-0.5b/decode").unwrap(),
            "slm/qwen2-0.5b/decode batch=1 context=128 precision=f32"
        );
        assert_eq!(
            completed("operators/softmax rows=4").unwrap(),
            "operators/softmax cols=512 precision=f32 rows=4"
        );
    }

    #[test]
    fn completing_twice_changes_nothing() {
        let once = completed("operators/matmul m=3").unwrap();
        assert_eq!(completed(&once).unwrap(), once);
    }

    #[test]
    fn what_is_unknown_is_named_with_the_nearest_valid_name() {
        for (case, message) in [
            (
                "slmm/tiny/decode",
                "unknown workload `slmm`; nearest valid: `slm`",
            ),
            (
                "slm/qwen/decode",
                "unknown model `qwen` of `slm`; nearest valid: `qwen2-0.5b`",
            ),
            (
                "slm/tiny/decod",
                "unknown phase `decod` of `slm/tiny`; nearest valid: `decode`",
            ),
            (
                "slm/tiny",
                "`slm/tiny` names no phase; expected one of prefill, decode",
            ),
            (
                "operators/matmul/prefill",
                "`operators/matmul` has no phases; found `prefill`: leave it out",
            ),
            (
                "slm/tiny/prefill promt=1",
                "`slm/tiny/prefill` has no axis `promt`; nearest valid: `prompt`",
            ),
            (
                "operators/matmul rows=1",
                "`operators/matmul` has no axis `rows`; nearest valid: `m`",
            ),
            (
                "slm/tiny/prefill batch=0",
                "axis `batch` of `slm/tiny/prefill`: found `0`, expected an \
                 integer, 1 or more",
            ),
            (
                "slm/tiny/prefill precision=fp16",
                "axis `precision` of `slm/tiny/prefill`: found `fp16`, \
                 expected one of f32, f16; nearest valid: `f16`",
            ),
        ] {
            assert_eq!(completed(case), Err(message.to_owned()));
        }
    }
}
