//! What the model learns from: first the language without a single call, then
//! requests with the right calls.
//!
//! Before it sees a call it reads prose (*Alice's Adventures in Wonderland*,
//! public domain; the passages of `assay-slm`), says requests and words without
//! sense again one by one, and answers questions about them in words: which tool would do, what
//! the value of one parameter is. So the base model knows words, tools and
//! how to copy, as a model that was pre-trained on much text does, but not
//! what a call is: putting it together in JSON is left to fine-tuning.
//!
//! Rows of like length go into a step together, since a step is as wide as
//! its longest row: eight steps' rows are drawn, sorted by length, and taken
//! in a drawn order. A step's rows follow from seed and step alone.

use assay_kit::Draws;

use super::generator::{Example, Generator, HeldOut};
use super::language::{Language, glue};
use super::model::{BATCH, ROW, Row};
use crate::PhoneLmError;

/// Steps whose rows are drawn and sorted together.
const SORTED: u64 = 8;

/// Requests of fine-tuning begin here among a seed's.
const CALLS: u64 = 1 << 32;

/// Streams of a seed for what is beside a request: order, questions.
const BESIDE: u64 = 1 << 48;

/// Questions about one request at most.
const QUESTIONS: usize = 3;

/// Words of a row without sense, at least; at most one less than twice these.
const NONSENSE: usize = 12;

/// Tokens of prose that the passages are cut from, in `assay-slm`'s count: two
/// thirds of the book.
const PROSE: usize = 30_000;

/// Which lessons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The language without calls.
    Words,
    /// Calls.
    Calls,
}

/// Lessons of one seed.
#[derive(Debug)]
pub(crate) struct Lessons<'a> {
    generator: &'a Generator,
    language: &'a Language,
    held: &'a HeldOut,
    prose: &'a [u32],
    subject: Subject,
    seed: u64,
    /// The rows of the steps around the last.
    drawn: Option<(u64, Vec<Vec<Row>>)>,
}

/// Real prose.
///
/// # Errors
/// The embedded text or its tokenizer does not read: a bug of `assay-slm`.
pub(crate) fn prose() -> Result<String, PhoneLmError> {
    let tokenizer = assay_slm::tokenizer()?;
    let vocabulary = tokenizer.get_vocab_size(true);
    let ids: Vec<u32> = assay_slm::passage(0, PROSE, vocabulary)?
        .into_iter()
        .filter_map(|id| u32::try_from(id).ok())
        .collect();
    tokenizer
        .decode(&ids, true)
        .map_err(|error| PhoneLmError::Data(format!("prose: {error}")))
}

/// A request with its call: the call is what is learned.
pub(crate) fn called(language: &Language, example: &Example) -> Row {
    let mut tokens = language.prompt(&example.tools, &example.request);
    let start = tokens.len();
    let tool = &example.tools[example.right];
    tokens.extend(language.call(tool, &example.call));
    let end = tokens.len();
    Row { tokens, answers: vec![std::ops::Range { start, end }] }
}

impl<'a> Lessons<'a> {
    /// Lessons in a subject; `prose` are its tokens.
    ///
    /// # Errors
    /// Prose shorter than a row.
    pub(crate) fn new(
        generator: &'a Generator,
        language: &'a Language,
        held: &'a HeldOut,
        prose: &'a [u32],
        subject: Subject,
        seed: u64,
    ) -> Result<Self, PhoneLmError> {
        if prose.len() <= ROW {
            return Err(PhoneLmError::TextTooShort {
                tokens: prose.len(),
                needed: ROW + 1,
            });
        }
        let drawn = None;
        Ok(Self { generator, language, held, prose, subject, seed, drawn })
    }

    /// The rows of a step, from 0.
    ///
    /// # Errors
    /// The held-out requests leave nothing to train on.
    pub(crate) fn rows(&mut self, step: u64) -> Result<&[Row], PhoneLmError> {
        let group = step / SORTED;
        if self.drawn.as_ref().is_none_or(|(drawn, _)| *drawn != group) {
            self.drawn = Some((group, self.draw(group)?));
        }
        let batches = self.drawn.as_ref().map(|(_, batches)| batches);
        let place = (step % SORTED) as usize;
        let rows = batches.and_then(|batches| batches.get(place));
        Ok(rows.map(Vec::as_slice).unwrap_or_default())
    }

