//! Prompts: real text through a real tokenizer.
//!
//! *Alice's Adventures in Wonderland* (public domain) and a byte-level BPE
//! tokenizer of 2,048 ids trained on it; see `data/README.md`. Models with
//! random weights take its ids as they are: every id is below any vocabulary
//! here, except in a model smaller than it, where ids wrap around.

use std::sync::OnceLock;

use tokenizers::Tokenizer;

use crate::SlmError;

const TEXT: &str = include_str!("../data/alice.txt");
const TOKENIZER: &str = include_str!("../data/tokenizer.json");

/// The tokenizer.
///
/// # Errors
///
/// The embedded file does not read: a bug of this crate.
pub fn tokenizer() -> Result<&'static Tokenizer, SlmError> {
    static LOADED: OnceLock<Result<Tokenizer, String>> = OnceLock::new();
    LOADED
        .get_or_init(|| TOKENIZER.parse().map_err(|e| format!("{e}")))
        .as_ref()
        .map_err(|error| SlmError::Tokenizer(error.clone()))
}

fn all_tokens() -> Result<&'static [u32], SlmError> {
    static TOKENS: OnceLock<Result<Vec<u32>, String>> = OnceLock::new();
    let tokenizer = tokenizer()?;
    TOKENS
        .get_or_init(|| {
            tokenizer
                .encode(TEXT, false)
                .map(|encoding| encoding.get_ids().to_vec())
                .map_err(|error| error.to_string())
        })
        .as_deref()
        .map_err(|error| SlmError::Tokenizer(error.clone()))
}

/// `count` consecutive tokens of the text, the `which`-th such passage; ids
/// below `vocab`. The text is read in a circle.
///
/// # Errors
///
/// As [`tokenizer`].
pub fn passage(
    which: usize,
    count: usize,
    vocab: usize,
) -> Result<Vec<i64>, SlmError> {
    let all = all_tokens()?;
    let start = which * count;
    Ok((start..start + count)
        .map(|i| i64::from(all[i % all.len()]) % vocab as i64)
        .collect())
}

/// The last fifth of the text, for judging a model that was trained on what
/// stands before it.
pub(crate) fn held_out() -> &'static str {
    &TEXT[border()..]
}

/// Tokens of what stands before the last fifth.
///
/// # Errors
///
/// As [`tokenizer`].
pub(crate) fn to_train_on() -> Result<Vec<u32>, SlmError> {
    tokenizer()?
        .encode(&TEXT[..border()], false)
        .map(|encoding| encoding.get_ids().to_vec())
        .map_err(|error| SlmError::Tokenizer(error.to_string()))
}

/// Where the last fifth begins.
fn border() -> usize {
    TEXT.floor_char_boundary(TEXT.len() / 5 * 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_survives_the_tokenizer() {
        let tokenizer = tokenizer().unwrap();
        let sentence = "Alice was beginning to get very tired";
        let ids = tokenizer.encode(sentence, false).unwrap();
        assert!(ids.get_ids().len() < sentence.len() / 2);
        let back = tokenizer.decode(ids.get_ids(), false).unwrap();
        assert_eq!(back, sentence);
    }

    #[test]
    fn passages_follow_each_other_and_stay_below_the_vocabulary() {
        let two = passage(0, 20, 4096).unwrap();
        let second = passage(1, 10, 4096).unwrap();
        assert_eq!(two[10..], second);
        assert!(passage(3, 500, 100).unwrap().iter().all(|&t| t < 100));
    }
}
