//! Seeded series for this crate's tests.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Uniform numbers in (0, 1].
pub(crate) fn uniform(seed: u64, n: usize) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| 1.0 - rng.random::<f64>()).collect()
}

/// Standard normal numbers, by Box and Muller.
pub(crate) fn normal(seed: u64, n: usize) -> Vec<f64> {
    uniform(seed, 2 * n)
        .chunks_exact(2)
        .map(|pair| {
            (-2.0 * pair[0].ln()).sqrt()
                * (std::f64::consts::TAU * pair[1]).cos()
        })
        .collect()
}

/// Exponential numbers of mean 1: a skewed law with median ln 2.
pub(crate) fn exponential(seed: u64, n: usize) -> Vec<f64> {
    uniform(seed, n).into_iter().map(|u| -u.ln()).collect()
}

/// A stationary series with `x(t) = r x(t - 1) + noise`, median 0.
pub(crate) fn autoregressive(seed: u64, n: usize, r: f64) -> Vec<f64> {
    let mut last = 0.0;
    normal(seed, n + 200)
        .into_iter()
        .map(|noise| {
            last = r * last + noise;
            last
        })
        .skip(200)
        .collect()
}
