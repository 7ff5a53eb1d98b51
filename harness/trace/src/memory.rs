//! Memory over time: which storages live while each operator runs.
//!
//! A storage is born when an operator first writes it and dies after the last
//! operator that touches it; weights, caches, inputs and optimizer state live
//! throughout, outputs to the end. The engine's capture records no frees, so
//! the last use stands for them (`../shared/facts/burn.md`, section 4).

use assay_schema::{Bytes, MemoryParts, Precision};

use crate::{Graph, Role};

/// Memory at each operator, and at the peak.
#[derive(Clone, Debug, serde::Serialize)]
pub struct MemoryProfile {
    /// Live bytes while each operator runs, in operator order.
    pub over_time: Vec<Bytes>,
    /// Operator at the peak; `None` for a graph without operators.
    pub peak_operator: Option<usize>,
    /// What lives at the peak.
    pub peak: MemoryParts,
}

fn part(parts: &mut MemoryParts, role: Role) -> &mut Bytes {
    match role {
        Role::Weight => &mut parts.weights_bytes,
        Role::KvCache => &mut parts.kv_cache_bytes,
        Role::Gradient => &mut parts.gradients_bytes,
        Role::OptimizerState => &mut parts.optimizer_bytes,
        Role::Input | Role::Activation => &mut parts.activations_bytes,
    }
}

/// Walks the graph once.
pub fn memory(graph: &Graph, precision: Precision) -> MemoryProfile {
    let end = graph.operators.len();
    // First and last operator that touches each storage.
    let mut born = vec![usize::MAX; graph.tensors.len()];
    let mut last = vec![0; graph.tensors.len()];
    for (i, op) in graph.operators.iter().enumerate() {
        for used in op.inputs.iter().chain(&op.outputs) {
            let root = graph.tensors[used.tensor].storage;
            born[root] = born[root].min(i);
            last[root] = i;
        }
    }
    for &output in &graph.outputs {
        last[graph.tensors[output].storage] = end;
    }

    let mut live = MemoryParts::default();
    let mut births: Vec<Vec<usize>> = vec![Vec::new(); end];
    let mut deaths: Vec<Vec<usize>> = vec![Vec::new(); end];
    let size = |root: usize| {
        Bytes(graph.bytes(root, graph.tensors[root].elements, precision))
    };
    for (root, tensor) in graph.tensors.iter().enumerate() {
        if tensor.storage != root {
            continue;
        }
        if tensor.role.is_persistent() {
            *part(&mut live, tensor.role) += size(root);
        } else if born[root] < end {
            births[born[root]].push(root);
            if last[root] < end {
                deaths[last[root]].push(root);
            }
        }
    }

    let mut peak = live;
    let mut peak_operator = None;
    let mut over_time = Vec::with_capacity(end);
    for (i, op) in graph.operators.iter().enumerate() {
        for &root in &births[i] {
            *part(&mut live, graph.tensors[root].role) += size(root);
        }
        let mut now = live;
        now.activations_bytes +=
            Bytes(op.scratch_bytes as f64 * precision.activation_bytes() / 4.0);
        if peak_operator.is_none() || now.total() > peak.total() {
            peak = now;
            peak_operator = Some(i);
        }
        over_time.push(now.total());
        for &root in &deaths[i] {
            let bytes = part(&mut live, graph.tensors[root].role);
            *bytes = *bytes - size(root);
        }
    }
    MemoryProfile { over_time, peak_operator, peak }
}
