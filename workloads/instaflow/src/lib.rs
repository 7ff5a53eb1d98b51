//! InstaFlow (arXiv 2309.06380): many steps of a diffusion model to one, and
//! what that costs.
//!
//! `unet.rs`, `vae.rs` and `text.rs` are the networks of Stable Diffusion 1.5
//! at any size (`networks/`, `models/`); `samplers.rs` turns a velocity into
//! pictures; `training/` is the recipe, really trained on captioned pictures
//! of `data/`; `metrics.rs` judges what comes out. [`InstaFlow`] is the
//! workload, [`trace()`] its operator graph. Right answers are in `goldens/`.
//!
//! Not here: the authors' weights and data, which are not to be had; the
//! safety checker; several devices.

#![cfg_attr(
    test,
    allow(
        clippy::float_cmp,
        reason = "tests compare values that are exact by construction"
    )
)]

mod claims;
#[cfg(test)]
mod closed_form;
pub mod config;
pub mod data;
mod error;
mod evaluate;
pub mod golden;
pub mod judge;
pub mod layers;
pub mod metrics;
pub mod perceptual;
mod request;
pub mod samplers;
mod session;
mod steps;
mod strip;
mod study;
pub mod text;
mod tokenizer;
mod trace;
pub mod training;
pub mod unet;
pub mod vae;
pub mod weights;
mod workload;

pub use claims::{claims, evidence, published};
pub use config::{Architecture, Pipeline};
pub use error::InstaFlowError;
pub use judge::Judge;
pub use perceptual::Perceptual;
pub use request::{Methods, Phase, Request};
pub use samplers::Sampler;
pub use strip::strip_png;
pub use text::TextEncoder;
pub use tokenizer::Tokenizer;
pub use trace::trace;
pub use unet::Velocity;
pub use vae::Vae;
pub use workload::InstaFlow;
