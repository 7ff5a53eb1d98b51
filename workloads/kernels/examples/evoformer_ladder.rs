//! The ladder of the Evoformer's kernels: median milliseconds of each kernel
//! and of its plain twin, forward, and forward and backward, in interleaved
//! runs. With `RAYON_NUM_THREADS=1` before it, the rungs below threads. An
//! argument picks one family of [`FAMILIES`], a second those of its ladders
//! whose title has it.
//!
//! `cargo run --release -p assay-kernels --example evoformer_ladder softmax`
//!
//! Fresh pages cost more than some kernels here, so let the allocator keep its
//! memory, as one that recycles would:
//! `MALLOC_TRIM_THRESHOLD_=40000000000 MALLOC_MMAP_THRESHOLD_=40000000000`.

#![allow(clippy::print_stdout, reason = "its output is the figures")]

use std::hint::black_box;
use std::time::Instant;

use assay_kernels::{
    Dropped, Shared, biased_softmax, biased_softmax_plain, gated_planes,
    gated_planes_plain, layer_norm, outer_product_mean,
    outer_product_mean_plain, plane_norm, plane_norm_plain, residual_add,
    residual_add_plain,
};
use burn::Tensor;
use burn::nn::LayerNormConfig;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Distribution};

/// A family of kernels by name: prints its ladders on one device, of which the
/// second is tracked.
type Family = (&'static str, fn(&Device, &Device));

/// All of them.
const FAMILIES: [Family; 6] = [
    ("softmax", softmaxes),
    ("layer_norm", layer_norms),
    ("outer_product", outer_products),
    ("gated_planes", gates),
    ("plane_norm", norms),
    ("residual", residuals),
];

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

/// Medians of `rounds` runs in turn, the least beside them for a machine that
/// others use too, and the median against the first rung's.
fn ladder(title: &str, rounds: usize, mut rungs: Vec<Rung<'_>>) {
    if std::env::args().nth(2).is_some_and(|part| !title.contains(&part)) {
        return;
    }
    let mut times = vec![Vec::new(); rungs.len()];
    for _ in 0..rounds {
        for ((_, run), times) in rungs.iter_mut().zip(&mut times) {
            times.push(run());
        }
    }
    println!("{title}: median, least, gain");
    let mut first = None;
    for ((name, _), times) in rungs.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        let (median, least) = (times[times.len() / 2], times[0]);
        let gain = *first.get_or_insert(median) / median;
        let (median, least) = (median * 1e3, least * 1e3);
        println!("    {name:<22} {median:>9.2} ms {least:>9.2} ms {gain:>6.2}");
    }
}

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), device)
}

/// A copy with storage of its own.
fn own<const D: usize>(x: &Tensor<D>) -> Tensor<D> {
    x.clone() * 1.0
}

/// A leaf on the tracked device, with storage of its own.
fn leaf<const D: usize>(x: &Tensor<D>, tracked: &Device) -> Tensor<D> {
    Tensor::<D>::from_inner(own(x)).to_device(tracked).require_grad()
}

/// A softmax with all that stands before it.
type Softmax = fn(Tensor<4>, f32, Tensor<2>, Option<Tensor<3>>) -> Tensor<4>;

/// The logits of row attention, of triangle attention, and smaller ones.
fn softmaxes(device: &Device, tracked: &Device) {
    for [outer, heads, length] in [[128, 8, 256], [256, 4, 256], [64, 8, 128]] {
        let shape = [outer, heads, length, length];
        let rounds = if length > 128 { 7 } else { 15 };
        let x = random(shape, device);
        let bias = random([heads, length, length], device);
        let mask = Tensor::<2>::ones([outer, length], device);
        let of = |f: Softmax| {
            let (mask, bias) = (mask.clone(), bias.clone());
            move |x| f(x, 0.18, mask.clone(), Some(bias.clone()))
        };
        ladder(
            &format!("biased_softmax {shape:?}"),
            rounds,
            vec![
                rung("plain", || own(&x), of(biased_softmax_plain)),
                rung("fused", || x.clone(), of(biased_softmax)),
                rung("fused in place", || own(&x), of(biased_softmax)),
                rung("stock softmax alone", || x.clone(), |x| softmax(x, 3)),
            ],
        );
        let mask = mask.clone().to_device(tracked);
        // Not a leaf: logits are a product's, so nobody else holds them.
        let make = || (leaf(&x, tracked) * 1.0, leaf(&bias, tracked));
        // The factor makes the gradient a tensor of its own, as that of a
        // product is; the last rung is what it costs.
        let back = |y: Tensor<4>| (y * 0.5).sum().backward();
        let of = |f: Softmax| {
            let mask = mask.clone();
            move |(x, bias)| back(f(x, 0.18, mask.clone(), Some(bias)))
        };
        ladder(
            &format!("biased_softmax forward and backward {shape:?}"),
            rounds,
            vec![
                rung("plain", make, of(biased_softmax_plain)),
                rung("fused", make, of(biased_softmax)),
                rung("stock softmax alone", make, |(x, _)| back(softmax(x, 3))),
                rung("no softmax", make, |(x, _)| back(x)),
            ],
        );
    }
}

