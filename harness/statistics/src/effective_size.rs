//! How many independent samples a correlated series is worth.
//!
//! The mean of `n` samples with autocovariances `g(0), g(1), ...` has variance
//! `V / n`, where `V = g(0) + 2 (g(1) + g(2) + ...)`. Independent samples
//! would have `g(0) / n`, so the series is worth
//!
//! ```text
//! n_eff = n g(0) / V          never above n
//! ```
//!
//! The sum of estimated autocovariances must be cut before it is all noise.
//! Geyer (Statistical Science 7(4), 1992, section 3.3) adds pairs
//! `G(m) = g(2m) + g(2m+1)` while they are positive, each no larger than the
//! one before (the initial monotone sequence): `V = -g(0) + 2 sum G(m)`.
//!
//! Slow drifts correlate over thousands of lags. A series that is still
//! positive after 32 lags is replaced by the means of its consecutive pairs,
//! which keeps the variance of its mean and halves its length, and is tried
//! again: the work stays near 64 multiplications a sample.
//!
//! Below 20 samples autocorrelation cannot be told from chance; such a series
//! counts as independent, and a reader should know that.

use crate::StatisticsError;
use crate::error::check;

/// Fewer samples than this are taken as independent.
const LEAST: usize = 20;
/// Lags that are tried before a long series is blocked.
const LAGS: usize = 32;

/// How many independent samples the series, in the order of its measurement,
/// is worth for its mean: from 1 to its length.
pub fn effective_sample_size(series: &[f64]) -> Result<f64, StatisticsError> {
    check(series, 1, "an effective sample size")?;
    Ok(effective_size(series))
}

/// The same for the empirical quantile `at`: of the series "is the sample at
/// most `at`", because the share of those is what order statistics count.
/// Indicators cannot be dominated by one outlier, as values can.
pub(crate) fn effective_size_at(series: &[f64], at: f64) -> f64 {
    let below: Vec<f64> =
        series.iter().map(|&value| f64::from(u8::from(value <= at))).collect();
    effective_size(&below)
}

fn effective_size(series: &[f64]) -> f64 {
    let n = series.len() as f64;
    if series.len() < LEAST {
        return n;
    }
    let mean = series.iter().sum::<f64>() / n;
    let mut blocked: Vec<f64> =
        series.iter().map(|value| value - mean).collect();
    let variance = autocovariance(&blocked, 0);
    if variance <= 0.0 {
        return n; // All equal: nothing varies, nothing correlates.
    }
    let long_run = loop {
        match initial_monotone_sum(&blocked) {
            Some(sum) => break sum,
            None => {
                blocked = blocked
                    .chunks_exact(2)
                    .map(|pair| f64::midpoint(pair[0], pair[1]))
                    .collect();
            }
        }
    };
    if long_run <= 0.0 {
        return n; // Neighbours that cancel: better than independent.
    }
    let variance_of_mean = long_run / blocked.len() as f64;
    (variance / variance_of_mean).clamp(1.0, n)
}

/// Geyer's `V` of a centred series; none if the pairs of a long series are
/// still positive after [`LAGS`].
fn initial_monotone_sum(centred: &[f64]) -> Option<f64> {
    let short = centred.len() <= 2 * LAGS;
    let lags = if short { centred.len() } else { LAGS };
    let mut sum = -autocovariance(centred, 0);
    let mut previous = f64::INFINITY;
    for lag in (0..lags).step_by(2) {
        let pair =
            autocovariance(centred, lag) + autocovariance(centred, lag + 1);
        if pair <= 0.0 {
            return Some(sum);
        }
        previous = pair.min(previous);
        sum += 2.0 * previous;
    }
    short.then_some(sum)
}

/// `g(lag)` of a centred series, divided by its whole length, which keeps the
/// estimated spectrum from going negative.
fn autocovariance(centred: &[f64], lag: usize) -> f64 {
    let shifted = centred.get(lag..).unwrap_or_default();
    let products: f64 = centred.iter().zip(shifted).map(|(a, b)| a * b).sum();
    products / centred.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulated::{autoregressive, normal};

    #[test]
    fn independent_samples_are_worth_nearly_their_number() {
        for seed in 0..20 {
            let worth = effective_sample_size(&normal(seed, 2000)).unwrap();
            assert!(worth > 1500.0, "seed {seed}: {worth}");
        }
    }

    #[test]
    fn a_correlated_series_is_worth_what_theory_says() {
        // AR(1): V / g(0) = (1 + r) / (1 - r), 19 for r = 0.9.
        let series = autoregressive(7, 100_000, 0.9);
        let worth = effective_sample_size(&series).unwrap();
        let theory = 100_000.0 / 19.0;
        assert!((worth / theory - 1.0).abs() < 0.2, "{worth} for {theory}");
    }

    #[test]
    fn a_drift_over_the_whole_series_leaves_a_handful() {
        let series: Vec<f64> = (0..50_000).map(f64::from).collect();
        assert!(effective_sample_size(&series).unwrap() < 10.0);
    }

    #[test]
    fn a_constant_and_an_alternating_series_are_worth_their_number() {
        assert_eq!(effective_sample_size(&[2.0; 50]), Ok(50.0));
        let alternating: Vec<f64> =
            (0..50_u8).map(|i| f64::from(i % 2)).collect();
        assert_eq!(effective_sample_size(&alternating), Ok(50.0));
    }

    #[test]
    fn indicators_see_correlation_behind_an_outlier() {
        let mut series = autoregressive(3, 5000, 0.9);
        series[2500] = 1e9;
        assert!(effective_sample_size(&series).unwrap() > 4000.0);
        assert!(effective_size_at(&series, 0.0) < 1000.0);
    }
}
