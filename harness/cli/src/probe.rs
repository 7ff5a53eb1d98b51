//! This machine's ceilings, measured: GEMM peak by type and threads, stream
//! bandwidth by cache level, each operator kind at shapes of its own, the
//! launch of an operator, the timer.

mod gemm;
pub(crate) mod operators;
mod stream;

use std::sync::atomic::AtomicBool;

use anyhow::{Result, anyhow};
use assay_hardware_profiles::{
    Architecture, Density, Fact, HardwareProfile, Interval, Memory, Quantity,
    Timer, Unit, UnitName,
};
use assay_measure::{
    SystemClock, TimerReport, available_memory, host_facts, timer_report,
};
use assay_schema::{Bytes, BytesPerSecond, Estimate, Host, Precision, Seconds};

use crate::defaults::HOST;
use crate::device::Place;
use crate::progress::Progress;

/// How long to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// About 40 seconds.
    Quick,
    /// About 3 minutes.
    Thorough,
}

impl Depth {
    /// Sampling time of one figure, in each round.
    fn budget(self) -> Seconds {
        match self {
            Self::Quick => Seconds(0.1),
            Self::Thorough => Seconds(0.3),
        }
    }

    /// Rounds over all figures. A shared machine has slow minutes: a figure
    /// that is spread over the whole probe meets its share of them, and the
    /// figures stay comparable.
    fn rounds(self) -> usize {
        match self {
            Self::Quick => 2,
            Self::Thorough => 4,
        }
    }
}

/// Where a measured figure comes from.
const SOURCE: &str = "assay probe";

/// The time that stands for a figure: the median of all rounds, as a run's is,
/// so that a ceiling and what is compared with it meet the same machine.
fn typical(seconds: &[f64]) -> Result<Estimate> {
    Ok(assay_statistics::median_estimate(seconds, 0.95)?)
}

/// An estimate as a measured fact in a unit.
fn fact<U: Quantity>(estimate: &Estimate, unit: fn(f64) -> U) -> Fact<U> {
    let interval = Interval {
        low: unit(estimate.low),
        high: unit(estimate.high),
        confidence: estimate.confidence,
    };
    Fact::measured(unit(estimate.point), SOURCE, Some(interval))
}

/// Measures the machine.
pub(crate) fn probe(
    depth: Depth,
    interrupted: &AtomicBool,
) -> Result<HardwareProfile> {
    let host = host_facts();
    let clock = SystemClock::detect();
    let timer = timer_report(&clock);
    let cases = operators::cases()?;
    let place = Place::cpu();
    let mut shapes = operators::Shapes::new(&cases, &place).and_cached()?;
    let steps = depth.rounds() * (shapes.count() + 2);
    let mut progress = Progress::new(steps as u64);

    let mut unit = Unit::new(architecture(&host));
    unit.detail = Some(host.cpu.clone());
    unit.simd = Some(host.features.join(" "));
    unit.cores = Some(Fact::measured(
        assay_hardware_profiles::Count(f64::from(host.cores)),
        "the operating system",
        None,
    ));
    unit.timer = Some(timer_facts(&timer));

    let mut streams = stream::Streams::new(&host);
    let mut gemms = gemm::Gemms::new();
    for _ in 0..depth.rounds() {
        progress.begin("stream bandwidth");
        streams.round(depth.budget());
        progress.end("stream bandwidth");
        progress.begin("matrix products");
        gemms.round(depth.budget())?;
        progress.end("matrix products");
        shapes.round(depth.budget(), interrupted, &mut progress)?;
    }
    unit.bandwidth = streams.found()?;
    unit.gemm = gemms.found()?;
    shapes.fill(&mut unit)?;
    let dram = unit
        .stream(assay_hardware_profiles::Level::Dram)
        .cloned()
        .ok_or_else(|| anyhow!("main memory was not measured"))?;
    for precision in [Precision::F32, Precision::F16, Precision::Bf16] {
        let best = unit
            .gemm
            .iter()
            .filter(|gemm| gemm.precision == precision)
            .map(|gemm| &gemm.peak)
            .max_by(|a, b| a.value.value().total_cmp(&b.value.value()));
        if let Some(best) = best.cloned() {
            unit.vector.set(precision, best);
        }
    }

    if let Some(bytes) = host.last_level_cache_bytes {
        unit.cache.llc = Some(Fact::measured(
            Bytes(bytes as f64),
            "the operating system",
            None,
        ));
    }
    Ok(profile(&host, unit, dram))
}

fn profile(
    host: &Host,
    unit: Unit,
    dram: Fact<BytesPerSecond>,
) -> HardwareProfile {
    let size = available_memory()
        .map_or(Bytes(host.memory_bytes as f64), |free| {
            free.max(Bytes(host.memory_bytes as f64))
        });
    HardwareProfile {
        format_version: assay_hardware_profiles::FORMAT_VERSION,
        name: HOST.to_owned(),
        title: format!("{} ({})", host.cpu, host.name),
        vendor: host
            .cpu
            .split_whitespace()
            .next()
            .unwrap_or("unknown")
            .to_owned(),
        class: "this machine".to_owned(),
        peaks: Density::Dense,
        default_unit: UnitName::Cpu,
        notes: format!(
            "probed on {} cores of {}{}",
            host.cores,
            host.os,
            host.hypervisor
                .as_ref()
                .map_or(String::new(), |h| format!(" under {h}"))
        ),
        year: None,
        tdp: None,
        memory: Memory {
            technology: None,
            bandwidth: dram,
            size: Some(Fact::measured(size, "the operating system", None)),
            bus_width: None,
            pin_rate: None,
        },
        explained: Vec::new(),
        units: [(UnitName::Cpu, unit)].into(),
    }
}

fn timer_facts(timer: &TimerReport) -> Timer {
    Timer {
        resolution: Fact::measured(timer.resolution, SOURCE, None),
        cost: Fact::measured(timer.read_cost, SOURCE, None),
    }
}

/// The family of the host's processor, by the instructions that it has.
fn architecture(host: &Host) -> Architecture {
    let has = |name: &str| host.features.iter().any(|f| f == name);
    if has("amx_tile") {
        Architecture::Amx
    } else if has("avx512f") {
        Architecture::Avx512
    } else if has("avx2") {
        Architecture::Avx2
    } else if cfg!(target_arch = "aarch64") {
        Architecture::Neon
    } else {
        Architecture::Unknown
    }
}
