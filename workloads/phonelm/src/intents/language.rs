//! The small language of the intents: tokens, prompts, calls.
//!
//! Whole words and numbers below 100 are one token each; any other word is
//! spelled in pairs of letters behind a mark, `oscar` as `· os ca r`. So an
//! argument that no training ever saw can be copied piece by piece, while a
//! prompt of four tools stays near a hundred tokens: characters would take
//! five times as many, and a byte-level BPE a table larger than the rest of
//! the model. The glue of JSON (`{"name":"`, `":"`, `"}}`) is one token a
//! piece. A word has the same token wherever it stands: what is copied from
//! a request into a call is the very token that was read.
//!
//! Lower-case letters `a` to `z`, digits and `: , . ? !` are known; other
//! characters part words, and apostrophes are dropped.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use assay_kit::Draws;

pub(super) use super::glue;
use super::schema::{Kind, Tool, ToolCall, Value};
use crate::PhoneLmError;

/// Tokens of the language, rows of the model's table.
pub(crate) const VOCABULARY: usize = 1664;

/// The first number, `0`; after `9` stand `00` to `99`.
const NUMBERS: u32 = glue::TEXTS.len() as u32;
/// The first piece of a spelled word: digits, pairs of them, letters, pairs.
const PIECES: u32 = NUMBERS + 110;
const LETTERS: u32 = PIECES + 110;
/// The first word.
const WORDS: u32 = LETTERS + 26 + 26 * 26;

/// Words that the language has whatever its texts are.
const OWN: &str = "string integer boolean time list true false what which is \
                   the tool none and";

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// Glue or a mark; also a row of the table that no word took.
    Glue,
    /// A number below 100, as it is written: `7` and `07` are two.
    Number,
    /// Digits of a spelled number.
    Digits,
    /// Letters of a spelled word.
    Letters,
    /// A word.
    Word,
}

/// The language: which words have tokens.
#[derive(Clone, Debug)]
pub(crate) struct Language {
    texts: Vec<String>,
    words: HashMap<String, u32>,
}

/// A word, a number or a mark of a text.
enum Unit {
    Letters(String),
    Digits(String),
    Mark(u32),
}

fn units(text: &str) -> Vec<Unit> {
    let mut found: Vec<Unit> = Vec::new();
    // Whether the last unit may go on.
    let mut open = false;
    for c in text.chars().flat_map(char::to_lowercase) {
        if matches!(c, '\'' | '\u{2019}') {
            continue;
        }
        match (found.last_mut(), c) {
            (Some(Unit::Letters(word)), 'a'..='z')
            | (Some(Unit::Digits(word)), '0'..='9')
                if open =>
            {
                word.push(c);
                continue;
            }
            _ => {}
        }
        open = c.is_ascii_alphanumeric();
        match c {
            'a'..='z' => found.push(Unit::Letters(c.to_string())),
            '0'..='9' => found.push(Unit::Digits(c.to_string())),
            ':' => found.push(Unit::Mark(glue::COLON)),
            ',' => found.push(Unit::Mark(glue::COMMA)),
            '.' => found.push(Unit::Mark(glue::STOP)),
            '?' => found.push(Unit::Mark(glue::QUESTION)),
            '!' => found.push(Unit::Mark(glue::EXCLAMATION)),
            _ => {}
        }
    }
    found
}

/// The tokens of a spelled word behind its mark, two characters each; all of
/// them are letters, or all digits.
fn pieces(word: &str) -> impl Iterator<Item = u32> {
    let place = |b: u8| match b {
        b'0'..=b'9' => u32::from(b - b'0'),
        _ => u32::from(b.wrapping_sub(b'a') % 26),
    };
    word.as_bytes().chunks(2).map(move |pair| match *pair {
        [a, b] if a.is_ascii_digit() => PIECES + 10 + 10 * place(a) + place(b),
        [a, b] => LETTERS + 26 + 26 * place(a) + place(b),
        [a] if a.is_ascii_digit() => PIECES + place(a),
        [a] => LETTERS + place(a),
        _ => glue::PAD,
    })
}

/// The glue round a value: before it, after it before the next name, after
/// the last.
fn around(kind: &Kind) -> [u32; 3] {
    match kind {
        Kind::Integer | Kind::Boolean => {
            [glue::BARE, glue::BARE_NEXT, glue::BARE_CLOSE]
        }
        Kind::List => [glue::ITEMS, glue::ITEMS_NEXT, glue::ITEMS_CLOSE],
        Kind::String | Kind::Time | Kind::Choice(_) => {
            [glue::TEXT, glue::NEXT, glue::CLOSE]
        }
    }
}

