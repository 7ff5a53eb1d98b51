//! Defaults that depend on the machine: number format and runtime.

use assay_hardware_profiles::{HardwareProfile, UnitName};
use assay_schema::{Case, Precision, Runtime};

/// This machine's profile goes by this name.
pub(crate) const HOST: &str = "host";

/// `f16`, `f32` on `host`.
pub(crate) fn precision(profile: &str) -> Precision {
    if profile == HOST { Precision::F32 } else { Precision::F16 }
}

/// `flex` on `host`; for language models `qnn` on an NPU and `llama-cpp` on
/// phones and edge boards; else `graph`.
pub(crate) fn runtime(
    case: &Case,
    profile: &HardwareProfile,
    unit: UnitName,
) -> Runtime {
    let small = ["phone SoC", "edge SoC", "SBC"];
    let language_model = ["slm", "phonelm"].contains(&case.workload.as_str())
        && case.phase.as_deref() != Some("train-step");
    if profile.name == HOST {
        Runtime::Flex
    } else if language_model && unit == UnitName::Npu {
        Runtime::Qnn
    } else if language_model && small.contains(&profile.class.as_str()) {
        Runtime::LlamaCpp
    } else {
        Runtime::Graph
    }
}
