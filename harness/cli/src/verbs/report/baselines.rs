//! Two rooflines that a predictor has to beat.
//!
//! Plain: `max(FLOPs / peak, bytes / bandwidth)`. With three constants:
//! `max(FLOPs / 0.8 peak, bytes / 0.8 bandwidth) + 3 us` a kernel, NVIDIA's
//! own fallback in aiconfigurator. A collective takes the bytes that cross a
//! rank's link, over the link or 0.8 of it. Both know the declared facts of a
//! profile and nothing that was fitted.

use assay_hardware_profiles::Unit;
use assay_predict::{Traced, serving_peak};
use assay_schema::{Case, Precision, Prediction, Runtime};
use assay_trace::{Collective, Elementwise, OperatorKind};

use crate::predictions::On;

/// Share of the peak and of the bandwidth.
const EFFICIENCY: f64 = 0.8;
/// Seconds a kernel.
const KERNEL: f64 = 3e-6;

/// Seconds; `None` where the profile lacks a ceiling.
pub(super) struct Rooflines {
    pub(super) plain: Option<f64>,
    pub(super) three_constants: Option<f64>,
}

impl Rooflines {
    /// Of a predicted case.
    pub(super) fn of(
        prediction: &Prediction,
        case: &Case,
        traced: &Traced,
        on: &On,
    ) -> Self {
        let kernels = kernels(traced, prediction.runtime);
        let ideal = ideal(prediction, case, traced, on);
        Self {
            plain: ideal,
            three_constants: ideal
                .map(|seconds| seconds / EFFICIENCY + kernels * KERNEL),
        }
    }
}

/// Both shares are the same, so that the slower of two ceilings stays it.
fn ideal(
    prediction: &Prediction,
    case: &Case,
    traced: &Traced,
    on: &On,
) -> Option<f64> {
    let (_, unit) = on.profile.unit(Some(on.unit.name())).ok()?;
    let operators = &traced.graph().operators;
    if let [only] = &operators[..]
        && let OperatorKind::Collective { .. } = &only.kind
    {
        return over_the_link(&only.kind, unit);
    }
    let bandwidth = on.profile.memory.bandwidth.value.value();
    let precision = crate::registry::precision(case).ok()?;
    let flops = prediction.flops.value();
    let compute = match serving_peak(&on.profile, on.unit, precision) {
        Some(peak) => flops / peak.value(),
        None if flops == 0.0 => 0.0,
        None => return None,
    };
    Some(compute.max(prediction.bytes.value() / bandwidth))
}

/// Whether a product in a format has no matrix unit to run on.
pub(super) fn on_vector_lanes(on: &On, precision: Precision) -> bool {
    let Ok((_, unit)) = on.profile.unit(Some(on.unit.name())) else {
        return false;
    };
    matches!(precision.compute(), Precision::F32 | Precision::F64)
        || unit.matrix.is_empty()
}

/// Bytes that a rank sends over its link, over the link of a node's devices,
/// or over that between nodes where there is more than one.
fn over_the_link(kind: &OperatorKind, unit: &Unit) -> Option<f64> {
    let &OperatorKind::Collective { operation, bytes, ranks, ranks_per_node } =
        kind
    else {
        return None;
    };
    let link = if ranks > ranks_per_node {
        unit.link.inter_node.as_ref()
    } else {
        unit.link.intra_node.as_ref()
    }?;
    let (bytes, ranks) = (bytes as f64, ranks.max(1) as f64);
    let sent = match operation {
        Collective::AllReduce => 2.0 * bytes * (ranks - 1.0) / ranks,
        Collective::AllGather => bytes * (ranks - 1.0),
        Collective::ReduceScatter | Collective::AllToAll => {
            bytes * (ranks - 1.0) / ranks
        }
        Collective::SendRecv => bytes,
    };
    Some(sent / link.value.value())
}

/// Launches of a graph: one an operator; element-wise ones go into what made
/// their input, except where nothing is fused or nothing else is there.
fn kernels(traced: &Traced, runtime: Runtime) -> f64 {
    let operators = &traced.graph().operators;
    let fused = |kind: &OperatorKind| match kind {
        OperatorKind::Elementwise { op, .. } => {
            runtime != Runtime::Eager && *op != Elementwise::Copy
        }
        _ => false,
    };
    let launched = operators.iter().filter(|o| !fused(&o.kind)).count();
    launched.max(1) as f64
}
