//! Clocks: what a sample is timed with.
//!
//! A clock counts ticks; only differences mean anything, and they are turned
//! into seconds after the timed region. [`SystemClock::detect`] takes the
//! processor's cycle counter where it runs at one rate for all cores, and the
//! operating system's monotonic clock elsewhere.

mod fake;
mod monotonic;
mod system;
#[cfg(target_arch = "x86_64")]
mod tsc;

use assay_schema::{Moment, Seconds};

pub use fake::FakeClock;
pub use monotonic::MonotonicClock;
pub use system::SystemClock;
#[cfg(target_arch = "x86_64")]
pub use tsc::TscClock;

/// A source of time that never runs backwards.
pub trait Clock: Send + Sync {
    /// Ticks since some fixed, unnamed moment.
    fn now(&self) -> u64;

    /// The length of a number of ticks.
    fn seconds(&self, ticks: u64) -> Seconds;

    /// The smallest step that two reads can show; measured when the clock was
    /// made.
    fn resolution(&self) -> Seconds;

    /// What it is, e.g. `tsc` or `monotonic`, for the record.
    fn name(&self) -> String;

    /// The time of day, for the record alone: never subtracted.
    fn moment(&self) -> Moment {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Moment(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// How many ticks a time takes, rounded up, at least one.
    fn ticks(&self, time: Seconds) -> u64 {
        const MANY: u64 = 1 << 40;
        let ticks = time.0 / self.seconds(MANY).0 * MANY as f64;
        (ticks.ceil() as u64).max(1)
    }
}

/// The smallest difference that successive reads show, in ticks.
///
/// A clock whose reads cost more than its tick shows the cost of a read: that
/// is the resolution that a measurement has.
pub(crate) fn smallest_step(now: impl Fn() -> u64) -> u64 {
    const READS: usize = 20_000;
    let mut smallest = u64::MAX;
    let mut last = now();
    for _ in 0..READS {
        let next = now();
        if next > last {
            smallest = smallest.min(next - last);
            last = next;
        }
    }
    smallest
}
