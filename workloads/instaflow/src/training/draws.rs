//! Random numbers of a training: a stream for each (seed, purpose, step), so
//! that a run is the same on any number of threads and goes on from any step.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// One stream.
pub(crate) struct Draws(ChaCha8Rng);

impl Draws {
    /// The stream of one `step` of what `purpose` names. The 256 bits of the
    /// generator's key hold all three, so no two streams are the same.
    pub(crate) fn new(seed: u64, purpose: &str, step: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&digest(purpose).to_le_bytes());
        key[16..24].copy_from_slice(&step.to_le_bytes());
        Self(ChaCha8Rng::from_seed(key))
    }

    /// Uniform in `[0, 1)`, 53 bits.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in `0..bound`; the bias of 64 bits over a small bound is far
    /// below anything measured here.
    ///
    /// # Panics
    /// When `bound` is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "nothing to choose from");
        ((u128::from(self.0.next_u64()) * bound as u128) >> 64) as usize
    }

    /// As many uniform picks out of `0..bound`, with replacement.
    pub(crate) fn picks(&mut self, count: usize, bound: usize) -> Vec<usize> {
        (0..count).map(|_| self.below(bound)).collect()
    }

    /// As many standard normal values (Box and Muller, both used).
    pub(crate) fn normals(&mut self, count: usize) -> Vec<f32> {
        let mut values = Vec::with_capacity(count + 1);
        while values.len() < count {
            let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
            let (sin, cos) = (std::f64::consts::TAU * self.unit()).sin_cos();
            values.push((radius * cos) as f32);
            values.push((radius * sin) as f32);
        }
        values.truncate(count);
        values
    }

    /// As many times, uniform in `[0, 1)`.
    pub(crate) fn times(&mut self, count: usize) -> Vec<f32> {
        // 24 bits, so that no time is rounded up to 1.
        let unit = |rng: &mut ChaCha8Rng| {
            (rng.next_u32() >> 8) as f32 / (1_u32 << 24) as f32
        };
        (0..count).map(|_| unit(&mut self.0)).collect()
    }
}

/// FNV-1a, 64 bits: names to numbers, the same everywhere.
fn digest(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_seed_purpose_and_step_has_a_stream_of_its_own() {
        let first =
            |seed, purpose, step| Draws::new(seed, purpose, step).normals(3);
        let one = first(1, "1-flow", 7);
        assert_eq!(one, first(1, "1-flow", 7));
        assert_ne!(one, first(2, "1-flow", 7));
        assert_ne!(one, first(1, "reflow", 7));
        assert_ne!(one, first(1, "1-flow", 8));
    }

    #[test]
    fn normals_are_standard_and_times_uniform() {
        let n = 40_000;
        let values = Draws::new(3, "test", 0).normals(n);
        assert_eq!(values.len(), n);
        let moment = |power: i32| {
            let sum: f64 =
                values.iter().map(|&x| f64::from(x).powi(power)).sum();
            sum / n as f64
        };
        assert!(moment(1).abs() < 0.02, "{}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.03, "{}", moment(2));
        assert!((moment(4) - 3.0).abs() < 0.2, "{}", moment(4));
        let times = Draws::new(3, "test", 1).times(n);
        assert!(times.iter().all(|t| (0.0..1.0).contains(t)));
        let mean: f32 = times.iter().sum::<f32>() / n as f32;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
    }
}
