//! Maximum of windows that do not overlap, channels last:
//! `y[b, i, j, c] = max x[b, i h + p, j w + q, c]` over `p < h`, `q < w`; rows
//! and columns that fill no window are left out. The gradient goes to the
//! first maximum of a window, in row-major order.
//!
//! The backward pass keeps `x` and finds the maxima again: a vector of
//! channels at a time, with the place of the maximum beside it, so there is no
//! branch and no tensor of indices.
//!
//! The ladder, milliseconds, twin (which turns the axes twice) and kernel
//! (`examples/network_kernels_ladder.rs`; 2026-11-28, 2 cores of an EPYC with
//! AVX-512, shared with other programs, load 5 to 9: to be measured again)
//! [256, 16, 16, 32], 2 x 2: 54 and 1.1; [64, 64, 64, 8]: 45 and 1.1, where the
//! scalar loop for 8 channels took 7.7.

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
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn_capture::CaptureBackend;
use burn_flex::Flex;

use assay_trace::{CustomCost, OperatorKind};

use crate::classes::{Class, timed};
use crate::door::{contiguous, record, second_order, serves, tensor, values};
use crate::math::multiversion;
use crate::rows::fill;
use crate::share::share_parts;

/// The maximum of each `window` (rows, columns) of `x` [B, H, W, C], windows
/// side by side: [B, H / rows, W / columns, C], rounded down.
pub fn max_pool(x: Tensor<4>, window: [usize; 2]) -> Tensor<4> {
    check(&x, window);
    if !serves(&x) {
        return max_pool_plain(x, window);
    }
    Tensor::from_dispatch(<Dispatch as PoolOps>::max_pool_rows(
        x.into_dispatch(),
        window,
    ))
}

/// The plain twin, of Burn's own operators.
pub fn max_pool_plain(x: Tensor<4>, window: [usize; 2]) -> Tensor<4> {
    check(&x, window);
    let x = x.permute([0, 3, 1, 2]);
    max_pool2d(x, MaxPoolOptions::new(window)).permute([0, 2, 3, 1])
}

fn check(x: &Tensor<4>, window: [usize; 2]) {
    let [_, height, width, _] = x.dims();
    let [rows, cols] = window;
    assert!(rows > 0 && cols > 0, "max_pool: a window of {rows} x {cols}");
    assert!(
        rows <= height && cols <= width,
        "max_pool: a window of {rows} x {cols} in {height} x {width}"
    );
}

/// Pools as a backend operator: use [`max_pool`].
#[backend_extension(Flex, Capture, Autodiff)]
pub trait PoolOps: Backend {
    /// The maxima.
    fn max_pool_rows(
        x: FloatTensor<Self>,
        window: [usize; 2],
    ) -> FloatTensor<Self>;
    /// The gradient of `x`.
    fn max_pool_rows_backward(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        window: [usize; 2],
    ) -> FloatTensor<Self>;
}

/// Sizes of an image and of its windows.
#[derive(Clone, Copy)]
struct Image {
    height: usize,
    width: usize,
    channels: usize,
    window: [usize; 2],
}

impl Image {
    fn new(shape: &Shape, window: [usize; 2]) -> Self {
        let [height, width, channels] = [shape[1], shape[2], shape[3]];
        Self { height, width, channels, window }
    }

    fn out(self) -> [usize; 2] {
        [self.height / self.window[0], self.width / self.window[1]]
    }

    fn out_shape(self, batch: usize) -> Shape {
        let [height, width] = self.out();
        Shape::from(vec![batch, height, width, self.channels])
    }

    fn len(self) -> usize {
        self.height * self.width * self.channels
    }

    fn out_len(self) -> usize {
        self.out().iter().product::<usize>() * self.channels
    }

    /// Images of one task: 64 KB of `f32` at least.
    fn together(self) -> usize {
        (16 * 1024_usize).div_ceil(self.len().max(1))
    }

    /// How far element `(p, q)` of a window lies from its corner.
    #[inline(always)]
    fn step(self, p: usize, q: usize) -> usize {
        (p * self.width + q) * self.channels
    }

    /// Where the window of output `(i, j)` begins in the image.
    #[inline(always)]
    fn corner(self, i: usize, j: usize) -> usize {
        let [rows, cols] = self.window;
        self.step(i * rows, j * cols)
    }
}

