//! A clock that a test moves by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use assay_schema::{Moment, Seconds};

use super::Clock;

/// A clock of one tick a nanosecond that only [`advance`](Self::advance)
/// moves. Clones show the same time, so that a toy session can hold one and
/// spend time on it.
#[derive(Clone, Debug, Default)]
pub struct FakeClock {
    ticks: Arc<AtomicU64>,
}

impl FakeClock {
    /// A clock at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets time pass, to the nearest nanosecond.
    pub fn advance(&self, time: Seconds) {
        self.ticks.fetch_add((time.0 * 1e9).round() as u64, Ordering::SeqCst);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> u64 {
        self.ticks.load(Ordering::SeqCst)
    }

    fn seconds(&self, ticks: u64) -> Seconds {
        Seconds(ticks as f64 / 1e9)
    }

    fn resolution(&self) -> Seconds {
        Seconds(1e-9)
    }

    fn name(&self) -> String {
        "fake".to_owned()
    }

    fn moment(&self) -> Moment {
        Moment(self.now() / 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_one_time() {
        let clock = FakeClock::new();
        clock.clone().advance(Seconds(1.5));
        assert_eq!(clock.now(), 1_500_000_000);
        assert_eq!(clock.seconds(clock.now()), Seconds(1.5));
        assert_eq!(clock.moment(), Moment(1500));
    }

    #[test]
    fn a_time_in_ticks_is_rounded_up_and_never_nothing() {
        let clock = FakeClock::new();
        assert_eq!(clock.ticks(Seconds(1e-6)), 1000);
        assert_eq!(clock.ticks(Seconds(0.0)), 1);
    }
}
