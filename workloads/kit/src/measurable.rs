//! What this engine measures, as every workload says it.

use assay_measure::WorkloadError;
use assay_schema::{AxisSpec, Precision};

/// The axis of number formats, `f32` first.
pub fn precision_axis(doc: &str) -> AxisSpec {
    let mut names = vec![Precision::F32.name()];
    let others = Precision::ALL.into_iter().filter(|&p| p != Precision::F32);
    names.extend(others.map(Precision::name));
    AxisSpec::words("precision", names, doc)
}

/// Refuses what only predictions know: other number formats, other devices.
///
/// # Errors
/// [`WorkloadError::Unsupported`] with what is supported.
pub fn check_measurable(
    precision: Precision,
    device: &str,
) -> Result<(), WorkloadError> {
    if precision != Precision::F32 {
        return Err(WorkloadError::Unsupported(format!(
            "precision {precision} is not measured on this engine yet (f32 \
             is); it is predicted"
        )));
    }
    if device != "cpu" {
        return Err(WorkloadError::Unsupported(format!(
            "device {device} is not in this build; cpu is"
        )));
    }
    Ok(())
}
