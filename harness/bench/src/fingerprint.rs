//! Fingerprints: hashes of outputs that two builds can compare.

use std::hash::{Hash, Hasher};

/// A hash of a value, the same in every build for this platform: FNV-1a,
/// 64-bit, over what `Hash` feeds. (The standard library's hasher may change
/// between versions.) Hash floating-point numbers by their `to_bits`.
///
/// ```
/// let found = assay_bench::fingerprint(&vec![3_u32, 1, 2]);
/// assert_ne!(found, assay_bench::fingerprint(&vec![1_u32, 2, 3]));
/// ```
pub fn fingerprint<T: Hash + ?Sized>(value: &T) -> u64 {
    let mut hasher = Fnv1a(0xcbf2_9ce4_8422_2325);
    value.hash(&mut hasher);
    hasher.finish()
}

/// Fowler, Noll and Vo; constants of the 64-bit variant.
struct Fnv1a(u64);

impl Hasher for Fnv1a {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 =
                (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        // FNV's own test vectors: "" and "foobar".
        let mut hasher = Fnv1a(0xcbf2_9ce4_8422_2325);
        assert_eq!(hasher.finish(), 0xcbf2_9ce4_8422_2325);
        hasher.write(b"foobar");
        assert_eq!(hasher.finish(), 0x8594_4171_f739_67e8);
    }
}
