//! Softmax of each row, with a scale folded in:
//! `y_j = exp(s x_j - m) / sum_i exp(s x_i - m)`, `m = max_i s x_i`.
//!
//! The ladder, [8, 8, 256, 256] `f32` on 2 cores of an EPYC with AVX-512
//! (`../shared/facts/burn.md`, measured there): stock softmax 8 ms, stock scale
//! then softmax 20 ms; one pass with an own exponential 1.1 ms.
//! 1. three passes over a row that stays in L1 (maximum, exponentials and
//!    their sum, scale);
//! 2. a polynomial exponential that vectorises ([`crate::math`]);
//! 3. 32 independent lanes for maximum and sum: `f32` reductions do not
//!    vectorise otherwise;
//! 4. output written once into uninitialised memory.

use burn::Tensor;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ir::{CustomOpIr, ScalarIr};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, Backend, Dispatch, TensorMetadata, backend_extension,
};
use burn_capture::CaptureBackend;
use burn_flex::Flex;

use assay_trace::{CustomCost, OperatorKind};

use std::mem::MaybeUninit;

use crate::classes::{Class, timed};
use crate::door::{contiguous, record, serves, tensor, values};
use crate::math::{LANES, dot, exp, multiversion};
use crate::rows::{TASK, by_rows, by_rows2, written};

/// Softmax over the last dimension of `x * scale`.
pub fn softmax<const D: usize>(x: Tensor<D>, scale: f32) -> Tensor<D> {
    if !serves(&x) {
        return softmax_plain(x, scale);
    }
    Tensor::from_dispatch(<Dispatch as SoftmaxOps>::softmax_rows(
        x.into_dispatch(),
        scale,
    ))
}

/// The plain twin, of Burn's own operators.
pub fn softmax_plain<const D: usize>(x: Tensor<D>, scale: f32) -> Tensor<D> {
    burn::tensor::activation::softmax(x * scale, D - 1)
}

/// Softmax as a backend operator. Private to this file in spirit: use
/// [`softmax`].
#[backend_extension(Flex, Capture, Autodiff)]
pub trait SoftmaxOps: Backend {
    /// Softmax over the last dimension of `x * scale`.
    fn softmax_rows(x: FloatTensor<Self>, scale: f32) -> FloatTensor<Self>;
    /// Gradient with respect to `x`, from the output `y` and its gradient:
    /// `scale * y * (g - sum(g * y))`.
    fn softmax_rows_backward(
        y: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        scale: f32,
    ) -> FloatTensor<Self>;
}

impl SoftmaxOps for Flex {
    fn softmax_rows(x: FloatTensor<Self>, scale: f32) -> FloatTensor<Self> {
        let _timed = timed(Class::Softmax);
        let x = contiguous(x);
        let shape = x.shape();
        let cols = shape[shape.num_dims() - 1];
        let out = by_rows(values(&x), cols, TASK, |input, output| {
            forward_rows(input, output, cols, scale);
        });
        tensor(out, shape)
    }

    fn softmax_rows_backward(
        y: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        scale: f32,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Softmax);
        let (y, grad) = (contiguous(y), contiguous(grad));
        let shape = y.shape();
        let cols = shape[shape.num_dims() - 1];
        let out =
            by_rows2(values(&y), values(&grad), cols, |y, grad, output| {
                backward_rows(y, grad, output, cols, scale);
            });
        tensor(out, shape)
    }
}

impl SoftmaxOps for CaptureBackend {
    fn softmax_rows(x: FloatTensor<Self>, scale: f32) -> FloatTensor<Self> {
        let shape = x.shape();
        let scalars = vec![ScalarIr::Float(f64::from(scale))];
        let [y] = record("softmax", vec![x], [shape], scalars);
        y
    }

    fn softmax_rows_backward(
        y: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        scale: f32,
    ) -> FloatTensor<Self> {
        let shape = y.shape();
        let scalars = vec![ScalarIr::Float(f64::from(scale))];
        let [x] = record("softmax_backward", vec![y, grad], [shape], scalars);
        x
    }
}

/// The cost of this file's operators.
pub(crate) fn cost(op: &CustomOpIr) -> Option<CustomCost> {
    let backward = match op.id.as_str() {
        "softmax" => false,
        "softmax_backward" => true,
        _ => return None,
    };
    let shape = &op.outputs[0].shape;
    let cols = shape[shape.num_dims() - 1] as u64;
    let rows = shape.num_elements() as u64 / cols.max(1);
    Some(CustomCost::plain(OperatorKind::Softmax { rows, cols, backward }, op))
}

