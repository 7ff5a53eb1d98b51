//! CLIP's tokenizer: byte-level pair encoding with an end-of-word mark
//! (Sennrich et al., 2016; Radford et al., *Learning Transferable Visual
//! Models From Natural Language Supervision*, 2021).
//!
//! Text is composed (NFC) and lower-cased, then split into words, single
//! digits and runs of other signs; each piece becomes bytes, the last one
//! marked `</w>`, and bytes merge into pairs by rank. A caption is a start
//! token, its own tokens, and end tokens up to the length that the text
//! encoder takes, as Stable Diffusion 1 pads.
//!
//! The vocabulary is loaded from a folder when given, and otherwise trained on
//! our captions: every byte of UTF-8 that can stand in a lower-cased text, then
//! merges until each word of a caption is one token. Training is written here
//! since the library's breaks ties by a random hash; ours picks the most
//! frequent pair, of equal ones the first in the alphabet.
//!
//! Two things differ from the authors' on purpose: a caption that is too long
//! is refused, not cut, and control characters count as spaces.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::OnceLock;

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::{Lowercase, NFC, Sequence as Normalizers};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence as Splitters;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{Error, SplitDelimiterBehavior};

use crate::InstaFlowError;
use crate::data::Caption;

/// Most tokens of the vocabulary that is trained on our captions.
const LARGEST_VOCABULARY: usize = 512;

const START: &str = "<|startoftext|>";
const END: &str = "<|endoftext|>";
const END_OF_WORD: &str = "</w>";

/// What a piece of text is, as CLIP's code has it.
const PIECES: &str =
    r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// Turns captions into tokens.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    start: i64,
    end: i64,
}

impl Tokenizer {
    /// The tokenizer trained on our captions: at most 512 tokens, always the
    /// same. It is made once.
    ///
    /// # Errors
    /// The library refuses the vocabulary: a bug of this crate.
    pub fn of_captions() -> Result<Self, InstaFlowError> {
        static MADE: OnceLock<Result<Tokenizer, String>> = OnceLock::new();
        MADE.get_or_init(|| {
            let model = trained(LARGEST_VOCABULARY).map_err(text)?;
            Self::of_model(model).map_err(text)
        })
        .clone()
        .map_err(|why| config("the tokenizer of our captions".into(), why))
    }

    /// The tokenizer in a folder: `tokenizer.json`, or CLIP's `vocab.json` and
    /// `merges.txt`.
    ///
    /// # Errors
    /// Neither is there, a file does not read, or the start and end tokens are
    /// not in the vocabulary.
    pub fn from_folder(folder: &Path) -> Result<Self, InstaFlowError> {
        let whole = folder.join("tokenizer.json");
        let [vocab, merges] =
            ["vocab.json", "merges.txt"].map(|name| folder.join(name));
        let (file, read) = if whole.is_file() {
            let read = tokenizers::Tokenizer::from_file(&whole);
            (whole, read.and_then(Self::of_inner))
        } else if vocab.is_file() && merges.is_file() {
            let read = BPE::from_file(
                &vocab.to_string_lossy(),
                &merges.to_string_lossy(),
            )
            .unk_token(END.into())
            .end_of_word_suffix(END_OF_WORD.into())
            .build();
            (vocab, read.and_then(Self::of_model))
        } else {
            return Err(config(
                folder.display().to_string(),
                "no tokenizer here: expected tokenizer.json, or vocab.json \
                 and merges.txt"
                    .into(),
            ));
        };
        read.map_err(|error| config(file.display().to_string(), text(error)))
    }

    /// Byte-level pairs behind CLIP's own way of splitting.
    fn of_model(model: BPE) -> Result<Self, Error> {
        let mut inner = tokenizers::Tokenizer::new(model);
        let split = Split::new(
            SplitPattern::Regex(PIECES.into()),
            SplitDelimiterBehavior::Removed,
            true,
        )?;
        let bytes = ByteLevel::new(false, true, true);
        inner.with_normalizer(Some(Normalizers::new(vec![
            NFC.into(),
            Lowercase.into(),
        ])));
        inner.with_pre_tokenizer(Some(Splitters::new(vec![
            split.into(),
            bytes.into(),
        ])));
        Self::of_inner(inner)
    }

