//! FastFold (arXiv 2203.00854): the Evoformer of AlphaFold 2, its kernels and
//! its memory.
//!
//! `evoformer.rs` and `attention.rs` are the block; `trunk.rs` the stacks;
//! `embed.rs`, `templates.rs`, `structure.rs` and `heads.rs` what is around
//! them; `model.rs` the whole forward. Sizes are data (`architectures/`,
//! `models/`). [`FastFold`] is the workload, [`trace()`] its operator graph,
//! [`plan`] picks chunks for a memory limit. Right answers are in `goldens/`.
//!
//! Not here: the databases and features of a real target (inputs are random),
//! side chains, losses and their training, the multimer, several devices.

#![cfg_attr(
    test,
    allow(
        clippy::float_cmp,
        reason = "tests compare values that are exact by construction"
    )
)]

pub mod attention;
mod claims;
pub mod config;
pub mod embed;
mod error;
pub mod evoformer;
pub mod golden;
pub mod heads;
pub mod inputs;
mod layers;
pub mod model;
pub mod pass;
mod planner;
mod request;
mod session;
mod steps;
pub mod structure;
pub mod templates;
mod trace;
pub mod trunk;
mod weights;
mod workload;

pub use claims::{claims, evidence, published};
pub use config::Config;
pub use embed::Recycled;
pub use error::FastFoldError;
pub use evoformer::{EvoformerBlock, Masks, See};
pub use heads::Logits;
pub use inputs::{Extra, Inputs, Templates};
pub use model::{AlphaFold, Found, Parts, Represented};
pub use pass::{Chunks, Intermediates, Part, Pass};
pub use planner::plan;
pub use request::{Phase, Request};
pub use structure::Predicted;
pub use trace::trace;
pub use weights::published_name;
pub use workload::FastFold;
