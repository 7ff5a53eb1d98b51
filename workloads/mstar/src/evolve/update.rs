//! Updates: the policy learns the responses that were selected (M-STaR,
//! section 2: the improve step is supervised fine-tuning on them).
//!
//! What an iteration starts from is the difference between the methods: a
//! [`Learner`] goes on with its optimizer and its place in the schedule, or
//! begins afresh with the weights alone.

use assay_kernels::AdamW;
use assay_kit::{Draws, Optimizer, OptimizerState, floats};
use assay_trace::{Tape, inner};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::config::Model;
use crate::error::MstarError;
use crate::examples::{Examples, Layout, pictures};
use crate::model::VisionLanguage;
use crate::task::Problem;

/// The norm at which gradients are clipped; the paper's is not published.
const CLIPPED_AT: f64 = 1.0;

/// Traversals of what was selected, at most: few right answers are not
/// learnt by heart to fill the budget. An iteration tells how many updates it
/// made of those it had.
const MOST_TRAVERSALS: usize = 16;

/// A learning rate over the steps of a training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Schedule {
    /// The largest.
    pub(crate) peak: f64,
    /// Steps of the line up to it.
    pub(crate) rise: u64,
    /// The step by which a half cosine has led down to a tenth of it; none:
    /// it stays, as the paper's does.
    pub(crate) fall: Option<u64>,
}

impl Schedule {
    /// The rate of a step, from 0.
    pub(crate) fn at(&self, step: u64) -> f64 {
        let rise = (step + 1) as f64 / self.rise.max(1) as f64;
        let share = match self.fall {
            None => 1.0,
            Some(end) => {
                let way = step as f64 / end.max(1) as f64;
                let cosine = (std::f64::consts::PI * way.min(1.0)).cos();
                0.1 + 0.45 * (1.0 + cosine)
            }
        };
        self.peak * rise.min(1.0) * share
    }
}

/// A network that is being trained.
pub(crate) struct Learner<M> {
    model: M,
    optimizer: Optimizer,
}

impl<M: Module> Learner<M> {
    /// From weights on the device without gradients, everything else fresh.
    pub(crate) fn fresh(model: M) -> Self {
        // PyTorch's constants but for the decay, of which the paper says
        // nothing; the learning rate is set at each step.
        let config = AdamW { weight_decay: 0.0, ..AdamW::default() };
        let model = model.train();
        let mut optimizer = Optimizer::new(config);
        optimizer.prepare(&model);
        Self { model, optimizer }
    }

    /// From weights and an optimizer's state.
    ///
    /// # Errors
    /// A state of a model of another shape.
    pub(crate) fn resumed(
        model: M,
        state: &OptimizerState,
    ) -> Result<Self, MstarError> {
        let mut learner = Self::fresh(model);
        learner.optimizer.restore(&learner.model, state)?;
        Ok(learner)
    }

    /// Steps made, for tests.
    #[cfg(test)]
    pub(crate) fn steps(&self) -> u32 {
        self.optimizer.steps()
    }

    /// Its weights, on the device without gradients.
    pub(crate) fn valid(&self) -> M {
        self.model.valid()
    }

    /// Its optimizer's state.
    pub(crate) fn state(&self) -> OptimizerState {
        self.optimizer.state(&self.model)
    }

    /// One step down a loss, at the schedule's rate; its value.
    ///
    /// # Errors
    /// A loss or a gradient that is not finite, or what `loss` says.
    pub(crate) fn step(
        mut self,
        schedule: &Schedule,
        what: &str,
        loss: impl FnOnce(&M) -> Result<Tensor<1>, MstarError>,
    ) -> Result<(Self, f64), MstarError> {
        let step = self.optimizer.steps();
        self.optimizer.set_learning_rate(schedule.at(u64::from(step)));
        let found = loss(&self.model)?;
        let value = floats(inner(found.clone()));
        let value = value.first().map_or(f64::NAN, |&v| f64::from(v));
        let tape = Tape::of(found);
        let (model, norm) =
            self.optimizer.clipped_step(self.model, tape, CLIPPED_AT);
        if !(value.is_finite() && norm.is_finite()) {
            return Err(MstarError::NotFinite {
                what: format!(
                    "loss {value} or norm of the gradients {norm} of `{what}` \
                     at step {step}"
                ),
            });
        }
        Ok((Self { model, optimizer: self.optimizer }, value))
    }
}

