//! A graph at a precision, and its prediction on a target.

use std::sync::{Arc, OnceLock};

use assay_schema::{
    Bound, Bytes, Case, Estimate, Flops, MemoryPart, Precision, Prediction,
    Provenance, Runtime, Seconds,
};
use assay_trace::{Graph, memory};

use crate::constants::Constants;
use crate::graph_time::Priced;
use crate::kernels::Launches;
use crate::target::Times;
use crate::{PredictError, Target};

/// A graph at a precision, with what does not depend on the machine.
#[derive(Debug)]
pub struct Traced {
    graph: Arc<Graph>,
    precision: Precision,
    peak: Bytes,
    parameters: u64,
    flops: Flops,
    launches: [OnceLock<Launches>; 2],
}

impl Traced {
    /// Prices a graph at a precision.
    pub fn new(graph: Arc<Graph>, precision: Precision) -> Self {
        Self {
            peak: memory(&graph, precision).peak.total(),
            parameters: graph.parameters(),
            flops: graph.flops(),
            graph,
            precision,
            launches: [OnceLock::new(), OnceLock::new()],
        }
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The precision.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    pub(crate) fn launches(&self, fuse: bool) -> &Launches {
        self.launches[usize::from(fuse)]
            .get_or_init(|| Launches::new(&self.graph, self.precision, fuse))
    }
}

/// Predicts a case on a target.
///
/// `case` names it in the result, its axes with defaults filled in.
///
/// # Errors
///
/// Communication between ranks on a profile without a link.
pub fn predict(
    case: &Case,
    traced: &Traced,
    target: &Target,
    runtime: Runtime,
) -> Result<Prediction, PredictError> {
    let constants = Constants::get()?;
    let fuse = constants.runtime(runtime)?.fuse;
    let launches = traced.launches(fuse);
    let priced = target.times(launches, runtime)?;
    let Priced { times, bytes, .. } = priced;
    Ok(Prediction {
        case: case.path(),
        axes: case.axes.clone(),
        profile: target.profile.clone(),
        unit: target.unit.name().to_owned(),
        runtime,
        latency_s: target.banded(&priced, runtime),
        time_by_class: priced.time_by_class(),
        flops: traced.flops,
        bytes: Bytes(bytes),
        parameters: traced.parameters,
        memory_peak_bytes: traced.peak,
        memory_parts: Vec::new(),
        fits: target.memory_bytes.map(|size| traced.peak.value() <= size),
        energy_j: energy(target, &times, traced.flops.value(), bytes)?,
        bound: bound(&times),
        provenance: Provenance::Predicted,
    })
}

/// The prediction with the memory that the runtime's engine allocates, in the
/// place of what the graph holds at its peak. `target` is the one that was
/// predicted on: whether it fits is asked again.
///
/// What an engine allocates is the business of the workload that it runs, and
/// comes from there.
#[must_use]
pub fn with_engine_memory(
    prediction: Prediction,
    parts: Vec<MemoryPart>,
    target: &Target,
) -> Prediction {
    let peak: Bytes = parts.iter().map(|part| part.bytes).sum();
    Prediction {
        memory_peak_bytes: peak,
        memory_parts: parts,
        fits: target.memory_bytes.map(|size| peak.value() <= size),
        ..prediction
    }
}

/// Predicted seconds of each operator, in the graph's order.
///
/// # Errors
///
/// As [`predict`].
pub fn operator_seconds(
    traced: &Traced,
    target: &Target,
    runtime: Runtime,
) -> Result<Vec<Seconds>, PredictError> {
    let fuse = Constants::get()?.runtime(runtime)?.fuse;
    target.operator_seconds(traced.launches(fuse), runtime)
}

fn bound(times: &Times) -> Bound {
    [
        (times.compute, Bound::Compute),
        (times.memory, Bound::Memory),
        (times.overhead, Bound::Overhead),
        (times.network, Bound::Network),
    ]
    .into_iter()
    .max_by(|a, b| a.0.total_cmp(&b.0))
    .map_or(Bound::Overhead, |(_, bound)| bound)
}

/// Power is a share of the device's limit: idle, plus what arithmetic and
/// traffic use of theirs. `None` for a profile without a limit.
fn energy(
    target: &Target,
    times: &Times,
    flops: f64,
    bytes: f64,
) -> Result<Option<Estimate>, PredictError> {
    let Some(tdp) = target.ceilings.power else { return Ok(None) };
    let power = &Constants::get()?.power;
    let total = times.total();
    let ceilings = &target.ceilings;
    let compute = flops / ceilings.peak / total;
    let memory = bytes / ceilings.bandwidth / total;
    let share = power.idle
        + power.compute * compute.min(1.0)
        + power.memory * memory.min(1.0);
    let point = share * tdp * total;
    Ok(Some(Estimate {
        point,
        low: point / (1.0 + power.band),
        high: point * (1.0 + power.band),
        confidence: 0.8,
        n: 0,
        method: "share of the power limit by use of arithmetic and memory"
            .to_owned(),
    }))
}
