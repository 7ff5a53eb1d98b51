//! Seeded random numbers: every item has a stream of its own, so that it is
//! the same whichever thread asks, and in whatever order.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A stream of random numbers.
pub struct Draws {
    rng: ChaCha8Rng,
    spare: Option<f64>,
}

impl Draws {
    /// One of a seed's streams.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self { rng, spare: None }
    }

    /// The stream of a whole key.
    pub fn of_key(key: [u8; 32]) -> Self {
        Self { rng: ChaCha8Rng::from_seed(key), spare: None }
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

    /// True in `one` of `of` cases.
    pub fn chance(&mut self, one: usize, of: usize) -> bool {
        self.below(of) < one
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

    /// One of some items; `None` of none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }

    /// As [`pick`](Self::pick), the item itself.
    pub fn one_of<T: Copy>(&mut self, items: &[T]) -> Option<T> {
        self.pick(items).copied()
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

    /// Puts a list into a random order (Fisher and Yates, from its end).
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            let other = self.below(last + 1);
            list.swap(last, other);
        }
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
        let of_key = |byte| Draws::of_key([byte; 32]).bits();
        assert_eq!(of_key(1), of_key(1));
        assert_ne!(of_key(1), of_key(2));
    }

    #[test]
    fn moments_and_shares_are_right() {
        let mut draws = Draws::new(1, 0);
        let n = 20_000;
        let root = f64::from(n).sqrt();
        let (mut mean, mut power, mut level) = (0.0, 0.0, 0.0);
        let mut counts = [0_u32; 3];
        for _ in 0..n {
            let x = draws.normal();
            mean += x / f64::from(n);
            power += x * x / f64::from(n);
            let y = draws.uniform(-2.0, 3.0);
            assert!((-2.0..3.0).contains(&y), "{y}");
            level += y / f64::from(n);
            counts[draws.below(3)] += 1;
        }
        // Five deviations of each.
        assert!(mean.abs() < 5.0 / root, "{mean}");
        assert!((power - 1.0).abs() < 5.0 * 2.0_f64.sqrt() / root, "{power}");
        let deviation = 5.0 / 12.0_f64.sqrt();
        assert!((level - 0.5).abs() < 5.0 * deviation / root, "{level}");
        for count in counts {
            let off = f64::from(count) - f64::from(n) / 3.0;
            assert!(off.abs() < 5.0 * (f64::from(n) * 2.0 / 9.0).sqrt());
        }
        let often = (0..1000).filter(|_| draws.chance(1, 4)).count();
        assert!(often.abs_diff(250) < 70, "{often}");
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
        assert!(draws.pick::<u8>(&[]).is_none());
        assert_eq!(draws.pick(&["one"]), Some(&"one"));
    }

    #[test]
    fn a_shuffle_loses_nothing() {
        let mut list: Vec<usize> = (0..50).collect();
        Draws::new(2, 0).shuffle(&mut list);
        assert!(!list.is_sorted());
        list.sort_unstable();
        assert_eq!(list, (0..50).collect::<Vec<_>>());
    }
}
