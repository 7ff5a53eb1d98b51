//! How evenly a fixed piece of work takes its time here.
//!
//! The work is a chain of additions and rotations, each of which needs the one
//! before: no memory, no branch that could be guessed wrong, the same number
//! of cycles each time. What spreads is the machine. A sample is some 20 us of
//! it, and one second of samples is cut into 60 stretches.

use std::hint::black_box;

use assay_schema::{Better, Seconds};
use assay_statistics::{
    MetricKind, SortedSample, Units, VerdictRule, find, interquartile_mean,
};

use crate::Clock;

/// How long the loop runs.
const WINDOW: Seconds = Seconds(1.0);

/// How long a sample is, about.
const SAMPLE: Seconds = Seconds(20e-6);

/// Units of three stretches: A, B, A'.
const UNITS: usize = 20;

/// For what [`Spread::resolves`] holds.
pub const RESOLVED_IN: &str = "the easiest of bodies, a loop of dependent \
                               additions; 1 s for all arms, called in 80 of \
                               100 comparisons";

/// What the samples of the loop look like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Samples.
    pub samples: usize,
    /// Half are shorter.
    pub median: Seconds,
    /// The 99th percentile over the median; 1 is even.
    pub p99_over_median: f64,
    /// The longest sample less the median: the longest time that the loop was
    /// kept from running.
    pub largest_gap: Seconds,
    /// Share of the time that samples took beyond twice the median.
    pub interrupted: f64,
    /// How much slower the slowest stretch's fastest sample is than the
    /// fastest stretch's; 0 is even. What interrupts does not reach the
    /// fastest sample of a stretch; what slows the core down does.
    pub drift: f64,
    /// The smallest relative change that a comparison of 1 s would have
    /// called with power 80 %, were these stretches its arms A, B, A' in turn:
    /// METHODOLOGY.md's rule as it stands unless told otherwise. None where
    /// the clock is too coarse to tell.
    pub resolves: Option<f64>,
}

impl Spread {
    /// From samples in order, seconds each; none from too few or from a clock
    /// that does not move.
    pub fn of(samples: &[f64]) -> Option<Self> {
        let length = samples.len() / (3 * UNITS);
        if length < 8 {
            return None;
        }
        let sorted = SortedSample::new(samples).ok()?;
        let median = sorted.median();
        if median <= 0.0 {
            return None;
        }
        let p99 = sorted.quantile(0.99).ok()?;
        let longest = sorted.values().last().copied()?;
        let beyond = samples.iter().filter(|&&s| s > 2.0 * median);
        let interrupted = beyond.map(|s| s - median).sum::<f64>()
            / samples.iter().sum::<f64>();
        let stretches: Vec<Vec<f64>> = samples
            .chunks_exact(length)
            .take(3 * UNITS)
            .map(|stretch| {
                let mut stretch = stretch.to_vec();
                stretch.sort_by(f64::total_cmp);
                stretch
            })
            .collect();
        let fastest = stretches.iter().map(|stretch| stretch[0]);
        let (least, most) = fastest
            .fold((f64::INFINITY, 0.0_f64), |(least, most), fastest| {
                (least.min(fastest), most.max(fastest))
            });
        Some(Self {
            samples: samples.len(),
            median: Seconds(median),
            p99_over_median: p99 / median,
            largest_gap: Seconds(longest - median),
            interrupted,
            drift: most / least - 1.0,
            resolves: resolves(&stretches),
        })
    }

    /// Runs the loop.
    pub(super) fn measure<C: Clock>(clock: &C) -> Option<Self> {
        let mut turns = 1000;
        let time = |turns: u64| {
            let start = clock.now();
            black_box(chain(black_box(turns)));
            clock.seconds(clock.now().saturating_sub(start)).0
        };
        // Twice, as the first pays for waking up.
        for _ in 0..2 {
            let long = time(100_000);
            turns = (SAMPLE.0 / long * 1e5) as u64;
        }
        let turns = turns.clamp(100, 1_000_000);
        let mut samples = Vec::with_capacity(2 * (WINDOW / SAMPLE) as usize);
        let mut spent = 0.0;
        while spent < WINDOW.0 && samples.len() < samples.capacity() {
            let sample = time(turns);
            spent += sample;
            samples.push(sample);
        }
        Self::of(&samples)
    }
}

