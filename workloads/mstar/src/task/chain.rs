//! Questions, chains of thought and answers: how they are composed, read back
//! and checked.
//!
//! A response is what M-STaR (arXiv 2412.17451, section 2) calls a chain of
//! thought with its answer: steps `s_0 .. s_m`, then `answer`. A step either
//! reads one value off the picture (`red 5`) or computes one (`5 + 3 = 8`), so
//! whether it is true can be told without a model: [`sound`] says so, and
//! judges a process reward model that learnt from rollouts alone.

use std::fmt;

use assay_kit::Draws;

use super::words::{
    ANSWER, ASK, COLOURS, END, EQUALS, LEAST, MINUS, MOST, PLUS, SHAPES, STEP,
    TIMES, Vocabulary, digits, number,
};

/// Most steps of a chain, the answer not counted.
pub const MOST_STEPS: usize = 4;

/// Tokens of the longest question, such as `height red + blue - 2 ?`.
pub const LONGEST_QUESTION: usize = 7;

/// Tokens of the longest reference response with its end: the four steps of
/// `angle rest ?` (a test finds one).
pub const LONGEST_RESPONSE: usize = 35;

/// Largest number that a question adds to what was read.
const MOST_SHIFT: u16 = 5;

/// What a picture shows of one thing: its word, and its value.
pub(super) type Reading = (u32, u16);

/// A final answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// A number from 0 to 999.
    Number(u16),
    /// The token of a colour or of a shape.
    Word(u32),
}

impl Answer {
    /// Its tokens.
    pub fn tokens(self) -> Vec<u32> {
        match self {
            Self::Number(value) => digits(value),
            Self::Word(token) => vec![token],
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Vocabulary::decode(&self.tokens()))
    }
}

/// A response up to and with its first `<end>`; all of it when it never ends.
pub fn until_end(response: &[u32]) -> &[u32] {
    let end = response.iter().position(|&token| token == END);
    match end.and_then(|end| response.get(..=end)) {
        Some(ended) => ended,
        None => response,
    }
}

/// The final answer of a response: what stands between the first `answer` and
/// `<end>`. None when there is no such word, when it is neither a number nor
/// a colour or shape, or when the response never ends.
pub fn answer_of(response: &[u32]) -> Option<Answer> {
    let body = until_end(response).strip_suffix(&[END])?;
    let at = body.iter().position(|&token| token == ANSWER)?;
    let given = body.get(at + 1..)?;
    if let [word] = given
        && (COLOURS.contains(word) || SHAPES.contains(word))
    {
        return Some(Answer::Word(*word));
    }
    number(given).map(Answer::Number)
}

/// Places of the last tokens of a response's steps: each `;`, and the `<end>`
/// of the answer. Where a process reward model gives its scores. A response
/// that was cut has no place for what follows its last `;`.
pub fn step_ends(response: &[u32]) -> Vec<usize> {
    let ends = until_end(response).iter().enumerate();
    ends.filter(|&(_, &token)| token == STEP || token == END)
        .map(|(place, _)| place)
        .collect()
}

/// Whether each of the steps that [`step_ends`] finds is true: a reading of
/// the picture, a sum, difference or product that is right, the right answer.
/// A true step may still lead nowhere.
pub(super) fn sound(
    response: &[u32],
    readings: &[Reading],
    answer: Answer,
) -> Vec<bool> {
    let mut start = 0;
    let mut steps = Vec::new();
    for end in step_ends(response) {
        let step = response.get(start..end).unwrap_or_default();
        let is_last = response.get(end) == Some(&END);
        steps.push(if is_last {
            step.first() == Some(&ANSWER) && answer_of(response) == Some(answer)
        } else {
            reads(step, readings) || computes(step)
        });
        start = end + 1;
    }
    steps
}

/// Whether a step names a thing and its value.
fn reads(step: &[u32], readings: &[Reading]) -> bool {
    step.split_first().is_some_and(|(word, value)| {
        number(value).is_some_and(|value| readings.contains(&(*word, value)))
    })
}

/// Whether a step is a right computation.
fn computes(step: &[u32]) -> bool {
    let right = || {
        let equals = step.iter().position(|&token| token == EQUALS)?;
        let (left, result) = step.split_at(equals);
        let at = left.iter().position(|&t| Operation::of(t).is_some())?;
        let operation = Operation::of(*left.get(at)?)?;
        let first = number(left.get(..at)?)?;
        let second = number(left.get(at + 1..)?)?;
        let result = number(result.get(1..)?)?;
        Some(operation.apply(first, second) == Some(result))
    };
    right().unwrap_or(false)
}

/// What a step computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Plus,
    Minus,
    Times,
}

impl Operation {
    fn token(self) -> u32 {
        match self {
            Self::Plus => PLUS,
            Self::Minus => MINUS,
            Self::Times => TIMES,
        }
    }

    fn of(token: u32) -> Option<Self> {
        let all = [Self::Plus, Self::Minus, Self::Times];
        all.into_iter().find(|operation| operation.token() == token)
    }

