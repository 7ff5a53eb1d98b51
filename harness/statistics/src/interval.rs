//! The interval of a quantile that assumes no distribution.
//!
//! The point is the type 7 quantile (see `quantile`); the ends are two order
//! statistics, `x(l)` and `x(u)`, whose ranks come from the binomial law (see
//! `order_ranks`). Ties only make the interval safer.
//!
//! Successive timings are rarely independent. [`quantile_estimate`] takes its
//! samples **in the order of measurement** and widens the interval by this
//! rule: let `m` be the effective number of the series "sample at most the
//! point" (see `effective_size`), rounded down, at least 2. Take the ranks
//! `l`, `u` of `m` samples and read them in the `n` real ones as if each
//! effective sample had been written down `n / m` times:
//!
//! ```text
//! low rank = floor(l n / m)        high rank = n + 1 - floor((m + 1 - u) n / m)
//! ```
//!
//! With `m = n` nothing changes. The interval never gets narrower. Below 20
//! samples no correlation can be estimated, and `m = n`.
//!
//! Too few samples for the confidence: the interval is the whole range, its
//! `confidence` is the true one, and `method` says so. A single sample has no
//! interval at all: that is an error.

use assay_schema::Estimate;

use crate::effective_size::effective_size_at;
use crate::error::{check, check_confidence};
use crate::order_ranks::order_ranks;
use crate::{SortedSample, StatisticsError};

/// The quantile `q` of samples in the order of their measurement, widened for
/// their autocorrelation.
///
/// `0 < q < 1`, `0 < confidence < 1`, at least 2 finite samples. `n` of the
/// estimate is the number of samples; `method` names the effective number
/// where it is smaller.
pub fn quantile_estimate(
    samples: &[f64],
    q: f64,
    confidence: f64,
) -> Result<Estimate, StatisticsError> {
    check(samples, 2, "an interval")?;
    sorted_estimate(&SortedSample::new(samples)?, Some(samples), q, confidence)
}

/// The median of samples in the order of their measurement:
/// [`quantile_estimate`] with `q = 0.5`.
pub fn median_estimate(
    samples: &[f64],
    confidence: f64,
) -> Result<Estimate, StatisticsError> {
    quantile_estimate(samples, 0.5, confidence)
}

/// The quantile `q` of samples whose order means nothing (seeds, machines,
/// models): no widening, and any order gives the same interval.
pub fn independent_quantile_estimate(
    samples: &[f64],
    q: f64,
    confidence: f64,
) -> Result<Estimate, StatisticsError> {
    check(samples, 2, "an interval")?;
    sorted_estimate(&SortedSample::new(samples)?, None, q, confidence)
}

/// The estimate from a sample that is sorted already; `series` is the same
/// sample in its order, if its order means something.
pub(crate) fn sorted_estimate(
    sorted: &SortedSample,
    series: Option<&[f64]>,
    q: f64,
    confidence: f64,
) -> Result<Estimate, StatisticsError> {
    check_confidence(confidence)?;
    if !(q > 0.0 && q < 1.0) {
        return Err(StatisticsError::Argument {
            name: "q",
            value: q,
            expected: "a number between 0 and 1, both excluded",
        });
    }
    let values = sorted.values();
    let n = values.len();
    let point = sorted.quantile(q)?;
    let effective = match series {
        Some(series) => (effective_size_at(series, point) as usize).max(2),
        None => n,
    };
    let ranks = order_ranks(effective, q, confidence);
    let (low, high) = if ranks.reached {
        let from_below = read_in(ranks.low, n, effective);
        let from_above = read_in(effective + 1 - ranks.high, n, effective);
        (values[from_below - 1], values[n - from_above])
    } else {
        (values[0], values[n - 1])
    };
    Ok(Estimate {
        point,
        low: low.min(point),
        high: high.max(point),
        confidence: if ranks.reached { confidence } else { ranks.confidence },
        n: n as u64,
        method: method(q, n, effective, ranks.reached),
    })
}

/// `floor(rank n / m)`, in integers so that `n = m` is exact.
fn read_in(rank: usize, n: usize, effective: usize) -> usize {
    let scaled = rank as u128 * n as u128 / effective as u128;
    usize::try_from(scaled).unwrap_or(n).clamp(1, n)
}

