//! The outer product mean, from the MSA to the pairs of residues (Jumper et
//! al., *Highly accurate protein structure prediction with AlphaFold*, 2021,
//! supplement, algorithm 10, lines 3 and 4):
//! `out[i, j, o] = (bias[o] + sum_{a, b} W[o, a c + b] t[i, j, a, b]) /
//! norm[i, j]`, `t[i, j, a, b] = sum_s left[s, i, a] right[s, j, b]`. The mean
//! is taken last, of the bias too, as in the authors' code.
//!
//! `t` [R, R, c, c] would be the largest tensor of an Evoformer block: it is
//! never made. The steps of the kernel:
//! 1. for one `i`, `t` is needed for 24 `j` at a time: 96 KB at the published
//!    `c = 32`, which the second product reads from cache;
//! 2. with the roles of the factors exchanged, `[(j, b), s] x [s, a]`, the rows
//!    of one `j` are a row of the second product as they lie: nothing is
//!    rearranged but the columns of `W`, from `(a, b)` to `(b, a)`, once;
//! 3. both factors are packed once a call, one residue's values of all
//!    sequences side by side: in `[S, R, c]` they are `R c` apart, which caches
//!    cannot hold;
//! 4. all products are register tiles of the convolution's inner loop
//!    ([`crate::micro`]), which write where they are wanted.
//!
//! With `g = dout / norm` and `u[i, j, a, b] = sum_o g[i, j, o] W[o, a c + b]`
//! the gradients are `dW[o, (a, b)] = sum_{i, j} g t`,
//! `dleft[s, i, a] = sum_{j, b} right u`, `dright[s, j, b] = sum_{i, a} left u`
//! and `dbias[o] = sum_{i, j} g`; `t` is computed again, for one `b` at a time.
//! Sixteen `i` at a time: first their `u` and `dleft`, then the sums over them,
//! each task its own part of a result. The order of every sum is fixed.
//!
//! The ladder, 2026-11-28, EPYC with AVX-512, `c = 32`, `C = 128`. Forward,
//! medians of interleaved runs of `examples/evoformer_ladder.rs` in ms on two
//! cores that others used too, plain twin and kernel: `S x R` of 32 x 64 16.2
//! and 7.4, 64 x 128 72 and 37, 128 x 256 326 and 198. Its gradients at 128 x
//! 256 took 990 to 1050 ms of processor time on one thread, without the engine
//! (84 to 87 GFLOP/s; forward 101), in each of four ways that were tried: one
//! or several `i` a task, eight or sixteen a chunk. Two and four a chunk were
//! slower, 1350 and 1180.
//!
//! Not here: the layer norm, the projections and the mask before it; a gradient
//! of `norm`, which depends on the mask alone.

mod backward;
mod forward;
mod pack;
#[cfg(test)]
mod tests;
mod tile;

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
use pack::Residues;

/// The outer product mean of `left` [S, n, c] and `right` [S, R, c], masked
/// before: `weight` [C, c c] (column `a c + b`), `bias` [C], `norm` [n, R], the
/// number of sequences that both residues have (plus epsilon); gives [n, R, C].
///
/// `n` may be fewer than `R`: a chunk of rows. `norm` gets no gradient.
pub fn outer_product_mean(
    left: Tensor<3>,
    right: Tensor<3>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    norm: Tensor<2>,
) -> Tensor<3> {
    let ([s, n, c], [right_s, r, right_c]) = (left.dims(), right.dims());
    let [outer, inner] = weight.dims();
    assert!(
        s > 0 && r > 0 && c > 0 && outer > 0,
        "outer_product_mean: nothing to sum"
    );
    assert!(
        s == right_s && c == right_c,
        "outer_product_mean: left and right differ"
    );
    assert_eq!(inner, c * c, "outer_product_mean: weight's width is not c^2");
    assert_eq!(bias.dims(), [outer], "outer_product_mean: bias and weight");
    assert_eq!(norm.dims(), [n, r], "outer_product_mean: norm's shape");
    let served = serves(&left) && serves(&right) && serves(&weight);
    if !(served && serves(&bias) && serves(&norm)) {
        return outer_product_mean_plain(left, right, weight, bias, norm);
    }
    Tensor::from_dispatch(<Dispatch as OuterProductOps>::outer_product(
        left.into_dispatch(),
        right.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        norm.into_dispatch(),
    ))
}

/// The plain twin, of Burn's own operators: it makes `t`.
pub fn outer_product_mean_plain(
    left: Tensor<3>,
    right: Tensor<3>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    norm: Tensor<2>,
) -> Tensor<3> {
    let ([s, n, c], [_, r, _]) = (left.dims(), right.dims());
    let outer = weight.dims()[0];
    let left = left.permute([1, 2, 0]).reshape([n * c, s]);
    let t = left.matmul(right.reshape([s, r * c])); // [n c, R c]
    let t = t.reshape([n, c, r, c]).permute([0, 2, 1, 3]); // [n, R, c, c]
    let sum = t.reshape([n * r, c * c]).matmul(weight.transpose()); // [n R, C]
    let sum = sum + bias.reshape([1, outer]);
    sum.reshape([n, r, outer]) / norm.reshape([n, r, 1])
}

/// The outer product mean as a backend operator: use [`outer_product_mean`].
#[backend_extension(Flex, Capture, Autodiff)]
pub trait OuterProductOps: Backend {
    /// See [`outer_product_mean`].
    fn outer_product(
        left: FloatTensor<Self>,
        right: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        norm: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    /// Gradients of `left`, `right`, `weight` and `bias`.
    fn outer_product_backward(
        left: FloatTensor<Self>,
        right: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        norm: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    );
}

/// The dimensions of one call.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    /// Sequences, `S`.
    sequences: usize,
    /// Residues of `left`, `n`.
    rows: usize,
    /// Residues of `right`, `R`.
    residues: usize,
    /// Channels of both, `c`.
    width: usize,
    /// Channels of the result, `C`.
    outer: usize,
}