/// The MSA and the pair representation: out of place, as a residual stream
/// is still needed.
fn layer_norms(device: &Device, tracked: &Device) {
    for shape in
        [[64, 128, 256], [128, 256, 256], [128, 128, 128], [256, 256, 128]]
    {
        let [_, _, width] = shape;
        let x = random(shape, device);
        let (gain, offset) = (random([width], device), random([width], device));
        let stock = LayerNormConfig::new(width).init(device);
        let tracked_stock = LayerNormConfig::new(width).init(tracked);
        let rounds = 25;
        ladder(
            &format!("layer_norm {shape:?}"),
            rounds,
            vec![
                rung("stock", || x.clone(), |x| stock.forward(x)),
                rung(
                    "fused",
                    || x.clone(),
                    |x| {
                        let offset = Some(offset.clone());
                        layer_norm(x, gain.clone(), offset, 1e-5)
                    },
                ),
            ],
        );
        let make = || {
            let (gain, offset) = (leaf(&gain, tracked), leaf(&offset, tracked));
            (leaf(&x, tracked), gain, offset)
        };
        ladder(
            &format!("layer_norm forward and backward {shape:?}"),
            rounds,
            vec![
                rung("stock", make, |(x, _, _)| {
                    tracked_stock.forward(x).sum().backward()
                }),
                rung("fused", make, |(x, gain, offset)| {
                    layer_norm(x, gain, Some(offset), 1e-5).sum().backward()
                }),
            ],
        );
    }
}

/// The published sizes and smaller ones: [S, R], 32 and 128 channels.
fn outer_products(device: &Device, tracked: &Device) {
    for [sequences, residues] in [[32, 64], [64, 128], [128, 256]] {
        let factor = [sequences, residues, 32];
        let (left, right) = (random(factor, device), random(factor, device));
        let weight = random([128, 1024], device);
        let bias = random([128], device);
        let norm = random([residues, residues], device) + sequences as f32;
        let all = || {
            let (weight, bias) = (weight.clone(), bias.clone());
            (left.clone(), right.clone(), weight, bias, norm.clone())
        };
        let rounds = if residues > 128 { 7 } else { 15 };
        ladder(
            &format!("outer_product_mean {sequences} x {residues}"),
            rounds,
            vec![
                rung("plain", all, |(a, b, w, c, n)| {
                    outer_product_mean_plain(a, b, w, c, n)
                }),
                rung("fused", all, |(a, b, w, c, n)| {
                    outer_product_mean(a, b, w, c, n)
                }),
            ],
        );
        let leaves = || {
            (
                leaf(&left, tracked),
                leaf(&right, tracked),
                leaf(&weight, tracked),
                leaf(&bias, tracked),
                norm.clone().to_device(tracked),
            )
        };
        ladder(
            &format!(
                "outer_product_mean forward and backward \
                 {sequences} x {residues}"
            ),
            rounds,
            vec![
                rung("plain", leaves, |(a, b, w, c, n)| {
                    outer_product_mean_plain(a, b, w, c, n).sum().backward()
                }),
                rung("fused", leaves, |(a, b, w, c, n)| {
                    outer_product_mean(a, b, w, c, n).sum().backward()
                }),
            ],
        );
    }
}

/// The merged projection of a triangle multiplication, whose last channels
/// are the output gate's. The copy is what one pass costs that reads and
/// writes as much.
fn gates(device: &Device, tracked: &Device) {
    type Gates = fn(Tensor<3>, Tensor<2>, usize, usize) -> Tensor<3>;
    for residues in [64, 256] {
        let c = 128;
        let shape = [residues, residues, 5 * c];
        let packed = random(shape, device);
        let mask = Tensor::<2>::ones([residues, residues], device);
        let rounds = if residues > 128 { 9 } else { 25 };
        let planes = random([3 * c, residues, residues], device);
        let of = |f: Gates| {
            let mask = mask.clone();
            move |x| f(x, mask.clone(), c, 2)
        };
        ladder(
            &format!("gated_planes {shape:?}"),
            rounds,
            vec![
                rung("plain", || packed.clone(), of(gated_planes_plain)),
                rung("fused", || packed.clone(), of(gated_planes)),
                rung("copy", || planes.clone(), |x| x * 1.5),
            ],
        );
        let mask = mask.clone().to_device(tracked);
        let make = || leaf(&packed, tracked);
        let back = |y: Tensor<3>| (y * 0.5).sum().backward();
        let of = |f: Gates| {
            let mask = mask.clone();
            move |x| back(f(x, mask.clone(), c, 2))
        };
        let planes = || leaf(&planes, tracked).narrow(0, 0, 2 * c);
        ladder(
            &format!("gated_planes forward and backward {shape:?}"),
            rounds,
            vec![
                rung("plain", make, of(gated_planes_plain)),
                rung("fused", make, of(gated_planes)),
                rung("no gates", planes, back),
            ],
        );
    }
}

