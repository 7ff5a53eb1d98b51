//! The x86-64 time stamp counter, calibrated against the monotonic clock.
//!
//! The counter is used only where `/proc/cpuinfo` says `constant_tsc` (one
//! rate whatever the core's frequency) and `nonstop_tsc` (it runs on through
//! idle states). Its rate is measured twice in a row over 10 ms each; two
//! rates that differ mean that something (a hypervisor, a migration) meddles,
//! and the counter is refused.

use std::time::{Duration, Instant};

use assay_schema::Seconds;

use super::{Clock, smallest_step};

/// Cycles of the time stamp counter.
#[derive(Clone, Debug)]
pub struct TscClock {
    seconds_per_tick: f64,
    resolution: Seconds,
}

impl TscClock {
    /// Checks the processor and measures the counter's rate (about 22 ms,
    /// busy).
    ///
    /// # Errors
    ///
    /// Why the counter cannot be trusted here.
    pub fn calibrate() -> Result<Self, String> {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo")
            .map_err(|error| format!("/proc/cpuinfo: {error}"))?;
        if !runs_at_one_rate(&cpuinfo) {
            return Err("no constant and nonstop time stamp counter".into());
        }
        let first = Fix::take();
        spin(Duration::from_millis(10));
        let second = Fix::take();
        spin(Duration::from_millis(10));
        let third = Fix::take();
        let (a, b) = (second.rate_since(&first), third.rate_since(&second));
        // Fixes are good to some 100 ns in 10 ms: 10 parts in a million.
        let apart = (a / b - 1.0).abs();
        if apart.is_nan() || apart > 1e-3 {
            return Err(format!(
                "the time stamp counter's rate changed by {:.3} % within 20 ms",
                apart * 100.0
            ));
        }
        let mut clock = Self {
            seconds_per_tick: third.rate_since(&first),
            resolution: Seconds::ZERO,
        };
        clock.resolution = clock.seconds(smallest_step(read));
        Ok(clock)
    }
}

impl Clock for TscClock {
    #[inline]
    fn now(&self) -> u64 {
        read()
    }

    fn seconds(&self, ticks: u64) -> Seconds {
        Seconds(ticks as f64 * self.seconds_per_tick)
    }

    fn resolution(&self) -> Seconds {
        self.resolution
    }

    fn name(&self) -> String {
        format!("tsc at {:.1} MHz", 1e-6 / self.seconds_per_tick)
    }
}

/// One read of the counter, not before earlier loads are done.
#[inline]
#[expect(
    unsafe_code,
    reason = "the cycle counter has no safe interface; reading it touches no memory"
)]
fn read() -> u64 {
    use std::arch::x86_64::{_mm_lfence, _rdtsc};
    // SAFETY: both instructions exist on every x86-64 processor (SSE2) and
    // access no memory.
    unsafe {
        _mm_lfence();
        _rdtsc()
    }
}

/// The counter and the monotonic clock at one moment.
struct Fix {
    ticks: u64,
    instant: Instant,
}

impl Fix {
    /// The tightest of many tries: the one with the fewest ticks around the
    /// read of the other clock was not interrupted.
    fn take() -> Self {
        let mut tightest = u64::MAX;
        let mut fix = Self { ticks: read(), instant: Instant::now() };
        for _ in 0..100 {
            let before = read();
            let instant = Instant::now();
            let width = read().saturating_sub(before);
            if width < tightest {
                tightest = width;
                fix = Self { ticks: before + width / 2, instant };
            }
        }
        fix
    }

    /// Seconds a tick between two fixes.
    fn rate_since(&self, earlier: &Self) -> f64 {
        let time = self.instant.duration_since(earlier.instant);
        time.as_secs_f64() / self.ticks.saturating_sub(earlier.ticks) as f64
    }
}

/// Busy, because a sleeping core may change its state.
fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// Whether `/proc/cpuinfo` promises one rate on all cores at all times.
fn runs_at_one_rate(cpuinfo: &str) -> bool {
    let has = |flag: &str| {
        cpuinfo
            .lines()
            .find(|line| line.starts_with("flags"))
            .is_some_and(|line| line.split_whitespace().any(|f| f == flag))
    };
    has("constant_tsc") && has("nonstop_tsc")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_needs_both_promises() {
        let flags = "processor : 0\nflags : fpu constant_tsc nonstop_tsc sse2";
        assert!(runs_at_one_rate(flags));
        assert!(!runs_at_one_rate("flags : fpu constant_tsc sse2"));
        assert!(!runs_at_one_rate("flags : fpu not_constant_tsc nonstop_tsc"));
        assert!(!runs_at_one_rate(""));
    }
}
