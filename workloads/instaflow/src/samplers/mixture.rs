//! A mixture of round Gaussians in the plane, whose velocity and noise are
//! known at every time: a field without a network, for tests.
//!
//! With data `X1` of component `k` normal about `m_k` with deviation `s_k`,
//! the state `alpha X1 + sigma X0` is normal about `alpha m_k` with variance
//! `c_k = alpha^2 s_k^2 + sigma^2`, and given the state `x`
//!
//! ```text
//! E[X1 | x, k] = m_k + alpha s_k^2 (x - alpha m_k) / c_k
//! E[X0 | x, k] =             sigma (x - alpha m_k) / c_k
//! P[k | x]     ~ w_k exp(-|x - alpha m_k|^2 / (2 c_k)) / c_k
//! ```

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Path, Prediction};

/// A round Gaussian.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Component {
    pub(crate) weight: f64,
    pub(crate) mean: [f64; 2],
    pub(crate) deviation: f64,
}

/// Several, their weights summing to 1.
#[derive(Clone, Debug)]
pub(crate) struct Mixture {
    pub(crate) components: Vec<Component>,
}

impl Mixture {
    /// Three of unlike weight, place and width.
    pub(crate) fn three() -> Self {
        let components = [
            (0.5, [1.5, 0.0], 0.4),
            (0.3, [-1.0, 1.0], 0.3),
            (0.2, [-0.5, -1.5], 0.5),
        ];
        let components = components.map(|(weight, mean, deviation)| {
            Component { weight, mean, deviation }
        });
        Self { components: components.to_vec() }
    }

    /// One.
    pub(crate) fn single(mean: [f64; 2], deviation: f64) -> Self {
        Self { components: vec![Component { weight: 1.0, mean, deviation }] }
    }

    /// Expected data and noise of one state.
    pub(crate) fn ends(
        &self,
        state: [f64; 2],
        alpha: f64,
        sigma: f64,
    ) -> [[f64; 2]; 2] {
        let parts: Vec<_> = self
            .components
            .iter()
            .map(|component| {
                let spread = component.deviation.powi(2);
                let variance = alpha * alpha * spread + sigma * sigma;
                let away = [0, 1].map(|i| state[i] - alpha * component.mean[i]);
                let squared = away[0] * away[0] + away[1] * away[1];
                let log = (component.weight / variance).ln()
                    - squared / (2.0 * variance);
                let data = [0, 1].map(|i| {
                    component.mean[i] + alpha * spread * away[i] / variance
                });
                (log, data, away.map(|away| sigma * away / variance))
            })
            .collect();
        let most = parts.iter().fold(f64::MIN, |most, part| most.max(part.0));
        let mut total = 0.0;
        let mut ends = [[0.0; 2]; 2];
        for (log, data, noise) in parts {
            let share = (log - most).exp();
            total += share;
            for (end, part) in ends.iter_mut().zip([data, noise]) {
                for (sum, value) in end.iter_mut().zip(part) {
                    *sum += share * value;
                }
            }
        }
        ends.map(|end| end.map(|value| value / total))
    }

    /// What the field of `path` gives for points, two values each.
    pub(crate) fn field(
        &self,
        path: &Path,
        points: &[f64],
        time: f64,
    ) -> Vec<f64> {
        let at = path.at(time);
        let of = |point: &[f64]| -> [f64; 2] {
            let state = [point[0], point[1]];
            let [data, noise] = self.ends(state, at.alpha, at.sigma);
            match path.field() {
                Prediction::Data => data,
                Prediction::Noise => noise,
                Prediction::Velocity => [0, 1].map(|i| {
                    at.alpha_slope * data[i] + at.sigma_slope * noise[i]
                }),
            }
        };
        points.chunks_exact(2).flat_map(of).collect()
    }

    /// Data: `count` points, two values each.
    pub(crate) fn draw(&self, count: usize, seed: u64) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut points = Vec::with_capacity(2 * count);
        for _ in 0..count {
            let mut left = unit(&mut rng);
            let chosen = self.components.iter().find(|component| {
                left -= component.weight;
                left < 0.0
            });
            // Rounding may leave a sliver behind the last.
            let chosen = chosen.unwrap_or(&self.components[0]);
            let away = normal(&mut rng);
            points.extend(
                [0, 1].map(|i| chosen.mean[i] + chosen.deviation * away[i]),
            );
        }
        points
    }
}

/// Standard normal noise: `count` points, two values each.
pub(crate) fn noise(count: usize, seed: u64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).flat_map(|_| normal(&mut rng)).collect()
}

/// Uniform in `[0, 1)`, 53 bits.
fn unit(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Two standard normal numbers (Box and Muller).
fn normal(rng: &mut ChaCha8Rng) -> [f64; 2] {
    let radius = (-2.0 * (1.0 - unit(rng)).ln()).sqrt();
    let (sin, cos) = (std::f64::consts::TAU * unit(rng)).sin_cos();
    [radius * cos, radius * sin]
}