/// A chain in which each step needs the one before. Two operations a turn, so
/// that no compiler finds a closed form.
#[inline(never)]
fn chain(turns: u64) -> u64 {
    let mut x = turns;
    for turn in 0..turns {
        x = x.rotate_left(1).wrapping_add(turn);
    }
    x
}

/// [`Spread::resolves`] from stretches.
fn resolves(stretches: &[Vec<f64>]) -> Option<f64> {
    let logs: Vec<f64> = stretches
        .iter()
        .map(|stretch| interquartile_mean(stretch).ok().map(f64::ln))
        .collect::<Option<_>>()?;
    let of = |log: fn(&[f64]) -> f64| -> Vec<f64> {
        logs.chunks_exact(3).map(log).collect()
    };
    let units = Units {
        candidate: of(|arms| arms[1] - arms[0]),
        again: of(|arms| arms[1] - arms[2]),
        null: of(|arms| arms[2] - arms[0]),
    };
    let rule = VerdictRule::default();
    let found = find(&units, MetricKind::Timed, Better::Lower, &rule).ok()?;
    let smallest = found.detectable.power_80;
    smallest.is_finite().then_some(smallest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Samples with a deterministic jitter of `size`.
    fn jittered(size: f64) -> Vec<f64> {
        let one = |i: usize| 1.0 + size * ((i * 7919) % 101) as f64 / 100.0;
        (0..6000).map(one).collect()
    }

    #[test]
    fn an_even_machine_resolves_the_floor_and_no_less() {
        let spread = Spread::of(&jittered(0.001)).unwrap();
        assert!(spread.p99_over_median < 1.001);
        assert!(spread.drift < 1e-4);
        assert_eq!(spread.interrupted, 0.0);
        let resolves = spread.resolves.unwrap();
        assert!((0.01..0.0101).contains(&resolves), "{resolves}");
    }

    #[test]
    fn a_clock_that_shows_no_spread_at_all_is_too_coarse_to_tell() {
        let spread = Spread::of(&[2e-5; 6000]).unwrap();
        assert_eq!(spread.p99_over_median, 1.0);
        assert_eq!(spread.drift, 0.0);
        assert_eq!(spread.resolves, None);
    }

    #[test]
    fn one_interruption_is_a_gap_and_no_drift() {
        let mut samples = vec![2e-5; 6000];
        samples[3000] = 4e-3;
        let spread = Spread::of(&samples).unwrap();
        assert!((spread.largest_gap.0 - 3.98e-3).abs() < 1e-9);
        assert_eq!(spread.drift, 0.0);
        assert!(spread.interrupted > 0.03);
    }

    #[test]
    fn a_slower_second_half_is_drift_and_costs_resolution() {
        let mut samples = jittered(0.001);
        let even = Spread::of(&samples).unwrap();
        for (index, sample) in samples.iter_mut().enumerate() {
            *sample *= 1.0 + 0.1 * (index / 100 % 2) as f64;
        }
        let uneven = Spread::of(&samples).unwrap();
        assert!((uneven.drift - 0.1).abs() < 0.01, "{}", uneven.drift);
        assert!(uneven.resolves.unwrap() > 2.0 * even.resolves.unwrap());
    }

    #[test]
    fn too_few_samples_or_a_clock_that_stands_give_nothing() {
        assert_eq!(Spread::of(&[1.0; 100]), None);
        assert_eq!(Spread::of(&[0.0; 6000]), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn a_unit_of_time_changes_no_ratio(
            factor in 1e-9_f64..1e9,
            size in 0.001_f64..1.0,
        ) {
            let samples = jittered(size);
            let scaled: Vec<f64> =
                samples.iter().map(|s| s * factor).collect();
            let (a, b) =
                (Spread::of(&samples).unwrap(), Spread::of(&scaled).unwrap());
            let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
            prop_assert!(close(a.p99_over_median, b.p99_over_median));
            prop_assert!(close(a.drift, b.drift));
            prop_assert!(close(a.resolves.unwrap(), b.resolves.unwrap()));
        }
    }
}
