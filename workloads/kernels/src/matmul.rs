//! The batched product, `[.., m, k] x [.., k, n]`, of tensors with the same
//! batch dimensions; `da = g b^T`, `db = a^T g`.
//!
//! The ladder against the engine's product, 2 cores of an EPYC with AVX-512,
//! 2026-11-24, medians of interleaved runs, three programs on a shared machine:
//! 1. output written once, not zeroed and copied: 16 x [128, 64, 128] 1.2 to
//!    2.4 times its speed, 16 x [512, 64, 512] 1.3 to 1.5 (0.95 to 1.1 when
//!    `b` is a transposed view), one large product 1.0 to 1.1;
//! 2. small matrices shared out several a task: 64 x [32, 32, 32] 1.5 to 3.2;
//! 3. one row, each thread streaming its own rows of `b`: 1 x 1024 x 4096 0.9
//!    to 1.7, within noise when `b` is a transposed view.

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
use gemm::Parallelism;

use assay_trace::{CustomCost, OperatorKind};

use crate::classes::{Class, timed};
use crate::door::{record, second_order, serves, tensor};
use crate::product::{Matrix, packing_bytes, product, threads};
use crate::rows::fill;
use crate::share::share_parts;
use crate::thin::{combine, combine_tasks};

/// `a b` for each matrix of the batch.
pub fn matmul<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    let (a_dims, b_dims) = (a.dims(), b.dims());
    assert_eq!(
        a_dims[..D - 2],
        b_dims[..D - 2],
        "matmul: batch dimensions differ"
    );
    assert_eq!(a_dims[D - 1], b_dims[D - 2], "matmul: inner dimensions differ");
    if !(serves(&a) && serves(&b)) {
        return matmul_plain(a, b);
    }
    Tensor::from_dispatch(<Dispatch as MatmulOps>::matmul_batch(
        a.into_dispatch(),
        b.into_dispatch(),
        false,
        false,
    ))
}

/// The plain twin: the engine's own product.
pub fn matmul_plain<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    a.matmul(b)
}

/// The batched product as a backend operator: use [`matmul`].
#[backend_extension(Flex, Capture, Autodiff)]
pub trait MatmulOps: Backend {
    /// `a b`, either with its last two dimensions swapped first.
    fn matmul_batch(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        a_turned: bool,
        b_turned: bool,
    ) -> FloatTensor<Self>;
}

/// Where each matrix of a tensor begins, and how it lies.
struct Batch {
    x: FlexTensor,
    turned: bool,
}

impl Batch {
    fn new(x: FlexTensor, turned: bool) -> Self {
        // Flipped tensors alone are copied.
        let flipped = x.layout().strides().iter().any(|&stride| stride < 0);
        Self { x: if flipped { x.to_contiguous() } else { x }, turned }
    }

    fn matrix(&self, mut index: usize) -> Matrix<'_> {
        let layout = self.x.layout();
        let (dims, strides) = (layout.shape(), layout.strides());
        let last = dims.num_dims() - 2;
        let mut start = layout.start_offset();
        for dim in (0..last).rev() {
            start += index % dims[dim] * strides[dim].unsigned_abs();
            index /= dims[dim];
        }
        let matrix = Matrix::new(
            &self.x.storage::<f32>()[start..],
            [dims[last], dims[last + 1]],
            [strides[last].unsigned_abs(), strides[last + 1].unsigned_abs()],
        );
        if self.turned { matrix.transposed() } else { matrix }
    }
}

/// The result's shape, and `[batch, m, n, k]`.
fn sizes(
    a: &Shape,
    b: &Shape,
    a_turned: bool,
    b_turned: bool,
) -> (Shape, [usize; 4]) {
    let last = a.num_dims() - 2;
    let pick =
        |turned| if turned { [last + 1, last] } else { [last, last + 1] };
    let ([row, inner], [_, col]) = (pick(a_turned), pick(b_turned));
    let mut dims = a.to_vec();
    dims[last] = a[row];
    dims[last + 1] = b[col];
    let batch = a.to_vec()[..last].iter().product();
    let sizes = [batch, a[row], b[col], a[inner]];
    (Shape::from(dims), sizes)
}

/// Multiply-adds of one matrix from which, of few matrices, `gemm`'s own
/// threads serve better than one thread a matrix.
const LARGE: usize = 256 * 256 * 256;

impl MatmulOps for Flex {
    fn matmul_batch(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        a_turned: bool,
        b_turned: bool,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Matmul);
        let (shape, [batch, m, n, k]) =
            sizes(&a.shape(), &b.shape(), a_turned, b_turned);
        let (a, b) = (Batch::new(a, a_turned), Batch::new(b, b_turned));
        let len = m * n;
        let out = fill(batch * len, |out| {
            if out.is_empty() {
                return;
            }
            let whole = batch * len * k;
            let many = batch >= 4 * rayon::current_num_threads();
            let apart = many || len * k < LARGE;
            if batch > 1 && apart && whole >= 64 * 64 * 64 {
                // Several matrices a task: each writes 16 KB or more.
                let size = (4096 / len).clamp(1, batch.div_ceil(4)) * len;
                share_parts(out, size, |first, out| {
                    for (i, out) in out.chunks_exact_mut(len).enumerate() {
                        let i = first / len + i;
                        let (a, b) = (a.matrix(i), b.matrix(i));
                        product(out, n, a, b, 1.0, Parallelism::None);
                    }
                });
                return;
            }
            for (i, out) in out.chunks_exact_mut(len).enumerate() {
                let (a, b) = (a.matrix(i), b.matrix(i));
                match (a.dense_values(), b.dense_values()) {
                    (Some(a), Some(b)) if m == 1 => combine(a, b, out),
                    _ => product(out, n, a, b, 1.0, threads(m, n, k)),
                }
            }
        });
        tensor(out, shape)
    }
}

