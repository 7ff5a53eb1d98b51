//! The closed vocabulary of questions and chains of thought: 40 words.
//!
//! Numbers are written digit by digit, so that sums and products are steps of
//! their own and not names to be learnt by heart. A word's id is its place in
//! [`Vocabulary::WORDS`].

use crate::error::MstarError;

/// Fills a row of a batch behind its text.
pub const PAD: u32 = 0;
/// Ends a response.
pub const END: u32 = 1;
/// Ends a step of a chain of thought, `;`.
pub const STEP: u32 = 2;
/// Ends a question, `?`.
pub const ASK: u32 = 3;
/// Stands before the final answer.
pub const ANSWER: u32 = 4;

/// The digit 0; the others follow.
pub(super) const ZERO: u32 = 5;
pub(super) const PLUS: u32 = 15;
pub(super) const MINUS: u32 = 16;
pub(super) const TIMES: u32 = 17;
pub(super) const EQUALS: u32 = 18;
/// Red, green, blue, yellow, white, magenta.
pub(super) const COLOURS: [u32; 6] = [19, 20, 21, 22, 23, 24];
/// Circle, square, triangle, cross, ring.
pub(super) const SHAPES: [u32; 5] = [25, 26, 27, 28, 29];
pub(super) const HEIGHT: u32 = 30;
pub(super) const COUNT: u32 = 31;
pub(super) const ANGLE: u32 = 32;
pub(super) const SIDE: u32 = 33;
pub(super) const WIDTH: u32 = 34;
pub(super) const AREA: u32 = 35;
pub(super) const PERIMETER: u32 = 36;
pub(super) const REST: u32 = 37;
pub(super) const MOST: u32 = 38;
pub(super) const LEAST: u32 = 39;

/// Digits of the largest number that is read: angles have three.
const MOST_DIGITS: usize = 3;

/// The words and their ids.
pub struct Vocabulary;

impl Vocabulary {
    /// Every word, in the order of the ids.
    pub const WORDS: [&str; 40] = [
        "<pad>",
        "<end>",
        ";",
        "?",
        "answer",
        "0",
        "1",
        "2",
        "3",
        "4",
        "5",
        "6",
        "7",
        "8",
        "9",
        "+",
        "-",
        "*",
        "=",
        "red",
        "green",
        "blue",
        "yellow",
        "white",
        "magenta",
        "circle",
        "square",
        "triangle",
        "cross",
        "ring",
        "height",
        "count",
        "angle",
        "side",
        "width",
        "area",
        "perimeter",
        "rest",
        "most",
        "least",
    ];

    /// How many words there are: the least size of a model's vocabulary.
    pub const SIZE: usize = Self::WORDS.len();

    /// The word of an id; none beyond the vocabulary.
    pub fn word(id: u32) -> Option<&'static str> {
        Self::WORDS.get(usize::try_from(id).ok()?).copied()
    }

    /// The id of a word.
    ///
    /// # Errors
    /// A word that is not of the vocabulary.
    pub fn id(word: &str) -> Result<u32, MstarError> {
        let place = Self::WORDS.iter().position(|&known| known == word);
        place.and_then(|place| u32::try_from(place).ok()).ok_or_else(|| {
            let nearest = assay_schema::nearest(word, Self::WORDS);
            MstarError::Data(format!(
                "`{word}` is no word of the task's {}; nearest valid: `{}`",
                Self::SIZE,
                nearest.unwrap_or_default()
            ))
        })
    }

    /// The tokens of a text: words between spaces, numbers digit by digit.
    ///
    /// # Errors
    /// As [`id`](Self::id).
    pub fn encode(text: &str) -> Result<Vec<u32>, MstarError> {
        let mut tokens = Vec::new();
        for word in text.split_whitespace() {
            if word.bytes().all(|byte| byte.is_ascii_digit()) {
                tokens.extend(word.bytes().map(digit));
            } else {
                tokens.push(Self::id(word)?);
            }
        }
        Ok(tokens)
    }

    /// The text of tokens, with the digits of a number together. An id beyond
    /// the vocabulary reads `<id>`.
    pub fn decode(tokens: &[u32]) -> String {
        let mut text = String::new();
        let mut after_digit = false;
        for &token in tokens {
            let is_digit = is_digit(token);
            let within_a_number = after_digit && is_digit;
            if !text.is_empty() && !within_a_number {
                text.push(' ');
            }
            match Self::word(token) {
                Some(word) => text.push_str(word),
                None => text.push_str(&format!("<{token}>")),
            }
            after_digit = is_digit;
        }
        text
    }
}

