//! The process reward model (M-STaR, section 3.3): the policy's network with
//! a head that tells, at the end of each step, whether the right answer can
//! still be reached from there.
//!
//! Its labels cost no human: from the end of a step the warmed-up model goes
//! on several times, and the step is good when any of these ends right (hard
//! estimation, Wang et al., *Math-Shepherd*, arXiv 2312.08935, section 3.3).
//! The paper's number of rollouts a step, its loss and its threshold are not
//! published (facts/mstar.md, section 4); these are ours. It starts from the
//! warmed-up model, as the policy does, and stays as it is while the policy
//! trains.

use std::collections::BTreeSet;

use assay_kernels::{cross_entropy, embedding};
use assay_kit::{Draws, Linear, Parameters, floats};
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::rollout::{Policy, Sampling, Start, Tally, fresh, integers, roll};
use super::update::{Learner, Schedule, Shuffle};
use crate::config::Model;
use crate::error::MstarError;
use crate::examples::{Layout, pictures};
use crate::model::VisionLanguage;
use crate::task::{Problem, step_ends};

/// Responses of a prompt whose steps are labelled.
const RESPONSES: usize = 4;

/// Rollouts from the end of a step.
const CONTINUED: usize = 4;

/// Traversals of the lessons, and the largest learning rate.
const TRAVERSALS: usize = 6;
const LEARNING_RATE: f64 = 5e-4;

/// A response with a label for each of its steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Lesson {
    /// Its problem's place among those that are labelled.
    pub(crate) problem: usize,
    /// Its words.
    pub(crate) response: Vec<u32>,
    /// One a step: whether the right answer was reached from there.
    pub(crate) good: Vec<bool>,
}

/// The network.
#[derive(Module, Debug)]
pub(crate) struct ProcessReward {
    body: VisionLanguage,
    head: Linear,
}

/// Rows of responses with the places of their steps' ends.
struct Rows {
    /// Questions and responses, `[B, T]`.
    text: Tensor<2, Int>,
    /// Ends of steps in the rows laid end to end, `[R]`.
    places: Vec<i64>,
    /// Steps of each row.
    steps: Vec<usize>,
}

impl Rows {
    fn new(
        shape: &Model,
        layout: &Layout,
        items: &[(&Problem, &[u32])],
        device: &Device,
    ) -> Result<Self, MstarError> {
        let longest = items.iter().map(|(_, words)| words.len()).max();
        let length = layout.prompt + longest.unwrap_or_default();
        let visual = shape.visual(1);
        let width = visual + length;
        let (mut text, mut places, mut steps) = (vec![], vec![], vec![]);
        for (row, (problem, response)) in items.iter().enumerate() {
            let question = layout.question(&problem.question)?;
            let words = question.iter().chain(*response);
            text.extend(words.map(|&word| i64::from(word)));
            text.resize((row + 1) * length, i64::from(layout.padding));
            let ends = step_ends(response);
            let first = row * width + visual + layout.prompt;
            places.extend(ends.iter().map(|end| (first + end) as i64));
            steps.push(ends.len());
        }
        let text = integers(text, [items.len(), length], device);
        Ok(Self { text, places, steps })
    }
}

impl ProcessReward {
    /// On top of a network that answers; on the device of `parameters`.
    pub(crate) fn new(
        body: VisionLanguage,
        parameters: &mut Parameters,
        shape: &Model,
    ) -> Self {
        let width = shape.language.width;
        let head = Linear::to_be_trained(parameters, width, 2);
        Self { body, head }
    }

    /// Logits of a bad and of a good step, `[R, 2]`, for visual tokens
    /// `[B, t, D]` and words `[B, T]`.
    fn logits(
        &self,
        visual: Tensor<3>,
        words: Tensor<2, Int>,
        places: Tensor<2, Int>,
    ) -> Tensor<2> {
        let hidden = self.body.hidden(visual, words); // [B, t + T, D]
        let [b, t, width] = hidden.dims();
        let rows = hidden.reshape([b * t, width]);
        let ends = embedding(rows, places); // [1, R, D]
        let [_, count, _] = ends.dims();
        self.head.forward(ends).reshape([count, 2]) // [R, 2]
    }