    /// None below 0, and beyond what 16 bits hold.
    fn apply(self, a: u16, b: u16) -> Option<u16> {
        match self {
            Self::Plus => a.checked_add(b),
            Self::Minus => a.checked_sub(b),
            Self::Times => a.checked_mul(b),
        }
    }
}

/// A question with its reference chain and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) question: Vec<u32>,
    pub(super) chain: Vec<Vec<u32>>,
    pub(super) answer: Answer,
}

/// A question while its chain is being written.
pub(super) struct Writing {
    question: Vec<u32>,
    chain: Vec<Vec<u32>>,
}

impl Writing {
    /// Begins with the words of a question, its `?` not among them.
    pub(super) fn new(mut question: Vec<u32>) -> Self {
        question.push(ASK);
        Self { question, chain: Vec::new() }
    }

    /// A step that reads a value.
    pub(super) fn read(&mut self, (word, value): Reading) -> u16 {
        let mut step = vec![word];
        step.extend(digits(value));
        self.chain.push(step);
        value
    }

    /// A step that computes a value; none when there is no such number.
    pub(super) fn compute(
        &mut self,
        a: u16,
        operation: Operation,
        b: u16,
    ) -> Option<u16> {
        let result = operation.apply(a, b)?;
        let mut step = digits(a);
        step.push(operation.token());
        step.extend(digits(b));
        step.push(EQUALS);
        step.extend(digits(result));
        self.chain.push(step);
        Some(result)
    }

    /// Ends with a number.
    pub(super) fn number(self, value: u16) -> Asked {
        self.answered(Answer::Number(value))
    }

    fn answered(self, answer: Answer) -> Asked {
        Asked { question: self.question, chain: self.chain, answer }
    }
}

/// A question of so many steps about named values:
///
/// 1. `kind a ?` or `kind most ?`,
/// 2. `kind a + n ?`,
/// 3. `kind a + b ?`,
/// 4. `kind a + b - n ?`,
///
/// where each sign is a plus or a minus that gives no negative number. None
/// when there are too few values.
pub(super) fn ask(
    kind: u32,
    readings: &[Reading],
    steps: usize,
    draws: &mut Draws,
) -> Option<Asked> {
    match steps {
        1 if draws.below(4) == 0 => extreme(kind, readings, draws)
            .or_else(|| single(kind, readings, draws)),
        1 => single(kind, readings, draws),
        2 => shifted(kind, readings, draws),
        3 | 4 => pair(kind, readings, steps == 4, draws),
        _ => None,
    }
}

fn single(kind: u32, readings: &[Reading], draws: &mut Draws) -> Option<Asked> {
    let reading = draws.one_of(readings)?;
    let mut writing = Writing::new(vec![kind, reading.0]);
    let value = writing.read(reading);
    Some(writing.number(value))
}

/// Which has the most or the least; of three at least, one of which is alone
/// in that.
fn extreme(
    kind: u32,
    readings: &[Reading],
    draws: &mut Draws,
) -> Option<Asked> {
    if readings.len() < 3 {
        return None;
    }
    let values = readings.iter().map(|reading| reading.1);
    let (word, value) = if draws.below(2) == 0 {
        (MOST, values.max()?)
    } else {
        (LEAST, values.min()?)
    };
    let mut found = readings.iter().filter(|reading| reading.1 == value);
    let reading = *found.next()?;
    if found.next().is_some() {
        return None;
    }
    let mut writing = Writing::new(vec![kind, word]);
    writing.read(reading);
    Some(writing.answered(Answer::Word(reading.0)))
}

fn shifted(
    kind: u32,
    readings: &[Reading],
    draws: &mut Draws,
) -> Option<Asked> {
    let reading = draws.one_of(readings)?;
    let (operation, by) = shift(reading.1, draws);
    let mut question = vec![kind, reading.0, operation.token()];
    question.extend(digits(by));
    let mut writing = Writing::new(question);
    let value = writing.read(reading);
    let result = writing.compute(value, operation, by)?;
    Some(writing.number(result))
}

fn pair(
    kind: u32,
    readings: &[Reading],
    with_shift: bool,
    draws: &mut Draws,
) -> Option<Asked> {
    let two = draws.some_of(readings, 2);
    let &[mut a, mut b] = two.as_slice() else {
        return None;
    };
    let operation = if draws.below(2) == 0 {
        Operation::Plus
    } else {
        if a.1 < b.1 {
            (a, b) = (b, a);
        }
        Operation::Minus
    };
    let between = operation.apply(a.1, b.1)?;
    let further = with_shift.then(|| shift(between, draws));
    let mut question = vec![kind, a.0, operation.token(), b.0];
    if let Some((operation, by)) = further {
        question.push(operation.token());
        question.extend(digits(by));
    }
    let mut writing = Writing::new(question);
    let (first, second) = (writing.read(a), writing.read(b));
    let mut result = writing.compute(first, operation, second)?;
    if let Some((operation, by)) = further {
        result = writing.compute(result, operation, by)?;
    }
    Some(writing.number(result))
}

