//! The loop of self-evolving training, really run (M-STaR, arXiv 2412.17451).
//!
//! In the order in which a study runs: `plan.rs` says what is compared;
//! `warm_up.rs` teaches a fresh model to answer in steps; `process_reward.rs`
//! labels steps by rollouts and learns to score them; `iterate.rs` is one
//! iteration of an arm, of `rollout.rs` (batched, through the cache),
//! `reward.rs` (exact match, least step, best `k`, votes), `explore.rs`
//! (Pass@K, Reward-Pass@2, the temperature) and `update.rs` (what is
//! inherited and what is fresh). `judge.rs` judges, `work.rs` counts by the
//! trace, `gallery.rs` draws, `check.rs` verifies; `told.rs` and `state.rs`
//! are what a stage tells and what survives a kill. `measured.rs` times one
//! iteration alone.
//!
//! What differs from the paper, beside the size: chains of the warm-up are the
//! task's references; learning rates are those of a small network; the number
//! of rollouts behind a step's label, the loss of the process reward model and
//! its threshold are ours, as the paper states none (facts/mstar.md, section
//! 4); the budget of an arm is a number of updates, the same for all, of
//! which it makes fewer where too few replies are right (`updates_made`);
//! supervised fine-tuning on answers has a warm-up of its own, on the same
//! problems, as no model here answers before it.

pub(crate) mod check;
pub(crate) mod explore;
pub(crate) mod gallery;
pub(crate) mod iterate;
pub(crate) mod judge;
pub(crate) mod measured;
pub mod plan;
pub(crate) mod process_reward;
pub(crate) mod reward;
pub(crate) mod rollout;
pub(crate) mod state;
pub(crate) mod told;
pub(crate) mod update;
pub(crate) mod warm_up;
pub(crate) mod work;

pub use plan::{Arm, Arms, Balance, Method, Plan, Selection};

use assay_kit::Draws;
use assay_schema::fnv1a;

/// A seed of what `purpose` names, the `number`th of it.
pub(crate) fn seed_of(seed: u64, purpose: &str, number: u64) -> u64 {
    let stream = (u64::from(fnv1a(purpose)) << 32) ^ number;
    Draws::new(seed, stream).bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_seed_purpose_and_number_has_a_seed_of_its_own() {
        let all = [
            seed_of(1, "rollout", 0),
            seed_of(1, "rollout", 1),
            seed_of(1, "order", 0),
            seed_of(2, "rollout", 0),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|other| other != one));
        }
        assert_eq!(all[0], seed_of(1, "rollout", 0));
    }
}
