//! The outer product mean against its plain twin, and its declared cost.

#![allow(clippy::unwrap_used, reason = "tests")]

use burn::Tensor;
use burn::tensor::{Device, Distribution, TensorData, Tolerance};

use assay_trace::OperatorKind;

use super::tile::{Product, ZERO};
use super::{cost, outer_product_mean, outer_product_mean_plain};
use crate::door::recorded;
use crate::micro::{Level, PANEL, Walk};

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), device)
}

/// [S, n, R, c, C]: ones, partial panels, several blocks and chunks, more
/// channels than a panel.
const CASES: [[usize; 5]; 8] = [
    [1, 1, 1, 1, 1],
    [5, 3, 7, 4, 9],
    [9, 2, 50, 33, 5],
    [130, 3, 13, 32, 128],
    [33, 11, 5, 8, 40],
    [4, 20, 6, 3, 70],
    [2, 9, 100, 16, 16],
    [1, 17, 26, 2, 33],
];

/// How the factors lie in memory.
#[derive(Clone, Copy, Debug)]
enum Storage {
    Dense,
    /// Two halves of one projection [S, R, 2 c].
    Merged,
    /// Residue by residue, seen through a view.
    Turned,
}

/// The value and the gradients of everything that was a leaf.
fn run(
    [s, n, r, c, outer]: [usize; 5],
    storage: Storage,
    device: &Device,
) -> [Vec<TensorData>; 2] {
    let (left, right) = match storage {
        Storage::Dense => {
            (random([s, n, c], device), random([s, r, c], device))
        }
        // Either slice is taken from one of these.
        Storage::Merged => {
            (random([s, r.max(n), 2 * c], device), random([1, 1, 1], device))
        }
        Storage::Turned => {
            (random([n, s, c], device), random([r, s, c], device))
        }
    };
    let (left, right) = (left.require_grad(), right.require_grad());
    let weight = random([outer, c * c], device).require_grad();
    let bias = random([outer], device).require_grad();
    let norm = random([n, r], device) + 2.5;
    let along = random([n, r, outer], device);
    [outer_product_mean, outer_product_mean_plain].map(|f| {
        let factors = match storage {
            Storage::Dense => (left.clone(), right.clone()),
            Storage::Merged => (
                left.clone().slice([0..s, 0..n, 0..c]),
                left.clone().slice([0..s, 0..r, c..2 * c]),
            ),
            Storage::Turned => {
                (left.clone().swap_dims(0, 1), right.clone().swap_dims(0, 1))
            }
        };
        let (weight_of, bias_of) = (weight.clone(), bias.clone());
        let y = f(factors.0, factors.1, weight_of, bias_of, norm.clone());
        let value = y.to_data();
        let grads = (y * along.clone()).sum().backward();
        let mut all = vec![
            value,
            left.grad(&grads).unwrap().to_data(),
            weight.grad(&grads).unwrap().to_data(),
            bias.grad(&grads).unwrap().to_data(),
        ];
        all.extend(right.grad(&grads).map(|right| right.to_data()));
        all
    })
}

#[test]
fn it_equals_its_plain_twin_forward_and_backward() {
    let device = Device::flex().autodiff();
    for case in CASES {
        for storage in [Storage::Dense, Storage::Merged, Storage::Turned] {
            let [fast, plain] = run(case, storage, &device);
            assert_eq!(fast.len(), plain.len());
            for (fast, plain) in fast.iter().zip(&plain) {
                fast.assert_approx_eq::<f32>(
                    plain,
                    Tolerance::absolute(2e-4).set_relative(1e-4),
                );
            }
        }
    }
}

