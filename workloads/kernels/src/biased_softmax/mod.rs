//! Softmax over keys with all that stands before it in the Evoformer's
//! attention folded in: scale, key mask and pair bias (the fused softmax of
//! Cheng et al., *FastFold*, 2022; Jumper et al., *Highly accurate protein
//! structure prediction with AlphaFold*, 2021, supplement, algorithms 7 and
//! 13):
//! `y[x, h, q, k] = softmax_k(s x[x, h, q, k] + 1e9 (mask[x, k] - 1) +
//! bias[h, q, k])`; backward, with `u = y (dy - sum_k dy y)`: `dx = s u` and
//! `dbias = sum_x u`.
//!
//! `x` is the largest tensor of the block and is touched once, in place when
//! nobody else holds it. The steps of the kernel:
//! 1. three passes over a row that stays in L1, as in [`crate::softmax`]; the
//!    first leaves the finished scores where the inputs were;
//! 2. a task is a few rows `(h, q)` of all `x`, in order: its rows of `bias`,
//!    and of `dbias`, which are as large as the second cache, stay in the
//!    first, and the sum over `x` needs no partial sums and has a fixed order;
//! 3. the end of a row that is not a whole vector is computed as one.
//!
//! The ladder (`examples/evoformer_ladder.rs`), milliseconds, medians of
//! interleaved runs on two cores of an EPYC with AVX-512 that others used too,
//! 2026-11-28, allocator set to keep its memory; forward and backward less the
//! 80, 88 and 11 ms that the loss takes by itself:
//!
//! | `x` | plain | kernel | in place | stock softmax alone |
//! |---|---|---|---|---|
//! | [128, 8, 256, 256] | 216 | 57 | 36 | 157 |
//! | [256, 4, 256, 256] | 308 | 97 | 65 | 247 |
//! | [64, 8, 128, 128] | 41 | 15 | 10 | 34 |
//! | first, and backward | 818 | | 124 | 672 |
//! | second, and backward | 869 | | 116 | 828 |
//! | third, and backward | 94 | | 17 | 85 |
//!
//! Alone on the machine, later that day: [128, 8, 256, 256] plain 166, kernel
//! 38, in place 30; [64, 8, 128, 128] 23, 6.7 and 4.5 to 7.7.
//!
//! A hidden key has the score -1e9, not minus infinity: a row whose keys are
//! all hidden has a finite softmax, as in the plain twin. Scores are rounded as
//! there, term by term.

mod rows;
#[cfg(test)]
mod tests;

use std::mem::MaybeUninit;

use burn::Tensor;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ir::{CustomOpIr, ScalarIr};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, Backend, Dispatch, TensorMetadata, backend_extension,
};
use burn::tensor::Shape;
use burn_capture::CaptureBackend;
use burn_flex::{Flex, FlexTensor};

use assay_trace::{CustomCost, OperatorKind};

use crate::classes::{Class, timed};
use crate::door::{contiguous, record, second_order, serves, tensor, values};
use crate::rows::{fill, written};
use crate::share::Parts;
use rows::{Rows, backward, backward_biased, biased, masked};

/// What is added to the score of a hidden key, negative.
const HIDDEN: f32 = 1e9;

/// Softmax over the last dimension of `x * scale + 1e9 (mask - 1) + bias`: `x`
/// [X, H, Q, K], `mask` [X, K] (1 seen, 0 hidden), `bias` [H, Q, K]; in place
/// when nobody else holds `x`. `mask` gets no gradient.
pub fn biased_softmax(
    x: Tensor<4>,
    scale: f32,
    mask: Tensor<2>,
    bias: Option<Tensor<3>>,
) -> Tensor<4> {
    let [outer, heads, queries, keys] = x.dims();
    assert_eq!(mask.dims(), [outer, keys], "biased_softmax: mask's shape");
    if let Some(bias) = &bias {
        assert_eq!(
            bias.dims(),
            [heads, queries, keys],
            "biased_softmax: bias's shape"
        );
    }
    let served = serves(&x) && serves(&mask);
    if !(served && bias.as_ref().is_none_or(serves)) {
        return biased_softmax_plain(x, scale, mask, bias);
    }
    let (x, mask) = (x.into_dispatch(), mask.into_dispatch());
    Tensor::from_dispatch(match bias {
        Some(bias) => <Dispatch as BiasedSoftmaxOps>::biased_softmax_rows(
            x,
            mask,
            bias.into_dispatch(),
            scale,
        ),
        None => {
            <Dispatch as BiasedSoftmaxOps>::masked_softmax_rows(x, mask, scale)
        }
    })
}

