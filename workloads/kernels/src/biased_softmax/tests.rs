//! The biased softmax against its plain twin, and its declared cost.

#![allow(clippy::unwrap_used, reason = "tests")]

use assay_trace::OperatorKind;
use burn::Tensor;
use burn::tensor::{Device, Distribution, TensorData, Tolerance};

use super::{biased_softmax, biased_softmax_plain, cost};
use crate::door::recorded;

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(-3.0, 3.0), device)
}

/// Some keys hidden; of the first index all.
fn mask_of(outer: usize, keys: usize, device: &Device) -> Tensor<2> {
    let seen: Vec<f32> = (0..outer * keys)
        .map(|i| f32::from(i >= keys && i * 7 % 5 != 0))
        .collect();
    Tensor::from_data(TensorData::new(seen, [outer, keys]), device)
}

const CASES: [[usize; 4]; 6] = [
    [1, 1, 1, 1],
    [2, 3, 5, 33],
    [3, 2, 40, 256],
    [2, 1, 140, 64],
    [5, 2, 17, 1000],
    [4, 2, 3, 31],
];

#[test]
fn it_equals_its_plain_twin_forward_and_backward() {
    let device = Device::flex().autodiff();
    for [outer, heads, queries, keys] in CASES {
        for (with_bias, turned) in
            [(true, false), (false, false), (true, true), (false, true)]
        {
            let (x, bias) = if turned {
                (
                    random([keys, queries, heads, outer], &device),
                    random([queries, keys, heads], &device),
                )
            } else {
                (
                    random([outer, heads, queries, keys], &device),
                    random([heads, queries, keys], &device),
                )
            };
            let (x, bias) = (x.require_grad(), bias.require_grad());
            let mask = mask_of(outer, keys, &device);
            let along = random([outer, heads, queries, keys], &device);
            let run = |fast: bool| {
                let (x_of, bias_of) = if turned {
                    let x = x.clone().permute([3, 2, 1, 0]);
                    (x, bias.clone().permute([2, 0, 1]))
                } else {
                    (x.clone(), bias.clone())
                };
                let f =
                    if fast { biased_softmax } else { biased_softmax_plain };
                let bias_of = with_bias.then_some(bias_of);
                let y = f(x_of, 0.3, mask.clone(), bias_of);
                let value = y.to_data();
                let grads = (y * along.clone()).sum().backward();
                let dbias = bias.grad(&grads);
                assert_eq!(dbias.is_some(), with_bias);
                let dx = x.grad(&grads).unwrap().to_data();
                let mut all = vec![value, dx];
                all.extend(dbias.map(|dbias| dbias.to_data()));
                all
            };
            for (fast, plain) in run(true).iter().zip(&run(false)) {
                fast.assert_approx_eq::<f32>(plain, Tolerance::absolute(3e-6));
            }
        }
    }
}

#[test]
fn a_row_with_all_keys_hidden_is_a_distribution() {
    let device = Device::flex();
    let x = random([2, 1, 3, 40], &device);
    let mask = Tensor::zeros([2, 40], &device);
    let y = biased_softmax(x, 1.0, mask, None);
    let sums = y.sum_dim(3).to_data().try_to_vec::<f32>().unwrap();
    assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-5), "{sums:?}");
}

#[test]
fn what_another_holds_is_left_alone_and_in_place_is_equal() {
    let device = Device::flex();
    let (x, bias) =
        (random([3, 2, 7, 50], &device), random([2, 7, 50], &device));
    let before = x.to_data();
    let mask = mask_of(3, 50, &device);
    let run =
        |x| biased_softmax(x, 0.5, mask.clone(), Some(bias.clone())).to_data();
    let own = x.clone() * 1.0;
    assert_eq!(run(x.clone()), run(own));
    assert_eq!(x.to_data(), before);
}

#[test]
fn it_is_recorded_with_its_cost() {
    let ops = recorded(|device| {
        let x = Tensor::<4>::zeros([2, 3, 4, 5], device).require_grad();
        let bias = Tensor::<3>::zeros([3, 4, 5], device).require_grad();
        let mask = Tensor::<2>::ones([2, 5], device);
        let y = biased_softmax(x, 1.0, mask.clone(), Some(bias));
        Some(biased_softmax(y, 1.0, mask, None).sum())
    });
    let ids: Vec<_> = ops.iter().map(|op| op.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "biased_softmax",
            "biased_softmax",
            "biased_softmax_backward",
            "biased_softmax_backward"
        ]
    );
    assert_eq!(ops[2].outputs.len(), 1);
    assert_eq!(ops[3].outputs[1].shape.to_vec(), [3, 4, 5]);
    let costs: Vec<_> = ops.iter().filter_map(cost).collect();
    for (cost, backward) in costs.iter().zip([false, false, true, true]) {
        let kind = OperatorKind::Softmax { rows: 24, cols: 5, backward };
        assert_eq!(cost.kind, kind);
        assert_eq!(cost.in_place[0], Some(usize::from(backward)));
    }
    assert_eq!(costs[3].in_place, [Some(1), None]);
}