    fn draw(&self, group: u64) -> Result<Vec<Vec<Row>>, PhoneLmError> {
        let count = SORTED * BATCH as u64;
        let mut rows = (group * count..(group + 1) * count)
            .map(|index| self.row(index))
            .collect::<Result<Vec<_>, _>>()?;
        rows.sort_by_key(|row| row.tokens.len());
        let mut batches: Vec<Vec<Row>> =
            rows.chunks(BATCH).map(<[Row]>::to_vec).collect();
        Draws::new(self.seed, BESIDE * 2 + group).shuffle(&mut batches);
        Ok(batches)
    }

    fn row(&self, index: u64) -> Result<Row, PhoneLmError> {
        let training =
            |index| self.generator.training(self.seed, index, self.held);
        if self.subject == Subject::Calls {
            return Ok(called(self.language, &training(CALLS + index)?));
        }
        let draws = &mut Draws::new(self.seed, BESIDE + index);
        Ok(match draws.below(8) {
            0 => self.passage(draws),
            1 => self.said_again(&training(index)?),
            2 | 3 => self.nonsense(draws),
            _ => self.questions(draws, &training(index)?),
        })
    }

    /// A piece of prose.
    fn passage(&self, draws: &mut Draws) -> Row {
        let first = draws.below(self.prose.len() - ROW);
        let tokens = self.prose[first..first + ROW].to_vec();
        Row { tokens, answers: Vec::new() }
    }

    /// A request, and the request again.
    fn said_again(&self, example: &Example) -> Row {
        let mut row = Row::default();
        let sheets = &example.tools[..example.tools.len().min(2)];
        row.tokens = self.language.prompt(sheets, &example.request);
        self.answer(&mut row, &example.request);
        row
    }

    /// Tokens without sense, and some of them again: where nothing can be
    /// guessed, copying is all there is to learn.
    fn nonsense(&self, draws: &mut Draws) -> Row {
        let mut tokens = vec![glue::ASK];
        let count = NONSENSE + draws.below(NONSENSE);
        for _ in 0..count {
            self.language.any_word(draws, &mut tokens);
        }
        let said = tokens[1..].to_vec();
        tokens.push(glue::ANSWER);
        let start = tokens.len();
        tokens.extend(said);
        tokens.push(glue::END);
        let end = tokens.len();
        Row { tokens, answers: vec![std::ops::Range { start, end }] }
    }

    /// A request, and questions about it with answers in words.
    fn questions(&self, draws: &mut Draws, example: &Example) -> Row {
        let mut row = Row::default();
        let tool = &example.tools[example.right];
        let tool_name = tool.name.replace('_', " ");
        let mut asked = vec![("which tool ?".to_owned(), tool_name)];
        for parameter in &tool.parameters {
            let value = example.call.arguments.get(&parameter.name);
            let value = value.map_or("none".to_owned(), |v| v.in_words());
            let name = parameter.name.replace('_', " ");
            asked.push((format!("what is {name} ?"), value));
        }
        draws.shuffle(&mut asked);
        for tool in &example.tools {
            self.language.sheet(tool, &mut row.tokens);
        }
        row.tokens.push(glue::ASK);
        self.language.encode(&example.request, &mut row.tokens);
        for (question, answer) in asked.iter().take(QUESTIONS) {
            row.tokens.push(glue::ASK);
            self.language.encode(question, &mut row.tokens);
            row.tokens.push(glue::ANSWER);
            self.answer(&mut row, answer);
        }
        row
    }

