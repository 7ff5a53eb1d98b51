//! One iteration alone, timed again and again: rollouts, rewards, updates, of
//! the sizes that the case says, with the work that `iteration.rs` adds up.
//!
//! Every rollout is as long as it may be and `kept` of each prompt are learnt,
//! whatever they say: an untrained model's rewards would leave nothing to
//! learn, and lengths by chance would be other work each time.

use assay_kit::{AxisError, Optimizer, Parameters};
use assay_measure::{Context, Pace, Progress, Session, Watch, WorkloadError};
use assay_schema::{Better, Seconds, Verification};
use burn::module::Module;
use burn::tensor::Device;

use super::check::check;
use super::process_reward::ProcessReward;
use super::reward::worst;
use super::rollout::{Policy, Sampling, Tally, fresh, roll};
use super::update::{Example, batch_of};
use crate::error::MstarError;
use crate::examples::Layout;
use crate::model::VisionLanguage;
use crate::request::Request;
use crate::steps::{ADAMW, train};
use crate::task::{Family, PAD, Problem, Split, problems};

/// Problems that are checked against the plain model.
const CHECKED: usize = 3;

/// An iteration, ready.
pub(crate) struct IterationSession {
    request: Request,
    layout: Layout,
    problems: Vec<Problem>,
    /// With gradients; taken out and put back by the updates.
    model: Option<VisionLanguage>,
    reward: ProcessReward,
    optimizer: Optimizer,
    /// Iterations so far: each draws other words.
    turn: u64,
    seed: u64,
}

impl IterationSession {
    /// Of a model that trains here.
    ///
    /// # Errors
    /// More than one rank; a prompt too short for the task's questions.
    pub(crate) fn new(
        request: Request,
        context: &Context,
    ) -> Result<Self, MstarError> {
        if request.ranks > 1 {
            let expected = "1: more are predicted, not measured";
            return Err(AxisError::new("ranks", request.ranks, expected).into());
        }
        let layout = Layout {
            prompt: request.prompt,
            reply: request.tokens,
            padding: PAD,
        };
        let (shape, seed) = (&request.model, context.seed);
        let side = shape.picture();
        let families = &Family::IN_DOMAIN;
        let count = request.prompts;
        let problems = problems(families, Split::Train, side, seed, 0, count)?;
        for problem in &problems {
            layout.question(&problem.question)?;
        }
        let mut start = Parameters::random(&Device::flex(), seed);
        let longest = request.longest();
        let network = VisionLanguage::new(&mut start, shape, longest);
        let reward = ProcessReward::new(network.clone(), &mut start, shape);
        let model = network.train();
        let mut optimizer = Optimizer::new(ADAMW);
        optimizer.prepare(&model);
        Ok(Self {
            layout,
            problems,
            model: Some(model),
            reward,
            optimizer,
            turn: 0,
            seed,
            request,
        })
    }

    fn fixed(&self) -> Result<VisionLanguage, WorkloadError> {
        self.model.as_ref().map(Module::valid).ok_or_else(lost)
    }

    /// The `kept` of the largest process reward of each prompt.
    fn best(&self, worths: &[f64]) -> Vec<usize> {
        let count = self.request.rollouts;
        let of_prompt = |(prompt, worths): (usize, &[f64])| {
            let mut places: Vec<usize> = (0..worths.len()).collect();
            places.sort_by(|&a, &b| worths[b].total_cmp(&worths[a]));
            places.truncate(self.request.kept);
            places.into_iter().map(move |place| prompt * count + place)
        };
        worths.chunks(count).enumerate().flat_map(of_prompt).collect()
    }

