//! Mean cross entropy of rows of logits with class indices:
//! `L = mean_i (log sum_j exp x_ij - x_i,t(i))`; the gradient is
//! `(softmax(x_i)_j - [j = t(i)]) dL / rows`.
//!
//! Neither pass makes a temporary of the logits' size: the forward pass runs
//! over a row once, block by block, and rescales its sum when the maximum
//! grows (Milakov and Gimelshein, *Online normalizer calculation for
//! softmax*, 2018); the backward pass computes maximum and sum again, and
//! writes over the logits.
//!
//! The ladder, [128, 32000] `f32`, milliseconds
//! (`examples/row_kernels_ladder.rs`; 2026-11-24, EPYC with AVX-512, one
//! worker thread, allocator set to keep its memory):
//! stock log-softmax, gather and mean 13.3; 1. one pass, nothing stored 1.5.
//! Forward and backward: stock 35; 2. softmax again from the logits 4.2-5.7,
//! of a leaf that is still held, so the gradient goes to memory of its own.

use burn::Tensor;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ir::CustomOpIr;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{
    Autodiff, Backend, Dispatch, TensorMetadata, backend_extension,
};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Shape};
use burn_capture::CaptureBackend;
use burn_flex::Flex;
use rayon::prelude::*;

use assay_trace::{CustomCost, OperatorKind};

use crate::classes::{Class, timed};
use crate::door::{
    contiguous, places, record, second_order, serves, tensor, values,
};
use crate::math::{LANES, exp, largest, multiversion};
use crate::rows::{TASKS, task_size, update};

/// Mean cross entropy of `logits`, `[rows, classes]`, with `targets`,
/// `[rows]`, as one value.
///
/// # Panics
/// When a target is no class, as indexing does.
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    assert_eq!(
        logits.dims()[0],
        targets.dims()[0],
        "cross_entropy: one target a row of logits"
    );
    if !serves(&logits) {
        return cross_entropy_plain(logits, targets);
    }
    Tensor::from_dispatch(<Dispatch as CrossEntropyOps>::cross_entropy_rows(
        logits.into_dispatch(),
        targets.into_dispatch(),
    ))
}

/// The plain twin, of Burn's own operators.
pub fn cross_entropy_plain(
    logits: Tensor<2>,
    targets: Tensor<1, Int>,
) -> Tensor<1> {
    let log_p = log_softmax(logits, 1);
    log_p.gather(1, targets.unsqueeze_dim(1)).mean().neg()
}

/// Cross entropy as a backend operator: use [`cross_entropy`].
#[backend_extension(Flex, Capture, Autodiff)]
pub trait CrossEntropyOps: Backend {
    /// The mean over all rows, `[1]`.
    fn cross_entropy_rows(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
    ) -> FloatTensor<Self>;
    /// The gradient of the logits, from that of the mean, `[1]`.
    fn cross_entropy_rows_backward(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

impl CrossEntropyOps for Flex {
    fn cross_entropy_rows(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Softmax);
        let logits = contiguous(logits);
        let cols = logits.shape()[1];
        let targets = places(targets, cols);
        let x = values(&logits);
        let size = task_size(x.len(), cols, TASKS);
        let total: f64 = if x.len() <= size {
            total_loss(x, &targets, cols)
        } else {
            // Collected, then added: the same order on every run.
            let losses: Vec<f64> = x
                .par_chunks(size)
                .zip(targets.par_chunks(size / cols))
                .map(|(x, targets)| total_loss(x, targets, cols))
                .collect();
            losses.iter().sum()
        };
        let mean = total / targets.len() as f64;
        tensor(vec![mean as f32], Shape::new([1]))
    }

    fn cross_entropy_rows_backward(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Softmax);
        let cols = logits.shape()[1];
        let targets = places(targets, cols);
        let grad = contiguous(grad);
        let scale = values(&grad)[0] / targets.len() as f32;
        let ([dx], _) =
            update([logits], cols, TASKS, |(): &mut (), first, [x]| {
                let row = first / cols;
                let rows = x.len() / cols;
                backward(x, &targets[row..row + rows], cols, scale);
            });
        dx
    }
}

impl CrossEntropyOps for CaptureBackend {
    fn cross_entropy_rows(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
    ) -> FloatTensor<Self> {
        let inputs = vec![logits, targets];
        let [loss] = record("cross_entropy", inputs, [Shape::new([1])], vec![]);
        loss
    }

    fn cross_entropy_rows_backward(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let shape = logits.shape();
        let inputs = vec![logits, targets, grad];
        let [dx] = record("cross_entropy_backward", inputs, [shape], vec![]);
        dx
    }
}

/// The cost of this file's operators.
pub(crate) fn cost(op: &CustomOpIr) -> Option<CustomCost> {
    let (backward, in_place) = match op.id.as_str() {
        "cross_entropy" => (false, None),
        "cross_entropy_backward" => (true, Some(0)),
        _ => return None,
    };
    let shape = &op.inputs[0].shape;
    let (rows, cols) = (shape[0] as u64, shape[1] as u64);
    let kind = OperatorKind::CrossEntropy { rows, cols, backward };
    let in_place = vec![in_place];
    Some(CustomCost { in_place, ..CustomCost::plain(kind, op) })
}

#[derive(Debug)]
struct CrossEntropyBackward;

impl<B: CrossEntropyOps> Backward<B, 1> for CrossEntropyBackward {
    /// Logits, targets.
    type State = (FloatTensor<B>, IntTensor<B>);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let (logits, targets) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        if let [Some(parent)] = ops.parents {
            let dx = B::cross_entropy_rows_backward(logits, targets, grad);
            grads.register::<B>(parent.id, dx);
        }
    }
}

