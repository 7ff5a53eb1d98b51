//! What a policy finds when it samples, and the temperature that it should
//! sample at (M-STaR, section 4): Pass@K falls while training goes on, which
//! leaves nothing new to be learnt; Reward-Pass@2 is what the reward can make
//! use of, and the temperature that maximises it balances the two.

use super::process_reward::ProcessReward;
use super::reward::{Scored, pass, reward_pass, worst};
use super::rollout::{Policy, Sampling, Tally, fresh, roll};
use crate::error::MstarError;
use crate::task::Problem;

/// Best responses that Reward-Pass looks at.
const LOOKED_AT: usize = 2;

/// Iterations between two choices of a temperature (facts/mstar.md,
/// section 1).
pub(crate) const CHOSEN_EVERY: usize = 2;

/// Temperatures that are tried: 0.3 to 1.6 by 0.1 (facts/mstar.md,
/// section 1).
pub(crate) fn temperatures() -> impl Iterator<Item = f64> {
    (3..=16_u8).map(|tenths| f64::from(tenths) / 10.0)
}

/// `count` responses to each problem, in order, with their exact-match
/// reward and without a process reward.
///
/// # Errors
/// As [`roll`].
pub(crate) fn sampled(
    policy: &Policy<'_>,
    problems: &[Problem],
    count: usize,
    sampling: &Sampling,
    tally: &mut Tally,
) -> Result<Vec<Vec<Scored>>, MstarError> {
    let starts = fresh(problems, count);
    let rolled = roll(policy, &starts, sampling, tally)?;
    let mut rolled = rolled.into_iter();
    Ok(problems
        .iter()
        .map(|problem| {
            let own = rolled.by_ref().take(count);
            own.map(|tokens| {
                let right = problem.is_right(&tokens);
                Scored { tokens, right, score: 0.0 }
            })
            .collect()
        })
        .collect())
}

/// Gives responses their process reward; how many were asked for. `wanted`
/// says of which.
///
/// # Errors
/// As [`ProcessReward::scores`].
pub(crate) fn score(
    reward: &ProcessReward,
    policy: &Policy<'_>,
    problems: &[Problem],
    groups: &mut [Vec<Scored>],
    rows: usize,
    wanted: impl Fn(&Scored) -> bool,
) -> Result<usize, MstarError> {
    let items: Vec<(&Problem, &[u32])> = problems
        .iter()
        .zip(groups.iter())
        .flat_map(|(problem, group)| {
            group
                .iter()
                .filter(|one| wanted(one))
                .map(move |one| (problem, one.tokens.as_slice()))
        })
        .collect();
    let asked = items.len();
    let scores = reward.scores(policy.shape, &policy.layout, &items, rows)?;
    let all = groups.iter_mut().flatten().filter(|one| wanted(one));
    for (one, scores) in all.zip(scores) {
        one.score = worst(&scores);
    }
    Ok(asked)
}

/// Shares of problems.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Explored {
    /// With a right one among all samples.
    pub(crate) pass: f64,
    /// With a right one among the two of the largest process reward.
    pub(crate) reward_pass: f64,
}

impl Explored {
    /// Of some problems' responses.
    pub(crate) fn of(groups: &[Vec<Scored>]) -> Self {
        let share = |is: &dyn Fn(&[Scored]) -> bool| {
            let found = groups.iter().filter(|group| is(group)).count();
            found as f64 / groups.len().max(1) as f64
        };
        Self {
            pass: share(&pass),
            reward_pass: share(&|group| reward_pass(group, LOOKED_AT)),
        }
    }
}

/// Samples and scores `count` responses to each problem.
///
/// # Errors
/// As [`sampled`] and [`score`].
pub(crate) fn explore(
    policy: &Policy<'_>,
    reward: &ProcessReward,
    problems: &[Problem],
    count: usize,
    sampling: &Sampling,
) -> Result<Vec<Vec<Scored>>, MstarError> {
    let mut tally = Tally::default();
    let mut groups = sampled(policy, problems, count, sampling, &mut tally)?;
    score(reward, policy, problems, &mut groups, sampling.rows, |_| true)?;
    Ok(groups)
}

