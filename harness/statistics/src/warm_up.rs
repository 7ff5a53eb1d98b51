//! Where the warm-up of a series of iteration times ends.
//!
//! First iterations are slow (cold caches, lazy compilation, a clock that
//! still ramps up) or fast (a clock that heat has not yet slowed). The rule,
//! for a series `x[0..n]` in the order of measurement:
//!
//! 1. **Enough.** `n < 16`: too short to tell.
//! 2. **Agreement** of two windows: their medians differ by at most 1 % of the
//!    later one, or the 99 % order-statistics intervals of their medians
//!    overlap (see `order_ranks`; a window of fewer than 8 samples uses its
//!    whole range). No normal law is assumed: two-humped and skewed noise is
//!    noise.
//! 3. **Is the end steady?** Compare the third with the last quarter of the
//!    series. If they do not agree, the series is not steady yet; the change
//!    between them is reported.
//! 4. **Walk back.** The later half is the reference. Cut the first half, from
//!    the middle towards the start, into blocks of `max(4, n / 16)` samples; a
//!    rest joins the foremost block. Step back over every block that agrees
//!    with the reference. One block that does not may be chance or a
//!    disturbance: look past it. Two in a row are warm-up: stop. The steady
//!    part starts at the last block that agreed.
//! 5. **Trim.** A single cold iteration hides inside a block, because medians
//!    do not see it. So drop leading samples while they lie outside Tukey's
//!    outer fences of the reference, `[Q1 - 3 IQR, Q3 + 3 IQR]`, and differ
//!    from its median by over 1 %; at most up to the middle.
//!
//! ```text
//! time |\
//!      | \__                        .            <- outlier: ignored
//!      |    \____.-._.-.__.-._.-.__.-._.-._.-.
//!      |  stop | |blocks agree  | quarter| quarter
//!                first          n/2              n
//! ```
//!
//! At most half of a series is ever discarded, as in White's MSER rule
//! (Simulation 69(6), 1997), which also judges the start by the end. MSER
//! itself was refused: it minimises the variance of a mean, so that one outlier
//! late in the series can move its answer anywhere. The fences are Tukey's
//! (Exploratory Data Analysis, 1977).
//!
//! What it cannot see: a change below 1 %, a drift inside the noise, and noise
//! so correlated that a quarter of the series is one swing (that is called not
//! steady, and it is not).

use crate::error::check;
use crate::interval::sorted_estimate;
use crate::{SortedSample, StatisticsError};

/// Shortest series that can be called steady.
pub const LEAST_SERIES: usize = 16;
/// Relative changes up to this are no warm-up.
const TOLERANCE: f64 = 0.01;
/// Confidence of the intervals that must overlap.
const CONFIDENCE: f64 = 0.99;
/// Smallest block.
const LEAST_BLOCK: usize = 4;

/// Whether, and from where on, a series is steady.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WarmUp {
    /// It is: from this index on, at most half of the series' length.
    Steady {
        /// The first steady iteration, from 0.
        first: usize,
    },
    /// It still changes: the last quarter's median over that of the quarter
    /// before, less 1 (negative: it still gets faster).
    Unsteady {
        /// The relative change; infinite after a median of 0.
        change: f64,
    },
    /// Too short to tell.
    TooShort {
        /// How many iterations it takes at least.
        needed: usize,
    },
}

