//! How models are judged: on problems of scenes that nobody trained on, the
//! same for every arm of a seed.
//!
//! Chance is judged beside them: the most frequent answer, the most frequent
//! answer to the same words, and (by the session) the same model trained with
//! its pictures blanked.

use assay_schema::{Better, Pictures};

use super::explore::explore;
use super::gallery::strip;
use super::plan::Plan;
use super::process_reward::ProcessReward;
use super::reward::{Scored, Vote, area_under_curve, voted, worst};
use super::rollout::{Policy, Sampling, Tally, fresh, roll};
use super::seed_of;
use super::told::Told;
use crate::error::MstarError;
use crate::task::{Answer, Family, MostFrequent, Problem, Split, Vocabulary};

/// Validation problems that are answered greedily, at most: they judge each
/// iteration of each arm. The paper's validation has 250.
const VALIDATED: usize = 500;

/// Those of them that are sampled for Pass@K, the first.
const EXPLORED: usize = 128;

/// Validation problems that temperatures are chosen by, 14 times each. None
/// of them is among those that judge: what is best on a few is better there
/// by luck too.
const TUNED_ON: usize = 128;

/// Test problems of each domain that are sampled for votes.
const VOTED_ON: usize = 500;

/// Problems that the rules of chance count answers of.
const COUNTED: usize = 2048;

/// Problems in a strip of the gallery.
const SHOWN: usize = 8;

/// The problems.
pub(crate) struct Judge {
    validation: Vec<Problem>,
    tuned_on: Vec<Problem>,
    inside: Vec<Problem>,
    outside: Vec<Problem>,
    rows: usize,
    rollouts: usize,
    seed: u64,
}

/// The likeliest words.
pub(crate) fn greedy(rows: usize) -> Sampling {
    Sampling { temperature: None, rows, seed: 0, endless: false }
}

impl Judge {
    /// Those of a plan.
    ///
    /// # Errors
    /// Pictures of a size that the task does not draw.
    pub(crate) fn new(plan: &Plan) -> Result<Self, MstarError> {
        let of = |families: &[Family], split, count: usize| {
            plan.held_out(families, split, count)
        };
        let (inside, outside) = (&Family::IN_DOMAIN, &Family::OUT_OF_DOMAIN);
        let each = plan.tested;
        let (judging, tuning) = (each.min(VALIDATED), each.min(TUNED_ON));
        let mut validation = of(inside, Split::Validation, judging + tuning)?;
        let tuned_on = validation.split_off(judging);
        Ok(Self {
            validation,
            tuned_on,
            inside: of(inside, Split::Test, each * inside.len())?,
            outside: of(outside, Split::Test, each * outside.len())?,
            rows: plan.request.rows,
            rollouts: plan.request.rollouts,
            seed: plan.seed,
        })
    }

    /// The problems that temperatures are chosen by.
    pub(crate) fn tuned_on(&self) -> &[Problem] {
        &self.tuned_on
    }

    /// The problems that are sampled for Pass@K.
    pub(crate) fn explored(&self) -> &[Problem] {
        &self.validation[..EXPLORED.min(self.validation.len())]
    }

    /// The share of validation problems that the likeliest words answer.
    pub(crate) fn greedy_accuracy(
        &self,
        policy: &Policy<'_>,
    ) -> Result<f64, MstarError> {
        let right = self.right(policy, &self.validation)?;
        Ok(share(&right))
    }

    fn right(
        &self,
        policy: &Policy<'_>,
        problems: &[Problem],
    ) -> Result<Vec<bool>, MstarError> {
        let starts = fresh(problems, 1);
        let sampling = greedy(self.rows);
        let mut tally = Tally::default();
        let responses = roll(policy, &starts, &sampling, &mut tally)?;
        let each = problems.iter().zip(&responses);
        Ok(each.map(|(one, response)| one.is_right(response)).collect())
    }

    /// A model's test accuracies.
    pub(crate) fn accuracies(
        &self,
        policy: &Policy<'_>,
        arm: &str,
        told: &mut Told,
    ) -> Result<(), MstarError> {
        let inside = self.right(policy, &self.inside)?;
        let outside = self.right(policy, &self.outside)?;
        self.tell(arm, &inside, &outside, told);
        Ok(())
    }

    /// The accuracies of a model that was trained with blank pictures, on
    /// blank pictures.
    pub(crate) fn accuracies_blanked(
        &self,
        policy: &Policy<'_>,
        arm: &str,
        told: &mut Told,
    ) -> Result<(), MstarError> {
        let blank = |problems: &[Problem]| -> Vec<Problem> {
            problems.iter().map(Problem::blanked).collect()
        };
        let inside = self.right(policy, &blank(&self.inside))?;
        let outside = self.right(policy, &blank(&self.outside))?;
        self.tell(arm, &inside, &outside, told);
        Ok(())
    }