/// The temperature of the largest value; of equal ones the nearest to `now`,
/// then the lowest. Also what each temperature gave.
///
/// # Errors
/// What `value` says.
pub(crate) fn tuned(
    now: f64,
    mut value: impl FnMut(f64) -> Result<f64, MstarError>,
) -> Result<(f64, Vec<(f64, f64)>), MstarError> {
    let tried = temperatures()
        .map(|temperature| Ok((temperature, value(temperature)?)))
        .collect::<Result<Vec<(f64, f64)>, MstarError>>()?;
    let best = tried.iter().copied().reduce(|best, other| {
        let nearer = (other.0 - now).abs() < (best.0 - now).abs();
        let order = other.1.total_cmp(&best.1);
        if order.is_gt() || (order.is_eq() && nearer) { other } else { best }
    });
    Ok((best.map_or(now, |(temperature, _)| temperature), tried))
}

#[cfg(test)]
mod tests {
    use assay_kit::Parameters;
    use burn::tensor::Device;

    use super::super::rollout::tests::{LAYOUT, some, untrained};
    use super::*;

    #[test]
    fn the_best_temperature_is_taken_and_of_equal_ones_the_nearest() {
        assert_eq!(temperatures().count(), 14);
        let (best, tried) = tuned(1.0, |t| Ok(-(t - 0.62).abs())).unwrap();
        assert_eq!(best, 0.6);
        assert_eq!(tried.len(), 14);
        assert_eq!(tried[13].0, 1.6);
        assert_eq!(tuned(1.1, |_| Ok(0.5)).unwrap().0, 1.1);
        assert_eq!(tuned(0.1, |_| Ok(0.5)).unwrap().0, 0.3);
        let wrong = || MstarError::Data("no".to_owned());
        assert!(tuned(1.0, |_| Err(wrong())).is_err());
    }

    #[test]
    fn samples_are_counted_and_scored_where_they_are_wanted() {
        let (shape, network) = untrained(12);
        let mut parameters = Parameters::random(&Device::flex(), 1);
        let reward =
            ProcessReward::new(network.clone(), &mut parameters, &shape);
        let policy =
            Policy { shape: &shape, network: &network, layout: LAYOUT };
        let problems = some(3);
        let sampling = Sampling {
            temperature: Some(1.0),
            rows: 16,
            seed: 4,
            endless: false,
        };
        let mut tally = Tally::default();
        let mut groups =
            sampled(&policy, &problems, 4, &sampling, &mut tally).unwrap();
        assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), [4; 3]);
        // Every second one is wanted, whatever it says.
        let words: Vec<Vec<u32>> = groups
            .iter()
            .flatten()
            .step_by(2)
            .map(|one| one.tokens.clone())
            .collect();
        let rows = sampling.rows;
        let asked =
            score(&reward, &policy, &problems, &mut groups, rows, |one| {
                words.contains(&one.tokens)
            });
        assert!(asked.unwrap() >= words.len());
        let all = explore(&policy, &reward, &problems, 4, &sampling).unwrap();
        for (one, whole) in groups.iter().flatten().zip(all.iter().flatten()) {
            assert_eq!(one.tokens, whole.tokens);
            let asked = words.contains(&one.tokens);
            let right = if asked { whole.score } else { 0.0 };
            assert!((one.score - right).abs() < 1e-5);
        }
    }

    #[test]
    fn shares_are_of_problems() {
        let one = |right, score| Scored { tokens: vec![], right, score };
        let groups = [
            vec![one(true, 0.1), one(false, 0.5), one(false, 0.9)],
            vec![one(true, 0.7), one(false, 0.5), one(false, 0.9)],
            vec![one(false, 0.7)],
            vec![one(true, 0.0)],
        ];
        let found = Explored::of(&groups);
        assert_eq!((found.pass, found.reward_pass), (0.75, 0.5));
        assert_eq!(Explored::of(&[]), Explored::default());
    }
}
