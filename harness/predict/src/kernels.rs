//! From a graph to the kernels that a runtime launches: element-wise
//! operators fused into their producers where the runtime fuses, identical
//! kernels counted once.

use std::collections::{BTreeMap, HashMap};

use assay_schema::{Precision, Runtime};
use assay_trace::{Elementwise, Graph, Operator, OperatorKind, Role};

use crate::fixed_shapes::Sequences;

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
    /// keys and values, optimizer state (read and written back).
    pub(crate) cold_bytes: f64,
    /// Bytes of tensors made in the step, read and written, in a place of
    /// their own or in an input's.
    pub(crate) made_bytes: f64,
    /// Size of the largest of those, for the cache test.
    pub(crate) largest_made: f64,
}

impl Kernel {
    pub(crate) fn bytes(&self) -> f64 {
        self.weight_bytes + self.cold_bytes + self.made_bytes
    }

    /// An operator alone, as a probe runs it: its inputs come from memory (they
    /// rotate), its output is just made. The right operand of one product is
    /// the weights, as in a layer.
    pub(crate) fn alone(kind: &OperatorKind, precision: Precision) -> Self {
        let f = |n: u64| n as f64;
        let mut weights = 0.0;
        let (inputs, output) = match *kind {
            OperatorKind::Matmul { batch: 1, m, n, k } => {
                weights = f(k) * f(n);
                (f(m) * f(k), f(m) * f(n))
            }
            OperatorKind::Matmul { batch, m, n, k } => {
                (f(batch) * f(k) * (f(m) + f(n)), f(batch) * f(m) * f(n))
            }
            OperatorKind::Attention {
                batch,
                heads,
                kv_heads,
                head_dim,
                query,
                keys,
                ..
            } => {
                let rows = f(batch) * f(heads) * f(query) * f(head_dim);
                let seen = f(batch) * f(kv_heads) * f(keys) * f(head_dim);
                (rows + 2.0 * seen, rows)
            }
            OperatorKind::Softmax { rows, cols, .. }
            | OperatorKind::LayerNorm { rows, cols, .. }
            | OperatorKind::RmsNorm { rows, cols, .. } => {
                (f(rows) * f(cols), f(rows) * f(cols))
            }
            OperatorKind::Elementwise { elements, operands, .. } => {
                (f(elements) * f(operands), f(elements))
            }
            OperatorKind::Copy { elements } => (f(elements), f(elements)),
            OperatorKind::Embedding { width, tokens, .. } => {
                (f(width) * f(tokens), f(width) * f(tokens))
            }
            OperatorKind::Conv {
                batch,
                in_channels,
                out_channels,
                positions,
                taps,
            } => (
                f(batch) * f(positions) * f(in_channels)
                    + f(out_channels) * f(taps),
                f(batch) * f(positions) * f(out_channels),
            ),
            _ => (0.0, 0.0),
        };
        let bytes = precision.activation_bytes();
        Self {
            kind: kind.clone(),
            count: 1,
            flops: kind.flops(),
            fused_flops: 0.0,
            weight_bytes: weights * precision.weight_bits() / 8.0,
            cold_bytes: inputs * bytes,
            made_bytes: output * bytes,
            largest_made: output * bytes,
        }
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
    /// Bytes that one run finds as the one before left them: weights, inputs,
    /// caches, optimizer state. Each storage counts once, however often it is
    /// read or written.
    pub(crate) lasting_bytes: f64,
    /// What it does with sequences of tokens.
    pub(crate) sequences: Sequences,
}

/// What a run of a graph touches of the storages that outlive it: of each the
/// most that one use moves (of a table the rows that are picked).
fn lasting_bytes(graph: &Graph, precision: Precision) -> f64 {
    let mut touched: BTreeMap<usize, f64> = BTreeMap::new();
    for op in &graph.operators {
        for used in op.inputs.iter().chain(&op.outputs) {
            let root = graph.tensors[used.tensor].storage;
            if graph.tensors[root].role.is_persistent() {
                let bytes = graph.bytes(used.tensor, used.elements, precision);
                let most = touched.entry(root).or_default();
                *most = most.max(bytes);
            }
        }
    }
    touched.values().sum()
}

fn fuses(kind: &OperatorKind) -> bool {
    match kind {
        OperatorKind::Elementwise { op, .. } => *op != Elementwise::Copy,
        _ => false,
    }
}

/// For each tensor that an operator makes, how often it is needed: by
/// operators, through views too, and after the step.
fn readers(graph: &Graph) -> Vec<u32> {
    let mut readers = vec![0; graph.tensors.len()];
    // The tensor that was last written into each storage: what a view of that
    // storage shows.
    let mut shown: HashMap<usize, usize> = HashMap::new();
    let mut made = vec![false; graph.tensors.len()];
    let mut read = |tensor: usize, made: &[bool], shown: &HashMap<_, _>| {
        let storage = graph.tensors[tensor].storage;
        let viewed = shown.get(&storage).filter(|_| !made[tensor]);
        readers[*viewed.unwrap_or(&tensor)] += 1;
    };
    for op in &graph.operators {
        for used in &op.inputs {
            read(used.tensor, &made, &shown);
        }
        for used in &op.outputs {
            made[used.tensor] = true;
            shown.insert(graph.tensors[used.tensor].storage, used.tensor);
        }
    }
    for &output in &graph.outputs {
        read(output, &made, &shown);
    }
    readers
}

/// For each operator, the operator whose kernel runs it: itself, or the
/// producer of an input that nobody else reads.
fn groups(graph: &Graph, fuse: bool) -> Vec<usize> {
    let readers = readers(graph);
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

/// Rows that a product has at most to count as thin.
pub(crate) const THIN: u64 = 8;

impl Launches {
    /// Whether no product has more than [`THIN`] rows: a decode step.
    pub(crate) fn is_thin(&self) -> bool {
        self.kernels.iter().all(|kernel| match kernel.kind {
            OperatorKind::Matmul { batch, m, .. } => m * batch <= THIN,
            OperatorKind::Attention { query, .. } => query <= THIN,
            _ => true,
        })
    }

    /// How many kernels are launched. A graph's views are no operators
    /// (`assay_trace` resolves them), so each of its kernels does work.
    pub(crate) fn count(&self) -> u64 {
        self.kernels.iter().map(|kernel| kernel.count).sum()
    }

    /// Whether it is one operator, of which a runtime shows the kernel.
    pub(crate) fn is_alone(&self, runtime: Runtime) -> bool {
        runtime == Runtime::Kernel && self.count() == 1
    }

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
        let lasting_bytes = lasting_bytes(graph, precision);
        let sequences = Sequences::of(&kernels);
        Self { kernels, of_operator, lasting_bytes, sequences }
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
        let read = part.inputs.iter().map(|used| (used, false));
        let written = part.outputs.iter().map(|used| (used, true));
        for (used, is_written) in read.chain(written) {
            if inside.contains(&used.tensor) {
                continue;
            }
            let bytes = graph.bytes(used.tensor, used.elements, precision);
            let root = graph.tensors[used.tensor].storage;
            match graph.tensors[root].role {
                Role::Weight => kernel.weight_bytes += bytes,
                Role::OptimizerState => kernel.cold_bytes += bytes,
                Role::Input | Role::KvCache if !is_written => {
                    kernel.cold_bytes += bytes;
                }
                // An output that takes its input's place was just read: it is
                // no second trip to memory.
                Role::Input
                | Role::KvCache
                | Role::Activation
                | Role::Gradient => {
                    kernel.made_bytes += bytes;
                    kernel.largest_made = kernel.largest_made.max(bytes);
                }
            }
        }
    }
    kernel
}

#[cfg(test)]
mod tests {
    use assay_trace::{Elements, Pass, TensorInfo, Use, capture};
    use burn::tensor::Tensor;
    use burn::tensor::activation::relu;

