//! Gated attention along one axis of a plane, with a mask of keys and a bias of
//! query and key, fused (Jumper et al., *Highly accurate protein structure
//! prediction with AlphaFold*, Nature 2021, supplement, algorithms 7, 8, 13 and
//! 14): for each head and each of the other axis
//! `sigmoid(gate) * (softmax_k(q . k / sqrt(d) + 1e9 (mask_k - 1) + bias) v)`.
//!
//! `X`, `Y` the axes of the plane, `N` the length of the one attended along,
//! the other is "the others"; `H` heads, `d` width of a head. A packed row has
//! queries, keys, values and gates, each [H, d].
//!
//! The scores, [X, H, Y, Y], are the largest tensor of an Evoformer block: they
//! are never made. The steps of the kernel:
//! 1. one head of one of the others at a time is copied out of the packed
//!    tensor, keys turned ([`pack`]);
//! 2. twelve queries meet all keys, their scores lie in L1; the products are
//!    register tiles ([`crate::micro`]), which start from the bias;
//! 3. one pass finds each row's largest score, one takes the exponentials and
//!    their sum ([`scores`]); what is divided by the sum is the result;
//! 4. the gate comes with the last touch of the result.
//!
//! The ladder (`examples/axial_attention_ladder.rs`), 2026-11-28, 2 cores of an
//! EPYC with AVX-512, nothing else running, milliseconds, forward and forward
//! with backward: MSA rows 64 x 128 (8 heads of 32) 17 and 64, columns 14 and
//! 47; rows 128 x 256 126 and 461, columns 88 and 297; pairs 256 x 256 (4 heads
//! of 32) 117 and 413 along rows, 115 and 424 along columns. PyTorch's fastest
//! way minutes before, forward, rows 64 x 128 26, 128 x 256 148.
//!
//! Backward computes the weights again, blocks of queries at a time
//! ([`backward`]): packed, mask and bias are all that is kept. Every sum has an
//! order that does not depend on the number of threads.
//!
//! Not here: the projections before and after, dropout, FastFold's variant
//! that stores the scores ([`crate::biased_softmax()`]).

mod backward;
mod forward;
mod pack;
mod scores;
#[cfg(test)]
mod tests;
mod tile;
mod tracked;

use burn::Tensor;
use burn::backend::ir::{CustomOpIr, ScalarIr};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::Shape;
use burn::tensor::activation::{sigmoid, softmax};
use burn_capture::CaptureBackend;
use burn_flex::{Flex, FlexTensor};

use assay_trace::{CustomCost, OperatorKind};

use crate::classes::{Class, timed};
use crate::door::{contiguous, record, serves, tensor, values};
use backward::Inputs;
use pack::{PARTS, Plane, Sizes, dense};

/// Which axis of `[X, Y, ..]` is attended along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Along {
    /// Each x attends along y.
    Rows,
    /// Each y attends along x.
    Columns,
}

/// Gated attention along one axis: `packed` [X, Y, 4 H d] are queries, keys,
/// values and gates (before the sigmoid), one after the other, each [H, d];
/// `mask` [X, Y] is 1 for keys that are seen, 0 for hidden ones; `bias`
/// [N, N, H] of query, key and head. Gives [X, Y, H d].
///
/// Where all keys are hidden the weights are equal. The mask has no gradient.
///
/// # Panics
/// When shapes do not fit together, or a dimension is zero.
pub fn axial_attention(
    packed: Tensor<3>,
    mask: Tensor<2>,
    bias: Option<Tensor<3>>,
    heads: usize,
    along: Along,
) -> Tensor<3> {
    check(&packed, &mask, bias.as_ref(), heads, along);
    let served = serves(&packed) && serves(&mask);
    if !served || bias.as_ref().is_some_and(|bias| !serves(bias)) {
        return axial_attention_plain(packed, mask, bias, heads, along);
    }
    let (packed, mask) = (packed.into_dispatch(), mask.into_dispatch());
    Tensor::from_dispatch(match bias {
        None => <Dispatch as AxialAttentionOps>::axial_attention_gated(
            packed, mask, heads, along,
        ),
        Some(bias) => <Dispatch as AxialAttentionOps>::axial_attention_biased(
            packed,
            mask,
            bias.into_dispatch(),
            heads,
            along,
        ),
    })
}

