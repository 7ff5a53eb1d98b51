//! The kernel against its plain twin, forward and backward, on every tile.

use burn::Tensor;
use burn::tensor::{Device, Distribution, Tolerance};

use assay_trace::OperatorKind;

use super::{Convolution, conv, conv_plain, cost};
use crate::door::recorded;
use crate::micro::{Level, PANEL, Sums, Walk, tile, tiles};

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), device)
}

/// Batch, height, width, channels; outputs; kernel; padding; stride.
type Case = ([usize; 4], usize, [usize; 2], [usize; 2], [usize; 2]);

#[test]
fn it_equals_its_plain_twin_forward_and_backward() {
    let device = Device::flex().autodiff();
    let cases: [Case; 22] = [
        // A sequence, and a kernel as wide as the input.
        ([3, 20, 1, 8], 32, [5, 1], [2, 0], [1, 1]),
        ([2, 20, 1, 3], 7, [5, 1], [0, 0], [1, 1]),
        ([3, 17, 2, 20], 40, [3, 2], [0, 0], [1, 1]),
        ([3, 17, 2, 4], 33, [3, 2], [1, 0], [1, 1]),
        ([40, 130, 1, 5], 16, [3, 1], [1, 0], [1, 1]),
        // Columns that do not mix.
        ([2, 16, 2, 1], 48, [3, 1], [0, 0], [1, 1]),
        ([2, 16, 3, 2], 48, [3, 1], [1, 0], [1, 1]),
        // Positions alone, with a margin too.
        ([5, 16, 1, 2], 32, [1, 1], [0, 0], [1, 1]),
        ([5, 4, 5, 3], 20, [1, 1], [0, 0], [1, 1]),
        ([2, 4, 5, 3], 20, [1, 1], [1, 1], [1, 1]),
        ([2, 5, 5, 3], 20, [1, 1], [0, 0], [2, 2]),
        // Pictures.
        ([2, 2, 15, 1], 24, [1, 3], [0, 2], [1, 1]),
        ([3, 2, 15, 24], 80, [2, 3], [0, 2], [1, 1]),
        ([2, 9, 11, 5], 36, [3, 3], [1, 1], [1, 1]),
        ([1, 40, 33, 4], 65, [3, 3], [1, 1], [1, 1]),
        ([2, 6, 7, 2], 3, [5, 3], [2, 0], [1, 1]),
        ([1, 8, 8, 6], 10, [3, 3], [3, 3], [1, 1]),
        // Strides, some of which leave a rest.
        ([2, 9, 10, 5], 12, [3, 3], [1, 1], [2, 2]),
        ([2, 16, 1, 6], 12, [3, 1], [1, 0], [2, 1]),
        ([2, 17, 2, 6], 12, [3, 2], [1, 0], [3, 1]),
        ([2, 5, 12, 3], 12, [3, 4], [0, 1], [3, 2]),
        ([1, 3, 3, 1], 1, [3, 3], [0, 0], [1, 1]),
    ];
    for (case, (input, outputs, kernel, padding, stride)) in
        cases.into_iter().enumerate()
    {
        let relu = case % 2 == 0;
        let convolution = Convolution { padding, stride, relu };
        let biased = case % 3 != 0;
        let x = random(input, &device).require_grad();
        let [tall, wide] = kernel;
        let w = random([outputs, input[3], tall, wide], &device);
        let w = w.require_grad();
        let b = random([outputs], &device).require_grad();
        let bias = || biased.then(|| b.clone());
        let weight = random(
            conv_plain(x.clone(), w.clone(), None, convolution).dims(),
            &device,
        );
        let run = |y: Tensor<4>| {
            let value = y.to_data();
            let grads = (y * weight.clone()).sum().backward();
            let mut all = vec![
                value,
                x.grad(&grads).unwrap().to_data(),
                w.grad(&grads).unwrap().to_data(),
            ];
            all.extend(b.grad(&grads).map(|db| db.to_data()));
            all
        };
        let fast = run(conv(x.clone(), w.clone(), bias(), convolution));
        let plain = run(conv_plain(x.clone(), w.clone(), bias(), convolution));
        assert_eq!(fast.len(), plain.len(), "case {case}");
        for (part, (fast, plain)) in fast.iter().zip(&plain).enumerate() {
            assert_eq!(fast.shape(), plain.shape(), "case {case}, part {part}");
            let close = Tolerance::<f32>::rel_abs(1e-4, 2e-4);
            fast.assert_approx_eq::<f32>(plain, close);
        }
    }
}

