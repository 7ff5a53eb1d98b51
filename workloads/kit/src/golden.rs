//! Comparison with an independent answer.

use assay_schema::Verification;

/// Compares an answer with the right one, element by element.
///
/// `tolerance` is relative to the right answer's largest magnitude. Another
/// length, or any NaN, is a difference of NaN, which never passes.
pub fn compare(
    against: impl Into<String>,
    found: &[f32],
    right: &[f32],
    tolerance: f64,
) -> Verification {
    let mut largest: f64 = if found.len() == right.len() && !right.is_empty() {
        0.0
    } else {
        f64::NAN
    };
    let mut magnitude: f64 = 0.0;
    for (found, right) in found.iter().zip(right) {
        let difference = (f64::from(*found) - f64::from(*right)).abs();
        // `max` would drop a NaN.
        if difference.is_nan() || largest.is_nan() {
            largest = f64::NAN;
        } else {
            largest = largest.max(difference);
        }
        magnitude = magnitude.max(f64::from(right.abs()));
    }
    Verification {
        against: against.into(),
        largest_difference: largest,
        relative_difference: if largest == 0.0 {
            0.0
        } else {
            largest / magnitude
        },
        tolerance,
    }
}

/// The worst of several comparisons, measured by how much of its tolerance
/// each uses; `against` names them all.
pub fn merge(parts: Vec<Verification>) -> Option<Verification> {
    let against =
        parts.iter().map(|p| p.against.as_str()).collect::<Vec<_>>().join("; ");
    let used = |p: &Verification| {
        let share = p.relative_difference / p.tolerance;
        if share.is_nan() { f64::INFINITY } else { share }
    };
    parts
        .into_iter()
        .max_by(|a, b| used(a).total_cmp(&used(b)))
        .map(|worst| Verification { against, ..worst })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nan_or_another_length_never_passes() {
        for (found, right) in [
            (&[1.0, f32::NAN][..], &[1.0, 2.0][..]),
            (&[f32::NAN, 1.0], &[1.0, 1.0]),
            (&[1.0], &[1.0, 2.0]),
            (&[], &[]),
        ] {
            assert!(!compare("x", found, right, 1.0).passed());
        }
    }

    #[test]
    fn the_difference_is_relative_to_the_largest_magnitude() {
        let v = compare("x", &[10.0, 0.1], &[10.0, 0.0], 0.02);
        assert!((v.relative_difference - 0.01).abs() < 1e-6);
        assert!(v.passed());
    }

    #[test]
    fn the_worst_of_several_counts() {
        let good = compare("a", &[1.0], &[1.0], 1e-4);
        let bad = compare("b", &[1.1], &[1.0], 1e-4);
        let all = merge(vec![good.clone(), bad, good]).unwrap();
        assert_eq!(all.against, "a; b; a");
        assert!(!all.passed());
    }
}