/// The plain twin, of Burn's own operators.
pub fn biased_softmax_plain(
    x: Tensor<4>,
    scale: f32,
    mask: Tensor<2>,
    bias: Option<Tensor<3>>,
) -> Tensor<4> {
    let [outer, keys] = mask.dims();
    let hidden = (mask - 1.0) * HIDDEN;
    let scores = x * scale + hidden.reshape([outer, 1, 1, keys]);
    let scores = match bias {
        Some(bias) => scores + bias.unsqueeze::<4>(),
        None => scores,
    };
    burn::tensor::activation::softmax(scores, 3)
}

/// The softmax as a backend operator: use [`biased_softmax`].
#[backend_extension(Flex, Capture, Autodiff)]
pub trait BiasedSoftmaxOps: Backend {
    /// With mask and bias.
    fn biased_softmax_rows(
        x: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        scale: f32,
    ) -> FloatTensor<Self>;
    /// With the mask alone.
    fn masked_softmax_rows(
        x: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        scale: f32,
    ) -> FloatTensor<Self>;
    /// Gradients of `x` and of the bias, from the output `y` and its gradient.
    fn biased_softmax_rows_backward(
        y: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        scale: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
    /// Gradient of `x` alone.
    fn masked_softmax_rows_backward(
        y: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        scale: f32,
    ) -> FloatTensor<Self>;
}

/// `bias` may be absent.
fn on_flex(
    x: FlexTensor,
    mask: FlexTensor,
    bias: Option<FlexTensor>,
    scale: f32,
) -> FlexTensor {
    let (mask, bias) = (contiguous(mask), bias.map(contiguous));
    let bias = bias.as_ref().map_or(&[][..], values);
    let rows = Rows::of(&x.shape());
    let keys = rows.keys;
    let hidden: Vec<f32> =
        values(&mask).iter().map(|seen| (seen - 1.0) * HIDDEN).collect();
    rows.update(x, |index, first, x| {
        let hidden = &hidden[index * keys..][..keys];
        if bias.is_empty() {
            masked(x, hidden, scale);
        } else {
            biased(x, hidden, &bias[first * keys..][..x.len()], scale);
        }
    })
}

/// `dbias` [H, Q, K] may be empty.
fn gradients(
    y: FlexTensor,
    grad: FlexTensor,
    dbias: &mut [MaybeUninit<f32>],
    scale: f32,
) -> FlexTensor {
    let y = contiguous(y);
    let rows = Rows::of(&y.shape());
    let y = values(&y);
    let wanted = !dbias.is_empty();
    dbias.fill(MaybeUninit::new(0.0));
    let dbias = Parts::new(dbias);
    rows.update(grad, |index, first, grad| {
        let at = (index * rows.rows + first) * rows.keys;
        let y = &y[at..at + grad.len()];
        if !wanted {
            backward(y, grad, rows.keys, scale);
            return;
        }
        #[expect(unsafe_code, reason = "each task has its own rows")]
        // SAFETY: rows of different tasks do not overlap, and a task is at one
        // outer index at a time. All were zeroed.
        let sums = unsafe { dbias.part(first * rows.keys, grad.len()) };
        backward_biased(y, grad, written(sums), rows.keys, scale);
    })
}

impl BiasedSoftmaxOps for Flex {
    fn biased_softmax_rows(
        x: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        scale: f32,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Softmax);
        on_flex(x, mask, Some(bias), scale)
    }

    fn masked_softmax_rows(
        x: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        scale: f32,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Softmax);
        on_flex(x, mask, None, scale)
    }

    fn biased_softmax_rows_backward(
        y: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        scale: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let _timed = timed(Class::Softmax);
        let shape = bias_shape(&y.shape());
        let mut dx = None;
        let dbias = fill(shape.num_elements(), |dbias| {
            dx = Some(gradients(y, grad, dbias, scale));
        });
        match dx {
            Some(dx) => (dx, tensor(dbias, shape)),
            None => unreachable!("`fill` calls its writer"),
        }
    }

    fn masked_softmax_rows_backward(
        y: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        scale: f32,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Softmax);
        gradients(y, grad, &mut [], scale)
    }
}

/// [H, Q, K] of [X, H, Q, K].
fn bias_shape(x: &Shape) -> Shape {
    Shape::new([x[1], x[2], x[3]])
}

impl BiasedSoftmaxOps for CaptureBackend {
    fn biased_softmax_rows(
        x: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        scale: f32,
    ) -> FloatTensor<Self> {
        let shape = x.shape();
        let scalars = vec![ScalarIr::Float(f64::from(scale))];
        let inputs = vec![x, mask, bias];
        let [y] = record("biased_softmax", inputs, [shape], scalars);
        y
    }

