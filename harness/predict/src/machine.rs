//! A unit of a profile as ceilings that an operator can reach.

use assay_hardware_profiles::{Fact, HardwareProfile, Level, Unit, UnitName};
use assay_schema::{BytesPerSecond, FlopsPerSecond, Precision, Seconds};
use assay_trace::OperatorKind;

use crate::PredictError;
use crate::constants::{Class, Constants};
use crate::kernels::Kernel;

/// Ceilings of one unit at one precision.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// Peak of products, as stated.
    pub(crate) matrix_peak: FlopsPerSecond,
    /// What a product reaches.
    pub(crate) matrix: FlopsPerSecond,
    /// What everything else reaches.
    pub(crate) vector: FlopsPerSecond,
    /// Memory bandwidth as stated.
    pub(crate) bandwidth_peak: BytesPerSecond,
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

/// The peak that serves a precision: its own, else the next wider that the
/// unit has. Weight-only formats multiply in their compute format. `f32` is
/// vector arithmetic. An NPU that publishes int8 alone is taken to do f16 at
/// half of it.
fn peak(
    unit: &Unit,
    precision: Precision,
) -> Option<(&Fact<FlopsPerSecond>, f64)> {
    let own = |p: Precision| {
        if p == Precision::F32 {
            unit.vector.get(p).or_else(|| unit.matrix.get(p))
        } else {
            unit.peak(p)
        }
    };
    let ladder: &[Precision] = match precision.compute() {
        Precision::F64 => &[Precision::F64],
        Precision::F32 => &[Precision::F32],
        Precision::Tf32 => &[Precision::Tf32, Precision::F32],
        Precision::F16 => &[Precision::F16, Precision::Bf16, Precision::F32],
        Precision::Bf16 => &[Precision::Bf16, Precision::F16, Precision::F32],
        Precision::Fp8 => {
            &[Precision::Fp8, Precision::F16, Precision::Bf16, Precision::F32]
        }
        _ => &[Precision::Int8, Precision::F16, Precision::F32],
    };
    ladder.iter().find_map(|&p| own(p).map(|fact| (fact, 1.0))).or_else(|| {
        let narrow =
            matches!(precision.compute(), Precision::F16 | Precision::Bf16);
        narrow.then(|| own(Precision::Int8).map(|fact| (fact, 0.5))).flatten()
    })
}

impl Machine {
    pub(crate) fn new(
        profile: &HardwareProfile,
        name: UnitName,
        unit: &Unit,
        precision: Precision,
    ) -> Result<Self, PredictError> {
        let constants = Constants::get()?;
        let class = constants.class(name);
        let no_peak = || PredictError::NoPeak {
            profile: profile.name.clone(),
            unit: name.name().to_owned(),
            precision,
            has: Precision::ALL
                .into_iter()
                .filter(|&p| unit.peak(p).is_some())
                .map(Precision::name)
                .collect::<Vec<_>>()
                .join(", "),
        };
        let (matrix_peak, share) = peak(unit, precision).ok_or_else(no_peak)?;
        let reach = |fact: &Fact<FlopsPerSecond>, declared: f64| {
            let share = if fact.is_measured() {
                constants.measured.compute
            } else {
                declared
            };
            fact.value * share
        };
        // What is no product runs on vector lanes in f32; a unit without
        // them (an NPU) runs it on what it has.
        let vector = unit
            .vector
            .get(Precision::F32)
            .or_else(|| unit.vector.get(Precision::F16))
            .unwrap_or(matrix_peak);
        let (bandwidth_peak, bandwidth) =
            bandwidth(profile, unit, constants, class);
        let launch = unit
            .launch_overhead
            .as_ref()
            .filter(|fact| fact.is_measured())
            .map_or(Seconds(class.launch_s), |fact| fact.value);
        Ok(Self {
            matrix_peak: matrix_peak.value * share,
            matrix: reach(matrix_peak, class.compute) * share,
            vector: reach(vector, class.compute),
            bandwidth_peak,
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

/// The stated and the reachable memory bandwidth.
fn bandwidth(
    profile: &HardwareProfile,
    unit: &Unit,
    constants: &Constants,
    class: &Class,
) -> (BytesPerSecond, BytesPerSecond) {
    let stated = &profile.memory.bandwidth;
    if stated.is_measured() {
        return (stated.value, stated.value * constants.measured.memory);
    }
    let measured = unit
        .stream(Level::Dram)
        .map(|fact| fact.value * constants.measured.memory);
    (stated.value, measured.unwrap_or(stated.value * class.memory))
}
