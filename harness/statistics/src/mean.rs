//! The mean of independent repetitions, with Student's interval: seeds of a
//! study, where each number is already a whole run.
//!
//! `mean +- t sd / sqrt(n)`, `t` the two-sided quantile with `n - 1` degrees
//! of freedom. Of ratios the same holds for logarithms, so that a ratio and
//! its inverse say the same.

use assay_schema::Estimate;

use crate::StatisticsError;
use crate::error::{check, check_confidence, check_positive};
use crate::student::two_sided_quantile;

/// The mean of at least two repetitions.
///
/// # Errors
/// Fewer than two, a number that is not finite, an impossible confidence.
pub fn mean_estimate(
    values: &[f64],
    confidence: f64,
) -> Result<Estimate, StatisticsError> {
    check(values, 2, "a mean with its interval")?;
    check_confidence(confidence)?;
    let n = values.len() as f64;
    let point = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - point).powi(2)).sum();
    let error = (squares / (n - 1.0) / n).sqrt();
    let half = two_sided_quantile(1.0 - confidence, n - 1.0) * error;
    Ok(Estimate {
        point,
        low: point - half,
        high: point + half,
        confidence,
        n: values.len() as u64,
        method: "mean, Student's interval".to_owned(),
    })
}

/// The geometric mean of at least two ratios, each above 0.
///
/// # Errors
/// As [`mean_estimate`]; a ratio of 0 or below.
pub fn mean_of_ratios(
    ratios: &[f64],
    confidence: f64,
) -> Result<Estimate, StatisticsError> {
    check_positive(ratios, 2, "a geometric mean with its interval")?;
    let logarithms: Vec<f64> = ratios.iter().map(|ratio| ratio.ln()).collect();
    let mean = mean_estimate(&logarithms, confidence)?;
    Ok(Estimate {
        point: mean.point.exp(),
        low: mean.low.exp(),
        high: mean.high.exp(),
        method: "geometric mean, Student's interval of logarithms".to_owned(),
        ..mean
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_the_textbooks() {
        // Mean 3, deviation sqrt(2.5), t = 2.776 with 4 degrees.
        let mean = mean_estimate(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.95).unwrap();
        assert!((mean.point - 3.0).abs() < 1e-12);
        let half = 2.776 * (2.5_f64 / 5.0).sqrt();
        assert!((mean.high - 3.0 - half).abs() < 1e-3);
        assert!((3.0 - mean.low - half).abs() < 1e-3);
        assert_eq!(mean.n, 5);
    }

    #[test]
    fn a_ratio_and_its_inverse_say_the_same() {
        let ratio = mean_of_ratios(&[2.0, 8.0], 0.9).unwrap();
        let inverse = mean_of_ratios(&[0.5, 0.125], 0.9).unwrap();
        assert!((ratio.point - 4.0).abs() < 1e-12);
        assert!((ratio.high * inverse.low - 1.0).abs() < 1e-9);
    }

    #[test]
    fn what_has_no_interval_is_refused() {
        assert!(mean_estimate(&[1.0], 0.95).is_err());
        assert!(mean_estimate(&[1.0, f64::NAN], 0.95).is_err());
        assert!(mean_of_ratios(&[1.0, 0.0], 0.95).is_err());
    }
}
