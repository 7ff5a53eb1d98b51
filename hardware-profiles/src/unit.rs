//! A unit of a machine and its ceilings. The order of fields is the order in
//! the file.

use std::fmt;

use assay_schema::{
    Bytes, BytesPerSecond, FlopsPerSecond, Hertz, Precision, Seconds,
};
use serde::{Deserialize, Serialize};

use crate::{
    Architecture, Bandwidth, Count, Efficiency, Fact, FlopsPerCycle, Gemm,
    Level, Peaks, Timer,
};

/// A part of a machine with ceilings of its own.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum UnitName {
    /// Processor cores.
    Cpu,
    /// Graphics processor.
    Gpu,
    /// Neural processor.
    Npu,
}

impl UnitName {
    /// The name that commands and files use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Gpu => "gpu",
            Self::Npu => "npu",
        }
    }
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A unit's ceilings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    /// Family, the key of a predictor's constants.
    pub architecture: Architecture,
    /// What it is made of, in the words of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Vector width, in the words of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simd: Option<String>,
    /// Cores, streaming multiprocessors or compute units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<Fact<Count>>,
    /// f32 vector operations of one core in a cycle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flops_per_cycle: Option<Fact<FlopsPerCycle>>,
    /// Least time of one operator: kernel launch on a GPU, thread barrier on
    /// a CPU, graph call on an NPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch_overhead: Option<Fact<Seconds>>,
    /// Peaks of the vector lanes.
    #[serde(default, skip_serializing_if = "Peaks::is_empty")]
    pub vector: Peaks,
    /// Peaks of the matrix unit: tensor cores, AMX, NPU arrays.
    #[serde(default, skip_serializing_if = "Peaks::is_empty")]
    pub matrix: Peaks,
    /// Clocks.
    #[serde(default, skip_serializing_if = "is_default")]
    pub clock: Clocks,
    /// Caches.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cache: Caches,
    /// Links to other devices.
    #[serde(default, skip_serializing_if = "is_default")]
    pub link: Links,
    /// The clock that reads time on this machine, for measured profiles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timer: Option<Timer>,
    /// Groups of like cores of a CPU that has several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cluster: Vec<Cluster>,
    /// Measured matrix-multiply peaks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gemm: Vec<Gemm>,
    /// Measured stream bandwidths by level.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bandwidth: Vec<Bandwidth>,
    /// Measured times of operators at probed shapes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub efficiency: Vec<Efficiency>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Unit {
    /// A unit of which only the family is known yet.
    pub fn new(architecture: Architecture) -> Self {
        Self {
            architecture,
            detail: None,
            simd: None,
            cores: None,
            flops_per_cycle: None,
            launch_overhead: None,
            vector: Peaks::default(),
            matrix: Peaks::default(),
            clock: Clocks::default(),
            cache: Caches::default(),
            link: Links::default(),
            timer: None,
            cluster: Vec::new(),
            gemm: Vec::new(),
            bandwidth: Vec::new(),
            efficiency: Vec::new(),
        }
    }

    /// The faster of matrix and vector peak in a format.
    pub fn peak(&self, precision: Precision) -> Option<&Fact<FlopsPerSecond>> {
        let (matrix, vector) =
            (self.matrix.get(precision), self.vector.get(precision));
        match (matrix, vector) {
            (Some(m), Some(v)) if v.value > m.value => Some(v),
            (Some(m), _) => Some(m),
            (None, v) => v,
        }
    }

    /// The best measured stream bandwidth of a level, over thread counts.
    pub fn stream(&self, level: Level) -> Option<&Fact<BytesPerSecond>> {
        self.bandwidth
            .iter()
            .filter(|entry| entry.level == level)
            .map(|entry| &entry.rate)
            .max_by(|a, b| a.value.value().total_cmp(&b.value.value()))
    }
}

/// Clocks of a unit's cores.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clocks {
    /// Guaranteed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Fact<Hertz>>,
    /// With all cores busy; where it is given, the vector peaks are at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sustained: Option<Fact<Hertz>>,
    /// Highest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boost: Option<Fact<Hertz>>,
}

/// Caches that a unit can use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caches {
    /// First-level data cache or shared memory of one core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub l1_per_core: Option<Fact<Bytes>>,
    /// Second level, summed over the cores where each has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub l2: Option<Fact<Bytes>>,
    /// Last level beyond the second, in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub llc: Option<Fact<Bytes>>,
}

/// Links to other devices, bandwidths in one direction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Links {
    /// What joins the devices of a node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Between devices of a node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intra_node: Option<Fact<BytesPerSecond>>,
    /// To the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pcie: Option<Fact<BytesPerSecond>>,
    /// Between nodes, for each device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inter_node: Option<Fact<BytesPerSecond>>,
    /// Like devices of a node, this one included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices_per_node: Option<Fact<Count>>,
    /// Network adapters of a node that carry what its devices send: the node
    /// sends at most this many times one adapter's rate, however many devices
    /// take part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapters_per_node: Option<Fact<Count>>,
}

/// Like cores of a CPU that has several kinds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// E.g. `Cortex-X4`.
    pub core: String,
    /// How many.
    pub cores: Fact<Count>,
    /// Highest clock.
    pub clock: Fact<Hertz>,
    /// f32 vector operations of one core in a cycle.
    pub flops_per_cycle: Fact<FlopsPerCycle>,
}
