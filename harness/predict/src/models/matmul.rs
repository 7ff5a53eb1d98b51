//! Matrix products: tiles, waves, split-K, the feed from the last-level cache
//! and from memory (`predictors.md` section 2; the same form serves the
//! matrix unit and the vector lanes with constants of their own).

use assay_schema::Precision;

use super::common::{CacheTest, floor, memory_rate, overlap, sustained};
use super::constants;
use crate::ceilings::Ceilings;
use crate::kernels::Kernel;
use crate::target::Times;

constants!(MatmulConstants:
    ec, em, em_gddr, launch_us, o_mul, o_kc, kappa, l2use, l2x, l2sharp, half, bwsat,
    split_us, fill, drain, wave, pj, pj_years, power, feed, ec_opc, half_opc, kappa_opc,
    narrow, quantise,
    o_narrow_kc, o_weight_kc, dequant, alone_us,
    host_us,
);

/// Tiles of the matrix unit's kernels, rows by columns.
const MATRIX_TILES: [(f64, f64); 12] = [
    (256.0, 128.0),
    (128.0, 256.0),
    (128.0, 128.0),
    (128.0, 64.0),
    (64.0, 128.0),
    (64.0, 64.0),
    (256.0, 64.0),
    (64.0, 256.0),
    (32.0, 64.0),
    (32.0, 128.0),
    (16.0, 64.0),
    (16.0, 128.0),
];

/// Tiles of kernels on vector lanes, rows by columns. Those of at most
/// [`THIN_TILE`] rows are for products of no more rows than the tile has.
const VECTOR_TILES: [(f64, f64); 9] = [
    (256.0, 128.0),
    (128.0, 256.0),
    (128.0, 128.0),
    (128.0, 64.0),
    (64.0, 128.0),
    (64.0, 64.0),
    (128.0, 32.0),
    (32.0, 128.0),
    (32.0, 32.0),
];

/// Libraries cut more rows than this into tiles of at least twice as many:
/// batched f32 products of 96 rows take about as long as of 128
/// (docs/prediction-fits.md says on which devices).
const THIN_TILE: f64 = 32.0;

/// In how many parts the inner dimension is cut.
const SPLITS: [f64; 5] = [1.0, 2.0, 4.0, 8.0, 16.0];

/// The inner dimension is padded to this on the matrix unit, and on lanes.
const MATRIX_STEP: f64 = 32.0;
const VECTOR_STEP: f64 = 16.0;

/// A part of a split product is at least this deep.
const LEAST_DEPTH: f64 = 64.0;

/// `batch` products `[m, k] x [k, n]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product {
    pub(crate) batch: f64,
    pub(crate) m: f64,
    pub(crate) n: f64,
    pub(crate) k: f64,
}

/// Seconds of a product: the best of the tile menu and the splits.
pub(crate) fn times(
    k: &MatmulConstants,
    c: &Ceilings,
    product: Product,
    kernel: &Kernel,
) -> Times {
    let Product { batch, m, n, k: inner } = product;
    let precision = c.precision;
    let activation = precision.activation_bytes();
    let weight = if precision.is_weight_only() {
        precision.weight_bits() / 8.0
    } else {
        activation
    };
    let narrow = precision.compute().weight_bits() <= 8.0;
    // Wider cores are harder to fill.
    let width = c.peak / (c.cores * c.clock) / 256.0;
    let scaled = |value: f64, exponent: f64| {
        if exponent == 0.0 { value } else { value * width.powf(exponent) }
    };
    let ec = scaled(k.ec, k.ec_opc).min(1.0);
    let half = scaled(k.half, k.half_opc);
    let kappa = scaled(k.kappa, k.kappa_opc);
    // What a higher peak loses to its power and to shares that shrink with it
    // is at most all of it: it never makes a product slower.
    let power = k.power.min(1.0 + k.ec_opc.min(0.0) - k.half_opc.max(0.0));
    let reach = ec * sustained(k.pj, k.pj_years, power, c);
    let peak = reach * c.peak * if narrow { k.narrow } else { 1.0 };
    let rate = memory_rate(k.em, k.em_gddr, c);
    let test = CacheTest { used: k.l2use, sharpness: k.l2sharp, times: k.l2x };
    let memory = test.seconds(kernel.bytes(), rate, c);
    let per_core = c.cores / peak;
    let feed = 1.0 / (kappa * c.fed);
    let cycle = 1.0 / c.clock;
    let partial = 8.0 * batch * m * n / rate;
    let (menu, step): (&[(f64, f64)], f64) = if c.on_matrix_unit {
        (&MATRIX_TILES, MATRIX_STEP)
    } else {
        (&VECTOR_TILES, VECTOR_STEP)
    };
    // A tile's first loads and last stores run beside another's arithmetic: a
    // short inner dimension is paid for as a longer one.
    let depths = SPLITS.map(|split| {
        let depth = step * (inner / split / step).ceil();
        (depth, overlap(depth, k.drain, 0.0))
    });
    let mut best = (f64::INFINITY, 0.0, 0.0);
    for &(tm, tn) in menu {
        if !c.on_matrix_unit && tm <= THIN_TILE && m > tm {
            continue;
        }
        let tiles = batch * (m / tm).ceil() * (n / tn).ceil();
        let slow = (tm * tn / (tm + tn) / half).min(1.0);
        let operands = tm * activation + tn * weight;
        for (&split, &(depth, paid)) in SPLITS.iter().zip(&depths) {
            if split > 1.0 && inner / split < LEAST_DEPTH {
                break;
            }
            let grid = tiles * split;
            let even = grid / c.cores;
            let waves = if even < 1.0 {
                1.0
            } else {
                even + k.wave * (even.ceil() - even)
            };
            let compute = waves * 2.0 * tm * tn * paid * per_core / slow;
            // Too few tiles cannot keep the memory busy.
            let busy = (k.bwsat * even.min(1.0)).min(1.0);
            let pulled = rate / (k.feed * c.clock * grid.min(c.cores));
            let memory = memory * (1.0 / busy).max(pulled);
            let cache = grid * operands * depth * feed;
            let extra = k.fill * depth / 64.0 * cycle
                + if split > 1.0 {
                    k.split_us * 1e-6 + partial * split
                } else {
                    0.0
                };
            if compute.max(memory).max(cache) + extra >= best.0 {
                continue;
            }
            let total = overlap(compute, memory, cache) + extra;
            if total < best.0 {
                best = (total, compute.max(cache), memory);
            }
            // More parts only help while cores stand idle.
            if even >= 2.0 {
                break;
            }
        }
    }
    let (total, compute, memory) = best;
    let extra_kc = if narrow {
        k.o_narrow_kc
    } else if precision == Precision::Int4 {
        // Of kernels that were measured; those of block formats were not.
        k.o_weight_kc
    } else {
        0.0
    };
    let mut overhead = floor(k.launch_us, k.o_mul, k.o_kc + extra_kc, c);
    // What a product fuses runs on the vector lanes as its tile is written.
    let mut arithmetic = kernel.fused_flops / c.vector;
    if precision.is_weight_only() {
        let passes = (m / 128.0).ceil();
        arithmetic += k.dequant * batch * n * inner * passes / c.vector;
    }
    if precision == Precision::Fp8 {
        // Activations are brought to 8 bits by a kernel of their own.
        overhead += k.quantise * batch * m * inner / (c.cores * c.clock);
    }
    Times::held_by(total + arithmetic, compute + arithmetic, memory, overhead)
}
