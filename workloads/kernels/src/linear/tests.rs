//! The linear layer against its plain twin, and what it records.

use burn::tensor::{Device, Distribution, Tolerance};

use super::*;
use crate::door::recorded;

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), device)
}

#[test]
fn it_equals_its_plain_twin_forward_and_backward() {
    let device = Device::flex().autodiff();
    for [rows, inner, outer] in [
        [1, 1, 1],
        [1, 33, 7],
        [1, 576, 192],
        [2, 100, 65],
        [3, 64, 64],
        [5, 17, 300],
        [8, 256, 128],
        [9, 31, 513],
        [40, 130, 70],
        [2100, 33, 20],
    ] {
        for (biased, turned) in [(false, false), (true, false), (true, true)] {
            let (x, w) = if turned {
                let x = random([inner, rows], &device).require_grad();
                let w = random([inner, outer], &device).require_grad();
                (x, w)
            } else {
                let x = random([rows, inner], &device).require_grad();
                let w = random([outer, inner], &device).require_grad();
                (x, w)
            };
            let b = random([outer], &device).require_grad();
            let weight = random([1, rows, outer], &device);
            let run = |fast: bool| {
                let turn = |t: Tensor<2>| {
                    if turned { t.swap_dims(0, 1) } else { t }
                };
                let (x3, w2) =
                    (turn(x.clone()).unsqueeze::<3>(), turn(w.clone()));
                let b1 = biased.then(|| b.clone());
                let y = if fast {
                    linear(x3, w2, b1)
                } else {
                    linear_plain(x3, w2, b1)
                };
                let value = y.to_data();
                let grads = (y * weight.clone()).sum().backward();
                (
                    value,
                    x.grad(&grads).unwrap().to_data(),
                    w.grad(&grads).unwrap().to_data(),
                    b.grad(&grads).map(|b| b.to_data()),
                )
            };
            let (fast, plain) = (run(true), run(false));
            let close = Tolerance::absolute(1e-4);
            fast.0.assert_approx_eq::<f32>(&plain.0, close);
            fast.1.assert_approx_eq::<f32>(&plain.1, close);
            fast.2.assert_approx_eq::<f32>(&plain.2, close);
            assert_eq!(fast.3.is_some(), biased);
            if let (Some(fast), Some(plain)) = (fast.3, plain.3) {
                fast.assert_approx_eq::<f32>(&plain, close);
            }
        }
    }
}

#[test]
fn only_tracked_factors_get_a_gradient_and_each_product_has_its_cost() {
    let ops = recorded(|device| {
        let x = Tensor::<2>::zeros([3, 5], device);
        let w = Tensor::<2>::zeros([7, 5], device).require_grad();
        let b = Tensor::<1>::zeros([7], device).require_grad();
        Some(linear(x, w, Some(b)).sum())
    });
    let ids: Vec<_> = ops.iter().map(|op| op.id.as_str()).collect();
    assert_eq!(
        ids,
        ["linear_bias", "linear_weight_backward", "linear_bias_backward"]
    );
    let kinds: Vec<_> =
        ops.iter().filter_map(cost).map(|cost| cost.kind).collect();
    assert_eq!(
        kinds,
        [
            OperatorKind::Matmul { batch: 1, m: 3, n: 7, k: 5 },
            OperatorKind::Matmul { batch: 1, m: 7, n: 5, k: 3 },
            OperatorKind::Reduce { elements: 21, results: 7 },
        ]
    );
}