    /// Scores of each response's steps: the probability that they are good.
    /// `rows` responses are read at once; neighbours with one problem share
    /// its picture's reading.
    ///
    /// # Errors
    /// A question that does not fit the layout, a picture of another size,
    /// a score that is no number.
    pub(crate) fn scores(
        &self,
        shape: &Model,
        layout: &Layout,
        items: &[(&Problem, &[u32])],
        rows: usize,
    ) -> Result<Vec<Vec<f64>>, MstarError> {
        let device = Device::flex();
        let mut all = Vec::with_capacity(items.len());
        for some in items.chunks(rows.max(1)) {
            let Rows { text, places, steps } =
                Rows::new(shape, layout, some, &device)?;
            if places.is_empty() {
                all.extend(steps.iter().map(|_| Vec::new()));
                continue;
            }
            let mut seen: Vec<&Problem> = Vec::new();
            let mut shown = Vec::with_capacity(some.len());
            for (problem, _) in some {
                let last = seen.last();
                let known =
                    last.is_some_and(|last| std::ptr::eq(*last, *problem));
                if !known {
                    seen.push(problem);
                }
                shown.push(seen.len() as i64 - 1);
            }
            let pixels: Vec<&[f32]> =
                seen.iter().map(|problem| problem.picture.values()).collect();
            let tiles = pictures(shape, &pixels, &device)?;
            let shown = TensorData::new(shown, [some.len()]);
            let shown = Tensor::<1, Int>::from_data(shown, &device);
            let visual = self.body.encode(tiles).select(0, shown);
            let count = places.len();
            let places = integers(places, [1, count], &device);
            let logits = floats(self.logits(visual, text, places));
            let mut scores = logits.as_chunks::<2>().0.iter().map(good);
            for steps in steps {
                all.push(scores.by_ref().take(steps).collect::<Vec<f64>>());
            }
        }
        if all.iter().flatten().any(|score| !score.is_finite()) {
            return Err(MstarError::NotFinite {
                what: "a score of the process reward model".to_owned(),
            });
        }
        Ok(all)
    }

    /// Mean cross entropy of the labels of some lessons, `[1]`; none when
    /// they have no step at all.
    ///
    /// # Errors
    /// As [`scores`](Self::scores).
    pub(crate) fn loss(
        &self,
        shape: &Model,
        layout: &Layout,
        problems: &[Problem],
        lessons: &[&Lesson],
    ) -> Result<Option<Tensor<1>>, MstarError> {
        let device = Device::flex().autodiff();
        let items: Vec<(&Problem, &[u32])> = lessons
            .iter()
            .map(|one| (&problems[one.problem], one.response.as_slice()))
            .collect();
        let Rows { text, places, .. } =
            Rows::new(shape, layout, &items, &device)?;
        if places.is_empty() {
            return Ok(None);
        }
        let pixels: Vec<&[f32]> =
            items.iter().map(|(problem, _)| problem.picture.values()).collect();
        let tiles = pictures(shape, &pixels, &device)?;
        let visual = self.body.encode(tiles);
        let targets: Vec<i64> = lessons
            .iter()
            .flat_map(|one| one.good.iter().map(|&good| i64::from(good)))
            .collect();
        let count = places.len();
        let places = integers(places, [1, count], &device);
        let logits = self.logits(visual, text, places);
        let targets = TensorData::new(targets, [count]);
        let targets = Tensor::<1, Int>::from_data(targets, &device);
        Ok(Some(cross_entropy(logits, targets)))
    }
}

/// The probability of the second of two classes.
fn good([bad, good]: &[f32; 2]) -> f64 {
    1.0 / (1.0 + (f64::from(*bad) - f64::from(*good)).exp())
}