fn method(q: f64, n: usize, effective: usize, reached: bool) -> String {
    let mut method = if (q - 0.5).abs() < 1e-12 {
        "median, order statistics".to_owned()
    } else {
        // Rounded, because 0.07 * 100 prints as 7.000000000000001.
        let percent = (q * 1e8).round() / 1e6;
        format!("p{percent}, order statistics")
    };
    if effective < n {
        method.push_str(&format!(", {effective} effective"));
    }
    if !reached {
        method.push_str(", whole range: too few samples");
    }
    method
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::simulated::{autoregressive, exponential, normal};

    /// The share of 2,000 simulated series whose interval holds the truth.
    fn coverage(truth: f64, q: f64, law: impl Fn(u64) -> Vec<f64>) -> f64 {
        let held = (0..2000)
            .filter(|&seed| {
                let e = quantile_estimate(&law(seed), q, 0.95).unwrap();
                e.low <= truth && truth <= e.high
            })
            .count();
        held as f64 / 2000.0
    }

    #[test]
    fn the_median_of_a_skewed_law_is_covered_as_promised() {
        for n in [6, 11, 30, 101, 400] {
            let share = coverage(2.0_f64.ln(), 0.5, |seed| {
                exponential(seed * 1000 + n as u64, n)
            });
            assert!(share >= 0.93, "n = {n}: {share}");
        }
    }

    #[test]
    fn the_95th_percentile_of_a_skewed_law_is_covered_as_promised() {
        for n in [60, 200] {
            let share = coverage(20.0_f64.ln(), 0.95, |seed| {
                exponential(seed * 1000 + n as u64, n)
            });
            assert!(share >= 0.93, "n = {n}: {share}");
        }
    }

    #[test]
    fn the_median_of_a_correlated_series_is_covered_nearly_as_promised() {
        // Taken as independent, the same intervals hold it 3 times in 4.
        let series = |seed| autoregressive(seed, 300, 0.6);
        let share = coverage(0.0, 0.5, series);
        assert!(share >= 0.90, "{share}");
        let naive = (0..2000)
            .filter(|&seed| {
                let e = independent_quantile_estimate(&series(seed), 0.5, 0.95)
                    .unwrap();
                e.low <= 0.0 && 0.0 <= e.high
            })
            .count();
        assert!(naive < 1600, "{naive} of 2000");
    }

    #[test]
    fn independent_samples_are_hardly_widened() {
        let mut ratio = 0.0;
        for seed in 0..200 {
            let sample = normal(seed, 100);
            let width = |e: Estimate| e.high - e.low;
            ratio += width(median_estimate(&sample, 0.95).unwrap())
                / width(
                    independent_quantile_estimate(&sample, 0.5, 0.95).unwrap(),
                );
        }
        assert!(ratio / 200.0 < 1.25, "{}", ratio / 200.0);
    }

    #[test]
    fn too_few_samples_are_told_by_confidence_and_method() {
        let e = median_estimate(&[3.0, 1.0, 2.0], 0.95).unwrap();
        assert_eq!((e.low, e.point, e.high), (1.0, 2.0, 3.0));
        assert!((e.confidence - 0.75).abs() < 1e-12);
        assert_eq!(
            e.method,
            "median, order statistics, whole range: too few samples"
        );
    }

    #[test]
    fn one_sample_has_no_interval() {
        assert_eq!(
            median_estimate(&[1.0], 0.95).unwrap_err().to_string(),
            "an interval of 1 samples; expected at least 2"
        );
    }

    #[test]
    fn a_confidence_or_quantile_at_the_border_is_an_error() {
        for (q, confidence) in
            [(0.5, 0.0), (0.5, 1.0), (0.5, f64::NAN), (0.0, 0.9), (1.0, 0.9)]
        {
            assert!(quantile_estimate(&[1.0, 2.0], q, confidence).is_err());
        }
    }

    #[test]
    fn ties_give_an_interval_without_width() {
        let e = median_estimate(&[5.0; 40], 0.95).unwrap();
        assert_eq!((e.low, e.point, e.high), (5.0, 5.0, 5.0));
        assert_eq!(e.method, "median, order statistics");
    }

    #[test]
    fn hundreds_of_thousands_of_correlated_samples_are_no_burden() {
        let e = quantile_estimate(&autoregressive(1, 300_000, 0.9), 0.99, 0.95)
            .unwrap();
        assert!(e.low < e.point && e.point < e.high);
        assert!(e.method.starts_with("p99, order statistics, "), "{e:?}");
    }

    proptest! {
        #[test]
        fn the_interval_holds_the_point_and_lies_in_the_range(
            sample in proptest::collection::vec(-1e6..1e6, 2..80),
            q in 0.01..0.99,
            confidence in 0.01..0.999,
        ) {
            let e = quantile_estimate(&sample, q, confidence).unwrap();
            let sorted = SortedSample::new(&sample).unwrap();
            prop_assert!(e.low <= e.point && e.point <= e.high);
            prop_assert!(sorted.values().contains(&e.low) || e.low == e.point);
            prop_assert!(e.confidence <= confidence);
        }

        #[test]
        fn widening_never_narrows(
            sample in proptest::collection::vec(-1e6..1e6, 2..80),
            q in 0.01..0.99,
        ) {
            let wide = quantile_estimate(&sample, q, 0.95).unwrap();
            let plain = independent_quantile_estimate(&sample, q, 0.95).unwrap();
            prop_assert!(wide.low <= plain.low && plain.high <= wide.high);
        }

        #[test]
        fn the_independent_interval_does_not_depend_on_the_order(
            (sample, shuffled) in proptest::collection::vec(-1e6..1e6, 2..60)
                .prop_flat_map(|s| (Just(s.clone()), Just(s).prop_shuffle())),
            q in 0.01..0.99,
        ) {
            prop_assert_eq!(
                independent_quantile_estimate(&sample, q, 0.95),
                independent_quantile_estimate(&shuffled, q, 0.95)
            );
        }

        #[test]
        fn the_interval_scales_with_its_sample(
            sample in proptest::collection::vec(1e-3..1e6, 2..60),
            q in 0.01..0.99,
        ) {
            let scaled: Vec<f64> = sample.iter().map(|x| x * 4.0).collect();
            prop_assert_eq!(
                quantile_estimate(&scaled, q, 0.95).unwrap(),
                quantile_estimate(&sample, q, 0.95).unwrap().scaled(4.0)
            );
        }
    }
}
