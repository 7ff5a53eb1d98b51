//! LayerNorm over the channels of planes (Ba, Kiros and Hinton, *Layer
//! Normalization*, 2016), as it follows the products of AlphaFold's triangle
//! multiplication (Jumper et al., *Highly accurate protein structure prediction
//! with AlphaFold*, 2021, supplement, algorithms 11 and 12, line 4):
//! `y[i, j, c] = (x[c, i, j] - mean) r gamma[c] + beta[c]`, mean and
//! `r = 1 / sqrt(variance + epsilon)` over `c`.
//!
//! The formulas of the gradient, and the loops over rows, are those of
//! [`crate::layer_norm`]. The steps of the kernel:
//! 1. no permuted copy: a tile of rows is turned from planes where the output
//!    comes to lie ([`crate::channels`]), and normalized there, in cache;
//! 2. backward: a tile of `x` is turned, one of the gradient copied, and what
//!    becomes of it is turned back to planes. Statistics are computed again;
//!    each of a fixed number of tasks adds up `dgamma` and `dbeta` by itself.
//!
//! [128, 256, 256] `f32`, milliseconds, twin and kernel
//! (`examples/evoformer_ladder.rs`; 2026-11-28, 2 cores of an EPYC with
//! AVX-512, shared with other programs, load 3 to 4: to be measured again):
//! 68 and 11, where a pass of an engine's operator over as many bytes took 3;
//! forward and backward 157 and 41, of which 8 are not the kernel's.

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
use rayon::prelude::*;

use assay_trace::{CustomCost, OperatorKind};

use crate::channels::{Planes, TILE, rows_a_task, tiles, to_planes};
use crate::classes::{Class, timed};
use crate::door::{contiguous, record, second_order, serves, tensor, values};
use crate::layer_norm::{self, layer_norm_plain};
use crate::rows::{NORM_TASKS, fill, sum_rows, task_size, tasks, written};
use crate::share::{Parts, share_parts};

/// LayerNorm over the channels of `x` [C, I, J], `gamma` and `beta` [C]; gives
/// rows of channels, [I, J, C].
pub fn plane_norm(
    x: Tensor<3>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f32,
) -> Tensor<3> {
    let channels = x.dims()[0];
    assert!(channels > 0, "plane_norm: no channels");
    assert_eq!(gamma.dims(), [channels], "plane_norm: gamma's width");
    assert_eq!(beta.dims(), [channels], "plane_norm: beta's width");
    if !(serves(&x) && serves(&gamma) && serves(&beta)) {
        return plane_norm_plain(x, gamma, beta, epsilon);
    }
    Tensor::from_dispatch(<Dispatch as PlaneNormOps>::plane_norm_all(
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        epsilon,
    ))
}

/// The plain twin, of Burn's own operators.
pub fn plane_norm_plain(
    x: Tensor<3>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f32,
) -> Tensor<3> {
    layer_norm_plain(x.permute([1, 2, 0]), gamma, Some(beta), epsilon)
}

