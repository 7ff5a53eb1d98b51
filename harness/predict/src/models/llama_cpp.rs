//! Kernels as llama.cpp runs them: thin products stream quantised weights as
//! fast as the cores can pull them, thick ones go in micro-batches of 512.

use assay_trace::OperatorKind;

use super::common::{memory_rate, overlap, sustained};
use super::constants;
use crate::ceilings::Ceilings;
use crate::kernels::{Kernel, THIN};
use crate::target::Times;

constants!(LlamaCppConstants:
    em, em_gddr, feed, kernel_us, kernel_metal_us, call_ms, kv, ec, quant,
    attention, sat, pj, pj_years, power,
);

/// Launch time of a kernel that `kernel_us` is for, s.
const USUAL_LAUNCH: f64 = 2.45e-6;

/// Tokens of one micro-batch (`-ub`, its default).
const MICRO_BATCH: f64 = 512.0;

/// Seconds of one kernel.
pub(crate) fn times(
    k: &LlamaCppConstants,
    c: &Ceilings,
    kernel: &Kernel,
) -> Times {
    let rate = memory_rate(k.em, k.em_gddr, c);
    let launch = if c.metal {
        k.kernel_metal_us * 1e-6
    } else {
        // Where a kernel starts slowly, each of its kind does.
        k.kernel_us * 1e-6 * c.launch_stated / USUAL_LAUNCH
    };
    let bytes = kernel.bytes();
    // Products add up in f16 where that is faster (half of the int8 rate: on
    // consumer cards twice the stated one), and their instructions issue no
    // more than `sat` operations a core and cycle, whatever the peak.
    let peak = c.peak.max(c.int8 / 2.0);
    let sustained = sustained(k.pj, k.pj_years, k.power, c);
    let issued = k.sat * c.cores * c.clock;
    let reach = 1.0 / (1.0 / (k.ec * sustained * peak) + 1.0 / issued);
    match kernel.kind {
        OperatorKind::Matmul { batch, m, .. } if m * batch <= THIN => {
            let pulled = if c.metal {
                0.0
            } else {
                kernel.weight_bytes / (k.feed * c.cores * c.clock)
            };
            let memory = (kernel.weight_bytes / rate).max(pulled)
                + (bytes - kernel.weight_bytes) / rate;
            Times::held_by(memory, 0.0, memory, launch)
        }
        OperatorKind::Matmul { m, .. } => {
            let calls = (m as f64 / MICRO_BATCH).ceil();
            let quantised = c.precision.is_weight_only();
            let arithmetic =
                kernel.flops / (reach * if quantised { k.quant } else { 1.0 });
            let memory = (kernel.weight_bytes * calls + bytes
                - kernel.weight_bytes)
                / rate;
            let total = overlap(arithmetic, memory, 0.0);
            Times::held_by(total, arithmetic, memory, launch * calls)
        }
        OperatorKind::Attention { query, .. } => {
            let calls = (query as f64 / MICRO_BATCH).ceil();
            let arithmetic = kernel.flops / (k.attention * reach);
            let memory = k.kv * bytes / rate;
            let total = overlap(arithmetic, memory, 0.0);
            Times::held_by(total, arithmetic, memory, launch * calls)
        }
        _ => {
            let memory = bytes / rate;
            Times::held_by(memory, 0.0, memory, launch)
        }
    }
}
