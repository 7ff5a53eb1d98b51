//! Quantiles of a sample, the median, and the median absolute deviation.
//!
//! Of `n` sorted values `x[0] <= ... <= x[n-1]` the quantile `q` stands at
//! position `h = (n - 1) q`; between two values it is interpolated:
//!
//! ```text
//! Q(q) = x[floor h] + (h - floor h) (x[floor h + 1] - x[floor h])
//! ```
//!
//! This is type 7 of Hyndman and Fan (The American Statistician 50(4), 1996),
//! the default of R and NumPy. `Q(0)` is the minimum, `Q(1)` the maximum,
//! `Q(1/2)` the median. The median absolute deviation is
//! `MAD = median |x - median x|`, unscaled: times 1.4826 it estimates the
//! standard deviation of a normal law.
//!
//! Not here: intervals (see `interval`).

use crate::StatisticsError;
use crate::error::check;

/// A sample in ascending order, finite and not empty: sort once, ask often.
#[derive(Clone, Debug, PartialEq)]
pub struct SortedSample {
    values: Vec<f64>,
}

impl SortedSample {
    /// Sorts a copy of the samples. An empty sample, NaN and infinities are
    /// errors.
    pub fn new(samples: &[f64]) -> Result<Self, StatisticsError> {
        check(samples, 1, "a quantile")?;
        let mut values = samples.to_vec();
        values.sort_unstable_by(f64::total_cmp);
        Ok(Self { values })
    }

    /// The values in ascending order.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The quantile `q` by linear interpolation; `q` in `[0, 1]`.
    pub fn quantile(&self, q: f64) -> Result<f64, StatisticsError> {
        if !(0.0..=1.0).contains(&q) {
            return Err(StatisticsError::Argument {
                name: "q",
                value: q,
                expected: "a number from 0 to 1",
            });
        }
        Ok(self.interpolated(q))
    }

    /// The median.
    pub fn median(&self) -> f64 {
        self.interpolated(0.5)
    }

    fn interpolated(&self, q: f64) -> f64 {
        let position = (self.values.len() - 1) as f64 * q;
        let below = position.floor();
        let index = below as usize;
        let (low, share) = (self.values[index], position - below);
        match self.values.get(index + 1) {
            // The weighted form cannot overflow as a difference could.
            Some(&high) if share > 0.0 => {
                (low * (1.0 - share) + high * share).clamp(low, high)
            }
            _ => low,
        }
    }
}

/// The quantile `q` of a sample, `q` in `[0, 1]`, by linear interpolation.
pub fn quantile(samples: &[f64], q: f64) -> Result<f64, StatisticsError> {
    SortedSample::new(samples)?.quantile(q)
}

/// The median of a sample.
pub fn median(samples: &[f64]) -> Result<f64, StatisticsError> {
    Ok(SortedSample::new(samples)?.median())
}

/// The median absolute deviation of a sample from its median, unscaled.
pub fn median_absolute_deviation(
    samples: &[f64],
) -> Result<f64, StatisticsError> {
    let centre = median(samples)?;
    let distances: Vec<f64> =
        samples.iter().map(|value| (value - centre).abs()).collect();
    median(&distances)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantiles_agree_with_the_worked_example_of_type_7() {
        // R: quantile(c(1, 2, 4, 8), c(0, .25, .5, .9, 1), type = 7)
        let samples = [8.0, 1.0, 4.0, 2.0];
        for (q, expected) in
            [(0.0, 1.0), (0.25, 1.75), (0.5, 3.0), (0.9, 6.8), (1.0, 8.0)]
        {
            let found = quantile(&samples, q).unwrap();
            assert!((found - expected).abs() < 1e-12, "{q}: {found}");
        }
    }

    #[test]
    fn the_median_absolute_deviation_ignores_one_outlier() {
        let samples = [1.0, 2.0, 3.0, 4.0, 1000.0];
        assert_eq!(median_absolute_deviation(&samples), Ok(1.0));
    }

    #[test]
    fn nan_and_emptiness_are_errors_that_say_where() {
        let error = median(&[1.0, f64::NAN]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "sample 1 is NaN; expected a finite number"
        );
        let error = median(&[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a quantile of 0 samples; expected at least 1"
        );
        assert!(median(&[f64::INFINITY]).is_err());
    }

    #[test]
    fn a_quantile_outside_zero_to_one_is_an_error() {
        for q in [-0.1, 1.1, f64::NAN] {
            assert!(quantile(&[1.0, 2.0], q).is_err(), "{q}");
        }
    }

    proptest! {
        #[test]
        fn a_quantile_does_not_depend_on_the_order(
            (sample, shuffled) in proptest::collection::vec(-1e6..1e6, 1..60)
                .prop_flat_map(|s| (Just(s.clone()), Just(s).prop_shuffle())),
            q in 0.0..=1.0,
        ) {
            prop_assert_eq!(quantile(&sample, q), quantile(&shuffled, q));
        }

        #[test]
        fn a_quantile_scales_with_its_sample(
            sample in proptest::collection::vec(-1e6..1e6, 1..60),
            q in 0.0..=1.0,
        ) {
            // Four is a power of two: multiplication by it is exact.
            let scaled: Vec<f64> = sample.iter().map(|x| x * 4.0).collect();
            prop_assert_eq!(
                quantile(&scaled, q).unwrap(),
                quantile(&sample, q).unwrap() * 4.0
            );
            prop_assert_eq!(
                median_absolute_deviation(&scaled).unwrap(),
                median_absolute_deviation(&sample).unwrap() * 4.0
            );
        }

        #[test]
        fn quantiles_rise_with_q_and_stay_within_the_sample(
            sample in proptest::collection::vec(-1e6..1e6, 1..60),
            p in 0.0..=1.0,
            q in 0.0..=1.0,
        ) {
            let sorted = SortedSample::new(&sample).unwrap();
            let low = sorted.quantile(f64::min(p, q)).unwrap();
            let high = sorted.quantile(f64::max(p, q)).unwrap();
            prop_assert!(low <= high);
            prop_assert!(sorted.quantile(0.0).unwrap() <= low);
            prop_assert!(high <= sorted.quantile(1.0).unwrap());
        }
    }
}
