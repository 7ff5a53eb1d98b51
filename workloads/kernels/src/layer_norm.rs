//! LayerNorm of each row (Ba, Kiros and Hinton, *Layer Normalization*, 2016):
//! `y = (x - mean) r * gamma + beta`, `r = 1 / sqrt(variance + epsilon)`.
//!
//! With `n = (x - mean) r` and `h = dy gamma`, over rows of `D`:
//! `dx = r (h - mean(h) - n mean(h n))`, `dgamma = sum dy n`,
//! `dbeta = sum dy` over all rows. The backward pass computes the statistics
//! again: it keeps `x` and `gamma` only.
//!
//! The ladder, [512, 1024] `f32`, milliseconds
//! (`examples/row_kernels_ladder.rs`; 2026-11-24, EPYC with AVX-512, one
//! worker thread, allocator set to keep its memory):
//! stock, fused too but neither tracked nor in place, 0.15; 1. three passes over
//! a row in L1, 0.16: no gain; 2. in place 0.12. Forward and backward: the stock
//! operators 1.6-2.1; 3. gradients in two passes over the gradient's own rows,
//! sums kept by task, 0.66-0.77. One row: stock 0.7 us, in place 0.6; tracked 31
//! and 7.7. Two tasks of 16 thousand elements took three times as long as one
//! of 32 thousand (22 us, 7): hence the task size in [`crate::rows`].
//! 4. out of place in one touch of either tensor; two threads, nothing else
//! running, 2026-11-28, stock and kernel: [128, 256, 256] 3.26 and 2.37, which
//! is 28 GB/s, all that this machine streams; [64, 128, 256] 0.54 and 0.48;
//! forward and backward 75 and 13, 13.3 and 3.7.
//! 5. out of place shared from 64 thousand elements on, as in place; another
//! host, the same day, [32, 1024]: 0.026 before, 0.005.

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
use crate::math::{dot, madd, multiversion, squares, sum};
use crate::rows::{
    LEAST, NORM_TASKS, TASKS, by_rows, is_own, sum_rows, tasks, update,
};

/// LayerNorm over the last dimension, `beta` optional; in place when nobody
/// else holds `x`.
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    beta: Option<Tensor<1>>,
    epsilon: f32,
) -> Tensor<D> {
    assert_eq!(
        x.dims()[D - 1],
        gamma.dims()[0],
        "layer_norm: rows and gamma differ in width"
    );
    let served = serves(&x) && serves(&gamma);
    if !served || beta.as_ref().is_some_and(|beta| !serves(beta)) {
        return layer_norm_plain(x, gamma, beta, epsilon);
    }
    let (x, gamma) = (x.into_dispatch(), gamma.into_dispatch());
    Tensor::from_dispatch(match beta {
        Some(beta) => <Dispatch as LayerNormOps>::layer_norm_rows(
            x,
            gamma,
            beta.into_dispatch(),
            epsilon,
        ),
        None => {
            <Dispatch as LayerNormOps>::layer_norm_gain_rows(x, gamma, epsilon)
        }
    })
}

/// The plain twin, of Burn's own operators.
pub fn layer_norm_plain<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    beta: Option<Tensor<1>>,
    epsilon: f32,
) -> Tensor<D> {
    let centred = x.clone() - x.mean_dim(D - 1);
    let variance = centred.clone().powi_scalar(2).mean_dim(D - 1);
    let y = centred / (variance + epsilon).sqrt() * gamma.unsqueeze();
    match beta {
        Some(beta) => y + beta.unsqueeze(),
        None => y,
    }
}

