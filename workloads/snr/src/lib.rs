//! *Efficient Training of Deep Classifiers for Wireless Source Identification
//! using Test SNR Estimates* (Wang, Ju, Zhang, Ramjee, El Gamal, 2019; arXiv
//! 1912.11896).
//!
//! `networks` are the paper's for modulations, those for channels are the
//! first paper's (`assay-interference`); `strategy/` is what is trained on:
//! one SNR, all, a greedy choice, samples that vote. [`Snr`] is the workload,
//! [`trace()`] its operator graph.

#![cfg_attr(
    test,
    allow(
        clippy::float_cmp,
        reason = "tests compare values that are exact by construction"
    )
)]

mod claims;
mod config;
mod data;
mod error;
pub mod golden;
pub mod networks;
mod request;
mod strategy;
mod study;
mod trace;
mod workload;

pub use claims::{claims, evidence, published};
pub use config::{Config, NAMES, Task, config, task};
pub use error::SnrError;
pub use request::{Phase, Request, Source, Strategy, snrs_db};
pub use trace::{LENGTH, trace};
pub use workload::Snr;
