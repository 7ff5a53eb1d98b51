//! Pictures of twice the height and width, channels last, by the nearest
//! value: `y[b, i, j, c] = x[b, i / 2, j / 2, c]`; the gradient of a value is
//! the sum of its four copies' gradients.
//!
//! A line is written once with each pixel twice, then copied whole while it is
//! in cache; backward, four vectors of channels are added at a time.

use std::mem::MaybeUninit;

use burn::Tensor;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ir::CustomOpIr;
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
use crate::math::multiversion;
use crate::rows::fill;
use crate::share::share_parts;

/// `x` [B, H, W, C] with each pixel twice down and across: [B, 2H, 2W, C].
pub fn upsample(x: Tensor<4>) -> Tensor<4> {
    if !serves(&x) {
        return upsample_plain(x);
    }
    let x = x.into_dispatch();
    Tensor::from_dispatch(<Dispatch as UpsampleOps>::upsample_rows(x))
}

/// The plain twin, of Burn's own operators.
pub fn upsample_plain(x: Tensor<4>) -> Tensor<4> {
    let [b, h, w, c] = x.dims();
    let x: Tensor<5> = x.reshape([b * h, 1, w, 1, c]);
    let x: Tensor<5> = x.expand([b * h, 2, w, 2, c]);
    x.reshape([b, 2 * h, 2 * w, c])
}

/// Doubled pictures as a backend operator: use [`upsample`].
#[backend_extension(Flex, Capture, Autodiff)]
pub trait UpsampleOps: Backend {
    /// See [`upsample`].
    fn upsample_rows(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// The gradient of `x`.
    fn upsample_rows_backward(grad: FloatTensor<Self>) -> FloatTensor<Self>;
}

fn doubled(shape: &Shape) -> Shape {
    Shape::new([shape[0], 2 * shape[1], 2 * shape[2], shape[3]])
}

fn halved(shape: &Shape) -> Shape {
    Shape::new([shape[0], shape[1] / 2, shape[2] / 2, shape[3]])
}

/// Input lines of one task: 64 KB of `f32` at least.
fn together(line: usize) -> usize {
    (16 * 1024_usize).div_ceil(line.max(1))
}

impl UpsampleOps for Flex {
    fn upsample_rows(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let _timed = timed(Class::Copy);
        let x = contiguous(x);
        let (shape, x) = (x.shape(), values(&x));
        let (line, channels) = (shape[2] * shape[3], shape[3]);
        let out = fill(4 * x.len(), |out| {
            share_parts(out, 4 * line * together(line), |first, out| {
                forward(&x[first / 4..][..out.len() / 4], out, line, channels);
            });
        });
        tensor(out, doubled(&shape))
    }

    fn upsample_rows_backward(grad: FloatTensor<Self>) -> FloatTensor<Self> {
        let _timed = timed(Class::Elementwise);
        let grad = contiguous(grad);
        let (shape, grad) = (halved(&grad.shape()), values(&grad));
        let (line, channels) = (shape[2] * shape[3], shape[3]);
        let out = fill(shape.num_elements(), |out| {
            share_parts(out, line * together(line), |first, out| {
                let grad = &grad[4 * first..][..4 * out.len()];
                backward(grad, out, line, channels);
            });
        });
        tensor(out, shape)
    }
}

/// Whole lines of pixels.
fn forward(
    x: &[f32],
    out: &mut [MaybeUninit<f32>],
    line: usize,
    channels: usize,
) {
    let (line, channels) = (line.max(1), channels.max(1));
    for (x, out) in x.chunks_exact(line).zip(out.chunks_exact_mut(4 * line)) {
        let (upper, lower) = out.split_at_mut(2 * line);
        let pairs = upper.chunks_exact_mut(2 * channels);
        for (pixel, pair) in x.chunks_exact(channels).zip(pairs) {
            let (left, right) = pair.split_at_mut(channels);
            left.write_copy_of_slice(pixel);
            right.write_copy_of_slice(pixel);
        }
        lower.copy_from_slice(upper);
    }
}

/// Channels that are added at a time.
const LANES: usize = 16;

multiversion! {
    /// The sums of each pixel's four gradients, in whole lines.
    fn backward(grad: &[f32], out: &mut [MaybeUninit<f32>], line: usize, channels: usize) {
        let (line, channels) = (line.max(1), channels.max(1));
        let lines = out.chunks_exact_mut(line);
        for (grad, out) in grad.chunks_exact(4 * line).zip(lines) {
            let (upper, lower) = grad.split_at(2 * line);
            let pairs = upper
                .chunks_exact(2 * channels)
                .zip(lower.chunks_exact(2 * channels));
            for (out, (upper, lower)) in
                out.chunks_exact_mut(channels).zip(pairs)
            {
                let (a, b) = upper.split_at(channels);
                let (c, d) = lower.split_at(channels);
                let whole = channels / LANES * LANES;
                for at in (0..whole).step_by(LANES) {
                    let (a, b) = (&a[at..at + LANES], &b[at..at + LANES]);
                    let (c, d) = (&c[at..at + LANES], &d[at..at + LANES]);
                    let out = &mut out[at..at + LANES];
                    for i in 0..LANES {
                        out[i].write((a[i] + b[i]) + (c[i] + d[i]));
                    }
                }
                for i in whole..channels {
                    out[i].write((a[i] + b[i]) + (c[i] + d[i]));
                }
            }
        }
    }
}

impl UpsampleOps for CaptureBackend {
    fn upsample_rows(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let shape = doubled(&x.shape());
        let [y] = record("upsample", vec![x], [shape], vec![]);
        y
    }

