//! Where a step of batched decoding spends its time: for `tiny` and `small`
//! at 1, 16 and 64 rows, the fastest of many steps, and of another such run
//! the time by class of kernel. What no class has is the engine's own.
//!
//! The fastest, not the median: the rest of the machine is not the subject.
//!
//! `cargo run --release -p assay-mstar --example decode_ladder`
#![expect(clippy::print_stdout, reason = "prints its result")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use assay_kernels::{ClassTimes, with_class_times};
use assay_kit::Parameters;
use assay_mstar::config::model;
use assay_slm::{Cache, Decoder, decode, seen};
use burn::tensor::{Device, Int, Tensor, TensorData};

/// Tokens in the cache: pictures, a question and half of a reply.
const CONTEXT: usize = 64;

/// How long each is looked at.
const LOOK: Duration = Duration::from_millis(400);

fn words(rows: usize, tokens: usize) -> Tensor<2, Int> {
    let ids: Vec<i64> = (0..rows * tokens).map(|i| i as i64 % 40).collect();
    Tensor::from_data(TensorData::new(ids, [rows, tokens]), &Device::flex())
}

/// The fastest of the steps made in [`LOOK`], and the times of its kernels.
fn fastest(
    mut step: impl FnMut(),
    by_class: bool,
) -> (Duration, Option<ClassTimes>) {
    let (began, mut best) = (Instant::now(), (Duration::MAX, None));
    while began.elapsed() < LOOK {
        let since = Instant::now();
        let times = if by_class {
            Some(with_class_times(&mut step).1)
        } else {
            step();
            None
        };
        let spent = since.elapsed();
        if spent < best.0 {
            best = (spent, times);
        }
    }
    best
}

fn main() -> Result<(), assay_mstar::MstarError> {
    for name in ["tiny", "small"] {
        let config = model(name)?.language;
        let mut parameters = Parameters::random(&Device::flex(), 1);
        let decoder = Decoder::new(&mut parameters, &config, CONTEXT + 1);
        let mut alone = 0.0;
        for rows in [1, 16, 64] {
            let past = words(rows, CONTEXT);
            let (_, mut cache) = seen(&decoder, &config, past, CONTEXT + 1);
            let next = words(rows, 1);
            let step = |cache: &mut Cache| {
                black_box(decode(&decoder, next.clone(), CONTEXT, cache));
            };
            let (whole, _) = fastest(|| step(&mut cache), false);
            let whole = 1e6 * whole.as_secs_f64();
            if rows == 1 {
                alone = whole;
            }
            let gain = rows as f64 * alone / whole;
            print!("{name:5} {rows:2}: {whole:7.1} us, gain {gain:4.1};");
            let (asked, times) = fastest(|| step(&mut cache), true);
            let times = times.unwrap_or_default();
            for (class, time) in times.taken() {
                print!(" {class} {:.1}", 1e6 * time.as_secs_f64());
            }
            let rest = asked.saturating_sub(times.total()).as_secs_f64();
            println!(" engine {:.1}", 1e6 * rest);
        }
    }
    Ok(())
}
