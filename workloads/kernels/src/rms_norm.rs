//! Root-mean-square norm of each row (Zhang and Sennrich, *Root Mean Square
//! Layer Normalization*, 2019): `y = x r gamma`,
//! `r = 1 / sqrt(mean(x^2) + epsilon)`.
//!
//! With `h = dy gamma`, over rows of `D`: `dx = r (h - x r^2 mean(h x))`,
//! `dgamma = sum dy x r` over all rows. The backward pass computes `r` again:
//! it keeps `x` and `gamma` only.
//!
//! The ladder, [512, 1024] `f32`, milliseconds
//! (`examples/row_kernels_ladder.rs`; 2026-11-24, EPYC with AVX-512, one
//! worker thread, allocator set to keep its memory):
//! stock operators 0.24; 1. two passes over a row in L1, 0.13; 2. in place 0.08.
//! Forward and backward: stock 1.2; 3. gradients in two passes over the
//! gradient's own rows 0.46-0.61. One row: stock 2.1 us, in place 0.4.

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
use burn_flex::Flex;

use assay_trace::{CustomCost, OperatorKind};

use crate::classes::{Class, timed};
use crate::door::{contiguous, record, second_order, serves, tensor, values};
use crate::math::{dot, madd, multiversion};
use crate::rows::{NORM_TASKS, TASKS, sum_rows, tasks, update};

/// Root-mean-square norm over the last dimension; in place when nobody else
/// holds `x`.
pub fn rms_norm<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    epsilon: f32,
) -> Tensor<D> {
    assert_eq!(
        x.dims()[D - 1],
        gamma.dims()[0],
        "rms_norm: rows and gamma differ in width"
    );
    if !(serves(&x) && serves(&gamma)) {
        return rms_norm_plain(x, gamma, epsilon);
    }
    Tensor::from_dispatch(<Dispatch as RmsNormOps>::rms_norm_rows(
        x.into_dispatch(),
        gamma.into_dispatch(),
        epsilon,
    ))
}

/// The plain twin, of Burn's own operators.
pub fn rms_norm_plain<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    epsilon: f32,
) -> Tensor<D> {
    let square = x.clone().powi_scalar(2).mean_dim(D - 1);
    x / (square + epsilon).sqrt() * gamma.unsqueeze()
}

/// Root-mean-square norm as a backend operator: use [`rms_norm`].
#[backend_extension(Flex, Capture, Autodiff)]
pub trait RmsNormOps: Backend {
    /// Over the last dimension.
    fn rms_norm_rows(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self>;
    /// Gradients of `x` and `gamma`.
    fn rms_norm_rows_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

impl RmsNormOps for Flex {
    fn rms_norm_rows(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Norm);
        let gamma = contiguous(gamma);
        let gamma = values(&gamma);
        let ([y], _) =
            update([x], gamma.len(), TASKS, |(): &mut (), _, [x]| {
                forward(x, gamma, epsilon);
            });
        y
    }

    fn rms_norm_rows_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let _timed = timed(Class::Norm);
        let (x, gamma) = (contiguous(x), contiguous(gamma));
        let (x, gamma) = (values(&x), values(&gamma));
        let cols = gamma.len();
        let ([dx], partials) = update(
            [grad],
            cols,
            NORM_TASKS,
            |dgamma: &mut Vec<f32>, first, [grad]| {
                dgamma.resize(cols, 0.0);
                let x = &x[first..first + grad.len()];
                backward(x, gamma, grad, dgamma, epsilon);
            },
        );
        (dx, tensor(sum_rows(&partials, cols), Shape::new([cols])))
    }
}

impl RmsNormOps for CaptureBackend {
    fn rms_norm_rows(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        let shape = x.shape();
        let scalars = vec![ScalarIr::Float(f64::from(epsilon))];
        let [y] = record("rms_norm", vec![x, gamma], [shape], scalars);
        y
    }

    fn rms_norm_rows_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let shapes = [x.shape(), gamma.shape()];
        let scalars = vec![ScalarIr::Float(f64::from(epsilon))];
        let inputs = vec![x, gamma, grad];
        let [dx, dgamma] = record("rms_norm_backward", inputs, shapes, scalars);
        (dx, dgamma)
    }
}

/// The cost of this file's operators. The backward pass holds one row of
/// `dgamma` a task.
pub(crate) fn cost(op: &CustomOpIr) -> Option<CustomCost> {
    let backward = match op.id.as_str() {
        "rms_norm" => false,
        "rms_norm_backward" => true,
        _ => return None,
    };
    let shape = &op.outputs[0].shape;
    let (len, cols) = (shape.num_elements(), shape[shape.num_dims() - 1]);
    let rows = (len / cols.max(1)) as u64;
    let kind = OperatorKind::RmsNorm { rows, cols: cols as u64, backward };
    let plain = CustomCost::plain(kind, op);
    Some(if backward {
        let partials = tasks(len, cols, NORM_TASKS) * cols;
        CustomCost {
            in_place: vec![Some(2), None],
            scratch_bytes: (partials * size_of::<f32>()) as u64,
            ..plain
        }
    } else {
        CustomCost { in_place: vec![Some(0)], ..plain }
    })
}