/// How a process reward model is fitted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fit {
    /// Responses of an update.
    pub(crate) batch: usize,
    /// Seed of their order.
    pub(crate) seed: u64,
}

/// Fits a process reward model to lessons; also the mean loss of its last
/// traversal of them, 0 where there was nothing to learn.
///
/// # Errors
/// As [`Learner::step`] and [`ProcessReward::loss`].
pub(crate) fn fit(
    reward: ProcessReward,
    shape: &Model,
    layout: &Layout,
    problems: &[Problem],
    lessons: &[Lesson],
    how: Fit,
) -> Result<(ProcessReward, f64), MstarError> {
    if lessons.is_empty() {
        return Ok((reward, 0.0));
    }
    let batch = how.batch.clamp(1, lessons.len());
    let each = lessons.len().div_ceil(batch);
    let schedule = Schedule {
        peak: LEARNING_RATE,
        rise: each as u64,
        fall: Some((TRAVERSALS * each) as u64),
    };
    let mut shuffle = Shuffle::new(lessons.len(), Draws::new(how.seed, 0));
    let mut learner = Learner::fresh(reward);
    let mut last = 0.0;
    for step in 0..TRAVERSALS * each {
        let some: Vec<&Lesson> =
            shuffle.take(batch).into_iter().map(|i| &lessons[i]).collect();
        let (after, loss) = learner.step(
            &schedule,
            "reward-model",
            |model: &ProcessReward| {
                let loss = model.loss(shape, layout, problems, &some)?;
                loss.ok_or_else(|| {
                    MstarError::Data("a lesson without a step".to_owned())
                })
            },
        )?;
        learner = after;
        if step >= (TRAVERSALS - 1) * each {
            last += loss / each as f64;
        }
    }
    Ok((learner.valid(), last))
}

/// Labels the steps of a model's responses by where it gets from them.
///
/// # Errors
/// As [`roll`].
pub(crate) fn label(
    policy: &Policy<'_>,
    problems: &[Problem],
    sampling: &Sampling,
    tally: &mut Tally,
) -> Result<Vec<Lesson>, MstarError> {
    let starts = fresh(problems, RESPONSES);
    let rolled = roll(policy, &starts, sampling, tally)?;
    let mut lessons = Vec::new();
    for (place, some) in rolled.chunks(RESPONSES).enumerate() {
        let each: BTreeSet<&Vec<u32>> = some.iter().collect();
        for response in each {
            let good = vec![false; step_ends(response).len()];
            if !good.is_empty() {
                let response = response.clone();
                lessons.push(Lesson { problem: place, response, good });
            }
        }
    }
    // Where each rollout from the end of a step belongs.
    let mut asked = Vec::new();
    let mut starts = Vec::new();
    for (at, lesson) in lessons.iter().enumerate() {
        let problem = &problems[lesson.problem];
        for (step, end) in step_ends(&lesson.response).into_iter().enumerate() {
            let prefix = &lesson.response[..=end];
            // Nothing comes behind the end: one look will do.
            let times =
                if end + 1 == lesson.response.len() { 1 } else { CONTINUED };
            for _ in 0..times {
                let stream = starts.len() as u64;
                starts.push(Start { problem, prefix, stream });
                asked.push((at, step));
            }
        }
    }
    // Another seed than the responses': their streams have the same numbers.
    let seed = sampling.seed.wrapping_add(1);
    let sampling = Sampling { seed, ..*sampling };
    let reached = roll(policy, &starts, &sampling, tally)?;
    let right: Vec<bool> = starts
        .iter()
        .zip(&reached)
        .map(|(start, response)| start.problem.is_right(response))
        .collect();
    for ((at, step), right) in asked.into_iter().zip(right) {
        if let Some(good) = lessons[at].good.get_mut(step) {
            *good |= right;
        }
    }
    Ok(lessons)
}

#[cfg(test)]
mod tests {
    use assay_trace::inner;

    use super::super::rollout::tests::{LAYOUT, some, untrained};
    use super::*;
    use crate::task::{END, STEP};