    /// Appends an answer and its end.
    fn answer(&self, row: &mut Row, text: &str) {
        let start = row.tokens.len();
        self.language.encode(text, &mut row.tokens);
        row.tokens.push(glue::END);
        row.answers.push(start..row.tokens.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intents::model::{CALL_PROMPT, CALL_TOKENS, LONGEST};

    struct School {
        generator: Generator,
        language: Language,
        held: HeldOut,
        prose: Vec<u32>,
    }

    impl School {
        fn new() -> Self {
            let generator = Generator::new(4).unwrap();
            let prose = prose().unwrap();
            let texts = generator.texts();
            let language = Language::new(&texts, &prose).unwrap();
            let held = generator.held_out(1, 40).unwrap();
            let prose = language.tokens(&prose);
            Self { generator, language, held, prose }
        }

        fn lessons(&self, subject: Subject, seed: u64) -> Lessons<'_> {
            Lessons::new(
                &self.generator,
                &self.language,
                &self.held,
                &self.prose,
                subject,
                seed,
            )
            .unwrap()
        }
    }

    #[test]
    fn no_lesson_in_words_has_a_call_and_every_lesson_in_calls_is_one() {
        let school = School::new();
        let is_call = |row: &Row| {
            row.answers
                .iter()
                .any(|answer| row.tokens[answer.clone()].contains(&glue::OPEN))
        };
        let mut words = school.lessons(Subject::Words, 1);
        let mut calls = school.lessons(Subject::Calls, 1);
        for step in 0..9 {
            let rows = words.rows(step).unwrap();
            assert_eq!(rows.len(), BATCH);
            assert!(!rows.iter().any(is_call));
            // After a request comes no tool.
            for row in rows {
                let ask = row.tokens.iter().position(|t| *t == glue::ASK);
                let behind = ask.map_or(&[][..], |ask| &row.tokens[ask..]);
                assert!(!behind.contains(&glue::OPEN));
                assert!(row.tokens.len() <= LONGEST);
            }
            let rows = calls.rows(step).unwrap();
            assert!(rows.iter().all(is_call));
            for row in rows {
                assert_eq!(row.tokens.last(), Some(&glue::END));
            }
        }
    }

    #[test]
    fn a_steps_rows_follow_from_seed_and_step() {
        let school = School::new();
        let rows = |seed, step| {
            let mut lessons = school.lessons(Subject::Words, seed);
            lessons.rows(step).unwrap().to_vec()
        };
        let mut lessons = school.lessons(Subject::Words, 1);
        let passed: Vec<Vec<Row>> =
            (0..12).map(|i| lessons.rows(i).unwrap().to_vec()).collect();
        assert_eq!(passed[11], rows(1, 11));
        assert_ne!(rows(1, 11), rows(2, 11));
        assert_ne!(passed[3], passed[11]);
    }

    #[test]
    fn typical_lengths_are_about_what_the_trace_takes() {
        let school = School::new();
        let mut words = school.lessons(Subject::Words, 1);
        let (mut longest, steps) = (0, 16);
        for step in 0..steps {
            let rows = words.rows(step).unwrap();
            let all = rows.iter().map(|row| row.tokens.len());
            longest += all.max().unwrap_or(0);
        }
        let near = |found: f64, typical: usize| {
            let ratio = found / typical as f64;
            assert!((0.6..1.6).contains(&ratio), "{found} {typical}");
        };
        near(longest as f64 / steps as f64, ROW);
        let held = &school.held.examples;
        let rows: Vec<Row> =
            held.iter().map(|one| called(&school.language, one)).collect();
        let count = rows.len() as f64;
        let prompts: usize = rows.iter().map(|r| r.answers[0].start).sum();
        near(prompts as f64 / count, CALL_PROMPT);
        let calls: usize = rows.iter().map(|r| r.answers[0].len()).sum();
        near(calls as f64 / count, CALL_TOKENS);
    }

    #[test]
    fn prose_that_is_too_short_is_refused() {
        let school = School::new();
        let short = Lessons::new(
            &school.generator,
            &school.language,
            &school.held,
            &school.prose[..ROW],
            Subject::Words,
            1,
        );
        let error = short.unwrap_err().to_string();
        assert!(error.contains("96 tokens"), "{error}");
    }
}
