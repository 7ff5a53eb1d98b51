//! The linear layer, `y[.., o] = sum_i x[.., i] W[o, i] + b[o]`, with `W`
//! [out, in] as files hold it; `dx = g W`, `dW = g^T x`, `db = sum of g`.
//!
//! The ladder, 2 cores of an EPYC with AVX-512, 2026-11-24. The machine was
//! shared, its bandwidth moved between 18 and 40 GB/s: compare within a rung.
//! Rungs 1 to 4 are of a prototype with intrinsics, not of this crate's code:
//! medians of interleaved runs over 256 MB of weights, one row of `x`; rung 1
//! with four rows of `W` at a time.
//! 1. who works: 192 x 576 takes 57 us by `rayon::join`, 35 us when the caller
//!    does half, 21 us when tasks are claimed and late helpers not waited for
//!    ([`crate::share`]). A helper that lingers for the next call: 21 us, left
//!    out;
//! 2. rows of `W` at a time, 1536 x 576: four 21.8 GB/s, one 37.4 GB/s. One
//!    sequential stream a thread is what prefetchers follow;
//! 3. piece that a thread claims: 16 KB 21.9 GB/s, 64 KB 30.1, 256 KB 37.2;
//! 4. software prefetch 0.5 to 8 KB ahead: 34 to 36 GB/s, no gain, left out.
//!    Reading alone, by the same threads in its best piece, as a fraction:
//!    1.33 to 17.4 MB no difference beyond noise, 113 MB 94 %;
//! 5. this crate's kernel against the engine's product: one row 1.0 to 1.5 of
//!    its speed (2 for 192 x 576), and no gain on a busy machine; 2 rows 2.7 to
//!    7.8; 4 rows 2.1 to 3.4; 8 rows 1.3 to 2.5;
//! 6. beyond 12 rows `gemm`, split over rows of `W`: 0.7 to 1.6 for 16 rows,
//!    1.0 to 1.1 for 128 and 512. `gemm` alone packs all of `W` on one thread;
//! 7. from 2048 rows on, when these are more than the columns, split over rows:
//!    each piece of the output meets its bias in cache. All products of an
//!    Evoformer block, 186 GFLOP, took 1.10 to 1.16 s (160 to 170 GFLOP/s);
//! 8. 13 to 64 rows by a `W` of at most 1 MB: nothing of `W` is packed
//!    (`few.rs`). GFLOP/s of one thread of a busy machine, fastest of many,
//!    2026-11-28, rung 6 and this one: 96 x 256, 16 rows 55 and 90, 64 rows 90
//!    and 96; 256 x 96, 16 rows 34 and 95, 64 rows 72 and 99; 320 x 128, 16
//!    rows 57 and 100, 64 rows 92 and 104. The probed peak of a thread is 109.

mod few;
#[cfg(test)]
mod tests;

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
use burn_flex::{Flex, FlexTensor};
use gemm::Parallelism;

use assay_trace::{CustomCost, OperatorKind};

use std::mem::MaybeUninit;

use crate::classes::{Class, timed};
use crate::door::{contiguous, record, second_order, serves, tensor, values};
use crate::math::multiversion;
use crate::product::{
    Matrix, Output, packing_bytes, product, product_at, threads,
};
use crate::rows::{fill, written};
use crate::share::{Parts, share, share_parts};
use crate::thin::{THIN, dots};

/// `x W^T + b`: `x` [.., in], `weight` [out, in], `bias` [out].
pub fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    let [outer, inner] = weight.dims();
    assert_eq!(x.dims()[D - 1], inner, "linear: x and weight differ in width");
    if let Some(bias) = &bias {
        assert_eq!(bias.dims(), [outer], "linear: bias and weight differ");
    }
    if !(serves(&x) && serves(&weight) && bias.as_ref().is_none_or(serves)) {
        return linear_plain(x, weight, bias);
    }
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(match bias {
        None => <Dispatch as LinearOps>::linear_rows(x, weight),
        Some(bias) => <Dispatch as LinearOps>::linear_rows_bias(
            x,
            weight,
            bias.into_dispatch(),
        ),
    })
}

/// The plain twin, of Burn's own operators.
pub fn linear_plain<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    let [outer, inner] = weight.dims();
    let mut shape = x.dims();
    let rows = shape[..D - 1].iter().product();
    shape[D - 1] = outer;
    let y = x.reshape([rows, inner]).matmul(weight.transpose());
    let y = match bias {
        None => y,
        Some(bias) => y + bias.reshape([1, outer]),
    };
    y.reshape(shape)
}