    fn upsample_rows_backward(grad: FloatTensor<Self>) -> FloatTensor<Self> {
        let shape = halved(&grad.shape());
        let [dx] = record("upsample_backward", vec![grad], [shape], vec![]);
        dx
    }
}

/// The cost of this file's operators: a copy, and sums of four.
pub(crate) fn cost(op: &CustomOpIr) -> Option<CustomCost> {
    let elements = |x: &Shape| x.num_elements() as u64;
    let (from, to) = (&op.inputs.first()?.shape, &op.outputs.first()?.shape);
    let kind = match op.id.as_str() {
        "upsample" => OperatorKind::Copy { elements: elements(to) },
        "upsample_backward" => OperatorKind::Pool {
            elements: elements(from),
            results: elements(to),
        },
        _ => return None,
    };
    Some(CustomCost::plain(kind, op))
}

#[derive(Debug)]
struct UpsampleBackward;

impl<B: UpsampleOps> Backward<B, 1> for UpsampleBackward {
    type State = ();

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let grad = grads.consume::<B>(&ops.node);
        if let [Some(parent)] = ops.parents {
            let dx = B::upsample_rows_backward(grad);
            grads.register::<B>(parent.id, dx);
        }
    }
}

impl<B: UpsampleOps, C: CheckpointStrategy> UpsampleOps for Autodiff<B, C> {
    fn upsample_rows(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let prep = UpsampleBackward
            .prepare::<C>([x.node()])
            .compute_bound()
            .stateful();
        let y = B::upsample_rows(x.into_primitive());
        match prep {
            OpsKind::Tracked(prep) => prep.finish((), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn upsample_rows_backward(_: FloatTensor<Self>) -> FloatTensor<Self> {
        second_order("upsample")
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
        for [b, h, w, c] in
            [[1, 1, 1, 1], [2, 3, 5, 7], [3, 4, 4, 32], [40, 16, 8, 20]]
        {
            let range = Distribution::Uniform(-2.0, 2.0);
            // Channels first, seen turned.
            let x = Tensor::<4>::random([b, c, h, w], range, &device);
            let x = x.require_grad();
            let out = [b, 2 * h, 2 * w, c];
            let weight = Tensor::<4>::random(out, range, &device);
            let run = |fast: bool| {
                let f = if fast { upsample } else { upsample_plain };
                let y = f(x.clone().permute([0, 2, 3, 1]));
                let value = y.to_data();
                let grads = (y * weight.clone()).sum().backward();
                (value, x.grad(&grads).unwrap().to_data())
            };
            let ((fast, dfast), (plain, dplain)) = (run(true), run(false));
            fast.assert_eq(&plain, true);
            dfast.assert_approx_eq::<f32>(&dplain, Tolerance::absolute(1e-5));
        }
    }

    #[test]
    fn it_is_recorded_with_its_cost() {
        let ops = recorded(|device| {
            let x = Tensor::<4>::zeros([2, 3, 4, 5], device).require_grad();
            Some(upsample(x).sum())
        });
        let costs: Vec<_> = ops.iter().filter_map(cost).collect();
        assert_eq!(costs.len(), 2);
        assert_eq!(costs[0].kind, OperatorKind::Copy { elements: 480 });
        let sums = OperatorKind::Pool { elements: 480, results: 120 };
        assert_eq!(costs[1].kind, sums);
    }
}
