//! A CPU's or NPU's unit as ceilings that an operator can reach: the roofline
//! with constants. GPUs have models by class (`models`).

use assay_hardware_profiles::{Fact, HardwareProfile, Level, Unit, UnitName};
use assay_schema::{BytesPerSecond, FlopsPerSecond, Precision, Seconds};
use assay_trace::OperatorKind;

use crate::PredictError;
use crate::constants::{Class, Constants};
use crate::kernels::Kernel;
use crate::serving::Served;

/// Ceilings of one unit at one precision.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// What a product reaches.
    pub(crate) matrix: FlopsPerSecond,
    /// What everything else reaches.
    pub(crate) vector: FlopsPerSecond,
    /// What a stream reaches.
    pub(crate) bandwidth: BytesPerSecond,
    /// The same within the last-level cache, where that is known.
    cache_bandwidth: Option<BytesPerSecond>,
    cache_bytes: f64,
    /// Least time of a kernel.
    pub(crate) launch: Seconds,
    attention_share: f64,
    conv_share: f64,
    /// Share of the bandwidth that unpacking the weights leaves.
    dequantise: f64,
}

impl Machine {
    pub(crate) fn new(
        profile: &HardwareProfile,
        name: UnitName,
        unit: &Unit,
        served: &Served<'_>,
        precision: Precision,
    ) -> Result<Self, PredictError> {
        let constants = Constants::get()?;
        let class = constants.class(name);
        let reach = |fact: &Fact<FlopsPerSecond>, declared: f64| {
            let share = if fact.is_measured() {
                constants.measured.compute
            } else {
                declared
            };
            fact.value * share
        };
        let (matrix_peak, share) = (served.fact, served.share);
        // What is no product runs on vector lanes in f32; a unit without
        // them (an NPU) runs it on what it has.
        let vector = unit
            .vector
            .get(Precision::F32)
            .or_else(|| unit.vector.get(Precision::F16))
            .unwrap_or(matrix_peak);
        let bandwidth = bandwidth(profile, unit, constants, class);
        let launch = unit
            .launch_overhead
            .as_ref()
            .filter(|fact| fact.is_measured())
            .map_or(Seconds(class.launch_s), |fact| fact.value);
        Ok(Self {
            matrix: reach(matrix_peak, class.compute) * share,
            vector: reach(vector, class.compute),
            bandwidth,
            cache_bandwidth: unit
                .stream(Level::Llc)
                .map(|fact| fact.value * constants.measured.memory),
            cache_bytes: unit
                .cache
                .llc
                .as_ref()
                .map_or(0.0, |fact| fact.value.value()),
            launch,
            attention_share: class.attention / class.compute,
            conv_share: class.conv / class.compute,
            dequantise: constants.dequantise(precision),
        })
    }

    /// Seconds of arithmetic at what the unit reaches.
    pub(crate) fn compute_seconds(&self, kernel: &Kernel) -> f64 {
        let rate = match kernel.kind {
            OperatorKind::Matmul { .. } => self.matrix,
            OperatorKind::Attention { .. } => {
                self.matrix * self.attention_share
            }
            OperatorKind::Conv { .. } => self.matrix * self.conv_share,
            _ => self.vector,
        };
        kernel.flops / rate.value() + kernel.fused_flops / self.vector.value()
    }

    /// Seconds of traffic: weights, inputs and caches come from memory; what
    /// the step itself makes stays in the last-level cache when it fits two
    /// thirds of it and the cache's bandwidth is known.
    pub(crate) fn memory_seconds(&self, kernel: &Kernel) -> f64 {
        let memory = self.bandwidth.value();
        let made = match self.cache_bandwidth {
            Some(cache) if kernel.largest_made * 1.5 < self.cache_bytes => {
                cache.value().max(memory)
            }
            _ => memory,
        };
        kernel.weight_bytes / (memory * self.dequantise)
            + kernel.cold_bytes / memory
            + kernel.made_bytes / made
    }
}

/// The reachable memory bandwidth.
fn bandwidth(
    profile: &HardwareProfile,
    unit: &Unit,
    constants: &Constants,
    class: &Class,
) -> BytesPerSecond {
    let stated = &profile.memory.bandwidth;
    if stated.is_measured() {
        return stated.value * constants.measured.memory;
    }
    let measured = unit
        .stream(Level::Dram)
        .map(|fact| fact.value * constants.measured.memory);
    measured.unwrap_or(stated.value * class.memory)
}
