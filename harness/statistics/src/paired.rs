//! From what was measured to one number for each independent unit.
//!
//! A block measures the baseline, the candidate and the baseline again, in
//! random order, close together in time. What slows the machine for longer
//! than a block slows all three and cancels in
//!
//! ```text
//! candidate: ln( B / A ), ln( B / A' )        null: ln( A' / A )
//! ```
//!
//! Each of the three is as likely to err to one side as to the other when the
//! arms meet the same noise. `ln( B / sqrt(A A') )` is not: noise only ever
//! slows, it comes upon two baselines more often than upon one candidate, and
//! a mean of the middle half then leans towards "faster" (by 0.75 % of a body
//! that shared its core with a compiler, as was seen).
//!
//! Blocks that follow each other are not independent, and processes differ
//! from each other by more than their iterations do. So the unit is a triple
//! of fresh processes. Its value is the interquartile mean over its blocks: the
//! mean of the middle half, which a burst of noise in a quarter of the blocks
//! cannot move far, and which wastes less than the median.

use crate::StatisticsError;
use crate::error::check_positive;
use crate::quantile::median;

/// One block: seconds (or counts) an iteration, finite and above 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block {
    /// The baseline, A.
    pub baseline: f64,
    /// The candidate, B.
    pub candidate: f64,
    /// The baseline again, A'.
    pub repeat: f64,
}

/// Natural logarithms of ratios, one a unit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Units {
    /// Candidate over baseline, B / A.
    pub candidate: Vec<f64>,
    /// Candidate over the baseline's other arm, B / A', unit for unit; empty
    /// where there is none (two runs).
    ///
    /// Apart from the first because each of the two alone is as likely to err
    /// to either side, while their mean is not: an unlucky process is slow,
    /// and two baselines have twice the bad luck of one candidate.
    pub again: Vec<f64>,
    /// Baseline over baseline: what no change looks like here.
    pub null: Vec<f64>,
}

/// The units of grouped blocks, one group a unit.
///
/// An error names the first bad block by its place among all, from 0. At
/// least one group, and a block in each.
pub fn units_of(groups: &[Vec<Block>]) -> Result<Units, StatisticsError> {
    if groups.is_empty() {
        return Err(too_few("units"));
    }
    let mut units = Units::default();
    let mut before = 0;
    for group in groups {
        for (index, block) in group.iter().enumerate() {
            check_block(*block, before + index)?;
        }
        before += group.len();
        let logs = |of: fn(&Block) -> f64| -> Vec<f64> {
            group.iter().map(of).collect()
        };
        let to_first = interquartile_mean(&logs(|block| {
            block.candidate.ln() - block.baseline.ln()
        }))?;
        let to_again = interquartile_mean(&logs(|block| {
            block.candidate.ln() - block.repeat.ln()
        }))?;
        units.candidate.push(to_first);
        units.again.push(to_again);
        units.null.push(interquartile_mean(&logs(|block| {
            block.repeat.ln() - block.baseline.ln()
        }))?);
    }
    Ok(units)
}

fn check_block(block: Block, index: usize) -> Result<(), StatisticsError> {
    for value in [block.baseline, block.candidate, block.repeat] {
        if !value.is_finite() {
            return Err(StatisticsError::NotFinite { index, value });
        }
        if value <= 0.0 {
            return Err(StatisticsError::NotPositive {
                statistic: "a ratio",
                index,
                value,
            });
        }
    }
    Ok(())
}

/// Consecutive parts of nearly equal length, at most one for each value.
fn cut<T>(series: &[T], how_many: usize) -> impl Iterator<Item = &[T]> {
    let (n, parts) = (series.len(), how_many.min(series.len()));
    (0..parts).map(move |i| &series[i * n / parts..(i + 1) * n / parts])
}

/// Stretches of two series that were not measured in blocks, at most.
const MOST_STRETCHES: usize = 20;
/// Samples a stretch, where that leaves [`LEAST_STRETCHES`].
const SAMPLES_A_STRETCH: usize = 4;
/// Stretches of a short series: with fewer, Student's quantiles cost more
/// than longer stretches bring. The null arm has half as many.
const LEAST_STRETCHES: usize = 8;

