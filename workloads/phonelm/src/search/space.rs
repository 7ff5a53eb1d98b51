//! The space of shapes at a parameter budget: its axes and their values,
//! seeded sampling, and the neighbours of a shape.
//!
//! A layer is drawn first; the depth then follows from the budget, so that
//! every candidate has as many parameters, give or take [`TOLERANCE`]
//! (arXiv 2411.05046, section 3, compares shapes at 100M and 200M parameters).
//! One layer serves every vocabulary and every depth that the budget leaves
//! it, and its trace serves them all.

use std::collections::HashSet;

use assay_kernels::Activation;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::candidate::{Candidate, Layer, Placing};
use crate::PhoneLmError;

/// How far from the budget a candidate's parameters may lie, as a share of it.
pub const TOLERANCE: f64 = 0.02;

/// Fewest and most layers of a candidate.
const DEPTHS: [usize; 2] = [3, 64];

/// The widest residual stream.
const WIDEST: usize = 8192;

/// Below so many parameters a candidate is trained here: it has the vocabulary
/// of the tokenizer that is shipped, so that losses can be compared.
const TRAINED_HERE: u64 = 20_000_000;

/// Vocabularies: the shipped tokenizer's, and those of larger models
/// (LLaMA-2's 32,000 and SmolLM's 49,152, which PhoneLM has).
const OWN_VOCABULARY: [usize; 1] = [2_048];
const VOCABULARIES: [usize; 3] = [16_384, 32_000, 49_152];

/// Widths of a head.
const HEAD_WIDTHS: [usize; 7] = [16, 32, 64, 80, 96, 128, 160];

/// Query heads that share a key-value head.
const GROUPS: [usize; 4] = [1, 2, 4, 8];

/// Width of the feed-forward layer, in quarters of the width: PhoneLM-0.5B's
/// is 19 quarters, PhoneLM-1.5B's about 11.
const FFN_QUARTERS: [usize; 9] = [6, 8, 10, 11, 12, 14, 16, 19, 22];

/// The feed-forward layer is as wide as a multiple of this.
const FFN_STEP: usize = 32;

const ACTIVATIONS: [Activation; 3] =
    [Activation::Relu, Activation::Silu, Activation::Gelu];

const PLACINGS: [Placing; 2] = [Placing::Rotary, Placing::Learned];

/// Layers that are drawn at most for each candidate that is asked for.
const TRIES: usize = 100;

/// All candidates of a budget.
#[derive(Clone, Debug)]
pub struct Space {
    budget: u64,
    widths: Vec<usize>,
    vocabularies: &'static [usize],
    context: usize,
}

/// One of a list, by a fair draw; `None` of an empty one.
fn pick<T: Copy>(rng: &mut ChaCha8Rng, list: &[T]) -> Option<T> {
    if list.is_empty() {
        return None;
    }
    // Drawn as u64: the same stream on every word size.
    let at = rng.random_range(0..list.len() as u64);
    list.get(at as usize).copied()
}

impl Space {
    /// The space of a budget of parameters; rows have at most `longest`
    /// tokens.
    ///
    /// # Errors
    /// [`PhoneLmError::NoCandidate`]: no shape has as few, or as many.
    pub fn of(budget: u64, longest: usize) -> Result<Self, PhoneLmError> {
        let small = budget < TRAINED_HERE;
        let vocabularies: &[usize] =
            if small { &OWN_VOCABULARY } else { &VOCABULARIES };
        let step = if small { 16 } else { 64 };
        let context = longest.max(if small { 256 } else { 2048 });
        let mut space =
            Self { budget, widths: Vec::new(), vocabularies, context };
        let all = (step..=WIDEST).step_by(step);
        let most = budget as f64 * (1.0 + TOLERANCE);
        let least = budget as f64 * (1.0 - TOLERANCE);
        space.widths = all
            .filter(|&width| {
                let [low, high] = space.reach(width);
                (low as f64) <= most && (high as f64) >= least
            })
            .collect();
        if space.widths.is_empty() {
            return Err(PhoneLmError::NoCandidate {
                budget,
                least: space.reach(step)[0],
                most: space.reach(WIDEST)[1],
            });
        }
        Ok(space)
    }