#[derive(Debug)]
struct RmsNormBackward;

impl<B: RmsNormOps> Backward<B, 2> for RmsNormBackward {
    /// `x`, `gamma`, `epsilon`.
    type State = (FloatTensor<B>, FloatTensor<B>, f32);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let (x, gamma, epsilon) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let (dx, dgamma) = B::rms_norm_rows_backward(x, gamma, grad, epsilon);
        for (parent, grad) in ops.parents.into_iter().zip([dx, dgamma]) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, grad);
            }
        }
    }
}

impl<B: RmsNormOps, C: CheckpointStrategy> RmsNormOps for Autodiff<B, C> {
    fn rms_norm_rows(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        let prep = RmsNormBackward
            .prepare::<C>([x.node(), gamma.node()])
            .compute_bound()
            .stateful();
        let (x, gamma) = (x.into_primitive(), gamma.into_primitive());
        match prep {
            OpsKind::Tracked(prep) => {
                let y = B::rms_norm_rows(x.clone(), gamma.clone(), epsilon);
                prep.finish((x, gamma, epsilon), y)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::rms_norm_rows(x, gamma, epsilon))
            }
        }
    }

    fn rms_norm_rows_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        second_order("rms_norm")
    }
}

/// `1 / sqrt(mean(x^2) + epsilon)`.
#[inline(always)]
fn scale<const FMA: bool>(x: &[f32], epsilon: f32) -> f32 {
    1.0 / (dot::<FMA>(x, x) / x.len() as f32 + epsilon).sqrt()
}

multiversion! {
    fn forward(x: &mut [f32], gamma: &[f32], epsilon: f32) {
        for x in x.chunks_exact_mut(gamma.len().max(1)) {
            let r = scale::<FMA>(x, epsilon);
            for (x, gamma) in x.iter_mut().zip(gamma) {
                *x *= r * gamma;
            }
        }
    }
}

multiversion! {
    /// Turns `grad` into the gradient of `x`; adds `dgamma` up.
    fn backward(x: &[f32], gamma: &[f32], grad: &mut [f32], dgamma: &mut [f32], epsilon: f32) {
        let cols = gamma.len().max(1);
        for (x, grad) in x.chunks_exact(cols).zip(grad.chunks_exact_mut(cols))
        {
            let r = scale::<FMA>(x, epsilon);
            for (((dgamma, gamma), x), grad) in
                dgamma.iter_mut().zip(gamma).zip(x).zip(grad.iter_mut())
            {
                *dgamma = madd::<FMA>(*grad, x * r, *dgamma);
                *grad *= gamma;
            }
            let along = dot::<FMA>(grad, x) * r * r / cols as f32;
            for (grad, x) in grad.iter_mut().zip(x) {
                *grad = r * (*grad - x * along);
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
        let range = Distribution::Uniform(-1.0, 2.0);
        for [rows, cols] in [[7, 33], [1, 1], [1, 800], [150, 1000]] {
            // A part of a wider tensor.
            let x = Tensor::<2>::random([rows, cols + 3], range, &device)
                .require_grad();
            let gamma =
                Tensor::<1>::random([cols], range, &device).require_grad();
            let weight = Tensor::random([rows, cols], range, &device);
            let part = || x.clone().slice([0..rows, 2..cols + 2]);
            let fast = rms_norm(part(), gamma.clone(), 1e-6);
            let plain = rms_norm_plain(part(), gamma.clone(), 1e-6);
            fast.to_data().assert_approx_eq::<f32>(
                &plain.to_data(),
                Tolerance::absolute(2e-6),
            );
            let gradients = |y: Tensor<2>| {
                let grads = (y * weight.clone()).sum().backward();
                let dx = x.grad(&grads).unwrap().to_data();
                (dx, gamma.grad(&grads).unwrap().to_data())
            };
            let (fast, plain) = (gradients(fast), gradients(plain));
            let near = Tolerance::rel_abs(2e-6, 3e-5);
            fast.0.assert_approx_eq::<f32>(&plain.0, near);
            fast.1.assert_approx_eq::<f32>(&plain.1, near);
        }
    }

    #[test]
    fn it_is_recorded_with_its_cost() {
        let ops = recorded(|device| {
            let x = Tensor::<3>::zeros([2, 900, 50], device).require_grad();
            let gamma = Tensor::<1>::zeros([50], device).require_grad();
            Some(rms_norm(x, gamma, 1e-5).sum())
        });
        let costs: Vec<_> = ops.iter().filter_map(cost).collect();
        let kind =
            |backward| OperatorKind::RmsNorm { rows: 1800, cols: 50, backward };
        assert_eq!(costs[0].kind, kind(false));
        assert_eq!(costs[1].kind, kind(true));
        // 90 thousand elements: two tasks.
        assert_eq!(costs[1].scratch_bytes, 2 * 50 * 4);
    }
}
