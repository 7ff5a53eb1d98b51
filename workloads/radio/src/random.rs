//! Seeded random numbers: every snapshot has a stream of its own, so that a
//! set is the same on any number of threads and a larger one begins with a
//! smaller one.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustfft::num_complex::Complex;

/// A stream of random numbers.
pub struct Random {
    rng: ChaCha8Rng,
    spare: Option<f64>,
}

impl Random {
    /// The stream of one `item` of a `seed`.
    pub fn new(seed: u64, item: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(item);
        Self { rng, spare: None }
    }

    /// Uniform in `[0, 1)`, 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in `[low, high)`.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform in `0..bound`; the bias of 64 bits over a small bound is below
    /// any statistic taken here.
    ///
    /// # Panics
    /// When `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "nothing to choose from");
        ((u128::from(self.rng.next_u64()) * bound as u128) >> 64) as usize
    }

    /// A fair bit.
    pub fn bit(&mut self) -> bool {
        self.rng.next_u32() >> 31 == 1
    }

    /// Standard normal (Box and Muller, both values used).
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * self.unit()).sin_cos();
        self.spare = Some(radius * sin);
        radius * cos
    }

    /// Circular complex normal of the given mean power.
    pub fn complex_normal(&mut self, power: f64) -> Complex<f64> {
        let scale = (power / 2.0).sqrt();
        Complex::new(self.normal() * scale, self.normal() * scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_and_moments_are_right() {
        let mut a = Random::new(1, 0);
        let mut b = Random::new(1, 1);
        assert_ne!(a.unit(), b.unit());
        let n = 20_000;
        let mut power = 0.0;
        let mut mean = Complex::new(0.0, 0.0);
        let mut counts = [0_u32; 3];
        for _ in 0..n {
            let z = a.complex_normal(2.0);
            power += z.norm_sqr() / f64::from(n);
            mean += z / f64::from(n);
            counts[a.below(3)] += 1;
        }
        // Five deviations of each.
        assert!((power - 2.0).abs() < 5.0 * 2.0 / f64::from(n).sqrt());
        assert!(mean.norm() < 5.0 * 2.0_f64.sqrt() / f64::from(n).sqrt());
        for count in counts {
            let off = f64::from(count) - f64::from(n) / 3.0;
            assert!(off.abs() < 5.0 * (f64::from(n) * 2.0 / 9.0).sqrt());
        }
    }
}
