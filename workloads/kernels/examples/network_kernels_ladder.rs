//! The ladder of the kernels of convolutional and recurrent networks: least
//! milliseconds of the stock operators (the plain twin) and the kernel, in
//! interleaved runs, forward alone and with the backward pass. With
//! `RAYON_NUM_THREADS=1` before it, the rungs below threads. An argument picks
//! one family (`norm`, `dropout`, `pool`, `lstm`; `large` is an LSTM too large
//! for the stock operators, in GFLOP/s).
//!
//! Fresh pages cost more than most kernels here, so let the allocator keep its
//! memory, as one that recycles would:
//! `MALLOC_TRIM_THRESHOLD_=4000000000 MALLOC_MMAP_THRESHOLD_=4000000000`.

#![allow(clippy::print_stdout, reason = "its output is the figures")]

use std::hint::black_box;
use std::time::Instant;

use assay_kernels::{
    alpha_dropout, alpha_dropout_plain, batch_norm, batch_norm_inference,
    batch_norm_inference_plain, batch_norm_plain, dropout, dropout_plain, lstm,
    lstm_plain, max_pool, max_pool_plain,
};
use burn::Tensor;
use burn::tensor::{Device, Distribution};

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(-2.0, 2.0), device)
}

/// A copy with storage of its own.
fn own<const D: usize>(x: &Tensor<D>) -> Tensor<D> {
    x.clone() * 1.0
}

