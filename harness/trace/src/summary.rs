//! The totals of a graph at a precision.

use assay_schema::{Precision, WorkSummary};

use crate::{Graph, memory};

/// Arithmetic, traffic, parameters and the memory peak.
pub fn summary(graph: &Graph, precision: Precision) -> WorkSummary {
    WorkSummary {
        flops: graph.flops(),
        flops_by_kind: graph.flops_by_kind(),
        bytes: graph.total_traffic(precision),
        parameters: graph.parameters(),
        memory_peak: memory(graph, precision).peak,
        operators: graph.operators.len() as u64,
    }
}
