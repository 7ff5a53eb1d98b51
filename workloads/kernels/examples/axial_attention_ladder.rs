//! The ladder of `axial_attention`: medians of interleaved runs, milliseconds,
//! forward and forward with backward, of Burn's own operators (the plain twin),
//! of stored scores between two products of this crate (FastFold's way), and of
//! the kernel.
//!
//! `cargo run --release -p assay-kernels --example axial_attention_ladder
//! [kernel] [processor]`: with `kernel` the kernel alone; with `processor` all
//! threads' time on a processor, where Linux tells it, for a machine that has
//! other work.
#![expect(clippy::print_stdout, reason = "prints its result")]

use std::hint::black_box;
use std::time::Instant;

use assay_kernels::{
    Along, axial_attention, axial_attention_plain, biased_softmax, matmul,
};
use burn::Tensor;
use burn::tensor::{Device, Distribution};

/// Name, X, Y, heads, width of a head, axis, whether there is a bias.
type Shape = (&'static str, [usize; 2], usize, usize, Along, bool);

const SHAPES: [Shape; 10] = [
    ("MSA rows", [64, 128], 8, 32, Along::Rows, true),
    ("MSA columns", [64, 128], 8, 32, Along::Columns, false),
    ("pairs, starting node", [128, 128], 4, 32, Along::Rows, true),
    ("pairs, ending node", [128, 128], 4, 32, Along::Columns, true),
    ("MSA rows", [128, 256], 8, 32, Along::Rows, true),
    ("MSA columns", [128, 256], 8, 32, Along::Columns, false),
    ("pairs, starting node", [256, 256], 4, 32, Along::Rows, true),
    ("pairs, ending node", [256, 256], 4, 32, Along::Columns, true),
    ("extra MSA rows", [128, 256], 8, 8, Along::Rows, true),
    ("templates, starting node", [256, 256], 4, 16, Along::Rows, true),
];

type Run =
    fn(Tensor<3>, Tensor<2>, Option<Tensor<3>>, usize, Along) -> Tensor<3>;

/// Scores stored, their softmax one kernel, products through `gemm`.
fn stored(
    packed: Tensor<3>,
    mask: Tensor<2>,
    bias: Option<Tensor<3>>,
    heads: usize,
    along: Along,
) -> Tensor<3> {
    let [x, y, channels] = packed.dims();
    let d = channels / (4 * heads);
    let packed = packed.reshape([x, y, 4 * heads, d]);
    let part = |i: usize| packed.clone().narrow(2, i * heads, heads);
    let turned = |part: Tensor<4>| match along {
        Along::Rows => part.permute([0, 2, 1, 3]),
        Along::Columns => part.permute([1, 2, 0, 3]),
    };
    let mask = match along {
        Along::Rows => mask,
        Along::Columns => mask.swap_dims(0, 1),
    };
    let [q, k, v] = [0, 1, 2].map(|i| turned(part(i)));
    let bias = bias.map(|bias| bias.permute([2, 0, 1]));
    let scores = matmul(q, k.swap_dims(2, 3));
    let scale = (d as f32).powf(-0.5);
    let mixed = matmul(biased_softmax(scores, scale, mask, bias), v);
    let mixed = match along {
        Along::Rows => mixed.permute([0, 2, 1, 3]),
        Along::Columns => mixed.permute([2, 0, 1, 3]),
    };
    let gate = burn::tensor::activation::sigmoid(part(3));
    (mixed * gate).reshape([x, y, heads * d])
}

/// Milliseconds from some beginning.
type Clock = Box<dyn Fn() -> f64>;

/// Time on a processor, of all threads.
fn processor() -> Option<f64> {
    let mut sum = 0.0;
    for thread in std::fs::read_dir("/proc/self/task").ok()? {
        let path = thread.ok()?.path().join("schedstat");
        // A thread may have ended since.
        let Ok(text) = std::fs::read_to_string(path) else { continue };
        sum += text.split(' ').next()?.parse::<f64>().ok()? / 1e6;
    }
    Some(sum)
}

/// Milliseconds forward, and of a step of training.
fn time(run: Run, shape: &Shape, clock: &Clock) -> [f64; 2] {
    let &(_, [x, y], heads, d, along, biased) = shape;
    let range = Distribution::Uniform(-1.0, 1.0);
    let n = match along {
        Along::Rows => y,
        Along::Columns => x,
    };
    let inputs = |device: &Device| {
        let packed = Tensor::<3>::random([x, y, 4 * heads * d], range, device);
        let mask = Tensor::<2>::ones([x, y], device);
        let bias =
            biased.then(|| Tensor::<3>::random([n, n, heads], range, device));
        (packed, mask, bias)
    };
    let (packed, mask, bias) = inputs(&Device::flex());
    let start = clock();
    black_box(run(packed, mask, bias, heads, along));
    let forward = clock() - start;

    let (packed, mask, bias) = inputs(&Device::flex().autodiff());
    let packed = packed.require_grad();
    let bias = bias.map(Tensor::require_grad);
    let start = clock();
    let y = run(packed.clone(), mask, bias.clone(), heads, along);
    let grads = y.sum().backward();
    black_box((packed.grad(&grads), bias.map(|bias| bias.grad(&grads))));
    [forward, clock() - start]
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    let runs: &[(&str, Run)] = &[
        ("kernel", axial_attention),
        ("stored", stored),
        ("plain", axial_attention_plain),
    ];
    let asked = |what: &str| std::env::args().any(|argument| argument == what);
    let runs = if asked("kernel") { &runs[..1] } else { runs };
    let start = Instant::now();
    let clock: Clock = if asked("processor") {
        Box::new(|| processor().unwrap_or(f64::NAN))
    } else {
        Box::new(move || start.elapsed().as_secs_f64() * 1e3)
    };
    for shape in &SHAPES {
        let (name, [x, y], heads, d, _, _) = shape;
        let mut times = vec![[vec![], vec![]]; runs.len()];
        for _ in 0..7 {
            for ((_, run), times) in runs.iter().zip(&mut times) {
                let [forward, both] = time(*run, shape, &clock);
                times[0].push(forward);
                times[1].push(both);
            }
        }
        println!("{name} {x} x {y}, {heads} heads of {d}:");
        for ((run, _), times) in runs.iter().zip(times) {
            let [forward, both] = times.map(median);
            println!("    {run} {forward:.2} / {both:.2} ms");
        }
    }
}
