//! Seeded random choices: every request has a stream of its own, so that it
//! is the same in whatever order requests are drawn.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A stream of random choices.
pub(crate) struct Draws {
    rng: ChaCha8Rng,
}

impl Draws {
    /// One of a seed's streams.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self { rng }
    }

    /// Uniform in `0..bound`; 0 when there is nothing to choose from. The bias
    /// of 64 bits over a small bound is below anything counted here.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.rng.next_u64()) * bound as u128) >> 64) as usize
    }

    /// True in `one` of `of` cases.
    pub(crate) fn chance(&mut self, one: usize, of: usize) -> bool {
        self.below(of) < one
    }

    /// One of several; `None` of none.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }

    /// Puts a list into a random order.
    pub(crate) fn shuffle<T>(&mut self, list: &mut [T]) {
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
    fn a_stream_is_its_own_and_a_shuffle_loses_nothing() {
        let bits = |stream| Draws::new(1, stream).below(1 << 40);
        assert_eq!(bits(3), bits(3));
        assert_ne!(bits(3), bits(4));
        let mut draws = Draws::new(2, 0);
        let mut list: Vec<usize> = (0..50).collect();
        draws.shuffle(&mut list);
        assert!(!list.is_sorted());
        list.sort_unstable();
        assert_eq!(list, (0..50).collect::<Vec<_>>());
        assert!(draws.pick::<u8>(&[]).is_none());
        let often = (0..1000).filter(|_| draws.chance(1, 4)).count();
        // Five deviations of a share of a quarter.
        assert!(often.abs_diff(250) < 70, "{often}");
    }
}