    fn model(seed: u64) -> (Model, ProcessReward) {
        let (shape, network) = untrained(seed);
        let mut parameters = Parameters::random(&Device::flex(), seed);
        let reward = ProcessReward::new(network, &mut parameters, &shape);
        (shape, reward)
    }

    #[test]
    fn a_step_is_scored_by_what_stands_before_its_end() {
        let (shape, reward) = model(3);
        let problems = some(2);
        let long = [20, 6, STEP, 21, 7, STEP, 4, 6, END];
        let (one, two) = (&problems[0], &problems[1]);
        let items: [(&Problem, &[u32]); 4] =
            [(one, &long), (one, &long[..4]), (two, &long[..2]), (two, &long)];
        let scored =
            |rows: usize| reward.scores(&shape, &LAYOUT, &items, rows).unwrap();
        let all = scored(8);
        let steps: Vec<usize> = all.iter().map(Vec::len).collect();
        assert_eq!(steps, [3, 1, 0, 3]);
        // The first step of the first two is the same, and read the same.
        assert!((all[0][0] - all[1][0]).abs() < 1e-6);
        assert!((all[0][0] - all[3][0]).abs() > 1e-9, "another picture");
        for (found, right) in scored(1).iter().zip(&all) {
            for (found, right) in found.iter().zip(right) {
                assert!((found - right).abs() < 1e-5);
            }
        }
        assert!(all.iter().flatten().all(|s| (0.0..=1.0).contains(s)));
    }

    #[test]
    fn lessons_are_learnt() {
        let (shape, reward) = model(4);
        let problems = some(2);
        let lesson = |problem, words: &[u32], good: &[bool]| Lesson {
            problem,
            response: words.to_vec(),
            good: good.to_vec(),
        };
        let lessons = [
            lesson(0, &[20, 6, STEP, 4, 6, END], &[true, false]),
            lesson(1, &[20, 7, STEP, 4, 7, END], &[false, true]),
        ];
        let loss = |reward: &ProcessReward| {
            let some: Vec<&Lesson> = lessons.iter().collect();
            let reward = reward.clone().train();
            let loss = reward.loss(&shape, &LAYOUT, &problems, &some);
            floats(inner(loss.unwrap().unwrap()))[0]
        };
        let before = loss(&reward);
        let how = Fit { batch: 2, seed: 1 };
        let (mut after, mut last) = (reward, 0.0);
        for _ in 0..8 {
            (after, last) =
                fit(after, &shape, &LAYOUT, &problems, &lessons, how).unwrap();
        }
        assert!(loss(&after) < 0.9 * before, "{before} {last}");
        assert!(last.is_finite() && last > 0.0);
        let (_, nothing) =
            fit(after.clone(), &shape, &LAYOUT, &problems, &[], how).unwrap();
        assert_eq!(nothing, 0.0);
        let reward = after.train();
        let none = lesson(0, &[20, 6], &[]);
        let none = reward.loss(&shape, &LAYOUT, &problems, &[&none]);
        assert!(none.unwrap().is_none());
    }

    #[test]
    fn labels_say_where_a_response_gets_to() {
        let (shape, network) = untrained(8);
        let policy =
            Policy { shape: &shape, network: &network, layout: LAYOUT };
        let problems = some(6);
        let sampling = Sampling {
            temperature: Some(1.0),
            rows: 64,
            seed: 2,
            endless: false,
        };
        let labelled = || {
            let mut tally = Tally::default();
            label(&policy, &problems, &sampling, &mut tally).unwrap()
        };
        let lessons = labelled();
        assert!(!lessons.is_empty());
        for lesson in &lessons {
            let ends = step_ends(&lesson.response);
            assert_eq!(lesson.good.len(), ends.len());
            if lesson.response.last() == Some(&END) {
                let right = problems[lesson.problem].is_right(&lesson.response);
                assert_eq!(lesson.good.last(), Some(&right));
            }
        }
        assert_eq!(lessons, labelled());
    }
}