    fn masked_softmax_rows(
        x: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        scale: f32,
    ) -> FloatTensor<Self> {
        let shape = x.shape();
        let scalars = vec![ScalarIr::Float(f64::from(scale))];
        let [y] = record("biased_softmax", vec![x, mask], [shape], scalars);
        y
    }

    fn biased_softmax_rows_backward(
        y: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        scale: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let shape = y.shape();
        let shapes = [shape.clone(), bias_shape(&shape)];
        let scalars = vec![ScalarIr::Float(f64::from(scale))];
        let inputs = vec![y, grad];
        let [dx, dbias] =
            record("biased_softmax_backward", inputs, shapes, scalars);
        (dx, dbias)
    }

    fn masked_softmax_rows_backward(
        y: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        scale: f32,
    ) -> FloatTensor<Self> {
        let shape = y.shape();
        let scalars = vec![ScalarIr::Float(f64::from(scale))];
        let inputs = vec![y, grad];
        let [dx] = record("biased_softmax_backward", inputs, [shape], scalars);
        dx
    }
}

/// The cost of this file's operators: that of a softmax; scale, mask and bias
/// are not counted. The scratch is the mask in scores.
pub(crate) fn cost(op: &CustomOpIr) -> Option<CustomCost> {
    let backward = match op.id.as_str() {
        "biased_softmax" => false,
        "biased_softmax_backward" => true,
        _ => return None,
    };
    let shape = &op.outputs[0].shape;
    let keys = shape[3];
    let rows = (shape.num_elements() / keys.max(1)) as u64;
    let kind = OperatorKind::Softmax { rows, cols: keys as u64, backward };
    let mut cost = CustomCost::plain(kind, op);
    cost.in_place[0] = Some(usize::from(backward));
    if !backward {
        cost.scratch_bytes = (shape[0] * keys * size_of::<f32>()) as u64;
    }
    Some(cost)
}

/// Backward of the softmax; with `PARENTS` 2 the bias is the second.
#[derive(Debug)]
struct BiasedSoftmaxBackward;

impl<B: BiasedSoftmaxOps, const PARENTS: usize> Backward<B, PARENTS>
    for BiasedSoftmaxBackward
{
    /// The output and the scale.
    type State = (FloatTensor<B>, f32);

    fn backward(
        self,
        ops: Ops<Self::State, PARENTS>,
        grads: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let (y, scale) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let x = ops.parents[0].as_ref();
        let Some(bias) = ops.parents.get(1).and_then(Option::as_ref) else {
            if let Some(x) = x {
                let dx = B::masked_softmax_rows_backward(y, grad, scale);
                grads.register::<B>(x.id, dx);
            }
            return;
        };
        let (dx, dbias) = B::biased_softmax_rows_backward(y, grad, scale);
        if let Some(x) = x {
            grads.register::<B>(x.id, dx);
        }
        grads.register::<B>(bias.id, dbias);
    }
}

impl<B: BiasedSoftmaxOps, C: CheckpointStrategy> BiasedSoftmaxOps
    for Autodiff<B, C>
{
    fn biased_softmax_rows(
        x: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        scale: f32,
    ) -> FloatTensor<Self> {
        let prep = Backward::<B, 2>::prepare::<C>(
            BiasedSoftmaxBackward,
            [x.node(), bias.node()],
        )
        .compute_bound()
        .stateful();
        let [x, mask, bias] = [x, mask, bias].map(|x| x.into_primitive());
        match prep {
            OpsKind::Tracked(prep) => {
                let y = B::biased_softmax_rows(x, mask, bias, scale);
                prep.finish((y.clone(), scale), y)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::biased_softmax_rows(x, mask, bias, scale))
            }
        }
    }

    fn masked_softmax_rows(
        x: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        scale: f32,
    ) -> FloatTensor<Self> {
        let prep =
            Backward::<B, 1>::prepare::<C>(BiasedSoftmaxBackward, [x.node()])
                .compute_bound()
                .stateful();
        let [x, mask] = [x, mask].map(|x| x.into_primitive());
        match prep {
            OpsKind::Tracked(prep) => {
                let y = B::masked_softmax_rows(x, mask, scale);
                prep.finish((y.clone(), scale), y)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::masked_softmax_rows(x, mask, scale))
            }
        }
    }

    fn biased_softmax_rows_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        second_order("biased_softmax")
    }

    fn masked_softmax_rows_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: f32,
    ) -> FloatTensor<Self> {
        second_order("biased_softmax")
    }
}