/// The plain twin, of Burn's own operators.
pub fn axial_attention_plain(
    packed: Tensor<3>,
    mask: Tensor<2>,
    bias: Option<Tensor<3>>,
    heads: usize,
    along: Along,
) -> Tensor<3> {
    check(&packed, &mask, bias.as_ref(), heads, along);
    let [x, y, channels] = packed.dims();
    let d = channels / (PARTS * heads);
    let packed = packed.reshape([x, y, PARTS * heads, d]);
    let part = |i: usize| packed.clone().narrow(2, i * heads, heads);
    let turned = |part: Tensor<4>| match along {
        Along::Rows => part.permute([0, 2, 1, 3]), // [X, H, Y, d]
        Along::Columns => part.permute([1, 2, 0, 3]), // [Y, H, X, d]
    };
    let mask = match along {
        Along::Rows => mask,
        Along::Columns => mask.swap_dims(0, 1),
    };
    let [others, n] = mask.dims();
    let q = turned(part(pack::QUERY)) * (d as f32).powf(-0.5);
    let k = turned(part(pack::KEY)).swap_dims(2, 3);
    let hidden = ((mask - 1.0) * 1e9).reshape([others, 1, 1, n]);
    let scores = q.matmul(k) + hidden; // [others, H, N, N]
    let scores = match bias {
        None => scores,
        Some(bias) => {
            scores + bias.permute([2, 0, 1]).reshape([1, heads, n, n])
        }
    };
    let mixed = softmax(scores, 3).matmul(turned(part(pack::VALUE)));
    let mixed = match along {
        Along::Rows => mixed.permute([0, 2, 1, 3]),
        Along::Columns => mixed.permute([2, 0, 1, 3]),
    }; // [X, Y, H, d]
    let gated = mixed * sigmoid(part(pack::GATE));
    gated.reshape([x, y, heads * d])
}

fn check(
    packed: &Tensor<3>,
    mask: &Tensor<2>,
    bias: Option<&Tensor<3>>,
    heads: usize,
    along: Along,
) {
    let [x, y, channels] = packed.dims();
    assert!(x > 0 && y > 0 && channels > 0, "axial_attention: an empty plane");
    assert!(
        heads > 0 && channels % (PARTS * heads) == 0,
        "axial_attention: {channels} channels, {heads} heads of four parts"
    );
    assert_eq!(mask.dims(), [x, y], "axial_attention: the mask's shape");
    if let Some(bias) = bias {
        let n = match along {
            Along::Rows => y,
            Along::Columns => x,
        };
        assert_eq!(
            bias.dims(),
            [n, n, heads],
            "axial_attention: the bias's shape"
        );
    }
}