/// LayerNorm as a backend operator: use [`layer_norm`].
#[backend_extension(Flex, Capture, Autodiff)]
pub trait LayerNormOps: Backend {
    /// With gain and offset.
    fn layer_norm_rows(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self>;
    /// With gain alone.
    fn layer_norm_gain_rows(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self>;
    /// Gradients of `x`, `gamma` and `beta`.
    fn layer_norm_rows_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

fn on_flex(
    x: FlexTensor,
    gamma: FlexTensor,
    beta: Option<FlexTensor>,
    epsilon: f32,
) -> FlexTensor {
    let (gamma, beta) = (contiguous(gamma), beta.map(contiguous));
    let (gamma, beta) = (values(&gamma), beta.as_ref().map_or(&[][..], values));
    let x = contiguous(x);
    if !is_own(&x) {
        let out = by_rows(values(&x), gamma.len(), LEAST, |x, y| {
            forward_apart(x, gamma, beta, y, epsilon);
        });
        return tensor(out, x.shape());
    }
    let ([y], _) = update([x], gamma.len(), TASKS, |(): &mut (), _, [x]| {
        forward(x, gamma, beta, epsilon);
    });
    y
}

impl LayerNormOps for Flex {
    fn layer_norm_rows(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Norm);
        on_flex(x, gamma, Some(beta), epsilon)
    }

    fn layer_norm_gain_rows(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Norm);
        on_flex(x, gamma, None, epsilon)
    }

    fn layer_norm_rows_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let _timed = timed(Class::Norm);
        let (x, gamma) = (contiguous(x), contiguous(gamma));
        let (x, gamma) = (values(&x), values(&gamma));
        let cols = gamma.len();
        let ([dx], partials) = update(
            [grad],
            cols,
            NORM_TASKS,
            |partial: &mut Vec<f32>, first, [grad]| {
                partial.resize(2 * cols, 0.0);
                let x = &x[first..first + grad.len()];
                backward(x, gamma, grad, partial, epsilon);
            },
        );
        let mut dgamma = sum_rows(&partials, 2 * cols);
        let dbeta = dgamma.split_off(cols);
        let shape = Shape::new([cols]);
        (dx, tensor(dgamma, shape.clone()), tensor(dbeta, shape))
    }
}

impl LayerNormOps for CaptureBackend {
    fn layer_norm_rows(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        let shape = x.shape();
        let scalars = vec![ScalarIr::Float(f64::from(epsilon))];
        let inputs = vec![x, gamma, beta];
        let [y] = record("layer_norm", inputs, [shape], scalars);
        y
    }

    fn layer_norm_gain_rows(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        let shape = x.shape();
        let scalars = vec![ScalarIr::Float(f64::from(epsilon))];
        let [y] = record("layer_norm", vec![x, gamma], [shape], scalars);
        y
    }

    fn layer_norm_rows_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let shapes = [x.shape(), gamma.shape(), gamma.shape()];
        let scalars = vec![ScalarIr::Float(f64::from(epsilon))];
        let inputs = vec![x, gamma, grad];
        let [dx, dgamma, dbeta] =
            record("layer_norm_backward", inputs, shapes, scalars);
        (dx, dgamma, dbeta)
    }
}

/// The cost of this file's operators. The backward pass holds one row of
/// `dgamma` and one of `dbeta` a task.
pub(crate) fn cost(op: &CustomOpIr) -> Option<CustomCost> {
    let backward = match op.id.as_str() {
        "layer_norm" => false,
        "layer_norm_backward" => true,
        _ => return None,
    };
    let shape = &op.outputs[0].shape;
    let (len, cols) = (shape.num_elements(), shape[shape.num_dims() - 1]);
    let rows = (len / cols.max(1)) as u64;
    let kind = OperatorKind::LayerNorm { rows, cols: cols as u64, backward };
    let plain = CustomCost::plain(kind, op);
    Some(if backward {
        let partials = tasks(len, cols, NORM_TASKS) * 2 * cols;
        CustomCost {
            in_place: vec![Some(2), None, None],
            scratch_bytes: (partials * size_of::<f32>()) as u64,
            ..plain
        }
    } else {
        CustomCost { in_place: vec![Some(0)], ..plain }
    })
}

#[derive(Debug)]
struct LayerNormBackward;

/// `x`, `gamma`, `epsilon`.
type State<B> = (FloatTensor<B>, FloatTensor<B>, f32);

