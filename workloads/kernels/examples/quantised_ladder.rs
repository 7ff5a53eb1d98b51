//! The ladder of packed weights: prints medians of interleaved runs.
//!
//! `cargo run --release -p assay-kernels --example quantised_ladder`
//!
//! 1. the products of a decode step of smollm-360m, one after the other, as a
//!    fraction of what a plain read of as many bytes takes;
//! 2. single shapes with one row, from memory and beside the `f32` layer;
//! 3. more rows;
//! 4. the error of a product, of the format alone (the plain twin) and of the
//!    kernel (quantised activations with it).
#![expect(clippy::print_stdout, reason = "prints its result")]

use std::hint::black_box;
use std::time::Instant;

use assay_kernels::{
    PackedWeight, WeightFormat, linear, quantised_linear,
    quantised_linear_plain, stream_sum_parallel,
};
use burn::Tensor;
use burn::tensor::{Device, Distribution};

/// The products of a layer of smollm-360m, `[out, in]`: queries, keys, values,
/// output, gate, up, down.
const LAYER: [[usize; 2]; 7] = [
    [960, 960],
    [320, 960],
    [320, 960],
    [960, 960],
    [2560, 960],
    [2560, 960],
    [960, 2560],
];

/// Its layers.
const LAYERS: usize = 32;

/// Its head, which is its embedding.
const HEAD: [usize; 2] = [49152, 960];

/// Bytes that a rotation goes through, so that it never meets the cache.
const ROTATION: u64 = 96 << 20;

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn seconds<T>(run: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    black_box(run());
    start.elapsed().as_secs_f64()
}

fn random(shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), device)
}

fn floats(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().try_into_vec::<f32>().unwrap_or_default()
}

fn main() {
    let device = Device::flex();
    decode_steps(&device);
    single_rows(&device);
    many_rows(&device);
    errors(&device);
}

fn decode_steps(device: &Device) {
    println!("decode step of smollm-360m, products alone");
    let shapes = || {
        let layers = std::iter::repeat_n(LAYER, LAYERS).flatten();
        layers.chain([HEAD])
    };
    let most = shapes().map(|[outer, inner]| outer * inner).max();
    let values = floats(random([1, most.unwrap_or(0)], device));
    for format in WeightFormat::ALL {
        let weights: Vec<PackedWeight> = shapes()
            .map(|shape| {
                let values = &values[..shape[0] * shape[1]];
                PackedWeight::from_values(values, shape, format, device)
            })
            .collect();
        let bytes: u64 = weights.iter().map(PackedWeight::bytes).sum();
        let memory = vec![1.0_f32; bytes as usize / 4];
        let inputs = [960, 2560].map(|width| random([1, width], device));
        let step = || {
            for weight in &weights {
                let x = &inputs[usize::from(weight.dims()[1] != 960)];
                black_box(quantised_linear(x.clone(), weight, None));
            }
        };
        let (mut steps, mut reads) = (vec![], vec![]);
        for _ in 0..15 {
            steps.push(seconds(step));
            reads.push(seconds(|| stream_sum_parallel(&memory)));
        }
        let (step, read) = (median(&mut steps), median(&mut reads));
        println!(
            "{:5} {:6.1} MB: {:6.2} ms, {:5.1} GB/s; plain read {:5.1} GB/s: \
             {:3.0} % of it",
            format.name(),
            1e-6 * bytes as f64,
            1e3 * step,
            1e-9 * bytes as f64 / step,
            1e-9 * bytes as f64 / read,
            100.0 * read / step,
        );
    }
}

fn single_rows(device: &Device) {
    println!("one row: us, GB/s of weights, times the f32 layer's speed");
    for shape in [[320, 960], [960, 960], [2560, 960], [960, 2560], HEAD] {
        let [outer, inner] = shape;
        let values = floats(random(shape, device));
        let x = random([1, inner], device);
        let copies = |bytes: u64| ROTATION.div_ceil(bytes).max(2) as usize;
        let plain: Vec<Tensor<2>> = (0..copies(4 * (outer * inner) as u64))
            .map(|_| random(shape, device))
            .collect();
        for format in WeightFormat::ALL {
            let first =
                PackedWeight::from_values(&values, shape, format, device);
            let bytes = first.bytes();
            let mut packed = vec![first];
            packed.extend((1..copies(bytes)).map(|_| {
                PackedWeight::from_values(&values, shape, format, device)
            }));
            let (mut fused, mut floats) = (vec![], vec![]);
            for round in 0..(2 * packed.len()).clamp(60, 600) {
                let weight = &packed[round % packed.len()];
                fused.push(seconds(|| {
                    quantised_linear(x.clone(), weight, None)
                }));
                let weight = plain[round % plain.len()].clone();
                floats.push(seconds(|| linear(x.clone(), weight, None)));
            }
            let (fused, float) = (median(&mut fused), median(&mut floats));
            println!(
                "{outer:5} x {inner:4} {:5}: {:7.1} us {:5.1} GB/s  {:.2}",
                format.name(),
                1e6 * fused,
                1e-9 * bytes as f64 / fused,
                float / fused,
            );
        }
    }
}

fn many_rows(device: &Device) {
    println!("rows x 960 x 2560: us, GFLOP/s, times the f32 layer's speed");
    let shape = [2560, 960];
    let weight = random(shape, device);
    for format in WeightFormat::ALL {
        let packed = PackedWeight::pack(weight.clone(), format);
        for rows in [1_usize, 2, 4, 8, 12, 13, 16, 32, 128, 512] {
            let x = random([rows, shape[1]], device);
            let (mut fused, mut floats) = (vec![], vec![]);
            for _ in 0..21 {
                fused.push(seconds(|| {
                    quantised_linear(x.clone(), &packed, None)
                }));
                floats
                    .push(seconds(|| linear(x.clone(), weight.clone(), None)));
            }
            let (fused, float) = (median(&mut fused), median(&mut floats));
            let flops = 2.0 * (rows * shape[0] * shape[1]) as f64;
            println!(
                "{:5} {rows:4}: {:9.1} us {:6.1}  {:.2}",
                format.name(),
                1e6 * fused,
                1e-9 * flops / fused,
                float / fused,
            );
        }
    }
}

fn errors(device: &Device) {
    println!("relative error of 8 x 960 x 960: format alone, kernel");
    let weight = random([960, 960], device);
    let x = random([8, 960], device);
    let exact = floats(linear(x.clone(), weight.clone(), None));
    let size: f64 = exact.iter().map(|y| f64::from(*y).powi(2)).sum();
    for format in WeightFormat::ALL {
        let packed = PackedWeight::pack(weight.clone(), format);
        let error = |y: Tensor<2>| {
            let square = |(y, exact): (f32, &f32)| f64::from(y - exact).powi(2);
            let sum: f64 = floats(y).into_iter().zip(&exact).map(square).sum();
            (sum / size).sqrt()
        };
        println!(
            "{:5} {:.2e} {:.2e}",
            format.name(),
            error(quantised_linear_plain(x.clone(), &packed, None)),
            error(quantised_linear(x.clone(), &packed, None)),
        );
    }
}
