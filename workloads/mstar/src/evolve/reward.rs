//! Rewards, and what follows from them (M-STaR, section 2 and 3.3):
//! `H(1(a = a*) x R_p(y))`, where `R_p` is the least score of a response's
//! steps and `H` keeps the best `k` of a prompt. Also what exploration and
//! exploitation are measured by, and votes.

use std::collections::{BTreeMap, BTreeSet};

use assay_kit::Draws;

use super::plan::{Selection, THRESHOLD};
use crate::task::{Answer, END, answer_of};

/// A response with its rewards.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scored {
    /// Its words.
    pub(crate) tokens: Vec<u32>,
    /// Whether its answer is the right one, or the one voted for.
    pub(crate) right: bool,
    /// The process reward; 0 where nobody asked for it.
    pub(crate) score: f64,
}

impl Scored {
    /// Whether it came to an end.
    pub(crate) fn ended(&self) -> bool {
        self.tokens.last() == Some(&END)
    }
}

/// The reward of a response whose steps have these scores: the least; 0 of a
/// response without a step.
pub(crate) fn worst(scores: &[f64]) -> f64 {
    scores.iter().copied().reduce(f64::min).unwrap_or(0.0)
}

/// Whether any of a prompt's responses is right: Pass@K.
pub(crate) fn pass(responses: &[Scored]) -> bool {
    responses.iter().any(|response| response.right)
}

/// Whether a right one is among the `count` of the largest process reward:
/// Reward-Pass@`count`.
pub(crate) fn reward_pass(responses: &[Scored], count: usize) -> bool {
    let all: Vec<usize> = (0..responses.len()).collect();
    best(responses, all, count).iter().any(|&i| responses[i].right)
}

/// The `count` of the largest process reward among some; of equal ones the
/// first.
fn best(
    responses: &[Scored],
    mut among: Vec<usize>,
    count: usize,
) -> Vec<usize> {
    among.sort_by(|&a, &b| responses[b].score.total_cmp(&responses[a].score));
    among.truncate(count);
    among
}

/// Places of the responses that train: right ones, each once, of which the
/// selection keeps some.
pub(crate) fn selected(
    responses: &[Scored],
    selection: Selection,
    draws: &mut Draws,
) -> Vec<usize> {
    let mut seen: BTreeSet<&[u32]> = BTreeSet::new();
    let right: Vec<usize> = (0..responses.len())
        .filter(|&i| responses[i].right && seen.insert(&responses[i].tokens))
        .collect();
    match selection {
        Selection::None => right,
        Selection::Random(count) => draws.some_of(&right, count),
        Selection::Threshold => right
            .into_iter()
            .filter(|&i| responses[i].score >= THRESHOLD)
            .collect(),
        Selection::Top(count) => best(responses, right, count),
    }
}

/// How an answer is chosen among a prompt's responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vote {
    /// One response, one vote.
    Majority,
    /// A response's vote counts as much as its process reward.
    Weighted,
    /// The response of the largest process reward decides.
    Best,
}

