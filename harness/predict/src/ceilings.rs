//! The facts of a unit that the class models use, in SI units.

use assay_hardware_profiles::{Fact, HardwareProfile, Unit};
use assay_schema::{BytesPerSecond, Precision};

use crate::constants::Constants;
use crate::serving::Served;

/// What a GPU without a stated fact is taken to have. Recalled middle values
/// of the shipped profiles; a band of a new family covers what they miss.
mod usual {
    pub(super) const CORES: f64 = 64.0;
    pub(super) const CLOCK: f64 = 1.5e9;
    pub(super) const CACHE: f64 = 4.0 * 1024.0 * 1024.0;
    pub(super) const YEAR: f64 = 2021.0;
    pub(super) const LAUNCH: f64 = 2.45e-6;
}

/// Numeric facts of one unit at one precision.
#[derive(Clone, Debug)]
pub(crate) struct Ceilings {
    /// The format asked for.
    pub(crate) precision: Precision,
    /// Peak of products, FLOP/s.
    pub(crate) peak: f64,
    /// Whether that peak is the matrix unit's.
    pub(crate) on_matrix_unit: bool,
    /// What the last-level cache's feed is in proportion to, FLOP/s: the 16-bit
    /// peak of the matrix unit, whatever the format; the vector peak on lanes.
    pub(crate) fed: f64,
    /// Peak of the f32 vector lanes, FLOP/s.
    pub(crate) vector: f64,
    /// Stated memory bandwidth, B/s.
    pub(crate) bandwidth: f64,
    /// Whether the memory is GDDR or LPDDR and not stacked.
    pub(crate) narrow_memory: bool,
    /// Whether its kernels are written in Metal, not in CUDA or its kin.
    pub(crate) metal: bool,
    /// Streaming multiprocessors, compute units, cores.
    pub(crate) cores: f64,
    /// Boost clock, Hz.
    pub(crate) clock: f64,
    /// Bytes of the largest cache that all cores share.
    pub(crate) cache: f64,
    /// The same and the cores' own caches together, where they are stated.
    pub(crate) caches: f64,
    /// Power limit, W.
    pub(crate) power: Option<f64>,
    /// Year of the process.
    pub(crate) year: f64,
    /// Least time of a kernel, s, where it is known.
    pub(crate) launch: Option<f64>,
    /// The same, a guess of the profile included; the usual one without.
    pub(crate) launch_stated: f64,
    /// Peak of int8 products, OP/s; 0 where there is none.
    pub(crate) int8: f64,
    /// Threads that a core keeps at once.
    pub(crate) threads: f64,
    /// Whether decoding attention cuts the keys of heads that share none.
    pub(crate) cuts_unshared: bool,
    /// B/s in one direction: inside a node, between nodes (for each device).
    pub(crate) links: [Option<f64>; 2],
}

impl Ceilings {
    /// Of a unit whose products `served` prices.
    pub(crate) fn new(
        profile: &HardwareProfile,
        unit: &Unit,
        precision: Precision,
        served: &Served<'_>,
        constants: &Constants,
    ) -> Self {
        let peak = served.peak();
        let vector = unit
            .vector
            .get(Precision::F32)
            .or_else(|| unit.vector.get(Precision::F16))
            .map_or(peak.value(), |fact| fact.value.value());
        let cores = unit.cores.as_ref().map(|fact| fact.value.0);
        let per_cycle = unit.flops_per_cycle.as_ref().map(|fact| fact.value.0);
        let clocks = &unit.clock;
        let clock = clocks
            .boost
            .as_ref()
            .or(clocks.sustained.as_ref())
            .or(clocks.base.as_ref())
            .map(|fact| fact.value.value())
            // Cores x clock x operations a cycle is the f32 vector peak.
            .or_else(|| Some(vector / (cores? * per_cycle?)))
            .unwrap_or(usual::CLOCK);
        let cache = [&unit.cache.l2, &unit.cache.llc]
            .into_iter()
            .flatten()
            .map(|fact| fact.value.value())
            .fold(0.0, f64::max);
        let cache = if cache > 0.0 { cache } else { usual::CACHE };
        let cores = cores.unwrap_or(usual::CORES);
        let own = unit.cache.l1_per_core.as_ref();
        let own = own.map_or(0.0, |fact| fact.value.value());
        let technology = profile.memory.technology.as_deref().unwrap_or("");
        let rate = |fact: &Option<Fact<BytesPerSecond>>| {
            fact.as_ref().map(|fact| fact.value.value())
        };
        Self {
            precision,
            peak: peak.value(),
            on_matrix_unit: served.on_matrix_unit,
            fed: if served.on_matrix_unit {
                unit.matrix
                    .get(Precision::F16)
                    .or_else(|| unit.matrix.get(Precision::Bf16))
                    .map_or(peak.value(), |fact| fact.value.value())
            } else {
                peak.value()
            },
            vector,
            bandwidth: profile.memory.bandwidth.value.value(),
            narrow_memory: technology.contains("DDR"),
            metal: constants.metal(unit.architecture),
            cores,
            clock,
            cache,
            caches: cache + cores * own,
            power: profile.tdp.as_ref().map(|fact| fact.value.value()),
            year: profile
                .year
                .as_ref()
                .map_or(usual::YEAR, |fact| fact.value.0),
            launch: unit
                .launch_overhead
                .as_ref()
                .filter(|fact| fact.is_measured())
                .map(|fact| fact.value.value()),
            launch_stated: unit
                .launch_overhead
                .as_ref()
                .map_or(usual::LAUNCH, |fact| fact.value.value()),
            int8: unit
                .matrix
                .get(Precision::Int8)
                .map_or(0.0, |fact| fact.value.value()),
            threads: constants.threads(unit.architecture),
            cuts_unshared: constants.cuts_unshared(unit.architecture),
            links: [
                rate(&unit.link.intra_node).or(rate(&unit.link.pcie)),
                rate(&unit.link.inter_node),
            ],
        }
    }
}