impl Language {
    /// The language of texts of its own, all of whose words get a token, and
    /// of prose, whose most frequent words get those that are left.
    ///
    /// # Errors
    /// More words in `own` than the vocabulary holds.
    pub(crate) fn new(
        own: &[String],
        prose: &str,
    ) -> Result<Self, PhoneLmError> {
        let mut texts: Vec<String> =
            glue::TEXTS.iter().map(|text| (*text).to_owned()).collect();
        texts.extend((0..10).map(|n| n.to_string()));
        texts.extend((0..100).map(|n| format!("{n:02}")));
        texts.extend((0..10).map(|n| n.to_string()));
        texts.extend((0..100).map(|n| format!("{n:02}")));
        texts.extend(('a'..='z').map(String::from));
        for a in 'a'..='z' {
            texts.extend(('a'..='z').map(|b| format!("{a}{b}")));
        }
        let mut language = Self { texts, words: HashMap::new() };
        let all_own =
            std::iter::once(OWN).chain(own.iter().map(String::as_str));
        for unit in all_own.flat_map(units) {
            if let Unit::Letters(word) = unit {
                language.add(word);
            }
        }
        if language.texts.len() > VOCABULARY {
            return Err(PhoneLmError::Data(format!(
                "the tools' texts have {} words, the vocabulary has room for \
                 {}",
                language.words.len(),
                VOCABULARY - WORDS as usize
            )));
        }
        let mut counts: HashMap<String, usize> = HashMap::new();
        for unit in units(prose) {
            if let Unit::Letters(word) = unit {
                *counts.entry(word).or_default() += 1;
            }
        }
        let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
        counts.sort_by(|(a, n), (b, m)| m.cmp(n).then_with(|| a.cmp(b)));
        for (word, _) in counts {
            if language.texts.len() == VOCABULARY {
                break;
            }
            language.add(word);
        }
        language.texts.resize(VOCABULARY, String::new());
        Ok(language)
    }

    fn add(&mut self, word: String) {
        if let Entry::Vacant(place) = self.words.entry(word) {
            let word = place.key().clone();
            place.insert(self.texts.len() as u32);
            self.texts.push(word);
        }
    }

    /// What a token is.
    pub(crate) fn sort(&self, token: u32) -> Sort {
        match token {
            _ if token < NUMBERS => Sort::Glue,
            _ if token < PIECES => Sort::Number,
            _ if token < LETTERS => Sort::Digits,
            _ if token < WORDS => Sort::Letters,
            _ if self.text(token).is_empty() => Sort::Glue,
            _ => Sort::Word,
        }
    }

    /// What a token writes; nothing of one that there is not.
    pub(crate) fn text(&self, token: u32) -> &str {
        self.texts.get(token as usize).map_or("", String::as_str)
    }

    /// Appends the tokens of a text, or of a name of words joined by `_`.
    pub(crate) fn encode(&self, text: &str, tokens: &mut Vec<u32>) {
        for unit in units(text) {
            match unit {
                Unit::Mark(mark) => tokens.push(mark),
                Unit::Letters(word) => match self.words.get(&word) {
                    Some(token) => tokens.push(*token),
                    None => {
                        tokens.push(glue::SPELL);
                        tokens.extend(pieces(&word));
                    }
                },
                Unit::Digits(number) => match number.parse::<u32>() {
                    Ok(n) if number.len() == 1 => tokens.push(NUMBERS + n),
                    Ok(n) if number.len() == 2 => {
                        tokens.push(NUMBERS + 10 + n);
                    }
                    _ => {
                        tokens.push(glue::SPELL);
                        tokens.extend(pieces(&number));
                    }
                },
            }
        }
    }

    /// Appends a word drawn from all: one of the table, a number, or letters
    /// that are spelled.
    pub(crate) fn any_word(&self, draws: &mut Draws, tokens: &mut Vec<u32>) {
        match draws.below(5) {
            sort @ (0 | 1) => {
                tokens.push(glue::SPELL);
                let (first, pairs) = match sort {
                    0 => (LETTERS + 26, 26 * 26),
                    _ => (PIECES + 10, 100),
                };
                let count = 1 + draws.below(4);
                tokens.extend(
                    (0..count).map(|_| first + draws.below(pairs) as u32),
                );
            }
            2 => tokens.push(NUMBERS + draws.below(110) as u32),
            _ => {
                let words = self.words.len().max(1);
                tokens.push(WORDS + draws.below(words) as u32);
            }
        }
    }

    /// The tokens of a text alone.
    pub(crate) fn tokens(&self, text: &str) -> Vec<u32> {
        let mut tokens = Vec::new();
        self.encode(text, &mut tokens);
        tokens
    }

