//! Attention written out, for what the fused kernel does not do: slopes of
//! ALiBi, capped scores, windows, values of another width than keys.
//!
//! `softmax(cap(q k^T s) + slope position + mask) v` for each head. The scores
//! stand in memory, `H T S` of them, as they do in engines without a fused
//! form of these. Heads that share keys and values are rows of one product, so
//! that nothing is copied for each of them.

use assay_kernels::{Activation, activate, matmul, softmax};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

/// What a hidden key scores: far below every other, and finite.
const HIDDEN: f32 = -1e9;

/// How scores are made of products.
#[derive(Clone, Debug)]
pub(crate) struct Scores {
    /// What products are multiplied by.
    pub(crate) scale: f32,
    /// `cap tanh(score / cap)`.
    pub(crate) cap: Option<f32>,
    /// Tokens that a query sees at most, its own included.
    pub(crate) window: Option<usize>,
    /// ALiBi: a slope of each head.
    pub(crate) slopes: Option<Vec<f32>>,
}

impl Scores {
    /// Whether scores are products and the causal mask alone.
    pub(crate) fn are_plain(&self, keys: usize) -> bool {
        self.cap.is_none()
            && self.slopes.is_none()
            && self.window.is_none_or(|window| keys <= window)
    }
}

/// ALiBi's slopes: `2^(-8 i / n)` for `n` heads, a power of two; beyond the
/// largest such `n`, every other one of twice as many (Press et al., 2022, and
/// BLOOM).
pub(crate) fn slopes(heads: usize) -> Vec<f32> {
    let n = if heads.is_power_of_two() {
        heads
    } else {
        heads.next_power_of_two() / 2
    };
    let slope =
        |i: usize, of: usize| (-8.0 * i as f64 / of as f64).exp2() as f32;
    let first = (1..=n).map(|i| slope(i, n));
    let rest = (0..heads - n).map(|i| slope(2 * i + 1, 2 * n));
    first.chain(rest).collect()
}

/// Causal attention of `q` `[B, T, H, d]`, the last `T` of `keys` tokens, to
/// the first `keys` positions of `k` `[B, S, K, d]` and `v` `[B, S, K, e]`;
/// gives `[B, T, H, e]`.
pub(crate) fn attend(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    keys: usize,
    how: &Scores,
) -> Tensor<4> {
    let ([b, t, h, d], [_, _, kv, _]) = (q.dims(), k.dims());
    let ([_, _, _, e], group, device) = (v.dims(), h / kv, q.device());
    let q = (q * how.scale)
        .reshape([b, t, kv, group, d])
        .permute([0, 2, 3, 1, 4])
        .reshape([b, kv, group * t, d]); // [B, K, G T, d]
    let k = k.slice([0..b, 0..keys, 0..kv, 0..d]).permute([0, 2, 3, 1]);
    let v = v.slice([0..b, 0..keys, 0..kv, 0..e]).permute([0, 2, 1, 3]);
    let mut scores = matmul(q, k).reshape([b, h, t, keys]); // [B, H, T, S]
    if let Some(cap) = how.cap {
        scores = activate(scores / cap, Activation::Tanh) * cap;
    }
    if let Some(slopes) = &how.slopes {
        scores = scores + distance(slopes, keys, &device);
    }
    let windowed = how.window.filter(|&window| window < keys);
    if t > 1 || windowed.is_some() {
        let hidden = hidden(t, keys, windowed, &device);
        scores = scores.mask_fill(hidden.expand([b, h, t, keys]), HIDDEN);
    }
    let weights = softmax(scores, 1.0).reshape([b, kv, group * t, keys]);
    matmul(weights, v) // [B, K, G T, e]
        .reshape([b, kv, group, t, e])
        .permute([0, 3, 1, 2, 4])
        .reshape([b, t, h, e]) // [B, T, H, e]
}