#[test]
fn it_gives_the_same_bits_on_every_run() {
    let device = Device::flex().autodiff();
    let [s, n, r, c, outer] = [7, 19, 30, 9, 12];
    let left = random([s, n, c], &device).require_grad();
    let right = random([s, r, c], &device).require_grad();
    let weight = random([outer, c * c], &device).require_grad();
    let bias = random([outer], &device).require_grad();
    let norm = random([n, r], &device) + 2.5;
    let bits = || {
        let y = outer_product_mean(
            left.clone(),
            right.clone(),
            weight.clone(),
            bias.clone(),
            norm.clone(),
        );
        let grads = (y.clone() * y).sum().backward();
        [
            left.grad(&grads).unwrap().to_data(),
            right.grad(&grads).unwrap().to_data(),
            weight.grad(&grads).unwrap().reshape([1, 1, -1]).to_data(),
        ]
        .map(|data| data.try_to_vec::<f32>().unwrap())
    };
    let first = bits();
    for _ in 0..5 {
        assert_eq!(bits(), first);
    }
}

#[test]
fn it_is_recorded_with_both_products_in_its_cost() {
    let [s, n, r, c, outer] = [5, 3, 7, 4, 9];
    let ops = recorded(|device| {
        let left = Tensor::<3>::zeros([s, n, c], device).require_grad();
        let right = Tensor::<3>::zeros([s, r, c], device).require_grad();
        let weight = Tensor::<2>::zeros([outer, c * c], device).require_grad();
        let bias = Tensor::<1>::zeros([outer], device).require_grad();
        let norm = Tensor::<2>::ones([n, r], device);
        Some(outer_product_mean(left, right, weight, bias, norm).sum())
    });
    let ids: Vec<_> = ops.iter().map(|op| op.id.as_str()).collect();
    assert_eq!(ids, ["outer_product", "outer_product_backward"]);
    assert_eq!(ops[0].outputs[0].shape.to_vec(), [n, r, outer]);
    let shapes: Vec<_> =
        ops[1].outputs.iter().map(|out| out.shape.to_vec()).collect();
    let expected =
        [vec![s, n, c], vec![s, r, c], vec![outer, c * c], vec![outer]];
    assert_eq!(shapes, expected);
    let costs: Vec<_> = ops.iter().filter_map(cost).collect();
    let pairs = 2 * n * r * c * c;
    assert_eq!(costs[0].kind.flops(), (pairs * s + pairs * outer) as f64);
    let five = 3 * pairs * s + 2 * pairs * outer;
    assert_eq!(costs[1].kind.flops(), five as f64);
    assert!(matches!(costs[0].kind, OperatorKind::Matmul { .. }));
    // Less than the tensor that is not made, at the published sizes.
    let published = recorded(|device| {
        let z = Tensor::<3>::zeros([128, 256, 32], device);
        let weight = Tensor::<2>::zeros([128, 1024], device);
        let bias = Tensor::<1>::zeros([128], device);
        let norm = Tensor::<2>::ones([256, 256], device);
        outer_product_mean(z.clone(), z, weight, bias, norm);
        None
    });
    let scratch = cost(&published[0]).unwrap().scratch_bytes;
    assert!(scratch < 256 * 256 * 1024 * 4 / 16, "{scratch}");
}

#[test]
fn products_check_what_they_reach() {
    let (a, b) = ([1.0; 6], [2.0; 3 * PANEL]);
    let walk = Walk { outer: 1, inner: 3, a: [0, 1], b: [0, PANEL] };
    let product = |rows| Product {
        level: Level::best(),
        a: &a,
        row: 3,
        rows,
        b: &b,
        walk,
        cols: 5,
    };
    let mut out = [0.0; 10];
    product(2).set(&mut out, 5, &ZERO);
    assert_eq!(out, [6.0; 10]);
    let mut wide = [1.0; 2 * PANEL];
    product(2).add(&mut wide, PANEL);
    assert_eq!(wide[..6], [7.0, 7.0, 7.0, 7.0, 7.0, 1.0]);
    let beyond = std::panic::catch_unwind(|| {
        product(3).set(&mut [0.0; 15], 5, &ZERO);
    });
    assert!(beyond.is_err());
}
