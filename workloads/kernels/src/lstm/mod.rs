//! The recurrence of an LSTM layer over whole sequences (Hochreiter and
//! Schmidhuber, *Long Short-Term Memory*, 1997; with forget gates after Gers,
//! Schmidhuber and Cummins, 2000), from zero states:
//! `[i f g o]_t = x_t + W h_(t-1)`, `c_t = s(f) c_(t-1) + s(i) tanh(g)`,
//! `h_t = s(o) tanh(c_t)`; `x_t` is the inputs' part, biases included.
//!
//! `B` batch, `T` steps, `H` units. The forward pass writes the activated
//! gates over `x` where nobody else holds it, and keeps them and the cells.
//! Backward in time, `dh_t` being the output's gradient and `d_(t+1) W`:
//! `dc_t = dh_t o (1 - tanh^2 c_t) + f_(t+1) dc_(t+1)`; with `d_t` the
//! gradients of the four sums before their activations, written over the
//! gates, `dx = d` and `dW = sum_t d_t^T h_(t-1)`.
//!
//! Each task runs all steps of its own rows of the batch, so no step waits for
//! another thread, and one graph node holds all steps.
//!
//! The ladder, `B`, `T`, `H`, twin and kernel
//! (`examples/network_kernels_ladder.rs`; 2026-11-28, 2 cores of an EPYC with
//! AVX-512, shared with other programs, load 5 to 9: to be measured again)
//! [256, 32, 64] 88 and 15 ms, training 380 and 42; [256, 128, 64] 370 and 44,
//! training 4700 and 196. [256, 32, 512], of the products: 1. the weight
//! turned as a whole, 64 rows a task, 19 GFLOP/s; 2. panels of 128 columns and
//! 48 rows, so that `gemm` packs nothing, 32.

mod steps;
mod tracked;

use burn::Tensor;
use burn::backend::ir::CustomOpIr;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::Shape;
use burn::tensor::activation::{sigmoid, tanh};
use burn_capture::CaptureBackend;
use burn_flex::Flex;

use assay_trace::{CustomCost, OperatorKind};

use crate::classes::{Class, timed};
use crate::door::{record, serves};
use crate::product::packing_bytes;

/// Hidden states [B, T, H] of an LSTM that starts from zeros. `gates`
/// [B, T, 4H]: the inputs' part of the sums, both biases included, gates in
/// the order input, forget, cell, output; `w_hh` [4H, H].
pub fn lstm(gates: Tensor<3>, w_hh: Tensor<2>) -> Tensor<3> {
    check(&gates, &w_hh);
    if !(serves(&gates) && serves(&w_hh)) {
        return lstm_plain(gates, w_hh);
    }
    Tensor::from_dispatch(<Dispatch as LstmOps>::lstm_steps(
        gates.into_dispatch(),
        w_hh.into_dispatch(),
    ))
}

/// The plain twin, of Burn's own operators, step by step.
pub fn lstm_plain(gates: Tensor<3>, w_hh: Tensor<2>) -> Tensor<3> {
    check(&gates, &w_hh);
    let [batch, steps, _] = gates.dims();
    let units = w_hh.dims()[1];
    let w = w_hh.transpose();
    let mut state: Option<(Tensor<2>, Tensor<2>)> = None;
    let mut hidden = Vec::with_capacity(steps);
    for t in 0..steps {
        let x = gates.clone().narrow(1, t, 1).reshape([batch, 4 * units]);
        let sums = match &state {
            Some((h, _)) => x + h.clone().matmul(w.clone()),
            None => x,
        };
        let gate = |i: usize| sums.clone().narrow(1, i * units, units);
        let new = sigmoid(gate(0)) * tanh(gate(2));
        let c = match state {
            Some((_, c)) => sigmoid(gate(1)) * c + new,
            None => new,
        };
        let h = sigmoid(gate(3)) * tanh(c.clone());
        hidden.push(h.clone().reshape([batch, 1, units]));
        state = Some((h, c));
    }
    Tensor::cat(hidden, 1)
}

fn check(gates: &Tensor<3>, w_hh: &Tensor<2>) {
    let ([batch, steps, sums], [outer, units]) = (gates.dims(), w_hh.dims());
    assert_eq!(outer, 4 * units, "lstm: w_hh is not [4H, H]");
    assert_eq!(sums, outer, "lstm: gates and w_hh differ in width");
    assert!(batch * steps * units > 0, "lstm: nothing to do");
}