/// Finds the end of the warm-up of iteration times, in their order.
///
/// Any unit. NaN and infinities are errors.
pub fn warm_up(series: &[f64]) -> Result<WarmUp, StatisticsError> {
    check(series, 0, "a warm-up")?;
    let n = series.len();
    if n < LEAST_SERIES {
        return Ok(WarmUp::TooShort { needed: LEAST_SERIES });
    }
    let middle = n / 2;
    let third = Window::new(&series[middle..middle + (n - middle) / 2])?;
    let last = Window::new(&series[middle + (n - middle) / 2..])?;
    if !third.agrees_with(&last) {
        return Ok(WarmUp::Unsteady {
            change: last.median / third.median - 1.0,
        });
    }
    let reference = Window::new(&series[middle..])?;
    let block = (n / 16).max(LEAST_BLOCK);
    let (mut first, mut end, mut disagreed) = (middle, middle, false);
    while end > 0 {
        // A rest too short for a block of its own joins this one.
        let start = if end < 2 * block { 0 } else { end - block };
        if Window::new(&series[start..end])?.agrees_with(&reference) {
            (first, disagreed) = (start, false);
        } else if disagreed {
            break;
        } else {
            disagreed = true;
        }
        end = start;
    }
    while first < middle && reference.is_far(series[first]) {
        first += 1;
    }
    Ok(WarmUp::Steady { first })
}

/// A stretch of the series, as the comparison sees it.
struct Window {
    sorted: SortedSample,
    median: f64,
    low: f64,
    high: f64,
}

impl Window {
    fn new(stretch: &[f64]) -> Result<Self, StatisticsError> {
        let sorted = SortedSample::new(stretch)?;
        let median = sorted_estimate(&sorted, None, 0.5, CONFIDENCE)?;
        Ok(Self {
            sorted,
            median: median.point,
            low: median.low,
            high: median.high,
        })
    }

    fn agrees_with(&self, later: &Self) -> bool {
        let overlap = self.low <= later.high && later.low <= self.high;
        let allowed = TOLERANCE * later.median.abs();
        overlap || (self.median - later.median).abs() <= allowed
    }