    use super::*;

    /// `layers` times `x + relu(x W)`.
    fn layered(layers: usize) -> Graph {
        traced(|x, weight| {
            let mut x = x;
            for _ in 0..layers {
                x = x.clone() + relu(x.matmul(weight()));
            }
            vec![x]
        })
    }

    /// The graph of a function of an input `[4, 8]` and weights `[8, 8]`.
    fn traced(
        run: impl Fn(Tensor<2>, &dyn Fn() -> Tensor<2>) -> Vec<Tensor<2>>,
    ) -> Graph {
        capture(
            |_| None,
            |recorder| {
                let device = recorder.device();
                let weight = || {
                    let w = Tensor::<2>::zeros([8, 8], &device);
                    recorder.role(&w, Role::Weight);
                    w
                };
                let x = Tensor::<2>::zeros([4, 8], &device);
                recorder.role(&x, Role::Input);
                for output in run(x, &weight) {
                    recorder.output(&output);
                }
            },
        )
        .unwrap()
    }

    fn launched(graph: &Graph, fuse: bool) -> Launches {
        Launches::new(graph, Precision::F32, fuse)
    }

    fn bytes(launches: &Launches) -> f64 {
        let each = |k: &Kernel| k.bytes() * k.count as f64;
        launches.kernels.iter().map(each).sum()
    }

    #[test]
    fn like_operators_are_one_kernel_however_many_layers() {
        for fuse in [false, true] {
            let (few, many) = (layered(3), layered(300));
            let (few, many) = (launched(&few, fuse), launched(&many, fuse));
            assert_eq!(few.kernels.len(), many.kernels.len(), "fuse {fuse}");
            assert!(many.kernels.len() <= 6, "{}", many.kernels.len());
            // What is launched grows with the model, what is priced does not.
            assert_eq!(many.count(), 100 * few.count());
        }
        assert_eq!(layered(300).operators.len(), 900);
    }

    #[test]
    fn an_element_wise_operator_joins_the_maker_of_what_it_alone_reads() {
        let graph = layered(1);
        // Product, relu and sum in one kernel: it reads x twice (product and
        // sum) and the weight, and writes x's successor.
        let fused = launched(&graph, true);
        assert_eq!(fused.count(), 1);
        assert_eq!(fused.kernels[0].kind, graph.operators[0].kind);
        assert_eq!(bytes(&fused), 4.0 * (32.0 + 64.0 + 32.0 + 32.0));
        assert_eq!(launched(&graph, false).count(), 3);
    }

