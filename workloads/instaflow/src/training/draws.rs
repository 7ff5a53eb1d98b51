//! Random numbers of a training: a stream for each (seed, purpose, step), so
//! that a run is the same on any number of threads and goes on from any step.

use assay_schema::fnv1a;

/// One stream.
pub(crate) struct Draws(assay_kit::Draws);

impl Draws {
    /// The stream of one `step` of what `purpose` names. The 256 bits of the
    /// generator's key hold all three: purposes are few, and a hash tells them apart.
    pub(crate) fn new(seed: u64, purpose: &str, step: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..12].copy_from_slice(&fnv1a(purpose).to_le_bytes());
        key[16..24].copy_from_slice(&step.to_le_bytes());
        Self(assay_kit::Draws::of_key(key))
    }

    /// Uniform in `[0, 1)`, 53 bits.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0.unit()
    }

    /// Uniform in `0..bound`.
    ///
    /// # Panics
    /// When `bound` is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "nothing to choose from");
        self.0.below(bound)
    }

    /// As many uniform picks out of `0..bound`, with replacement.
    pub(crate) fn picks(&mut self, count: usize, bound: usize) -> Vec<usize> {
        (0..count).map(|_| self.below(bound)).collect()
    }

    /// As many standard normal values.
    pub(crate) fn normals(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.0.normal() as f32).collect()
    }

    /// As many times, uniform in `[0, 1)`.
    pub(crate) fn times(&mut self, count: usize) -> Vec<f32> {
        // 24 bits, so that no time is rounded up to 1.
        let unit = |bits: u64| (bits >> 40) as f32 / (1_u32 << 24) as f32;
        (0..count).map(|_| unit(self.0.bits())).collect()
    }
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
