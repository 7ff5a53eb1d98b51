//! The moments at which an empty body is called, so that the time from one
//! sample to the next is seen from within, the same way for every harness.
//! All three crates compile this file.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

/// Calls that are kept.
pub const ROOM: usize = 1 << 21;

static MOMENTS: [AtomicU64; ROOM] = [const { AtomicU64::new(0) }; ROOM];
static CALLS: AtomicUsize = AtomicUsize::new(0);
static ORIGIN: OnceLock<Instant> = OnceLock::new();

/// The body: keeps the moment. What that costs is measured by itself.
#[inline]
pub fn body() {
    let moment = ORIGIN.get_or_init(Instant::now).elapsed().as_nanos() as u64;
    let call = CALLS.fetch_add(1, Relaxed);
    if let Some(place) = MOMENTS.get(call) {
        place.store(moment, Relaxed);
    }
}

/// Prints the median time between the last `samples` calls, less what the
/// body costs by itself, in nanoseconds.
pub fn print_cost(samples: usize) {
    let calls = CALLS.load(Relaxed);
    assert!(calls < ROOM && calls >= samples, "{calls} calls");
    let with_sampler = median_gap(calls - samples..calls);
    CALLS.store(0, Relaxed);
    for _ in 0..samples {
        std::hint::black_box(body)();
    }
    let alone = median_gap(0..samples);
    println!("cost-of-a-sample {}", with_sampler.saturating_sub(alone));
}

fn median_gap(calls: std::ops::Range<usize>) -> u64 {
    let moments: Vec<u64> =
        MOMENTS[calls].iter().map(|moment| moment.load(Relaxed)).collect();
    let mut gaps: Vec<u64> =
        moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_unstable();
    gaps[gaps.len() / 2]
}
