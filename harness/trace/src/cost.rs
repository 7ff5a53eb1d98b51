//! What a custom operator must declare: its kind and its traffic.
//!
//! The engine records a custom kernel by name only. The crate that owns the
//! kernel declares its cost here; an operator without a declared cost is an
//! error, never zero arithmetic.

use burn::backend::ir::CustomOpIr;

use crate::OperatorKind;

/// The cost of one captured custom operator.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomCost {
    /// What it is, with its shape: gives the arithmetic.
    pub kind: OperatorKind,
    /// For each input, in order, how many of its elements are read; `None`
    /// stands for all.
    pub reads: Vec<Option<u64>>,
    /// For each output, in order, how many of its elements are written;
    /// `None` stands for all.
    pub writes: Vec<Option<u64>>,
    /// For each output, the input whose storage it takes over when that input
    /// is not needed any more (an update in place).
    pub in_place: Vec<Option<usize>>,
    /// Bytes of scratch memory that it holds while it runs, in `f32`.
    pub scratch_bytes: u64,
}

impl CustomCost {
    /// An operator that reads all inputs, writes all outputs, reuses nothing.
    pub fn plain(kind: OperatorKind, op: &CustomOpIr) -> Self {
        Self {
            kind,
            reads: vec![None; op.inputs.len()],
            writes: vec![None; op.outputs.len()],
            in_place: vec![None; op.outputs.len()],
            scratch_bytes: 0,
        }
    }
}

/// Looks a custom operator's cost up; `None` when it has none declared.
pub type CostOf = fn(&CustomOpIr) -> Option<CustomCost>;
