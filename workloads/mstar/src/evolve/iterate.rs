//! One iteration of an arm: the temperature where it is due, rollouts,
//! rewards, selection, updates, judging (M-STaR, algorithm of section 2 with
//! the factors of sections 3 and 4).
//!
//! Random numbers are named by the seed, their purpose and the iteration, and
//! not by the arm: arms that do the same thing draw the same.

use std::time::Instant;

use assay_kit::{Draws, OptimizerState};
use assay_schema::Better;

use super::explore::{CHOSEN_EVERY, Explored, explore, sampled, score, tuned};
use super::judge::{Judge, tell_rollouts};
use super::plan::{Arm, Balance, Method, OWN, Plan, WHOLE_RECIPE};
use super::process_reward::ProcessReward;
use super::reward::{Scored, Vote, selected, voted};
use super::rollout::{Policy, Sampling, Tally};
use super::seed_of;
use super::told::{At, Told};
use super::update::{Course, Example, Learner, Learnt, Schedule, learn};
use super::warm_up::{Warm, taught_answers};
use super::work::Work;
use crate::error::MstarError;
use crate::model::VisionLanguage;
use crate::task::{Problem, answer_of};

/// The learning rate of self-evolving updates, constant as the paper's is
/// (1e-6 there, of models a thousand times larger). Greedy accuracy on
/// validation problems fell from 0.66 to 0.62 in every arm at 1e-4 (seed 1,
/// 2,500 updates of warm-up, then 800).
const SCHEDULE: Schedule = Schedule { peak: 3e-5, rise: 10, fall: None };

/// What all arms share.
#[derive(Clone, Copy)]
pub(crate) struct Grounds<'a> {
    /// What is to be done.
    pub(crate) plan: &'a Plan,
    /// The warmed-up model.
    pub(crate) warm: &'a VisionLanguage,
    /// The process reward model.
    pub(crate) reward: &'a ProcessReward,
    /// Who judges.
    pub(crate) judge: &'a Judge,
    /// What it costs.
    pub(crate) work: &'a Work,
    /// What the warmed-up model finds.
    pub(crate) start: Standing,
}

/// What a model finds on the validation problems.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Standing {
    /// The share that its likeliest words answer.
    pub(crate) greedy: f64,
    /// What it finds when it samples.
    pub(crate) explored: Explored,
}

/// What an arm hands from one iteration to the next.
#[derive(Clone)]
pub(crate) struct Held {
    /// The weights, on the device without gradients.
    pub(crate) network: VisionLanguage,
    /// The optimizer, where the next iteration inherits it.
    pub(crate) moments: Option<OptimizerState>,
    /// The temperature that was sampled at.
    pub(crate) temperature: f64,
    /// Tokens trained on so far.
    pub(crate) tokens: u64,
    /// Seconds so far, without judging.
    pub(crate) seconds: f64,
}

