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

/// Refuses what only predictions know: other number formats than `f32`, other
/// devices.
///
/// # Errors
/// [`WorkloadError::Unsupported`] with what is supported.
pub fn check_measurable(
    precision: Precision,
    device: &str,
) -> Result<(), WorkloadError> {
    check_measurable_among(&[Precision::F32], precision, device)
}

/// As [`check_measurable`], for a workload whose weights run in the formats
/// `served`.
///
/// # Errors
/// As [`check_measurable`].
pub fn check_measurable_among(
    served: &[Precision],
    precision: Precision,
    device: &str,
) -> Result<(), WorkloadError> {
    check_precision(served, precision)?;
    if device != "cpu" {
        return Err(WorkloadError::Unsupported(format!(
            "device {device} does not run this workload; cpu does"
        )));
    }
    Ok(())
}

/// Refuses other number formats than those `served`, on any device.
///
/// # Errors
/// [`WorkloadError::Unsupported`] with what is supported.
pub fn check_precision(
    served: &[Precision],
    precision: Precision,
) -> Result<(), WorkloadError> {
    if !served.contains(&precision) {
        let names: Vec<&str> = served.iter().map(|p| p.name()).collect();
        let verb = if names.len() == 1 { "is" } else { "are" };
        return Err(WorkloadError::Unsupported(format!(
            "precision {precision} is not measured on this engine yet ({} \
             {verb}); it is predicted",
            names.join(", ")
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_served_is_refused_with_what_is() {
        let served = [Precision::F32, Precision::Q8_0];
        let refusal = |precision, device| {
            let found = check_measurable_among(&served, precision, device);
            found.err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert_eq!(refusal(Precision::Q8_0, "cpu"), "");
        assert_eq!(
            refusal(Precision::Q6K, "cpu"),
            "precision q6_k is not measured on this engine yet (f32, q8_0 \
             are); it is predicted"
        );
        assert!(refusal(Precision::F32, "cuda:0").contains("device cuda:0"));
        // The other workloads serve one format.
        let error = check_measurable(Precision::Q8_0, "cpu").unwrap_err();
        assert!(error.to_string().contains("(f32 is)"), "{error}");
        assert!(error.is_skip());
    }
}