/// The units of two series, each in the order of its measurement: two runs.
///
/// Each is cut into the same number of consecutive stretches: a quarter of
/// the shorter series' length, within 8 and 20, never more than it has
/// samples. A stretch counts by the logarithm of its median. Candidate unit i
/// is stretch i of the candidate minus stretch i of the baseline: the
/// stretches are taken as independent, so any pairing is as good. The null
/// arm is the later half of the baseline's stretches minus the earlier half:
/// drift within the run.
///
/// What differs from run to run but not within one (memory layout, the hour)
/// is not seen by it: measure in blocks where that matters.
pub fn units_of_series(
    baseline: &[f64],
    candidate: &[f64],
) -> Result<Units, StatisticsError> {
    check_positive(baseline, 1, "a ratio")?;
    check_positive(candidate, 1, "a ratio")?;
    let shorter = baseline.len().min(candidate.len());
    let parts = (shorter / SAMPLES_A_STRETCH)
        .clamp(LEAST_STRETCHES, MOST_STRETCHES)
        .min(shorter);
    let baseline = log_medians(baseline, parts)?;
    let candidate = log_medians(candidate, parts)?;
    let half = parts / 2;
    Ok(Units {
        candidate: differences(&candidate, &baseline),
        again: Vec::new(),
        null: differences(&baseline[parts - half..], &baseline[..half]),
    })
}

fn log_medians(
    series: &[f64],
    parts: usize,
) -> Result<Vec<f64>, StatisticsError> {
    cut(series, parts).map(|part| Ok(median(part)?.ln())).collect()
}

