//! Batch normalisation of channels (Ioffe and Szegedy, *Batch Normalization*,
//! 2015), channels last: `y = (x - mean) r * gamma + beta`,
//! `r = 1 / sqrt(variance + epsilon)`; mean and variance (biased) are of each
//! channel over all `N` other positions.
//!
//! With `n = (x - mean) r`: `dbeta = sum dy`, `dgamma = sum dy n`,
//! `dx = gamma r (dy - dbeta / N - n dgamma / N)`. The backward pass keeps
//! `x`, `gamma`, mean and variance.
//!
//! The statistics are one pass over memory: a block of 16 KB is read twice
//! while it lies in L1, first for its means, then for its squares round them;
//! blocks are joined in `f64` (Chan, Golub and LeVeque, *Updating formulae*,
//! 1979), so nothing cancels, however far the mean is from zero. Tasks and
//! blocks follow from the shape alone: the same result on any number of
//! threads.
//!
//! The ladder, [256, 128, 32] `f32`, milliseconds, twin and kernel
//! (`examples/network_kernels_ladder.rs`; 2026-11-28, 2 cores of an EPYC with
//! AVX-512, shared with other programs, load 5 to 9: to be measured again)
//! forward 1.4 and 0.55; forward and backward 10.5 and 2.0, of which 0.4 is
//! not the kernel's; given statistics 0.45 and 0.17.

mod tracked;

use std::sync::OnceLock;

use burn::Tensor;
use burn::backend::ir::{CustomOpIr, ScalarIr};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::Shape;
use burn_capture::CaptureBackend;
use burn_flex::{Flex, FlexTensor};

use assay_trace::{CustomCost, Elementwise, OperatorKind};

use crate::classes::{Class, timed};
use crate::columns::{Moments, block_len, centred_sums, moments, tiled};
use crate::door::{contiguous, record, serves, tensor, values};
use crate::math::{madd, multiversion};
use crate::rows::{TASKS, update};
use crate::share::share;

/// Normalises the channels of `x` [.., C] by their own statistics, with gain
/// `gamma` [C] and offset `beta` [C]. Gives `y` [.., C], the mean [C] and the
/// biased variance [C]; the last two carry no gradient.
pub fn batch_norm<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f32,
) -> (Tensor<D>, Tensor<1>, Tensor<1>) {
    let channels = [x.dims()[D - 1]];
    assert_eq!(channels, gamma.dims(), "batch_norm: x and gamma differ");
    assert_eq!(channels, beta.dims(), "batch_norm: x and beta differ");
    if !(serves(&x) && serves(&gamma) && serves(&beta)) {
        return batch_norm_plain(x, gamma, beta, epsilon);
    }
    let (y, mean, variance) = <Dispatch as BatchNormOps>::batch_norm_rows(
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        epsilon,
    );
    (
        Tensor::from_dispatch(y),
        Tensor::from_dispatch(mean),
        Tensor::from_dispatch(variance),
    )
}

/// The plain twin of [`batch_norm`], of Burn's own operators.
pub fn batch_norm_plain<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f32,
) -> (Tensor<D>, Tensor<1>, Tensor<1>) {
    let shape = x.dims();
    let channels = shape[D - 1];
    let rows = shape[..D - 1].iter().product();
    let x = x.reshape([rows, channels]);
    let mean = x.clone().mean_dim(0);
    let centred = x - mean.clone();
    let variance = centred.clone().powi_scalar(2).mean_dim(0);
    let y = centred / (variance.clone() + epsilon).sqrt()
        * gamma.reshape([1, channels])
        + beta.reshape([1, channels]);
    let vector = |x: Tensor<2>| x.reshape([channels]).detach();
    (y.reshape(shape), vector(mean), vector(variance))
}

/// Normalises the channels of `x` [.., C] by given statistics, all [C]; in
/// place when nobody else holds `x`. Where a gradient is asked for, it is that
/// of the plain twin.
pub fn batch_norm_inference<const D: usize>(
    x: Tensor<D>,
    mean: Tensor<1>,
    variance: Tensor<1>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f32,
) -> Tensor<D> {
    let channels = [x.dims()[D - 1]];
    for vector in [&mean, &variance, &gamma, &beta] {
        assert_eq!(channels, vector.dims(), "batch_norm: widths differ");
    }
    let vectors = [&mean, &variance, &gamma, &beta];
    if !(serves(&x) && vectors.into_iter().all(serves)) {
        return batch_norm_inference_plain(
            x, mean, variance, gamma, beta, epsilon,
        );
    }
    let [mean, variance, gamma, beta] =
        [mean, variance, gamma, beta].map(Tensor::into_dispatch);
    let x = x.into_dispatch();
    Tensor::from_dispatch(<Dispatch as BatchNormOps>::batch_norm_apply(
        x, mean, variance, gamma, beta, epsilon,
    ))
}

