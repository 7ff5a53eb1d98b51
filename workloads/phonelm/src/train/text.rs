//! Real text in tokens: what a model is trained on, and what it is judged on.
//!
//! The shipped text is *Alice's Adventures in Wonderland* (public domain; its
//! licence and source stand in `workloads/slm/data/README.md`), the tokenizer
//! the byte-level one beside it, which any other text goes through as well.
//! The last fifth is held out and never trained on.

use std::path::Path;

use assay_schema::fnv1a;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::PhoneLmError;

/// The shipped text.
const ALICE: &str = include_str!("../../../slm/data/alice.txt");

/// One token in so many is held out.
const HELD_OUT: usize = 5;

/// Tokens of a row that is learned from, and judged: each predicts the next.
pub(crate) const ROW: usize = 128;

/// A text in tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    tokens: Vec<i64>,
    /// Tokens that are trained on; the rest is held out.
    trained: usize,
    /// A number that another text hardly has.
    fingerprint: u32,
}

impl Text {
    /// The shipped text.
    ///
    /// # Errors
    /// The tokenizer does not read: a bug of this project.
    pub fn shipped() -> Result<Self, PhoneLmError> {
        Self::of(ALICE)
    }

    /// A file of text in UTF-8.
    ///
    /// # Errors
    /// A file that cannot be read; [`PhoneLmError::TextTooShort`].
    pub fn from_file(path: &Path) -> Result<Self, PhoneLmError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let path = path.display();
            PhoneLmError::Data(format!("{path}: no text in UTF-8: {error}"))
        })?;
        Self::of(&text)
    }

    /// A text.
    ///
    /// # Errors
    /// [`PhoneLmError::TextTooShort`]: no row of it could be held out.
    pub fn of(text: &str) -> Result<Self, PhoneLmError> {
        let encoding = assay_slm::tokenizer()?
            .encode(text, false)
            .map_err(|error| PhoneLmError::Data(format!("text: {error}")))?;
        let tokens: Vec<i64> =
            encoding.get_ids().iter().map(|&id| i64::from(id)).collect();
        let needed = HELD_OUT * (ROW + 1);
        if tokens.len() < needed {
            let tokens = tokens.len();
            return Err(PhoneLmError::TextTooShort { tokens, needed });
        }
        let trained = tokens.len() - tokens.len() / HELD_OUT;
        Ok(Self { tokens, trained, fingerprint: fnv1a(text) })
    }

    /// Tokens that are trained on.
    pub fn trained(&self) -> usize {
        self.trained
    }

    /// Tells texts apart.
    pub fn fingerprint(&self) -> u32 {
        self.fingerprint
    }

    /// Ids that the text's tokens stay below.
    pub(crate) fn vocabulary(&self) -> usize {
        let largest = self.tokens.iter().max().copied().unwrap_or(0);
        usize::try_from(largest).unwrap_or(0) + 1
    }

    /// The rows that are held out, [`ROW`] and one more token each, that begin
    /// with the last token of the row before.
    pub(crate) fn held_out(&self) -> Vec<&[i64]> {
        let held = &self.tokens[self.trained..];
        let rows = (held.len() - 1) / ROW;
        (0..rows).map(|row| &held[row * ROW..=(row + 1) * ROW]).collect()
    }

    /// The `step`-th batch of a seed: rows of [`ROW`] and one more token from
    /// anywhere in what is trained on.
    pub(crate) fn batch(&self, rows: usize, step: u64, seed: u64) -> Vec<i64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(step);
        let starts = (self.trained - ROW) as u64;
        (0..rows)
            .flat_map(|_| {
                let start = rng.random_range(0..starts) as usize;
                self.tokens[start..=start + ROW].iter().copied()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_text_is_split_and_no_batch_reaches_what_is_held_out() {
        let text = Text::shipped().unwrap();
        // 43,893 tokens, as the text's README says.
        assert_eq!(text.tokens.len(), 43_893);
        let held = text.held_out();
        assert_eq!(held.len(), (43_893 / 5 - 1) / ROW);
        assert!(held.iter().all(|row| row.len() == ROW + 1));
        assert_eq!(held[0][ROW], held[1][0]);
        assert!(text.vocabulary() <= 2_048);

        let batch = text.batch(16, 3, 1);
        assert_eq!(batch.len(), 16 * (ROW + 1));
        assert_eq!(batch, text.batch(16, 3, 1));
        assert_ne!(batch, text.batch(16, 4, 1));
        assert_ne!(batch, text.batch(16, 3, 2));
        let trained = &text.tokens[..text.trained];
        for row in batch.chunks(ROW + 1) {
            assert!(trained.windows(ROW + 1).any(|window| window == row));
        }
    }

    #[test]
    fn a_text_too_short_to_hold_a_row_out_is_refused() {
        let error = Text::of("Down the rabbit hole.").unwrap_err();
        let PhoneLmError::TextTooShort { tokens, needed } = error else {
            panic!("{error}")
        };
        assert!(tokens < needed && needed == 645, "{tokens} {needed}");
        let path = std::env::temp_dir().join("assay-no-such-text");
        let error = Text::from_file(&path).unwrap_err().to_string();
        assert!(error.contains("assay-no-such-text"), "{error}");
    }
}
