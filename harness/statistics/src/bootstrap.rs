//! The bootstrap percentile interval, for statistics that have no interval of
//! their own.
//!
//! Draw `n` of the `n` samples with replacement, compute the statistic, and
//! repeat: the spread of the results stands for the statistic's own. The
//! interval goes from the `(1 - c) / 2` to the `(1 + c) / 2` quantile of the
//! results (Efron and Tibshirani, An Introduction to the Bootstrap, 1993,
//! chapter 13), and is stretched to the point where a biased statistic leaves
//! it outside.
//!
//! The draws come from ChaCha8, whose stream is specified: a seed gives the
//! same interval everywhere. Two honest limits: with fewer than some 20
//! samples the interval is too narrow, and samples are taken as independent.
//! For a median use `interval`, which has neither limit.

use assay_schema::Estimate;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::error::{check, check_confidence};
use crate::{SortedSample, StatisticsError};

/// How to resample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bootstrap {
    /// How many times; 2,000 steadies a 95 % interval. At least 100.
    pub resamples: usize,
    /// Confidence of the interval, between 0 and 1.
    pub confidence: f64,
    /// Seed of the draws.
    pub seed: u64,
}

impl Bootstrap {
    /// A statistic of one sample. `name` goes into the estimate's `method`; a
    /// statistic that is undefined on a resample returns NaN.
    pub fn one(
        &self,
        name: &str,
        samples: &[f64],
        statistic: impl Fn(&[f64]) -> f64,
    ) -> Result<Estimate, StatisticsError> {
        check(samples, 2, "a bootstrap")?;
        let mut drawn = Vec::with_capacity(samples.len());
        self.rows(name, samples.len(), |rows| {
            pick(samples, rows, &mut drawn);
            statistic(&drawn)
        })
    }

    /// A statistic of two independent samples, each resampled by itself; `n`
    /// of the estimate is the smaller length.
    pub fn two(
        &self,
        name: &str,
        first: &[f64],
        second: &[f64],
        statistic: impl Fn(&[f64], &[f64]) -> f64,
    ) -> Result<Estimate, StatisticsError> {
        check(first, 2, "a bootstrap")?;
        check(second, 2, "a bootstrap")?;
        let (mut a, mut b) = (Vec::new(), Vec::new());
        self.groups(name, &[first.len(), second.len()], |groups| {
            pick(first, &groups[0], &mut a);
            pick(second, &groups[1], &mut b);
            statistic(&a, &b)
        })
    }

    /// A statistic of `n` rows of a table of any width: it receives the row
    /// numbers that were drawn. For pairs (a correlation) and triples (which
    /// of two columns follows a third better).
    pub fn rows(
        &self,
        name: &str,
        n: usize,
        mut statistic: impl FnMut(&[usize]) -> f64,
    ) -> Result<Estimate, StatisticsError> {
        self.groups(name, &[n], |groups| statistic(&groups[0]))
    }

    fn groups(
        &self,
        name: &str,
        sizes: &[usize],
        mut statistic: impl FnMut(&[Vec<usize>]) -> f64,
    ) -> Result<Estimate, StatisticsError> {
        check_confidence(self.confidence)?;
        if self.resamples < 100 {
            return Err(StatisticsError::Argument {
                name: "resamples",
                value: self.resamples as f64,
                expected: "at least 100",
            });
        }
        let n = sizes.iter().copied().min().unwrap_or(0);
        if n < 2 {
            return Err(StatisticsError::TooFew {
                statistic: "a bootstrap",
                found: n,
                needed: 2,
            });
        }
        let mut rows: Vec<Vec<usize>> =
            sizes.iter().map(|&size| (0..size).collect()).collect();
        let point = statistic(&rows);
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut results = Vec::with_capacity(self.resamples);
        for _ in 0..self.resamples {
            for group in &mut rows {
                let size = group.len() as u64;
                for row in group.iter_mut() {
                    // Drawn as u64: the same stream on every word size.
                    *row = rng.random_range(0..size) as usize;
                }
            }
            results.push(statistic(&rows));
        }
        results.retain(|result| result.is_finite());
        let undefined = self.resamples - results.len();
        if !point.is_finite() || 2 * undefined > self.resamples {
            return Err(StatisticsError::Undefined {
                undefined,
                resamples: self.resamples,
            });
        }
        let sorted = SortedSample::new(&results)?;
        let low = sorted.quantile((1.0 - self.confidence) / 2.0)?;
        let high = sorted.quantile(f64::midpoint(1.0, self.confidence))?;
        let mut method = format!(
            "{name}, bootstrap percentile, {} resamples",
            self.resamples
        );
        if undefined > 0 {
            method.push_str(&format!(" ({undefined} undefined)"));
        }
        Ok(Estimate {
            point,
            low: low.min(point),
            high: high.max(point),
            confidence: self.confidence,
            n: n as u64,
            method,
        })
    }
}

