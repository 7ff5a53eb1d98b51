//! The ladder of `group_norm` and `upsample`: least milliseconds of the plain
//! twin and the kernel, in interleaved runs, forward out of place, forward in
//! place, and with the backward pass.
//!
//! Let the allocator keep its memory, as one that recycles would:
//! `MALLOC_TRIM_THRESHOLD_=4000000000 MALLOC_MMAP_THRESHOLD_=4000000000`.

#![allow(clippy::print_stdout, reason = "its output is the figures")]

use std::hint::black_box;
use std::time::Instant;

use assay_kernels::{group_norm, group_norm_plain, upsample, upsample_plain};
use burn::Tensor;
use burn::tensor::{Device, Distribution};

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(-2.0, 2.0), device)
}

/// Least milliseconds of each run on what `make` makes, outside of the clock.
fn least(
    make: &dyn Fn() -> Tensor<4>,
    runs: [&dyn Fn(Tensor<4>); 2],
) -> [f64; 2] {
    let mut least = [f64::INFINITY; 2];
    for _ in 0..15 {
        for (run, least) in runs.iter().zip(&mut least) {
            let input = make();
            let start = Instant::now();
            run(input);
            *least = least.min(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    least
}

fn ladder(
    title: &str,
    shape: [usize; 4],
    plain: &dyn Fn(Tensor<4>) -> Tensor<4>,
    fast: &dyn Fn(Tensor<4>) -> Tensor<4>,
) {
    let device = Device::flex();
    let x = random(shape, &device);
    let runs: [&dyn Fn(Tensor<4>); 2] =
        [&|x| _ = black_box(plain(x)), &|x| _ = black_box(fast(x))];
    let apart = least(&|| x.clone(), runs);
    let own = least(&|| x.clone() * 1.0, runs);
    let tracked = device.autodiff();
    let leaf = || random(shape, &tracked).require_grad();
    let training = least(
        &leaf,
        [&|x| _ = black_box(plain(x).sum().backward()), &|x| {
            _ = black_box(fast(x).sum().backward())
        }],
    );
    println!(
        "{title:<11} {shape:?}: apart {apart:.3?}, own {own:.3?}, \
         training {training:.3?}"
    );
}

fn main() {
    for (shape, groups) in [
        ([64, 8, 8, 32], 8),
        ([64, 4, 4, 64], 8),
        ([16, 32, 32, 16], 8),
        ([1, 64, 64, 320], 32),
        ([1, 8, 8, 1280], 32),
        ([1, 256, 256, 128], 32),
    ] {
        for silu in [false, true] {
            // Vectors for either device, so that one closure serves both.
            let run = |x: Tensor<4>, fast: bool| {
                let vector = Tensor::<1>::ones([shape[3]], &x.device());
                let f = if fast { group_norm } else { group_norm_plain };
                f(x, vector.clone(), vector, groups, 1e-5, silu)
            };
            let title = if silu { "norm, silu" } else { "norm" };
            ladder(title, shape, &|x| run(x, false), &|x| run(x, true));
        }
    }
    for shape in [[64, 4, 4, 64], [1, 32, 32, 640], [1, 128, 128, 256]] {
        ladder("upsample", shape, &upsample_plain, &upsample);
    }
}