/// The recurrence as a backend operator: use [`lstm`].
#[backend_extension(Flex, Capture, Autodiff)]
pub trait LstmOps: Backend {
    /// Hidden states [B, T, H].
    fn lstm_steps(
        gates: FloatTensor<Self>,
        w_hh: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    /// The same, with what the backward pass needs: activated gates
    /// [B, T, 4H], cells [B, T, H].
    fn lstm_steps_kept(
        gates: FloatTensor<Self>,
        w_hh: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    /// The gradient of `gates`, from that of the hidden states.
    fn lstm_steps_backward(
        grad: FloatTensor<Self>,
        w_hh: FloatTensor<Self>,
        activated: FloatTensor<Self>,
        cells: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    /// The gradient of `w_hh`, from that of `gates`.
    fn lstm_weight_backward(
        gates_grad: FloatTensor<Self>,
        hidden: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

impl LstmOps for Flex {
    fn lstm_steps(
        gates: FloatTensor<Self>,
        w_hh: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Recurrence);
        steps::forward(gates, w_hh, false).0
    }

    fn lstm_steps_kept(
        gates: FloatTensor<Self>,
        w_hh: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let _timed = timed(Class::Recurrence);
        steps::forward(gates, w_hh, true)
    }

    fn lstm_steps_backward(
        grad: FloatTensor<Self>,
        w_hh: FloatTensor<Self>,
        activated: FloatTensor<Self>,
        cells: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Recurrence);
        steps::backward(grad, w_hh, activated, cells)
    }

    fn lstm_weight_backward(
        gates_grad: FloatTensor<Self>,
        hidden: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Recurrence);
        steps::weight(gates_grad, hidden)
    }
}

/// The shape of hidden states and cells.
fn hidden_shape(gates: &Shape) -> Shape {
    Shape::from(vec![gates[0], gates[1], gates[2] / 4])
}

impl LstmOps for CaptureBackend {
    fn lstm_steps(
        gates: FloatTensor<Self>,
        w_hh: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let shape = hidden_shape(&gates.shape());
        let [hidden] = record("lstm", vec![gates, w_hh], [shape], vec![]);
        hidden
    }

    fn lstm_steps_kept(
        gates: FloatTensor<Self>,
        w_hh: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let all = gates.shape();
        let shapes = [hidden_shape(&all), all.clone(), hidden_shape(&all)];
        record("lstm", vec![gates, w_hh], shapes, vec![]).into()
    }

    fn lstm_steps_backward(
        grad: FloatTensor<Self>,
        w_hh: FloatTensor<Self>,
        activated: FloatTensor<Self>,
        cells: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let shape = activated.shape();
        let inputs = vec![grad, w_hh, activated, cells];
        let [dx] = record("lstm_backward", inputs, [shape], vec![]);
        dx
    }

    fn lstm_weight_backward(
        gates_grad: FloatTensor<Self>,
        hidden: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let (outer, units) = (gates_grad.shape()[2], hidden.shape()[2]);
        let shape = Shape::from(vec![outer, units]);
        let inputs = vec![gates_grad, hidden];
        let [dw] = record("lstm_weight_backward", inputs, [shape], vec![]);
        dw
    }
}

/// The cost of this file's operators: their products, that of the first step
/// with the zero state included. What an operator does besides, 18 operations
/// a unit and step, 24 in the backward pass, is not counted, as a linear
/// layer's bias is not: it is `9 / 4H` and `3 / H` of the product.
pub(crate) fn cost(op: &CustomOpIr) -> Option<CustomCost> {
    let gates = match op.id.as_str() {
        "lstm" | "lstm_weight_backward" => &op.inputs[0].shape,
        "lstm_backward" => &op.outputs[0].shape,
        _ => return None,
    };
    let (b, t, units) = (gates[0], gates[1], gates[2] / 4);
    let [batch, m, n, k] = match op.id.as_str() {
        "lstm" => [t, b, 4 * units, units],
        "lstm_backward" => [t, b, units, 4 * units],
        _ => [b, 4 * units, units, t],
    };
    let kind = OperatorKind::Matmul {
        batch: batch as u64,
        m: m as u64,
        n: n as u64,
        k: k as u64,
    };
    let floats = |count: usize| (count * size_of::<f32>()) as u64;
    let mut cost = CustomCost::plain(kind, op);
    cost.scratch_bytes = packing_bytes(m, n, k);
    match op.id.as_str() {
        // The weight in panels, one state and one cell a row.
        "lstm" => {
            cost.scratch_bytes = floats(4 * units * units + 2 * b * units);
            if let Some(activated) = cost.in_place.get_mut(1) {
                *activated = Some(0);
            }
        }
        "lstm_backward" => {
            cost.scratch_bytes = floats(4 * units * units + 2 * b * units);
            cost.in_place[0] = Some(2);
        }
        _ => {}
    }
    Some(cost)
}

#[cfg(test)]
mod tests;
