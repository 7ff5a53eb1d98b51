//! Tests of `batch_norm`.

use burn::tensor::{Device, Distribution, TensorData, Tolerance};

use super::*;
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
    for [rows, cols] in
        [[7, 33], [40, 1], [1500, 3], [1000, 64], [900, 300], [5000, 16]]
    {
        // Neither contiguous nor with whole vectors.
        let x = random([cols, rows], -1.0, 3.0, &device).require_grad();
        let gamma = random([cols], 0.5, 1.5, &device).require_grad();
        let beta = random([cols], -1.0, 1.0, &device).require_grad();
        let weight = random([1, rows, cols], -1.0, 1.0, &device);
        let run = |fast: bool| {
            let f = if fast { batch_norm } else { batch_norm_plain };
            let x3 = x.clone().transpose().unsqueeze::<3>();
            let (y, mean, variance) = f(x3, gamma.clone(), beta.clone(), 1e-5);
            let value = y.to_data();
            let loss = (y * weight.clone()).sum();
            // Were mean and variance tracked, this would change gradients.
            let loss = loss + (mean.clone() + variance.clone()).sum() * 9.0;
            let grads = loss.backward();
            [
                value,
                mean.to_data(),
                variance.to_data(),
                x.grad(&grads).unwrap().to_data(),
                gamma.grad(&grads).unwrap().to_data(),
                beta.grad(&grads).unwrap().to_data(),
            ]
        };
        for (fast, plain) in run(true).iter().zip(&run(false)) {
            fast.assert_approx_eq::<f32>(plain, Tolerance::rel_abs(1e-3, 1e-3));
        }
    }
}

#[test]
fn the_variance_is_sound_far_from_zero() {
    let device = Device::flex();
    // Zeros first, so that the first value is no good centre.
    let far: Vec<f32> = (0..40_000)
        .map(|i| if i < 20 { 0.0 } else { 3000.0 + (i * 37 % 101) as f32 })
        .collect();
    let exact = |c: usize| {
        let column: Vec<f64> =
            far.iter().skip(c).step_by(2).map(|&x| f64::from(x)).collect();
        let n = column.len() as f64;
        let mean = column.iter().sum::<f64>() / n;
        let squares = column.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
        (mean, squares / n)
    };
    let x = TensorData::new(far.clone(), [20_000, 2]);
    let x = Tensor::<2>::from_data(x, &device);
    let (one, zero) = (Tensor::ones([2], &device), Tensor::zeros([2], &device));
    let (_, mean, variance) = batch_norm(x, one, zero, 1e-5);
    let mean = mean.to_data().try_to_vec::<f32>().unwrap();
    let variance = variance.to_data().try_to_vec::<f32>().unwrap();
    for c in 0..2 {
        let (m, v) = exact(c);
        assert!((f64::from(mean[c]) / m - 1.0).abs() < 1e-6);
        assert!((f64::from(variance[c]) / v - 1.0).abs() < 1e-5);
    }
}

#[test]
fn with_given_statistics_it_equals_its_plain_twin() {
    let device = Device::flex();
    for [rows, cols] in [[7, 33], [3000, 32], [9, 1100]] {
        let [mean, variance, gamma, beta] = [-1.0, 0.1, 0.5, -2.0]
            .map(|low| random([cols], low, low + 1.0, &device));
        let x = random([rows, cols], -3.0, 3.0, &device);
        let arguments =
            || (mean.clone(), variance.clone(), gamma.clone(), beta.clone());
        let (m, v, g, b) = arguments();
        let plain = batch_norm_inference_plain(x.clone(), m, v, g, b, 1e-5);
        let (m, v, g, b) = arguments();
        let fast = batch_norm_inference(x.clone(), m, v, g, b, 1e-5);
        let close = Tolerance::rel_abs(1e-5, 1e-5);
        fast.to_data().assert_approx_eq::<f32>(&plain.to_data(), close);
        // On an autodiff device, tracked and not.
        let device = Device::flex().autodiff();
        for track in [false, true] {
            let leaf = Tensor::<2>::from_data(x.to_data(), &device);
            let leaf = if track { leaf.require_grad() } else { leaf };
            let [m, v, g, b] = [&mean, &variance, &gamma, &beta]
                .map(|x| Tensor::<1>::from_data(x.to_data(), &device));
            let y = batch_norm_inference(leaf.clone(), m, v, g, b, 1e-5);
            y.to_data().assert_approx_eq::<f32>(&plain.to_data(), close);
            if track {
                assert!(leaf.grad(&y.sum().backward()).is_some());
            }
        }
    }
}

#[test]
fn it_is_recorded_with_its_cost() {
    let ops = recorded(|device| {
        let x = Tensor::<3>::zeros([2, 3, 5], device).require_grad();
        let vector = || Tensor::<1>::zeros([5], device);
        let gamma = vector().require_grad();
        let (y, m, v) = batch_norm(x, gamma, vector(), 1e-5);
        let x = Tensor::<3>::zeros([2, 3, 5], device);
        let _ = batch_norm_inference(x, m, v, vector(), vector(), 1e-5);
        Some(y.sum())
    });
    let costs: Vec<_> = ops.iter().filter_map(cost).collect();
    let kind =
        |backward| OperatorKind::LayerNorm { rows: 6, cols: 5, backward };
    assert_eq!(costs[0].kind, kind(false));
    assert_eq!(costs[1].kind.flops(), 30.0);
    assert_eq!(costs[2].kind, kind(true));
    assert_eq!(costs[2].in_place, [Some(4), None, None]);
}
