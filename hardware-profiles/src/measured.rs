//! What `probe` finds out about a unit, and what others measured: rates and
//! times with the conditions they were had under.
//!
//! Conditions (threads, working set, dimensions) are plain whole numbers: they
//! say where a number holds, not how much of something there is.

use std::collections::BTreeMap;

use assay_schema::{BytesPerSecond, FlopsPerSecond, Precision, Seconds};
use serde::{Deserialize, Serialize};

use crate::Fact;

/// A measured matrix-multiply peak.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gemm {
    /// Number format of the operands.
    pub precision: Precision,
    /// CPU threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
    /// The best rate seen.
    pub peak: Fact<FlopsPerSecond>,
}

/// Where the data of a stream measurement lived.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// First-level cache.
    L1,
    /// Second-level cache.
    L2,
    /// Last-level cache.
    Llc,
    /// Main memory.
    Dram,
}

impl Level {
    /// The name that files use.
    pub fn name(self) -> &'static str {
        match self {
            Self::L1 => "l1",
            Self::L2 => "l2",
            Self::Llc => "llc",
            Self::Dram => "dram",
        }
    }
}

/// A measured stream bandwidth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bandwidth {
    /// Where the data lived.
    pub level: Level,
    /// CPU threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
    /// Bytes that the loop went over, all threads together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_set_bytes: Option<u64>,
    /// The rate.
    pub rate: Fact<BytesPerSecond>,
}

/// The measured time of one operator at one shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Efficiency {
    /// Operator of the workload `operators`, e.g. `matmul`.
    pub operator: String,
    /// Its kind where it has several: `gelu` of `elementwise`, `decode` of
    /// `attention`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Number format of the operands.
    pub precision: Precision,
    /// CPU threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
    /// Axis to value, e.g. `{ m = 64, n = 2048, k = 1024 }`.
    pub dims: BTreeMap<String, f64>,
    /// Whether its inputs lay in the last-level cache; in memory otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cached: bool,
    /// Time of one call.
    pub seconds: Fact<Seconds>,
}

/// What reading the time costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timer {
    /// Least difference that it shows.
    pub resolution: Fact<Seconds>,
    /// Time of one reading.
    pub cost: Fact<Seconds>,
}
