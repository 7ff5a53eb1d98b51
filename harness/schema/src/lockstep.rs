//! Lockstep: what a benchmark executable and `assay compare --bench` say to
//! each other.
//!
//! The comparing process listens on a Unix socket and starts
//! `EXECUTABLE --assay-lockstep SOCKET`; the executable connects and answers
//! one [`LockstepReply`] to each [`LockstepRequest`], each one line of JSON.
//! The executable's own standard output stays free for its bodies.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Better;

/// The version both sides must share.
pub const LOCKSTEP_VERSION: u32 = 1;

/// From the comparing process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum LockstepRequest {
    /// Say what there is.
    List,
    /// Set a benchmark up and run its body once.
    Prepare {
        /// Full name, axes included.
        name: String,
    },
    /// Run the prepared body: some iterations unmeasured, then a sample.
    Run {
        /// Iterations before the clock starts.
        warm_up: u64,
        /// Iterations that the clock sees.
        iterations: u64,
    },
    /// Drop what is prepared and leave.
    End,
}

/// From the executable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum LockstepReply {
    /// What there is.
    Listing {
        /// [`LOCKSTEP_VERSION`] of the executable.
        version: u32,
        /// Full names.
        benches: Vec<String>,
    },
    /// The body is ready, and has run once.
    Ready {
        /// Seconds of that one run.
        seconds: f64,
        /// A hash of what the body returned, where it gives one.
        fingerprint: Option<u64>,
    },
    /// A sample.
    Sample {
        /// Seconds of all measured iterations together, set-up excluded.
        seconds: f64,
        /// What else was counted, an iteration, by the contract's names.
        metrics: BTreeMap<String, LockstepMetric>,
    },
    /// It went wrong; the executable stays.
    Error {
        /// What went wrong.
        message: String,
    },
}

/// A value beside time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LockstepMetric {
    /// In `unit`, an iteration.
    #[serde(with = "crate::number")]
    pub value: f64,
    /// Unit symbol.
    pub unit: String,
    /// Which way is good.
    pub better: Better,
}