/// Gated attention along an axis as a backend operator: use
/// [`axial_attention`].
#[backend_extension(Flex, Capture, Autodiff)]
pub trait AxialAttentionOps: Backend {
    /// Without bias.
    fn axial_attention_gated(
        packed: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        heads: usize,
        along: Along,
    ) -> FloatTensor<Self>;
    /// With bias.
    fn axial_attention_biased(
        packed: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        heads: usize,
        along: Along,
    ) -> FloatTensor<Self>;
    /// Gradient of `packed`; the weights are computed again.
    fn axial_attention_gated_backward(
        packed: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        heads: usize,
        along: Along,
    ) -> FloatTensor<Self>;
    /// Gradients of `packed` and `bias`.
    fn axial_attention_biased_backward(
        packed: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        heads: usize,
        along: Along,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

fn on_flex(
    packed: FlexTensor,
    mask: FlexTensor,
    bias: Option<FlexTensor>,
    heads: usize,
    along: Along,
) -> FlexTensor {
    let _timed = timed(Class::Attention);
    let sizes = Sizes::new(&packed.shape(), heads, along);
    let (packed, mask) = (dense(packed), contiguous(mask));
    let bias = bias.map(dense);
    let bias = bias.as_ref().map(|bias| Plane::new(bias, Along::Rows));
    let packed = Plane::new(&packed, along);
    let out = forward::attend(&packed, values(&mask), bias.as_ref(), &sizes);
    tensor(out, sizes.shape(sizes.channels()))
}

impl AxialAttentionOps for Flex {
    fn axial_attention_gated(
        packed: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        heads: usize,
        along: Along,
    ) -> FloatTensor<Self> {
        on_flex(packed, mask, None, heads, along)
    }

    fn axial_attention_biased(
        packed: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        heads: usize,
        along: Along,
    ) -> FloatTensor<Self> {
        on_flex(packed, mask, Some(bias), heads, along)
    }

    fn axial_attention_gated_backward(
        packed: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        heads: usize,
        along: Along,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Attention);
        let shape = packed.shape();
        let sizes = Sizes::new(&shape, heads, along);
        let (packed, mask) = (dense(packed), contiguous(mask));
        let grad = dense(grad);
        let made = backward::differentiate(&Inputs {
            sizes: &sizes,
            packed: &Plane::new(&packed, along),
            mask: values(&mask),
            grad: &Plane::new(&grad, along),
        });
        tensor(made, shape)
    }

    fn axial_attention_biased_backward(
        packed: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        heads: usize,
        along: Along,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let _timed = timed(Class::Attention);
        let shapes = [packed.shape(), bias.shape()];
        let sizes = Sizes::new(&shapes[0], heads, along);
        let (packed, mask) = (dense(packed), contiguous(mask));
        let (bias, grad) = (dense(bias), dense(grad));
        let inputs = Inputs {
            sizes: &sizes,
            packed: &Plane::new(&packed, along),
            mask: values(&mask),
            grad: &Plane::new(&grad, along),
        };
        let bias = Plane::new(&bias, Along::Rows);
        let [packed, bias] = backward::differentiate_biased(&inputs, &bias);
        let [packed_shape, bias_shape] = shapes;
        (tensor(packed, packed_shape), tensor(bias, bias_shape))
    }
}

fn scalars(heads: usize, along: Along) -> Vec<ScalarIr> {
    let columns = along == Along::Columns;
    vec![ScalarIr::UInt(heads as u64), ScalarIr::Bool(columns)]
}

const FORWARD: &str = "axial_attention";
const BACKWARD: &str = "axial_attention_backward";

/// The output's shape.
fn mixed(packed: &Shape) -> Shape {
    Shape::new([packed[0], packed[1], packed[2] / PARTS])
}

impl AxialAttentionOps for CaptureBackend {
    fn axial_attention_gated(
        packed: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        heads: usize,
        along: Along,
    ) -> FloatTensor<Self> {
        let shape = mixed(&packed.shape());
        let scalars = scalars(heads, along);
        let [y] = record(FORWARD, vec![packed, mask], [shape], scalars);
        y
    }

    fn axial_attention_biased(
        packed: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        heads: usize,
        along: Along,
    ) -> FloatTensor<Self> {
        let shape = mixed(&packed.shape());
        let scalars = scalars(heads, along);
        let [y] = record(FORWARD, vec![packed, mask, bias], [shape], scalars);
        y
    }

    fn axial_attention_gated_backward(
        packed: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        heads: usize,
        along: Along,
    ) -> FloatTensor<Self> {
        let shape = packed.shape();
        let inputs = vec![packed, mask, grad];
        let [packed] = record(BACKWARD, inputs, [shape], scalars(heads, along));
        packed
    }

    fn axial_attention_biased_backward(
        packed: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        heads: usize,
        along: Along,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let shapes = [packed.shape(), bias.shape()];
        let inputs = vec![packed, mask, bias, grad];
        let [packed, bias] =
            record(BACKWARD, inputs, shapes, scalars(heads, along));
        (packed, bias)
    }
}

/// The cost of this file's operators: attention's. Mask, bias and gate are not
/// counted: `N`, `N` and `4 d` operations a query and head beside `4 N d`; nor
/// is the result, which the backward pass makes again for the gate's gradient.
/// The scratch is that of as many workers as this machine has.
pub(crate) fn cost(op: &CustomOpIr) -> Option<CustomCost> {
    let backward = match op.id.as_str() {
        FORWARD => false,
        BACKWARD => true,
        _ => return None,
    };
    let &[ScalarIr::UInt(heads), ScalarIr::Bool(columns)] =
        op.scalars.as_slice()
    else {
        return None;
    };
    let along = if columns { Along::Columns } else { Along::Rows };
    let heads_size = usize::try_from(heads).ok()?;
    let sizes = Sizes::new(&op.inputs[0].shape, heads_size, along);
    let scratch = if backward {
        backward::scratch(&sizes, op.inputs.len() > 3)
    } else {
        forward::scratch(&sizes, op.inputs.len() > 2)
    };
    let kind = OperatorKind::Attention {
        batch: sizes.others as u64,
        heads,
        kv_heads: heads,
        head_dim: sizes.width as u64,
        query: sizes.len as u64,
        keys: sizes.len as u64,
        causal: false,
        backward,
    };
    Some(CustomCost {
        scratch_bytes: (scratch * size_of::<f32>()) as u64,
        ..CustomCost::plain(kind, op)
    })
}