impl PoolOps for Flex {
    fn max_pool_rows(
        x: FloatTensor<Self>,
        window: [usize; 2],
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Elementwise);
        let x = contiguous(x);
        let (shape, x) = (x.shape(), values(&x));
        let image = Image::new(&shape, window);
        let (len, out_len) = (image.len(), image.out_len());
        let out = fill(shape[0] * out_len, |out| {
            let size = image.together() * out_len;
            share_parts(out, size, |first, out| {
                let first = first / out_len.max(1) * len;
                let images = out.len() / out_len.max(1);
                forward(&x[first..first + images * len], out, image);
            });
        });
        tensor(out, image.out_shape(shape[0]))
    }

    fn max_pool_rows_backward(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        window: [usize; 2],
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Elementwise);
        let (x, grad) = (contiguous(x), contiguous(grad));
        let shape = x.shape();
        let (x, grad) = (values(&x), values(&grad));
        let image = Image::new(&shape, window);
        let (len, out_len) = (image.len(), image.out_len());
        let out = fill(x.len(), |out| {
            share_parts(out, image.together() * len, |first, out| {
                let x = &x[first..first + out.len()];
                let images = out.len() / len.max(1);
                let first = first / len.max(1) * out_len;
                let grad = &grad[first..first + images * out_len];
                backward(x, grad, out, image);
            });
        });
        tensor(out, shape)
    }
}

/// The maxima of a window, of the `N` channels from `at` on in its corner.
#[inline(always)]
fn maxima<const N: usize>(x: &[f32], at: usize, image: Image) -> [f32; N] {
    let mut best = [f32::NEG_INFINITY; N];
    for p in 0..image.window[0] {
        for q in 0..image.window[1] {
            let from = at + image.step(p, q);
            let x = &x[from..from + N];
            for c in 0..N {
                best[c] = if x[c] > best[c] { x[c] } else { best[c] };
            }
        }
    }
    best
}

/// Gives the gradients to the first of a window's maxima, zero to the others.
#[inline(always)]
fn hand_out<const N: usize>(
    x: &[f32],
    grad: &[f32],
    out: &mut [MaybeUninit<f32>],
    at: usize,
    image: Image,
) {
    let mut best = [f32::NEG_INFINITY; N];
    let mut which = [0; N];
    let [rows, cols] = image.window;
    for p in 0..rows {
        for q in 0..cols {
            let from = at + image.step(p, q);
            let x = &x[from..from + N];
            let number = (p * cols + q) as u32;
            for c in 0..N {
                let more = x[c] > best[c];
                best[c] = if more { x[c] } else { best[c] };
                which[c] = if more { number } else { which[c] };
            }
        }
    }
    for p in 0..rows {
        for q in 0..cols {
            let from = at + image.step(p, q);
            let out = &mut out[from..from + N];
            let number = (p * cols + q) as u32;
            for c in 0..N {
                let g = if which[c] == number { grad[c] } else { 0.0 };
                out[c] = MaybeUninit::new(g);
            }
        }
    }
}

multiversion! {
    /// The maxima of whole images.
    fn forward(x: &[f32], out: &mut [MaybeUninit<f32>], image: Image) {
        let [height, width] = image.out();
        let channels = image.channels.max(1);
        let line = (width * channels).max(1);
        let mut lines = out.chunks_exact_mut(line);
        for x in x.chunks_exact(image.len().max(1)) {
            for (i, line) in (0..height).zip(lines.by_ref()) {
                for (j, out) in line.chunks_exact_mut(channels).enumerate() {
                    let at = image.corner(i, j);
                    let mut c = 0;
                    while c + 16 <= channels {
                        let best = maxima::<16>(x, at + c, image);
                        out[c..c + 16].write_copy_of_slice(&best);
                        c += 16;
                    }
                    if c + 8 <= channels {
                        let best = maxima::<8>(x, at + c, image);
                        out[c..c + 8].write_copy_of_slice(&best);
                        c += 8;
                    }
                    for (c, out) in out.iter_mut().enumerate().skip(c) {
                        let best = maxima::<1>(x, at + c, image);
                        *out = MaybeUninit::new(best[0]);
                    }
                }
            }
        }
    }
}

multiversion! {
    /// The gradients of whole images.
    fn backward(x: &[f32], grad: &[f32], out: &mut [MaybeUninit<f32>], image: Image) {
        let [height, width] = image.out();
        let [rows, cols] = image.window;
        let channels = image.channels.max(1);
        if height * rows < image.height || width * cols < image.width {
            out.fill(MaybeUninit::new(0.0));
        }
        let mut lines = grad.chunks_exact((width * channels).max(1));
        let len = image.len().max(1);
        for (x, out) in x.chunks_exact(len).zip(out.chunks_exact_mut(len)) {
            for (i, line) in (0..height).zip(lines.by_ref()) {
                for (j, grad) in line.chunks_exact(channels).enumerate() {
                    let at = image.corner(i, j);
                    let mut c = 0;
                    while c + 16 <= channels {
                        hand_out::<16>(x, &grad[c..], out, at + c, image);
                        c += 16;
                    }
                    if c + 8 <= channels {
                        hand_out::<8>(x, &grad[c..], out, at + c, image);
                        c += 8;
                    }
                    for c in c..channels {
                        hand_out::<1>(x, &grad[c..], out, at + c, image);
                    }
                }
            }
        }
    }
}