/// The linear layer as a backend operator: use [`linear`].
#[backend_extension(Flex, Capture, Autodiff)]
pub trait LinearOps: Backend {
    /// `x W^T`.
    fn linear_rows(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    /// `x W^T + b`.
    fn linear_rows_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    /// `dx = g W`.
    fn linear_rows_backward_input(
        grad: FloatTensor<Self>,
        weight: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    /// `dW = g^T x`.
    fn linear_rows_backward_weight(
        grad: FloatTensor<Self>,
        x: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    /// `db`: the sum of `g`'s rows.
    fn linear_rows_backward_bias(grad: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// The shape with another last dimension, and the number of rows.
fn with_last(shape: &Shape, last: usize) -> (Shape, usize) {
    let mut dims = shape.to_vec();
    let rows = dims[..dims.len() - 1].iter().product();
    if let Some(dim) = dims.last_mut() {
        *dim = last;
    }
    (Shape::from(dims), rows)
}

/// A two-dimensional tensor as a matrix, copied only where strides are
/// negative.
pub(crate) fn matrix_of(x: &mut FlexTensor) -> Matrix<'_> {
    if x.layout().strides().iter().any(|&stride| stride < 0) {
        *x = x.to_contiguous();
    }
    let layout = x.layout();
    let dims = layout.shape();
    let strides = layout.strides();
    Matrix::new(
        &x.storage::<f32>()[layout.start_offset()..],
        [dims[0], dims[1]],
        [strides[0].unsigned_abs(), strides[1].unsigned_abs()],
    )
}

/// `x W^T + b` on Flex.
fn forward(
    x: FlexTensor,
    mut weight: FlexTensor,
    bias: Option<FlexTensor>,
) -> FlexTensor {
    let x = contiguous(x);
    let bias = bias.map(contiguous);
    let bias = bias.as_ref().map(values);
    let w = matrix_of(&mut weight);
    let (outer, inner) = (w.rows, w.cols);
    let (shape, rows) = with_last(&x.shape(), outer);
    let x = values(&x);
    let out = fill(rows * outer, |out| match w.dense_values() {
        Some(w) if rows <= THIN && inner > 0 => {
            dots(x, w, bias, [rows, inner, outer], out);
        }
        Some(w) if few::serves(rows, inner, outer) => {
            few::few(x, w, bias, [rows, inner, outer], out);
        }
        _ if is_tall(rows, outer) => {
            tall(Matrix::dense(x, rows, inner), w.transposed(), bias, out);
        }
        _ => wide(Matrix::dense(x, rows, inner), w, bias, out),
    });
    tensor(out, shape)
}

/// Rows of `x` that a task of [`tall`] multiplies: its piece of the output is
/// still in cache when the product is added to the bias there.
const TALL: usize = 512;

/// Whether rows are shared out rather than columns.
fn is_tall(rows: usize, columns: usize) -> bool {
    rows > columns && rows >= 4 * TALL
}

/// `x right + bias` with far more rows than columns. Each task has its own
/// rows, so that `x` and the output are touched once; the right factor, which
/// each packs again, is small.
fn tall(
    x: Matrix<'_>,
    right: Matrix<'_>,
    bias: Option<&[f32]>,
    out: &mut [MaybeUninit<f32>],
) {
    let columns = right.cols;
    if columns == 0 {
        return;
    }
    share_parts(out, TALL * columns, |first, out| {
        let count = out.len() / columns;
        let mut output = Output::Written;
        if let Some(bias) = bias {
            for row in out.chunks_exact_mut(columns) {
                row.write_copy_of_slice(bias);
            }
            output = Output::Added;
        }
        #[expect(unsafe_code, reason = "the product is added to the bias")]
        // SAFETY: `out` has `count` rows, written where they are added to.
        unsafe {
            product_at(
                out.as_mut_ptr(),
                columns,
                x.rows_from(first / columns, count),
                right,
                1.0,
                output,
                Parallelism::None,
            );
        }
    });
}

/// Rows of `W` that a task of [`wide`] multiplies.
const BLOCK: usize = 256;

/// Products with many rows. Each task packs its own rows of `W`: `gemm` left
/// to itself packs all of them on one thread first.
fn wide(
    x: Matrix<'_>,
    w: Matrix<'_>,
    bias: Option<&[f32]>,
    out: &mut [MaybeUninit<f32>],
) {
    let (rows, outer) = (x.rows, w.rows);
    if rows == 0 || outer == 0 {
        return;
    }
    let block = BLOCK.min(outer.div_ceil(rayon::current_num_threads()));
    let parts = Parts::new(out);
    share(outer.div_ceil(block), &|task| {
        let first = task * block;
        let count = block.min(outer - first);
        let mut output = Output::Written;
        if let Some(bias) = bias {
            // The product is added to rows that hold the bias.
            for row in 0..rows {
                #[expect(unsafe_code, reason = "each task has its own columns")]
                // SAFETY: parts of different tasks do not overlap.
                let part = unsafe { parts.part(row * outer + first, count) };
                part.write_copy_of_slice(&bias[first..first + count]);
            }
            output = Output::Added;
        }
        #[expect(unsafe_code, reason = "each task has its own columns")]
        // SAFETY: `count` columns from `first` on are this task's alone, and
        // hold the bias where the product is added.
        unsafe {
            product_at(
                parts.place(first, (rows - 1) * outer + count),
                outer,
                x,
                w.rows_from(first, count).transposed(),
                1.0,
                output,
                Parallelism::None,
            );
        }
    });
}

impl LinearOps for Flex {
    fn linear_rows(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Matmul);
        forward(x, weight, None)
    }

    fn linear_rows_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Matmul);
        forward(x, weight, Some(bias))
    }

    fn linear_rows_backward_input(
        grad: FloatTensor<Self>,
        mut weight: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Matmul);
        let grad = contiguous(grad);
        let w = matrix_of(&mut weight);
        let (shape, rows) = with_last(&grad.shape(), w.cols);
        let grad = Matrix::dense(values(&grad), rows, w.rows);
        let parallel = threads(rows, w.cols, w.rows);
        let out = fill(rows * w.cols, |out| {
            if is_tall(rows, w.cols) {
                tall(grad, w, None, out);
            } else {
                product(out, w.cols, grad, w, 1.0, parallel);
            }
        });
        tensor(out, shape)
    }