fn differences(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// The mean of the middle half: a quarter of the weight is cut from either
/// end, the values on the cut counting in part.
pub fn interquartile_mean(values: &[f64]) -> Result<f64, StatisticsError> {
    crate::error::check(values, 1, "an interquartile mean")?;
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let (from, to) = (n / 4.0, n - n / 4.0);
    let (mut sum, mut low, mut high) = (0.0, f64::INFINITY, f64::NEG_INFINITY);
    for (i, &value) in sorted.iter().enumerate() {
        let weight = to.min(i as f64 + 1.0) - from.max(i as f64);
        if weight > 0.0 {
            sum += value * (weight / (to - from));
            low = value.min(low);
            high = value.max(high);
        }
    }
    // Rounding must not make equal values differ: counts agree exactly.
    Ok(sum.clamp(low, high))
}

fn too_few(statistic: &'static str) -> StatisticsError {
    StatisticsError::TooFew { statistic, found: 0, needed: 1 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block(baseline: f64, candidate: f64, repeat: f64) -> Block {
        Block { baseline, candidate, repeat }
    }

    #[test]
    fn the_interquartile_mean_agrees_with_hand_worked_examples() {
        for (values, expected) in [
            (&[3.0][..], 3.0),
            (&[1.0, 2.0], 1.5),
            // Weights 1/4, 1, 1/4 of 3/2.
            (&[9.0, 1.0, 2.0], (0.25 + 2.0 + 2.25) / 1.5),
            (&[1.0, 2.0, 4.0, 100.0], 3.0),
            (&[5.0, 6.0, 7.0, 8.0, 1.0, 2.0, 3.0, 900.0], 5.25),
        ] {
            let found = interquartile_mean(values).unwrap();
            assert!((found - expected).abs() < 1e-12, "{values:?}: {found}");
        }
        assert!(interquartile_mean(&[]).is_err());
    }

    #[test]
    fn a_block_is_measured_against_the_baseline_on_both_sides() {
        let units = units_of(&[vec![block(4.0, 12.0, 9.0)]]).unwrap();
        assert!((units.candidate[0] - 3.0_f64.ln()).abs() < 1e-12);
        assert!((units.again[0] - (12.0_f64 / 9.0).ln()).abs() < 1e-12);
        assert!((units.null[0] - 2.25_f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn a_burst_in_a_quarter_of_the_blocks_does_not_move_the_unit_far() {
        let mut blocks = vec![block(1.0, 1.02, 1.0); 12];
        for slowed in &mut blocks[3..6] {
            slowed.candidate *= 10.0;
        }
        let units = units_of(&[blocks]).unwrap();
        assert!((units.candidate[0] - 1.02_f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn noise_that_only_slows_leans_to_neither_side() {
        // Three slots in ten are slowed by a half, whichever arm they are.
        let mut random = crate::simulated::uniform(3, 3 * 200_000).into_iter();
        let mut slot = || match random.next() {
            Some(chance) if chance < 0.3 => 1.5,
            _ => 1.0,
        };
        let groups: Vec<Vec<Block>> = (0..4000)
            .map(|_| (0..50).map(|_| block(slot(), slot(), slot())).collect())
            .collect();
        let units = units_of(&groups).unwrap();
        let both: Vec<f64> = units
            .candidate
            .iter()
            .zip(&units.again)
            .map(|(a, b)| f64::midpoint(*a, *b))
            .collect();
        let mean = both.iter().sum::<f64>() / 4000.0;
        let spread = both.iter().map(|u| u * u).sum::<f64>();
        let error = (spread / 4000.0).sqrt() / 4000.0_f64.sqrt();
        assert!(mean.abs() < 4.0 * error, "{mean} +- {error}");
        // Against the mean of both baselines it would lean.
        let leaning: f64 = groups
            .iter()
            .map(|group| {
                let logs: Vec<f64> = group
                    .iter()
                    .map(|b| {
                        b.candidate.ln() - (b.baseline * b.repeat).sqrt().ln()
                    })
                    .collect();
                interquartile_mean(&logs).unwrap()
            })
            .sum();
        assert!(leaning / 4000.0 < -10.0 * error, "{leaning}");
    }

    #[test]
    fn parts_are_consecutive_and_nearly_equal() {
        let series: Vec<u32> = (0..10).collect();
        let parts: Vec<&[u32]> = cut(&series, 4).collect();
        let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        assert_eq!(lengths, [2, 3, 2, 3]);
        assert_eq!(parts.concat(), series);
        assert_eq!(cut(&series, 99).count(), 10);
        assert_eq!(cut(&series, 0).count(), 0);
    }

    #[test]
    fn a_bad_block_is_an_error_that_names_it() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            for place in [
                block(bad, 1.0, 1.0),
                block(1.0, bad, 1.0),
                block(1.0, 1.0, bad),
            ] {
                let groups = [vec![block(1.0, 1.0, 1.0); 2], vec![place]];
                let error = units_of(&groups).unwrap_err();
                assert!(error.to_string().contains("sample 2"), "{error}");
            }
        }
        assert!(units_of(&[]).is_err());
        assert!(units_of(&[vec![]]).is_err());
    }

    #[test]
    fn two_series_are_cut_alike_and_drift_is_the_null() {
        let baseline: Vec<f64> = vec![1.0; 100];
        let candidate: Vec<f64> = vec![1.5; 400];
        let units = units_of_series(&baseline, &candidate).unwrap();
        assert_eq!(units.candidate.len(), 20);
        assert_eq!(units.null.len(), 10);
        assert!(units.candidate.iter().all(|u| (u - 0.405_465).abs() < 1e-6));

        let drifting: Vec<f64> =
            (0..80).map(|i| if i < 40 { 1.0 } else { 1.1 }).collect();
        let units = units_of_series(&drifting, &drifting).unwrap();
        assert!(units.candidate.iter().all(|&u| u == 0.0));
        assert!(units.null.iter().all(|u| (u - 1.1_f64.ln()).abs() < 1e-12));
    }

    #[test]
    fn short_series_have_as_many_stretches_as_they_can_fill() {
        for (n, units, null) in [
            (1, 1, 0),
            (3, 3, 1),
            (6, 6, 3),
            (20, 8, 4),
            (40, 10, 5),
            (5000, 20, 10),
        ] {
            let series: Vec<f64> = (0..n).map(|i| f64::from(i) + 1.0).collect();
            let found = units_of_series(&series, &series).unwrap();
            assert_eq!(found.candidate.len(), units, "{n}");
            assert_eq!(found.null.len(), null, "{n}");
        }
        assert!(units_of_series(&[], &[1.0]).is_err());
        assert!(units_of_series(&[1.0], &[0.0]).is_err());
        assert!(units_of_series(&[1.0, f64::NAN], &[1.0]).is_err());
    }

    proptest! {
        #[test]
        fn a_machine_that_slows_a_whole_block_changes_nothing(
            blocks in proptest::collection::vec(
                (0.5..2.0_f64, 0.5..2.0_f64, 0.5..2.0_f64, 0.5..4.0_f64),
                1..30,
            ),
        ) {
            let plain: Vec<Block> =
                blocks.iter().map(|&(a, b, r, _)| block(a, b, r)).collect();
            let slowed: Vec<Block> = blocks
                .iter()
                .map(|&(a, b, r, s)| block(a * s, b * s, r * s))
                .collect();
            let plain = units_of(&[plain]).unwrap();
            let slowed = units_of(&[slowed]).unwrap();
            prop_assert!(
                (plain.candidate[0] - slowed.candidate[0]).abs() < 1e-9
            );
            prop_assert!((plain.null[0] - slowed.null[0]).abs() < 1e-9);
        }

        #[test]
        fn equal_values_have_exactly_their_value_as_mean(
            value in -1e3..1e3_f64,
            n in 1_usize..50,
        ) {
            prop_assert_eq!(interquartile_mean(&vec![value; n]), Ok(value));
        }
    }
}
