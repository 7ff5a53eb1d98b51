//! Seeded random numbers: every item has a stream of its own, so that it is
//! the same whichever thread asks, and in whatever order.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A stream of random numbers.
pub struct Draws {
    rng: ChaCha8Rng,
}

impl Draws {
    /// One of a seed's streams.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self { rng }
    }

    /// 64 random bits: a seed of something else.
    pub fn bits(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// Uniform in `[0, 1)`, 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in `[low, high)`.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform in `0..bound`; 0 when there is nothing to choose from. The bias
    /// of 64 bits over a small bound is below any statistic taken here.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }

    /// One of some items; none of none.
    pub fn one_of<T: Copy>(&mut self, items: &[T]) -> Option<T> {
        let place = self.below(items.len());
        items.get(place).copied()
    }

    /// `count` different places' items in random order; all, when there are
    /// fewer (the head of a Fisher-Yates shuffle).
    pub fn some_of<T: Copy>(&mut self, items: &[T], count: usize) -> Vec<T> {
        let mut left = items.to_vec();
        let count = count.min(left.len());
        for place in 0..count {
            let other = place + self.below(left.len() - place);
            left.swap(place, other);
        }
        left.truncate(count);
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_and_repeat() {
        let bits = |seed, stream| Draws::new(seed, stream).bits();
        assert_eq!(bits(1, 0), bits(1, 0));
        assert_ne!(bits(1, 0), bits(1, 1));
        assert_ne!(bits(1, 0), bits(2, 0));
        let mut draws = Draws::new(3, 0);
        let numbers: Vec<f64> =
            (0..1000).map(|_| draws.uniform(-2.0, 3.0)).collect();
        assert!(numbers.iter().all(|x| (-2.0..3.0).contains(x)));
        let mean = numbers.iter().sum::<f64>() / 1000.0;
        // Five deviations of the mean: 5 x (5 / sqrt(12)) / sqrt(1000).
        assert!((mean - 0.5).abs() < 0.23, "{mean}");
    }

    #[test]
    fn choices_are_fair_and_without_repeats() {
        let mut draws = Draws::new(1, 0);
        let mut counts = [0_u32; 5];
        for _ in 0..6000 {
            let two = draws.some_of(&[0, 1, 2, 3, 4], 2);
            assert_eq!(two.len(), 2);
            assert_ne!(two[0], two[1]);
            for place in two {
                counts[place] += 1;
            }
        }
        // 2,400 expected of each, deviation 38: five of them.
        assert!(counts.iter().all(|&n| n.abs_diff(2400) < 190), "{counts:?}");
        assert_eq!(draws.some_of(&[7], 3), [7]);
        assert_eq!(draws.one_of::<u8>(&[]), None);
        assert_eq!(draws.one_of(&[9]), Some(9));
    }
}