/// With `PARENTS` 3, `beta` is the third.
impl<B: LayerNormOps, const PARENTS: usize> Backward<B, PARENTS>
    for LayerNormBackward
{
    type State = State<B>;

    fn backward(
        self,
        ops: Ops<Self::State, PARENTS>,
        grads: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let (x, gamma, epsilon) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let (dx, dgamma, dbeta) =
            B::layer_norm_rows_backward(x, gamma, grad, epsilon);
        for (parent, grad) in ops.parents.into_iter().zip([dx, dgamma, dbeta]) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, grad);
            }
        }
    }
}

impl<B: LayerNormOps, C: CheckpointStrategy> LayerNormOps for Autodiff<B, C> {
    fn layer_norm_rows(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        let prep = Backward::<B, 3>::prepare::<C>(
            LayerNormBackward,
            [x.node(), gamma.node(), beta.node()],
        )
        .compute_bound()
        .stateful();
        let (x, gamma) = (x.into_primitive(), gamma.into_primitive());
        let beta = beta.into_primitive();
        match prep {
            OpsKind::Tracked(prep) => {
                let y =
                    B::layer_norm_rows(x.clone(), gamma.clone(), beta, epsilon);
                prep.finish((x, gamma, epsilon), y)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::layer_norm_rows(x, gamma, beta, epsilon))
            }
        }
    }

    fn layer_norm_gain_rows(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        let prep = Backward::<B, 2>::prepare::<C>(
            LayerNormBackward,
            [x.node(), gamma.node()],
        )
        .compute_bound()
        .stateful();
        let (x, gamma) = (x.into_primitive(), gamma.into_primitive());
        match prep {
            OpsKind::Tracked(prep) => {
                let y =
                    B::layer_norm_gain_rows(x.clone(), gamma.clone(), epsilon);
                prep.finish((x, gamma, epsilon), y)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::layer_norm_gain_rows(x, gamma, epsilon))
            }
        }
    }

    fn layer_norm_rows_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        second_order("layer_norm")
    }
}

/// Mean and `1 / sqrt(variance + epsilon)`. Two passes: the variance of
/// centred values does not cancel.
#[inline(always)]
fn statistics<const FMA: bool>(x: &[f32], epsilon: f32) -> (f32, f32) {
    let width = x.len() as f32;
    let mean = sum(x) / width;
    (mean, 1.0 / (squares::<FMA>(x, mean) / width + epsilon).sqrt())
}

multiversion! {
    /// `beta` may be empty.
    pub(crate) fn forward(x: &mut [f32], gamma: &[f32], beta: &[f32], epsilon: f32) {
        for x in x.chunks_exact_mut(gamma.len().max(1)) {
            let (mean, r) = statistics::<FMA>(x, epsilon);
            if beta.is_empty() {
                for (x, gamma) in x.iter_mut().zip(gamma) {
                    *x = (*x - mean) * r * gamma;
                }
            } else {
                for ((x, gamma), beta) in x.iter_mut().zip(gamma).zip(beta) {
                    *x = madd::<FMA>((*x - mean) * r, *gamma, *beta);
                }
            }
        }
    }
}

multiversion! {
    /// As [`forward`], out of place: a copy that is then updated would be
    /// written twice.
    fn forward_apart(x: &[f32], gamma: &[f32], beta: &[f32], y: &mut [MaybeUninit<f32>], epsilon: f32) {
        let cols = gamma.len().max(1);
        for (x, y) in x.chunks_exact(cols).zip(y.chunks_exact_mut(cols)) {
            let (mean, r) = statistics::<FMA>(x, epsilon);
            if beta.is_empty() {
                for ((x, y), gamma) in x.iter().zip(y).zip(gamma) {
                    y.write((x - mean) * r * gamma);
                }
            } else {
                let scales = gamma.iter().zip(beta);
                for ((x, y), (gamma, beta)) in x.iter().zip(y).zip(scales) {
                    y.write(madd::<FMA>((x - mean) * r, *gamma, *beta));
                }
            }
        }
    }
}

