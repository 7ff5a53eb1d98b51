//! Candidates timed on this machine, and how well predictions rank them.
//!
//! Candidates are timed by turns: each turn visits every one of a group for both
//! phases, and the median of the turns stands. A machine that is slow for some
//! seconds is so for all of them, where one after the other would have it
//! slow for a few, and rank those behind. A group's weights and caches fit in
//! [`TOGETHER`], so that large candidates are timed one by one; groups take every n-th candidate of the list, so that each
//! spans it. The rank correlation is Spearman's, with the interval that
//! resampled candidates give.

use std::hint::black_box;
use std::time::Instant;

use assay_kit::Parameters;
use assay_schema::Estimate;
use assay_slm::{Cache, Config, Decoder, decode, passage, prefill, seen};
use assay_statistics::{Bootstrap, median, spearman};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::candidate::Candidate;
use crate::PhoneLmError;

/// Turns through a group that count.
const TURNS: usize = 9;

/// Rounds of a visit: the first finds caches cold and does not count.
const ROUNDS: usize = 4;

/// Weights and caches of a group that are held at once, bytes of `f32`.
const TOGETHER: u64 = 1 << 30;

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

/// A candidate with random weights, ready to be timed.
struct Ready {
    config: Config,
    model: Decoder,
    prompt: Tensor<2, Int>,
    next: Tensor<2, Int>,
    context: usize,
    cache: Cache,
    prefills: Vec<f64>,
    steps: Vec<f64>,
}

impl Ready {
    fn new(
        candidate: &Candidate,
        prompt: usize,
        context: usize,
        seed: u64,
    ) -> Result<Self, PhoneLmError> {
        let config = candidate.config()?;
        let device = Device::flex();
        let longest = prompt.max(context + 1);
        let mut parameters = Parameters::random(&device, seed);
        let model = Decoder::new(&mut parameters, &config, longest);
        let prompt = rows(candidate, 0, prompt, &device)?; // [1, T]
        let past = rows(candidate, 1, context, &device)?; // [1, S]
        let next = rows(candidate, 2, 1, &device)?; // [1, 1]
        let (_, cache) = seen(&model, &config, past, context + 1);
        let (prefills, steps) = (Vec::new(), Vec::new());
        Ok(Self {
            config,
            model,
            prompt,
            next,
            context,
            cache,
            prefills,
            steps,
        })
    }

    /// Both phases once: a prefill, a decode step, s.
    fn round(&mut self) -> [f64; 2] {
        let start = Instant::now();
        black_box(prefill(&self.model, &self.config, self.prompt.clone()));
        let first = start.elapsed();
        let start = Instant::now();
        for _ in 0..STEPS {
            let next = self.next.clone();
            black_box(decode(&self.model, next, self.context, &mut self.cache));
        }
        [first.as_secs_f64(), (start.elapsed() / STEPS).as_secs_f64()]
    }

    /// A turn: the medians of its rounds.
    fn visit(&mut self) -> Result<(), PhoneLmError> {
        self.round();
        let rounds: Vec<[f64; 2]> = (1..ROUNDS).map(|_| self.round()).collect();
        let of = |phase: usize| -> Vec<f64> {
            rounds.iter().map(|round| round[phase]).collect()
        };
        self.prefills.push(median(&of(0))?);
        self.steps.push(median(&of(1))?);
        Ok(())
    }

    fn timed(&self) -> Result<Timed, PhoneLmError> {
        let (prefill, decode) = (median(&self.prefills)?, median(&self.steps)?);
        Ok(Timed { prefill, decode })
    }
}

/// Times candidates with random weights on this machine's processor, in their
/// order: a prefill of `prompt` tokens, and a decode step with `context` in the
/// cache.
///
/// # Errors
/// A shape that is none; a text that cannot be read.
pub fn time(
    candidates: &[Candidate],
    prompt: usize,
    context: usize,
    seed: u64,
) -> Result<Vec<Timed>, PhoneLmError> {
    let bytes = |one: &Candidate| {
        let cached = 2 * one.layers * one.layer.width * (context + 1);
        4 * one.parameters().saturating_add(cached as u64).max(1)
    };
    let largest = candidates.iter().map(bytes).max().unwrap_or(1);
    let held = usize::try_from(TOGETHER / largest).unwrap_or(usize::MAX).max(1);
    let groups = candidates.len().div_ceil(held);
    let mut found = vec![None; candidates.len()];
    for group in 0..groups {
        let places: Vec<usize> =
            (group..candidates.len()).step_by(groups).collect();
        let mut ready = places
            .iter()
            .map(|&place| Ready::new(&candidates[place], prompt, context, seed))
            .collect::<Result<Vec<_>, _>>()?;
        for turn in 0..TURNS {
            // The other way round every second time, as what comes first may
            // have the machine colder.
            let mut order: Vec<&mut Ready> = ready.iter_mut().collect();
            if turn % 2 == 1 {
                order.reverse();
            }
            for one in order {
                one.visit()?;
            }
        }
        for (place, one) in places.into_iter().zip(&ready) {
            found[place] = Some(one.timed()?);
        }
    }
    Ok(found.into_iter().flatten().collect())
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
    fn candidates_are_timed_in_both_phases_and_in_their_order() {
        let all = [small(2), small(1), small(3)];
        let timed = time(&all, 8, 4, 1).unwrap();
        assert_eq!(timed.len(), 3);
        for one in &timed {
            assert!(one.prefill > 0.0 && one.decode > 0.0, "{one:?}");
            assert!(one.prefill < 1.0 && one.decode < 1.0, "{one:?}");
        }
        assert_eq!(time(&[], 8, 4, 1).unwrap(), []);
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