    /// The accuracies of the rules that never look.
    pub(crate) fn rules(
        &self,
        plan: &Plan,
        told: &mut Told,
    ) -> Result<(), MstarError> {
        let counted = plan.first(COUNTED)?;
        let Some(rule) = MostFrequent::of(&counted) else { return Ok(()) };
        let always = |_: &Problem| rule.answer();
        let by_question = |one: &Problem| rule.answer_to(&one.question);
        let arms = ["most-frequent", "most-frequent-by-question"];
        let rules: [&dyn Fn(&Problem) -> Answer; 2] = [&always, &by_question];
        for (arm, says) in arms.into_iter().zip(rules) {
            let right = |problems: &[Problem]| -> Vec<bool> {
                problems.iter().map(|one| says(one) == one.answer).collect()
            };
            let (inside, outside) = (right(&self.inside), right(&self.outside));
            self.tell(arm, &inside, &outside, told);
        }
        Ok(())
    }

    fn tell(
        &self,
        arm: &str,
        inside: &[bool],
        outside: &[bool],
        told: &mut Told,
    ) {
        let mut one = |set: &str, right: &[bool]| {
            let at = [("arm", arm), ("set", set)];
            told.share("test_accuracy", share(right), &at);
            told.plain("judged", right.len() as f64, &at);
        };
        for (set, problems, right) in [
            ("in-domain", &self.inside, inside),
            ("out-of-domain", &self.outside, outside),
        ] {
            one(set, right);
            for family in Family::ALL {
                let own: Vec<bool> = problems
                    .iter()
                    .zip(right)
                    .filter(|(problem, _)| problem.family == family)
                    .map(|(_, right)| *right)
                    .collect();
                if !own.is_empty() {
                    one(family.name(), &own);
                }
            }
        }
    }

    /// The accuracies of votes among samples, by the process reward and
    /// without it, and how well it tells true steps from false ones.
    pub(crate) fn votes(
        &self,
        policy: &Policy<'_>,
        reward: &ProcessReward,
        arm: &str,
        temperature: f64,
        told: &mut Told,
    ) -> Result<(), MstarError> {
        let sampling = Sampling {
            temperature: Some(temperature),
            rows: self.rows,
            seed: seed_of(self.seed, "votes", 0),
            endless: false,
        };
        for (set, problems) in
            [("in-domain", &self.inside), ("out-of-domain", &self.outside)]
        {
            let some = &problems[..VOTED_ON.min(problems.len())];
            let groups =
                explore(policy, reward, some, self.rollouts, &sampling)?;
            let at = [("arm", arm), ("set", set)];
            for (name, vote) in Vote::NAMES {
                let right: Vec<bool> = some
                    .iter()
                    .zip(&groups)
                    .map(|(one, group)| voted(group, vote) == Some(one.answer))
                    .collect();
                told.share(name, share(&right), &at);
            }
            told.plain("voted", some.len() as f64, &at);
        }
        Ok(())
    }

    /// The area under the curve of the process reward of steps against the
    /// truth, on samples of test problems.
    pub(crate) fn reward_quality(
        &self,
        policy: &Policy<'_>,
        reward: &ProcessReward,
        told: &mut Told,
    ) -> Result<(), MstarError> {
        let some = &self.inside[..VOTED_ON.min(self.inside.len())];
        let sampling = Sampling {
            temperature: Some(1.0),
            rows: self.rows,
            seed: seed_of(self.seed, "steps", 0),
            endless: false,
        };
        let mut tally = Tally::default();
        let rolled = roll(policy, &fresh(some, 1), &sampling, &mut tally)?;
        let items: Vec<(&Problem, &[u32])> =
            some.iter().zip(rolled.iter().map(Vec::as_slice)).collect();
        let scores =
            reward.scores(policy.shape, &policy.layout, &items, self.rows)?;
        let scored: Vec<(f64, bool)> = items
            .iter()
            .zip(scores)
            .flat_map(|((problem, response), scores)| {
                scores.into_iter().zip(problem.sound_steps(response))
            })
            .collect();
        if let Some(area) = area_under_curve(&scored) {
            told.share("reward_auc", area, &[]);
        }
        told.plain("reward_auc_steps", scored.len() as f64, &[]);
        Ok(())
    }