    /// What tokens write: a space between two words, `_` where they are part
    /// of a name, and nothing round marks.
    pub(crate) fn render(&self, tokens: &[u32]) -> String {
        let mut text = String::new();
        let (mut in_name, mut after_word, mut spelled) = (false, false, false);
        for &token in tokens {
            let sort = self.sort(token);
            let goes_on =
                spelled && matches!(sort, Sort::Digits | Sort::Letters);
            let is_word = token == glue::SPELL || sort != Sort::Glue;
            if is_word && after_word && !goes_on {
                text.push(if in_name { '_' } else { ' ' });
            }
            text.push_str(self.text(token));
            // The mark before a spelled word has set it apart already.
            spelled = token == glue::SPELL || goes_on;
            after_word = is_word;
            match token {
                glue::OPEN
                | glue::FIRST
                | glue::NEXT
                | glue::BARE_NEXT
                | glue::ITEMS_NEXT => in_name = true,
                _ if sort == Sort::Glue && token != glue::SPELL => {
                    in_name = false;
                }
                _ => {}
            }
        }
        text
    }

    /// A prompt: the tools, the request, and the mark before the answer.
    pub(crate) fn prompt(&self, tools: &[Tool], request: &str) -> Vec<u32> {
        let mut tokens = Vec::new();
        for tool in tools {
            self.sheet(tool, &mut tokens);
        }
        tokens.push(glue::ASK);
        self.encode(request, &mut tokens);
        tokens.push(glue::ANSWER);
        tokens
    }

    /// Appends a tool as a prompt has it: its name, and the type of each
    /// parameter in the place where a call has the value, in the same glue: so
    /// a model that never saw a call has read every token of one.
    pub(crate) fn sheet(&self, tool: &Tool, tokens: &mut Vec<u32>) {
        tokens.push(glue::OPEN);
        self.encode(&tool.name, tokens);
        // How the parameter before ended: glue to the next name, to the end.
        let mut ends = [glue::FIRST, glue::NONE];
        for parameter in &tool.parameters {
            tokens.push(ends[0]);
            self.encode(&parameter.name, tokens);
            let [before, next, close] = around(&parameter.kind);
            ends = [next, close];
            tokens.push(before);
            match &parameter.kind {
                Kind::String => self.encode("string", tokens),
                Kind::Integer => self.encode("integer", tokens),
                Kind::Boolean => self.encode("boolean", tokens),
                Kind::Time => self.encode("time", tokens),
                Kind::List => {
                    self.encode("string", tokens);
                    tokens.push(glue::ITEM);
                    self.encode("string", tokens);
                }
                Kind::Choice(options) => {
                    for (i, option) in options.iter().enumerate() {
                        if i > 0 {
                            tokens.push(glue::BAR);
                        }
                        self.encode(option, tokens);
                    }
                }
            }
            if !parameter.required {
                tokens.push(glue::OPTIONAL);
            }
        }
        tokens.push(ends[1]);
    }

