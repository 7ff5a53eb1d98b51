//! The interval of a ratio: predicted over measured, new over old, one model
//! over another.
//!
//! On a logarithmic scale a ratio is a difference. With points `a`, `b` and
//! intervals `[a1, a2]`, `[b1, b2]` of two independent quantities, the ends of
//! `r = a / b` are
//!
//! ```text
//! low  = r exp( - sqrt( ln(a / a1)^2 + ln(b2 / b)^2 ) )
//! high = r exp( + sqrt( ln(a2 / a)^2 + ln(b / b1)^2 ) )
//! ```
//!
//! the method of variance estimates recovery (Donner and Zou, Statistical
//! Methods in Medical Research 21(4), 2012): it keeps skewed intervals skewed,
//! and holds its confidence where dividing end by end would be far too wide.
//! The confidence is the smaller of the two. A quantity without an interval of
//! its own (a published number) enters with `low = point = high`.

use assay_schema::Estimate;

use crate::error::check_positive;
use crate::{StatisticsError, median_estimate};

/// The ratio of the medians of two independent samples, each in the order of
/// its measurement. All samples must be above 0; `n` is the smaller length.
pub fn median_ratio_estimate(
    numerator: &[f64],
    denominator: &[f64],
    confidence: f64,
) -> Result<Estimate, StatisticsError> {
    check_positive(numerator, 2, "a ratio of medians")?;
    check_positive(denominator, 2, "a ratio of medians")?;
    let mut ratio = ratio_estimate(
        &median_estimate(numerator, confidence)?,
        &median_estimate(denominator, confidence)?,
    )?;
    ratio.method = format!("ratio of medians: {}", ratio.method);
    Ok(ratio)
}

/// The ratio of two independent estimates whose intervals lie above 0.
///
/// `n` is the smaller one, predictions (which have none) left aside.
pub fn ratio_estimate(
    numerator: &Estimate,
    denominator: &Estimate,
) -> Result<Estimate, StatisticsError> {
    check_interval(numerator)?;
    check_interval(denominator)?;
    let point = numerator.point / denominator.point;
    let below = (numerator.point / numerator.low)
        .ln()
        .hypot((denominator.high / denominator.point).ln());
    let above = (numerator.high / numerator.point)
        .ln()
        .hypot((denominator.point / denominator.low).ln());
    let counts = [numerator.n, denominator.n];
    Ok(Estimate {
        point,
        low: point * (-below).exp(),
        high: point * above.exp(),
        confidence: numerator.confidence.min(denominator.confidence),
        n: counts.into_iter().filter(|&n| n > 0).min().unwrap_or(0),
        method: format!(
            "({}) / ({}), variance recovery",
            numerator.method, denominator.method
        ),
    })
}

fn check_interval(e: &Estimate) -> Result<(), StatisticsError> {
    check_positive(&[e.low, e.point, e.high], 3, "a ratio")?;
    if e.low <= e.point && e.point <= e.high {
        return Ok(());
    }
    Err(StatisticsError::Disordered {
        low: e.low,
        point: e.point,
        high: e.high,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::simulated::exponential;

    fn estimate(low: f64, point: f64, high: f64) -> Estimate {
        Estimate {
            point,
            low,
            high,
            confidence: 0.95,
            n: 10,
            method: "test".to_owned(),
        }
    }

    #[test]
    fn a_ratio_of_medians_is_covered_as_promised() {
        let held = (0..2000)
            .filter(|&seed| {
                let e = median_ratio_estimate(
                    &exponential(2 * seed, 40),
                    &exponential(2 * seed + 1, 60),
                    0.95,
                )
                .unwrap();
                e.low <= 1.0 && 1.0 <= e.high
            })
            .count();
        assert!(held >= 1860, "{held} of 2000");
    }

    #[test]
    fn a_number_without_an_interval_leaves_the_others_alone() {
        let fixed = estimate(2.0, 2.0, 2.0);
        let e = ratio_estimate(&estimate(3.0, 4.0, 6.0), &fixed).unwrap();
        for (found, expected) in [(e.low, 1.5), (e.point, 2.0), (e.high, 3.0)] {
            assert!((found - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn a_prediction_counts_no_samples() {
        let predicted = Estimate { n: 0, ..estimate(1.0, 2.0, 3.0) };
        let e = ratio_estimate(&predicted, &estimate(1.0, 2.0, 3.0)).unwrap();
        assert_eq!(e.n, 10);
    }

    #[test]
    fn zero_negative_and_disordered_intervals_are_errors() {
        let good = estimate(1.0, 2.0, 3.0);
        for bad in [
            estimate(0.0, 2.0, 3.0),
            estimate(-1.0, 2.0, 3.0),
            estimate(2.5, 2.0, 3.0),
            estimate(1.0, f64::NAN, 3.0),
        ] {
            assert!(ratio_estimate(&good, &bad).is_err(), "{bad:?}");
            assert!(ratio_estimate(&bad, &good).is_err(), "{bad:?}");
        }
        assert!(median_ratio_estimate(&[1.0, 0.0], &[1.0, 2.0], 0.9).is_err());
    }

    proptest! {
        #[test]
        fn the_reciprocal_ratio_has_the_reciprocal_interval(
            a in proptest::collection::vec(0.1..10.0, 2..40),
            b in proptest::collection::vec(0.1..10.0, 2..40),
        ) {
            let ab = median_ratio_estimate(&a, &b, 0.95).unwrap();
            let ba = median_ratio_estimate(&b, &a, 0.95).unwrap();
            prop_assert!(ab.low <= ab.point && ab.point <= ab.high);
            prop_assert!((ab.low * ba.high - 1.0).abs() < 1e-9);
            prop_assert!((ab.high * ba.low - 1.0).abs() < 1e-9);
        }
    }
}
