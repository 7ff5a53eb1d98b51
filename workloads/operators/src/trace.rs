//! The operator graph of a case: of one operator.

use assay_trace::{Graph, Recorder, Role, TraceError, capture};

use crate::inputs::{Inputs, Source};
use crate::operator::Operator;

/// Traces an operator. Its inputs are inputs; nothing in it is learned.
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
    capture(assay_kernels::cost, |recorder| {
        let device = recorder.device();
        let inputs = Inputs::new(operator, &mut Source::Shapes, &device);
        if let Some(inputs) = inputs {
            inputs.mark(recorder);
            recorder.output(&inputs.run(operator));
        }
    })
}

impl Inputs {
    fn mark(&self, recorder: &Recorder) {
        let input = Role::Input;
        match self {
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