#[test]
fn a_turned_input_gives_the_same() {
    let device = Device::flex();
    let x = random([3, 4, 8, 9], &device).permute([0, 2, 3, 1]);
    let w = random([3, 3, 4, 16], &device).permute([3, 2, 1, 0]);
    let convolution = Convolution { padding: [1, 1], ..Default::default() };
    let fast = conv(x.clone(), w.clone(), None, convolution);
    let plain = conv_plain(x, w, None, convolution);
    fast.to_data()
        .assert_approx_eq::<f32>(&plain.to_data(), Tolerance::absolute(1e-4));
}

#[test]
fn every_instruction_set_gives_the_same_tile() {
    let values = |n: usize| -> Vec<f32> {
        (0..n).map(|i| ((i * 37 + 11) % 17) as f32 - 8.0).collect()
    };
    let (a, b) = (values(400), values(2 * 7 * PANEL));
    let walk = Walk { outer: 2, inner: 7, a: [30, 2], b: [7 * PANEL, PANEL] };
    for level in Level::all() {
        for (rows, cols) in
            (1..=level.rows()).flat_map(|m| [(m, 5), (m, 16), (m, 31), (m, 32)])
        {
            let init = values(PANEL);
            let mut out = vec![-1.0; rows * 40];
            let starts: Vec<_> =
                (0..rows).map(|m| a[m * m..].as_ptr()).collect();
            let sums = Sums {
                init: init.as_ptr(),
                init_row: 0,
                out: out.as_mut_ptr(),
                out_row: 40,
                cols,
                relu: true,
            };
            #[expect(unsafe_code, reason = "as the kernels call it")]
            // SAFETY: 121 + 30 + 12 values of `a`, all of `b`, 40 cells a row.
            unsafe {
                tile(level, &starts, b.as_ptr(), &walk, &sums);
            }
            for m in 0..rows {
                for n in 0..40 {
                    let sum = (0..14).fold(init[n % PANEL], |sum, k| {
                        let at = m * m + k / 7 * 30 + k % 7 * 2;
                        sum + a[at] * b[k * PANEL + n % PANEL]
                    });
                    let right = if n < cols { sum.max(0.0) } else { -1.0 };
                    assert_eq!(out[m * 40 + n], right, "{level:?} {m} {n}");
                }
            }
        }
    }
}

#[test]
fn tiles_are_of_equal_size() {
    let sizes = |len| -> Vec<_> { tiles(len, 12).map(|r| r.len()).collect() };
    assert_eq!(sizes(64), [10, 11, 11, 10, 11, 11]);
    assert_eq!(sizes(8), [8]);
    assert!(sizes(0).is_empty());
}

#[test]
fn only_what_is_tracked_gets_a_gradient_and_each_has_its_cost() {
    let convolution =
        Convolution { padding: [1, 0], stride: [1, 1], relu: true };
    let run = |tracked: bool| {
        recorded(move |device| {
            let x = Tensor::<4>::zeros([2, 9, 4, 5], device);
            let x = if tracked { x.require_grad() } else { x };
            let w = Tensor::<4>::zeros([7, 5, 3, 2], device).require_grad();
            let b = Tensor::<1>::zeros([7], device).require_grad();
            Some(conv(x, w, Some(b), convolution).sum())
        })
    };
    let ids: Vec<_> =
        run(false).iter().map(|op| op.id.as_str().to_owned()).collect();
    assert_eq!(ids, ["conv", "conv_weight_backward"]);
    let costs: Vec<_> = run(true).iter().filter_map(cost).collect();
    assert_eq!(costs.len(), 3);
    for cost in &costs {
        let kind = OperatorKind::Conv {
            batch: 2,
            in_channels: 5,
            out_channels: 7,
            positions: 27,
            taps: 30,
        };
        assert_eq!(cost.kind, kind);
    }
    // A panel of 32 columns: of weights, of turned weights, of sums.
    let scratch: Vec<_> = costs.iter().map(|cost| cost.scratch_bytes).collect();
    assert_eq!(scratch, [30 * 32 * 4, 6 * 7 * 32 * 4, 30 * 32 * 4]);
}
