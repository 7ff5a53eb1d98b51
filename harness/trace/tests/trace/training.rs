//! The backward pass against a table made by hand.
//!
//! Two layers, `y = relu(x W1) W2`, loss `mean(y)`; `x` `[B, I]`, `W1`
//! `[I, H]`, `W2` `[H, O]`. By the chain rule
//!
//! ```text
//! dy  = 1 / (B O)                 a constant spread over [B, O]
//! dW2 = h^T dy    [H, O]          dh = dy W2^T       [B, H]
//! dz  = dh where z > 0            dW1 = x^T dz       [I, H]
//! ```
//!
//! `x` needs no gradient, so there are three products and one mask.

use std::collections::BTreeMap;

use assay_schema::Precision;
use assay_trace::{
    CustomCost, Elementwise, Graph, OperatorKind, Pass, Role, Tape, capture,
    inner, mark, optimizer_begins, tracked,
};
use burn::backend::ir::{CustomOpIr, OperationIr, TensorIr};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn_capture::CaptureBackend;
use burn_router::RouterClient;

const B: u64 = 5;
const I: u64 = 7;
const H: u64 = 11;
const O: u64 = 3;
const PARAMETERS: u64 = I * H + H * O;

/// The optimizer kernel as this test declares it: 14 operations a parameter.
fn cost(op: &CustomOpIr) -> Option<CustomCost> {
    let elements = op.inputs[0].shape.num_elements() as u64;
    let kind = OperatorKind::Optimizer { elements, flops_per_element: 14 };
    Some(CustomCost {
        in_place: vec![Some(0), Some(2), Some(3)],
        ..CustomCost::plain(kind, op)
    })
}

/// Records `(p, m, v) <- update(p, g, m, v)`.
fn update(inputs: [Tensor<2>; 4]) -> Tensor<2> {
    let inputs =
        inputs.map(|x| x.try_into_primitive::<CaptureBackend>().unwrap());
    let client = inputs[0].client.clone();
    let inputs = inputs.map(|x| x.into_ir());
    let like = |ir: &TensorIr| {
        TensorIr::uninit(
            client.create_empty_handle(),
            ir.shape.clone(),
            ir.dtype,
        )
    };
    let outputs = [&inputs[0], &inputs[2], &inputs[3]].map(like);
    let op = CustomOpIr::with_scalars("update", &inputs, &outputs, vec![]);
    let made = client.register(OperationIr::Custom(op));
    Tensor::from_primitive::<CaptureBackend>(made.into_iter().next().unwrap())
}

fn step() -> Graph {
    capture(cost, |recorder| {
        let device = recorder.training_device();
        let weight = |shape: [u64; 2]| {
            let w = Tensor::<2>::zeros(shape.map(|n| n as usize), &device);
            recorder.role(&w, Role::Weight);
            w.require_grad()
        };
        let (w1, w2) = (weight([I, H]), weight([H, O]));
        let moments = [&w1, &w2].map(|w| {
            [(); 2].map(|()| {
                let zeros = Tensor::<2>::zeros(w.dims(), &recorder.device());
                mark(&zeros, Role::OptimizerState);
                zeros
            })
        });
        let x = Tensor::<2>::zeros([B, I].map(|n| n as usize), &device);
        recorder.role(&x, Role::Input);
        let y = relu(x.matmul(w1.clone())).matmul(w2.clone());
        let mut tape = Tape::of(y.mean());
        optimizer_begins();
        for (w, [m, v]) in [w1, w2].into_iter().zip(moments) {
            let g = tape.remove(&w).unwrap();
            let _ = tracked(update([inner(w), g, m, v]));
        }
    })
    .unwrap()
}

/// Kind to (count, FLOPs), of one pass.
fn table(graph: &Graph, pass: Pass) -> BTreeMap<&'static str, (usize, f64)> {
    let mut table = BTreeMap::new();
    for op in graph.operators.iter().filter(|op| op.pass == pass) {
        let row: &mut (usize, f64) = table.entry(op.kind.name()).or_default();
        row.0 += 1;
        row.1 += op.kind.flops();
    }
    table
}

#[test]
fn the_forward_pass_is_what_the_formula_says() {
    let f = |n: u64| n as f64;
    assert_eq!(
        table(&step(), Pass::Forward),
        BTreeMap::from([
            ("matmul", (2, 2.0 * f(B * I * H + B * H * O))),
            ("elementwise", (1, f(B * H))),
            ("reduce", (1, f(B * O))),
        ])
    );
}

#[test]
fn the_backward_pass_agrees_with_the_table_made_by_hand() {
    let f = |n: u64| n as f64;
    let graph = step();
    let found = table(&graph, Pass::Backward);
    // dW2, dh, dW1.
    let products = 2.0 * f(H * B * O + B * O * H + I * B * H);
    assert_eq!(found["matmul"], (3, products));
    let shapes: Vec<(u64, u64, u64)> = graph
        .operators
        .iter()
        .filter(|op| op.pass == Pass::Backward)
        .filter_map(|op| match op.kind {
            OperatorKind::Matmul { m, n, k, .. } => Some((m, n, k)),
            _ => None,
        })
        .collect();
    for shape in [(H, O, B), (B, H, O), (I, H, B)] {
        assert!(shapes.contains(&shape), "{shape:?} in {shapes:?}");
    }
    let rest: Vec<OperatorKind> = graph
        .operators
        .iter()
        .filter(|op| op.pass == Pass::Backward)
        .map(|op| op.kind.clone())
        .filter(|kind| !matches!(kind, OperatorKind::Matmul { .. }))
        .collect();
    let times = |elements, operands| OperatorKind::Elementwise {
        op: Elementwise::Mul,
        elements,
        operands,
    };
    assert_eq!(
        rest,
        [
            // The loss's own gradient, 1, and ones over the outputs ...
            OperatorKind::Create { elements: 1 },
            OperatorKind::Create { elements: B * O },
            // ... by 1 / (B O), by the loss's gradient.
            times(B * O, 1),
            times(B * O, 2),
            // The mask of relu.
            times(B * H, 2),
        ]
    );
    let arithmetic = 2.0 * f(B * O) + f(B * H);
    assert_eq!(found["elementwise"], (3, arithmetic));
    let all: f64 = found.values().map(|(_, flops)| flops).sum();
    assert_eq!(all, products + arithmetic);
}

#[test]
fn the_optimizer_moves_seven_numbers_a_parameter() {
    let graph = step();
    let found = table(&graph, Pass::Optimizer);
    assert_eq!(
        found,
        BTreeMap::from([("optimizer", (2, 14.0 * PARAMETERS as f64))])
    );
    let moved: f64 = graph
        .operators
        .iter()
        .filter(|op| op.pass == Pass::Optimizer)
        .map(|op| {
            let (read, written) = graph.traffic(op, Precision::F32);
            (read + written).value()
        })
        .sum();
    // Reads p, g, m, v; writes p, m, v; 4 bytes each.
    assert_eq!(moved, 7.0 * 4.0 * PARAMETERS as f64);
}

#[test]
fn optimizer_state_and_gradients_are_counted_apart() {
    let graph = step();
    assert_eq!(graph.parameters(), PARAMETERS);
    let peak = assay_trace::memory(&graph, Precision::F32).peak;
    assert_eq!(peak.weights_bytes.value(), 4.0 * PARAMETERS as f64);
    assert_eq!(peak.optimizer_bytes.value(), 8.0 * PARAMETERS as f64);
    assert!(peak.gradients_bytes.value() > 0.0);
    assert!(peak.gradients_bytes.value() <= 4.0 * PARAMETERS as f64);
}