    /// The updates of an iteration on examples, taken in turn.
    fn update(
        &mut self,
        examples: &[Example<'_>],
    ) -> Result<(), WorkloadError> {
        let (rows, r) = (self.request.at_once(), &self.request);
        let times = r.updates() * (r.share() / rows);
        let mut model = self.model.take().ok_or_else(lost)?;
        let mut next = examples.iter().copied().cycle();
        for _ in 0..times {
            let some: Vec<Example<'_>> = next.by_ref().take(rows).collect();
            let (batch, _) = batch_of(&r.model, &self.layout, &some)?;
            (_, model) = train(model, &mut self.optimizer, &batch);
        }
        self.model = Some(model);
        Ok(())
    }
}

fn lost() -> WorkloadError {
    WorkloadError::other("the model was lost in an update that failed")
}

impl Session for IterationSession {
    fn verify(&mut self) -> Result<Verification, WorkloadError> {
        let network = self.fixed()?;
        let (shape, layout) = (&self.request.model, self.layout);
        let policy = Policy { shape, network: &network, layout };
        let some = &self.problems[..CHECKED.min(self.problems.len())];
        Ok(check(&policy, some)?)
    }

    fn pace(&self) -> Pace {
        Pace::Steady
    }

    fn iterate(
        &mut self,
        watch: &mut Watch<'_>,
    ) -> Result<Progress, WorkloadError> {
        self.turn += 1;
        let network = self.fixed()?;
        let rows = self.request.rows;
        let sampling = Sampling {
            temperature: Some(1.0),
            rows,
            seed: self.seed.wrapping_add(self.turn),
            endless: true,
        };
        let (shape, layout) = (self.request.model.clone(), self.layout);
        let policy = Policy { shape: &shape, network: &network, layout };
        let problems = self.problems.clone();
        let starts = fresh(&problems, self.request.rollouts);
        let mut tally = Tally::default();
        let replies = roll(&policy, &starts, &sampling, &mut tally)?;
        watch.record("prefill", Seconds(tally.prefill));
        watch.record("decode", Seconds(tally.decode));
        let items: Vec<Example<'_>> = starts
            .iter()
            .zip(&replies)
            .map(|(start, reply)| (start.problem, reply.as_slice()))
            .collect();
        let scores = watch.part("reward", |_| {
            self.reward.scores(&shape, &layout, &items, rows)
        })?;
        let worths: Vec<f64> =
            scores.iter().map(|scores| worst(scores)).collect();
        let examples: Vec<Example<'_>> =
            self.best(&worths).into_iter().map(|i| items[i]).collect();
        watch.part("update", |_| self.update(&examples))?;
        let higher = Better::Higher;
        for (name, tokens, seconds) in [
            ("prefill_rate", tally.read, tally.prefill),
            ("decode_rate", tally.decoded, tally.decode),
        ] {
            watch.quality(name, "1/s", higher, tokens as f64 / seconds);
        }
        Ok(Progress::More)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(axes: &str) -> Result<IterationSession, MstarError> {
        let case = format!("mstar/tiny/iteration {axes}");
        let request = Request::new(&case.parse().unwrap(), None)?;
        IterationSession::new(request, &Context::new("cpu", 3))
    }

    #[test]
    fn the_best_of_each_prompt_are_learnt_and_all_updates_made() {
        let axes = "prompts=3 rollouts=2 rows=4 kept=1 batch=2 micro=1";
        let mut session = session(axes).unwrap();
        assert!(session.verify().unwrap().passed());
        let best = session.best(&[0.1, 0.2, 0.9, 0.3, 0.5, 0.5]);
        assert_eq!(best, [1, 2, 4]);
        let problems = session.problems.clone();
        let examples: Vec<Example<'_>> = problems
            .iter()
            .map(|one| (one, &problems[0].question[..]))
            .collect();
        session.update(&examples).unwrap();
        // One update of two examples, one at a time.
        assert_eq!(session.optimizer.steps(), 2);
        assert!(session.model.is_some());
    }

    #[test]
    fn what_cannot_be_measured_is_refused_by_name() {
        for (axes, word) in [("ranks=2", "ranks"), ("prompt=3", "3")] {
            let error = session(axes).err().unwrap().to_string();
            assert!(error.contains(word), "{axes}: {error}");
        }
    }
}