fn scalars(window: [usize; 2]) -> Vec<ScalarIr> {
    window.map(|size| ScalarIr::UInt(size as u64)).to_vec()
}

impl PoolOps for CaptureBackend {
    fn max_pool_rows(
        x: FloatTensor<Self>,
        window: [usize; 2],
    ) -> FloatTensor<Self> {
        let shape = x.shape();
        let shape = Image::new(&shape, window).out_shape(shape[0]);
        let [y] = record("max_pool", vec![x], [shape], scalars(window));
        y
    }

    fn max_pool_rows_backward(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        window: [usize; 2],
    ) -> FloatTensor<Self> {
        let (shape, inputs) = (x.shape(), vec![x, grad]);
        let [dx] =
            record("max_pool_backward", inputs, [shape], scalars(window));
        dx
    }
}

/// The cost of this file's operators: a comparison an element, forward and
/// backward.
pub(crate) fn cost(op: &CustomOpIr) -> Option<CustomCost> {
    let results = match op.id.as_str() {
        "max_pool" => &op.outputs[0].shape,
        "max_pool_backward" => &op.inputs[1].shape,
        _ => return None,
    };
    let kind = OperatorKind::Pool {
        elements: op.inputs[0].shape.num_elements() as u64,
        results: results.num_elements() as u64,
    };
    Some(CustomCost::plain(kind, op))
}

#[derive(Debug)]
struct PoolBackward;

impl<B: PoolOps> Backward<B, 1> for PoolBackward {
    type State = (FloatTensor<B>, [usize; 2]);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let (x, window) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        if let [Some(parent)] = ops.parents {
            let dx = B::max_pool_rows_backward(x, grad, window);
            grads.register::<B>(parent.id, dx);
        }
    }
}

impl<B: PoolOps, C: CheckpointStrategy> PoolOps for Autodiff<B, C> {
    fn max_pool_rows(
        x: FloatTensor<Self>,
        window: [usize; 2],
    ) -> FloatTensor<Self> {
        let prep =
            PoolBackward.prepare::<C>([x.node()]).compute_bound().stateful();
        let x = x.into_primitive();
        match prep {
            OpsKind::Tracked(prep) => {
                let y = B::max_pool_rows(x.clone(), window);
                prep.finish((x, window), y)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::max_pool_rows(x, window))
            }
        }
    }

    fn max_pool_rows_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: [usize; 2],
    ) -> FloatTensor<Self> {
        second_order("max_pool")
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, TensorData};

    use super::*;
    use crate::door::recorded;

    #[test]
    fn it_equals_its_plain_twin_forward_and_backward() {
        let device = Device::flex().autodiff();
        for ([b, h, w, c], window) in [
            ([1, 1, 1, 1], [1, 1]),
            ([2, 7, 9, 3], [2, 2]),
            ([3, 8, 8, 16], [2, 2]),
            ([2, 6, 12, 37], [3, 4]),
            ([40, 16, 16, 32], [2, 1]),
        ] {
            let range = Distribution::Uniform(-2.0, 2.0);
            // Rounded, so that there are ties; channels first, seen turned.
            let x = (Tensor::<4>::random([b, c, h, w], range, &device) * 2.0)
                .round()
                .detach()
                .require_grad();
            let out = [b, h / window[0], w / window[1], c];
            let weight = Tensor::<4>::random(out, range, &device);
            let run = |fast: bool| {
                let f = if fast { max_pool } else { max_pool_plain };
                let y = f(x.clone().permute([0, 2, 3, 1]), window);
                let value = y.to_data();
                let grads = (y * weight.clone()).sum().backward();
                [value, x.grad(&grads).unwrap().to_data()]
            };
            for (fast, plain) in run(true).iter().zip(&run(false)) {
                fast.assert_eq(plain, true);
            }
        }
    }

    #[test]
    fn the_first_of_equal_maxima_gets_the_gradient() {
        let device = Device::flex().autodiff();
        let x = TensorData::new(vec![1.0_f32; 6], [1, 2, 3, 1]);
        let x = Tensor::<4>::from_data(x, &device).require_grad();
        let grads = max_pool(x.clone(), [2, 2]).sum().backward();
        let dx = x.grad(&grads).unwrap().to_data();
        let dx = dx.try_to_vec::<f32>().unwrap();
        assert_eq!(dx, [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn it_is_recorded_with_its_cost() {
        let ops = recorded(|device| {
            let x = Tensor::<4>::zeros([2, 4, 5, 3], device).require_grad();
            Some(max_pool(x, [2, 2]).sum())
        });
        let costs: Vec<_> = ops.iter().filter_map(cost).collect();
        let kind = OperatorKind::Pool { elements: 120, results: 24 };
        assert_eq!(costs.len(), 2);
        assert!(costs.iter().all(|cost| cost.kind == kind));
    }
}
