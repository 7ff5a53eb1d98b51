//! Means over the seeds of a study, from one seed on.
//!
//! Two seeds or more have Student's interval ([`mean_estimate`],
//! [`mean_of_ratios`]). One seed has none: its estimate is a point, whose
//! `n = 1` keeps it from judging claims that ask for more. What a seed stands
//! on (requests, pictures, problems) has an interval of its own, and
//! [`widened`] lets no few seeds that agree by luck say more than that.

use assay_schema::Estimate;

use crate::error::check_confidence;
use crate::{StatisticsError, mean_estimate, mean_of_ratios};

/// What a single seed says, without an interval of seeds.
fn alone(value: f64, confidence: f64) -> Estimate {
    Estimate {
        point: value,
        low: value,
        high: value,
        confidence,
        n: 1,
        method: "one seed".to_owned(),
    }
}

/// The mean of one number a seed; a single number as it is, a broken one too.
///
/// # Errors
/// No seeds; of several, a number that is not finite; an impossible
/// confidence.
pub fn mean_over_seeds(
    values: &[f64],
    confidence: f64,
) -> Result<Estimate, StatisticsError> {
    match values {
        [value] => {
            check_confidence(confidence)?;
            Ok(alone(*value, confidence))
        }
        values => mean_estimate(values, confidence),
    }
}

/// The geometric mean of one ratio a seed.
///
/// # Errors
/// As [`mean_over_seeds`]; a ratio that is not above 0.
pub fn ratio_over_seeds(
    ratios: &[f64],
    confidence: f64,
) -> Result<Estimate, StatisticsError> {
    match ratios {
        [ratio] if *ratio > 0.0 => {
            check_confidence(confidence)?;
            Ok(alone(*ratio, confidence))
        }
        [ratio] => Err(StatisticsError::NotPositive {
            statistic: "a ratio of one seed",
            index: 0,
            value: *ratio,
        }),
        ratios => mean_of_ratios(ratios, confidence),
    }
}

/// The estimate, its interval at least from `low` to `high`. The method then
/// ends in `at least` and these words: what the interval is never narrower
/// than.
pub fn widened(
    estimate: Estimate,
    low: f64,
    high: f64,
    least: &str,
) -> Estimate {
    Estimate {
        low: estimate.low.min(low),
        high: estimate.high.max(high),
        method: format!("{}, at least {least}", estimate.method),
        ..estimate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_is_a_point_and_several_have_students_interval() {
        let one = mean_over_seeds(&[0.4], 0.95).unwrap();
        assert_eq!([one.low, one.point, one.high], [0.4; 3]);
        assert_eq!((one.n, &*one.method), (1, "one seed"));
        let values = [1.0, 2.0, 4.0];
        assert_eq!(mean_over_seeds(&values, 0.9), mean_estimate(&values, 0.9));
        assert_eq!(
            ratio_over_seeds(&values, 0.9),
            mean_of_ratios(&values, 0.9)
        );
        let one = ratio_over_seeds(&[3.0], 0.95).unwrap();
        assert_eq!([one.low, one.point, one.high], [3.0; 3]);
    }

    #[test]
    fn what_has_no_mean_is_refused() {
        assert!(mean_over_seeds(&[], 0.95).is_err());
        assert!(mean_over_seeds(&[1.0], 1.0).is_err());
        assert!(mean_over_seeds(&[1.0, f64::INFINITY], 0.95).is_err());
        assert!(ratio_over_seeds(&[], 0.95).is_err());
        assert!(ratio_over_seeds(&[2.0], 0.0).is_err());
        for ratio in [0.0, -1.0, f64::NAN] {
            assert!(ratio_over_seeds(&[ratio], 0.95).is_err(), "{ratio}");
        }
    }

    #[test]
    fn an_interval_is_widened_and_never_narrowed() {
        let seeds = mean_over_seeds(&[1.0, 1.2], 0.95).unwrap();
        let (low, high) = (seeds.low, seeds.high);
        let wide = widened(seeds.clone(), low - 1.0, high - 0.1, "the tasks'");
        assert_eq!([wide.low, wide.high], [low - 1.0, high]);
        assert_eq!((wide.point, wide.n), (seeds.point, 2));
        let method = "mean, Student's interval, at least the tasks'";
        assert_eq!(wide.method, method);
    }
}