/// Whether a token is one of the digits.
fn is_digit(token: u32) -> bool {
    (ZERO..ZERO + 10).contains(&token)
}

/// The token of an ASCII digit.
fn digit(byte: u8) -> u32 {
    ZERO + u32::from(byte - b'0')
}

/// The digits of a number, the highest first.
pub(super) fn digits(value: u16) -> Vec<u32> {
    value.to_string().bytes().map(digit).collect()
}

/// The number that digits write: one to three, no zero in front.
pub(super) fn number(tokens: &[u32]) -> Option<u16> {
    let lawful = (1..=MOST_DIGITS).contains(&tokens.len())
        && tokens.iter().all(|&token| is_digit(token))
        && (tokens.len() == 1 || tokens.first() != Some(&ZERO));
    lawful.then(|| {
        let digits = tokens.iter().map(|token| token - ZERO);
        digits.fold(0, |sum, digit| 10 * sum + digit as u16)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_are_the_words() {
        let named = [
            (PAD, "<pad>"),
            (END, "<end>"),
            (STEP, ";"),
            (ASK, "?"),
            (ANSWER, "answer"),
            (ZERO, "0"),
            (ZERO + 9, "9"),
            (PLUS, "+"),
            (MINUS, "-"),
            (TIMES, "*"),
            (EQUALS, "="),
            (COLOURS[0], "red"),
            (COLOURS[5], "magenta"),
            (SHAPES[0], "circle"),
            (SHAPES[4], "ring"),
            (HEIGHT, "height"),
            (COUNT, "count"),
            (ANGLE, "angle"),
            (SIDE, "side"),
            (WIDTH, "width"),
            (AREA, "area"),
            (PERIMETER, "perimeter"),
            (REST, "rest"),
            (MOST, "most"),
            (LEAST, "least"),
        ];
        for (id, word) in named {
            assert_eq!(Vocabulary::word(id), Some(word));
            assert_eq!(Vocabulary::id(word).unwrap(), id);
        }
        assert_eq!(Vocabulary::SIZE, 40);
        assert_eq!(Vocabulary::word(40), None);
    }

    #[test]
    fn text_survives_and_numbers_are_digits() {
        let text = "red 105 ; 105 + 7 = 112 ; answer 112 <end>";
        let tokens = Vocabulary::encode(text).unwrap();
        assert_eq!(Vocabulary::decode(&tokens), text);
        assert_eq!(tokens[1..4], [6, 5, 10]);
        assert_eq!(Vocabulary::decode(&[99, 5, 6, 19]), "<99> 01 red");
        let error = Vocabulary::encode("yelow 3").unwrap_err().to_string();
        assert!(error.contains("`yelow`"), "{error}");
        assert!(error.contains("nearest valid: `yellow`"), "{error}");
    }

    #[test]
    fn numbers_are_read_as_they_are_written() {
        for value in 0..1000 {
            assert_eq!(number(&digits(value)), Some(value));
        }
        let read = |text| number(&Vocabulary::encode(text).unwrap());
        assert_eq!(read(""), None);
        assert_eq!(read("05"), None);
        assert_eq!(read("1000"), None);
        assert_eq!(read("1 red"), None);
    }
}
