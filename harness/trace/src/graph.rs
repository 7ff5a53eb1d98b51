//! The operator graph: what a forward (or a training step) does, in order.
//!
//! Shapes only: the graph is the same for every number format, and bytes are
//! asked for at a [`Precision`]. Views share the storage of what they view.

use std::collections::BTreeMap;

use assay_schema::{Bytes, Flops, Precision};

use crate::OperatorKind;

/// Which pass of a step an operator belongs to.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Pass {
    /// Forward.
    Forward,
    /// Gradients.
    Backward,
    /// Update of the parameters.
    Optimizer,
}

/// What a tensor's storage is for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A learned value.
    Weight,
    /// Keys and values of earlier tokens.
    KvCache,
    /// Given from outside: tokens, pictures.
    Input,
    /// Made on the way.
    Activation,
    /// A gradient of a learned value.
    Gradient,
    /// State of the optimizer.
    OptimizerState,
}

impl Role {
    /// Whether it lives before and after the step.
    pub fn is_persistent(self) -> bool {
        matches!(
            self,
            Self::Weight | Self::KvCache | Self::Input | Self::OptimizerState
        )
    }
}

/// What a tensor's elements are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Elements {
    /// Numbers in the precision asked for.
    Float,
    /// Indices, 4 bytes each.
    Integer,
    /// Masks, 1 byte each.
    Boolean,
}

/// A tensor of the graph.
#[derive(Clone, Debug, serde::Serialize)]
pub struct TensorInfo {
    /// Number of elements.
    pub elements: u64,
    /// Number of dimensions.
    pub rank: usize,
    /// What they are.
    pub kind: Elements,
    /// Index of the tensor whose storage this one shares; its own if it has
    /// storage of its own.
    pub storage: usize,
    /// What the storage is for; meaningful at the storage's own tensor.
    pub role: Role,
    /// Whether its elements lie in row-major order.
    pub contiguous: bool,
}

/// A tensor read or written by an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
pub struct Use {
    /// Index into [`Graph::tensors`].
    pub tensor: usize,
    /// Elements that are moved.
    pub elements: u64,
}

/// One operator.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Operator {
    /// What it is.
    pub kind: OperatorKind,
    /// Index into [`Graph::modules`].
    pub module: usize,
    /// Which pass it belongs to.
    pub pass: Pass,
    /// What it reads.
    pub inputs: Vec<Use>,
    /// What it writes.
    pub outputs: Vec<Use>,
    /// Scratch memory while it runs, in bytes of `f32` arithmetic.
    pub scratch_bytes: u64,
}

/// Operators in the order in which they run, with their tensors.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Graph {
    /// Tensors.
    pub tensors: Vec<TensorInfo>,
    /// Operators that do work; views are resolved into storage sharing.
    pub operators: Vec<Operator>,
    /// Dotted module paths, e.g. `layers.17.attention`; the first is the
    /// model itself.
    pub modules: Vec<String>,
    /// Tensors that outlive the step.
    pub outputs: Vec<usize>,
}

impl Graph {
    /// Bytes of `elements` elements of a tensor at a precision.
    ///
    /// Weights of two or more dimensions take the precision's stored bits;
    /// vectors (norms, biases) of a weight-only format stay in its compute
    /// format. Optimizer state is kept in `f32`, as mixed-precision training
    /// does.
    pub fn bytes(
        &self,
        tensor: usize,
        elements: u64,
        precision: Precision,
    ) -> f64 {
        let info = &self.tensors[tensor];
        let root = &self.tensors[info.storage];
        let each = match (info.kind, root.role) {
            (Elements::Integer, _) => 4.0,
            (Elements::Boolean, _) => 1.0,
            (Elements::Float, Role::Weight) if root.rank > 1 => {
                precision.weight_bits() / 8.0
            }
            (Elements::Float, Role::OptimizerState) => {
                precision.activation_bytes().max(4.0)
            }
            (Elements::Float, _) => precision.activation_bytes(),
        };
        elements as f64 * each
    }

    /// Bytes that an operator reads and writes.
    pub fn traffic(
        &self,
        operator: &Operator,
        precision: Precision,
    ) -> (Bytes, Bytes) {
        let sum = |uses: &[Use]| {
            Bytes(
                uses.iter()
                    .map(|u| self.bytes(u.tensor, u.elements, precision))
                    .sum(),
            )
        };
        (sum(&operator.inputs), sum(&operator.outputs))
    }

    /// Learned values.
    pub fn parameters(&self) -> u64 {
        self.tensors
            .iter()
            .enumerate()
            .filter(|(i, t)| t.storage == *i && t.role == Role::Weight)
            .map(|(_, t)| t.elements)
            .sum()
    }

    /// All arithmetic.
    pub fn flops(&self) -> Flops {
        Flops(self.operators.iter().map(|op| op.kind.flops()).sum())
    }

    /// The arithmetic of one pass.
    pub fn flops_of(&self, pass: Pass) -> Flops {
        let own = self.operators.iter().filter(|op| op.pass == pass);
        Flops(own.map(|op| op.kind.flops()).sum())
    }

    /// Arithmetic by operator kind.
    pub fn flops_by_kind(&self) -> BTreeMap<String, Flops> {
        let mut by_kind = BTreeMap::new();
        for op in &self.operators {
            *by_kind.entry(op.kind.name().to_owned()).or_insert(Flops::ZERO) +=
                Flops(op.kind.flops());
        }
        by_kind
    }

    /// Bytes that all operators read and write, nothing fused.
    pub fn total_traffic(&self, precision: Precision) -> Bytes {
        self.operators
            .iter()
            .map(|op| {
                let (read, written) = self.traffic(op, precision);
                read + written
            })
            .sum()
    }
}

impl Graph {
    /// A graph of one collective operation on `bytes` of one rank's input.
    pub fn collective(
        operation: crate::Collective,
        bytes: u64,
        ranks: u64,
        ranks_per_node: u64,
    ) -> Self {
        Self {
            tensors: Vec::new(),
            operators: vec![Operator {
                kind: OperatorKind::Collective {
                    operation,
                    bytes,
                    ranks,
                    ranks_per_node,
                },
                module: 0,
                pass: Pass::Forward,
                inputs: Vec::new(),
                outputs: Vec::new(),
                scratch_bytes: 0,
            }],
            modules: vec![String::new()],
            outputs: Vec::new(),
        }
    }
}
