//! Tests of `lstm`.

use burn::tensor::{Device, Distribution, Tolerance};

use super::*;
use crate::door::recorded;

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), device)
}

#[test]
fn it_equals_its_plain_twin_forward_and_backward() {
    let device = Device::flex().autodiff();
    for ([batch, steps, units], turned) in [
        ([1, 1, 1], false),
        ([3, 1, 5], false),
        ([2, 9, 7], true),
        ([150, 4, 16], false),
        ([5, 20, 33], true),
        ([70, 30, 64], false),
        ([10, 5, 150], false),
    ] {
        let [x, w] = if turned {
            [
                random([1, steps * batch, 4 * units], &device),
                random([1, units, 4 * units], &device),
            ]
        } else {
            [
                random([batch, steps, 4 * units], &device),
                random([1, 4 * units, units], &device),
            ]
        };
        let scale = 1.0 / (units as f64).sqrt();
        let (x, w) = (x.require_grad(), (w * scale).detach().require_grad());
        let weight = random([batch, steps, units], &device);
        let run = |fast: bool| {
            let f = if fast { lstm } else { lstm_plain };
            let (x3, w2) = if turned {
                let x = x.clone().reshape([steps, batch, 4 * units]);
                let w = w.clone().reshape([units, 4 * units]);
                (x.swap_dims(0, 1), w.transpose())
            } else {
                let w = w.clone().reshape([4 * units, units]);
                (x.clone() * 2.0, w)
            };
            let y = f(x3, w2);
            let value = y.to_data();
            let grads = (y * weight.clone()).sum().backward();
            // In a single step the twin does not see the weight.
            let dw = w.grad(&grads).filter(|_| steps > 1);
            let dw = dw.unwrap_or_else(|| w.zeros_like().inner());
            [value, x.grad(&grads).unwrap().to_data(), dw.to_data()]
        };
        for (fast, plain) in run(true).iter().zip(&run(false)) {
            fast.assert_approx_eq::<f32>(plain, Tolerance::rel_abs(1e-4, 1e-5));
        }
    }
}

#[test]
fn without_autodiff_it_equals_its_twin_and_leaves_what_is_held() {
    let device = Device::flex();
    let (x, w) = (random([5, 6, 48], &device), random([48, 12], &device));
    let before = x.to_data();
    let fast = lstm(x.clone(), w.clone()).to_data();
    x.to_data().assert_eq(&before, true);
    let plain = lstm_plain(x, w).to_data();
    fast.assert_approx_eq::<f32>(&plain, Tolerance::absolute(1e-6));
}

#[test]
fn it_is_recorded_with_its_cost() {
    let costs_of = |weight: bool| {
        let ops = recorded(|device| {
            let x = Tensor::<3>::zeros([2, 3, 20], device).require_grad();
            let w = Tensor::<2>::zeros([20, 5], device);
            let w = if weight { w.require_grad() } else { w };
            Some(lstm(x, w).sum())
        });
        ops.iter().filter_map(cost).collect::<Vec<_>>()
    };
    let costs = costs_of(true);
    let flops: Vec<_> = costs.iter().map(|cost| cost.kind.flops()).collect();
    assert_eq!(flops, [2.0 * 2.0 * 3.0 * 20.0 * 5.0; 3]);
    assert_eq!(costs[0].in_place, [None, Some(0), None]);
    assert_eq!(costs[1].in_place, [Some(2)]);
    assert_eq!(costs_of(false).len(), 2);
    let ops = recorded(|device| {
        let x = Tensor::<3>::zeros([2, 3, 20], device);
        let _ = lstm(x, Tensor::zeros([20, 5], device));
        None
    });
    let costs: Vec<_> = ops.iter().filter_map(cost).collect();
    assert_eq!(costs[0].in_place, [None]);
}