/// The plain twin of [`batch_norm_inference`], of Burn's own operators.
pub fn batch_norm_inference_plain<const D: usize>(
    x: Tensor<D>,
    mean: Tensor<1>,
    variance: Tensor<1>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f32,
) -> Tensor<D> {
    let scale = gamma / (variance + epsilon).sqrt();
    (x - mean.unsqueeze()) * scale.unsqueeze() + beta.unsqueeze()
}

/// Batch normalisation as a backend operator: use [`batch_norm`].
#[backend_extension(Flex, Capture, Autodiff)]
pub trait BatchNormOps: Backend {
    /// `y`, mean, variance.
    fn batch_norm_rows(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    /// Gradients of `x`, `gamma` and `beta`.
    fn batch_norm_rows_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    /// `y`, by given statistics.
    fn batch_norm_apply(
        x: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self>;
}

/// Elements of a task of the statistics: whole blocks, 128 KB at least.
fn task_len(cols: usize) -> usize {
    block_len(cols) * (32 * 1024_usize).div_ceil(block_len(cols))
}

/// Runs `part(first, end)` over the tasks of `len` elements; results in order.
fn by_tasks<R: Send + Sync>(
    len: usize,
    cols: usize,
    part: impl Fn(usize, usize) -> R + Sync,
) -> Vec<R> {
    let size = task_len(cols);
    let slots: Vec<OnceLock<R>> =
        (0..len.div_ceil(size)).map(|_| OnceLock::new()).collect();
    share(slots.len(), &|task| {
        let first = task * size;
        let _ = slots[task].set(part(first, (first + size).min(len)));
    });
    slots.into_iter().filter_map(OnceLock::into_inner).collect()
}

fn inverse_deviation(variance: &[f32], epsilon: f32) -> Vec<f32> {
    variance.iter().map(|v| 1.0 / (v + epsilon).sqrt()).collect()
}

fn product(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a * b).collect()
}

/// `y` from the statistics.
fn apply(
    x: FlexTensor,
    mean: &[f32],
    variance: &[f32],
    gamma: &[f32],
    beta: &[f32],
    epsilon: f32,
) -> FlexTensor {
    let scale = product(gamma, &inverse_deviation(variance, epsilon));
    let (mean, scale, beta) = (tiled(mean), tiled(&scale), tiled(beta));
    let ([y], _) = update([x], gamma.len(), TASKS, |(): &mut (), _, [x]| {
        normalise(x, &mean, &scale, &beta);
    });
    y
}

impl BatchNormOps for Flex {
    fn batch_norm_rows(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let _timed = timed(Class::Norm);
        let (gamma, beta) = (contiguous(gamma), contiguous(beta));
        let (gamma, beta) = (values(&gamma), values(&beta));
        let cols = gamma.len();
        let x = contiguous(x);
        let (mean, variance) = {
            let x = values(&x);
            let parts = by_tasks(x.len(), cols, |first, end| {
                moments(&x[first..end], cols)
            });
            let mut all = Moments::new(cols);
            parts.iter().for_each(|part| all.join(part));
            all.finish()
        };
        let y = apply(x, &mean, &variance, gamma, beta, epsilon);
        let shape = Shape::new([cols]);
        (y, tensor(mean, shape.clone()), tensor(variance, shape))
    }

