//! Gated units, fused: `y = f(gate) * up`, `dgate = dy up f'(gate)`,
//! `dup = dy f(gate)` (Shazeer, *GLU Variants Improve Transformer*, 2020).
//!
//! The ladder, silu, [128, 4096] `f32`, milliseconds
//! (`examples/row_kernels_ladder.rs`; 2026-11-24, EPYC with AVX-512, one
//! worker thread, allocator set to keep its memory):
//! stock 2.98; 1. one pass, vectorised 0.31-0.38; 2. over the gate 0.22-0.27.
//! One row of 4096: stock 0.023, in place 0.0019. Forward and backward: stock
//! 6.5, fused 0.8-1.1.

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
use burn_capture::CaptureBackend;
use burn_flex::Flex;

use assay_trace::{CustomCost, Elementwise, OperatorKind};

use crate::activation::{Activation, activate_plain, with_activation};
use crate::classes::{Class, timed};
use crate::door::{contiguous, record, second_order, serves, values};
use crate::math::multiversion;
use crate::rows::{TASKS, update};

/// `activation(gate) * up`, two tensors of one shape; over `gate` when nobody
/// else holds it.
pub fn gated<const D: usize>(
    gate: Tensor<D>,
    up: Tensor<D>,
    activation: Activation,
) -> Tensor<D> {
    assert_eq!(gate.dims(), up.dims(), "gated: gate and up differ in shape");
    if !(serves(&gate) && serves(&up)) {
        return gated_plain(gate, up, activation);
    }
    Tensor::from_dispatch(<Dispatch as GatedOps>::gated_all(
        gate.into_dispatch(),
        up.into_dispatch(),
        activation,
    ))
}

/// The plain twin, of Burn's own operators.
pub fn gated_plain<const D: usize>(
    gate: Tensor<D>,
    up: Tensor<D>,
    activation: Activation,
) -> Tensor<D> {
    activate_plain(gate, activation) * up
}

/// Gated units as a backend operator: use [`gated`].
#[backend_extension(Flex, Capture, Autodiff)]
pub trait GatedOps: Backend {
    /// `f(gate) * up`.
    fn gated_all(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self>;
    /// Gradients of `gate` and `up`.
    fn gated_all_backward(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        activation: Activation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

impl GatedOps for Flex {
    fn gated_all(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Elementwise);
        let up = contiguous(up);
        let up = values(&up);
        let ([y], _) = update([gate], 1, TASKS, |(): &mut (), first, [x]| {
            forward(x, &up[first..first + x.len()], activation);
        });
        y
    }

    fn gated_all_backward(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        activation: Activation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let _timed = timed(Class::Elementwise);
        let grad = contiguous(grad);
        let grad = values(&grad);
        let ([gate, up], _) =
            update([gate, up], 1, TASKS, |(): &mut (), first, [gate, up]| {
                let grad = &grad[first..first + gate.len()];
                backward(gate, up, grad, activation);
            });
        (gate, up)
    }
}

impl GatedOps for CaptureBackend {
    fn gated_all(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        let shape = gate.shape();
        let scalars = vec![activation.scalar()];
        let [y] = record("gated", vec![gate, up], [shape], scalars);
        y
    }

    fn gated_all_backward(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        activation: Activation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let shapes = [gate.shape(), gate.shape()];
        let scalars = vec![activation.scalar()];
        let inputs = vec![gate, up, grad];
        let [gate, up] = record("gated_backward", inputs, shapes, scalars);
        (gate, up)
    }
}

/// The cost of this file's operators. The backward pass makes two results an
/// element, over its first two inputs.
pub(crate) fn cost(op: &CustomOpIr) -> Option<CustomCost> {
    let (results, operands, in_place) = match op.id.as_str() {
        "gated" => (1, 2, vec![Some(0)]),
        "gated_backward" => (2, 3, vec![Some(0), Some(1)]),
        _ => return None,
    };
    let kind = OperatorKind::Elementwise {
        op: Elementwise::Gated,
        elements: results * op.outputs[0].shape.num_elements() as u64,
        operands,
    };
    Some(CustomCost { in_place, ..CustomCost::plain(kind, op) })
}

#[derive(Debug)]
struct GatedBackward;

impl<B: GatedOps> Backward<B, 2> for GatedBackward {
    type State = (FloatTensor<B>, FloatTensor<B>, Activation);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let (gate, up, activation) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let (dgate, dup) = B::gated_all_backward(gate, up, grad, activation);
        for (parent, grad) in ops.parents.into_iter().zip([dgate, dup]) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, grad);
            }
        }
    }
}