/// LayerNorm of planes as a backend operator: use [`plane_norm`].
#[backend_extension(Flex, Capture, Autodiff)]
pub trait PlaneNormOps: Backend {
    /// See [`plane_norm`].
    fn plane_norm_all(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self>;
    /// Gradients of `x`, `gamma` and `beta`.
    fn plane_norm_all_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

fn forward(
    x: FlexTensor,
    gamma: &[f32],
    beta: &[f32],
    epsilon: f32,
) -> FlexTensor {
    let (shape, width) = (x.shape(), gamma.len());
    let count = shape[1] * shape[2];
    let planes = Planes::new(x);
    let out = fill(count * width, |out| {
        let size = rows_a_task(count, width) * width;
        share_parts(out, size, |first, out| {
            let mut first = first / width;
            for out in out.chunks_mut(TILE * width) {
                let rows = planes.rows(first, out);
                layer_norm::forward(rows, gamma, beta, epsilon);
                first += rows.len() / width;
            }
        });
    });
    tensor(out, Shape::new([shape[1], shape[2], width]))
}

/// The gradient of `x`, and each task's `[dgamma, dbeta]`.
fn backward(
    x: FlexTensor,
    gamma: &[f32],
    grad: &[f32],
    epsilon: f32,
) -> (FlexTensor, Vec<Vec<f32>>) {
    let (shape, width) = (x.shape(), gamma.len());
    let count = grad.len() / width;
    let planes = Planes::new(x);
    let size = task_size(grad.len(), width, NORM_TASKS) / width;
    let mut partials = Vec::new();
    let dx = fill(grad.len(), |dx| {
        let dx = Parts::new(dx);
        let run = |first: usize| {
            let mut partial = vec![0.0; 2 * width];
            let mut tile = Vec::with_capacity(2 * TILE * width);
            for rows in tiles(first..count.min(first + size)) {
                let len = rows.len() * width;
                let cells = &mut tile.spare_capacity_mut()[..2 * len];
                let (x, h) = cells.split_at_mut(len);
                let x = planes.rows(rows.start, x);
                h.write_copy_of_slice(&grad[rows.start * width..][..len]);
                let h = written(h);
                layer_norm::backward(x, gamma, h, &mut partial, epsilon);
                #[expect(unsafe_code, reason = "rows are shared out")]
                // SAFETY: each task has its own rows of every plane.
                unsafe {
                    to_planes(h, width, &dx, count, rows.start);
                }
            }
            partial
        };
        partials = if count <= size {
            vec![run(0)]
        } else {
            let firsts = (0..count.div_ceil(size)).into_par_iter();
            firsts.map(|task| run(task * size)).collect()
        };
    });
    (tensor(dx, shape), partials)
}

impl PlaneNormOps for Flex {
    fn plane_norm_all(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Norm);
        let (gamma, beta) = (contiguous(gamma), contiguous(beta));
        forward(x, values(&gamma), values(&beta), epsilon)
    }

    fn plane_norm_all_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let _timed = timed(Class::Norm);
        let (gamma, grad) = (contiguous(gamma), contiguous(grad));
        let gamma = values(&gamma);
        let width = gamma.len();
        let (dx, partials) = backward(x, gamma, values(&grad), epsilon);
        let mut dgamma = sum_rows(&partials, 2 * width);
        let dbeta = dgamma.split_off(width);
        let shape = Shape::new([width]);
        (dx, tensor(dgamma, shape.clone()), tensor(dbeta, shape))
    }
}

impl PlaneNormOps for CaptureBackend {
    fn plane_norm_all(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        let shape = x.shape();
        let shape = Shape::new([shape[1], shape[2], shape[0]]);
        let scalars = vec![ScalarIr::Float(f64::from(epsilon))];
        let inputs = vec![x, gamma, beta];
        let [y] = record("plane_norm", inputs, [shape], scalars);
        y
    }

    fn plane_norm_all_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let shapes = [x.shape(), gamma.shape(), gamma.shape()];
        let scalars = vec![ScalarIr::Float(f64::from(epsilon))];
        let inputs = vec![x, gamma, grad];
        let [dx, dgamma, dbeta] =
            record("plane_norm_backward", inputs, shapes, scalars);
        (dx, dgamma, dbeta)
    }
}

/// The cost of this file's operators. The backward pass holds one row of
/// `dgamma` and one of `dbeta` a task, and two tiles of rows a worker.
pub(crate) fn cost(op: &CustomOpIr) -> Option<CustomCost> {
    let backward = match op.id.as_str() {
        "plane_norm" => false,
        "plane_norm_backward" => true,
        _ => return None,
    };
    let planes = &op.inputs[0].shape;
    let (cols, rows) = (planes[0], planes[1] * planes[2]);
    let kind = OperatorKind::LayerNorm {
        rows: rows as u64,
        cols: cols as u64,
        backward,
    };
    let mut cost = CustomCost::plain(kind, op);
    if backward {
        let tasks = tasks(rows * cols, cols, NORM_TASKS);
        let workers = rayon::current_num_threads().min(tasks);
        let tiles = workers * 2 * rows.min(TILE) * cols;
        let held = tasks * 2 * cols + tiles;
        cost.scratch_bytes = (held * size_of::<f32>()) as u64;
    }
    Some(cost)
}

