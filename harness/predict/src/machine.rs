//! A CPU's or NPU's unit as ceilings that an operator can reach: the roofline
//! with constants, and what a calibration makes of them. GPUs have models by
//! class (`models`).

use std::collections::BTreeMap;

use assay_hardware_profiles::{
    Fact, HardwareProfile, Level, Trust, Unit, UnitName,
};
use assay_schema::{
    BytesPerSecond, FlopsPerSecond, Precision, Runtime, Seconds,
};
use assay_trace::OperatorKind;

use crate::PredictError;
use crate::constants::{Class, Constants};
use crate::kernels::Kernel;
use crate::networks::Network;
use crate::serving::Served;
use crate::table::entry_kind;

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
    /// What nothing beats, as the profile has it, no share taken off: from
    /// memory (or what an operator was seen to stream, if that is more: a
    /// shared machine's memory is not the same every minute), and from the
    /// last-level cache where that was probed.
    limits: (BytesPerSecond, Option<BytesPerSecond>),
    /// Least time of a kernel.
    pub(crate) launch: Seconds,
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
        let cache = stream(unit, Level::Llc);
        let cache_bytes =
            unit.cache.llc.as_ref().map_or(0.0, |fact| fact.value.value());
        let stated = profile.memory.bandwidth.value;
        let streamed = streamed(unit, precision, cache_bytes);
        Ok(Self {
            matrix: reach(matrix_peak, class.compute) * share,
            vector: reach(vector, class.compute),
            bandwidth,
            cache_bandwidth: cache.map(|rate| rate * constants.measured.memory),
            limits: (BytesPerSecond(stated.value().max(streamed)), cache),
            cache_bytes,
            launch,
            output: Seconds(0.0),
            attention_share: class.attention / class.compute,
            conv_share: class.conv / class.compute,
            dequantise: match name {
                // Its matrix unit takes quantised weights as they are.
                UnitName::Npu => 1.0,
                UnitName::Cpu | UnitName::Gpu => {
                    constants.dequantise(precision)
                }
            },
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

    /// Whether so many bytes stay in the last-level cache, all that is to stay
    /// there at once: two thirds of it at most, and none where the cache's
    /// bandwidth is not known.
    fn fits(&self, bytes: f64) -> bool {
        self.cache_bandwidth.is_some() && bytes * 1.5 < self.cache_bytes
    }

    /// Whether the last-level cache holds what a network's runs leave one
    /// another, beside the largest tensor that a run makes: then no run waits
    /// for memory.
    pub(crate) fn holds(&self, network: Network) -> bool {
        let lasting = network.lasting_bytes;
        lasting > 0.0 && self.fits(lasting + network.largest_made)
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

    /// What that stream cannot beat: the same bandwidths as they are stated or
    /// were probed, without the share that an ordinary kernel reaches.
    pub(crate) fn limit(&self, held: bool) -> f64 {
        let (memory, cache) = self.limits;
        match cache {
            Some(cache) if held => cache.value().max(memory.value()),
            _ => memory.value(),
        }
    }

    /// Seconds of traffic: weights, inputs and caches come from memory, or
    /// from the last-level cache where it `held` them (and then what is made
    /// fits beside them); what the step itself makes stays in that cache where
    /// it fits alone.
    pub(crate) fn memory_seconds(&self, kernel: &Kernel, held: bool) -> f64 {
        let lasting = self.stream(held);
        let made = self.stream(held || self.fits(kernel.largest_made));
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
    stream(unit, Level::Dram).map_or(stated.value * class.memory, |rate| {
        rate * constants.measured.memory
    })
}

/// The fastest that a probed operator read of what no cache had kept, twice its
/// size; 0 where none was probed, B/s.
fn streamed(unit: &Unit, precision: Precision, cache_bytes: f64) -> f64 {
    let probed = unit.efficiency.iter();
    probed
        .filter(|entry| entry.precision == precision && !entry.cached)
        .filter_map(|entry| {
            let kind = entry_kind(entry)?;
            let kernel = Kernel::alone(&kind, precision);
            let read = kernel.weight_bytes + kernel.cold_bytes;
            (cache_bytes > 0.0 && read >= 2.0 * cache_bytes)
                .then(|| read / entry.seconds.value.value())
        })
        .fold(0.0, f64::max)
}

/// The measured stream from a level. A rate that was worked out of something
/// else, of a decode step say, is none.
fn stream(unit: &Unit, level: Level) -> Option<BytesPerSecond> {
    let fact = unit.stream(level)?;
    (fact.trust != Trust::Derived).then_some(fact.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A unit of 12 MB of cache at 400 GB/s, 95 % of them reached, over memory
    /// of 50 GB/s, of which 40 are.
    fn cached() -> Machine {
        let probed = BytesPerSecond(400e9);
        Machine {
            matrix: FlopsPerSecond(1e12),
            vector: FlopsPerSecond(1e12),
            bandwidth: BytesPerSecond(40e9),
            cache_bandwidth: Some(probed * 0.95),
            cache_bytes: 12e6,
            limits: (BytesPerSecond(50e9), Some(probed)),
            launch: Seconds(1e-6),
            output: Seconds(0.0),
            attention_share: 1.0,
            conv_share: 1.0,
            dequantise: 1.0,
        }
    }

    fn network(lasting_bytes: f64, largest_made: f64) -> Network {
        Network {
            whole: true,
            lasting_bytes,
            largest_made,
            ..Network::default()
        }
    }

    #[test]
    fn what_lasts_and_what_is_made_share_two_thirds_of_the_cache() {
        let machine = cached();
        assert!(machine.holds(network(5e6, 2.9e6)));
        assert!(!machine.holds(network(5e6, 3.1e6)));
        assert!(!machine.holds(network(0.0, 1e6)), "an operator alone");
        let unknown = Machine { cache_bandwidth: None, ..machine };
        assert!(!unknown.holds(network(1e6, 0.0)));
    }

    #[test]
    fn what_is_held_streams_from_the_cache_and_nothing_beats_the_profile() {
        let machine = cached();
        let from = |held| (machine.stream(held), machine.limit(held));
        assert_eq!(from(false), (40e9, 50e9));
        assert!((machine.stream(true) / 380e9 - 1.0).abs() < 1e-12);
        assert_eq!(machine.limit(true), 400e9);
        // A cache that was probed to be slower than memory does not slow.
        let slow = Machine {
            cache_bandwidth: Some(BytesPerSecond(10e9)),
            limits: (BytesPerSecond(50e9), Some(BytesPerSecond(11e9))),
            ..machine
        };
        assert_eq!((slow.stream(true), slow.limit(true)), (40e9, 50e9));
    }

    #[test]
    fn a_tensor_of_the_step_stays_in_the_cache_where_it_fits() {
        let machine = cached();
        let kind = OperatorKind::Copy { elements: 1 };
        let kernel = |largest_made| Kernel {
            weight_bytes: 0.0,
            cold_bytes: 1e6,
            made_bytes: 1e6,
            largest_made,
            ..Kernel::alone(&kind, Precision::F32)
        };
        let seconds =
            |made, held| machine.memory_seconds(&kernel(made), held) * 1e6;
        let (memory, cache) = (1e12 / 40e9, 1e12 / 380e9);
        for (made, held, expected) in [
            (1e6, false, memory + cache),
            (9e6, false, 2.0 * memory),
            (1e6, true, 2.0 * cache),
        ] {
            let off = seconds(made, held) / expected - 1.0;
            assert!(off.abs() < 1e-12, "{made} {held}: {off}");
        }
    }

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