impl Vote {
    /// Names of the accuracies that they give.
    pub(crate) const NAMES: [(&'static str, Self); 3] = [
        ("majority_accuracy", Self::Majority),
        ("weighted_accuracy", Self::Weighted),
        ("best_of_accuracy", Self::Best),
    ];
}

/// The answer that responses choose; none when none has an answer. Of answers
/// with equal votes the first in order.
pub(crate) fn voted(responses: &[Scored], vote: Vote) -> Option<Answer> {
    let mut votes: BTreeMap<Answer, f64> = BTreeMap::new();
    for response in responses {
        let Some(answer) = answer_of(&response.tokens) else { continue };
        let own = votes.entry(answer).or_default();
        *own = match vote {
            Vote::Majority => *own + 1.0,
            Vote::Weighted => *own + response.score,
            Vote::Best => f64::max(*own, response.score),
        };
    }
    let most = votes.values().copied().reduce(f64::max)?;
    votes.into_iter().find(|(_, own)| *own >= most).map(|(answer, _)| answer)
}

/// The area under the curve of true against false positives, of scores that
/// tell good from bad: the share of pairs in the right order, ties as half
/// (Mann and Whitney, 1947). None without both kinds.
pub(crate) fn area_under_curve(scored: &[(f64, bool)]) -> Option<f64> {
    let mut sorted = scored.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut pairs) = (0.0, 0.0);
    for same in sorted.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let good = same.iter().filter(|(_, good)| *good).count() as f64;
        let bad = same.len() as f64 - good;
        pairs += good * (below + bad / 2.0);
        below += bad;
    }
    let good = sorted.iter().filter(|(_, good)| *good).count() as f64;
    (good > 0.0 && below > 0.0).then(|| pairs / (good * below))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Vocabulary;

    fn response(text: &str, right: bool, score: f64) -> Scored {
        let tokens = Vocabulary::encode(text).unwrap();
        Scored { tokens, right, score }
    }

    fn four() -> Vec<Scored> {
        vec![
            response("red 5 ; answer 5 <end>", true, 0.2),
            response("red 4 ; answer 4 <end>", false, 0.9),
            response("blue 5 ; answer 5 <end>", true, 0.6),
            response("red 5 ; answer 5 <end>", true, 0.2),
        ]
    }

    #[test]
    fn a_response_is_worth_its_worst_step() {
        assert_eq!(worst(&[0.9, 0.3, 0.5]), 0.3);
        assert_eq!(worst(&[]), 0.0);
    }

    #[test]
    fn right_responses_are_kept_once_and_by_their_reward() {
        let four = four();
        let kept =
            |selection| selected(&four, selection, &mut Draws::new(1, 0));
        assert_eq!(kept(Selection::None), [0, 2]);
        assert_eq!(kept(Selection::Top(1)), [2]);
        assert_eq!(kept(Selection::Top(2)), [2, 0]);
        assert_eq!(kept(Selection::Threshold), [2]);
        let mut random = kept(Selection::Random(5));
        random.sort_unstable();
        assert_eq!(random, [0, 2]);
        assert_eq!(kept(Selection::Random(1)).len(), 1);
        let wrong = [four[1].clone()];
        let none = selected(&wrong, Selection::None, &mut Draws::new(1, 0));
        assert!(none.is_empty());
    }

    #[test]
    fn passes_look_at_all_or_at_the_best() {
        let four = four();
        assert!(pass(&four) && !pass(&four[1..2]));
        assert!(!reward_pass(&four, 1));
        assert!(reward_pass(&four, 2));
        assert!(!reward_pass(&[], 2));
    }

    #[test]
    fn votes_are_counted_weighed_or_left_to_the_best() {
        let four = four();
        let chosen = |vote, some: &[Scored]| {
            voted(some, vote).map(|answer| answer.to_string())
        };
        let is = |answer: &str| Some(answer.to_owned());
        assert_eq!(chosen(Vote::Majority, &four), is("5"));
        assert_eq!(chosen(Vote::Weighted, &four), is("5"));
        assert_eq!(chosen(Vote::Weighted, &four[..2]), is("4"));
        assert_eq!(chosen(Vote::Best, &four), is("4"));
        assert_eq!(chosen(Vote::Majority, &four[..2]), is("4"));
        let cut = response("red 5 ; answer", false, 0.9);
        assert!(!cut.ended() && four[0].ended());
        assert_eq!(chosen(Vote::Majority, &[cut]), None);
        let blind = [response("answer 7 <end>", false, 0.0)];
        assert_eq!(chosen(Vote::Weighted, &blind), is("7"));
    }

    #[test]
    fn an_area_is_the_share_of_pairs_in_order() {
        let scored = |values: &[(f64, bool)]| area_under_curve(values);
        assert_eq!(scored(&[(0.1, false), (0.9, true)]), Some(1.0));
        assert_eq!(scored(&[(0.9, false), (0.1, true)]), Some(0.0));
        assert_eq!(scored(&[(0.5, false), (0.5, true)]), Some(0.5));
        let four = [(0.1, false), (0.4, true), (0.35, false), (0.3, true)];
        assert_eq!(scored(&four), Some(0.75));
        assert_eq!(scored(&[(0.1, true)]), None);
    }
}