    /// Start, end and padding are ours, whatever the file says of them.
    fn of_inner(mut inner: tokenizers::Tokenizer) -> Result<Self, Error> {
        inner.with_truncation(None)?;
        inner.with_padding(None);
        let token = |name: &str| {
            let id = inner.token_to_id(name).map(i64::from);
            id.ok_or_else(|| format!("`{name}` is not in the vocabulary"))
        };
        let (start, end) = (token(START)?, token(END)?);
        Ok(Self { inner, start, end })
    }

    /// A caption as exactly `positions` token ids: start, its tokens, end, and
    /// end again as padding. Any script goes, by its bytes.
    ///
    /// # Errors
    /// A caption without a token in it, or with more than fit.
    pub fn encode(
        &self,
        caption: &str,
        positions: usize,
    ) -> Result<Vec<i64>, InstaFlowError> {
        let refuse = |why: String| InstaFlowError::Caption {
            caption: caption.to_owned(),
            why,
        };
        let spaced: String = caption
            .chars()
            .map(|sign| if sign.is_control() { ' ' } else { sign })
            .collect();
        let own = self
            .inner
            .encode(spaced.as_str(), false)
            .map_err(|error| refuse(text(error)))?;
        if spaced.trim().is_empty() || own.is_empty() {
            return Err(refuse(
                "is empty: say what to draw, as in `two red circles at the \
                 top`"
                    .into(),
            ));
        }
        let count = own.len() + 2;
        if count > positions {
            return Err(refuse(format!(
                "is {count} tokens with start and end; the text encoder takes \
                 {positions}: shorten it"
            )));
        }
        let mut ids = Vec::with_capacity(positions);
        ids.push(self.start);
        ids.extend(own.get_ids().iter().map(|&id| i64::from(id)));
        ids.resize(positions, self.end);
        Ok(ids)
    }

    /// The caption that says nothing, for guidance: start, then end.
    pub fn null(&self, positions: usize) -> Vec<i64> {
        let mut ids = vec![self.end; positions];
        if let Some(first) = ids.first_mut() {
            *first = self.start;
        }
        ids
    }

