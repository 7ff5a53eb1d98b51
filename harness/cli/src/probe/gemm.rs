//! Peak of the matrix product, by type and thread count.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context as _, Result};
use assay_hardware_profiles::{Fact, Gemm};
use assay_kernels::matmul;
use assay_schema::{FlopsPerSecond, Precision, Seconds};
use assay_statistics::median_estimate;
use burn::tensor::{Device, Distribution, FloatDType, Tensor};

use super::fact;

/// Rows, columns and terms: large enough for the peak, small enough for many
/// repetitions.
const SIZE: usize = 1536;

/// Peaks with one thread and with all.
pub(super) fn peaks(budget: Seconds) -> Result<Vec<Gemm>> {
    let mut counts = vec![1, rayon::current_num_threads()];
    counts.dedup();
    let mut found = Vec::new();
    for (precision, dtype) in [
        (Precision::F32, FloatDType::F32),
        (Precision::F16, FloatDType::F16),
        (Precision::Bf16, FloatDType::BF16),
    ] {
        for &threads in &counts {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .context("threads for the product")?;
            let peak = pool.install(|| peak(dtype, budget))?;
            found.push(Gemm { precision, threads: Some(threads as u32), peak });
        }
    }
    Ok(found)
}

fn peak(dtype: FloatDType, budget: Seconds) -> Result<Fact<FlopsPerSecond>> {
    let device = Device::flex();
    let operand = || {
        let values = Distribution::Uniform(-1.0, 1.0);
        Tensor::<2>::random([SIZE, SIZE], values, &device).cast(dtype)
    };
    let (a, b) = (operand(), operand());
    let began = Instant::now();
    let mut seconds = Vec::new();
    while began.elapsed().as_secs_f64() < budget.value() || seconds.len() < 7 {
        let start = Instant::now();
        black_box(matmul(a.clone(), b.clone()));
        seconds.push(start.elapsed().as_secs_f64());
    }
    // The first touches fresh memory.
    let time = median_estimate(&seconds[1..], 0.95)?;
    let flops = 2.0 * (SIZE as f64).powi(3);
    let rate = time.inverted(flops);
    Ok(fact(&rate, FlopsPerSecond))
}
