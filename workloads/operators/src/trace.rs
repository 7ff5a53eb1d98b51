//! The operator graph of a case: of one operator.

use assay_trace::{
    Elementwise, Graph, OperatorKind, Recorder, Role, TraceError, capture,
};

use crate::inputs::{Inputs, Source};
use crate::operator::{ElementwiseKind, Operator};

/// Traces an operator. Its inputs are inputs, but for the right operand of one
/// product: as in a layer it is the weights, so that a weight-only format
/// (`int4`, `q4_0`) has something to be the format of.
///
/// # Errors
///
/// An operator without a cost: a bug of this project.
pub fn trace(operator: &Operator) -> Result<Graph, TraceError> {
    if let Operator::Collective { operation, bytes, ranks, ranks_per_node } =
        *operator
    {
        return Ok(Graph::collective(
            operation,
            bytes as u64,
            ranks as u64,
            ranks_per_node as u64,
        ));
    }
    let mut graph = capture(assay_kernels::cost, |recorder| {
        let device = recorder.device();
        let inputs = Inputs::new(operator, &mut Source::Shapes, &device);
        if let Some(inputs) = inputs {
            inputs.mark(recorder);
            recorder.output(&inputs.run(operator));
        }
    })?;
    if let Some(own) = own_kind(operator) {
        for recorded in &mut graph.operators {
            if let OperatorKind::Elementwise { op, .. } = &mut recorded.kind {
                *op = own;
            }
        }
    }
    Ok(graph)
}

/// What a gated activation is recorded as, where not as [`Elementwise::Gated`]:
/// that one is silu's four operations and the product, with one special
/// function. Any other goes by its own name, so that what it takes on a machine
/// is looked up under it; its product is then not among the operations.
fn own_kind(operator: &Operator) -> Option<Elementwise> {
    let Operator::Elementwise { kind, operands: 2, .. } = *operator else {
        return None;
    };
    match kind {
        ElementwiseKind::Relu => Some(Elementwise::Relu),
        ElementwiseKind::Gelu => Some(Elementwise::Gelu),
        ElementwiseKind::Tanh => Some(Elementwise::Tanh),
        ElementwiseKind::Exp => Some(Elementwise::Exp),
        ElementwiseKind::Silu
        | ElementwiseKind::Add
        | ElementwiseKind::Mul
        | ElementwiseKind::Div
        | ElementwiseKind::Pow
        | ElementwiseKind::Copy => None,
    }
}

impl Inputs {
    fn mark(&self, recorder: &Recorder) {
        let input = Role::Input;
        match self {
            Self::Layer(x, weight) => {
                recorder.role(x, input);
                recorder.role(weight, Role::Weight);
            }
            Self::Matmul(a, b) => {
                recorder.role(a, input);
                recorder.role(b, input);
            }
            Self::Attention(q, k, v) => {
                recorder.role(q, input);
                recorder.role(k, input);
                recorder.role(v, input);
            }
            Self::Rows(x, gain, offset) => {
                recorder.role(x, input);
                for vector in gain.iter().chain(offset) {
                    recorder.role(vector, input);
                }
            }
            Self::Elements(x, y) => {
                recorder.role(x, input);
                if let Some(y) = y {
                    recorder.role(y, input);
                }
            }
            Self::Picture(x, w) => {
                recorder.role(x, input);
                recorder.role(w, input);
            }
            Self::Table(table, ids) => {
                recorder.role(table, input);
                recorder.input(ids);
            }
        }
    }
}
