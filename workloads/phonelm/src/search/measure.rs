//! Candidates timed on this machine, and how well predictions rank them.
//!
//! Both phases of a candidate are timed in turn, round after round, and the
//! median of the rounds stands: what disturbs the machine for a moment
//! disturbs both. The rank correlation is Spearman's, with the interval that
//! resampled candidates give.

use std::hint::black_box;
use std::time::Instant;

use assay_kit::Parameters;
use assay_schema::Estimate;
use assay_slm::{Decoder, decode, passage, prefill, seen};
use assay_statistics::{Bootstrap, median, spearman};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::candidate::Candidate;
use crate::PhoneLmError;

/// Rounds before the first that counts.
const WARM_UP: usize = 2;

/// Rounds that count at least.
const FEWEST: usize = 7;

/// Rounds are added until a candidate has had so long, s.
const LONG_ENOUGH: f64 = 0.3;

/// Rounds that count at most: the median is steady by then.
const MOST: usize = 101;

/// Decode steps of a round: one alone is a fraction of a millisecond where
/// candidates are small.
const STEPS: u32 = 4;

/// Resamples of the correlation's interval, and its confidence.
const RESAMPLES: usize = 2_000;
const CONFIDENCE: f64 = 0.95;

/// What a candidate took here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timed {
    /// Median prefill, s.
    pub prefill: f64,
    /// Median decode step, s.
    pub decode: f64,
}

fn rows(
    candidate: &Candidate,
    which: usize,
    count: usize,
    device: &Device,
) -> Result<Tensor<2, Int>, PhoneLmError> {
    let ids = passage(which, count, candidate.vocab)?;
    Ok(Tensor::from_data(TensorData::new(ids, [1, count]), device))
}

/// Times a candidate with random weights on this machine's processor: a
/// prefill of `prompt` tokens, and a decode step with `context` in the cache.
///
/// # Errors
/// A shape that is none; a text that cannot be read.
pub fn time(
    candidate: &Candidate,
    prompt: usize,
    context: usize,
    seed: u64,
) -> Result<Timed, PhoneLmError> {
    let config = candidate.config()?;
    let device = Device::flex();
    let longest = prompt.max(context + 1);
    let mut parameters = Parameters::random(&device, seed);
    let model = Decoder::new(&mut parameters, &config, longest);
    let prompt = rows(candidate, 0, prompt, &device)?; // [1, T]
    let past = rows(candidate, 1, context, &device)?; // [1, S]
    let next = rows(candidate, 2, 1, &device)?; // [1, 1]
    let (_, mut cache) = seen(&model, &config, past, context + 1);
    let mut round = || {
        let start = Instant::now();
        black_box(prefill(&model, &config, prompt.clone()));
        let first = start.elapsed();
        let start = Instant::now();
        for _ in 0..STEPS {
            black_box(decode(&model, next.clone(), context, &mut cache));
        }
        [first.as_secs_f64(), (start.elapsed() / STEPS).as_secs_f64()]
    };
    for _ in 0..WARM_UP {
        round();
    }
    let begun = Instant::now();
    let (mut prefills, mut steps) = (Vec::new(), Vec::new());
    while prefills.len() < FEWEST
        || (begun.elapsed().as_secs_f64() < LONG_ENOUGH
            && prefills.len() < MOST)
    {
        let [first, step] = round();
        prefills.push(first);
        steps.push(step);
    }
    Ok(Timed { prefill: median(&prefills)?, decode: median(&steps)? })
}

/// Spearman's rank correlation of predicted and measured times, with its 95 %
/// interval. At least 3 pairs.
///
/// # Errors
/// Fewer pairs; columns of different lengths; times that are all equal.
pub fn rank_correlation(
    predicted: &[f64],
    measured: &[f64],
    seed: u64,
) -> Result<Estimate, PhoneLmError> {
    // Says what is wrong with the columns themselves, before any resampling.
    spearman(predicted, measured)?;
    let bootstrap =
        Bootstrap { resamples: RESAMPLES, confidence: CONFIDENCE, seed };
    let pick = |column: &[f64], rows: &[usize]| -> Vec<f64> {
        rows.iter().map(|&row| column[row]).collect()
    };
    let name = "Spearman's rank correlation";
    Ok(bootstrap.rows(name, predicted.len(), |rows| {
        // Undefined where one candidate was drawn each time.
        spearman(&pick(predicted, rows), &pick(measured, rows))
            .unwrap_or(f64::NAN)
    })?)
}

/// `count` places of a list of `length`, evenly spread from the first to the
/// last; all of them where it has no more.
pub(super) fn spread(length: usize, count: usize) -> Vec<usize> {
    if count >= length {
        return (0..length).collect();
    }
    match count {
        0 => Vec::new(),
        1 => vec![length / 2],
        _ => {
            let place = |i: usize| i * (length - 1) / (count - 1);
            (0..count).map(place).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::candidate::tests::small;
    use super::*;

    #[test]
    fn a_candidate_is_timed_in_both_phases() {
        let timed = time(&small(2), 8, 4, 1).unwrap();
        assert!(timed.prefill > 0.0 && timed.decode > 0.0, "{timed:?}");
        assert!(timed.prefill < 1.0 && timed.decode < 1.0, "{timed:?}");
    }

    #[test]
    fn a_perfect_ranking_has_no_room_above_it() {
        let predicted: Vec<f64> = (1..=40).map(f64::from).collect();
        let measured: Vec<f64> = predicted.iter().map(|x| x * x).collect();
        let found = rank_correlation(&predicted, &measured, 1).unwrap();
        assert!((found.point - 1.0).abs() < 1e-12, "{found:?}");
        assert!(found.low > 0.999 && found.high <= 1.0, "{found:?}");
        assert_eq!(found.n, 40);
        let turned: Vec<f64> = measured.iter().rev().copied().collect();
        let found = rank_correlation(&predicted, &turned, 1).unwrap();
        assert!((found.point + 1.0).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn times_that_rank_nothing_are_refused() {
        assert!(rank_correlation(&[1.0; 5], &[1.0; 5], 1).is_err());
        assert!(rank_correlation(&[1.0, 2.0, 3.0], &[1.0, 2.0], 1).is_err());
    }

    #[test]
    fn places_are_spread_over_the_whole_list() {
        assert_eq!(spread(10, 4), [0, 3, 6, 9]);
        assert_eq!(spread(3, 7), [0, 1, 2]);
        assert_eq!(spread(9, 1), [4]);
        assert!(spread(5, 0).is_empty());
        let many = spread(10_000, 40);
        assert!(many.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(many.last(), Some(&9_999));
    }
}
