//! Stream bandwidth: a plain read of data that fits each cache level, and of
//! data that fits none.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context as _, Result};
use assay_hardware_profiles::{Bandwidth, Fact, Level};
use assay_kernels::stream_sum_parallel;
use assay_schema::{BytesPerSecond, Host, Seconds};
use assay_statistics::median_estimate;

use super::fact;

/// Bytes for each thread that surely fit the first and second level.
const L1_BYTES: usize = 16 << 10;
const L2_BYTES: usize = 512 << 10;

/// A last-level cache where the machine does not tell.
const USUAL_LLC: usize = 32 << 20;

/// Bandwidth of each level with one thread and with all.
pub(super) fn bandwidths(
    host: &Host,
    budget: Seconds,
) -> Result<Vec<Bandwidth>> {
    let llc = host.last_level_cache_bytes.unwrap_or(USUAL_LLC as u64) as usize;
    let all = rayon::current_num_threads();
    let mut counts = vec![1, all];
    counts.dedup();
    let mut found = Vec::new();
    // A hypervisor may show more cache than this machine's share of it.
    let memory = vec![1.0_f32; (llc * 8).clamp(256 << 20, 1 << 30) / 4];
    for threads in counts {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .context("threads for the stream")?;
        for (level, bytes) in [
            (Level::L1, L1_BYTES * threads),
            (Level::L2, L2_BYTES * threads),
            (Level::Llc, llc / 4),
            (Level::Dram, memory.len() * 4),
        ] {
            let data = &memory[..bytes / 4];
            let rate = pool.install(|| rate(data, budget))?;
            found.push(Bandwidth {
                level,
                threads: Some(threads as u32),
                working_set_bytes: Some(bytes as u64),
                rate,
            });
        }
    }
    Ok(found)
}

/// Bytes a second of reading `data` again and again.
fn rate(data: &[f32], budget: Seconds) -> Result<Fact<BytesPerSecond>> {
    let bytes = size_of_val(data) as f64;
    black_box(stream_sum_parallel(data));
    // Enough passes that a sample takes about 2 ms.
    let start = Instant::now();
    black_box(stream_sum_parallel(data));
    let once = start.elapsed().as_secs_f64().max(1e-9);
    let passes = ((2e-3 / once) as usize).clamp(1, 100_000);
    let began = Instant::now();
    let mut seconds = Vec::new();
    while began.elapsed().as_secs_f64() < budget.value() || seconds.len() < 9 {
        let start = Instant::now();
        for _ in 0..passes {
            black_box(stream_sum_parallel(black_box(data)));
        }
        seconds.push(start.elapsed().as_secs_f64() / passes as f64);
    }
    let time = median_estimate(&seconds, 0.95)?;
    let rate = time.inverted(bytes);
    Ok(fact(&rate, BytesPerSecond))
}
