//! Training and judging classifiers of short sequences: what the two wireless
//! papers share.
//!
//! [`Examples`] are features with labels, [`Split`] says which of them train,
//! choose and judge, [`Fit`] trains epoch by epoch with early stopping,
//! [`Evaluation`] is what a model got right. No files, no plans.

mod evaluation;
mod examples;
mod fit;
mod sessions;
mod split;
mod step;

pub use evaluation::{Evaluation, evaluate, predictions};
pub use examples::Examples;
pub use fit::{Best, Fit, Schedule, adam};
pub use sessions::{
    Findings, Golden, Timed, flops_of_example, report, steady, timed_examples,
};
pub use split::Split;
pub use step::{Classifier, training_step};