    /// The gallery: what a model answers to the first test problems.
    pub(crate) fn gallery(
        &self,
        policy: &Policy<'_>,
        reward: Option<&ProcessReward>,
        arm: &str,
    ) -> Result<Pictures, MstarError> {
        let some = &self.inside[..SHOWN.min(self.inside.len())];
        let starts = fresh(some, 1);
        let sampling = greedy(self.rows);
        let mut tally = Tally::default();
        let responses = roll(policy, &starts, &sampling, &mut tally)?;
        let items: Vec<(&Problem, &[u32])> =
            some.iter().zip(responses.iter().map(Vec::as_slice)).collect();
        let scores = match reward {
            Some(reward) => Some(reward.scores(
                policy.shape,
                &policy.layout,
                &items,
                self.rows,
            )?),
            None => None,
        };
        let caption =
            |(i, (problem, response)): (usize, &(&Problem, &[u32]))| {
                let verdict =
                    if problem.is_right(response) { "right" } else { "wrong" };
                let mut text = format!(
                    "{} | {} | {verdict}",
                    Vocabulary::decode(&problem.question),
                    Vocabulary::decode(response),
                );
                let own = scores.as_ref().and_then(|all| all.get(i));
                if let Some(own) = own {
                    text.push_str(&format!(" | reward {:.2}", worst(own)));
                }
                text
            };
        Ok(Pictures {
            label: arm.to_owned(),
            captions: items.iter().enumerate().map(caption).collect(),
            png: strip(some.iter().map(|problem| &problem.picture))?,
        })
    }
}

/// The share of yes.
fn share(right: &[bool]) -> f64 {
    let found = right.iter().filter(|right| **right).count();
    found as f64 / right.len().max(1) as f64
}

/// What an iteration's rollouts were.
pub(crate) fn tell_rollouts(
    groups: &[Vec<Scored>],
    at: &[super::told::At<'_>],
    told: &mut Told,
) {
    let all = || groups.iter().flatten();
    let count = all().count().max(1) as f64;
    let right = all().filter(|one| one.right).count() as f64;
    let cut = all().filter(|one| !one.ended()).count() as f64;
    let solved = groups.iter().filter(|group| super::reward::pass(group));
    let solved = solved.count() as f64 / groups.len().max(1) as f64;
    told.share("right_share", right / count, at);
    told.share("solved_share", solved, at);
    let lower = Better::Lower;
    told.quality("unfinished_share", "1", lower, cut / count, at);
}

#[cfg(test)]
mod tests {
    use super::super::rollout::tests::untrained;
    use super::*;
    use crate::task::END;

    fn plan() -> Plan {
        let case = "mstar/tiny/study tested=2 rollouts=3 rows=16 batch=2";
        Plan::new(&case.parse().unwrap(), None).unwrap()
    }

    #[test]
    fn a_model_is_judged_on_every_family_and_by_the_rules_of_chance() {
        let plan = plan();
        let judge = Judge::new(&plan).unwrap();
        let mut told = Told::default();
        judge.rules(&plan, &mut told).unwrap();
        let (shape, _) = untrained(1);
        let mut parameters =
            assay_kit::Parameters::random(&burn::tensor::Device::flex(), 1);
        let network = crate::model::VisionLanguage::new(
            &mut parameters,
            &shape,
            plan.longest(),
        );
        let layout = plan.layout();
        let policy = Policy { shape: &shape, network: &network, layout };
        judge.accuracies(&policy, "warm-up", &mut told).unwrap();
        judge.accuracies_blanked(&policy, "blanked", &mut told).unwrap();
        for arm in
            ["most-frequent", "most-frequent-by-question", "warm-up", "blanked"]
        {
            for (set, count) in [
                ("in-domain", 6.0),
                ("out-of-domain", 4.0),
                ("bars", 2.0),
                ("tables", 2.0),
            ] {
                let at = [("arm", arm), ("set", set)];
                assert_eq!(told.value("judged", &at), Some(count));
                let share = told.value("test_accuracy", &at).unwrap();
                assert!((0.0..=1.0).contains(&share), "{arm} {set}");
            }
        }
        let gallery = judge.gallery(&policy, None, "warm-up").unwrap();
        assert_eq!(gallery.captions.len(), 6);
        assert!(gallery.captions[0].contains("? | "));
        assert_eq!(judge.explored().len(), 2);
        assert_eq!(judge.tuned_on().len(), 2);
        let judged: Vec<u64> =
            judge.validation.iter().map(|problem| problem.id).collect();
        assert!(judge.tuned_on().iter().all(|one| !judged.contains(&one.id)));
        let found = judge.greedy_accuracy(&policy).unwrap();
        assert!((0.0..=1.0).contains(&found));
    }

    #[test]
    fn rollouts_are_told_by_what_became_of_them() {
        let one = |right, tokens: &[u32]| Scored {
            tokens: tokens.to_vec(),
            right,
            score: 0.0,
        };
        let groups = [
            vec![one(true, &[5, END]), one(false, &[5])],
            vec![one(false, &[5, END]), one(false, &[6, END])],
        ];
        let mut told = Told::default();
        tell_rollouts(&groups, &[("arm", "rft")], &mut told);
        assert_eq!(told.value("right_share", &[]), Some(0.25));
        assert_eq!(told.value("solved_share", &[]), Some(0.5));
        assert_eq!(told.value("unfinished_share", &[]), Some(0.25));
    }
}