impl<'a> Grounds<'a> {
    /// A model of this plan's shape that answers.
    fn policy(&self, network: &'a VisionLanguage) -> Policy<'a> {
        let plan = self.plan;
        Policy { shape: plan.shape(), network, layout: plan.layout() }
    }

    /// What an arm starts from.
    pub(crate) fn first(&self) -> Held {
        Held {
            network: self.warm.clone(),
            moments: None,
            temperature: self.plan.temperature,
            tokens: 0,
            seconds: 0.0,
        }
    }

    fn sampling(&self, temperature: f64, purpose: &str, at: usize) -> Sampling {
        Sampling {
            temperature: Some(temperature),
            rows: self.plan.request.rows,
            seed: seed_of(self.plan.seed, purpose, at as u64),
            endless: false,
        }
    }
}

/// What a model finds, at a temperature.
///
/// # Errors
/// As [`explore`].
pub(crate) fn standing(
    policy: &Policy<'_>,
    reward: &ProcessReward,
    judge: &Judge,
    plan: &Plan,
    temperature: f64,
) -> Result<Standing, MstarError> {
    let sampling = Sampling {
        temperature: Some(temperature),
        rows: plan.request.rows,
        seed: seed_of(plan.seed, "validation", 0),
        endless: false,
    };
    let count = plan.request.rollouts;
    let groups = explore(policy, reward, judge.explored(), count, &sampling)?;
    Ok(Standing {
        greedy: judge.greedy_accuracy(policy)?,
        explored: Explored::of(&groups),
    })
}

fn tell_standing(standing: &Standing, at: &[At<'_>], told: &mut Told) {
    told.share("greedy_accuracy", standing.greedy, at);
    told.share("pass_at_k", standing.explored.pass, at);
    told.share("reward_pass_at_2", standing.explored.reward_pass, at);
}

/// Seconds of an iteration's parts.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    balance: f64,
    reward: f64,
    update: f64,
}

/// What an iteration learns, and what it cost to find.
struct Rolled {
    problems: Vec<Problem>,
    /// Each with its problem's place.
    replies: Vec<(usize, Vec<u32>)>,
    tally: Tally,
    /// Responses that the process reward model was asked for.
    scores: usize,
}

/// Iteration `index`, from 0, of an arm.
///
/// # Errors
/// Problems that cannot be drawn; logits, losses or scores that are no
/// numbers.
pub(crate) fn iterate(
    grounds: &Grounds<'_>,
    arm: &Arm,
    index: usize,
    mut held: Held,
) -> Result<(Held, Told), MstarError> {
    let plan = grounds.plan;
    let number = (index + 1).to_string();
    let at = [("arm", arm.name), ("iteration", number.as_str())];
    let mut told = Told::default();
    if index == 0 {
        let before = [("arm", arm.name), ("iteration", "0")];
        let start = match arm.method {
            Method::AnswersOnly => {
                by_answers(grounds, &before, &mut held, &mut told)?
            }
            Method::Continuous | Method::Rft | Method::RestEm => grounds.start,
        };
        tell_standing(&start, &before, &mut told);
    }
    let mut times = Times::default();
    let began = Instant::now();
    if arm.balance != Balance::None && index.is_multiple_of(CHOSEN_EVERY) {
        held.temperature = balanced(grounds, arm, index, &held, &mut told)?;
        times.balance = began.elapsed().as_secs_f64();
    }
    told.plain("temperature", held.temperature, &at);

    let rolled = match arm.method {
        Method::AnswersOnly => answers_alone(plan, arm, index)?,
        Method::Continuous | Method::Rft | Method::RestEm => {
            roll_out(grounds, arm, index, &held, &mut times, &mut told)?
        }
    };
    let examples: Vec<Example<'_>> = rolled
        .replies
        .iter()
        .map(|(place, words)| (&rolled.problems[*place], words.as_slice()))
        .collect();
    told.plain("kept_replies", examples.len() as f64, &at);
    if examples.is_empty() {
        told.quality("no_right_answer", "1", Better::Lower, 1.0, &at);
    }

    let began = Instant::now();
    let (after, learnt) = updated(grounds, arm, index, &held, &examples)?;
    times.update = began.elapsed().as_secs_f64();
    held = after;
    // Fewer than the others have, where there is little to learn.
    told.plain("updates_made", learnt.steps as f64, &at);
    if learnt.steps > 0 {
        told.quality("loss", "nat", Better::Lower, learnt.loss, &at);
    }
    let batch = plan.request.batch.min(examples.len());
    tell_costs(grounds, &rolled, &learnt, batch, &at, &mut told);
    held.tokens += learnt.tokens;
    let tally = rolled.tally;
    let rollout = tally.prefill + tally.decode;
    held.seconds += times.balance + rollout + times.reward + times.update;
    told.time("balance_time", times.balance, &at);
    told.time("prefill_time", tally.prefill, &at);
    told.time("decode_time", tally.decode, &at);
    told.time("reward_time", times.reward, &at);
    told.time("update_time", times.update, &at);

    let began = Instant::now();
    judged(grounds, arm, index, &held, &mut told)?;
    let judging = began.elapsed().as_secs_f64();
    told.time("judge_time", judging, &at);
    told.part("rollout", rollout);
    told.part("reward", times.balance + times.reward);
    told.part("update", times.update);
    told.part("judge", judging);
    Ok((held, told))
}

/// What the arm of answers alone starts from, and what that finds: no chain
/// was ever shown to it. As for all arms, what comes before the first
/// iteration is none of its own tokens and seconds.
fn by_answers(
    grounds: &Grounds<'_>,
    at: &[At<'_>; 2],
    held: &mut Held,
    told: &mut Told,
) -> Result<Standing, MstarError> {
    let Grounds { plan, reward, judge, .. } = *grounds;
    let Warm { network, loss, seconds, .. } = taught_answers(plan)?;
    told.quality("loss", "nat", Better::Lower, loss, at);
    told.time("own_warm_up_time", seconds, &at[..1]);
    told.part("warm-up", seconds);
    held.network = network;
    let policy = grounds.policy(&held.network);
    standing(&policy, reward, judge, plan, held.temperature)
}

/// The temperature that makes most of the validation problems (section 4).
fn balanced(
    grounds: &Grounds<'_>,
    arm: &Arm,
    index: usize,
    held: &Held,
    told: &mut Told,
) -> Result<f64, MstarError> {
    let policy = grounds.policy(&held.network);
    let problems = grounds.judge.tuned_on();
    let count = grounds.plan.request.rollouts;
    let (best, tried) = tuned(held.temperature, |temperature| {
        let sampling = grounds.sampling(temperature, "balance", index);
        if arm.balance == Balance::RewardPass {
            let groups =
                explore(&policy, grounds.reward, problems, count, &sampling)?;
            return Ok(Explored::of(&groups).reward_pass);
        }
        // Pass@K asks for no score.
        let mut tally = Tally::default();
        let groups = sampled(&policy, problems, count, &sampling, &mut tally)?;
        Ok(Explored::of(&groups).pass)
    })?;
    let number = (index + 1).to_string();
    for (temperature, value) in tried {
        let temperature = temperature.to_string();
        let at = [
            ("arm", arm.name),
            ("iteration", number.as_str()),
            ("temperature", temperature.as_str()),
        ];
        told.share("balance_score", value, &at);
    }
    Ok(best)
}

/// Rollouts with their rewards. Where prompts come without an answer, the
/// vote that is weighted by the process reward gives one (table 3).
fn roll_out(
    grounds: &Grounds<'_>,
    arm: &Arm,
    index: usize,
    held: &Held,
    times: &mut Times,
    told: &mut Told,
) -> Result<Rolled, MstarError> {
    let plan = grounds.plan;
    let number = (index + 1).to_string();
    let at = [("arm", arm.name), ("iteration", number.as_str())];
    let range = plan.traversed(arm, index);
    let unlabelled = arm.is_unlabelled(index, plan.iterations(arm));
    // Half of the prompts: the budget stays what it is.
    let half = if unlabelled { range.len() / 2 } else { 0 };
    let middle = range.end - half;
    let mut problems = plan.with_answers(range.start..middle)?;
    let told_answers = problems.len();
    problems.extend(plan.without_answers(middle..range.end)?);

    let policy = grounds.policy(&held.network);
    let sampling = grounds.sampling(held.temperature, "rollout", index);
    let mut tally = Tally::default();
    let count = plan.request.rollouts;
    let mut groups = sampled(&policy, &problems, count, &sampling, &mut tally)?;
    tell_rollouts(&groups, &at, told);

    let began = Instant::now();
    let asks = arm.selection.asks();
    let mut scores = 0;
    let (with, without) = groups.split_at_mut(told_answers);
    if asks {
        let own = &problems[..told_answers];
        // What is wrong cannot be selected, whatever its steps.
        scores +=
            score(grounds.reward, &policy, own, with, sampling.rows, |one| {
                one.right
            })?;
    }
    if !without.is_empty() {
        let own = &problems[told_answers..];
        scores += score(
            grounds.reward,
            &policy,
            own,
            without,
            sampling.rows,
            |_| true,
        )?;
        let mut agreed = 0_usize;
        for (problem, group) in own.iter().zip(without.iter_mut()) {
            let answer = voted(group, Vote::Weighted);
            agreed += usize::from(answer == Some(problem.answer));
            for one in group {
                one.right =
                    answer.is_some() && answer_of(&one.tokens) == answer;
            }
        }
        told.share("pseudo_right", agreed as f64 / own.len() as f64, &at);
    }
    times.reward = began.elapsed().as_secs_f64();
    let replies = chosen(plan, arm, index, &groups);
    Ok(Rolled { problems, replies, tally, scores })
}

/// The responses that train, with their problems' places.
fn chosen(
    plan: &Plan,
    arm: &Arm,
    index: usize,
    groups: &[Vec<Scored>],
) -> Vec<(usize, Vec<u32>)> {
    let seed = seed_of(plan.seed, "selection", index as u64);
    let mut chosen = Vec::new();
    for (place, group) in groups.iter().enumerate() {
        let mut draws = Draws::new(seed, place as u64);
        for one in selected(group, arm.selection, &mut draws) {
            chosen.push((place, group[one].tokens.clone()));
        }
    }
    chosen
}

/// The answers of prompts, without a step.
fn answers_alone(
    plan: &Plan,
    arm: &Arm,
    index: usize,
) -> Result<Rolled, MstarError> {
    let problems = plan.with_answers(plan.traversed(arm, index))?;
    let each = problems.iter().enumerate();
    let replies =
        each.map(|(place, problem)| (place, problem.answer_alone())).collect();
    Ok(Rolled { problems, replies, tally: Tally::default(), scores: 0 })
}

/// The model after an iteration's updates. Without an example it stays as it
/// is, whatever the method starts from.
fn updated(
    grounds: &Grounds<'_>,
    arm: &Arm,
    index: usize,
    held: &Held,
    examples: &[Example<'_>],
) -> Result<(Held, Learnt), MstarError> {
    if examples.is_empty() {
        return Ok((held.clone(), Learnt::default()));
    }
    let plan = grounds.plan;
    let learner = match (arm.method, &held.moments) {
        (Method::Continuous, Some(moments)) => {
            Learner::resumed(held.network.clone(), moments)?
        }
        (Method::RestEm, _) => Learner::fresh(grounds.warm.clone()),
        (Method::Continuous | Method::Rft | Method::AnswersOnly, _) => {
            Learner::fresh(held.network.clone())
        }
    };
    let course = Course {
        name: arm.name,
        steps: plan.updates_of(arm, index),
        batch: plan.request.batch,
        schedule: SCHEDULE,
        seed: seed_of(plan.seed, "order", index as u64),
    };
    let (shape, layout) = (plan.shape(), plan.layout());
    let (learner, learnt) = learn(learner, shape, &layout, examples, &course)?;
    let inherited =
        arm.method == Method::Continuous && index + 1 < plan.iterations(arm);
    let after = Held {
        network: learner.valid(),
        moments: inherited.then(|| learner.state()),
        ..held.clone()
    };
    Ok((after, learnt))
}

/// Rates, arithmetic and memory of an iteration.
fn tell_costs(
    grounds: &Grounds<'_>,
    rolled: &Rolled,
    learnt: &Learnt,
    batch: usize,
    at: &[At<'_>],
    told: &mut Told,
) {
    let (work, tally) = (grounds.work, &rolled.tally);
    if tally.drawn > 0 {
        told.plain("rollout_tokens", tally.drawn as f64, at);
        told.rate("prefill_rate", tally.read, tally.prefill, at);
        told.rate("decode_rate", tally.decoded, tally.decode, at);
        let flops = work.rollouts(tally, rolled.scores);
        told.quality("rollout_flops", "FLOP", Better::Neither, flops, at);
        let bytes = work.rollout_memory;
        told.quality("rollout_memory", "B", Better::Lower, bytes, at);
    }
    if learnt.steps > 0 {
        let flops = work.updates(learnt.steps, batch);
        told.quality("update_flops", "FLOP", Better::Neither, flops, at);
        let bytes = work.update_memory;
        told.quality("update_memory", "B", Better::Lower, bytes, at);
    }
}

/// What the model is worth after an iteration; after the last one, on the
/// test problems too.
fn judged(
    grounds: &Grounds<'_>,
    arm: &Arm,
    index: usize,
    held: &Held,
    told: &mut Told,
) -> Result<(), MstarError> {
    let Grounds { plan, reward, judge, .. } = *grounds;
    let number = (index + 1).to_string();
    let at = [("arm", arm.name), ("iteration", number.as_str())];
    let policy = grounds.policy(&held.network);
    let standing = standing(&policy, reward, judge, plan, held.temperature)?;
    tell_standing(&standing, &at, told);
    if index + 1 < plan.iterations(arm) {
        return Ok(());
    }
    judge.accuracies(&policy, arm.name, told)?;
    if arm.name == WHOLE_RECIPE {
        judge.votes(&policy, reward, arm.name, held.temperature, told)?;
    }
    // Every arm is shown the same pictures: those of one beside the warm-up's
    // say what evolving changed.
    if [WHOLE_RECIPE, OWN].contains(&arm.name) {
        told.picture(judge.gallery(&policy, Some(reward), arm.name)?);
    }
    let own = [("arm", arm.name)];
    told.plain("training_tokens", held.tokens as f64, &own);
    told.time("arm_time", held.seconds, &own);
    Ok(())
}

#[cfg(test)]
mod tests {
    use assay_kit::{Parameters, parameter_values};
    use burn::tensor::Device;

    use super::*;

    fn plan(axes: &str) -> Plan {
        let case = format!(
            "mstar/tiny/study arms=own prompts=4 passes=1 interval=0.5 \
             updates=2 batch=2 rollouts=2 rows=8 tested=1 balance=none {axes}"
        );
        Plan::new(&case.parse().unwrap(), None).unwrap()
    }

    /// What untrained networks make of a plan's first iteration.
    fn iterated(plan: &Plan) -> (Held, Held, Told) {
        let mut start = Parameters::random(&Device::flex(), 3);
        let (shape, longest) = (plan.shape(), plan.longest());
        let warm = VisionLanguage::new(&mut start, shape, longest);
        let reward = ProcessReward::new(warm.clone(), &mut start, shape);
        let judge = Judge::new(plan).unwrap();
        let work = Work::of(plan).unwrap();
        let grounds = Grounds {
            plan,
            warm: &warm,
            reward: &reward,
            judge: &judge,
            work: &work,
            start: Standing::default(),
        };
        let before = grounds.first();
        let (after, told) =
            iterate(&grounds, &plan.arms[0], 0, before.clone()).unwrap();
        (before, after, told)
    }

    #[test]
    fn an_iteration_without_a_right_answer_is_told_and_changes_nothing() {
        // No untrained network says `answer` and a right one in two tries.
        let (before, after, told) = iterated(&plan("selection=none"));
        let at = [("arm", "own"), ("iteration", "1")];
        assert_eq!(told.value("no_right_answer", &at), Some(1.0));
        assert_eq!(told.value("kept_replies", &at), Some(0.0));
        assert_eq!(told.value("updates_made", &at), Some(0.0));
        assert_eq!(told.value("loss", &at), None);
        let same = parameter_values(&before.network)
            == parameter_values(&after.network);
        assert!(same && after.moments.is_none() && after.tokens == 0);
        for name in ["rollout_tokens", "decode_rate", "rollout_flops"] {
            assert!(told.value(name, &at).unwrap() > 0.0, "{name}");
        }
        let start = [("arm", "own"), ("iteration", "0")];
        assert_eq!(told.value("pass_at_k", &start), Some(0.0));
    }

    #[test]
    fn answers_alone_are_learnt_without_rollouts() {
        let mut plan = plan("warm_up=2");
        plan.arms[0].method = Method::AnswersOnly;
        plan.arms[0].interval = 1.0;
        let (before, after, told) = iterated(&plan);
        let at = [("arm", "own"), ("iteration", "1")];
        assert_eq!(told.value("kept_replies", &at), Some(4.0));
        assert_eq!(told.value("rollout_tokens", &at), None);
        assert!(told.value("loss", &at).unwrap() > 0.0);
        let same = parameter_values(&before.network)
            == parameter_values(&after.network);
        assert!(!same && after.tokens > 0);
        assert_eq!(told.value("updates_made", &at), Some(2.0));
        // It starts from a training of its own.
        let start = [("arm", "own"), ("iteration", "0")];
        assert!(told.value("loss", &start).unwrap() > 0.0);
        assert!(told.value("own_warm_up_time", &start[..1]).unwrap() > 0.0);
        // The last iteration is judged on the test problems.
        let set = [("arm", "own"), ("set", "in-domain")];
        assert_eq!(told.value("judged", &set), Some(3.0));
        assert_eq!(told.labels(), ["own"]);
    }
}