/// A small number to add to a value, or to take from it.
fn shift(value: u16, draws: &mut Draws) -> (Operation, u16) {
    let (operation, bound) = if value > 0 && draws.below(2) == 0 {
        (Operation::Minus, value.min(MOST_SHIFT))
    } else {
        (Operation::Plus, MOST_SHIFT)
    };
    (operation, 1 + draws.below(usize::from(bound)) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::words::HEIGHT;

    fn tokens(text: &str) -> Vec<u32> {
        Vocabulary::encode(text).unwrap()
    }

    fn answered(text: &str) -> Option<String> {
        answer_of(&tokens(text)).map(|answer| answer.to_string())
    }

    #[test]
    fn an_answer_is_read_only_from_a_response_that_ends_in_one() {
        let read = |text| answered(text).unwrap_or_default();
        assert_eq!(read("red 5 ; answer 5 <end>"), "5");
        assert_eq!(read("answer 120 <end> <pad> <pad>"), "120");
        assert_eq!(read("answer 3 <end> answer 4 <end>"), "3");
        assert_eq!(read("red 5 ; answer red <end>"), "red");
        for text in [
            "",
            "<end>",
            "red 5 ; answer 5",
            "red 5 ; answer <end>",
            "red 5 ; 5 <end>",
            "answer 05 <end>",
            "answer 5 5 5 5 <end>",
            "answer red blue <end>",
            "answer height <end>",
            "answer 5 ; <end>",
        ] {
            assert_eq!(answered(text), None, "{text}");
        }
        assert_eq!(answer_of(&[ANSWER, 1000, END]), None);
    }

    #[test]
    fn steps_end_where_they_are_separated() {
        let response = tokens("red 5 ; 5 + 3 = 8 ; answer 8 <end> ; ;");
        assert_eq!(step_ends(&response), [2, 8, 11]);
        assert_eq!(step_ends(&tokens("red 5 ; blue 3")), [2]);
        assert!(step_ends(&[]).is_empty());
    }

    #[test]
    fn a_step_is_sound_when_what_it_says_is_true() {
        let readings = [(COLOURS[0], 5), (COLOURS[2], 3)];
        let judge =
            |text: &str| sound(&tokens(text), &readings, Answer::Number(8));
        assert_eq!(
            judge("red 5 ; blue 3 ; 5 + 3 = 8 ; answer 8 <end>"),
            [true; 4]
        );
        assert_eq!(
            judge("red 4 ; blue 3 ; 4 + 3 = 8 ; answer 8 <end>"),
            [false, true, false, true]
        );
        assert_eq!(
            judge("green 5 ; 5 * 3 = 15 ; 3 - 5 = 2 ; answer 15 <end>"),
            [false, true, false, false]
        );
        assert_eq!(
            judge("5 + = 5 ; + 5 = 5 ; 5 = 5 ; ; red ; red 5 8 <end>"),
            [false; 6]
        );
    }

    #[test]
    fn every_question_leads_to_its_answer_in_its_steps() {
        let readings = [(19, 7), (21, 3), (22, 1)];
        let mut draws = Draws::new(1, 0);
        for round in 0..400 {
            let steps = 1 + round % MOST_STEPS;
            let asked = ask(HEIGHT, &readings, steps, &mut draws).unwrap();
            assert_eq!(asked.chain.len(), steps);
            assert_eq!(asked.question.last(), Some(&ASK));
            assert!(asked.question.len() <= LONGEST_QUESTION);
            let last = asked.chain.last().unwrap();
            match asked.answer {
                Answer::Word(word) => assert_eq!(last.first(), Some(&word)),
                Answer::Number(value) => {
                    assert!(last.ends_with(&digits(value)));
                }
            }
            for step in &asked.chain {
                assert!(reads(step, &readings) || computes(step));
            }
        }
    }

    #[test]
    fn what_cannot_be_asked_is_not() {
        let mut draws = Draws::new(1, 0);
        assert_eq!(ask(HEIGHT, &[], 1, &mut draws), None);
        assert_eq!(ask(HEIGHT, &[(19, 2)], 3, &mut draws), None);
        assert_eq!(ask(HEIGHT, &[(19, 2), (20, 3)], 5, &mut draws), None);
        let tied = [(19, 2), (20, 2), (21, 2)];
        assert_eq!(extreme(HEIGHT, &tied, &mut draws), None);
        assert_eq!(extreme(HEIGHT, &tied[..2], &mut draws), None);
    }

    #[test]
    fn a_difference_is_never_negative() {
        let mut draws = Draws::new(2, 0);
        for _ in 0..200 {
            let asked =
                ask(HEIGHT, &[(19, 1), (20, 1)], 4, &mut draws).unwrap();
            assert!(asked.chain.iter().skip(2).all(|step| computes(step)));
        }
    }
}
