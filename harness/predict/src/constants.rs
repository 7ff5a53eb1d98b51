//! The constants, read from `constants.toml`.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use assay_hardware_profiles::{Architecture, UnitName};
use assay_schema::{Precision, Runtime};
use serde::Deserialize;

use crate::PredictError;
use crate::fixed_shapes::FixedShapes;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Constants {
    #[serde(rename = "format_version")]
    _format_version: u32,
    pub(crate) measured: Measured,
    pub(crate) calibrated: Calibrated,
    unshared_uncut: Rule,
    metal: Rule,
    threads: Threads,
    gpu: Class,
    cpu: Class,
    npu: Class,
    runtime: BTreeMap<Runtime, RuntimeConstants>,
    dequantise: Dequantise,
    pub(crate) power: Power,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Measured {
    pub(crate) compute: f64,
    pub(crate) memory: f64,
    #[serde(rename = "source")]
    _source: String,
}

/// The architectures that a rule is for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    of: Vec<Architecture>,
    #[serde(rename = "source")]
    _source: String,
}

/// Threads that a core of a GPU keeps at once.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Threads {
    usual: f64,
    of: BTreeMap<Architecture, f64>,
    #[serde(rename = "source")]
    _source: String,
}

/// What a calibration may move of a unit that a roofline prices.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Calibrated {
    compute: f64,
    memory: f64,
    output: f64,
    launch: f64,
    /// Seconds of a product's output that the factor 1 stands for.
    pub(crate) output_s: f64,
    /// Rows that each constant needs.
    pub(crate) rows: usize,
    #[serde(rename = "source")]
    _source: String,
}

impl Calibrated {
    /// Expected deviations of the factors' logarithms, in the order of
    /// [`Factors::NAMES`](crate::machine::Factors::NAMES).
    pub(crate) fn deviations(&self) -> Vec<f64> {
        vec![self.compute, self.memory, self.output, self.launch]
    }
}

/// Constants of a class of units.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Class {
    pub(crate) compute: f64,
    pub(crate) memory: f64,
    pub(crate) attention: f64,
    pub(crate) conv: f64,
    pub(crate) launch_s: f64,
    pub(crate) dispatch_s: f64,
    pub(crate) band: f64,
    #[serde(rename = "source")]
    _source: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuntimeConstants {
    pub(crate) fuse: bool,
    pub(crate) dispatch: f64,
    pub(crate) fixed_s: f64,
    /// Host time between two kernels of a network on a GPU, s.
    #[serde(default)]
    pub(crate) between_s: f64,
    /// Whether scores of attention stand in memory where no matrix unit is.
    #[serde(default)]
    pub(crate) stores_scores: bool,
    /// How often element-wise operators, copies and layer and group norms move
    /// their activations in a network with convolutions on the matrix unit; 1
    /// as the graph says.
    #[serde(default = "once")]
    pub(crate) activation_moves: f64,
    /// Shapes that its graphs are compiled for.
    #[serde(default)]
    pub(crate) fixed_shapes: Option<FixedShapes>,
    #[serde(rename = "source")]
    _source: String,
}

fn once() -> f64 {
    1.0
}

#[derive(Debug, Deserialize)]
pub(crate) struct Dequantise {
    #[serde(rename = "source")]
    _source: String,
    #[serde(flatten)]
    share: BTreeMap<String, f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Power {
    pub(crate) idle: f64,
    pub(crate) compute: f64,
    pub(crate) memory: f64,
    pub(crate) band: f64,
    #[serde(rename = "source")]
    _source: String,
}

impl Constants {
    pub(crate) fn get() -> Result<&'static Self, PredictError> {
        static READ: OnceLock<Result<Constants, String>> = OnceLock::new();
        READ.get_or_init(|| {
            toml::from_str(include_str!("../constants.toml"))
                .map_err(|error| error.to_string())
        })
        .as_ref()
        .map_err(|error| PredictError::Constants(error.clone()))
    }

    /// Whether the keys of one query are cut in parts where no two heads share
    /// them.
    pub(crate) fn cuts_unshared(&self, architecture: Architecture) -> bool {
        !self.unshared_uncut.of.contains(&architecture)
    }

    /// Whether an architecture's kernels are written in Metal.
    pub(crate) fn metal(&self, architecture: Architecture) -> bool {
        self.metal.of.contains(&architecture)
    }

    /// Threads that a core keeps at once.
    pub(crate) fn threads(&self, architecture: Architecture) -> f64 {
        let known = self.threads.of.get(&architecture);
        known.copied().unwrap_or(self.threads.usual)
    }

    pub(crate) fn class(&self, unit: UnitName) -> &Class {
        match unit {
            UnitName::Cpu => &self.cpu,
            UnitName::Gpu => &self.gpu,
            UnitName::Npu => &self.npu,
        }
    }

    pub(crate) fn runtime(
        &self,
        runtime: Runtime,
    ) -> Result<&RuntimeConstants, PredictError> {
        self.runtime.get(&runtime).ok_or_else(|| {
            PredictError::Constants(format!("no [runtime.{runtime}]"))
        })
    }

    /// Share of the bandwidth that reading weights of this format reaches.
    pub(crate) fn dequantise(&self, precision: Precision) -> f64 {
        self.dequantise.share.get(precision.name()).copied().unwrap_or(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_runtime_has_constants() {
        let constants = Constants::get().unwrap();
        for runtime in Runtime::ALL {
            constants.runtime(runtime).unwrap();
        }
    }
}