impl<B: CrossEntropyOps, C: CheckpointStrategy> CrossEntropyOps
    for Autodiff<B, C>
{
    fn cross_entropy_rows(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
    ) -> FloatTensor<Self> {
        let prep = CrossEntropyBackward
            .prepare::<C>([logits.node()])
            .compute_bound()
            .stateful();
        let logits = logits.into_primitive();
        match prep {
            OpsKind::Tracked(prep) => {
                let loss =
                    B::cross_entropy_rows(logits.clone(), targets.clone());
                prep.finish((logits, targets), loss)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::cross_entropy_rows(logits, targets))
            }
        }
    }

    fn cross_entropy_rows_backward(
        _: FloatTensor<Self>,
        _: IntTensor<Self>,
        _: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        second_order("cross_entropy")
    }
}

/// Maximum of a row and sum of `exp(x - maximum)`, in one pass by blocks.
#[inline(always)]
fn normaliser<const FMA: bool>(x: &[f32]) -> (f32, f32) {
    let (mut maximum, mut sum) = (f32::NEG_INFINITY, 0.0);
    for block in x.chunks(1024) {
        let high = largest(block);
        if high > maximum {
            sum *= exp::<FMA>(maximum - high);
            maximum = high;
        }
        if maximum == f32::NEG_INFINITY {
            continue;
        }
        let (chunks, rest) = block.as_chunks::<LANES>();
        let mut lanes = [0.0; LANES];
        for chunk in chunks {
            for i in 0..LANES {
                lanes[i] += exp::<FMA>(chunk[i] - maximum);
            }
        }
        sum += lanes.into_iter().sum::<f32>();
        sum += rest.iter().map(|x| exp::<FMA>(x - maximum)).sum::<f32>();
    }
    (maximum, sum)
}

multiversion! {
    /// The sum of the rows' losses.
    fn total_loss(x: &[f32], targets: &[usize], cols: usize) -> f64 {
        let mut total = 0.0;
        for (x, &target) in x.chunks_exact(cols).zip(targets) {
            let (maximum, sum) = normaliser::<FMA>(x);
            total += f64::from(sum.ln()) + f64::from(maximum)
                - f64::from(x[target]);
        }
        total
    }
}

multiversion! {
    /// Turns logits into `scale * (softmax - target)`.
    fn backward(x: &mut [f32], targets: &[usize], cols: usize, scale: f32) {
        for (x, &target) in x.chunks_exact_mut(cols).zip(targets) {
            let (maximum, sum) = normaliser::<FMA>(x);
            let factor = scale / sum;
            for x in x.iter_mut() {
                *x = exp::<FMA>(*x - maximum) * factor;
            }
            x[target] -= scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, IntDType, TensorData, Tolerance};

    use super::*;
    use crate::door::recorded;

    #[test]
    fn it_equals_its_plain_twin_forward_and_backward() {
        let device = Device::flex().autodiff();
        for [rows, cols] in [[7, 33], [1, 1], [1, 5000], [60, 3000]] {
            let x = Tensor::<2>::random(
                [cols, rows],
                Distribution::Uniform(-9.0, 9.0),
                &device,
            )
            .require_grad();
            let targets: Vec<i64> =
                (0..rows).map(|i| (i * 31 % cols) as i64).collect();
            let targets = TensorData::new(targets, [rows]);
            let targets = Tensor::<1, Int>::from_data(targets, &device);
            for targets in [targets.clone(), targets.cast(IntDType::I64)] {
                let logits = || x.clone().swap_dims(0, 1);
                let fast = cross_entropy(logits(), targets.clone());
                let plain = cross_entropy_plain(logits(), targets);
                fast.to_data().assert_approx_eq::<f32>(
                    &plain.to_data(),
                    Tolerance::absolute(1e-5),
                );
                let gradient = |loss: Tensor<1>| {
                    let grads = (loss * 3.0).backward();
                    x.grad(&grads).unwrap().to_data()
                };
                gradient(fast).assert_approx_eq::<f32>(
                    &gradient(plain),
                    Tolerance::absolute(1e-6),
                );
            }
        }
    }

    #[test]
    fn a_masked_class_costs_nothing_and_gets_no_gradient() {
        let device = Device::flex().autodiff();
        // Masked for longer than one block.
        let mut logits = vec![f32::NEG_INFINITY; 3000];
        (logits[2000], logits[2001]) = (1.0, 1.0);
        let logits = TensorData::new(logits, [1, 3000]);
        let x = Tensor::<2>::from_data(logits, &device).require_grad();
        let target = Tensor::<1, Int>::from_ints([2001], &device);
        let loss = cross_entropy(x.clone(), target);
        let value = loss.clone().into_scalar::<f32>();
        assert!((value - 2.0_f32.ln()).abs() < 1e-6);
        let dx = x.grad(&loss.backward()).unwrap().to_data();
        let dx = dx.try_to_vec::<f32>().unwrap();
        assert_eq!((dx[0], dx[2000], dx[2001]), (0.0, 0.5, -0.5));
    }

    #[test]
    fn it_is_recorded_with_its_cost() {
        let ops = recorded(|device| {
            let x = Tensor::<2>::zeros([3, 5], device).require_grad();
            let targets = Tensor::<1, Int>::from_ints([0, 4, 2], device);
            Some(cross_entropy(x, targets))
        });
        let costs: Vec<_> = ops.iter().filter_map(cost).collect();
        let kind = |backward| OperatorKind::CrossEntropy {
            rows: 3,
            cols: 5,
            backward,
        };
        assert_eq!(costs[0].kind, kind(false));
        assert_eq!(costs[1].kind, kind(true));
        assert_eq!(costs[1].in_place, [Some(0)]);
    }
}