#[derive(Debug)]
struct SoftmaxBackward;

impl<B: SoftmaxOps> Backward<B, 1> for SoftmaxBackward {
    type State = (FloatTensor<B>, f32);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let (y, scale) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        if let [Some(parent)] = ops.parents {
            grads.register::<B>(
                parent.id,
                B::softmax_rows_backward(y, grad, scale),
            );
        }
    }
}

impl<B: SoftmaxOps, C: CheckpointStrategy> SoftmaxOps for Autodiff<B, C> {
    fn softmax_rows(x: FloatTensor<Self>, scale: f32) -> FloatTensor<Self> {
        match SoftmaxBackward
            .prepare::<C>([x.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => {
                let y = B::softmax_rows(x.into_primitive(), scale);
                prep.finish((y.clone(), scale), y)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::softmax_rows(x.into_primitive(), scale))
            }
        }
    }

    fn softmax_rows_backward(
        y: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        scale: f32,
    ) -> FloatTensor<Self> {
        // A gradient of the gradient is taken on the plain twin's operators.
        let y_grad = Self::float_mul(y.clone(), grad.clone());
        let dim = y.shape().num_dims() - 1;
        let sum = Self::float_sum_dim(y_grad, dim);
        let centred = Self::float_sub(grad, sum);
        Self::float_mul_scalar(Self::float_mul(y, centred), scale.into())
    }
}

multiversion! {
    fn forward_rows(input: &[f32], output: &mut [MaybeUninit<f32>], cols: usize, scale: f32) {
        for (x, y) in
            input.chunks_exact(cols).zip(output.chunks_exact_mut(cols))
        {
            // max(s x) is s max(x) or s min(x): scale first, then compare.
            let mut lanes = [f32::NEG_INFINITY; LANES];
            let (chunks, rest) = x.as_chunks::<LANES>();
            for chunk in chunks {
                for (lane, x) in lanes.iter_mut().zip(chunk) {
                    let x = x * scale;
                    *lane = if x > *lane { x } else { *lane };
                }
            }
            let largest = lanes
                .into_iter()
                .chain(rest.iter().map(|x| x * scale))
                .fold(f32::NEG_INFINITY, f32::max);
            // A row of -inf alone has no distribution: 0/0 as in the twin.
            let mut lanes = [0.0; LANES];
            let (out_chunks, out_rest) = y.as_chunks_mut::<LANES>();
            for (chunk, out) in chunks.iter().zip(out_chunks) {
                for i in 0..LANES {
                    let e = exp::<FMA>(chunk[i] * scale - largest);
                    out[i].write(e);
                    lanes[i] += e;
                }
            }
            let mut sum: f32 = lanes.into_iter().sum();
            for (x, out) in rest.iter().zip(out_rest) {
                let e = exp::<FMA>(x * scale - largest);
                out.write(e);
                sum += e;
            }
            let inverse = 1.0 / sum;
            for out in written(y) {
                *out *= inverse;
            }
        }
    }
}

multiversion! {
    fn backward_rows(y: &[f32], grad: &[f32], output: &mut [MaybeUninit<f32>], cols: usize, scale: f32) {
        let rows = y.chunks_exact(cols).zip(grad.chunks_exact(cols));
        for ((y, grad), out) in rows.zip(output.chunks_exact_mut(cols)) {
            let dot = dot::<FMA>(y, grad);
            for ((y, grad), out) in y.iter().zip(grad).zip(out) {
                out.write(scale * y * (grad - dot));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tolerance};

    use super::*;

    #[test]
    fn it_equals_its_plain_twin_forward_and_backward() {
        let device = Device::flex().autodiff();
        for shape in [[7, 33], [4, 256], [1, 1], [3, 1000]] {
            let x = Tensor::<2>::random(
                shape,
                Distribution::Uniform(-9.0, 9.0),
                &device,
            )
            .require_grad();
            let weight = Tensor::random(shape, Distribution::Default, &device);
            let (fast, plain) =
                (softmax(x.clone(), 0.3), softmax_plain(x.clone(), 0.3));
            fast.to_data().assert_approx_eq::<f32>(
                &plain.to_data(),
                Tolerance::absolute(1e-6),
            );
            let gradient = |y: Tensor<2>| {
                let grads = (y * weight.clone()).sum().backward();
                x.grad(&grads).unwrap().to_data()
            };
            gradient(fast).assert_approx_eq::<f32>(
                &gradient(plain),
                Tolerance::absolute(1e-6),
            );
        }
    }
}
