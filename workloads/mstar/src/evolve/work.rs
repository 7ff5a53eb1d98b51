//! What an iteration computes, by the trace: the arithmetic of a prompt's
//! reading, of a word, of a score, of an update, and what memory they take.
//!
//! Upper bounds where lengths vary: a word is drawn behind half a reply; what
//! is scored or learnt is as long as replies get.

use assay_schema::{Case, Precision};
use assay_trace::{Graph, Pass, memory};

use super::plan::Plan;
use super::rollout::Tally;
use crate::error::MstarError;
use crate::request::{Part, Phase, Request};
use crate::trace::trace;

/// FLOPs and bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Work {
    /// FLOPs of a prompt's reading, its picture included.
    prompt: f64,
    /// FLOPs of a word's decode step.
    word: f64,
    /// FLOPs of a response's score.
    score: f64,
    /// FLOPs of an example, forward and backward.
    example: f64,
    /// FLOPs of the optimizer, an update.
    optimizer: f64,
    /// Peak of a decode step of all rows, bytes.
    pub(crate) rollout_memory: f64,
    /// Peak of an update, bytes.
    pub(crate) update_memory: f64,
    /// Learned values.
    pub(crate) parameters: u64,
}

impl Work {
    /// Of a plan.
    ///
    /// # Errors
    /// An operator without a cost: a bug of this project.
    pub(crate) fn of(plan: &Plan) -> Result<Self, MstarError> {
        let layout = plan.layout();
        let traced = |phase: Phase, axes: &[(&str, usize)]| {
            let name = plan.request.name.as_str();
            let bare = Case::new("mstar", name, Some(phase.name()));
            let case = axes
                .iter()
                .fold(bare, |case, (axis, value)| case.with(*axis, value));
            // Not by its name: a model of a file may have any.
            let model = plan.shape().clone();
            trace(&Request::of(&case, model, Part::Whole)?)
        };
        let forward = |graph: &Graph| graph.flops_of(Pass::Forward).value();
        let peak =
            |graph: &Graph| memory(graph, Precision::F32).peak.total().value();
        let encode = traced(Phase::Encode, &[("batch", 1)])?;
        let prompt = layout.prompt;
        let prefill =
            traced(Phase::Prefill, &[("batch", 1), ("prompt", prompt)])?;
        let seen = plan.shape().visual(1) + prompt;
        let half = ("context", seen + layout.reply / 2);
        let word = traced(Phase::Decode, &[("batch", 1), half])?;
        let all = ("context", plan.longest() - 1);
        let rows = ("batch", plan.request.rows);
        let rollout = traced(Phase::Decode, &[rows, all])?;
        let whole = ("prompt", prompt + layout.reply);
        let score = traced(Phase::Prefill, &[("batch", 1), whole])?;
        let update = traced(
            Phase::TrainStep,
            &[
                ("batch", plan.request.batch),
                ("prompt", prompt),
                ("tokens", layout.reply),
            ],
        )?;
        let batch = plan.request.batch as f64;
        let passes = forward(&update) + update.flops_of(Pass::Backward).value();
        Ok(Self {
            prompt: forward(&encode) + forward(&prefill),
            word: forward(&word),
            score: forward(&encode) + forward(&score),
            example: passes / batch,
            optimizer: update.flops_of(Pass::Optimizer).value(),
            rollout_memory: peak(&rollout),
            update_memory: peak(&update),
            parameters: update.parameters(),
        })
    }

    /// FLOPs of rollouts and of the scores that were asked for.
    pub(crate) fn rollouts(&self, tally: &Tally, scores: usize) -> f64 {
        tally.prompts as f64 * self.prompt
            + tally.decoded as f64 * self.word
            + scores as f64 * self.score
    }

    /// FLOPs of updates of so many examples each.
    pub(crate) fn updates(&self, updates: usize, examples: usize) -> f64 {
        let one = examples as f64 * self.example + self.optimizer;
        updates as f64 * one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_grows_with_what_is_done() {
        let case = "mstar/tiny/study batch=4 rows=8".parse().unwrap();
        let work = Work::of(&Plan::new(&case, None).unwrap()).unwrap();
        // A word is at least two FLOPs a weight of the decoder.
        assert!(work.word > 2.0 * 300_000.0, "{work:?}");
        assert!(work.prompt > 16.0 * work.word);
        assert!(work.example > 2.0 * work.score);
        assert!(work.update_memory > 16.0 * work.parameters as f64);
        assert!(work.rollout_memory > 4.0 * work.parameters as f64);
        let tally = Tally { prompts: 2, decoded: 10, ..Tally::default() };
        let right = 2.0 * work.prompt + 10.0 * work.word + 3.0 * work.score;
        assert_eq!(work.rollouts(&tally, 3), right);
        assert!(work.updates(2, 4) > work.updates(2, 3));
        assert_eq!(work.updates(0, 4), 0.0);
    }
}