    fn linear_rows_backward_weight(
        grad: FloatTensor<Self>,
        x: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Matmul);
        let (grad, x) = (contiguous(grad), contiguous(x));
        let (grad_shape, x_shape) = (grad.shape(), x.shape());
        let outer = grad_shape[grad_shape.num_dims() - 1];
        let (_, rows) = with_last(&grad_shape, outer);
        let inner = x_shape[x_shape.num_dims() - 1];
        let grad = Matrix::dense(values(&grad), rows, outer).transposed();
        let x = Matrix::dense(values(&x), rows, inner);
        let parallel = threads(outer, inner, rows);
        let out = fill(outer * inner, |out| {
            product(out, inner, grad, x, 1.0, parallel);
        });
        tensor(out, Shape::from(vec![outer, inner]))
    }

    fn linear_rows_backward_bias(grad: FloatTensor<Self>) -> FloatTensor<Self> {
        let _timed = timed(Class::Matmul);
        let grad = contiguous(grad);
        let shape = grad.shape();
        let cols = shape[shape.num_dims() - 1];
        let grad = values(&grad);
        let out = fill(cols, |out| {
            let size = if grad.len() < 64 * 1024 { cols } else { 512 };
            share_parts(out, size, |first, out| {
                sum_rows(grad, cols, first, out);
            });
        });
        tensor(out, Shape::from(vec![cols]))
    }
}

multiversion! {
    /// The sum of all rows, of the columns from `first` on.
    fn sum_rows(rows: &[f32], cols: usize, first: usize, out: &mut [MaybeUninit<f32>]) {
        out.fill(MaybeUninit::new(0.0));
        let out = written(out);
        for row in rows.chunks_exact(cols) {
            for (sum, x) in out.iter_mut().zip(&row[first..]) {
                *sum += x;
            }
        }
    }
}

impl LinearOps for CaptureBackend {
    fn linear_rows(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let (shape, _) = with_last(&x.shape(), weight.shape()[0]);
        let [y] = record("linear", vec![x, weight], [shape], vec![]);
        y
    }

    fn linear_rows_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let (shape, _) = with_last(&x.shape(), weight.shape()[0]);
        let [y] = record("linear_bias", vec![x, weight, bias], [shape], vec![]);
        y
    }

    fn linear_rows_backward_input(
        grad: FloatTensor<Self>,
        weight: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let (shape, _) = with_last(&grad.shape(), weight.shape()[1]);
        let inputs = vec![grad, weight];
        let [dx] = record("linear_input_backward", inputs, [shape], vec![]);
        dx
    }

    fn linear_rows_backward_weight(
        grad: FloatTensor<Self>,
        x: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let last = |shape: Shape| shape[shape.num_dims() - 1];
        let shape = Shape::from(vec![last(grad.shape()), last(x.shape())]);
        let [dw] =
            record("linear_weight_backward", vec![grad, x], [shape], vec![]);
        dw
    }

    fn linear_rows_backward_bias(grad: FloatTensor<Self>) -> FloatTensor<Self> {
        let shape = grad.shape();
        let shape = Shape::from(vec![shape[shape.num_dims() - 1]]);
        let [db] = record("linear_bias_backward", vec![grad], [shape], vec![]);
        db
    }
}

