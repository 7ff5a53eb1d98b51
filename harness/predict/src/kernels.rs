//! From a graph to the kernels that a runtime launches: element-wise
//! operators fused into their producers where the runtime fuses, identical
//! kernels counted once.

use std::collections::HashMap;

use assay_schema::Precision;
use assay_trace::{Elementwise, Graph, Operator, OperatorKind, Role, Use};

/// Kernels that are alike, and how many there are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kernel {
    /// The operator that leads it.
    pub(crate) kind: OperatorKind,
    pub(crate) count: u64,
    /// Arithmetic of the leader.
    pub(crate) flops: f64,
    /// Arithmetic of what was fused into it, on vector lanes.
    pub(crate) fused_flops: f64,
    /// Bytes of weights read.
    pub(crate) weight_bytes: f64,
    /// Bytes of other tensors that come from before the step: inputs, cached
    /// keys and values, optimizer state.
    pub(crate) cold_bytes: f64,
    /// Bytes of tensors made in the step, read and written.
    pub(crate) made_bytes: f64,
    /// Size of the largest of those, for the cache test.
    pub(crate) largest_made: f64,
}

impl Kernel {
    pub(crate) fn bytes(&self) -> f64 {
        self.weight_bytes + self.cold_bytes + self.made_bytes
    }
}

/// A graph as one runtime launches it, at one precision; ready for any
/// profile.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Launches {
    pub(crate) kernels: Vec<Kernel>,
    /// For each operator of the graph, the kernel that runs it, and its share
    /// of that kernel's time.
    pub(crate) of_operator: Vec<(usize, f64)>,
}

fn fuses(kind: &OperatorKind) -> bool {
    match kind {
        OperatorKind::Elementwise { op, .. } => *op != Elementwise::Copy,
        _ => false,
    }
}

/// For each operator, the operator whose kernel runs it: itself, or the
/// producer of an input that nobody else reads.
fn groups(graph: &Graph, fuse: bool) -> Vec<usize> {
    let mut readers = vec![0_u32; graph.tensors.len()];
    for op in &graph.operators {
        for used in &op.inputs {
            readers[used.tensor] += 1;
        }
    }
    let mut maker: HashMap<usize, usize> = HashMap::new();
    let mut group: Vec<usize> = Vec::with_capacity(graph.operators.len());
    for (i, op) in graph.operators.iter().enumerate() {
        let joined = if fuse && fuses(&op.kind) {
            op.inputs
                .iter()
                .filter(|used| readers[used.tensor] == 1)
                .find_map(|used| maker.get(&used.tensor).copied())
                .map(|producer| group[producer])
        } else {
            None
        };
        group.push(joined.unwrap_or(i));
        for used in &op.outputs {
            maker.insert(used.tensor, i);
        }
    }
    group
}

/// Numbers of a kernel that make it alike to another, as bits.
type Likeness = (OperatorKind, [u64; 6]);

impl Launches {
    pub(crate) fn new(graph: &Graph, precision: Precision, fuse: bool) -> Self {
        let group = groups(graph, fuse);
        let mut members: Vec<Vec<usize>> =
            vec![Vec::new(); graph.operators.len()];
        for (i, &leader) in group.iter().enumerate() {
            members[leader].push(i);
        }
        let mut kernels: Vec<Kernel> = Vec::new();
        let mut alike: HashMap<Likeness, usize> = HashMap::new();
        let mut of_operator = vec![(0, 0.0); graph.operators.len()];
        for (leader, members) in members.iter().enumerate() {
            if members.is_empty() {
                continue;
            }
            let kernel = kernel(graph, precision, leader, members);
            let key = (
                kernel.kind.clone(),
                [
                    kernel.fused_flops,
                    kernel.weight_bytes,
                    kernel.cold_bytes,
                    kernel.made_bytes,
                    kernel.largest_made,
                    kernel.flops,
                ]
                .map(f64::to_bits),
            );
            let index = *alike.entry(key).or_insert_with(|| {
                kernels.push(kernel);
                kernels.len() - 1
            });
            kernels[index].count += 1;
            let share = 1.0 / members.len() as f64;
            for &member in members {
                of_operator[member] = (index, share);
            }
        }
        Self { kernels, of_operator }
    }
}

fn kernel(
    graph: &Graph,
    precision: Precision,
    leader: usize,
    members: &[usize],
) -> Kernel {
    let op: &Operator = &graph.operators[leader];
    let made: Vec<usize> = members
        .iter()
        .flat_map(|&m| graph.operators[m].outputs.iter().map(|u| u.tensor))
        .collect();
    // A tensor made and read inside the group stays in registers, unless it
    // is the last: then it is written.
    let inside: Vec<usize> = members
        .iter()
        .flat_map(|&m| graph.operators[m].inputs.iter().map(|u| u.tensor))
        .filter(|tensor| made.contains(tensor))
        .collect();
    let mut kernel = Kernel {
        kind: op.kind.clone(),
        count: 0,
        flops: op.kind.flops(),
        fused_flops: 0.0,
        weight_bytes: 0.0,
        cold_bytes: 0.0,
        made_bytes: 0.0,
        largest_made: 0.0,
    };
    for &member in members {
        let part = &graph.operators[member];
        if member != leader {
            kernel.fused_flops += part.kind.flops();
        }
        let uses: Vec<&Use> = part.inputs.iter().chain(&part.outputs).collect();
        for used in uses {
            if inside.contains(&used.tensor) {
                continue;
            }
            let bytes = graph.bytes(used.tensor, used.elements, precision);
            let root = graph.tensors[used.tensor].storage;
            match graph.tensors[root].role {
                Role::Weight => kernel.weight_bytes += bytes,
                Role::Input | Role::KvCache | Role::OptimizerState => {
                    kernel.cold_bytes += bytes;
                }
                Role::Activation | Role::Gradient => {
                    kernel.made_bytes += bytes;
                    kernel.largest_made = kernel.largest_made.max(bytes);
                }
            }
        }
    }
    kernel
}
