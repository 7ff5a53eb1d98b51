//! The ladder of attention, the batched product and the cache: medians of
//! interleaved runs against the engine's own operators.
//!
//! `cargo run --release -p assay-kernels --example attention_ladder`
#![expect(clippy::print_stdout, reason = "prints its result")]

use std::hint::black_box;
use std::time::Instant;

use assay_kernels::{
    attention, attention_plain, cache_write, cache_write_plain, matmul,
    matmul_plain,
};
use burn::Tensor;
use burn::tensor::{Device, Distribution};

/// Median microseconds of each of two, run in turn.
fn versus(rounds: usize, mut a: impl FnMut(), mut b: impl FnMut()) -> [f64; 2] {
    let mut times = [vec![], vec![]];
    for _ in 0..rounds {
        let start = Instant::now();
        a();
        times[0].push(start.elapsed().as_secs_f64() * 1e6);
        let start = Instant::now();
        b();
        times[1].push(start.elapsed().as_secs_f64() * 1e6);
    }
    times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    })
}

fn show(name: &str, [fused, plain]: [f64; 2]) {
    println!(
        "{name}: fused {fused:.1} us, plain {plain:.1} us, {:.2} x",
        plain / fused
    );
}

fn main() {
    let device = Device::flex();
    let random = |shape: [usize; 4]| {
        Tensor::<4>::random(shape, Distribution::Uniform(-1.0, 1.0), &device)
    };
    for (h, kv, t, keys) in [
        (8, 8, 128, 128),
        (8, 8, 512, 512),
        (8, 8, 1024, 1024),
        (16, 16, 128, 128),
        (16, 16, 512, 512),
        (16, 16, 1024, 1024),
        (9, 3, 512, 512),
        (9, 3, 1, 128),
        (9, 3, 1, 1024),
        (14, 2, 1, 1024),
        (16, 16, 1, 1024),
    ] {
        let (q, k, v) = (
            random([1, t, h, 64]),
            random([1, keys, kv, 64]),
            random([1, keys, kv, 64]),
        );
        let heads = |x: &Tensor<4>| x.clone().swap_dims(1, 2);
        for causal in [true, false] {
            let run = |f: fn(
                Tensor<4>,
                Tensor<4>,
                Tensor<4>,
                usize,
                f32,
                bool,
            ) -> Tensor<4>| {
                black_box(f(
                    q.clone(),
                    k.clone(),
                    v.clone(),
                    keys,
                    0.125,
                    causal,
                ));
            };
            let times = versus(21, || run(attention), || run(attention_plain));
            show(
                &format!(
                    "attention {h}/{kv} heads, {t} of {keys}, causal {causal}"
                ),
                times,
            );
        }
        if h == kv && t > 1 {
            // The engine's own attention function, on its own layout.
            let (q4, k4, v4) = (heads(&q), heads(&k), heads(&v));
            let times = versus(
                21,
                || {
                    black_box(attention(
                        q.clone(),
                        k.clone(),
                        v.clone(),
                        keys,
                        0.125,
                        false,
                    ));
                },
                || {
                    black_box(burn::tensor::module::attention(
                        q4.clone(),
                        k4.clone(),
                        v4.clone(),
                        None,
                        None,
                        Default::default(),
                    ));
                },
            );
            show(
                &format!("  against the engine's attention, {h} heads, {t}"),
                times,
            );
        }
    }
    let device = Device::flex().autodiff();
    for (h, kv, t) in [(8, 8, 128), (8, 8, 512), (9, 3, 512)] {
        let random = |shape: [usize; 4]| {
            Tensor::<4>::random(
                shape,
                Distribution::Uniform(-1.0, 1.0),
                &device,
            )
            .require_grad()
        };
        let (q, k, v) = (
            random([2, t, h, 64]),
            random([2, t, kv, 64]),
            random([2, t, kv, 64]),
        );
        let run = |f: fn(
            Tensor<4>,
            Tensor<4>,
            Tensor<4>,
            usize,
            f32,
            bool,
        ) -> Tensor<4>| {
            black_box(
                f(q.clone(), k.clone(), v.clone(), t, 0.125, true)
                    .sum()
                    .backward(),
            );
        };
        let times = versus(11, || run(attention), || run(attention_plain));
        show(&format!("attention and backward 2 x {h}/{kv} heads, {t}"), times);
    }
    let device = Device::flex();
    for (batch, m, k, n) in [
        (1, 1, 1024, 4096),
        (16, 128, 64, 128),
        (16, 512, 64, 512),
        (64, 32, 32, 32),
        (1, 128, 1024, 4096),
        (1, 512, 512, 512),
    ] {
        let a =
            Tensor::<3>::random([batch, m, k], Distribution::Default, &device);
        let b =
            Tensor::<3>::random([batch, k, n], Distribution::Default, &device);
        let turned =
            Tensor::<3>::random([batch, n, k], Distribution::Default, &device)
                .swap_dims(1, 2);
        for (name, b) in [("", b), (" turned", turned)] {
            let times = versus(
                31,
                || {
                    black_box(matmul(a.clone(), b.clone()));
                },
                || {
                    black_box(matmul_plain(a.clone(), b.clone()));
                },
            );
            show(&format!("matmul {batch} x {m} x {k} x {n}{name}"), times);
        }
    }
    for t in [1, 128] {
        let new = random([1, t, 3, 64]);
        let (mut fast, mut slow) =
            (Some(random([1, 2048, 3, 64])), Some(random([1, 2048, 3, 64])));
        let times = versus(
            101,
            || {
                fast = fast
                    .take()
                    .map(|cache| cache_write(cache, new.clone(), 700))
            },
            || {
                slow = slow
                    .take()
                    .map(|cache| cache_write_plain(cache, new.clone(), 700))
            },
        );
        show(&format!("cache of 2048 x 3 x 64, {t} written"), times);
    }
}
