//! A CPU's or NPU's unit as ceilings that an operator can reach: the roofline
//! with constants, and what a calibration makes of them. GPUs have models by
//! class (`models`).

use std::collections::BTreeMap;

use assay_hardware_profiles::{Fact, HardwareProfile, Level, Unit, UnitName};
use assay_schema::{
    BytesPerSecond, FlopsPerSecond, Precision, Runtime, Seconds,
};
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
    /// Least time of what computes nothing.
    view: Seconds,
    /// Time of a product's output beside arithmetic and traffic; 0 unless a
    /// calibration found it.
    output: Seconds,
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
            view: launch,
            output: Seconds(0.0),
            attention_share: class.attention / class.compute,
            conv_share: class.conv / class.compute,
            dequantise: constants.dequantise(precision),
        })
    }

    /// The same unit with a calibration's factors.
    pub(crate) fn times(&self, by: Factors) -> Result<Self, PredictError> {
        let reference = Constants::get()?.calibrated.output_s;
        Ok(Self {
            matrix: self.matrix * by.compute,
            bandwidth: self.bandwidth * by.memory,
            launch: Seconds(self.launch.value() * by.launch),
            output: Seconds(reference * by.output),
            ..self.clone()
        })
    }

    /// Least time of a kernel of a kind.
    pub(crate) fn launch_of(&self, kind: &OperatorKind) -> f64 {
        match kind {
            OperatorKind::View => self.view.value(),
            _ => self.launch.value(),
        }
    }

    /// Seconds of a product's outputs, beside arithmetic and traffic: on a CPU
    /// an engine's product calls a dot product for each, and what starts and
    /// ends it is as long for short rows as for long ones.
    pub(crate) fn output_seconds(&self, kernel: &Kernel) -> f64 {
        match kernel.kind {
            OperatorKind::Matmul { batch, m, n, .. } => {
                batch as f64 * m as f64 * n as f64 * self.output.value()
            }
            _ => 0.0,
        }
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

    /// Whether the last-level cache holds what a network's runs leave one
    /// another, two thirds of it at most: then no run waits for memory.
    pub(crate) fn holds(&self, bytes: f64) -> bool {
        self.cache_bandwidth.is_some()
            && bytes > 0.0
            && bytes * 1.5 < self.cache_bytes
    }

    /// The stream from where weights and inputs lie: memory, or the
    /// last-level cache where it holds them from the run before.
    pub(crate) fn stream(&self, held: bool) -> f64 {
        let memory = self.bandwidth.value();
        match self.cache_bandwidth {
            Some(cache) if held => cache.value().max(memory),
            _ => memory,
        }
    }

    /// Seconds of traffic: weights, inputs and caches come from memory, or
    /// from the last-level cache where it `held` them; what the step itself
    /// makes stays in that cache when it fits two thirds of it and the
    /// cache's bandwidth is known.
    pub(crate) fn memory_seconds(&self, kernel: &Kernel, held: bool) -> f64 {
        let lasting = self.stream(held);
        let made = self.stream(kernel.largest_made * 1.5 < self.cache_bytes);
        kernel.weight_bytes / (lasting * self.dequantise)
            + kernel.cold_bytes / lasting
            + kernel.made_bytes / made
    }
}

/// What a calibration on whole graphs found of a unit, beside the constants
/// of its kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Factors {
    /// On the share of the peak that products reach.
    compute: f64,
    /// On the share of the memory bandwidth.
    memory: f64,
    /// On the reference time of a product's output.
    output: f64,
    /// On the least time of a kernel.
    launch: f64,
}

impl Factors {
    /// Their names in an overlay, in the order of [`Self::of`].
    pub(crate) const NAMES: [&'static str; 4] =
        ["compute", "memory", "output", "launch"];

    /// The class of an overlay that holds those of a runtime: an engine's own,
    /// since what one reaches says little of another.
    pub(crate) fn class(runtime: Runtime) -> String {
        format!("roofline-{runtime}")
    }

    /// From logarithms in the order of [`Self::NAMES`]; what is missing is 1.
    pub(crate) fn of(logs: &[f64]) -> Self {
        let at = |i: usize| logs.get(i).copied().unwrap_or(0.0).exp();
        Self { compute: at(0), memory: at(1), output: at(2), launch: at(3) }
    }

    /// From an overlay's names, which `overlays` has checked; what is missing
    /// is 1.
    pub(crate) fn read(times: &BTreeMap<String, f64>) -> Self {
        let at = |name: &str| times.get(name).copied().unwrap_or(1.0).ln();
        Self::of(&Self::NAMES.map(at))
    }

    /// As an overlay's file holds them.
    pub(crate) fn named(self) -> BTreeMap<String, f64> {
        let values = [self.compute, self.memory, self.output, self.launch];
        let names = Self::NAMES.map(str::to_owned);
        names.into_iter().zip(values).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_read_as_they_were_written() {
        let found = Factors::of(&[0.5, -0.25, 1.5, 2.0]);
        let again = Factors::read(&found.named());
        for (a, b) in found.named().values().zip(again.named().values()) {
            assert!((a / b - 1.0).abs() < 1e-12, "{a} {b}");
        }
        assert_eq!(Factors::read(&BTreeMap::new()), Factors::of(&[]));
    }
}
