//! A prediction: what a trace and a hardware profile say of a case.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Bytes, BytesPerSecond, Case, Estimate, Flops, FlopsPerSecond, Provenance,
    Runtime, Seconds,
};

/// What holds a prediction back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// Arithmetic.
    Compute,
    /// Memory traffic.
    Memory,
    /// Launches and dispatch.
    Overhead,
    /// Communication between devices.
    Network,
}

impl Bound {
    /// The word in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Memory => "memory",
            Self::Overhead => "overhead",
            Self::Network => "network",
        }
    }
}

/// Memory that an engine allocates under one name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemoryPart {
    /// What it holds: `weights`, `kv cache`, `compute buffer`, `other`.
    pub name: String,
    /// How much.
    pub bytes: Bytes,
}

/// Latency, memory and energy of a case on a machine that is not at hand.
///
/// Latency is in seconds, energy in joules; both are estimates whose interval
/// is a band of 80 % unless its `confidence` says otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The case without its axes: `slm/tiny/prefill`.
    pub case: String,
    /// Every axis, defaults filled in.
    pub axes: BTreeMap<String, String>,
    /// Hardware profile.
    pub profile: String,
    /// Unit of the profile: `gpu`, `cpu`, `npu`.
    pub unit: String,
    /// Runtime.
    pub runtime: Runtime,
    /// Latency, seconds.
    pub latency_s: Estimate,
    /// Class of kernels (`matmul`, `softmax`, ...) to its part of the
    /// latency; `overhead` is what the host adds beside the kernels. The parts
    /// are points without bands that add up to the latency's. Empty where
    /// nothing was traced.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub time_by_class: BTreeMap<String, Seconds>,
    /// Arithmetic.
    pub flops: Flops,
    /// Traffic, fused as the runtime fuses.
    pub bytes: Bytes,
    /// Learned values.
    pub parameters: u64,
    /// Memory at its peak: what the traced graph holds, or what the runtime's
    /// engine allocates where `memory_parts` has it.
    pub memory_peak_bytes: Bytes,
    /// What the engine allocates, by what holds it; the parts add up to the
    /// peak. Empty where the peak is the graph's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub memory_parts: Vec<MemoryPart>,
    /// Whether that peak fits the profile's memory; absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fits: Option<bool>,
    /// Energy, joules; absent when the profile has no power.
    pub energy_j: Option<Estimate>,
    /// What holds it back.
    pub bound: Bound,
    /// Always [`Provenance::Predicted`].
    pub provenance: Provenance,
}

impl Prediction {
    /// The case as one value.
    pub fn full_case(&self) -> Option<Case> {
        let mut case: Case = self.case.parse().ok()?;
        case.axes.clone_from(&self.axes);
        Some(case)
    }
}

/// The ceilings of a profile that a report draws, with where they come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProfileSummary {
    /// Hardware profile.
    pub profile: String,
    /// Unit.
    pub unit: String,
    /// Vendor's full name of the machine.
    pub title: String,
    /// Peak arithmetic by precision.
    pub peaks: BTreeMap<String, FlopsPerSecond>,
    /// Memory bandwidth.
    pub memory_bandwidth: BytesPerSecond,
    /// Memory size.
    pub memory_bytes: Option<Bytes>,
    /// `measured` for a probed profile, else `published`.
    pub provenance: Provenance,
}
