//! A hash of a stream that is never kept: a command may print gigabytes.
//!
//! Eight bytes at a time are mixed by a 64 by 64 to 128 bit product whose
//! halves are folded together; the length goes in last. It tells a changed
//! answer from an equal one; it guards against no forger.

/// Half of the digits of the golden ratio, odd: mixes well as a factor.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
/// Any start but zero, which a zero word would leave at zero.
const START: u64 = 0x243f_6a88_85a3_08d3; // the digits of pi

/// The hash so far.
#[derive(Clone, Debug)]
pub(crate) struct StreamHash {
    state: u64,
    length: u64,
    /// Bytes that do not fill a word yet, lowest first.
    pending: u64,
}

impl StreamHash {
    /// Of nothing.
    pub(crate) fn new() -> Self {
        Self { state: START, length: 0, pending: 0 }
    }

    /// Goes on with these bytes; how a stream is cut does not matter.
    pub(crate) fn write(&mut self, mut bytes: &[u8]) {
        while !self.length.is_multiple_of(8) && !bytes.is_empty() {
            self.push(bytes[0]);
            bytes = &bytes[1..];
        }
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        self.length += 8 * words.len() as u64;
        for &byte in rest {
            self.push(byte);
        }
    }

    fn push(&mut self, byte: u8) {
        self.pending |= u64::from(byte) << (8 * (self.length % 8));
        self.length += 1;
        if self.length.is_multiple_of(8) {
            let word = std::mem::take(&mut self.pending);
            self.mix(word);
        }
    }

    fn mix(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(FACTOR);
        self.state = (product as u64) ^ ((product >> 64) as u64) ^ FACTOR;
        self.state = self.state.rotate_left(23);
    }

    /// The hash.
    pub(crate) fn finish(mut self) -> u64 {
        let (pending, length) = (self.pending, self.length);
        self.mix(pending);
        self.mix(length);
        self.mix(!length);
        self.state
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn hash(parts: &[&[u8]]) -> u64 {
        let mut hash = StreamHash::new();
        parts.iter().for_each(|part| hash.write(part));
        hash.finish()
    }

    #[test]
    fn small_differences_show() {
        let texts: [&[u8]; 8] =
            [b"", b"\0", b"\0\0", b"a", b"b", b"ab", b"ba", b"aaaaaaaaa"];
        let hashes: BTreeSet<u64> =
            texts.iter().map(|text| hash(&[text])).collect();
        assert_eq!(hashes.len(), texts.len());
    }

    proptest! {
        #[test]
        fn how_a_stream_is_cut_does_not_matter(
            bytes in proptest::collection::vec(any::<u8>(), 0..100),
            cut in 0_usize..100,
            second in 0_usize..100,
        ) {
            let cut = cut.min(bytes.len());
            let second = second.clamp(cut, bytes.len().max(cut));
            let parts =
                [&bytes[..cut], &bytes[cut..second], &bytes[second..]];
            prop_assert_eq!(hash(&parts), hash(&[&bytes]));
        }

        #[test]
        fn one_flipped_bit_changes_it(
            bytes in proptest::collection::vec(any::<u8>(), 1..100),
            at in 0_usize..100,
            bit in 0_u32..8,
        ) {
            let mut other = bytes.clone();
            let at = at % bytes.len();
            other[at] ^= 1 << bit;
            prop_assert_ne!(hash(&[&bytes]), hash(&[&other]));
        }
    }
}