    /// A call of a tool, its arguments in the tool's order, and the end.
    pub(crate) fn call(&self, tool: &Tool, call: &ToolCall) -> Vec<u32> {
        let mut tokens = vec![glue::OPEN];
        self.encode(&call.name, &mut tokens);
        // How the argument before ended: glue to the next name, to the end.
        let mut ends = [glue::FIRST, glue::NONE];
        for parameter in &tool.parameters {
            let Some(value) = call.arguments.get(&parameter.name) else {
                continue;
            };
            tokens.push(ends[0]);
            self.encode(&parameter.name, &mut tokens);
            ends = match value {
                Value::Text(text) => {
                    tokens.push(glue::TEXT);
                    self.encode(text, &mut tokens);
                    [glue::NEXT, glue::CLOSE]
                }
                Value::Integer(number) => {
                    tokens.push(glue::BARE);
                    self.encode(&number.to_string(), &mut tokens);
                    [glue::BARE_NEXT, glue::BARE_CLOSE]
                }
                Value::Boolean(truth) => {
                    tokens.push(glue::BARE);
                    self.encode(&truth.to_string(), &mut tokens);
                    [glue::BARE_NEXT, glue::BARE_CLOSE]
                }
                Value::Items(items) => {
                    for (i, item) in items.iter().enumerate() {
                        let first = i == 0;
                        tokens.push(if first {
                            glue::ITEMS
                        } else {
                            glue::ITEM
                        });
                        self.encode(item, &mut tokens);
                    }
                    [glue::ITEMS_NEXT, glue::ITEMS_CLOSE]
                }
            };
        }
        tokens.push(ends[1]);
        tokens.push(glue::END);
        tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intents::schema::Parameter;

    fn language() -> Language {
        let own = ["wake me up at with anna".to_owned(), "set alarm".into()];
        Language::new(&own, "the cat and the hat sat, the cat ran").unwrap()
    }

    #[test]
    fn a_text_comes_back_and_unknown_words_are_spelled() {
        let language = language();
        for (text, tokens, back) in [
            ("Wake me up, at 7:30!", 9, "wake me up,at 7:30!"),
            ("the oscar cat", 1 + 4 + 1, "the oscar cat"),
            // `annas` and `call` are spelled too.
            ("x anna's mila", 2 + 4 + 3, "x annas mila"),
            ("call 5550134 at 07", 3 + 5 + 1 + 1, "call 5550134 at 07"),
        ] {
            let found = language.tokens(text);
            assert_eq!(found.len(), tokens, "{text}: {found:?}");
            assert_eq!(language.render(&found), back);
            assert_eq!(language.render(&language.tokens(back)), back);
        }
    }

    #[test]
    fn every_token_below_the_words_is_what_it_writes() {
        let language = language();
        assert_eq!(language.text(NUMBERS + 7), "7");
        assert_eq!(language.text(NUMBERS + 10 + 7), "07");
        assert_eq!(language.text(LETTERS + 25), "z");
        assert_eq!(language.text(WORDS - 1), "zz");
        assert_eq!(language.text(WORDS), "string");
        assert_eq!(language.texts.len(), VOCABULARY);
        for word in ["ab", "zebra", "12", "1234567"] {
            let spelled: String =
                pieces(word).map(|token| language.text(token)).collect();
            assert_eq!(spelled, word);
        }
        let sorts = [NUMBERS, PIECES, LETTERS, WORDS, 1663];
        let sorts = sorts.map(|token| language.sort(token));
        let right =
            [Sort::Number, Sort::Digits, Sort::Letters, Sort::Word, Sort::Glue];
        assert_eq!(sorts, right);
    }

    #[test]
    fn a_call_writes_json_that_reads_back() {
        let language = language();
        let parameter = |name: &str, kind, required| Parameter {
            name: name.to_owned(),
            kind,
            required,
        };
        let tool = Tool {
            name: "set_alarm".into(),
            parameters: vec![
                parameter("wake_time", Kind::Time, true),
                parameter("volume", Kind::Integer, false),
                parameter("with", Kind::List, false),
                parameter("soft", Kind::Boolean, false),
                parameter("label", Kind::String, false),
            ],
        };
        tool.check().unwrap();
        let all = [
            ("wake_time", Value::Text("07:30".into())),
            ("volume", Value::Integer(100)),
            ("with", Value::Items(vec!["anna".into(), "the cat".into()])),
            ("soft", Value::Boolean(false)),
            ("label", Value::Text("mila and oscar 5".into())),
        ];
        // Every argument is last once.
        for count in 1..=all.len() {
            let arguments = all[..count].iter();
            let call = ToolCall {
                name: tool.name.clone(),
                arguments: arguments
                    .map(|(name, value)| ((*name).to_owned(), value.clone()))
                    .collect(),
            };
            let tokens = language.call(&tool, &call);
            let (end, rest) = tokens.split_last().unwrap();
            assert_eq!(*end, glue::END);
            let text = language.render(rest);
            let tools = std::slice::from_ref(&tool);
            assert_eq!(ToolCall::from_text(&text, tools), Ok(call), "{text}");
        }
        let bare = Tool { name: "wake_me".into(), parameters: Vec::new() };
        let call = ToolCall {
            name: bare.name.clone(),
            arguments: std::collections::BTreeMap::new(),
        };
        let text = language.render(&language.call(&bare, &call));
        assert_eq!(text.trim(), r#"{"name":"wake_me","arguments":{}}"#);
    }

    #[test]
    fn a_prompt_shows_the_tools_their_types_and_the_request() {
        let tool = Tool {
            name: "set_alarm".into(),
            parameters: vec![
                Parameter {
                    name: "at".into(),
                    kind: Kind::Time,
                    required: true,
                },
                Parameter {
                    name: "sound".into(),
                    kind: Kind::Choice(vec!["cat".into(), "hat".into()]),
                    required: false,
                },
            ],
        };
        let language = language();
        let prompt = language.prompt(&[tool], "wake me up");
        assert_eq!(
            language.render(&prompt),
            "{\"name\":\"set_alarm\",\"arguments\":{\"at\":\"time\",\
             \"sound\":\"cat|hat?\"}}\n? wake me up\n= "
        );
    }

    #[test]
    fn more_words_than_the_table_holds_are_refused() {
        let many: String = ('a'..='z')
            .flat_map(|a| ('a'..='z').map(move |b| format!("q{a}{b}q ")))
            .chain((0..90).map(|i| format!("z{} ", "y".repeat(i + 1))))
            .collect();
        let error = Language::new(&[many], "").unwrap_err().to_string();
        assert!(error.contains("room for"), "{error}");
    }
}
