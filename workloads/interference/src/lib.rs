//! *Deep Learning for Interference Identification: Band, Training SNR, and
//! Sample Selection* (Zhang, Seyfi, Ju, Ramjee, El Gamal, Eldar, 2019; arXiv
//! 1905.08054).
//!
//! `networks/` are the paper's four architectures and the baseline's,
//! `models/*.toml` their sizes; `bands.toml` the sub-bands; `features` and
//! `select` what a network sees; [`Interference`] is the workload (a training
//! step, an inference, a study), [`trace()`] its operator graph.

#![cfg_attr(
    test,
    allow(
        clippy::float_cmp,
        reason = "tests compare values that are exact by construction"
    )
)]

mod bands;
mod claims;
mod config;
mod data;
mod error;
mod features;
pub mod golden;
pub mod networks;
mod request;
mod select;
pub mod study;
mod trace;
mod workload;

pub use bands::Band;
pub use claims::{claims, evidence, published};
pub use config::{Config, SIZES, config, names};
pub use data::{check_fits, generate, snapshots};
pub use error::InterferenceError;
pub use features::{Representation, examples, prepare};
pub use request::{Phase, Request, snrs_db};
pub use select::{Keep, Method};
pub use trace::{trace, trace_inference, trace_training};
pub use workload::Interference;