    /// Whether a sample lies outside the outer fences.
    fn is_far(&self, sample: f64) -> bool {
        let (Ok(q1), Ok(q3)) =
            (self.sorted.quantile(0.25), self.sorted.quantile(0.75))
        else {
            return false;
        };
        let fence = 3.0 * (q3 - q1);
        let outside = sample < q1 - fence || sample > q3 + fence;
        outside && (sample - self.median).abs() > TOLERANCE * self.median.abs()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::median;
    use crate::simulated::{exponential, normal, uniform};

    fn first(series: &[f64]) -> usize {
        match warm_up(series).unwrap() {
            WarmUp::Steady { first } => first,
            other => panic!("{other:?}"),
        }
    }

    fn noisy(seed: u64, n: usize, level: impl Fn(f64) -> f64) -> Vec<f64> {
        let noise = normal(seed, n);
        (0..n).map(|i| level(i as f64) * (1.0 + 0.02 * noise[i])).collect()
    }

    /// Median share that is discarded, and how often the series is refused.
    fn on_steady(n: usize, law: impl Fn(u64) -> Vec<f64>) -> (f64, f64) {
        let mut shares = Vec::new();
        let mut refused = 0.0;
        for seed in 0..300 {
            match warm_up(&law(seed)).unwrap() {
                WarmUp::Steady { first } => {
                    shares.push(first as f64 / n as f64);
                }
                _ => refused += 1.0 / 300.0,
            }
        }
        (median(&shares).unwrap(), refused)
    }

    #[test]
    fn steady_noise_is_kept() {
        for n in [16, 20, 50, 200, 1000] {
            let laws: [&dyn Fn(u64) -> Vec<f64>; 3] = [
                &|seed| noisy(seed, n, |_| 1.0),
                &|seed| exponential(seed, n),
                // Two humps: a fast and a slow path, taken by chance.
                &|seed| {
                    uniform(seed, n)
                        .iter()
                        .map(|u| if *u < 0.5 { 1.0 } else { 1.5 } + u * 0.01)
                        .collect()
                },
            ];
            for (place, law) in laws.iter().enumerate() {
                let (discarded, refused) = on_steady(n, law);
                assert!(discarded < 0.1, "n {n}, law {place}: {discarded}");
                assert!(refused < 0.06, "n {n}, law {place}: {refused}");
            }
        }
    }

    #[test]
    fn an_exponential_decay_is_cut_where_it_has_faded() {
        for seed in 0..100 {
            let decay = |i: f64| 1.0 + 2.0 * (-i / 15.0).exp();
            let found = first(&noisy(seed, 400, decay));
            // Decayed to 4 % at 59, to 0.26 % at 100.
            assert!((50..=125).contains(&found), "seed {seed}: {found}");
        }
    }

    #[test]
    fn a_clock_ramp_is_cut_at_its_end() {
        for seed in 0..100 {
            let ramp = |i: f64| 1.0 + 0.5 * (1.0 - i / 100.0).max(0.0);
            let found = first(&noisy(seed, 400, ramp));
            assert!((75..=125).contains(&found), "seed {seed}: {found}");
        }
    }

    #[test]
    fn a_fast_start_before_the_clock_drops_is_warm_up_too() {
        let step = |i: f64| if i < 60.0 { 0.8 } else { 1.0 };
        let found = first(&noisy(1, 400, step));
        assert!((60..=85).contains(&found), "{found}");
    }

    #[test]
    fn a_series_that_still_falls_is_not_steady() {
        let falling = noisy(1, 200, |i| 2.0 - i / 200.0);
        let WarmUp::Unsteady { change } = warm_up(&falling).unwrap() else {
            panic!("{:?}", warm_up(&falling));
        };
        assert!((-0.30..-0.10).contains(&change), "{change}");
    }

    #[test]
    fn one_cold_iteration_goes_and_nothing_more() {
        let mut series = noisy(1, 100, |_| 1.0);
        series[0] = 10.0;
        assert_eq!(first(&series), 1);
    }

    #[test]
    fn single_outliers_change_nothing() {
        for seed in 0..50 {
            let mut series = noisy(seed, 200, |_| 1.0);
            let before = warm_up(&series).unwrap();
            for place in [37, 90, 111, 160] {
                series[place] = 50.0;
            }
            let after = first(&series);
            let WarmUp::Steady { first: before } = before else { continue };
            assert!(after.abs_diff(before) <= 13, "{before} became {after}");
        }
    }

    #[test]
    fn a_disturbance_in_the_first_half_is_no_warm_up() {
        let burst =
            |i: f64| if (110.0..130.0).contains(&i) { 1.5 } else { 1.0 };
        assert!(first(&noisy(1, 400, burst)) < 25);
    }

    #[test]
    fn a_short_series_says_how_much_it_needs() {
        assert_eq!(warm_up(&[1.0; 15]), Ok(WarmUp::TooShort { needed: 16 }));
        assert_eq!(warm_up(&[]), Ok(WarmUp::TooShort { needed: 16 }));
        assert!(warm_up(&[f64::NAN; 20]).is_err());
    }

    #[test]
    fn a_constant_series_is_steady_from_its_start() {
        assert_eq!(first(&[3.0; 16]), 0);
    }

    proptest! {
        #[test]
        fn at_most_half_is_discarded(
            series in proptest::collection::vec(0.1..10.0, 0..120),
        ) {
            if let WarmUp::Steady { first } = warm_up(&series).unwrap() {
                prop_assert!(first <= series.len() / 2);
            }
        }

        #[test]
        fn the_unit_of_time_does_not_matter(
            series in proptest::collection::vec(0.1..10.0, 0..120),
        ) {
            let scaled: Vec<f64> = series.iter().map(|x| x * 1024.0).collect();
            prop_assert_eq!(warm_up(&scaled), warm_up(&series));
        }

        #[test]
        fn a_slow_plateau_in_front_is_always_cut(
            length in 8_usize..60,
            seed in 0_u64..1000,
        ) {
            let n = 200;
            let plateau = |i: f64| if i < length as f64 { 3.0 } else { 1.0 };
            let series = noisy(seed, n, plateau);
            if let WarmUp::Steady { first } = warm_up(&series).unwrap() {
                prop_assert!(first >= length, "{} of {}", first, length);
            }
        }
    }
}