/// The products of a triangle multiplication; the copy as above.
fn norms(device: &Device, tracked: &Device) {
    type Norm = fn(Tensor<3>, Tensor<1>, Tensor<1>, f32) -> Tensor<3>;
    for residues in [64, 256] {
        let shape = [128, residues, residues];
        let x = random(shape, device);
        let gamma = random([128], device);
        let rounds = if residues > 128 { 9 } else { 25 };
        let of = |f: Norm| {
            let gamma = gamma.clone();
            move |x| f(x, gamma.clone(), gamma.clone(), 1e-5)
        };
        ladder(
            &format!("plane_norm {shape:?}"),
            rounds,
            vec![
                rung("plain", || x.clone(), of(plane_norm_plain)),
                rung("fused", || x.clone(), of(plane_norm)),
                rung("copy", || x.clone(), |x| x * 1.5),
            ],
        );
        let gamma = leaf(&gamma, tracked);
        let make = || leaf(&x, tracked);
        let back = |y: Tensor<3>| (y * 0.5).sum().backward();
        let of = |f: Norm| {
            let gamma = gamma.clone();
            move |x| back(f(x, gamma.clone(), gamma.clone(), 1e-5))
        };
        ladder(
            &format!("plane_norm forward and backward {shape:?}"),
            rounds,
            vec![
                rung("plain", make, of(plane_norm_plain)),
                rung("fused", make, of(plane_norm)),
                rung("no norm", make, back),
            ],
        );
    }
}

/// Pairs with a gate that is the tail of a merged projection, and an MSA
/// without one.
fn residuals(device: &Device, tracked: &Device) {
    type Add = fn(
        Tensor<3>,
        Tensor<3>,
        Option<Tensor<3>>,
        Option<Dropped>,
    ) -> Tensor<3>;
    for (shape, gated) in [
        ([64, 64, 128], true),
        ([256, 256, 128], true),
        ([128, 256, 256], false),
    ] {
        let (residual, update) = (random(shape, device), random(shape, device));
        let [x, y, c] = shape;
        let packed = random([x, y, 5 * c], device);
        let gate = gated.then(|| packed.narrow(2, 4 * c, c));
        let rounds = if y > 128 { 9 } else { 25 };
        let shared = Shared::Rows;
        for rate in [None, Some(0.25)] {
            let dropped = rate.map(|rate| Dropped { rate, seed: 1, shared });
            let of = |f: Add| {
                let (update, gate) = (update.clone(), gate.clone());
                move |x| f(x, update.clone(), gate.clone(), dropped)
            };
            ladder(
                &format!("residual_add {shape:?}, gate {gated}, drop {rate:?}"),
                rounds,
                vec![
                    rung("plain", || own(&residual), of(residual_add_plain)),
                    rung("fused", || residual.clone(), of(residual_add)),
                    rung("fused in place", || own(&residual), of(residual_add)),
                    rung("addition", || own(&residual), |x| x + update.clone()),
                ],
            );
            let gate = gate.as_ref().map(|gate| leaf(gate, tracked));
            let make = || {
                let update = leaf(&update, tracked) * 1.0;
                (leaf(&residual, tracked), update, gate.clone())
            };
            let back = |y: Tensor<3>| (y * 0.5).sum().backward();
            let of = |f: Add| move |(x, u, g)| back(f(x, u, g, dropped));
            ladder(
                &format!("forward and backward, gate {gated}, drop {rate:?}"),
                rounds,
                vec![
                    rung("plain", make, of(residual_add_plain)),
                    rung("fused", make, of(residual_add)),
                    rung("addition", make, |(x, u, _)| back(x + u)),
                ],
            );
        }
    }
}

fn main() {
    let device = Device::flex();
    let tracked = device.clone().autodiff();
    let only = std::env::args().nth(1);
    for (name, run) in FAMILIES {
        if only.as_deref().is_none_or(|only| only == name) {
            run(&device, &tracked);
        }
    }
}
