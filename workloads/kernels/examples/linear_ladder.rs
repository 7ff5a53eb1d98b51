//! The ladder of `linear`: prints medians of interleaved runs.
//!
//! `cargo run --release -p assay-kernels --example linear_ladder`
#![expect(clippy::print_stdout, reason = "prints its result")]

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use assay_kernels::{linear, linear_plain};
use burn::Tensor;
use burn::tensor::{Device, Distribution};

/// The sum of a slice, with the widest loads that the processor has.
fn read(values: &[f32]) -> f32 {
    #[inline(always)]
    fn body(values: &[f32]) -> f32 {
        let (chunks, _) = values.as_chunks::<64>();
        let mut lanes = [0.0; 64];
        for chunk in chunks {
            for i in 0..64 {
                lanes[i] += chunk[i];
            }
        }
        lanes.iter().sum()
    }
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx512f") {
        #[target_feature(enable = "avx512f")]
        fn wide(values: &[f32]) -> f32 {
            body(values)
        }
        #[expect(unsafe_code, reason = "calls a function with CPU features")]
        // SAFETY: the feature was detected just above.
        return unsafe { wide(values) };
    }
    body(values)
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Seconds for reading all of `memory`: threads claim pieces of `piece`
/// elements, as the kernel's do, and nothing is computed but a sum.
fn stream(memory: &[f32], piece: usize) -> f64 {
    let start = Instant::now();
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let first = next.fetch_add(1, Relaxed) * piece;
            if first >= memory.len() {
                return;
            }
            black_box(read(&memory[first..memory.len().min(first + piece)]));
        }
    };
    rayon::in_place_scope(|scope| {
        for _ in 1..rayon::current_num_threads() {
            scope.spawn(|_| work());
        }
        work();
    });
    start.elapsed().as_secs_f64()
}

fn main() {
    let device = Device::flex();
    // Large enough that a rotation over it never meets the cache.
    let memory = vec![1.0f32; 64 << 20];
    println!("thin: GB/s of weights; the reader's is the best of three pieces");
    for [outer, inner] in [
        [192, 576],
        [576, 576],
        [1536, 576],
        [896, 4864],
        [4864, 896],
        [49152usize, 576],
    ] {
        let len = outer * inner;
        let gigabytes = 4e-9 * len as f64;
        let copies = (48usize << 20).div_ceil(len);
        let weights: Vec<Tensor<2>> = (0..copies)
            .map(|_| {
                Tensor::random([outer, inner], Distribution::Default, &device)
            })
            .collect();
        let x = Tensor::<2>::random([1, inner], Distribution::Default, &device);
        let mut times = vec![vec![]; 5];
        let rounds = (3 * copies).clamp(60, 600);
        for round in 0..rounds {
            let w = || weights[round % copies].clone();
            let other = || weights[(round + copies / 2) % copies].clone();
            let start = Instant::now();
            black_box(linear(x.clone(), w(), None));
            times[0].push(start.elapsed().as_secs_f64());
            let start = Instant::now();
            black_box(linear_plain(x.clone(), other(), None));
            times[1].push(start.elapsed().as_secs_f64());
            let pieces = [len / 2, 256 * 1024, 64 * 1024];
            for (i, piece) in pieces.into_iter().enumerate() {
                let at = (3 * round + i) % (memory.len() / len);
                let span = &memory[at * len..(at + 1) * len];
                times[2 + i].push(stream(span, piece));
            }
        }
        let medians: Vec<f64> = times.iter_mut().map(|t| median(t)).collect();
        let bound = medians[2].min(medians[3]).min(medians[4]);
        println!(
            "{outer:5} x {inner:4}: fused {:7.1} us {:5.1}, plain {:7.1} us {:5.1}, \
             reader {:5.1}: {:3.0} % of it, {:.2} x plain",
            medians[0] * 1e6,
            gigabytes / medians[0],
            medians[1] * 1e6,
            gigabytes / medians[1],
            gigabytes / bound,
            100.0 * bound / medians[0],
            medians[1] / medians[0],
        );
    }
    println!("rows: us plain, us fused, ratio, GFLOP/s fused");
    for [outer, inner] in [[576usize, 576], [896, 4864], [4864, 896]] {
        for rows in [1usize, 2, 3, 4, 6, 8, 9, 12, 16, 32, 128, 512] {
            let copies = (16usize << 20).div_ceil(outer * inner);
            let weights: Vec<Tensor<2>> = (0..copies)
                .map(|_| {
                    let shape = [outer, inner];
                    Tensor::random(shape, Distribution::Default, &device)
                })
                .collect();
            let shape = [rows, inner];
            let x = Tensor::<2>::random(shape, Distribution::Default, &device);
            let (mut fused, mut plain) = (vec![], vec![]);
            for round in 0..21 {
                let w = || weights[round % copies].clone();
                let other = || weights[(round + copies / 2) % copies].clone();
                let start = Instant::now();
                black_box(linear(x.clone(), w(), None));
                fused.push(start.elapsed().as_secs_f64());
                let start = Instant::now();
                black_box(linear_plain(x.clone(), other(), None));
                plain.push(start.elapsed().as_secs_f64());
            }
            let (fused, plain) = (median(&mut fused), median(&mut plain));
            let products = rows as f64 * inner as f64 * outer as f64;
            println!(
                "{rows:4} x {inner:4} x {outer:4}: {:8.1} {:8.1}  {:.2}  {:.1}",
                plain * 1e6,
                fused * 1e6,
                plain / fused,
                2e-9 * products / fused,
            );
        }
    }
}
