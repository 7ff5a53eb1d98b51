//! Seeded random numbers: every item has a stream of its own, so that it is
//! the same whichever thread asks, and in whatever order.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A stream of random numbers.
pub(crate) struct Draws {
    rng: ChaCha8Rng,
    spare: Option<f64>,
}

impl Draws {
    /// One of a seed's streams.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self { rng, spare: None }
    }

    /// The stream of a whole key.
    pub(crate) fn of_key(key: [u8; 32]) -> Self {
        Self { rng: ChaCha8Rng::from_seed(key), spare: None }
    }

    /// 64 random bits: a seed of something else.
    pub(crate) fn bits(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// Uniform in `[0, 1)`, 53 bits.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in `[low, high)`.
    pub(crate) fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform in `0..bound`; 0 when there is nothing to choose from. The bias
    /// of 64 bits over a small bound is below any statistic taken here.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.rng.next_u64()) * bound as u128) >> 64) as usize
    }

    /// Standard normal (Box and Muller, both values used).
    pub(crate) fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * self.unit()).sin_cos();
        self.spare = Some(radius * sin);
        radius * cos
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_and_moments_are_right() {
        let mut a = Draws::new(1, 0);
        assert_ne!(a.bits(), Draws::new(1, 1).bits());
        assert_eq!(Draws::new(1, 1).bits(), Draws::new(1, 1).bits());
        let n = 20_000;
        let (mut mean, mut power) = (0.0, 0.0);
        let mut counts = [0_u32; 3];
        for _ in 0..n {
            let x = a.normal();
            mean += x / f64::from(n);
            power += x * x / f64::from(n);
            counts[a.below(3)] += 1;
        }
        // Five deviations of each.
        let root = f64::from(n).sqrt();
        assert!(mean.abs() < 5.0 / root, "{mean}");
        assert!((power - 1.0).abs() < 5.0 * 2.0_f64.sqrt() / root, "{power}");
        for count in counts {
            let off = f64::from(count) - f64::from(n) / 3.0;
            assert!(off.abs() < 5.0 * (f64::from(n) * 2.0 / 9.0).sqrt());
        }
    }
}
