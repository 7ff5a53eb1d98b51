//! What a trace counted: arithmetic, traffic, parameters, memory.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Bytes, Flops};

/// Memory at the peak, by what holds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MemoryParts {
    /// Parameters.
    pub weights_bytes: Bytes,
    /// Key-value cache.
    pub kv_cache_bytes: Bytes,
    /// Gradients.
    pub gradients_bytes: Bytes,
    /// Optimizer state.
    pub optimizer_bytes: Bytes,
    /// Everything else that lives at the peak.
    pub activations_bytes: Bytes,
}

impl MemoryParts {
    /// The sum.
    pub fn total(&self) -> Bytes {
        self.weights_bytes
            + self.kv_cache_bytes
            + self.gradients_bytes
            + self.optimizer_bytes
            + self.activations_bytes
    }
}

/// The totals of a traced case.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkSummary {
    /// Arithmetic; a multiply and an add are two.
    pub flops: Flops,
    /// Arithmetic by operator kind.
    pub flops_by_kind: BTreeMap<String, Flops>,
    /// Bytes that the operators read and write, unfused.
    pub bytes: Bytes,
    /// Learned values.
    pub parameters: u64,
    /// Memory at its peak.
    pub memory_peak: MemoryParts,
    /// Operators that do work (views are free).
    pub operators: u64,
}
