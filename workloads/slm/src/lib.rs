//! Small language models: one decoder whose variation is data.
//!
//! `decoder.rs` is the model; `models/*.toml` are its sizes; `goldens/` holds
//! right answers from `transformers`. [`Slm`] is the workload (prefill,
//! decode, generate, train-step) and [`trace()`] its operator graph.
//!
//! Papers: *Small Language Models: Survey, Measurements, and Insights* (arXiv
//! 2409.15790); *PhoneLM* (arXiv 2411.05046).

mod cache;
mod claims;
mod config;
mod decoder;
mod error;
mod golden;
mod hugging_face;
mod models;
mod request;
mod session;
mod steps;
mod text;
mod trace;
mod workload;

pub use cache::Cache;
pub use claims::{SurveyPoint, claims, evidence, figure_7};
pub use config::{AttentionBias, Config, Family, NormKind, Positions};
pub use decoder::{Attention, Block, Decoder, Mlp, Norm};
pub use error::SlmError;
pub use golden::{check as check_golden, load_weights, of_family};
pub use models::{config as model_config, names as model_names};
pub use request::{Phase, Request};
pub use steps::{ADAMW, decode, prefill, seen, train};
pub use text::{passage, tokenizer};
pub use trace::trace;
pub use workload::Slm;