/// What is learnt: a response to a problem.
pub(crate) type Example<'a> = (&'a Problem, &'a [u32]);

/// A batch, and the tokens of its rows, visual ones included.
///
/// # Errors
/// As [`Examples::new`].
pub(crate) fn batch_of(
    shape: &Model,
    layout: &Layout,
    some: &[Example<'_>],
) -> Result<(Examples, u64), MstarError> {
    let device = Device::flex().autodiff();
    let pixels: Vec<&[f32]> =
        some.iter().map(|(problem, _)| problem.picture.values()).collect();
    let tiles = pictures(shape, &pixels, &device)?;
    let questions: Vec<&[u32]> =
        some.iter().map(|(problem, _)| problem.question.as_slice()).collect();
    let replies: Vec<&[u32]> = some.iter().map(|(_, words)| *words).collect();
    let examples = Examples::new(layout, shape, tiles, &questions, &replies)?;
    let [rows, text] = examples.tokens.dims();
    Ok((examples, (rows * (text + shape.visual(1))) as u64))
}

/// Places in random order without end: each once before any comes again.
pub(crate) struct Shuffle {
    all: Vec<usize>,
    left: Vec<usize>,
    draws: Draws,
}

impl Shuffle {
    /// Of `0..count`, at least one.
    pub(crate) fn new(count: usize, draws: Draws) -> Self {
        let all: Vec<usize> = (0..count.max(1)).collect();
        Self { all, left: Vec::new(), draws }
    }

    /// The next so many.
    pub(crate) fn take(&mut self, count: usize) -> Vec<usize> {
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            match self.left.pop() {
                Some(next) => taken.push(next),
                None => {
                    let all = self.all.len();
                    self.left = self.draws.some_of(&self.all, all);
                }
            }
        }
        taken
    }
}

/// What updates cost and told.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Learnt {
    /// Updates made.
    pub(crate) steps: usize,
    /// Tokens of all rows, visual ones included.
    pub(crate) tokens: u64,
    /// Mean loss of the updates; 0 of none.
    pub(crate) loss: f64,
}

/// How updates go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course<'a> {
    /// Whose updates, for an error.
    pub(crate) name: &'a str,
    /// Updates.
    pub(crate) steps: usize,
    /// Examples of one.
    pub(crate) batch: usize,
    /// Their learning rates.
    pub(crate) schedule: Schedule,
    /// Seed of their order.
    pub(crate) seed: u64,
}

