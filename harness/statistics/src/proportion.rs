//! The interval of a share: so many successes in so many trials.
//!
//! Wilson's score interval (Journal of the American Statistical Association
//! 22, 1927). With `p = s / n` and the normal quantile `z`:
//!
//! ```text
//! ( p + z^2 / 2n  -+  z sqrt( p (1 - p) / n + z^2 / 4n^2 ) ) / ( 1 + z^2 / n )
//! ```
//!
//! Unlike `p -+ z sqrt(p (1 - p) / n)` it has a width where all or none
//! succeeded, and stays within 0 and 1.

use assay_schema::Estimate;
use statrs::distribution::{ContinuousCDF, Normal};

use crate::StatisticsError;
use crate::error::check_confidence;

/// The share of `successes` among `trials` (at least 1) with its interval.
pub fn wilson(
    successes: u64,
    trials: u64,
    confidence: f64,
) -> Result<Estimate, StatisticsError> {
    check_confidence(confidence)?;
    if trials == 0 {
        return Err(StatisticsError::TooFew {
            statistic: "a share",
            found: 0,
            needed: 1,
        });
    }
    if successes > trials {
        return Err(StatisticsError::Argument {
            name: "successes",
            value: successes as f64,
            expected: "at most as many as trials",
        });
    }
    let n = trials as f64;
    let share = successes as f64 / n;
    let z = Normal::standard().inverse_cdf(1.0 - (1.0 - confidence) / 2.0);
    let z2 = z * z;
    let centre = share + z2 / (2.0 * n);
    let reach = z * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z2 / n;
    Ok(Estimate {
        point: share,
        // Rounding must not push an end past the point.
        low: ((centre - reach) / scale).clamp(0.0, share),
        high: ((centre + reach) / scale).clamp(share, 1.0),
        confidence,
        n: trials,
        method: "share, Wilson score".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_interval_agrees_with_published_examples() {
        // R. G. Newcombe, Statistics in Medicine 17, 1998, table I, method 3.
        for (successes, trials, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let e = wilson(successes, trials, 0.95).unwrap();
            assert!((e.low - low).abs() < 6e-5, "{successes}: {e:?}");
            assert!((e.high - high).abs() < 6e-5, "{successes}: {e:?}");
        }
    }

    #[test]
    fn no_trials_and_more_successes_than_trials_are_errors() {
        assert!(wilson(0, 0, 0.95).is_err());
        assert!(wilson(3, 2, 0.95).is_err());
        assert!(wilson(1, 2, f64::NAN).is_err());
    }

    proptest! {
        #[test]
        fn failures_have_the_mirrored_interval(
            trials in 1_u64..10_000,
            part in 0.0..=1.0_f64,
        ) {
            let successes = (part * trials as f64) as u64;
            let a = wilson(successes, trials, 0.95).unwrap();
            let b = wilson(trials - successes, trials, 0.95).unwrap();
            prop_assert!(0.0 <= a.low && a.low <= a.point);
            prop_assert!(a.point <= a.high && a.high <= 1.0);
            prop_assert!((a.low + b.high - 1.0).abs() < 1e-9);
        }
    }
}
