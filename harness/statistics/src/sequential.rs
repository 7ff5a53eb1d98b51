//! The t test that may be looked at after every unit, and its interval.
//!
//! `n` units, independent and normal, with mean `m`, standard deviation `s`
//! and `t = sqrt(n) m / s`. Put a normal prior of mean 0 and variance
//! [`PRIOR_VARIANCE`] `g` on the effect size (mean over deviation) and the
//! right-Haar prior on the deviation; the ratio of the two likelihoods of
//! "some effect" and "none" is, with `v = n - 1`,
//!
//! ```text
//! e = (1 + n g)^(-1/2) * [ (1 + t^2 / v) / (1 + t^2 / (v (1 + n g))) ]^(n/2)
//! ```
//!
//! Without an effect `e` starts at 1 and never rises on average, so that it
//! reaches `1 / alpha` at any time with a chance of at most `alpha` (Ville).
//! Hence `min(1, 1 / e)` is a p whenever one stops, and the means `m0` whose
//! own `e` stays below `1 / alpha` are a confidence sequence: the truth lies
//! in **all** its intervals at once with the stated confidence. Solved for t:
//!
//! ```text
//! r = (sqrt(1 + n g) / alpha)^(2/n)
//! r >= 1 + n g:  no bound yet
//! otherwise:     t^2 = v (r - 1) / (1 - r / (1 + n g)),   m -+ t s / sqrt(n)
//! ```
//!
//! Sources: T. L. Lai, On confidence sequences, Annals of Statistics 4(2),
//! 1976; H. Wang and A. Ramdas, Anytime-valid t-tests and confidence
//! sequences for Gaussian means with unknown variance, 2024 (arXiv
//! 2310.03722).

use crate::StatisticsError;
use crate::error::{check, check_confidence};

/// Variance `g` of the prior on the effect size. Paired units of a change
/// worth calling lie about one deviation from zero. The choice matters
/// little: a tenth or ten times of it change the 95 % interval's width by at
/// most a sixth at 20 to 100 units.
pub(crate) const PRIOR_VARIANCE: f64 = 1.0;

/// The e-value of units against a mean of 0: evidence that grows without
/// bound if there is an effect, and seldom grows if there is none.
///
/// At least 2 finite units. Units that are all equal give the largest e that
/// so many units can give, or, where all are 0, the smallest.
pub fn t_mixture_e_value(units: &[f64]) -> Result<f64, StatisticsError> {
    check(units, 2, "an e-value")?;
    let n = units.len() as f64;
    let mean = units.iter().sum::<f64>() / n;
    let squares: f64 = units.iter().map(|x| (x - mean) * (x - mean)).sum();
    Ok(e_value(units.len(), n * mean * mean / squares.max(f64::MIN_POSITIVE)))
}

/// Half the width of the confidence sequence after `n` units, in standard
/// errors (`s / sqrt(n)`); infinite where so few units bound nothing.
pub fn t_mixture_half_width(
    n: usize,
    confidence: f64,
) -> Result<f64, StatisticsError> {
    check_confidence(confidence)?;
    Ok(half_width(n, 1.0 - confidence))
}

/// The e-value, from `n` >= 1 and `t^2 / (n - 1)`.
pub(crate) fn e_value(n: usize, t_squared_by_degrees: f64) -> f64 {
    let n = n as f64;
    let widened = 1.0 + n * PRIOR_VARIANCE;
    let log_ratio = if t_squared_by_degrees.is_finite() {
        t_squared_by_degrees.ln_1p() - (t_squared_by_degrees / widened).ln_1p()
    } else {
        widened.ln()
    };
    // A finite number, because an infinite one is no evidence one can sum.
    (n / 2.0 * log_ratio - 0.5 * widened.ln()).exp().min(f64::MAX)
}

