//! The ladder of `conv`: medians of interleaved runs, milliseconds, forward and
//! forward with backward, of the kernel and of Burn's own operators.
//!
//! `cargo run --release -p assay-kernels --example convolution_ladder [all]`:
//! with `all` the plain twin too, which takes minutes.
#![expect(clippy::print_stdout, reason = "prints its result")]

use std::hint::black_box;
use std::time::Instant;

use assay_kernels::{Convolution, conv, conv_plain};
use burn::Tensor;
use burn::tensor::{Device, Distribution};

/// Name, input [B, H, W, C], outputs, kernel, padding, whether the input has a
/// gradient.
type Shape = (&'static str, [usize; 4], usize, [usize; 2], [usize; 2], bool);

const SHAPES: [Shape; 13] = [
    ("first 3x1", [256, 128, 2, 1], 256, [3, 1], [0, 0], false),
    ("3x2, 256", [256, 126, 2, 256], 256, [3, 2], [0, 0], true),
    ("3x2, 64 to 1024", [256, 126, 2, 64], 1024, [3, 2], [0, 0], true),
    ("5x1, 128", [256, 128, 1, 32], 32, [5, 1], [2, 0], true),
    ("5x1, 64", [256, 64, 1, 32], 32, [5, 1], [2, 0], true),
    ("5x1, 32", [256, 32, 1, 32], 32, [5, 1], [2, 0], true),
    ("5x1, 16", [256, 16, 1, 32], 32, [5, 1], [2, 0], true),
    ("5x1, 8", [256, 8, 1, 32], 32, [5, 1], [2, 0], true),
    ("1x1, 2 to 32", [256, 128, 1, 2], 32, [1, 1], [0, 0], false),
    ("1x1, 32", [256, 128, 1, 32], 32, [1, 1], [0, 0], true),
    ("1x3 first", [1024, 2, 128, 1], 256, [1, 3], [0, 2], false),
    ("2x3 to 80", [1024, 2, 130, 256], 80, [2, 3], [0, 2], true),
    ("3x3, 320", [1, 64, 64, 320], 320, [3, 3], [1, 1], true),
];

type Run =
    fn(Tensor<4>, Tensor<4>, Option<Tensor<1>>, Convolution) -> Tensor<4>;

/// Milliseconds forward, and of a step of training.
fn time(run: Run, shape: &Shape) -> [f64; 2] {
    let &(_, input, outputs, kernel, padding, tracked) = shape;
    let convolution = Convolution { padding, stride: [1, 1], relu: true };
    let range = Distribution::Uniform(-1.0, 1.0);
    let weight = [outputs, input[3], kernel[0], kernel[1]];
    let elapsed = |since: Instant| since.elapsed().as_secs_f64() * 1e3;

    let device = Device::flex();
    let x = Tensor::<4>::random(input, range, &device);
    let w = Tensor::<4>::random(weight, range, &device);
    let b = Tensor::<1>::random([outputs], range, &device);
    let start = Instant::now();
    black_box(run(x, w, Some(b), convolution));
    let forward = elapsed(start);

    let device = device.autodiff();
    let x = Tensor::<4>::random(input, range, &device);
    let x = if tracked { x.require_grad() } else { x };
    let w = Tensor::<4>::random(weight, range, &device).require_grad();
    let b = Tensor::<1>::random([outputs], range, &device).require_grad();
    let start = Instant::now();
    let y = run(x.clone(), w.clone(), Some(b.clone()), convolution);
    let grads = y.sum().backward();
    black_box((x.grad(&grads), w.grad(&grads), b.grad(&grads)));
    [forward, elapsed(start)]
}

fn medians(times: &[[f64; 2]]) -> [f64; 2] {
    [0, 1].map(|i| {
        let mut times: Vec<f64> = times.iter().map(|t| t[i]).collect();
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    })
}

fn main() {
    let argument = std::env::args().nth(1);
    let all = argument.as_deref() == Some("all");
    println!("{:18} kernel          stock", "");
    for shape in &SHAPES {
        if argument.as_deref().is_some_and(|a| !all && !shape.0.contains(a)) {
            continue;
        }
        let mut runs: [Vec<[f64; 2]>; 2] = Default::default();
        let start = Instant::now();
        while runs[0].len() < 3
            || (runs[0].len() < 50 && start.elapsed().as_secs_f64() < 2.0)
        {
            runs[0].push(time(conv, shape));
            if all && runs[1].len() < 5 {
                runs[1].push(time(conv_plain, shape));
            }
        }
        let &(name, [batch, ..], outputs, kernel, _, tracked) = shape;
        let (&(_, [_, h, w, c], ..), p) = (shape, shape.4);
        let positions =
            (h + 2 * p[0] + 1 - kernel[0]) * (w + 2 * p[1] + 1 - kernel[1]);
        let taps = kernel[0] * kernel[1] * c;
        let flops = 2e-9 * (batch * positions * outputs * taps) as f64;
        let steps = if tracked { 3.0 } else { 2.0 };
        let [forward, step] = medians(&runs[0]);
        print!("{name:18} {forward:7.2} {step:7.2}");
        if all {
            let [forward, step] = medians(&runs[1]);
            print!("  {forward:7.2} {step:7.2}");
        }
        println!(
            "  {:.0} and {:.0} GFLOP/s",
            flops / forward * 1e3,
            steps * flops / step * 1e3
        );
    }
}
