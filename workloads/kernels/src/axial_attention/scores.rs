//! The weights of a few queries, and what is done element by element to a tile.

use super::pack::Sizes;
use super::tile::{HALF, Product, Start};
use crate::math::{LANES, madd, multiversion, sigmoid};
use crate::micro::{Level, PANEL};

/// Queries of a tile: the rows of a register tile, so that each value of the
/// keys is read from cache once for all of them. Their scores stay in L1 up to
/// some five hundred keys.
pub(super) const QUERIES: usize = crate::micro::ROWS;

const _: () = assert!(LANES == PANEL, "a chunk of scores is a panel");

/// What the queries of one head meet.
pub(super) struct Keys<'a> {
    pub(super) sizes: &'a Sizes,
    pub(super) level: Level,
    /// [panels of N, d, panel].
    pub(super) panels: &'a [f32],
    /// Of each key, see [`super::pack::Head::hide`].
    pub(super) hidden: &'a [f32],
    /// [N, keys] of this head.
    pub(super) bias: Option<&'a [f32]>,
}

impl Keys<'_> {
    /// `exp(score - largest)` for the queries from `first` on, `queries` [rows,
    /// wide] scaled before, and each row's sum.
    pub(super) fn weigh(
        &self,
        first: usize,
        queries: &[f32],
        scores: &mut [f32],
        sums: &mut [f32],
    ) {
        let sizes = self.sizes;
        let row = sizes.score_row();
        let panels = self.panels.chunks_exact(sizes.width * PANEL);
        for (panel, right) in panels.enumerate() {
            let at = panel * PANEL;
            let start = match self.bias {
                Some(bias) => Start::From(
                    &bias[first * sizes.keys() + at..],
                    sizes.keys(),
                ),
                None => Start::Zero,
            };
            Product {
                level: self.level,
                left: queries,
                strides: [sizes.wide(), 1],
                rows: sums.len(),
                steps: sizes.width,
                right,
                right_row: PANEL,
            }
            .run(PANEL, start, &mut scores[at..], row);
        }
        soften(scores, row, self.hidden, sums);
    }
}

/// `exp(x)` for `x <= 0`, as [`crate::math::exp`] without what larger numbers
/// ask for: a power of two in one piece. NaN stays NaN.
#[inline(always)]
fn falling<const FMA: bool>(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // 1.5 * 2^23: adding it rounds, and leaves the integer in the low bits. Its
    // own bits there are zero.
    const ROUND: f32 = 12_582_912.0;
    const LEAST: f32 = -87.3;
    let near = if x < LEAST { LEAST } else { x };
    let shifted = madd::<FMA>(near, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = madd::<FMA>(n, -LN2_HIGH, near);
    let r = madd::<FMA>(n, -LN2_LOW, r);
    let mut p = 1.0 / 720.0;
    p = madd::<FMA>(p, r, 1.0 / 120.0);
    p = madd::<FMA>(p, r, 1.0 / 24.0);
    p = madd::<FMA>(p, r, 1.0 / 6.0);
    p = madd::<FMA>(p, r, 0.5);
    p = madd::<FMA>(p, r, 1.0);
    p = madd::<FMA>(p, r, 1.0);
    let power = (shifted.to_bits() << 23).wrapping_add(1.0_f32.to_bits());
    let y = p * f32::from_bits(power);
    if x < LEAST { 0.0 } else { y }
}

/// All lanes in one, halves on halves: a chain of them would take as long as
/// the row.
#[inline(always)]
fn folded<const N: usize>(
    mut lanes: [f32; N],
    join: impl Fn(f32, f32) -> f32,
) -> f32 {
    let mut half = N / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] = join(lanes[i], lanes[i + half]);
        }
        half /= 2;
    }
    lanes[0]
}

multiversion! {
    /// Turns each row of scores into `exp(score + hidden - largest)`.
    fn soften(scores: &mut [f32], row: usize, hidden: &[f32], sums: &mut [f32]) {
        let (hidden, _) = hidden.as_chunks::<LANES>();
        for (scores, sum) in scores.chunks_mut(row).zip(sums) {
            let (scores, _) = scores.as_chunks_mut::<LANES>();
            let mut most = [f32::NEG_INFINITY; LANES];
            for (scores, hidden) in scores.iter().zip(hidden) {
                for i in 0..LANES {
                    let score = scores[i] + hidden[i];
                    most[i] = if score > most[i] { score } else { most[i] };
                }
            }
            let most = folded(most, |a, b| if a > b { a } else { b });
            let mut lanes = [0.0; LANES];
            for (scores, hidden) in scores.iter_mut().zip(hidden) {
                for i in 0..LANES {
                    let weight = falling::<FMA>(scores[i] + hidden[i] - most);
                    scores[i] = weight;
                    lanes[i] += weight;
                }
            }
            *sum = folded(lanes, |a, b| a + b);
        }
    }
}

