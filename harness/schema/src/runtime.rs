//! Runtimes: who launches the operators, and what that costs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The software between the model and the device.
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
pub enum Runtime {
    /// Device time of one operator: no host at all.
    Kernel,
    /// Each operator dispatched from the host, nothing fused, dispatch
    /// exposed.
    Eager,
    /// Compiled or replayed: element-wise chains fused, no dispatch.
    Graph,
    /// llama.cpp.
    LlamaCpp,
    /// Qualcomm's QNN.
    Qnn,
    /// This project's CPU engine.
    Flex,
}

impl Runtime {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Kernel,
        Self::Eager,
        Self::Graph,
        Self::LlamaCpp,
        Self::Qnn,
        Self::Flex,
    ];

    /// The name that commands, files and tables use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Eager => "eager",
            Self::Graph => "graph",
            Self::LlamaCpp => "llama-cpp",
            Self::Qnn => "qnn",
            Self::Flex => "flex",
        }
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A word that names no runtime.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown runtime `{found}`; nearest valid: `{nearest}` (one of kernel, eager, graph, llama-cpp, qnn, flex)"
)]
pub struct ParseRuntimeError {
    /// What was written.
    pub found: String,
    /// The nearest name.
    pub nearest: &'static str,
}

impl FromStr for Runtime {
    type Err = ParseRuntimeError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|r| r.name() == word).ok_or_else(|| {
            ParseRuntimeError {
                found: word.to_owned(),
                nearest: crate::nearest(
                    word,
                    Self::ALL.iter().map(|r| r.name()),
                )
                .unwrap_or("graph"),
            }
        })
    }
}
