//! Fused attention: many queries (prefill) and one (decode).

use assay_trace::causal_pairs;

use super::common::{CacheTest, floor, memory_rate, overlap, sustained};
use super::constants;
use crate::ceilings::Ceilings;
use crate::kernels::Kernel;
use crate::target::Times;

constants!(PrefillConstants:
    ec, em, em_gddr, launch_us, o_mul, o_kc, sfu, tail, fill, token, pj, pj_years,
    power, host_us,
);

constants!(DecodeConstants:
    em, em_gddr, launch_us, o_mul, o_kc, feed, cut, wave, ec, l2use, l2x, l2sharp,
    host_us,
);

/// Rows of queries and of keys that one block works on.
const BLOCK: f64 = 128.0;

/// Fused kernels are built for heads of multiples of this (FlashAttention-2
/// 2.6.3, `csrc/flash_attn/src/static_switch.h`: 32, 64, 96, 128, 160, 192,
/// 224, 256), and a head of another width runs as one of the next: 40 as 64.
const HEAD_STEP: u64 = 32;

/// The width at which a fused kernel of the matrix unit computes heads.
fn padded_head(head_dim: u64) -> u64 {
    head_dim.next_multiple_of(HEAD_STEP)
}

/// The shape of an attention.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) batch: u64,
    pub(crate) heads: u64,
    pub(crate) kv_heads: u64,
    pub(crate) head_dim: u64,
    pub(crate) query: u64,
    pub(crate) keys: u64,
    pub(crate) causal: bool,
}

/// Blocks of queries over blocks of keys; the probabilities never leave the
/// core. A causal block row ends at its diagonal, so whole blocks are counted;
/// on the matrix unit whole head steps too.
pub(crate) fn prefill(
    k: &PrefillConstants,
    c: &Ceilings,
    shape: Shape,
    kernel: &Kernel,
) -> Times {
    let f = |n: u64| n as f64;
    let pairs = if shape.causal {
        f(causal_pairs(shape.query, shape.keys))
    } else {
        f(shape.query) * f(shape.keys)
    };
    let lanes = f(shape.batch) * f(shape.heads);
    let (rows, columns) =
        ((f(shape.query) / BLOCK).ceil(), (f(shape.keys) / BLOCK).ceil());
    let blocks = if shape.causal {
        // The last row of blocks sees all columns, each above one less.
        let least = (columns - rows + 1.0).max(1.0);
        rows * (least + columns) / 2.0
    } else {
        rows * columns
    };
    // A backward pass does the forward's products and more.
    let forward = 4.0 * f(shape.head_dim) * pairs * lanes;
    let passes = (kernel.flops / forward.max(1.0)).max(1.0);
    let width = if c.on_matrix_unit {
        padded_head(shape.head_dim)
    } else {
        shape.head_dim
    };
    let block = 4.0 * f(width) * BLOCK * BLOCK * passes;
    let core =
        k.ec * c.peak * sustained(k.pj, k.pj_years, k.power, c) / c.cores;
    let work = block * blocks * lanes / core / c.cores;
    let longest = k.tail * block * columns / core;
    let compute = work.hypot(longest);
    let special = k.sfu * pairs * lanes * passes / (c.cores * c.clock);
    let memory = kernel.bytes() / memory_rate(k.em, k.em_gddr, c);
    // Several sequences lie in pages, and their tokens are put in place.
    let placed = if shape.batch > 1 {
        k.token * f(shape.batch) * f(shape.query) / c.clock
    } else {
        0.0
    };
    let total = overlap(compute, memory, special)
        + k.fill * 2.0 * columns / c.clock
        + placed;
    Times::held_by(
        total,
        compute.max(special),
        memory,
        floor(k.launch_us, k.o_mul, k.o_kc, c),
    )
}

/// One query a row: the keys and values stream past. Too few groups of heads
/// for the cores are cut in parts of `cut` keys, unless the architecture's
/// kernels leave heads that share no keys whole; more run in waves, whose last
/// leaves cores idle.
pub(crate) fn decode(
    k: &DecodeConstants,
    c: &Ceilings,
    shape: Shape,
    kernel: &Kernel,
) -> Times {
    let f = |n: u64| n as f64;
    let keys = f(shape.keys);
    let groups = f(shape.batch) * f(shape.kv_heads);
    let cut = shape.heads > shape.kv_heads || c.cuts_unshared;
    let parts = groups * if cut { (keys / k.cut).ceil().max(1.0) } else { 1.0 };
    let waves = (groups / c.cores).max(1.0);
    let uneven = waves.ceil() / waves;
    let rate = memory_rate(k.em, k.em_gddr, c);
    let test = CacheTest { used: k.l2use, sharpness: k.l2sharp, times: k.l2x };
    let bytes = kernel.bytes();
    let pulled = bytes / (k.feed * c.clock * parts.min(c.cores));
    let memory = test.seconds(bytes, rate, c).max(pulled)
        * (1.0 + k.wave * (uneven - 1.0));
    // Four of the matrix unit's rows in five stand idle for one query.
    let compute = kernel.flops * 4.0 / (k.ec * c.peak);
    let total = overlap(memory, compute, 0.0);
    Times::held_by(
        total,
        compute,
        memory,
        floor(k.launch_us, k.o_mul, k.o_kc, c),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_computed_at_the_width_of_the_next_kernel() {
        let widths =
            [(8, 32), (32, 32), (40, 64), (64, 64), (80, 96), (160, 160)];
        for (head, wide) in widths {
            assert_eq!(padded_head(head), wide);
        }
    }
}