/// Each head's slope times each key's position, `[1, H, 1, S]`. A softmax sees
/// differences alone, so a query's own position need not be taken off.
fn distance(slopes: &[f32], keys: usize, device: &Device) -> Tensor<4> {
    let h = slopes.len();
    let data = TensorData::new(slopes.to_vec(), [1, h, 1, 1]);
    let slopes = Tensor::<4>::from_data(data, device);
    let positions: Vec<f32> = (0..keys).map(|key| key as f32).collect();
    let data = TensorData::new(positions, [1, 1, 1, keys]);
    slopes * Tensor::<4>::from_data(data, device)
}

/// Which keys a query does not see, `[1, 1, T, S]`: those after it, and those
/// that its window has left behind.
fn hidden(
    queries: usize,
    keys: usize,
    window: Option<usize>,
    device: &Device,
) -> Tensor<4, Bool> {
    let first = keys - queries;
    let shape = [1, 1, queries, keys];
    let query = |shift: i64| {
        let from = first as i64 - shift;
        Tensor::<1, Int>::arange(from..from + queries as i64, device)
            .reshape([1, 1, queries, 1])
            .expand(shape)
    };
    let key = Tensor::<1, Int>::arange(0..keys as i64, device)
        .reshape([1, 1, 1, keys])
        .expand(shape);
    let later = key.clone().greater(query(0));
    match window {
        None => later,
        Some(window) => {
            let left = key.lower_equal(query(window as i64));
            later.bool_or(left)
        }
    }
}

#[cfg(test)]
mod tests {
    use assay_kernels::attention;
    use assay_kit::{compare, floats};
    use burn::tensor::Distribution;

    use super::*;

    fn random(shape: [usize; 4]) -> Tensor<4> {
        Tensor::random(shape, Distribution::Default, &Device::flex())
    }

    const PLAIN: Scores =
        Scores { scale: 0.3, cap: None, window: None, slopes: None };

    #[test]
    fn without_variation_it_equals_the_fused_kernel() {
        for (t, s, keys, h, kv) in
            [(5, 9, 7, 4, 2), (1, 8, 8, 6, 1), (3, 3, 3, 2, 2)]
        {
            let (q, k) = (random([2, t, h, 8]), random([2, s, kv, 8]));
            let v = random([2, s, kv, 8]);
            let fused =
                attention(q.clone(), k.clone(), v.clone(), keys, 0.3, true);
            let ours = attend(q, k, v, keys, &PLAIN);
            let found = compare("fused", &floats(ours), &floats(fused), 1e-5);
            assert!(found.passed(), "{found:?}");
        }
    }

    #[test]
    fn a_window_hides_all_but_the_latest_keys() {
        let (q, k, v) =
            (random([1, 1, 2, 4]), random([1, 9, 2, 4]), random([1, 9, 2, 4]));
        let how = Scores { window: Some(3), ..PLAIN };
        let windowed = attend(q.clone(), k.clone(), v.clone(), 9, &how);
        let late = |x: Tensor<4>| x.slice([0..1, 6..9, 0..2, 0..4]);
        let right = attend(q, late(k), late(v), 3, &PLAIN);
        let found = compare("late", &floats(windowed), &floats(right), 1e-6);
        assert!(found.passed(), "{found:?}");
    }

    #[test]
    fn slopes_are_those_of_the_paper_and_fill_up_other_counts() {
        let eight = slopes(8);
        assert!((eight[0] - 0.5).abs() < 1e-7);
        assert!((eight[7] - 1.0 / 256.0).abs() < 1e-9);
        let twelve = slopes(12);
        assert_eq!(twelve.len(), 12);
        assert!((twelve[8] - slopes(16)[0]).abs() < 1e-7);
        assert!((twelve[9] - slopes(16)[2]).abs() < 1e-7);
    }

    #[test]
    fn a_cap_bounds_the_scores() {
        let (q, k) = (random([1, 2, 1, 4]) * 100.0, random([1, 2, 1, 4]));
        let v = random([1, 2, 1, 4]);
        let how = Scores { cap: Some(1e-6), ..PLAIN };
        let flat = floats(attend(q, k, v.clone(), 2, &how));
        let values = floats(v);
        for i in 0..4 {
            let mean = 0.5 * (values[i] + values[4 + i]);
            assert!((flat[4 + i] - mean).abs() < 1e-4);
        }
    }
}
