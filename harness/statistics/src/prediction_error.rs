//! How far predictions are from measurements.
//!
//! The absolute relative error of a pair is `|predicted / measured - 1|`: 0.2
//! reads "20 % off". Its median says what to expect, its largest what to fear;
//! a mean is not offered, because one bad pair owns it. The geometric mean of
//! ratios, `exp(mean ln r)`, says whether predictions lean to one side: above
//! 1 they are too slow. It treats twice and half alike, which the mean of
//! ratios does not (Fleming and Wallace, Communications of the ACM 29(3),
//! 1986).

use crate::error::check_positive;
use crate::{StatisticsError, median};

/// `predicted / measured - 1`, one a pair, signed, in order. All values must be
/// above 0.
pub fn relative_errors(
    predicted: &[f64],
    measured: &[f64],
) -> Result<Vec<f64>, StatisticsError> {
    if predicted.len() != measured.len() {
        return Err(StatisticsError::Lengths {
            left: predicted.len(),
            right: measured.len(),
        });
    }
    check_positive(predicted, 1, "a relative error")?;
    check_positive(measured, 1, "a relative error")?;
    Ok(predicted.iter().zip(measured).map(|(p, m)| p / m - 1.0).collect())
}

/// The median of `|predicted / measured - 1|`.
pub fn median_absolute_error(
    predicted: &[f64],
    measured: &[f64],
) -> Result<f64, StatisticsError> {
    median(&absolute_errors(predicted, measured)?)
}

/// The largest `|predicted / measured - 1|`.
pub fn largest_absolute_error(
    predicted: &[f64],
    measured: &[f64],
) -> Result<f64, StatisticsError> {
    let errors = absolute_errors(predicted, measured)?;
    Ok(errors.into_iter().fold(0.0, f64::max))
}

/// `exp(mean ln x)` of values above 0.
pub fn geometric_mean(values: &[f64]) -> Result<f64, StatisticsError> {
    check_positive(values, 1, "a geometric mean")?;
    let logarithms: f64 = values.iter().map(|value| value.ln()).sum();
    Ok((logarithms / values.len() as f64).exp())
}

fn absolute_errors(
    predicted: &[f64],
    measured: &[f64],
) -> Result<Vec<f64>, StatisticsError> {
    let errors = relative_errors(predicted, measured)?;
    Ok(errors.into_iter().map(f64::abs).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn errors_are_relative_to_the_measurement() {
        let (predicted, measured) = ([1.5, 0.8, 4.0], [1.0, 1.0, 4.0]);
        let median = median_absolute_error(&predicted, &measured).unwrap();
        assert!((median - 0.2).abs() < 1e-12);
        assert_eq!(largest_absolute_error(&predicted, &measured), Ok(0.5));
        assert_eq!(relative_errors(&[2.0], &[4.0]), Ok(vec![-0.5]));
    }

    #[test]
    fn twice_and_half_cancel_in_the_geometric_mean() {
        assert!((geometric_mean(&[2.0, 0.5]).unwrap() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn nothing_zero_nan_and_uneven_lists_are_errors() {
        assert!(geometric_mean(&[]).is_err());
        assert!(geometric_mean(&[1.0, 0.0]).is_err());
        assert!(median_absolute_error(&[1.0], &[0.0]).is_err());
        assert!(largest_absolute_error(&[1.0], &[f64::NAN]).is_err());
        assert!(largest_absolute_error(&[1.0], &[1.0, 2.0]).is_err());
    }

    proptest! {
        #[test]
        fn the_unit_does_not_matter_and_the_median_is_below_the_largest(
            pairs in proptest::collection::vec((0.1..9.0, 0.1..9.0), 1..30),
        ) {
            let (p, m): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            let median = median_absolute_error(&p, &m).unwrap();
            prop_assert!(median <= largest_absolute_error(&p, &m).unwrap());
            let scale = |v: &[f64]| -> Vec<f64> {
                v.iter().map(|x| x * 8.0).collect()
            };
            prop_assert_eq!(
                median_absolute_error(&scale(&p), &scale(&m)),
                Ok(median)
            );
        }
    }
}
