//! What can be answered without looking: the most frequent answers.
//!
//! A result is above chance only where it is above these and above the same
//! model trained with the picture blanked ([`Problem::blanked`]).

use std::collections::BTreeMap;

use super::Problem;
use super::chain::Answer;

/// Times that each answer was seen.
type Counts = BTreeMap<Answer, usize>;

/// The most frequent answers of some problems.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MostFrequent {
    answer: Answer,
    by_question: BTreeMap<Vec<u32>, Answer>,
}

impl MostFrequent {
    /// Those of these problems; none of no problems. Of equally frequent ones
    /// the first in order.
    pub fn of(problems: &[Problem]) -> Option<Self> {
        let mut all = Counts::new();
        let mut by_question: BTreeMap<&[u32], Counts> = BTreeMap::new();
        for problem in problems {
            *all.entry(problem.answer).or_default() += 1;
            let counts = by_question.entry(&problem.question).or_default();
            *counts.entry(problem.answer).or_default() += 1;
        }
        let by_question =
            by_question.into_iter().filter_map(|(question, counts)| {
                Some((question.to_vec(), first(&counts)?))
            });
        Some(Self { answer: first(&all)?, by_question: by_question.collect() })
    }

    /// The most frequent answer of all.
    pub fn answer(&self) -> Answer {
        self.answer
    }

    /// The most frequent answer to a question in the same words; that of all,
    /// when it was never asked.
    pub fn answer_to(&self, question: &[u32]) -> Answer {
        self.by_question.get(question).copied().unwrap_or(self.answer)
    }
}

/// The most frequent, the first in order of those.
fn first(counts: &Counts) -> Option<Answer> {
    let most = counts.values().max()?;
    counts.iter().find(|(_, count)| *count == most).map(|found| *found.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Family, Split, problems};

    #[test]
    fn the_rule_is_the_most_frequent_answer() {
        let problems =
            problems(&[Family::Bars], Split::Train, 16, 1, 0, 600).unwrap();
        let rule = MostFrequent::of(&problems).unwrap();
        let count = |answer: Answer| {
            problems.iter().filter(|other| other.answer == answer).count()
        };
        let right = count(rule.answer());
        assert!(problems.iter().all(|other| count(other.answer) <= right));
        // What questions are about says something too.
        let asked = problems
            .iter()
            .filter(|one| rule.answer_to(&one.question) == one.answer);
        assert!(asked.count() > right);
        assert_eq!(rule.answer_to(&[]), rule.answer());
        assert_eq!(MostFrequent::of(&[]), None);
    }

    #[test]
    fn equally_frequent_answers_fall_to_the_first() {
        let mut problems =
            problems(&[Family::Bars], Split::Train, 16, 1, 0, 2).unwrap();
        problems[0].answer = Answer::Number(9);
        problems[1].answer = Answer::Number(2);
        let rule = MostFrequent::of(&problems).unwrap();
        assert_eq!(rule.answer(), Answer::Number(2));
    }
}