multiversion! {
    /// Turns `grad` into the gradient of `x`; adds `[dgamma, dbeta]` up.
    pub(crate) fn backward(x: &[f32], gamma: &[f32], grad: &mut [f32], partial: &mut [f32], epsilon: f32) {
        let cols = gamma.len().max(1);
        let (dgamma, dbeta) = partial.split_at_mut(gamma.len());
        for (x, grad) in x.chunks_exact(cols).zip(grad.chunks_exact_mut(cols))
        {
            let (mean, r) = statistics::<FMA>(x, epsilon);
            let scales = dgamma.iter_mut().zip(dbeta.iter_mut()).zip(gamma);
            for (((dgamma, dbeta), gamma), (x, grad)) in
                scales.zip(x.iter().zip(grad.iter_mut()))
            {
                *dgamma = madd::<FMA>(*grad, (x - mean) * r, *dgamma);
                *dbeta += *grad;
                *grad *= gamma;
            }
            let width = cols as f32;
            let total = sum(grad);
            // sum h (x - mean) r, without a temporary.
            let along = (dot::<FMA>(grad, x) - mean * total) * r / width;
            let offset = total / width;
            for (grad, x) in grad.iter_mut().zip(x) {
                *grad = r * (*grad - offset - (x - mean) * r * along);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tolerance};

    use super::*;
    use crate::door::recorded;

    #[test]
    fn it_equals_its_plain_twin_forward_and_backward() {
        let device = Device::flex().autodiff();
        let random = |shape: Vec<usize>, from, to| {
            let range = Distribution::Uniform(from, to);
            Tensor::<1>::random(
                [shape.iter().product::<usize>()],
                range,
                &device,
            )
        };
        for ([rows, cols], offset) in [
            ([7, 33], true),
            ([7, 33], false),
            ([1, 1], true),
            ([1, 800], true),
            ([150, 1000], true),
        ] {
            let x = random(vec![rows, cols], -1.0, 3.0)
                .reshape([cols, rows])
                .require_grad();
            let gamma = random(vec![cols], 0.5, 1.5).require_grad();
            let beta = random(vec![cols], -1.0, 1.0).require_grad();
            let weight =
                random(vec![rows, cols], -1.0, 1.0).reshape([rows, cols]);
            let beta_or_none = || offset.then(|| beta.clone());
            let rows_of = || x.clone().transpose();
            let fast =
                layer_norm(rows_of(), gamma.clone(), beta_or_none(), 1e-5);
            let plain = layer_norm_plain(
                rows_of(),
                gamma.clone(),
                beta_or_none(),
                1e-5,
            );
            fast.to_data().assert_approx_eq::<f32>(
                &plain.to_data(),
                Tolerance::absolute(5e-6),
            );
            let gradients = |y: Tensor<2>| {
                let grads = (y * weight.clone()).sum().backward();
                let dbeta = beta.grad(&grads);
                assert_eq!(dbeta.is_some(), offset);
                let mut all = vec![
                    x.grad(&grads).unwrap().to_data(),
                    gamma.grad(&grads).unwrap().to_data(),
                ];
                all.extend(dbeta.map(|dbeta| dbeta.to_data()));
                all
            };
            for (fast, plain) in gradients(fast).iter().zip(&gradients(plain)) {
                fast.assert_approx_eq::<f32>(plain, Tolerance::absolute(3e-5));
            }
        }
    }

    #[test]
    fn it_is_recorded_with_its_cost() {
        let ops = recorded(|device| {
            let x = Tensor::<3>::zeros([2, 3, 5], device).require_grad();
            let gamma = Tensor::<1>::zeros([5], device).require_grad();
            Some(layer_norm(x, gamma, None, 1e-5).sum())
        });
        let costs: Vec<_> = ops.iter().filter_map(cost).collect();
        let kind =
            |backward| OperatorKind::LayerNorm { rows: 6, cols: 5, backward };
        assert_eq!(costs[0].kind, kind(false));
        assert_eq!(costs[1].kind, kind(true));
        assert_eq!(costs[1].in_place, [Some(2), None, None]);
        assert_eq!(costs[1].scratch_bytes, 2 * 5 * 4);
    }
}