impl<B: GatedOps, C: CheckpointStrategy> GatedOps for Autodiff<B, C> {
    fn gated_all(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        let prep = GatedBackward
            .prepare::<C>([gate.node(), up.node()])
            .compute_bound()
            .stateful();
        let (gate, up) = (gate.into_primitive(), up.into_primitive());
        match prep {
            OpsKind::Tracked(prep) => {
                let y = B::gated_all(gate.clone(), up.clone(), activation);
                prep.finish((gate, up, activation), y)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::gated_all(gate, up, activation))
            }
        }
    }

    fn gated_all_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: Activation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        second_order("gated")
    }
}

multiversion! {
    fn forward(gate: &mut [f32], up: &[f32], activation: Activation) {
        with_activation!(activation, FMA, f => {
            for (gate, up) in gate.iter_mut().zip(up) {
                *gate = f(*gate).0 * up;
            }
        });
    }
}

multiversion! {
    fn backward(gate: &mut [f32], up: &mut [f32], grad: &[f32], activation: Activation) {
        with_activation!(activation, FMA, f => {
            for ((gate, up), grad) in gate.iter_mut().zip(up).zip(grad) {
                let (value, slope) = f(*gate);
                *gate = grad * *up * slope;
                *up = grad * value;
            }
        });
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
        let random = |shape| {
            let range = Distribution::Uniform(-3.0, 3.0);
            Tensor::<2>::random(shape, range, &device).require_grad()
        };
        use Activation::{Exp, Gelu, QuickGelu, Relu, Silu, Tanh};
        for activation in [Silu, Gelu, Relu, Tanh, Exp, QuickGelu] {
            for [rows, cols] in [[7, 33], [1, 1], [90, 1000]] {
                // Gate and up as the two halves of one product.
                let both = random([rows, 2 * cols]);
                let halves = |both: &Tensor<2>| {
                    let gate = both.clone().slice([0..rows, 0..cols]);
                    let up = both.clone().slice([0..rows, cols..2 * cols]);
                    (gate, up)
                };
                let (gate, up) = halves(&both);
                let fast = gated(gate.clone(), up.clone(), activation);
                let (gate, up) = halves(&both);
                let plain = gated_plain(gate, up, activation);
                fast.to_data().assert_approx_eq::<f32>(
                    &plain.to_data(),
                    Tolerance::rel_abs(1e-6, 2e-6),
                );
                let weight = random([rows, cols]).inner();
                let weight = Tensor::from_inner(weight);
                let gradient = |y: Tensor<2>| {
                    let grads = (y * weight.clone()).sum().backward();
                    both.grad(&grads).unwrap().to_data()
                };
                gradient(fast).assert_approx_eq::<f32>(
                    &gradient(plain),
                    Tolerance::rel_abs(1e-6, 1e-5),
                );
            }
        }
    }

    #[test]
    fn it_is_recorded_with_its_cost() {
        let ops = recorded(|device| {
            let x = Tensor::<2>::zeros([3, 5], device).require_grad();
            let up = Tensor::<2>::zeros([3, 5], device).require_grad();
            Some(gated(x, up, Activation::Silu).sum())
        });
        let costs: Vec<_> = ops.iter().filter_map(cost).collect();
        let kind = |elements, operands| OperatorKind::Elementwise {
            op: Elementwise::Gated,
            elements,
            operands,
        };
        assert_eq!(costs[0].kind, kind(15, 2));
        assert_eq!(costs[1].kind, kind(30, 3));
        assert_eq!(costs[1].in_place, [Some(0), Some(1)]);
    }
}