/// The cost of this file's operators. The addition of the bias is not counted:
/// it is `1 / (2 in)` of the product.
pub(crate) fn cost(op: &CustomOpIr) -> Option<CustomCost> {
    let last = |shape: &Shape| shape[shape.num_dims() - 1];
    let rows = |shape: &Shape| shape.num_elements() / last(shape).max(1);
    let shape = |i: usize| &op.inputs[i].shape;
    let [m, n, k] = match op.id.as_str() {
        "linear" | "linear_bias" => [rows(shape(0)), shape(1)[0], shape(1)[1]],
        "linear_input_backward" => [rows(shape(0)), shape(1)[1], shape(1)[0]],
        "linear_weight_backward" => {
            [last(shape(0)), last(shape(1)), rows(shape(0))]
        }
        "linear_bias_backward" => {
            let kind = OperatorKind::Reduce {
                elements: shape(0).num_elements() as u64,
                results: last(shape(0)) as u64,
            };
            return Some(CustomCost::plain(kind, op));
        }
        _ => return None,
    };
    let kind = OperatorKind::Matmul {
        batch: 1,
        m: m as u64,
        n: n as u64,
        k: k as u64,
    };
    let forward = matches!(op.id.as_str(), "linear" | "linear_bias");
    let scratch_bytes = if forward && few::serves(m, k, n) {
        few::scratch_bytes(m, k)
    } else {
        packing_bytes(m, n, k)
    };
    Some(CustomCost { scratch_bytes, ..CustomCost::plain(kind, op) })
}

/// Backward of the layer with `N - 2` biases. Each factor is kept only for the
/// gradient of the other.
#[derive(Debug)]
struct LinearBackward;

type Factors<B> = (Option<FloatTensor<B>>, Option<FloatTensor<B>>);

impl<B: LinearOps, const N: usize> Backward<B, N> for LinearBackward {
    type State = Factors<B>;

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        grads: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let (x, weight) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        if let (Some(parent), Some(weight)) = (&ops.parents[0], weight) {
            let dx = B::linear_rows_backward_input(grad.clone(), weight);
            grads.register::<B>(parent.id, dx);
        }
        if let (Some(parent), Some(x)) = (&ops.parents[1], x) {
            let dw = B::linear_rows_backward_weight(grad.clone(), x);
            grads.register::<B>(parent.id, dw);
        }
        if let Some(Some(parent)) = ops.parents.get(2) {
            let db = B::linear_rows_backward_bias(grad);
            grads.register::<B>(parent.id, db);
        }
    }
}

impl<B: LinearOps, C: CheckpointStrategy> LinearOps for Autodiff<B, C> {
    fn linear_rows(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let tracked = (x.is_tracked(), weight.is_tracked());
        let prep = Backward::<B, 2>::prepare::<C>(
            LinearBackward,
            [x.node(), weight.node()],
        )
        .compute_bound()
        .stateful();
        let (x, weight) = (x.into_primitive(), weight.into_primitive());
        match prep {
            OpsKind::Tracked(prep) => {
                let state = factors::<B>(&x, &weight, tracked);
                prep.finish(state, B::linear_rows(x, weight))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::linear_rows(x, weight)),
        }
    }

    fn linear_rows_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let tracked = (x.is_tracked(), weight.is_tracked());
        let prep = Backward::<B, 3>::prepare::<C>(
            LinearBackward,
            [x.node(), weight.node(), bias.node()],
        )
        .compute_bound()
        .stateful();
        let (x, weight) = (x.into_primitive(), weight.into_primitive());
        let bias = bias.into_primitive();
        match prep {
            OpsKind::Tracked(prep) => {
                let state = factors::<B>(&x, &weight, tracked);
                prep.finish(state, B::linear_rows_bias(x, weight, bias))
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::linear_rows_bias(x, weight, bias))
            }
        }
    }

    fn linear_rows_backward_input(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        second_order("linear")
    }

    fn linear_rows_backward_weight(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        second_order("linear")
    }

    fn linear_rows_backward_bias(_: FloatTensor<Self>) -> FloatTensor<Self> {
        second_order("linear")
    }
}

/// The factors that the backward pass needs, given which are tracked.
fn factors<B: Backend>(
    x: &FloatTensor<B>,
    weight: &FloatTensor<B>,
    (x_tracked, weight_tracked): (bool, bool),
) -> Factors<B> {
    (weight_tracked.then(|| x.clone()), x_tracked.then(|| weight.clone()))
}
