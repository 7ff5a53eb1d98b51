//! Tests of `group_norm`.

use burn::tensor::{Device, Distribution, TensorData, Tolerance};

use super::*;
use assay_trace::OperatorKind;

use crate::door::recorded;

fn random<const D: usize>(
    shape: [usize; D],
    from: f64,
    to: f64,
    device: &Device,
) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(from, to), device)
}

#[test]
fn it_equals_its_plain_twin_forward_and_backward() {
    let device = Device::flex().autodiff();
    for ([b, h, w, c], groups) in [
        ([1, 1, 1, 4], 2),
        ([3, 4, 5, 6], 3),
        ([2, 3, 7, 40], 4),
        ([40, 8, 8, 32], 8),
        ([2, 4, 4, 320], 32),
        // Cut into pieces, with a rest.
        ([2, 33, 64, 40], 8),
        ([1, 12, 12, 480], 32),
    ] {
        for silu in [false, true] {
            // Channels first, seen turned: not contiguous.
            let x = random([b, c, h, w], -1.0, 3.0, &device).require_grad();
            let gain = random([c], 0.5, 1.5, &device).require_grad();
            let offset = random([c], -1.0, 1.0, &device).require_grad();
            let weight = random([b, h, w, c], -1.0, 1.0, &device);
            let run = |fast: bool| {
                let f = if fast { group_norm } else { group_norm_plain };
                let x4 = x.clone().permute([0, 2, 3, 1]);
                let y = f(x4, gain.clone(), offset.clone(), groups, 1e-5, silu);
                let value = y.to_data();
                let grads = (y * weight.clone()).sum().backward();
                [
                    value,
                    x.grad(&grads).unwrap().to_data(),
                    gain.grad(&grads).unwrap().to_data(),
                    offset.grad(&grads).unwrap().to_data(),
                ]
            };
            for (fast, plain) in run(true).iter().zip(&run(false)) {
                let close = Tolerance::rel_abs(1e-3, 1e-3);
                fast.assert_approx_eq::<f32>(plain, close);
            }
        }
    }
}

#[test]
fn in_place_and_apart_give_the_same_and_a_held_tensor_stays() {
    let device = Device::flex();
    for shape in [[3, 4, 5, 6], [1, 48, 48, 36]] {
        let x = random(shape, -1.0, 1.0, &device);
        let before = x.to_data();
        let vector = random([shape[3]], 0.5, 1.5, &device);
        let run = |x: Tensor<4>| {
            group_norm(x, vector.clone(), vector.clone(), 3, 1e-5, true)
        };
        let apart = run(x.clone()).to_data();
        before.assert_eq(&x.to_data(), true);
        run(x * 1.0).to_data().assert_eq(&apart, true);
    }
}

#[test]
fn it_is_sound_far_from_zero() {
    // Zeros first, so that the first value is no good centre.
    let far: Vec<f32> = (0..64 * 64 * 40)
        .map(|i| if i < 20 { 0.0 } else { 3000.0 + (i * 37 % 101) as f32 })
        .collect();
    let count = far.len() as f64;
    let mean = far.iter().map(|x| f64::from(*x)).sum::<f64>() / count;
    let squares = far.iter().map(|x| (f64::from(*x) - mean).powi(2));
    let deviation = (squares.sum::<f64>() / count).sqrt();
    let device = Device::flex();
    let data = TensorData::new(far.clone(), [1, 64, 64, 40]);
    let x = Tensor::<4>::from_data(data, &device);
    let gain = Tensor::<1>::ones([40], &device);
    let offset = Tensor::<1>::zeros([40], &device);
    let y = group_norm(x, gain, offset, 1, 0.0, false).to_data();
    let y = y.try_to_vec::<f32>().unwrap();
    for (y, x) in y.iter().zip(&far).step_by(997) {
        let right = (f64::from(*x) - mean) / deviation;
        assert!((f64::from(*y) - right).abs() < 1e-4 * right.abs().max(1.0));
    }
}

#[test]
fn it_is_recorded_with_its_cost() {
    let ops = recorded(|device| {
        let x = Tensor::<4>::zeros([2, 3, 5, 8], device).require_grad();
        let gain = Tensor::<1>::zeros([8], device).require_grad();
        Some(group_norm(x, gain.clone(), gain, 4, 1e-5, true).sum())
    });
    let costs: Vec<_> = ops.iter().filter_map(cost).collect();
    let kind =
        |backward| OperatorKind::LayerNorm { rows: 8, cols: 30, backward };
    assert_eq!(costs.len(), 2);
    assert_eq!(costs[0].kind, kind(false));
    assert_eq!(costs[0].in_place, [Some(0), None]);
    assert_eq!(costs[0].scratch_bytes, 0);
    assert_eq!(costs[1].kind, kind(true));
    assert_eq!(costs[1].in_place, [Some(4), None, None]);
    assert_eq!(costs[1].scratch_bytes, 2 * 8 * 8);
}