    #[test]
    fn an_output_in_its_inputs_place_comes_from_memory_once() {
        let in_place = traced(|x, _| vec![x.exp()]);
        let kernel = &launched(&in_place, false).kernels[0];
        assert_eq!((kernel.cold_bytes, kernel.made_bytes), (128.0, 128.0));
    }

    #[test]
    fn what_two_operators_read_is_written_to_memory() {
        let graph = traced(|x, weight| {
            let y = x.matmul(weight());
            vec![y.clone().exp(), y.log()]
        });
        assert_eq!(launched(&graph, true).count(), 3);
    }

    #[test]
    fn what_is_read_again_through_a_view_is_written_to_memory() {
        let graph = traced(|x, weight| {
            let y = x.matmul(weight());
            let turned = y.clone().swap_dims(0, 1);
            vec![y.exp(), weight().matmul(turned)]
        });
        let (plain, fused) = (launched(&graph, false), launched(&graph, true));
        // The exponential cannot take the product's place: its transpose is
        // still to be read.
        assert_eq!(fused.count(), plain.count());
        assert_eq!(bytes(&fused), bytes(&plain));
    }

    #[test]
    fn an_output_is_written_to_memory_though_it_is_read_once() {
        let graph = traced(|x, weight| {
            let y = x.matmul(weight());
            vec![y.clone(), y.exp()]
        });
        let fused = launched(&graph, true);
        // Reads x and the weight; writes the product and its exponential.
        let least = 4.0 * (32.0 + 64.0 + 32.0 + 32.0);
        assert!(bytes(&fused) >= least, "{}", bytes(&fused));
    }

    #[test]
    fn a_weight_that_is_used_twice_lasts_once() {
        let graph = traced(|x, weight| {
            let shared = weight();
            let y = x.matmul(shared.clone());
            vec![y.matmul(shared)]
        });
        let launches = launched(&graph, false);
        let weights = |k: &Kernel| k.weight_bytes * k.count as f64;
        let read: f64 = launches.kernels.iter().map(weights).sum();
        assert_eq!(read, 4.0 * 2.0 * 64.0);
        assert_eq!(launches.lasting_bytes, 4.0 * (32.0 + 64.0));
    }

    /// A training step of one product: forward, the weight's gradient, and an
    /// update in place with two values of state a parameter.
    fn step() -> Graph {
        let tensor = |elements, storage, role| TensorInfo {
            elements,
            rank: 2,
            kind: Elements::Float,
            storage,
            role,
            contiguous: true,
        };
        let uses = |tensors: &[(usize, u64)]| {
            let of = |&(tensor, elements)| Use { tensor, elements };
            tensors.iter().map(of).collect::<Vec<_>>()
        };
        let operator = |pass, inputs, outputs, kind| Operator {
            kind,
            module: 0,
            pass,
            inputs,
            outputs,
            scratch_bytes: 0,
        };
        let product = |m, n, k| OperatorKind::Matmul { batch: 1, m, n, k };
        Graph {
            tensors: vec![
                tensor(32, 0, Role::Input),
                tensor(64, 1, Role::Weight),
                tensor(64, 2, Role::OptimizerState),
                tensor(64, 3, Role::OptimizerState),
                tensor(32, 4, Role::Activation),
                tensor(64, 5, Role::Gradient),
                tensor(64, 1, Role::Weight),
                tensor(64, 2, Role::OptimizerState),
                tensor(64, 3, Role::OptimizerState),
            ],
            operators: vec![
                operator(
                    Pass::Forward,
                    uses(&[(0, 32), (1, 64)]),
                    uses(&[(4, 32)]),
                    product(4, 8, 8),
                ),
                operator(
                    Pass::Backward,
                    uses(&[(0, 32), (4, 32)]),
                    uses(&[(5, 64)]),
                    product(8, 8, 4),
                ),
                operator(
                    Pass::Optimizer,
                    uses(&[(1, 64), (5, 64), (2, 64), (3, 64)]),
                    uses(&[(6, 64), (7, 64), (8, 64)]),
                    OperatorKind::Optimizer {
                        elements: 64,
                        flops_per_element: 12,
                    },
                ),
            ],
            modules: vec![String::new()],
            outputs: vec![6, 7, 8],
        }
    }

    #[test]
    fn of_a_training_step_weights_and_two_states_last() {
        let launches = launched(&step(), false);
        // The gradient is made anew by each step; the input is given.
        assert_eq!(launches.lasting_bytes, 4.0 * (3.0 * 64.0 + 32.0));
    }

    #[test]
    fn the_operators_of_a_kernel_share_it_whole() {
        let graph = layered(5);
        for fuse in [false, true] {
            let launches = launched(&graph, fuse);
            let mut shares = vec![0.0; launches.kernels.len()];
            for (kernel, share) in &launches.of_operator {
                shares[*kernel] += share;
            }
            for (kernel, share) in launches.kernels.iter().zip(shares) {
                assert!((share - kernel.count as f64).abs() < 1e-9);
            }
        }
    }
}