/// Least milliseconds of each run, interleaved; `make` is not timed. The least,
/// since on a busy machine these runs are as short as a turn at the processor.
fn least<I>(
    times: usize,
    make: impl Fn() -> I,
    runs: &[&dyn Fn(I)],
) -> Vec<f64> {
    let mut all = vec![Vec::new(); runs.len()];
    for _ in 0..times {
        for (run, all) in runs.iter().zip(&mut all) {
            let input = make();
            let start = Instant::now();
            run(input);
            all.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    all.iter()
        .map(|all| all.iter().copied().fold(f64::INFINITY, f64::min))
        .collect()
}

/// Prints the stock operators' time and the kernel's, forward on a tensor of
/// its own and in training from a leaf.
fn ladder<const D: usize>(
    title: &str,
    x: &Tensor<D>,
    times: usize,
    plain: impl Fn(Tensor<D>) -> Tensor<D>,
    fast: impl Fn(Tensor<D>) -> Tensor<D>,
) {
    let forward = least(
        times,
        || own(x),
        &[&|x| _ = black_box(plain(x)), &|x| _ = black_box(fast(x))],
    );
    let tracked = Device::flex().autodiff();
    let leaf =
        || Tensor::<D>::from_inner(own(x)).to_device(&tracked).require_grad();
    let weight = random(plain(x.clone()).dims(), &tracked);
    let same = random(x.dims(), &tracked);
    let weigh = |y: Tensor<D>| y * weight.clone();
    // Times two: the kernel under test gets a tensor that only it holds.
    let training = least(
        times,
        leaf,
        &[
            &|x: Tensor<D>| {
                black_box(weigh(plain(x * 2.0)).sum().backward());
            },
            &|x: Tensor<D>| {
                black_box(weigh(fast(x * 2.0)).sum().backward());
            },
            &|x: Tensor<D>| {
                black_box((x * 2.0 * same.clone()).sum().backward());
            },
        ],
    );
    println!(
        "{title:<30} forward {:.3} -> {:.3} ({:.1}x)  training {:.3} -> {:.3} \
         ({:.1}x), {:.3} without",
        forward[0],
        forward[1],
        forward[0] / forward[1],
        training[0],
        training[1],
        training[0] / training[1],
        training[2],
    );
}

fn main() {
    let family = std::env::args().nth(1);
    let asked = |name: &str| family.as_deref().is_none_or(|f| f == name);
    let device = Device::flex();
    let tracked = device.clone().autodiff();
    // Vectors for either device, so that one closure serves both.
    let vector = |len: usize, at: &Device| {
        (Tensor::<1>::zeros([len], at) + 0.7).detach()
    };

    for shape in [[256, 128, 16], [256, 128, 32], [256, 16, 256]] {
        if !asked("norm") {
            break;
        }
        let x = random(shape, &device);
        let c = shape[2];
        let train = |x: Tensor<3>, fast: bool| {
            let at = x.device();
            let gamma = vector(c, &at);
            let gamma =
                if !at.is_autodiff() { gamma } else { gamma.require_grad() };
            let f = if fast { batch_norm } else { batch_norm_plain };
            f(x, gamma, vector(c, &at), 1e-5).0
        };
        ladder(
            &format!("batch_norm {shape:?}"),
            &x,
            25,
            |x| train(x, false),
            |x| train(x, true),
        );
        let infer = |x: Tensor<3>, fast: bool| {
            let at = x.device();
            let v = || vector(c, &at);
            let f = if fast {
                batch_norm_inference
            } else {
                batch_norm_inference_plain
            };
            f(x, v(), v(), v(), v(), 1e-5)
        };
        let times = least(
            25,
            || own(&x),
            &[
                &|x| _ = black_box(infer(x, false)),
                &|x| _ = black_box(infer(x, true)),
                &|x| _ = black_box(x * 1.5),
            ],
        );
        println!("  inference, and x * 1.5: {times:.3?}");
    }

    if asked("dropout") {
        let x = random([256, 4096], &device);
        ladder(
            "dropout [256, 4096]",
            &x,
            25,
            |x| dropout_plain(x, 0.1, 3),
            |x| dropout(x, 0.1, 3),
        );
        ladder(
            "alpha_dropout [256, 4096]",
            &x,
            25,
            |x| alpha_dropout_plain(x, 0.1, 3),
            |x| alpha_dropout(x, 0.1, 3),
        );
        let times = least(25, || own(&x), &[&|x| _ = black_box(x * 1.5)]);
        println!("  x * 1.5: {times:.3?}");
    }

    for (shape, window) in [
        ([256, 1, 128, 32], [1, 2]),
        ([256, 16, 16, 32], [2, 2]),
        ([64, 64, 64, 8], [2, 2]),
    ] {
        if !asked("pool") {
            break;
        }
        let x = random(shape, &device);
        ladder(
            &format!("max_pool {shape:?}"),
            &x,
            25,
            |x| max_pool_plain(x, window),
            |x| max_pool(x, window),
        );
    }

    for [batch, steps, units] in
        [[256, 32, 32], [256, 32, 64], [256, 128, 64], [64, 32, 256]]
    {
        if !asked("lstm") {
            break;
        }
        let x = random([batch, steps, 4 * units], &device);
        let w = random([4 * units, units], &device) * 0.05;
        let w_tracked = Tensor::<2>::from_inner(w.clone())
            .to_device(&tracked)
            .require_grad();
        let weight = |x: &Tensor<3>| {
            if !x.device().is_autodiff() {
                w.clone()
            } else {
                w_tracked.clone()
            }
        };
        ladder(
            &format!("lstm {:?}", [batch, steps, units]),
            &x,
            7,
            |x| {
                let w = weight(&x);
                lstm_plain(x, w)
            },
            |x| {
                let w = weight(&x);
                lstm(x, w)
            },
        );
    }

    if family.as_deref() == Some("large") {
        for [batch, steps, units] in
            [[256, 128, 64], [256, 128, 128], [256, 32, 512]]
        {
            let x = random([batch, steps, 4 * units], &tracked).require_grad();
            let w = random([4 * units, units], &tracked) * 0.02;
            let w = w.detach().require_grad();
            let make = || x.clone() * 1.0;
            let times = least(
                5,
                make,
                &[&|x| _ = black_box(lstm(x, w.clone())), &|x| {
                    _ = black_box(lstm(x, w.clone()).sum().backward())
                }],
            );
            let flops = 8.0 * (batch * steps * units * units) as f64;
            println!(
                "lstm {:?}: forward {:.1} ms, {:.1} GFLOP/s; training {:.1} \
                 ms, {:.1} GFLOP/s",
                [batch, steps, units],
                times[0],
                flops / times[0] * 1e-6,
                times[1],
                3.0 * flops / times[1] * 1e-6,
            );
        }
    }
}