impl MatmulOps for CaptureBackend {
    fn matmul_batch(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        a_turned: bool,
        b_turned: bool,
    ) -> FloatTensor<Self> {
        let (shape, _) = sizes(&a.shape(), &b.shape(), a_turned, b_turned);
        let scalars = vec![ScalarIr::Bool(a_turned), ScalarIr::Bool(b_turned)];
        let [y] = record("matmul", vec![a, b], [shape], scalars);
        y
    }
}

/// The cost of this file's operators.
pub(crate) fn cost(op: &CustomOpIr) -> Option<CustomCost> {
    if op.id != "matmul" {
        return None;
    }
    let turned = |i: usize| matches!(op.scalars[i], ScalarIr::Bool(true));
    let (_, [batch, m, n, k]) =
        sizes(&op.inputs[0].shape, &op.inputs[1].shape, turned(0), turned(1));
    let kind = OperatorKind::Matmul {
        batch: batch as u64,
        m: m as u64,
        n: n as u64,
        k: k as u64,
    };
    let partial = match combine_tasks(k, n) {
        tasks if m == 1 && batch == 1 && tasks > 1 => tasks * n,
        _ => 0,
    };
    Some(CustomCost {
        scratch_bytes: 4 * partial as u64 + packing_bytes(m, n, k),
        ..CustomCost::plain(kind, op)
    })
}

/// Each factor is kept only for the gradient of the other.
#[derive(Debug)]
struct MatmulBackward;

impl<B: MatmulOps> Backward<B, 2> for MatmulBackward {
    type State = (Option<FloatTensor<B>>, Option<FloatTensor<B>>);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let (a, b) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let [a_parent, b_parent] = ops.parents;
        if let (Some(parent), Some(b)) = (a_parent, b) {
            let da = B::matmul_batch(grad.clone(), b, false, true);
            grads.register::<B>(parent.id, da);
        }
        if let (Some(parent), Some(a)) = (b_parent, a) {
            let db = B::matmul_batch(a, grad, true, false);
            grads.register::<B>(parent.id, db);
        }
    }
}

impl<B: MatmulOps, C: CheckpointStrategy> MatmulOps for Autodiff<B, C> {
    fn matmul_batch(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        a_turned: bool,
        b_turned: bool,
    ) -> FloatTensor<Self> {
        if a_turned || b_turned {
            // Only the backward pass asks for it.
            second_order("matmul");
        }
        let (a_tracked, b_tracked) = (a.is_tracked(), b.is_tracked());
        let prep = MatmulBackward
            .prepare::<C>([a.node(), b.node()])
            .compute_bound()
            .stateful();
        let (a, b) = (a.into_primitive(), b.into_primitive());
        match prep {
            OpsKind::Tracked(prep) => {
                let state = (
                    b_tracked.then(|| a.clone()),
                    a_tracked.then(|| b.clone()),
                );
                prep.finish(state, B::matmul_batch(a, b, false, false))
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::matmul_batch(a, b, false, false))
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
        let random = |shape: [usize; 4]| {
            Tensor::<4>::random(
                shape,
                Distribution::Uniform(-1.0, 1.0),
                &device,
            )
        };
        for [batch, m, k, n] in [
            [1, 1, 1, 1],
            [1, 1, 37, 19],
            [1, 1, 300, 257],
            [2, 1, 64, 64],
            [3, 5, 7, 9],
            [6, 33, 65, 40],
            [1, 130, 140, 150],
        ] {
            // b also as a transposed view, with the heads not outermost.
            for turned in [false, true] {
                let a = random([2, batch, m, k]).require_grad();
                let b = if turned {
                    random([2, n, batch, k]).require_grad()
                } else {
                    random([2, batch, k, n]).require_grad()
                };
                let weight = random([2, batch, m, n]);
                let run = |product: fn(Tensor<4>, Tensor<4>) -> Tensor<4>| {
                    let b4 = match turned {
                        true => b.clone().permute([0, 2, 3, 1]),
                        false => b.clone(),
                    };
                    let y = product(a.clone(), b4);
                    let value = y.to_data();
                    let grads = (y * weight.clone()).sum().backward();
                    [
                        value,
                        a.grad(&grads).unwrap().to_data(),
                        b.grad(&grads).unwrap().to_data(),
                    ]
                };
                for (fast, plain) in run(matmul).iter().zip(&run(matmul_plain))
                {
                    fast.assert_approx_eq::<f32>(
                        plain,
                        Tolerance::absolute(1e-4),
                    );
                }
            }
        }
    }

    #[test]
    fn one_row_times_a_large_matrix_equals_the_twin() {
        let device = Device::flex();
        let a = Tensor::<2>::random([1, 301], Distribution::Default, &device);
        let b = Tensor::<2>::random([301, 257], Distribution::Default, &device);
        matmul(a.clone(), b.clone()).to_data().assert_approx_eq::<f32>(
            &matmul_plain(a, b).to_data(),
            Tolerance::absolute(1e-3),
        );
    }

    #[test]
    fn each_product_is_recorded_with_its_cost() {
        let ops = recorded(|device| {
            let a = Tensor::<3>::zeros([2, 3, 5], device).require_grad();
            let b = Tensor::<3>::zeros([2, 5, 7], device).require_grad();
            Some(matmul(a, b).sum())
        });
        let kinds: Vec<_> =
            ops.iter().filter_map(cost).map(|cost| cost.kind).collect();
        let kind = |m, n, k| OperatorKind::Matmul { batch: 2, m, n, k };
        assert_eq!(kinds, [kind(3, 7, 5), kind(3, 5, 7), kind(5, 7, 3)]);
    }
}
