//! What a table shows for a sample.
//!
//! The count, the smallest and the largest value, the median, and the 50th,
//! 95th and 99th percentile with their intervals (see `interval` for point,
//! ends and the widening for autocorrelation). The median's interval is there
//! from 2 samples on, with its true confidence where they are too few. A high
//! percentile is there only if its interval reaches the confidence: for 95 %
//! from 59 independent samples for p95 and 299 for p99 (`q^n <= 0.05`). Before
//! that the largest sample says more than a guess.

use assay_schema::Estimate;

use crate::error::check_confidence;
use crate::interval::sorted_estimate;
use crate::{SortedSample, StatisticsError};

/// A sample in a few numbers, all in the sample's unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// How many samples.
    pub n: usize,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// The median, without an interval: it exists for one sample too.
    pub median: f64,
    /// The median with its interval; from 2 samples on.
    pub p50: Option<Estimate>,
    /// The 95th percentile, if there are samples enough.
    pub p95: Option<Estimate>,
    /// The 99th percentile, if there are samples enough.
    pub p99: Option<Estimate>,
}

impl Summary {
    /// Sums up samples in the order of their measurement: at least 1, finite.
    pub fn new(
        samples: &[f64],
        confidence: f64,
    ) -> Result<Self, StatisticsError> {
        check_confidence(confidence)?;
        let sorted = SortedSample::new(samples)?;
        let n = samples.len();
        let estimate = |q: f64| -> Result<Option<Estimate>, StatisticsError> {
            if n < 2 {
                return Ok(None);
            }
            sorted_estimate(&sorted, Some(samples), q, confidence).map(Some)
        };
        let reached = |e: &Estimate| e.confidence >= confidence;
        Ok(Self {
            n,
            min: sorted.values()[0],
            max: sorted.values()[n - 1],
            median: sorted.median(),
            p50: estimate(0.5)?,
            p95: estimate(0.95)?.filter(reached),
            p99: estimate(0.99)?.filter(reached),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulated::uniform;

    #[test]
    fn one_sample_has_a_median_and_no_interval() {
        let summary = Summary::new(&[2.5], 0.95).unwrap();
        assert_eq!((summary.n, summary.min, summary.max), (1, 2.5, 2.5));
        assert_eq!(summary.median, 2.5);
        assert_eq!(summary.p50, None);
    }

    #[test]
    fn high_percentiles_appear_when_there_are_samples_enough() {
        // Equal samples: nothing varies, so nothing correlates.
        let shown = |n: usize| {
            let summary = Summary::new(&vec![1.0; n], 0.95).unwrap();
            (summary.p95.is_some(), summary.p99.is_some())
        };
        assert_eq!(shown(58), (false, false));
        assert_eq!(shown(59), (true, false));
        assert_eq!(shown(298), (true, false));
        assert_eq!(shown(299), (true, true));
    }

    #[test]
    fn percentiles_stand_in_order_inside_the_range() {
        let summary = Summary::new(&uniform(1, 2000), 0.95).unwrap();
        let p50 = summary.p50.unwrap();
        let p95 = summary.p95.unwrap();
        let p99 = summary.p99.unwrap();
        assert_eq!(p50.point, summary.median);
        assert!(summary.min < p50.low && p50.high < p95.low);
        assert!(p95.point < p99.point && p99.high <= summary.max);
        assert!(p95.low < 0.95 && 0.95 < p95.high);
    }

    #[test]
    fn nothing_and_nan_are_errors() {
        assert!(Summary::new(&[], 0.95).is_err());
        assert!(Summary::new(&[f64::NAN], 0.95).is_err());
        assert!(Summary::new(&[1.0], 1.0).is_err());
    }
}
