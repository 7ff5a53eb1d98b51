//! The warm-up (M-STaR, section 3.1): before it evolves, a model learns to
//! answer in steps from chains of thought that are given. The paper has the
//! base model write them and keeps the right ones; here they are the task's.
//!
//! Also its two rivals, trained as long on the same problems: one that never
//! sees a picture, and one that learns answers alone, which is where the row
//! of supervised fine-tuning (table 1) starts from here.

use std::time::Instant;

use assay_kit::Parameters;
use burn::tensor::Device;

use super::plan::Plan;
use super::update::{Example, Learner, Schedule, batch_of};
use crate::error::MstarError;
use crate::model::VisionLanguage;
use crate::task::Problem;

/// The largest learning rate; the paper's is of models a thousand times
/// larger.
const LEARNING_RATE: f64 = 1.5e-3;

/// The longest rise of the learning rate, updates; a short warm-up takes a
/// tenth of its own.
const RISE: usize = 100;

/// What a warm-up ended in.
pub(crate) struct Warm {
    /// Its weights, on the device without gradients.
    pub(crate) network: VisionLanguage,
    /// Mean loss of the last tenth of the updates.
    pub(crate) loss: f64,
    /// Tokens of all rows, visual ones included.
    pub(crate) tokens: u64,
    /// Seconds, drawing the pictures included.
    pub(crate) seconds: f64,
}

/// Warms a fresh model up; `blank` hides every picture from it.
///
/// # Errors
/// Pictures of a size that the task does not draw; a loss that is no number.
pub(crate) fn warm_up(plan: &Plan, blank: bool) -> Result<Warm, MstarError> {
    if blank {
        return taught(plan, "blanked", |problem| {
            (problem.blanked(), problem.response())
        });
    }
    taught(plan, "warm-up", |problem| (problem.clone(), problem.response()))
}

/// Teaches a fresh model the answers of the same problems, without a step.
///
/// # Errors
/// As [`warm_up`].
pub(crate) fn taught_answers(plan: &Plan) -> Result<Warm, MstarError> {
    taught(plan, "answers-only", |problem| {
        (problem.clone(), problem.answer_alone())
    })
}

/// Teaches a fresh model what `lesson` makes of each of the problems: what is
/// shown, and what is to be said of it.
fn taught(
    plan: &Plan,
    name: &str,
    lesson: impl Fn(&Problem) -> (Problem, Vec<u32>),
) -> Result<Warm, MstarError> {
    let began = Instant::now();
    let mut start = Parameters::random(&Device::flex(), plan.seed);
    let (shape, layout) = (plan.shape(), plan.layout());
    let network = VisionLanguage::new(&mut start, shape, plan.longest());
    let mut learner = Learner::fresh(network);
    let steps = plan.warm_up;
    let schedule = Schedule {
        peak: LEARNING_RATE,
        rise: RISE.min(steps.div_ceil(10)) as u64,
        fall: Some(steps as u64),
    };
    let last = steps.div_ceil(10);
    let (mut tokens, mut loss) = (0, 0.0);
    for step in 0..steps {
        let lessons: Vec<(Problem, Vec<u32>)> =
            plan.warm_up_of(step)?.iter().map(&lesson).collect();
        let some: Vec<Example<'_>> = lessons
            .iter()
            .map(|(problem, reply)| (problem, reply.as_slice()))
            .collect();
        let (rows, count) = batch_of(shape, &layout, &some)?;
        let (after, value) =
            learner.step(&schedule, name, |model: &VisionLanguage| {
                Ok(model.loss(&rows))
            })?;
        learner = after;
        tokens += count;
        if step + last >= steps {
            loss += value / last as f64;
        }
    }
    Ok(Warm {
        network: learner.valid(),
        loss,
        tokens,
        seconds: began.elapsed().as_secs_f64(),
    })
}

#[cfg(test)]
mod tests {
    use assay_kit::parameter_values;

    use super::*;

    #[test]
    fn a_warm_up_learns_and_is_the_same_each_time() {
        let plan = |steps: usize| {
            let case =
                format!("mstar/tiny/study warm_up={steps} batch=4 prompts=16");
            Plan::new(&case.parse().unwrap(), None).unwrap()
        };
        let first = warm_up(&plan(1), false).unwrap();
        let later = warm_up(&plan(12), false).unwrap();
        assert!(later.loss < 0.9 * first.loss, "{}", later.loss);
        assert!(later.tokens > first.tokens);
        let again = warm_up(&plan(1), false).unwrap();
        let values = |warm: &Warm| parameter_values(&warm.network);
        assert!(values(&first) == values(&again));
        let blank = warm_up(&plan(1), true).unwrap();
        assert!(values(&first) != values(&blank));
        let answers = taught_answers(&plan(1)).unwrap();
        assert!(values(&first) != values(&answers));
        // Rows end with the answer.
        assert!(answers.tokens < first.tokens);
    }
}
