//! M-STaR (*Diving into Self-Evolving Training for Multimodal Reasoning*,
//! arXiv 2412.17451): a model that sees learns from its own right answers.
//!
//! `vision.rs`, `connector.rs` and `model.rs` are the network, a vision
//! transformer in front of a decoder of `assay-slm`, its shapes data in
//! `models/`. `task/` draws pictures and asks about them; `evolve/` is the
//! loop: warm-up, rollouts, reward, the process reward model, selection and
//! updates, really run. `iteration.rs` adds up what an iteration of the
//! paper's size costs. [`Mstar`] is the workload, [`trace()`] its operator
//! graph.
//!
//! Not here: the authors' data and weights. They released no training code:
//! `README.md` says what was re-derived from text.

#![cfg_attr(
    test,
    allow(
        clippy::float_cmp,
        reason = "tests compare values that are exact by construction"
    )
)]

mod axes;
mod claims;
pub mod config;
pub mod connector;
mod error;
pub mod evolve;
pub mod examples;
pub mod iteration;
pub mod model;
mod network_session;
pub mod request;
mod session;
pub mod steps;
pub mod task;
mod trace;
pub mod vision;
mod workload;

pub use claims::{claims, evidence, published};
pub use config::{MODELS, Model};
pub use error::MstarError;
pub use examples::{Examples, Layout};
pub use iteration::{IterationPart, held_beside, iteration_parts};
pub use model::VisionLanguage;
pub use request::{Part, Phase, Request, Sharding};
pub use trace::trace;
pub use workload::Mstar;
