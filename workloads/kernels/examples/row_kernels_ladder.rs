//! The ladder of the row and element kernels: median milliseconds of the
//! stock operators (the plain twin), the kernel out of place and the kernel in
//! place, in interleaved runs. With `RAYON_NUM_THREADS=1` before it, the rungs
//! below threads. An argument picks one family (`norm`, `rotary`, ...).
//!
//! Fresh pages cost more than most kernels here, so let the allocator keep its
//! memory, as one that recycles would:
//! `MALLOC_TRIM_THRESHOLD_=4000000000 MALLOC_MMAP_THRESHOLD_=4000000000`.

#![allow(clippy::print_stdout, reason = "its output is the figures")]

use std::hint::black_box;
use std::time::Instant;

use assay_kernels::{
    Activation, AdamW, Rotary, activate, activate_plain, adamw, adamw_plain,
    cross_entropy, cross_entropy_plain, embedding, embedding_plain, exp,
    exp_plain, gated, gated_plain, layer_norm, layer_norm_plain, pow,
    pow_plain, pow_scalar, pow_scalar_plain, rms_norm, rms_norm_plain, rotary,
    rotary_plain,
};
use burn::Tensor;
use burn::tensor::{Device, Distribution, Int, TensorData};

/// One rung: a name and a run that takes its own time, in seconds.
type Rung<'a> = (&'a str, Box<dyn FnMut() -> f64 + 'a>);

/// Times `run` on what `make` makes, outside of the clock.
fn rung<'a, I, O>(
    name: &'a str,
    make: impl Fn() -> I + 'a,
    run: impl Fn(I) -> O + 'a,
) -> Rung<'a> {
    let time = move || {
        let input = make();
        let start = Instant::now();
        let output = run(input);
        let seconds = start.elapsed().as_secs_f64();
        black_box(output);
        seconds
    };
    (name, Box::new(time))
}

fn ladder(title: &str, mut rungs: Vec<Rung<'_>>) {
    let mut times = vec![Vec::new(); rungs.len()];
    for _ in 0..25 {
        for ((_, run), times) in rungs.iter_mut().zip(&mut times) {
            times.push(run());
        }
    }
    print!("{title:<34}");
    let mut first = None;
    for ((name, _), times) in rungs.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        let median = times[times.len() / 2];
        let stock = *first.get_or_insert(median);
        print!("  {name} {:.4} ({:.1}x)", median * 1e3, stock / median);
    }
    println!();
}

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(-2.0, 2.0), device)
}

/// A copy with storage of its own.
fn own<const D: usize>(x: &Tensor<D>) -> Tensor<D> {
    x.clone() * 1.0
}

/// Stock, the kernel on a tensor that is held elsewhere, and in place.
fn forward<const D: usize>(
    title: &str,
    x: &Tensor<D>,
    plain: impl Fn(Tensor<D>) -> Tensor<D>,
    fast: impl Fn(Tensor<D>) -> Tensor<D>,
) {
    ladder(
        title,
        vec![
            rung("stock", || x.clone(), &plain),
            rung("stock, own", || own(x), &plain),
            rung("fused", || x.clone(), &fast),
            rung("in place", || own(x), &fast),
        ],
    );
}

/// Forward and backward together, of the sum of `y`.
fn training<const D: usize>(
    title: &str,
    x: &Tensor<D>,
    plain: impl Fn(Tensor<D>) -> Tensor<D>,
    fast: impl Fn(Tensor<D>) -> Tensor<D>,
) {
    let device = x.device().autodiff();
    let leaf =
        || Tensor::<D>::from_inner(own(x)).to_device(&device).require_grad();
    ladder(
        title,
        vec![
            rung("stock", leaf, |x| plain(x).sum().backward()),
            rung("fused", leaf, |x| fast(x).sum().backward()),
        ],
    );
}

