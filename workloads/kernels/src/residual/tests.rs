//! Equality with the plain twin, what a mask shares, the recorded cost.

use burn::tensor::{Device, Distribution, Tolerance};

use super::*;
use crate::door::recorded;

const CASES: [[usize; 3]; 5] =
    [[1, 1, 1], [3, 5, 7], [9, 2, 33], [30, 40, 128], [2, 300, 256]];

/// Where the gate lies.
#[derive(Clone, Copy)]
enum Gate {
    None,
    /// The last channels of a merged projection.
    Tail,
    /// A view of another order.
    Turned,
}

#[test]
fn it_equals_its_plain_twin_forward_and_backward() {
    for shape in CASES {
        for shared in [None, Some(Shared::Rows), Some(Shared::Columns)] {
            for gate in [Gate::None, Gate::Tail, Gate::Turned] {
                compare(shape, shared, gate);
            }
        }
    }
}

fn compare([x, y, c]: [usize; 3], shared: Option<Shared>, gate: Gate) {
    let device = Device::flex().autodiff();
    let random = |shape: [usize; 3]| {
        let range = Distribution::Uniform(-2.0, 2.0);
        Tensor::<3>::random(shape, range, &device).require_grad()
    };
    let dropped = shared.map(|shared| Dropped { rate: 0.3, seed: 11, shared });
    let (residual, update) = (random([x, y, c]), random([y, x, c]));
    let packed = match gate {
        Gate::Turned => random([y, x, c]),
        _ => random([x, y, 2 * c + 3]),
    };
    let gate_of = |packed: Tensor<3>| match gate {
        Gate::None => None,
        Gate::Tail => Some(packed.narrow(2, c + 3, c)),
        Gate::Turned => Some(packed.swap_dims(0, 1)),
    };
    let weight = random([x, y, c]).detach();
    let run = |fast: bool| {
        let f = if fast { residual_add } else { residual_add_plain };
        let update_view = update.clone().swap_dims(0, 1);
        let gate = gate_of(packed.clone());
        let sum = f(residual.clone(), update_view, gate, dropped);
        let mut all = vec![sum.to_data()];
        let grads = (sum * weight.clone()).sum().backward();
        for leaf in [&residual, &update, &packed] {
            all.extend(leaf.grad(&grads).map(|grad| grad.to_data()));
        }
        all
    };
    let (fast, plain) = (run(true), run(false));
    let gated = !matches!(gate, Gate::None);
    assert_eq!(fast.len(), if gated { 4 } else { 3 });
    for (fast, plain) in fast.iter().zip(&plain) {
        fast.assert_approx_eq::<f32>(plain, Tolerance::rel_abs(1e-5, 1e-5));
    }
}

/// What ones become that are added to zeros.
fn mask(shape: [usize; 3], rate: f32, seed: u64, shared: Shared) -> Vec<f32> {
    let device = Device::flex();
    let (zeros, ones) =
        (Tensor::zeros(shape, &device), Tensor::ones(shape, &device));
    let dropped = Some(Dropped { rate, seed, shared });
    let sum = residual_add(zeros, ones, None, dropped);
    sum.to_data().try_to_vec::<f32>().unwrap()
}

#[test]
fn a_mask_is_one_for_all_rows_or_for_all_columns() {
    let [x, y, c] = [20, 30, 64];
    for shared in [Shared::Rows, Shared::Columns] {
        let all = mask([x, y, c], 0.25, 3, shared);
        let at = |i: usize, j: usize| &all[(i * y + j) * c..][..c];
        for i in 0..x {
            for j in 0..y {
                let same = match shared {
                    Shared::Rows => at(0, j),
                    Shared::Columns => at(i, 0),
                };
                assert_eq!(at(i, j), same);
            }
        }
        let different = match shared {
            Shared::Rows => at(0, 1),
            Shared::Columns => at(1, 0),
        };
        assert_ne!(at(0, 0), different);
        assert!(all.iter().all(|&f| f == 0.0 || f == 1.0 / 0.75));
        let kept = all.iter().filter(|&&f| f > 0.0).count();
        let share = kept as f64 / all.len() as f64;
        // Five deviations of the 1280 or 1920 shared places.
        assert!((share - 0.75).abs() < 0.06, "{share}");
        assert_ne!(all, mask([x, y, c], 0.25, 4, shared));
    }
}

#[test]
fn a_residual_that_is_held_elsewhere_stays_as_it_is() {
    let device = Device::flex();
    let held = Tensor::<3>::ones([4, 5, 6], &device);
    let sum = residual_add(held.clone(), held.clone(), None, None);
    assert_eq!(sum.into_data(), (held.clone() * 2.0).into_data());
    assert_eq!(
        held.into_data(),
        Tensor::<3>::ones([4, 5, 6], &device).into_data()
    );
}

#[test]
fn a_rate_of_zero_drops_nothing() {
    assert_eq!(mask([2, 3, 4], 0.0, 1, Shared::Rows), [1.0; 24]);
}

#[test]
fn it_is_recorded_with_its_cost() {
    let shared = Shared::Rows;
    let dropped = Some(Dropped { rate: 0.1, seed: 1, shared });
    let ops = recorded(|device| {
        let make = || Tensor::<3>::zeros([3, 4, 5], device).require_grad();
        let sum = residual_add(make(), make(), Some(make()), dropped);
        Some(residual_add(make(), sum, None, dropped).sum())
    });
    let costs: Vec<_> = ops.iter().filter_map(cost).collect();
    let kind = |op, elements, operands| OperatorKind::Elementwise {
        op,
        elements,
        operands,
    };
    assert_eq!(costs[0].kind, kind(Elementwise::Gated, 60, 3));
    assert_eq!(costs[1].kind, kind(Elementwise::Add, 60, 2));
    assert_eq!(costs[2].kind, kind(Elementwise::Mul, 60, 1));
    assert_eq!(costs[3].kind, kind(Elementwise::Gated, 120, 3));
    assert_eq!(costs[3].in_place, [Some(2), Some(0)]);
    assert_eq!(costs[0].in_place, [Some(0)]);
}