impl Sizes {
    fn new(left: &Shape, right: &Shape, outer: usize) -> Self {
        Self {
            sequences: left[0],
            rows: left[1],
            residues: right[1],
            width: left[2],
            outer,
        }
    }

    /// Elements of one pair's outer product.
    fn square(&self) -> usize {
        self.width * self.width
    }
}

impl OuterProductOps for Flex {
    fn outer_product(
        left: FloatTensor<Self>,
        right: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        norm: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Matmul);
        let outer = weight.shape()[0];
        let sizes = Sizes::new(&left.shape(), &right.shape(), outer);
        let [left, right] = [left, right].map(Residues::new);
        let [weight, bias, norm] = [weight, bias, norm].map(contiguous);
        let [weight, bias, norm] = [&weight, &bias, &norm].map(values);
        let out = forward::mean(&left, &right, weight, bias, norm, &sizes);
        tensor(out, Shape::new([sizes.rows, sizes.residues, outer]))
    }

    fn outer_product_backward(
        left: FloatTensor<Self>,
        right: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        norm: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        let _timed = timed(Class::Matmul);
        let shapes = [left.shape(), right.shape(), weight.shape()];
        let outer = weight.shape()[0];
        let sizes = Sizes::new(&shapes[0], &shapes[1], outer);
        let [left, right] = [left, right].map(Residues::new);
        let [weight, norm, grad] = [weight, norm, grad].map(contiguous);
        let [weight, norm, grad] = [&weight, &norm, &grad].map(values);
        let made =
            backward::differentiate(&left, &right, weight, norm, grad, &sizes);
        let [left, right, weight] = shapes;
        (
            tensor(made.left, left),
            tensor(made.right, right),
            tensor(made.weight, weight),
            tensor(made.bias, Shape::new([outer])),
        )
    }
}

impl OuterProductOps for CaptureBackend {
    fn outer_product(
        left: FloatTensor<Self>,
        right: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        norm: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let (norm_shape, outer) = (norm.shape(), weight.shape()[0]);
        let shape = Shape::new([norm_shape[0], norm_shape[1], outer]);
        let inputs = vec![left, right, weight, bias, norm];
        let [y] = record("outer_product", inputs, [shape], vec![]);
        y
    }

    fn outer_product_backward(
        left: FloatTensor<Self>,
        right: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        norm: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        let bias = Shape::new([weight.shape()[0]]);
        let shapes = [left.shape(), right.shape(), weight.shape(), bias];
        let inputs = vec![left, right, weight, norm, grad];
        let [left, right, weight, bias] =
            record("outer_product_backward", inputs, shapes, vec![]);
        (left, right, weight, bias)
    }
}

/// The cost of this file's operators.
///
/// An operator has one kind, this one has two products:
/// `2 S n R c^2 + 2 n R c^2 C` operations. As each multiplies as many pairs,
/// `n R c^2`, their sum is that of one product with the inner dimension
/// `S + C`: exact in total. The gradients of the factors and `t`, computed
/// again, make three with `S`; those of `t` and of the weights two with `C`.
/// Adding the bias and dividing, `2 n R C`, are not counted.
pub(crate) fn cost(op: &CustomOpIr) -> Option<CustomCost> {
    let backward = match op.id.as_str() {
        "outer_product" => false,
        "outer_product_backward" => true,
        _ => return None,
    };
    let shape = |i: usize| &op.inputs[i].shape;
    let sizes = Sizes::new(shape(0), shape(1), shape(2)[0]);
    let (s, outer) = (sizes.sequences as u64, sizes.outer as u64);
    let kind = OperatorKind::Matmul {
        batch: sizes.rows as u64,
        m: sizes.residues as u64,
        n: sizes.square() as u64,
        k: if backward { 3 * s + 2 * outer } else { s + outer },
    };
    let scratch = if backward {
        backward::scratch(&sizes)
    } else {
        forward::scratch(&sizes)
    };
    Some(CustomCost {
        scratch_bytes: (scratch * size_of::<f32>()) as u64,
        ..CustomCost::plain(kind, op)
    })
}

#[derive(Debug)]
struct OuterProductBackward;

impl<B: OuterProductOps> Backward<B, 4> for OuterProductBackward {
    /// `left`, `right`, `weight`, `norm`.
    type State = [FloatTensor<B>; 4];

    fn backward(
        self,
        ops: Ops<Self::State, 4>,
        grads: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let [left, right, weight, norm] = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let (left, right, weight, bias) =
            B::outer_product_backward(left, right, weight, norm, grad);
        let made = [left, right, weight, bias];
        for (parent, grad) in ops.parents.into_iter().zip(made) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, grad);
            }
        }
    }
}

impl<B: OuterProductOps, C: CheckpointStrategy> OuterProductOps
    for Autodiff<B, C>
{
    fn outer_product(
        left: FloatTensor<Self>,
        right: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        norm: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let prep = OuterProductBackward
            .prepare::<C>([
                left.node(),
                right.node(),
                weight.node(),
                bias.node(),
            ])
            .compute_bound()
            .stateful();
        let [left, right, weight, bias, norm] =
            [left, right, weight, bias, norm].map(|x| x.into_primitive());
        match prep {
            OpsKind::Tracked(prep) => {
                let state = [&left, &right, &weight, &norm].map(Clone::clone);
                let y = B::outer_product(left, right, weight, bias, norm);
                prep.finish(state, y)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::outer_product(left, right, weight, bias, norm))
            }
        }
    }

    fn outer_product_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        second_order("outer_product_mean")
    }
}
