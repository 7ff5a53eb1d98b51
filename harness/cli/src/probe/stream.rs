//! Stream bandwidth: a plain read of data that fits each cache level, and of
//! data that fits none.

use std::hint::black_box;
use std::time::Instant;

use anyhow::Result;
use assay_hardware_profiles::{Bandwidth, Level};
use assay_kernels::{stream_sum, stream_sum_parallel};
use assay_schema::{BytesPerSecond, Host, Seconds};

use super::{fact, typical};

/// Bytes for each thread that surely fit the first and second level.
const L1_BYTES: usize = 16 << 10;
const L2_BYTES: usize = 512 << 10;

/// A last-level cache where the machine does not tell.
const USUAL_LLC: usize = 32 << 20;

/// One level read by some threads, and what it took so far.
struct Stream {
    level: Level,
    threads: usize,
    bytes: usize,
    seconds: Vec<f64>,
}

/// Every level with one thread and with all.
pub(super) struct Streams {
    memory: Vec<f32>,
    streams: Vec<Stream>,
}

impl Streams {
    pub(super) fn new(host: &Host) -> Self {
        let llc =
            host.last_level_cache_bytes.unwrap_or(USUAL_LLC as u64) as usize;
        // A hypervisor may show less cache than the machine has.
        let memory = vec![1.0_f32; (llc * 16).clamp(512 << 20, 1 << 30) / 4];
        let mut counts = vec![1, rayon::current_num_threads()];
        counts.dedup();
        let mut streams = Vec::new();
        for threads in counts {
            for (level, bytes) in [
                (Level::L1, L1_BYTES * threads),
                (Level::L2, L2_BYTES * threads),
                (Level::Llc, llc / 4),
                (Level::Dram, memory.len() * 4),
            ] {
                let seconds = Vec::new();
                streams.push(Stream { level, threads, bytes, seconds });
            }
        }
        Self { memory, streams }
    }

    /// Reads each for a while.
    pub(super) fn round(&mut self, budget: Seconds) {
        for stream in &mut self.streams {
            let data = &self.memory[..stream.bytes / 4];
            let read = if stream.threads == 1 {
                stream_sum
            } else {
                stream_sum_parallel
            };
            stream.seconds.extend(sample(data, budget, read));
        }
    }

    /// The figures.
    pub(super) fn found(&self) -> Result<Vec<Bandwidth>> {
        self.streams
            .iter()
            .map(|stream| {
                let time = typical(&stream.seconds)?;
                let rate = time.inverted(stream.bytes as f64);
                Ok(Bandwidth {
                    level: stream.level,
                    threads: Some(stream.threads as u32),
                    working_set_bytes: Some(stream.bytes as u64),
                    rate: fact(&rate, BytesPerSecond),
                })
            })
            .collect()
    }
}

/// Seconds of one pass over `data`, again and again; a sample spans as many
/// passes as take about 2 ms.
fn sample(data: &[f32], budget: Seconds, read: fn(&[f32]) -> f32) -> Vec<f64> {
    black_box(read(data));
    let start = Instant::now();
    black_box(read(data));
    let once = start.elapsed().as_secs_f64().max(1e-9);
    let passes = ((2e-3 / once) as usize).clamp(1, 100_000);
    let began = Instant::now();
    let mut seconds = Vec::new();
    while began.elapsed().as_secs_f64() < budget.value() || seconds.len() < 5 {
        let start = Instant::now();
        for _ in 0..passes {
            black_box(read(black_box(data)));
        }
        seconds.push(start.elapsed().as_secs_f64() / passes as f64);
    }
    seconds
}
