//! Peak of the matrix product, by type and thread count.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context as _, Result};
use assay_hardware_profiles::Gemm;
use assay_kernels::matmul;
use assay_schema::{FlopsPerSecond, Precision, Seconds};
use burn::tensor::{Device, Distribution, FloatDType, Tensor};

use super::{fact, typical};

/// Rows, columns and terms: large enough for the peak, small enough for many
/// repetitions.
const SIZE: usize = 1024;

/// One type on some threads, and what it took so far.
struct Product {
    precision: Precision,
    dtype: FloatDType,
    threads: usize,
    seconds: Vec<f64>,
}

/// Every type with one thread and with all.
pub(super) struct Gemms {
    products: Vec<Product>,
}

impl Gemms {
    pub(super) fn new() -> Self {
        let mut counts = vec![1, rayon::current_num_threads()];
        counts.dedup();
        let mut products = Vec::new();
        for (precision, dtype) in [
            (Precision::F32, FloatDType::F32),
            (Precision::F16, FloatDType::F16),
            (Precision::Bf16, FloatDType::BF16),
        ] {
            for &threads in &counts {
                let seconds = Vec::new();
                products.push(Product { precision, dtype, threads, seconds });
            }
        }
        Self { products }
    }

    /// Runs each for a while.
    pub(super) fn round(&mut self, budget: Seconds) -> Result<()> {
        for product in &mut self.products {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(product.threads)
                .build()
                .context("threads for the product")?;
            let dtype = product.dtype;
            product.seconds.extend(pool.install(|| sample(dtype, budget)));
        }
        Ok(())
    }

    /// The figures.
    pub(super) fn found(&self) -> Result<Vec<Gemm>> {
        let flops = 2.0 * (SIZE as f64).powi(3);
        self.products
            .iter()
            .map(|product| {
                let time = typical(&product.seconds)?;
                Ok(Gemm {
                    precision: product.precision,
                    threads: Some(product.threads as u32),
                    peak: fact(&time.inverted(flops), FlopsPerSecond),
                })
            })
            .collect()
    }
}

fn sample(dtype: FloatDType, budget: Seconds) -> Vec<f64> {
    let device = Device::flex();
    let operand = || {
        let values = Distribution::Uniform(-1.0, 1.0);
        Tensor::<2>::random([SIZE, SIZE], values, &device).cast(dtype)
    };
    let (a, b) = (operand(), operand());
    // The first touches fresh memory.
    black_box(matmul(a.clone(), b.clone()));
    let began = Instant::now();
    let mut seconds = Vec::new();
    while began.elapsed().as_secs_f64() < budget.value() || seconds.len() < 4 {
        let start = Instant::now();
        black_box(matmul(a.clone(), b.clone()));
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds
}