fn pick(samples: &[f64], rows: &[usize], drawn: &mut Vec<f64>) {
    drawn.clear();
    drawn.extend(rows.iter().map(|&row| samples[row]));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::simulated::{exponential, normal};

    const QUICK: Bootstrap =
        Bootstrap { resamples: 400, confidence: 0.95, seed: 1 };

    fn mean(samples: &[f64]) -> f64 {
        samples.iter().sum::<f64>() / samples.len() as f64
    }

    #[test]
    fn the_mean_is_covered_about_as_promised() {
        let held = (0..200)
            .filter(|&seed| {
                let e =
                    QUICK.one("mean", &exponential(seed, 60), mean).unwrap();
                e.low <= 1.0 && 1.0 <= e.high
            })
            .count();
        assert!((178..=198).contains(&held), "{held} of 200");
    }

    #[test]
    fn the_difference_of_two_samples_is_found() {
        let shifted: Vec<f64> =
            normal(2, 200).iter().map(|x| x + 3.0).collect();
        let e = QUICK
            .two("difference", &shifted, &normal(3, 100), |a, b| {
                mean(a) - mean(b)
            })
            .unwrap();
        assert!(e.low > 2.5 && e.low < 3.0 && e.high > 3.0 && e.high < 3.5);
        assert_eq!(e.n, 100);
        assert_eq!(e.method, "difference, bootstrap percentile, 400 resamples");
    }

    #[test]
    fn a_seed_gives_the_same_interval_and_another_one_another() {
        let sample = normal(5, 50);
        let again = QUICK.one("mean", &sample, mean);
        assert_eq!(QUICK.one("mean", &sample, mean), again);
        let other = Bootstrap { seed: 2, ..QUICK };
        assert_ne!(other.one("mean", &sample, mean), again);
    }

    #[test]
    fn a_statistic_that_is_mostly_undefined_is_an_error() {
        assert_eq!(
            QUICK.one("nothing", &[1.0, 2.0], |_| f64::NAN),
            Err(StatisticsError::Undefined { undefined: 400, resamples: 400 })
        );
    }

    #[test]
    fn too_few_samples_or_resamples_are_errors() {
        assert!(QUICK.one("mean", &[1.0], mean).is_err());
        assert!(QUICK.rows("rows", 0, |_| 1.0).is_err());
        let few = Bootstrap { resamples: 99, ..QUICK };
        assert!(few.one("mean", &[1.0, 2.0], mean).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn the_interval_holds_the_point_and_scales(
            sample in proptest::collection::vec(0.1..100.0, 2..30),
        ) {
            let e = QUICK.one("mean", &sample, mean).unwrap();
            prop_assert!(e.low <= e.point && e.point <= e.high);
            let scaled: Vec<f64> = sample.iter().map(|x| x * 4.0).collect();
            let scaled = QUICK.one("mean", &scaled, mean).unwrap();
            prop_assert_eq!(scaled, e.scaled(4.0));
        }
    }
}