fn main() {
    let device = Device::flex();
    let tracked = device.clone().autodiff();
    let only = std::env::args().nth(1);
    let asked = |name: &str| only.as_deref().is_none_or(|only| only == name);

    for rows in [1, 32, 512] {
        if !asked("norm") {
            break;
        }
        let x = random([rows, 1024], &device);
        let gamma = random([1024], &device);
        let stock = |x| {
            burn::tensor::module::layer_norm(
                x,
                gamma.clone(),
                Some(gamma.clone()),
                1e-5,
            )
        };
        forward(&format!("layer_norm {rows} x 1024"), &x, stock, |x| {
            layer_norm(x, gamma.clone(), Some(gamma.clone()), 1e-5)
        });
        forward(
            &format!("rms_norm {rows} x 1024"),
            &x,
            |x| rms_norm_plain(x, gamma.clone(), 1e-5),
            |x| rms_norm(x, gamma.clone(), 1e-5),
        );
        let gamma = Tensor::<1>::from_inner(gamma.clone())
            .to_device(&tracked)
            .require_grad();
        let beta = || Some(gamma.clone());
        training(
            &format!("layer_norm training {rows} x 1024"),
            &x,
            |x| layer_norm_plain(x, gamma.clone(), beta(), 1e-5),
            |x| layer_norm(x, gamma.clone(), beta(), 1e-5),
        );
        training(
            &format!("rms_norm training {rows} x 1024"),
            &x,
            |x| rms_norm_plain(x, gamma.clone(), 1e-5),
            |x| rms_norm(x, gamma.clone(), 1e-5),
        );
    }

    for tokens in [1, 128] {
        if !asked("rotary") {
            break;
        }
        let tables = Rotary::new(10_000.0, 64, 512);
        let x = random([1, tokens, 16, 64], &device);
        forward(
            &format!("rotary 1 x {tokens} x 16 x 64"),
            &x,
            |x| rotary_plain(x, &tables, 9),
            |x| rotary(x, &tables, 9),
        );
        training(
            &format!("rotary training {tokens}"),
            &x,
            |x| rotary_plain(x, &tables, 9),
            |x| rotary(x, &tables, 9),
        );
    }

    for tokens in [1, 128] {
        if !asked("activation") {
            break;
        }
        let x = random([tokens, 4096], &device);
        for activation in [
            Activation::Relu,
            Activation::Gelu,
            Activation::GeluTanh,
            Activation::Silu,
            Activation::Tanh,
        ] {
            forward(
                &format!("{activation:?} {tokens} x 4096"),
                &x,
                |x| activate_plain(x, activation),
                |x| activate(x, activation),
            );
            training(
                &format!("{activation:?} training {tokens} x 4096"),
                &x,
                |x| activate_plain(x, activation),
                |x| activate(x, activation),
            );
        }
        let up = random([tokens, 4096], &device);
        forward(
            &format!("gated silu {tokens} x 4096"),
            &x,
            |x| gated_plain(x, up.clone(), Activation::Silu),
            |x| gated(x, up.clone(), Activation::Silu),
        );
        let up = Tensor::<2>::from_inner(up.clone())
            .to_device(&tracked)
            .require_grad();
        training(
            &format!("gated silu training {tokens} x 4096"),
            &x,
            |x| gated_plain(x, up.clone(), Activation::Silu),
            |x| gated(x, up.clone(), Activation::Silu),
        );
    }

    if asked("cross_entropy") {
        let x = random([128, 32_000], &device);
        let targets: Vec<i64> = (0..128).map(|i| i * 249).collect();
        let targets = TensorData::new(targets, [128]);
        let targets = Tensor::<1, Int>::from_data(targets, &device);
        ladder(
            "cross_entropy 128 x 32000",
            vec![
                rung(
                    "stock",
                    || x.clone(),
                    |x| cross_entropy_plain(x, targets.clone()),
                ),
                rung(
                    "fused",
                    || x.clone(),
                    |x| cross_entropy(x, targets.clone()),
                ),
            ],
        );
        let targets = targets.clone().to_device(&tracked);
        let leaf = || {
            Tensor::<2>::from_inner(own(&x)).to_device(&tracked).require_grad()
        };
        ladder(
            "cross_entropy training 128 x 32000",
            vec![
                rung("stock", leaf, |x| {
                    cross_entropy_plain(x, targets.clone()).backward()
                }),
                rung("fused", leaf, |x| {
                    cross_entropy(x, targets.clone()).backward()
                }),
            ],
        );
    }

    for size in [[1, 1024], [1024, 4096]] {
        if !asked("adamw") {
            break;
        }
        let x: Tensor<2> = random(size, &device).abs();
        let config = AdamW::default();
        let make = || (own(&x), own(&x), own(&x), own(&x));
        ladder(
            &format!("adamw {} x {}", size[0], size[1]),
            vec![
                rung("stock", make, |(p, g, m, v)| {
                    adamw_plain(p, g, m, v, &config, 3)
                }),
                rung("in place", make, |(p, g, m, v)| {
                    adamw(p, g, m, v, &config, 3)
                }),
            ],
        );
    }

    for tokens in [1, 128, 1024] {
        if !asked("embedding") {
            break;
        }
        let table = random([32_000, 256], &device);
        let ids: Vec<i64> = (0..tokens).map(|i| i * 7919 % 32_000).collect();
        let ids = TensorData::new(ids, [1, tokens as usize]);
        let ids = Tensor::<2, Int>::from_data(ids, &device);
        ladder(
            &format!("embedding {tokens} of 32000 x 256"),
            vec![
                rung(
                    "stock",
                    || ids.clone(),
                    |ids| embedding_plain(table.clone(), ids),
                ),
                rung(
                    "fused",
                    || ids.clone(),
                    |ids| embedding(table.clone(), ids),
                ),
            ],
        );
        let table = Tensor::<2>::from_inner(table.clone())
            .to_device(&tracked)
            .require_grad();
        let ids = ids.to_device(&tracked);
        ladder(
            &format!("embedding training {tokens}"),
            vec![
                rung(
                    "stock",
                    || ids.clone(),
                    |ids| embedding_plain(table.clone(), ids).sum().backward(),
                ),
                rung(
                    "fused",
                    || ids.clone(),
                    |ids| embedding(table.clone(), ids).sum().backward(),
                ),
            ],
        );
    }

    if asked("elementwise") {
        let a: Tensor<2> = random([1024, 1024], &device).abs() + 0.1;
        let b = a.clone() + 0.5;
        let stock = |title, run: &dyn Fn(Tensor<2>) -> Tensor<2>| {
            ladder(
                title,
                vec![
                    rung("held", || a.clone(), run),
                    rung("own", || own(&a), run),
                ],
            );
        };
        stock("stock add 1024 x 1024", &|x| x + b.clone());
        stock("stock mul", &|x| x * b.clone());
        stock("stock div", &|x| x / b.clone());
        stock("stock mul scalar", &|x| x * 1.5);
        forward("exp 1024 x 1024", &a, exp_plain, exp);
        forward(
            "pow scalar 1024 x 1024",
            &a,
            |x| pow_scalar_plain(x, 2.5),
            |x| pow_scalar(x, 2.5),
        );
        forward(
            "pow 1024 x 1024",
            &a,
            |x| pow_plain(x, b.clone()),
            |x| pow(x, b.clone()),
        );
        forward(
            "tanh 1024 x 1024",
            &a,
            |x| activate_plain(x, Activation::Tanh),
            |x| activate(x, Activation::Tanh),
        );
    }
}