    /// Parameters of the smallest and of the largest candidate of a width.
    fn reach(&self, width: usize) -> [u64; 2] {
        let candidate = |ends: bool| {
            let at = usize::from(ends);
            let quarters = [FFN_QUARTERS[0], FFN_QUARTERS[8]][at];
            let vocabulary = if ends {
                self.vocabularies.last()
            } else {
                self.vocabularies.first()
            };
            let heads = width / HEAD_WIDTHS[0];
            let layer = Layer {
                width,
                heads,
                kv_heads: if ends { heads } else { heads.div_ceil(8) },
                ffn: ffn_of(width, quarters),
                gated: ends,
                activation: Activation::Relu,
                placing: PLACINGS[at],
            };
            Candidate {
                layer,
                layers: DEPTHS[at],
                vocab: vocabulary.copied().unwrap_or(1),
                context: self.context,
            }
        };
        [candidate(false).parameters(), candidate(true).parameters()]
    }

    /// The longest context that candidates are made for, tokens.
    pub fn context(&self) -> usize {
        self.context
    }

    /// Whether a number of parameters keeps to the budget.
    pub fn holds(&self, parameters: u64) -> bool {
        let budget = self.budget as f64;
        (parameters as f64 - budget).abs() <= TOLERANCE * budget
    }

    /// Candidates with a layer: each vocabulary, each depth that the budget
    /// leaves.
    pub fn with_layer(&self, layer: Layer) -> Vec<Candidate> {
        let mut found = Vec::new();
        for &vocab in self.vocabularies {
            let context = self.context;
            let bare = Candidate { layer, layers: 0, vocab, context };
            let left = self.budget as f64 - bare.parameters() as f64;
            let (slack, each) =
                (self.budget as f64 * TOLERANCE, layer.parameters() as f64);
            let [least, most] = [left - slack, left + slack].map(|n| n / each);
            let first = least.ceil().max(DEPTHS[0] as f64) as usize;
            let last = most.floor().min(DEPTHS[1] as f64).max(0.0) as usize;
            found.extend(
                (first..=last).map(|layers| Candidate { layers, ..bare }),
            );
        }
        found
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Option<Layer> {
        let width = pick(rng, &self.widths)?;
        let heads = pick(rng, &heads_of(width))?;
        let kv_heads = pick(rng, &kv_heads_of(heads))?;
        Some(Layer {
            width,
            heads,
            kv_heads,
            ffn: ffn_of(width, pick(rng, &FFN_QUARTERS)?),
            gated: pick(rng, &[true, false])?,
            activation: pick(rng, &ACTIVATIONS)?,
            placing: pick(rng, &PLACINGS)?,
        })
    }

    /// `count` different candidates, the same for a seed on every machine;
    /// fewer where the space has no more.
    ///
    /// # Errors
    /// [`PhoneLmError::NoCandidate`]: not one was found.
    pub fn sample(
        &self,
        count: usize,
        seed: u64,
    ) -> Result<Vec<Candidate>, PhoneLmError> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut seen = HashSet::new();
        let mut found = Vec::with_capacity(count);
        for _ in 0..count.max(TRIES).saturating_mul(TRIES) {
            if found.len() >= count {
                break;
            }
            let Some(layer) = self.draw(&mut rng) else { continue };
            let all = self.with_layer(layer).into_iter();
            found.extend(all.filter(|one| seen.insert(*one)));
        }
        found.truncate(count);
        if found.is_empty() && count > 0 {
            let all = || self.widths.iter().map(|width| self.reach(*width));
            return Err(PhoneLmError::NoCandidate {
                budget: self.budget,
                least: all().map(|[low, _]| low).min().unwrap_or(0),
                most: all().map(|[_, high]| high).max().unwrap_or(0),
            });
        }
        Ok(found)
    }

