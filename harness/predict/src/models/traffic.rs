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
    em, em_gddr, launch_us, o_mul, o_kc, l2use, l2x, l2sharp, sfu, single, binary, pow,
    alone_us, host_us,
);

constants!(SoftmaxConstants:
    em, em_gddr, launch_us, o_mul, o_kc, l2use, l2x, l2sharp, sfu, block, block_years,
    ragged, row, alone_us, host_us,
);

constants!(NormConstants:
    em, em_gddr, launch_us, o_mul, o_kc, l2use, l2x, l2sharp, sfu, row, alone_us,
    host_us,
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
    let (mut cycles, mut operands) = (0.0, 1);
    if let OperatorKind::Elementwise { op, elements, operands: n } = kernel.kind
    {
        operands = n;
        let narrow = c.precision.activation_bytes() < 4.0;
        cycles = elements as f64
            * match (op, n) {
                // The engines' own kernels: a gate, a rotary embedding, and a
                // factor, as which cases state the latter.
                (Elementwise::Silu | Elementwise::Gated, 2..)
                | (Elementwise::Rotary, _)
                | (Elementwise::Mul, 1)
                    if narrow =>
                {
                    k.single
                }
                (Elementwise::Pow, _) => k.sfu * k.pow,
                (
                    Elementwise::Gelu
                    | Elementwise::Tanh
                    | Elementwise::Silu
                    | Elementwise::Sigmoid
                    | Elementwise::Gated
                    | Elementwise::Exp
                    | Elementwise::Log
                    | Elementwise::Trigonometric,
                    _,
                ) => k.sfu,
                _ => 0.0,
            };
    }
    let rate = memory_rate(k.em, k.em_gddr, c);
    let test = CacheTest { used: k.l2use, sharpness: k.l2sharp, times: k.l2x };
    let bytes = kernel.bytes() * if operands > 1 { k.binary } else { 1.0 };
    let memory = test.seconds(bytes, rate, c);
    let overhead = floor(k.launch_us, k.o_mul, k.o_kc, c);
    streamed(memory, cycles, c, kernel, overhead)
}

/// Of a stream of `memory` seconds and `cycles` core cycles beside it.
fn streamed(
    memory: f64,
    cycles: f64,
    c: &Ceilings,
    kernel: &Kernel,
    overhead: f64,
) -> Times {
    let arithmetic =
        cycles / (c.cores * c.clock) + kernel.fused_flops / c.vector;
    let total = overlap(memory, arithmetic, 0.0);
    Times::held_by(total, arithmetic, memory, overhead)
}

/// Rows that a warp holds in its registers have at most this many columns
/// (PyTorch, `SoftMax.cu`: from there on a block takes the row).
const IN_REGISTERS: f64 = 1024.0;

/// Threads that a block has at most (CUDA's guide), of which a block of
/// PyTorch's softmax takes half the row's loads to the next power of two, a
/// warp at least (`SoftMax_getBlockSize`).
const BLOCK: f64 = 1024.0;

/// Bytes that a thread loads at a time: the widest load, of 128 bits
/// (`ILP = sizeof(float4) / sizeof(scalar_t)` there).
const LOAD: f64 = 16.0;

/// Threads that share a row of a norm: four warps (PyTorch,
/// `layer_norm_kernel.cu`, the vectorized kernel).
const NORM_BLOCK: f64 = 128.0;

/// Threads of a norm that a core keeps at once, up to the scale of `row`: one
/// number for all. Inferred: with the architectures' own limits, which softmax
/// follows, norms were predicted worse (Turing most), as if their registers
/// bounded them, of which all these cores have the same 64 Ki.
const NORM_THREADS: f64 = 2048.0;

/// Share of a second reading of rows that comes from memory: none while the
/// rows in flight, `blocks` a core and of `bytes` each, are well inside all
/// caches together; half where they are `row` of them; all from twice that on.
fn outgrown(row: f64, c: &Ceilings, blocks: f64, bytes: f64) -> f64 {
    let in_flight = c.cores * blocks * bytes;
    ((in_flight.max(1.0) / (row * c.caches)).log2() / 2.0 + 0.5).clamp(0.0, 1.0)
}

/// Softmax over `rows` rows of `cols`. A row that a warp holds in registers is
/// read and written once. A longer one goes to a block of threads, which reads
/// it three times (maximum, sum, result): again from caches or from memory,
/// and slowly where its columns fill the block's last round in part.
pub(crate) fn softmax(
    k: &SoftmaxConstants,
    c: &Ceilings,
    rows: f64,
    cols: f64,
    kernel: &Kernel,
) -> Times {
    let width = c.precision.activation_bytes();
    let row = cols * width;
    let (again, cycles) = if cols <= IN_REGISTERS {
        (0.0, k.sfu)
    } else {
        let load = LOAD / width;
        let threads =
            ((cols / load).min(BLOCK) / 2.0).log2().ceil().exp2().max(32.0);
        let ragged = cols % (threads * load) / cols;
        let newer = (-(c.year - 2018.0) / k.block_years).exp2();
        let again = 2.0 * outgrown(k.row, c, c.threads / threads, row);
        (again, k.block * newer * (1.0 + k.ragged * ragged))
    };
    let rate = memory_rate(k.em, k.em_gddr, c);
    let test = CacheTest { used: k.l2use, sharpness: k.l2sharp, times: k.l2x };
    let memory = test.seconds(kernel.bytes() + rows * row * again, rate, c);
    let overhead = floor(k.launch_us, k.o_mul, k.o_kc, c);
    streamed(memory, cycles * rows * cols, c, kernel, overhead)
}

/// Norms over `rows` rows of `cols`: a block a row, which reads it for the
/// mean and variance, and again for the result.
pub(crate) fn norm(
    k: &NormConstants,
    c: &Ceilings,
    rows: f64,
    cols: f64,
    kernel: &Kernel,
) -> Times {
    let row = cols * c.precision.activation_bytes();
    let again = outgrown(k.row, c, NORM_THREADS / NORM_BLOCK, row);
    let rate = memory_rate(k.em, k.em_gddr, c);
    let test = CacheTest { used: k.l2use, sharpness: k.l2sharp, times: k.l2x };
    let memory = test.seconds(kernel.bytes() + rows * row * again, rate, c);
    let overhead = floor(k.launch_us, k.o_mul, k.o_kc, c);
    streamed(memory, k.sfu * rows * cols, c, kernel, overhead)
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