/// Learns examples: so many updates, or as many as a few traversals of them
/// have; none without any.
///
/// # Errors
/// As [`Learner::step`] and [`batch_of`].
pub(crate) fn learn(
    mut learner: Learner<VisionLanguage>,
    shape: &Model,
    layout: &Layout,
    examples: &[Example<'_>],
    course: &Course<'_>,
) -> Result<(Learner<VisionLanguage>, Learnt), MstarError> {
    let mut learnt = Learnt::default();
    if examples.is_empty() {
        return Ok((learner, learnt));
    }
    let batch = course.batch.min(examples.len());
    let most = (MOST_TRAVERSALS * examples.len()).div_ceil(batch);
    let mut shuffle = Shuffle::new(examples.len(), Draws::new(course.seed, 0));
    for _ in 0..course.steps.min(most) {
        let some: Vec<Example<'_>> =
            shuffle.take(batch).into_iter().map(|i| examples[i]).collect();
        let (rows, tokens) = batch_of(shape, layout, &some)?;
        let (after, loss) =
            learner.step(&course.schedule, course.name, |model| {
                Ok(model.loss(&rows))
            })?;
        learner = after;
        learnt.steps += 1;
        learnt.tokens += tokens;
        learnt.loss += loss;
    }
    learnt.loss /= learnt.steps.max(1) as f64;
    Ok((learner, learnt))
}

#[cfg(test)]
mod tests {
    use assay_kit::parameter_values;

    use super::super::rollout::tests::{LAYOUT, some, untrained};
    use super::*;

    const SCHEDULE: Schedule = Schedule { peak: 3e-3, rise: 2, fall: None };

    fn course(steps: usize) -> Course<'static> {
        let seed = 5;
        Course { name: "test", steps, batch: 4, schedule: SCHEDULE, seed }
    }

    const REPLY: &[u32] = &[20, 6, 1];

    fn examples(problems: &[Problem]) -> Vec<Example<'_>> {
        problems.iter().map(|one| (one, REPLY)).collect()
    }

    #[test]
    fn rates_rise_and_stay_or_fall() {
        let fall = Some(100);
        let flat = Schedule { peak: 2.0, rise: 4, fall: None };
        assert_eq!([0, 1, 3, 90].map(|s| flat.at(s)), [0.5, 1.0, 2.0, 2.0]);
        let falling = Schedule { fall, ..flat };
        assert!((falling.at(50) - 1.1).abs() < 1e-12);
        assert!((falling.at(100) - 0.2).abs() < 1e-12);
        assert!((falling.at(900) - 0.2).abs() < 1e-12);
    }

    #[test]
    fn every_place_comes_once_before_any_comes_again() {
        let mut shuffle = Shuffle::new(5, Draws::new(1, 0));
        let mut first = shuffle.take(3);
        first.extend(shuffle.take(2));
        first.sort_unstable();
        assert_eq!(first, [0, 1, 2, 3, 4]);
        assert_eq!(shuffle.take(11).len(), 11);
    }

    #[test]
    fn a_learner_goes_on_from_its_state_to_the_same_bytes() {
        let (shape, network) = untrained(9);
        let problems = some(8);
        let examples = examples(&problems);
        let run = |learner, steps| {
            learn(learner, &shape, &LAYOUT, &examples, &course(steps)).unwrap()
        };
        let (half, first) = run(Learner::fresh(network.clone()), 3);
        assert_eq!(first.steps, 3);
        let (state, weights) = (half.state(), half.valid());
        let (whole, _) = run(half, 3);
        let resumed = Learner::resumed(weights.clone(), &state).unwrap();
        let (resumed, second) = run(resumed, 3);
        let values = |learner: &Learner<VisionLanguage>| {
            parameter_values(&learner.valid())
        };
        assert!(values(&whole) == values(&resumed));
        assert_eq!(resumed.steps(), 6);
        assert!(second.loss < first.loss);
        // A fresh optimizer goes elsewhere.
        let (fresh, _) = run(Learner::fresh(weights), 3);
        assert!(values(&fresh) != values(&resumed));
    }

    #[test]
    fn few_examples_are_not_learnt_by_heart_and_none_not_at_all() {
        let (shape, network) = untrained(9);
        let problems = some(2);
        let two = examples(&problems);
        let run = |examples: &[Example<'_>]| {
            let learner = Learner::fresh(network.clone());
            learn(learner, &shape, &LAYOUT, examples, &course(50)).unwrap()
        };
        assert_eq!(run(&two).1.steps, MOST_TRAVERSALS);
        let (untouched, learnt) = run(&[]);
        assert_eq!(learnt, Learnt::default());
        let (found, right) = (untouched.valid(), network.clone());
        assert!(parameter_values(&found) == parameter_values(&right));
    }

    #[test]
    fn a_loss_that_is_no_number_ends_the_training() {
        let (shape, network) = untrained(9);
        let problems = some(2);
        let two = examples(&problems);
        let (rows, _) = batch_of(&shape, &LAYOUT, &two).unwrap();
        let error = Learner::fresh(network)
            .step(&SCHEDULE, "rft", |model: &VisionLanguage| {
                Ok(model.loss(&rows) * f32::NAN)
            })
            .err()
            .unwrap();
        assert!(error.to_string().contains("`rft` at step 0"), "{error}");
    }
}