#[derive(Debug)]
struct PlaneNormBackward;

impl<B: PlaneNormOps> Backward<B, 3> for PlaneNormBackward {
    /// `x`, `gamma`, `epsilon`.
    type State = (FloatTensor<B>, FloatTensor<B>, f32);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let (x, gamma, epsilon) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let (dx, dgamma, dbeta) =
            B::plane_norm_all_backward(x, gamma, grad, epsilon);
        for (parent, grad) in ops.parents.into_iter().zip([dx, dgamma, dbeta]) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, grad);
            }
        }
    }
}

impl<B: PlaneNormOps, C: CheckpointStrategy> PlaneNormOps for Autodiff<B, C> {
    fn plane_norm_all(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        let prep = PlaneNormBackward
            .prepare::<C>([x.node(), gamma.node(), beta.node()])
            .compute_bound()
            .stateful();
        let [x, gamma, beta] = [x, gamma, beta].map(|x| x.into_primitive());
        match prep {
            OpsKind::Tracked(prep) => {
                let y =
                    B::plane_norm_all(x.clone(), gamma.clone(), beta, epsilon);
                prep.finish((x, gamma, epsilon), y)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::plane_norm_all(x, gamma, beta, epsilon))
            }
        }
    }

    fn plane_norm_all_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        second_order("plane_norm")
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
        let random = |shape: [usize; 3], from, to| {
            let range = Distribution::Uniform(from, to);
            Tensor::<3>::random(shape, range, &device)
        };
        for ([c, i, j], form) in [
            [1, 1, 1],
            [33, 7, 9],
            [5, 1, 300],
            [64, 65, 1],
            [128, 40, 26],
            [20, 130, 70],
        ]
        .into_iter()
        .flat_map(|shape| (0..3).map(move |form| (shape, form)))
        {
            let shape = match form {
                0 => [c, i, j],
                1 => [c, j, i],
                _ => [c + 3, i + 1, j],
            };
            let x = random(shape, -1.0, 3.0).require_grad();
            let view = || match form {
                0 => x.clone(),
                1 => x.clone().swap_dims(1, 2),
                _ => x.clone().slice([2..c + 2, 1..i + 1, 0..j]),
            };
            let vector = |from, to| {
                random([1, 1, c], from, to).reshape([c]).detach().require_grad()
            };
            let (gamma, beta) = (vector(0.5, 1.5), vector(-1.0, 1.0));
            let weight = random([i, j, c], -1.0, 1.0);
            let run = |fast: bool| {
                let f = if fast { plane_norm } else { plane_norm_plain };
                let y = f(view(), gamma.clone(), beta.clone(), 1e-5);
                let value = y.to_data();
                let grads = (y * weight.clone()).sum().backward();
                [
                    value,
                    x.grad(&grads).unwrap().to_data(),
                    gamma.grad(&grads).unwrap().to_data(),
                    beta.grad(&grads).unwrap().to_data(),
                ]
            };
            for (fast, plain) in run(true).iter().zip(&run(false)) {
                fast.assert_approx_eq::<f32>(
                    plain,
                    Tolerance::rel_abs(1e-5, 3e-4),
                );
            }
        }
    }

    #[test]
    fn it_is_recorded_with_its_cost() {
        let ops = recorded(|device| {
            let x = Tensor::<3>::zeros([5, 2, 3], device).require_grad();
            let gamma = Tensor::<1>::zeros([5], device).require_grad();
            Some(plane_norm(x, gamma.clone(), gamma, 1e-5).sum())
        });
        let costs: Vec<_> = ops.iter().filter_map(cost).collect();
        let kind =
            |backward| OperatorKind::LayerNorm { rows: 6, cols: 5, backward };
        assert_eq!(costs[0].kind, kind(false));
        assert_eq!(costs[1].kind, kind(true));
        assert_eq!(costs[1].scratch_bytes, (2 * 5 + 2 * 6 * 5) * 4);
    }
}
