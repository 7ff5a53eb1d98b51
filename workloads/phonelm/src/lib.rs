//! PhoneLM (arXiv 2411.05046): the shape of a small language model searched
//! for the machine that it is to run on, before it is trained; and a model
//! that turns requests into calls of Android intents.
//!
//! `search/` looks for shapes: thousands are predicted from traces of one
//! layer, the Pareto front of speed, memory and quality is kept; `train.rs`
//! trains the finalists on real text. `intents/` generates tools, requests and
//! the right calls, pre-trains a small model, and tunes it with adapters of
//! low rank. The decoder itself is `assay-slm`'s. [`PhoneLm`] is the workload,
//! [`trace()`] its operator graph; predictions come from a scoring function
//! that the harness hands in ([`use_scorer`]).
//!
//! Not here: the authors' pre-training (1.1 to 1.5 trillion tokens), their
//! engine, and an NPU.

#![cfg_attr(
    test,
    allow(
        clippy::float_cmp,
        reason = "tests compare values that are exact by construction"
    )
)]

mod claims;
mod error;
pub mod intents;
mod request;
mod score;
pub mod search;
mod shape;
mod trace;
pub mod train;
mod workload;

pub use claims::{claims, evidence, published};
pub use error::PhoneLmError;
pub use request::{Call, Methods, Request, Search, Tuning};
pub use score::{Score, Scored, use_scorer};
pub use shape::Shape;
pub use trace::trace;
pub use workload::PhoneLm;