/// The |t| at which `e` reaches `1 / alpha` after `n` units.
pub(crate) fn half_width(n: usize, alpha: f64) -> f64 {
    if n < 2 {
        return f64::INFINITY;
    }
    let n = n as f64;
    let widened = 1.0 + n * PRIOR_VARIANCE;
    let r = ((0.5 * widened.ln() - alpha.ln()) * 2.0 / n).exp();
    if r >= widened {
        return f64::INFINITY;
    }
    ((n - 1.0) * (r - 1.0) / (1.0 - r / widened)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulated::normal;
    use crate::student;

    /// The share of 2,000 series whose interval, `t(n)` standard errors to
    /// either side, holds the true mean at every n from 3 to 200.
    fn coverage_of_all_looks(t: impl Fn(usize) -> f64) -> f64 {
        let widths: Vec<f64> = (0..=200).map(t).collect();
        let held = (0..2000)
            .filter(|&seed| {
                let (mut sum, mut squares) = (0.0, 0.0);
                normal(seed, 200).iter().enumerate().all(|(i, x)| {
                    sum += x;
                    squares += x * x;
                    let n = (i + 1) as f64;
                    let deviation = ((squares - sum * sum / n)
                        / (n - 1.0).max(1.0))
                    .max(0.0)
                    .sqrt();
                    i + 1 < 3
                        || (sum / n).abs()
                            <= widths[i + 1] * deviation / n.sqrt()
                })
            })
            .count();
        held as f64 / 2000.0
    }

    #[test]
    fn the_any_time_interval_holds_the_truth_at_all_looks_at_once() {
        let share = coverage_of_all_looks(|n| half_width(n, 0.05));
        assert!(share >= 0.95, "{share}");
        // Not by being endless: it costs less than twice the fixed width.
        let fixed = student::two_sided_quantile(0.05, 19.0);
        let ratio = half_width(20, 0.05) / fixed;
        assert!(ratio < 2.0, "{ratio}");
    }

    #[test]
    fn the_fixed_interval_does_not_hold_it_at_all_looks() {
        let share = coverage_of_all_looks(|n| {
            student::two_sided_quantile(0.05, n.max(2) as f64 - 1.0)
        });
        assert!(share < 0.75, "{share}");
    }

    #[test]
    fn the_end_of_the_interval_is_where_e_reaches_one_over_alpha() {
        for n in [5, 8, 20, 200, 5000] {
            for alpha in [0.05, 0.01] {
                let t = half_width(n, alpha);
                if t.is_finite() {
                    let e = e_value(n, t * t / (n as f64 - 1.0));
                    assert!((e * alpha - 1.0).abs() < 1e-9, "{n}: {e}");
                }
            }
        }
        assert!(half_width(5, 0.05).is_finite());
        assert!(half_width(3, 0.05).is_infinite());
        assert!(half_width(1, 0.5).is_infinite());
    }

    #[test]
    fn identical_code_gives_an_e_of_at_most_one_on_average() {
        // Bounded e, so that the average settles: 6 units give at most 130.
        let total: f64 = (0..20_000)
            .map(|seed| t_mixture_e_value(&normal(seed, 6)).unwrap())
            .sum();
        let average = total / 20_000.0;
        assert!((0.9..1.1).contains(&average), "{average}");
    }

    #[test]
    fn extreme_units_have_a_finite_e() {
        // n = 3: at most (1 + 3)^(3/2 - 1/2) = 4.
        let e = t_mixture_e_value(&[2.0, 2.0, 2.0]).unwrap();
        assert!((e - 4.0).abs() < 1e-9, "{e}");
        let e = t_mixture_e_value(&[0.0, 0.0, 0.0]).unwrap();
        assert!((e - 0.5).abs() < 1e-9, "{e}");
        assert!(t_mixture_e_value(&vec![1.0; 5000]).unwrap().is_finite());
        for bad in [&[][..], &[1.0], &[1.0, f64::NAN]] {
            assert!(t_mixture_e_value(bad).is_err(), "{bad:?}");
        }
        assert!(t_mixture_half_width(10, 1.0).is_err());
    }
}
