//! Rotating inputs, so that caches do not flatter.
//!
//! A kernel that is run again and again on the same input finds it in the
//! cache, as no program that uses it would. A rotation owns several sets of
//! inputs, together more than twice the last-level cache, and hands them out
//! in turn: by the time that a set comes round again, it has been evicted.

use assay_schema::Bytes;

/// Taken where the machine does not tell its cache: as large as the shared
/// cache of most desktop and server processors' core groups.
const ASSUMED_CACHE: Bytes = Bytes(32.0 * 1024.0 * 1024.0);

/// Sets of inputs, handed out in turn. Never empty.
#[derive(Clone, Debug)]
pub struct Rotation<T> {
    first: T,
    rest: Vec<T>,
    /// 0 is `first`.
    next: usize,
    exceeds_cache: bool,
}

/// How many sets of a size make a rotation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RotationSize {
    /// Sets, at least one.
    pub sets: usize,
    /// Whether they exceed twice the cache; not when the limit cut them.
    pub exceeds_cache: bool,
}

impl RotationSize {
    /// The fewest sets of `each` bytes that exceed twice `cache` (32 MiB
    /// where unknown), as far as `limit` bytes allow.
    pub fn new(each: Bytes, cache: Option<Bytes>, limit: Bytes) -> Self {
        let target = cache.unwrap_or(ASSUMED_CACHE) * 2.0;
        let each = each.max(Bytes(1.0));
        let wanted = (target / each).floor() as usize + 1;
        let allowed = ((limit / each).floor() as usize).max(1);
        let sets = wanted.min(allowed);
        Self { sets, exceeds_cache: each * sets as f64 > target }
    }
}

impl<T> Rotation<T> {
    /// Makes the sets; `make` gets each set's number, to seed it.
    ///
    /// # Errors
    ///
    /// The first error of `make`.
    pub fn new<E>(
        size: RotationSize,
        mut make: impl FnMut(usize) -> Result<T, E>,
    ) -> Result<Self, E> {
        Ok(Self {
            first: make(0)?,
            rest: (1..size.sets).map(make).collect::<Result<_, E>>()?,
            next: 0,
            exceeds_cache: size.exceeds_cache,
        })
    }

    /// The set whose turn it is; each call moves on by one.
    #[inline]
    pub fn turn(&mut self) -> &mut T {
        let now = self.next;
        self.next = if now == self.rest.len() { 0 } else { now + 1 };
        match now.checked_sub(1) {
            None => &mut self.first,
            Some(index) => &mut self.rest[index],
        }
    }

    /// How many sets there are.
    pub fn sets(&self) -> usize {
        1 + self.rest.len()
    }

    /// Whether the sets exceed twice the last-level cache.
    pub fn exceeds_cache(&self) -> bool {
        self.exceeds_cache
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sets_exceed_twice_the_cache_or_reach_the_limit(
            each in 0_u64..1 << 30,
            cache in proptest::option::of(0_u64..1 << 28),
            limit in 0_u64..1 << 33,
        ) {
            let (each, limit) = (Bytes(each as f64), Bytes(limit as f64));
            let cache = cache.map(|bytes| Bytes(bytes as f64));
            let size = RotationSize::new(each, cache, limit);
            let total = each.max(Bytes(1.0)) * size.sets as f64;
            prop_assert!(size.sets >= 1);
            prop_assert!(size.sets == 1 || total <= limit);
            let target = cache.unwrap_or(ASSUMED_CACHE) * 2.0;
            prop_assert_eq!(size.exceeds_cache, total > target);
            let one_more = total + each.max(Bytes(1.0));
            prop_assert!(size.exceeds_cache || one_more > limit);
        }

        #[test]
        fn every_set_comes_round_in_order(sets in 1_usize..9) {
            let size = RotationSize { sets, exceeds_cache: true };
            let mut rotation =
                Rotation::new(size, Ok::<usize, Infallible>).unwrap();
            for turn in 0..3 * sets {
                prop_assert_eq!(*rotation.turn(), turn % sets);
            }
        }
    }
}
