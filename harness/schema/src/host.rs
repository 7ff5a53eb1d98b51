//! The machine that measured.

use serde::{Deserialize, Serialize};

/// What must be known of a machine to read its numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Host name.
    pub name: String,
    /// Operating system and its version.
    pub os: String,
    /// Kernel release.
    pub kernel: String,
    /// Processor as it names itself.
    pub cpu: String,
    /// Logical processors that this process may use.
    pub cores: u32,
    /// Memory, bytes.
    pub memory_bytes: u64,
    /// Last-level cache, bytes; absent when the machine does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_level_cache_bytes: Option<u64>,
    /// Vector extensions that matter to kernels, e.g. `avx2 avx512f`.
    #[serde(default)]
    pub features: Vec<String>,
    /// A virtual machine's hypervisor, when it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hypervisor: Option<String>,
}
