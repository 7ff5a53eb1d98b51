//! A second implementation of another kind: each operator by its definition,
//! in `f64`, one output element at a time, without the engine.
//!
//! It is far too slow for whole outputs at size, so a check takes a sample of
//! output elements spread over all of it.

use crate::inputs::{LAYER_NORM_EPSILON, RMS_NORM_EPSILON, SCALAR};
use crate::operator::{ElementwiseKind, Operator};

/// Flat inputs of an operator, in the order of [`crate::Inputs`].
pub(crate) struct Flat {
    pub(crate) floats: Vec<Vec<f32>>,
    pub(crate) ids: Vec<i64>,
}

/// Output elements that a check looks at.
const SAMPLE: usize = 256;

/// Indices of a sample of `len` outputs: the first, the last, and others in
/// odd strides between.
pub(crate) fn sample(len: usize) -> Vec<usize> {
    if len <= SAMPLE {
        return (0..len).collect();
    }
    let mut indices: Vec<usize> = (0..SAMPLE)
        .map(|i| {
            (i as u128 * (len - 1) as u128 / (SAMPLE - 1) as u128) as usize
        })
        .collect();
    indices.dedup();
    indices
}

/// One output element of an operator.
pub(crate) fn element(operator: &Operator, inputs: &Flat, index: usize) -> f64 {
    let at = |input: usize, i: usize| f64::from(inputs.floats[input][i]);
    match *operator {
        // A layer's weights lie row by row of the outputs.
        Operator::Matmul { batch: 1, n, k, .. } => {
            let (row, col) = (index / n, index % n);
            (0..k).map(|i| at(0, row * k + i) * at(1, col * k + i)).sum()
        }
        Operator::Matmul { m, n, k, .. } => {
            let (batch, row, col) = (index / (m * n), index / n % m, index % n);
            (0..k)
                .map(|i| {
                    at(0, (batch * m + row) * k + i)
                        * at(1, (batch * k + i) * n + col)
                })
                .sum()
        }
        Operator::Attention {
            heads,
            kv_heads,
            head_dim,
            query,
            context,
            causal,
            ..
        } => {
            let d = head_dim;
            let (row, dim) = (index / d, index % d); // row of [B, T, H]
            let (head, t) = (row % heads, row / heads % query);
            let batch = row / (heads * query);
            let kv = head / (heads / kv_heads);
            let seen = if causal { context - query + t + 1 } else { context };
            let key = |s: usize| ((batch * context + s) * kv_heads + kv) * d;
            let scores: Vec<f64> = (0..seen)
                .map(|s| {
                    let dot: f64 = (0..d)
                        .map(|i| at(0, row * d + i) * at(1, key(s) + i))
                        .sum();
                    dot / (d as f64).sqrt()
                })
                .collect();
            let largest = scores.iter().copied().fold(f64::MIN, f64::max);
            let weights: Vec<f64> =
                scores.iter().map(|s| (s - largest).exp()).collect();
            let sum: f64 = weights.iter().sum();
            let mixed: f64 = weights
                .iter()
                .enumerate()
                .map(|(s, w)| w * at(2, key(s) + dim))
                .sum();
            mixed / sum
        }
        Operator::Softmax { cols, .. } => {
            let row = index / cols * cols;
            let largest =
                (0..cols).map(|i| at(0, row + i)).fold(f64::MIN, f64::max);
            let sum: f64 =
                (0..cols).map(|i| (at(0, row + i) - largest).exp()).sum();
            (at(0, index) - largest).exp() / sum
        }
        Operator::LayerNorm { cols, .. } => {
            let (row, n) = (index / cols * cols, cols as f64);
            let mean: f64 = (0..cols).map(|i| at(0, row + i)).sum::<f64>() / n;
            let variance: f64 =
                (0..cols).map(|i| (at(0, row + i) - mean).powi(2)).sum::<f64>()
                    / n;
            let scale = (variance + f64::from(LAYER_NORM_EPSILON)).sqrt();
            let col = index % cols;
            (at(0, index) - mean) / scale * at(1, col) + at(2, col)
        }
        Operator::RmsNorm { cols, .. } => {
            let row = index / cols * cols;
            let square: f64 =
                (0..cols).map(|i| at(0, row + i).powi(2)).sum::<f64>()
                    / cols as f64;
            let scale = (square + f64::from(RMS_NORM_EPSILON)).sqrt();
            at(0, index) / scale * at(1, index % cols)
        }
        Operator::Elementwise { kind, operands, .. } => {
            let x = at(0, index);
            let second = (operands == 2).then(|| at(1, index));
            let y = second.unwrap_or(f64::from(SCALAR));
            let gate = match second {
                Some(y) if !kind.is_binary() => y,
                _ => 1.0,
            };
            elementwise(kind, x, y) * gate
        }
        Operator::Conv2d {
            in_channels,
            out_channels,
            height,
            width,
            kernel,
            stride,
            padding,
            groups,
            ..
        } => {
            let size = |n: usize| (n + 2 * padding - kernel) / stride + 1;
            let (rows, cols) = (size(height), size(width));
            let (col, row) = (index % cols, index / cols % rows);
            let out = index / (cols * rows) % out_channels;
            let batch = index / (cols * rows * out_channels);
            let each = in_channels / groups;
            let group = out / (out_channels / groups);
            let mut sum = 0.0;
            for channel in 0..each {
                for dy in 0..kernel {
                    for dx in 0..kernel {
                        let y = (row * stride + dy).wrapping_sub(padding);
                        let x = (col * stride + dx).wrapping_sub(padding);
                        if y >= height || x >= width {
                            continue;
                        }
                        let from = group * each + channel;
                        let plane = batch * in_channels + from;
                        let tap = (out * each + channel) * kernel + dy;
                        sum += at(0, (plane * height + y) * width + x)
                            * at(1, tap * kernel + dx);
                    }
                }
            }
            sum
        }
        Operator::Embedding { width, .. } => {
            let id = inputs.ids[index / width] as usize;
            at(0, id * width + index % width)
        }
        Operator::Collective { .. } => f64::NAN,
    }
}

fn elementwise(kind: ElementwiseKind, x: f64, y: f64) -> f64 {
    match kind {
        ElementwiseKind::Add => x + y,
        ElementwiseKind::Mul => x * y,
        ElementwiseKind::Div => x / y,
        ElementwiseKind::Pow => x.powf(y),
        ElementwiseKind::Relu => x.max(0.0),
        ElementwiseKind::Gelu => {
            x * 0.5 * (1.0 + erf(x / std::f64::consts::SQRT_2))
        }
        ElementwiseKind::Tanh => x.tanh(),
        ElementwiseKind::Silu => x / (1.0 + (-x).exp()),
        ElementwiseKind::Exp => x.exp(),
        ElementwiseKind::Copy => x,
    }
}

/// The error function by its Maclaurin series, for the |x| below 1 that the
/// inputs give (and to |x| = 3 with nine digits).
fn erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..60 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_function_has_its_known_values() {
        // Abramowitz and Stegun, table 7.1.
        for (x, y) in [(0.5, 0.520_499_877_8), (1.0, 0.842_700_792_9)] {
            assert!((erf(x) - y).abs() < 1e-9);
        }
    }

    #[test]
    fn a_sample_holds_both_ends_and_is_in_range() {
        for len in [1, 255, 256, 257, 100_000] {
            let indices = sample(len);
            assert_eq!(indices[0], 0);
            assert_eq!(indices[indices.len() - 1], len - 1);
        }
    }
}