multiversion! {
    /// `mixed / sum * sigmoid(gate)`, in place, rows of `wide` values.
    pub(super) fn gate(mixed: &mut [f32], gates: &[f32], sums: &[f32], wide: usize) {
        let rows = mixed.chunks_exact_mut(wide).zip(gates.chunks_exact(wide));
        for ((mixed, gates), sum) in rows.zip(sums) {
            let inverse = 1.0 / sum;
            for (mixed, gate) in mixed.iter_mut().zip(gates) {
                let (seen, _) = sigmoid::<FMA>(*gate);
                *mixed = *mixed * inverse * seen;
            }
        }
    }
}

multiversion! {
    /// Of rows of `wide` values, with `s = sigmoid(gate)` and `o = mixed / sum`:
    /// the gate's gradient `grad o s (1 - s)` over `gates`, `grad s / sum` over
    /// `grads`, and a panel of `-sum_j (grad s / sum) o` in `centres`.
    pub(super) fn ungate(
        mixed: &[f32],
        gates: &mut [f32],
        grads: &mut [f32],
        sums: &[f32],
        centres: &mut [f32],
        wide: usize,
    ) {
        let rows = mixed
            .chunks_exact(wide)
            .zip(gates.chunks_exact_mut(wide))
            .zip(grads.chunks_exact_mut(wide));
        let out = sums.iter().zip(centres.chunks_exact_mut(PANEL));
        for (((mixed, gates), grads), (sum, centre)) in rows.zip(out) {
            let inverse = 1.0 / sum;
            let mut lanes = [0.0; HALF];
            let (mixed, _) = mixed.as_chunks::<HALF>();
            let (gates, _) = gates.as_chunks_mut::<HALF>();
            let (grads, _) = grads.as_chunks_mut::<HALF>();
            for ((mixed, gates), grads) in mixed.iter().zip(gates).zip(grads) {
                for i in 0..HALF {
                    let (seen, rest) = sigmoid::<FMA>(gates[i]);
                    let mean = mixed[i] * inverse;
                    let grad = grads[i] * seen;
                    gates[i] = grad * mean * rest;
                    grads[i] = grad * inverse;
                    lanes[i] = madd::<FMA>(grad * inverse, mean, lanes[i]);
                }
            }
            centre.fill(-folded(lanes, |a, b| a + b));
        }
    }
}

multiversion! {
    /// The gradient of the scores, `weight * grad` over `grads`, rows every
    /// `row` values, added to rows of `bias`, if any, every `keys` values.
    pub(super) fn spread(
        weights: &[f32],
        grads: &mut [f32],
        row: usize,
        bias: Option<&mut [f32]>,
        keys: usize,
    ) {
        let rows = weights.chunks(row).zip(grads.chunks_mut(row));
        match bias {
            None => {
                for (weights, grads) in rows {
                    let (weights, grads) = (&weights[..keys], &mut grads[..keys]);
                    for (grad, weight) in grads.iter_mut().zip(weights) {
                        *grad *= weight;
                    }
                }
            }
            Some(bias) => {
                let bias = bias.chunks_exact_mut(keys);
                for ((weights, grads), bias) in rows.zip(bias) {
                    let (weights, grads) = (&weights[..keys], &mut grads[..keys]);
                    let both = grads.iter_mut().zip(weights);
                    for ((grad, weight), bias) in both.zip(bias) {
                        *grad *= weight;
                        *bias += *grad;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_falling_exponential_agrees_with_the_library() {
        for i in 0..87_300 {
            let x = -(i as f32) / 1000.0;
            let (ours, theirs) = (falling::<false>(x), x.exp());
            let error = ((ours - theirs) / theirs).abs();
            assert!(error < 4e-7, "exp({x}) = {ours}, library {theirs}");
        }
        assert_eq!(falling::<false>(0.0), 1.0);
        assert_eq!(falling::<false>(f32::NEG_INFINITY), 0.0);
        assert_eq!(falling::<false>(-1e9), 0.0);
        assert!(falling::<false>(f32::NAN).is_nan());
    }
}