    /// How many tokens there are: every id is below it.
    pub fn vocabulary(&self) -> usize {
        let ids = self.inner.get_vocab(true).into_values();
        ids.max().map_or(0, |last| last as usize + 1)
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn config(file: String, why: String) -> InstaFlowError {
    InstaFlowError::Config { file, why }
}

/// The sign that stands for a byte in a vocabulary, as in GPT-2's: itself when
/// it can be seen, otherwise one from U+0100 on.
fn sign_of(byte: u8) -> char {
    let seen = |b: &u8| matches!(b, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    if seen(&byte) {
        return char::from(byte);
    }
    let hidden_before = (0..byte).filter(|b| !seen(b)).count();
    char::from_u32(0x100 + hidden_before as u32)
        .unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Bytes of composed, lower-cased text without spaces and controls, in UTF-8:
/// those that can stand inside a word, and those that can end one.
fn alphabet() -> (Vec<char>, Vec<char>) {
    let ascii = (b'!'..=b'~').filter(|byte| !byte.is_ascii_uppercase());
    let continued = 0x80..=0xBF;
    let leading = 0xC2..=0xF4;
    let ends = ascii.chain(continued).map(sign_of);
    let all = ends.clone().chain(leading.map(sign_of));
    (all.collect(), ends.collect())
}

/// Each word of our captions as signs, the last with the end-of-word mark, and
/// how often it stands in them.
fn words() -> Vec<(Vec<String>, usize)> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for caption in Caption::all() {
        for word in caption.to_string().split_whitespace() {
            *counts.entry(word.to_owned()).or_default() += 1;
        }
    }
    counts
        .into_iter()
        .map(|(word, count)| {
            let mut signs: Vec<String> =
                word.bytes().map(|byte| sign_of(byte).to_string()).collect();
            if let Some(last) = signs.last_mut() {
                last.push_str(END_OF_WORD);
            }
            (signs, count)
        })
        .collect()
}

/// A model of at most `largest` tokens, trained on the words of our captions.
fn trained(largest: usize) -> Result<BPE, Error> {
    let (signs, ends) = alphabet();
    let mut tokens: Vec<String> = signs.iter().map(char::to_string).collect();
    tokens.extend(ends.iter().map(|sign| format!("{sign}{END_OF_WORD}")));
    let mut known: BTreeSet<String> = tokens.iter().cloned().collect();
    let mut words = words();
    let mut merges = Vec::new();
    while tokens.len() + 2 < largest
        && let Some((left, right)) = most_frequent(&words)
    {
        let merged = format!("{left}{right}");
        for (signs, _) in &mut words {
            merge(signs, &left, &right);
        }
        if known.insert(merged.clone()) {
            tokens.push(merged);
        }
        merges.push((left, right));
    }
    tokens.extend([START.to_owned(), END.to_owned()]);
    let vocabulary: Vocab = tokens.into_iter().zip(0_u32..).collect();
    BPE::builder()
        .vocab_and_merges(vocabulary, merges)
        .unk_token(END.into())
        .end_of_word_suffix(END_OF_WORD.into())
        .build()
}

/// The pair that stands side by side most often; of equal ones the first in
/// the alphabet. `None` when every word is one token.
fn most_frequent(words: &[(Vec<String>, usize)]) -> Option<(String, String)> {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (signs, count) in words {
        for pair in signs.windows(2) {
            let pair = (pair[0].as_str(), pair[1].as_str());
            *counts.entry(pair).or_default() += count;
        }
    }
    let most = counts.values().copied().max()?;
    let (pair, _) = counts.into_iter().find(|&(_, count)| count == most)?;
    Some((pair.0.to_owned(), pair.1.to_owned()))
}

/// Joins every such pair of a word, from the left.
fn merge(signs: &mut Vec<String>, left: &str, right: &str) {
    let mut at = 0;
    while at + 1 < signs.len() {
        if signs[at] == left && signs[at + 1] == right {
            let tail = signs.remove(at + 1);
            signs[at].push_str(&tail);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn why(error: InstaFlowError) -> String {
        match error {
            InstaFlowError::Caption { why, .. } => why,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn every_word_of_a_caption_is_one_token() {
        let tokenizer = Tokenizer::of_captions().unwrap();
        let vocabulary = tokenizer.vocabulary();
        assert!(vocabulary <= LARGEST_VOCABULARY, "{vocabulary}");
        let (start, end) = (tokenizer.start, tokenizer.end);
        let mut seen = BTreeSet::new();
        for caption in Caption::all() {
            let ids = tokenizer.encode(&caption.to_string(), 16).unwrap();
            assert_eq!(ids.len(), 16);
            assert_eq!(ids[0], start);
            assert!(ids[1..7].iter().all(|&id| id != end && id != start));
            assert!(ids[7..].iter().all(|&id| id == end), "{ids:?}");
            assert!(ids.iter().all(|&id| (id as usize) < vocabulary));
            assert!(seen.insert(ids), "{caption} is another's tokens");
        }
    }

    #[test]
    fn the_vocabulary_is_the_same_every_time() {
        let vocabulary = |tokenizer: Tokenizer| {
            tokenizer.inner.get_vocab(true).into_iter().collect()
        };
        let of = || trained(LARGEST_VOCABULARY).and_then(Tokenizer::of_model);
        let one: BTreeMap<String, u32> = vocabulary(of().unwrap());
        assert_eq!(one, vocabulary(of().unwrap()));
        assert_eq!(one, vocabulary(Tokenizer::of_captions().unwrap()));
        assert!(one.contains_key("red</w>"));
        assert_eq!(one[END], one[START] + 1);
    }

    #[test]
    fn capitals_spaces_and_controls_do_not_matter() {
        let tokenizer = Tokenizer::of_captions().unwrap();
        let plain = tokenizer.encode("two red circles at the top", 16);
        let odd = "  TWO\tred\u{0}circles\nat   The top ";
        let odd = tokenizer.encode(odd, 16).unwrap();
        assert_eq!(odd, plain.unwrap());
    }

    #[test]
    fn other_scripts_go_through_their_bytes() {
        let tokenizer = Tokenizer::of_captions().unwrap();
        let texts =
            ["два красных круга", "红色圆形", "हिन्दी", "ÀÉÎ œ", "🔴🟥", "¿7x?"];
        let mut seen = BTreeSet::new();
        for text in texts {
            let ids = tokenizer.encode(text, 77).unwrap();
            let own: Vec<i64> = ids[1..]
                .iter()
                .copied()
                .take_while(|&id| id != tokenizer.end)
                .collect();
            // The end token also stands for what is unknown: none is.
            let bytes = text.to_lowercase().replace(' ', "").len();
            assert_eq!(own.len(), bytes, "{text}: {own:?}");
            assert!(seen.insert(ids));
        }
    }

    #[test]
    fn captions_that_are_empty_or_too_long_are_refused() {
        let tokenizer = Tokenizer::of_captions().unwrap();
        for empty in ["", "   ", "\n\t", "\u{0}"] {
            let error = tokenizer.encode(empty, 16).unwrap_err();
            assert!(why(error).starts_with("is empty"), "{empty:?}");
        }
        let long = "two red circles at the top ".repeat(3);
        let error = why(tokenizer.encode(&long, 16).unwrap_err());
        assert!(error.contains("is 20 tokens"), "{error}");
        assert!(error.contains("takes 16"), "{error}");
        assert!(tokenizer.encode(&long, 20).is_ok());
        assert!(tokenizer.encode("red", 2).is_err());
    }

    #[test]
    fn the_null_caption_is_start_and_end() {
        let tokenizer = Tokenizer::of_captions().unwrap();
        let (start, end) = (tokenizer.start, tokenizer.end);
        assert_eq!(tokenizer.null(4), [start, end, end, end]);
        assert_eq!(tokenizer.null(0), [0_i64; 0]);
    }

    #[test]
    fn a_folder_serves_as_clips_two_files_or_as_one() {
        let ours = Tokenizer::of_captions().unwrap();
        let text = "three blue crosses in the centre, ok?";
        let expected = ours.encode(text, 16).unwrap();
        let folder = std::env::temp_dir()
            .join(format!("assay-tokenizer-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();

        let error = Tokenizer::from_folder(&folder).unwrap_err().to_string();
        assert!(error.contains("expected tokenizer.json"), "{error}");

        let model = trained(LARGEST_VOCABULARY).unwrap();
        tokenizers::Model::save(&model, &folder, None).unwrap();
        let two = Tokenizer::from_folder(&folder).unwrap();
        assert_eq!(two.encode(text, 16).unwrap(), expected);

        let whole = folder.join("tokenizer.json");
        ours.inner.save(&whole, false).unwrap();
        let one = Tokenizer::from_folder(&folder).unwrap();
        assert_eq!(one.encode(text, 16).unwrap(), expected);

        let cut = fs::read(&whole).unwrap();
        fs::write(&whole, &cut[..cut.len() / 2]).unwrap();
        let error = Tokenizer::from_folder(&folder).unwrap_err().to_string();
        assert!(error.contains("tokenizer.json"), "{error}");
        fs::remove_dir_all(&folder).unwrap();
    }
}
