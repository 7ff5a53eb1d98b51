//! Classes that move bytes: element-wise operators, softmax, norms, lookups.
//! Bytes over the reachable bandwidth with the cache test, special functions
//! in core cycles an element, and the kernel's floor.

use assay_trace::{Elementwise, OperatorKind};

use super::common::{CacheTest, floor, memory_rate, overlap};
use super::constants;
use crate::ceilings::Ceilings;
use crate::kernels::Kernel;
use crate::target::Times;

constants!(ElementwiseConstants:
    em, em_gddr, launch_us, o_mul, o_kc, l2use, l2x, l2sharp, sfu, binary, pow,
    host_us,
);

constants!(RowConstants:
    em, em_gddr, launch_us, o_mul, o_kc, l2use, l2x, l2sharp, sfu, again, always, row,
    row_us, host_us,
);

constants!(EmbeddingConstants:
    em, em_gddr, launch_us, o_mul, o_kc, gather, cycles, host_us,
);

/// Element-wise operators, and all other kinds that only move data.
pub(crate) fn elementwise(
    k: &ElementwiseConstants,
    c: &Ceilings,
    kernel: &Kernel,
) -> Times {
    let (mut special, mut operands) = (0.0, 1);
    if let OperatorKind::Elementwise { op, elements, operands: n } = kernel.kind
    {
        operands = n;
        special = elements as f64
            * match op {
                Elementwise::Pow => k.pow,
                Elementwise::Gelu
                | Elementwise::Tanh
                | Elementwise::Silu
                | Elementwise::Sigmoid
                | Elementwise::Gated
                | Elementwise::Exp
                | Elementwise::Log
                | Elementwise::Trigonometric => 1.0,
                _ => 0.0,
            };
    }
    let rate = memory_rate(k.em, k.em_gddr, c);
    let test = CacheTest { used: k.l2use, sharpness: k.l2sharp, times: k.l2x };
    let bytes = kernel.bytes() * if operands > 1 { k.binary } else { 1.0 };
    let memory = test.seconds(bytes, rate, c);
    let arithmetic =
        k.sfu * special / (c.cores * c.clock) + kernel.fused_flops / c.vector;
    let total = overlap(memory, arithmetic, 0.0);
    Times::held_by(
        total,
        arithmetic,
        memory,
        floor(k.launch_us, k.o_mul, k.o_kc, c),
    )
}

/// Softmax and norms over `rows` rows of `cols`: read and written once, and
/// read `always` + `again` times more, the latter as far as the rows in
/// flight (one a core) outgrow the last-level cache.
pub(crate) fn rows(
    k: &RowConstants,
    c: &Ceilings,
    rows: f64,
    cols: f64,
    kernel: &Kernel,
) -> Times {
    let rate = memory_rate(k.em, k.em_gddr, c);
    let test = CacheTest { used: k.l2use, sharpness: k.l2sharp, times: k.l2x };
    let row = cols * c.precision.activation_bytes();
    let in_flight = c.cores * row / c.cache;
    let long =
        ((in_flight.max(1e-9) / k.row).log2() / 2.0 + 0.5).clamp(0.0, 1.0);
    let bytes = kernel.bytes() + rows * row * (k.always + k.again * long);
    let memory = test.seconds(bytes, rate, c);
    let arithmetic = k.sfu * rows * cols / (c.cores * c.clock)
        + kernel.fused_flops / c.vector;
    let total = overlap(memory, arithmetic, 0.0);
    let overhead = floor(k.launch_us, k.o_mul, k.o_kc, c)
        + k.row_us * 1e-6 * rows / (c.cores * 32.0);
    Times::held_by(total, arithmetic, memory, overhead)
}

/// Rows picked from a table: bound by the cores' cycles an element, not by
/// bandwidth (0.47 to 0.58 elements a core cycle on three devices).
pub(crate) fn embedding(
    k: &EmbeddingConstants,
    c: &Ceilings,
    elements: f64,
    kernel: &Kernel,
) -> Times {
    let rate = memory_rate(k.em, k.em_gddr, c);
    let memory = k.gather * kernel.bytes() / rate;
    let arithmetic = k.cycles * elements / (c.cores * c.clock);
    let total = overlap(memory, arithmetic, 0.0);
    Times::held_by(
        total,
        arithmetic,
        memory,
        floor(k.launch_us, k.o_mul, k.o_kc, c),
    )
}