    /// The layers one step away on one axis: the next width with heads as
    /// wide, other heads, other groups, the next feed-forward width, with or
    /// without a gate, other activations, other positions.
    pub fn neighbours(&self, layer: Layer) -> Vec<Layer> {
        let Layer { width, heads, kv_heads, ffn, .. } = layer;
        let mut found = Vec::new();
        let at = self.widths.partition_point(|own| *own < width);
        let beside = [at.checked_sub(1), Some(at + 1)].into_iter().flatten();
        for &next in beside.filter_map(|at| self.widths.get(at)) {
            let each = width / heads.max(1);
            let whole = next.is_multiple_of(each.max(1));
            let heads = next / each.max(1);
            if whole && heads.is_multiple_of(kv_heads) {
                let share = ffn as f64 / width as f64 * next as f64;
                let ffn = (share as usize).next_multiple_of(FFN_STEP);
                found.push(Layer { width: next, heads, ffn, ..layer });
            }
        }
        for heads in heads_of(width) {
            if heads.is_multiple_of(kv_heads) {
                found.push(Layer { heads, ..layer });
            }
        }
        for kv_heads in kv_heads_of(heads) {
            found.push(Layer { kv_heads, ..layer });
        }
        let ladder = FFN_QUARTERS.map(|quarters| ffn_of(width, quarters));
        let at = ladder.partition_point(|own| *own < ffn);
        let beside = [at.checked_sub(1), Some(at), Some(at + 1)];
        for &ffn in beside.into_iter().flatten().filter_map(|i| ladder.get(i)) {
            found.push(Layer { ffn, ..layer });
        }
        found.push(Layer { gated: !layer.gated, ..layer });
        found.extend(
            ACTIVATIONS.map(|activation| Layer { activation, ..layer }),
        );
        found.extend(PLACINGS.map(|placing| Layer { placing, ..layer }));
        found.retain(|other| *other != layer);
        found
    }
}

/// Numbers of query heads that a width can have.
fn heads_of(width: usize) -> Vec<usize> {
    let wide = HEAD_WIDTHS.into_iter();
    wide.filter(|each| width.is_multiple_of(*each))
        .map(|each| width / each)
        .collect()
}

/// Numbers of key-value heads that query heads can share.
fn kv_heads_of(heads: usize) -> Vec<usize> {
    let groups = GROUPS.into_iter();
    groups
        .filter(|group| heads.is_multiple_of(*group))
        .map(|group| heads / group)
        .collect()
}

fn ffn_of(width: usize, quarters: usize) -> usize {
    (width * quarters / 4).next_multiple_of(FFN_STEP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_candidate_is_lawful_and_keeps_to_its_budget() {
        for budget in [300_000, 2_000_000, 100_000_000, 1_618_593_280] {
            let space = Space::of(budget, 64).unwrap();
            let found = space.sample(200, 3).unwrap();
            assert_eq!(found.len(), 200, "{budget}");
            for candidate in &found {
                assert!(candidate.config().is_ok(), "{candidate}");
                assert!(space.holds(candidate.parameters()), "{candidate}");
            }
        }
    }

    #[test]
    fn a_seed_gives_the_same_candidates_and_no_two_alike() {
        let space = Space::of(2_000_000, 64).unwrap();
        let found = space.sample(500, 7).unwrap();
        assert_eq!(found, space.sample(500, 7).unwrap());
        assert_ne!(found, space.sample(500, 8).unwrap());
        let different: HashSet<_> = found.iter().collect();
        assert_eq!(different.len(), found.len());
        // A longer list begins with the shorter one.
        assert_eq!(found[..50], space.sample(50, 7).unwrap());
    }

    #[test]
    fn a_budget_that_nothing_meets_names_what_there_is() {
        for budget in [900, 4_000_000_000_000] {
            let error = Space::of(budget, 64).unwrap_err();
            let PhoneLmError::NoCandidate { least, most, .. } = error else {
                panic!("{error}")
            };
            assert!(least < most && !(least..=most).contains(&budget));
        }
    }

    #[test]
    fn a_neighbour_is_another_lawful_layer() {
        let space = Space::of(100_000_000, 64).unwrap();
        for candidate in space.sample(20, 1).unwrap() {
            let near = space.neighbours(candidate.layer);
            assert!(near.len() >= 4, "{candidate}");
            for layer in near {
                assert_ne!(layer, candidate.layer);
                let other = Candidate { layer, ..candidate };
                assert!(other.config().is_ok(), "{other}");
            }
        }
    }
}