    fn batch_norm_rows_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let _timed = timed(Class::Norm);
        let [x, gamma, mean, variance, grad] =
            [x, gamma, mean, variance, grad].map(contiguous);
        let (x, mean, gamma) = (values(&x), values(&mean), values(&gamma));
        let cols = gamma.len();
        let parts = {
            let grad = values(&grad);
            by_tasks(x.len(), cols, |first, end| {
                centred_sums(&grad[first..end], &x[first..end], mean)
            })
        };
        let mut sums = vec![0.0; 2 * cols];
        for part in &parts {
            sums.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
        }
        let r = inverse_deviation(values(&variance), epsilon);
        let (dbeta, along) = sums.split_at(cols);
        let rows = (x.len() / cols.max(1)) as f64;
        let column = |f: &dyn Fn(usize) -> f64| -> Vec<f32> {
            (0..cols).map(|c| f(c) as f32).collect()
        };
        let dgamma = column(&|c| along[c] * f64::from(r[c]));
        let slope =
            column(&|c| along[c] * f64::from(r[c]) * f64::from(r[c]) / rows);
        let offset = tiled(&column(&|c| dbeta[c] / rows));
        let (slope, scale) = (tiled(&slope), tiled(&product(gamma, &r)));
        let centre = tiled(mean);
        let ([dx], _) =
            update([grad], cols, TASKS, |(): &mut (), first, [grad]| {
                let x = &x[first..first + grad.len()];
                gradient(x, grad, &centre, &slope, &offset, &scale);
            });
        let (dbeta, shape) = (column(&|c| dbeta[c]), Shape::new([cols]));
        (dx, tensor(dgamma, shape.clone()), tensor(dbeta, shape))
    }

    fn batch_norm_apply(
        x: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Norm);
        let vectors = [mean, variance, gamma, beta].map(contiguous);
        let [mean, variance, gamma, beta] = vectors.each_ref().map(values);
        apply(x, mean, variance, gamma, beta, epsilon)
    }
}

multiversion! {
    /// The statistics repeat over `x`, as [`tiled`] makes them.
    fn normalise(x: &mut [f32], mean: &[f32], scale: &[f32], beta: &[f32]) {
        for x in x.chunks_mut(mean.len().max(1)) {
            let columns = mean.iter().zip(scale).zip(beta);
            for (x, ((mean, scale), beta)) in x.iter_mut().zip(columns) {
                *x = madd::<FMA>(*x - mean, *scale, *beta);
            }
        }
    }
}

multiversion! {
    /// Turns `grad` into the gradient of `x`.
    fn gradient(x: &[f32], grad: &mut [f32], mean: &[f32], slope: &[f32], offset: &[f32], scale: &[f32]) {
        let width = mean.len().max(1);
        for (x, grad) in x.chunks(width).zip(grad.chunks_mut(width)) {
            let columns = mean.iter().zip(slope).zip(offset).zip(scale);
            for ((x, grad), (((mean, slope), offset), scale)) in
                x.iter().zip(grad.iter_mut()).zip(columns)
            {
                let rest = *grad - offset;
                *grad = scale * madd::<FMA>(mean - x, *slope, rest);
            }
        }
    }
}

impl BatchNormOps for CaptureBackend {
    fn batch_norm_rows(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let shapes = [x.shape(), gamma.shape(), gamma.shape()];
        let scalars = vec![ScalarIr::Float(f64::from(epsilon))];
        let inputs = vec![x, gamma, beta];
        record("batch_norm", inputs, shapes, scalars).into()
    }

    fn batch_norm_rows_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let shapes = [x.shape(), gamma.shape(), gamma.shape()];
        let scalars = vec![ScalarIr::Float(f64::from(epsilon))];
        let inputs = vec![x, gamma, mean, variance, grad];
        record("batch_norm_backward", inputs, shapes, scalars).into()
    }

    fn batch_norm_apply(
        x: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        let shape = x.shape();
        let scalars = vec![ScalarIr::Float(f64::from(epsilon))];
        let inputs = vec![x, mean, variance, gamma, beta];
        let [y] = record("batch_norm_inference", inputs, [shape], scalars);
        y
    }
}

/// The cost of this file's operators. A training pass does for a column what
/// LayerNorm does for a row, 7 an element and 12 for its gradient; with given
/// statistics it is one multiplication an element, as of the engine's own.
pub(crate) fn cost(op: &CustomOpIr) -> Option<CustomCost> {
    let shape = &op.outputs[0].shape;
    let elements = shape.num_elements();
    let cols = shape[shape.num_dims() - 1];
    let norm = |backward| OperatorKind::LayerNorm {
        rows: (elements / cols.max(1)) as u64,
        cols: cols as u64,
        backward,
    };
    let (kind, in_place) = match op.id.as_str() {
        "batch_norm" => (norm(false), Some(0)),
        "batch_norm_backward" => (norm(true), Some(4)),
        "batch_norm_inference" => {
            let kind = OperatorKind::Elementwise {
                op: Elementwise::Mul,
                elements: elements as u64,
                operands: 2,
            };
            (kind, Some(0))
        }
        _ => return None,
    };
    let mut cost = CustomCost::plain(kind, op);
    cost.in_place[0] = in_place;
    Some(cost)
}

#[cfg(test)]
mod tests;
