//! Counting rules of the engine's module operations: convolutions, linear
//! layers, embeddings, norms, attention, pools.

use burn::backend::ir::{ModuleOperationIr as Module, TensorIr};

use crate::rules::elements;
use crate::{CustomCost, Elementwise, OperatorKind};

fn whole(kind: OperatorKind, inputs: usize) -> CustomCost {
    CustomCost {
        kind,
        reads: vec![None; inputs],
        writes: vec![None],
        in_place: vec![None],
        scratch_bytes: 0,
    }
}

/// Rows of the last dimension.
fn last(tensor: &TensorIr) -> (u64, u64) {
    let cols = tensor.shape[tensor.shape.num_dims() - 1] as u64;
    (elements(tensor) / cols.max(1), cols)
}

/// A convolution over any number of spatial dimensions: `x` [B, C, ..],
/// `weight` [O, C/groups, ..], `out` [B, O, ..]. Its two gradients sum the
/// same products, so they cost the same.
fn conv(
    x: &TensorIr,
    weight: &TensorIr,
    forward_out: &TensorIr,
) -> OperatorKind {
    let batch = x.shape[0] as u64;
    let out_channels = weight.shape[0] as u64;
    OperatorKind::Conv {
        batch,
        in_channels: x.shape[1] as u64,
        out_channels,
        positions: elements(forward_out) / (batch * out_channels).max(1),
        taps: elements(weight) / out_channels.max(1),
    }
}

pub(crate) fn module_kind(op: &Module) -> Option<CustomCost> {
    Some(match op {
        Module::Embedding(x) => {
            let tokens = elements(&x.indices);
            let width = elements(&x.out) / tokens.max(1);
            let vocab = x.weights.shape[0] as u64;
            CustomCost {
                reads: vec![Some(elements(&x.out)), None],
                ..whole(
                    OperatorKind::Embedding {
                        vocab,
                        width,
                        tokens,
                        backward: false,
                    },
                    2,
                )
            }
        }
        Module::EmbeddingBackward(x) => {
            let tokens = elements(&x.indices);
            let width = elements(&x.out_grad) / tokens.max(1);
            let vocab = x.weights.shape[0] as u64;
            CustomCost {
                // The weights give the shape alone.
                reads: vec![Some(0), None, None],
                ..whole(
                    OperatorKind::Embedding {
                        vocab,
                        width,
                        tokens,
                        backward: true,
                    },
                    3,
                )
            }
        }
        Module::Linear(x) => {
            let (m, k) = last(&x.x);
            let (_, n) = last(&x.out);
            whole(OperatorKind::Matmul { batch: 1, m, n, k }, 3)
        }
        Module::LinearXBackward(x) => {
            let (m, k) = last(&x.output_grad);
            let (_, n) = last(&x.out);
            whole(OperatorKind::Matmul { batch: 1, m, n, k }, 2)
        }
        Module::LinearWeightBackward(x) => {
            let (k, m) = last(&x.x);
            let (_, n) = last(&x.output_grad);
            whole(OperatorKind::Matmul { batch: 1, m, n, k }, 2)
        }
        Module::LinearBiasBackward(x) => whole(
            OperatorKind::Reduce {
                elements: elements(&x.output_grad),
                results: elements(&x.out),
            },
            1,
        ),
        Module::Conv1d(x) => whole(conv(&x.x, &x.weight, &x.out), 3),
        Module::Conv2d(x) => whole(conv(&x.x, &x.weight, &x.out), 3),
        Module::Conv3d(x) => whole(conv(&x.x, &x.weight, &x.out), 3),
        Module::Conv1dXBackward(x) => {
            whole(conv(&x.x, &x.weight, &x.output_grad), 3)
        }
        Module::Conv2dXBackward(x) => {
            whole(conv(&x.x, &x.weight, &x.output_grad), 3)
        }
        Module::Conv3dXBackward(x) => {
            whole(conv(&x.x, &x.weight, &x.output_grad), 3)
        }
        Module::Conv1dWeightBackward(x) => {
            whole(conv(&x.x, &x.weight, &x.output_grad), 3)
        }
        Module::Conv2dWeightBackward(x) => {
            whole(conv(&x.x, &x.weight, &x.output_grad), 3)
        }
        Module::Conv3dWeightBackward(x) => {
            whole(conv(&x.x, &x.weight, &x.output_grad), 3)
        }
        Module::Conv1dBiasBackward(x) => bias(&x.output_grad, &x.out),
        Module::Conv2dBiasBackward(x) => bias(&x.output_grad, &x.out),
        Module::Conv3dBiasBackward(x) => bias(&x.output_grad, &x.out),
        Module::LayerNorm(x) => {
            let (rows, cols) = last(&x.input);
            whole(OperatorKind::LayerNorm { rows, cols, backward: false }, 3)
        }
        Module::BatchNorm(x) => whole(
            OperatorKind::Elementwise {
                op: Elementwise::Mul,
                elements: elements(&x.out),
                operands: 2,
            },
            5,
        ),
        Module::Attention(x) => {
            // [B, H, T, D]
            let (q, k) = (&x.query.shape, &x.key.shape);
            whole(
                OperatorKind::Attention {
                    batch: q[0] as u64,
                    heads: q[1] as u64,
                    kv_heads: k[1] as u64,
                    head_dim: q[3] as u64,
                    query: q[2] as u64,
                    keys: k[2] as u64,
                    causal: x.options.is_causal,
                    backward: false,
                },
                5,
            )
        }
        Module::Interpolate(x) => whole(
            OperatorKind::Elementwise {
                op: Elementwise::Other,
                elements: elements(&x.out),
                operands: 1,
            },
            1,
        ),
        Module::AvgPool1d(x) => pool(&x.x, &x.out),
        Module::AvgPool2d(x) => pool(&x.x, &x.out),
        Module::AdaptiveAvgPool1d(x) => pool(&x.x, &x.out),
        Module::AdaptiveAvgPool2d(x) => pool(&x.x, &x.out),
        Module::MaxPool1d(x) => pool(&x.x, &x.out),
        Module::MaxPool2d(x) => pool(&x.x, &x.out),
        #[allow(
            clippy::wildcard_enum_match_arm,
            reason = "an operation without a rule is an error, by design"
        )]
        _ => return None,
    })
}

fn bias(grad: &TensorIr, out: &TensorIr) -> CustomCost {
    whole(
        OperatorKind::Reduce {
            elements: elements(grad),
            results: elements(out),
        },
        3,
    )
}

fn pool(x: &TensorIr, out: &TensorIr) -> CustomCost {
    whole(
        OperatorKind::Pool { elements: elements(x), results: elements(out) },
        1,
    )
}
