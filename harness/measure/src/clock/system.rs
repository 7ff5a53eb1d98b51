//! The best clock of this machine.

use assay_schema::Seconds;

use super::{Clock, MonotonicClock};

/// The clock that a run uses: the cycle counter where it can be trusted, the
/// monotonic clock elsewhere.
///
/// An enum and not a trait object: the branch is predicted, and a read stays
/// inline.
#[derive(Clone, Debug)]
pub enum SystemClock {
    /// The x86-64 time stamp counter.
    #[cfg(target_arch = "x86_64")]
    Tsc(super::TscClock),
    /// The operating system's clock, and why it was taken.
    Monotonic(MonotonicClock, String),
}

impl SystemClock {
    /// Chooses and calibrates; takes about 25 ms.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            match super::TscClock::calibrate() {
                Ok(clock) => Self::Tsc(clock),
                Err(why) => Self::Monotonic(MonotonicClock::new(), why),
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        Self::Monotonic(
            MonotonicClock::new(),
            "a cycle counter is read on x86-64 only".to_owned(),
        )
    }
}

impl Clock for SystemClock {
    #[inline]
    fn now(&self) -> u64 {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Tsc(clock) => clock.now(),
            Self::Monotonic(clock, _) => clock.now(),
        }
    }

    fn seconds(&self, ticks: u64) -> Seconds {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Tsc(clock) => clock.seconds(ticks),
            Self::Monotonic(clock, _) => clock.seconds(ticks),
        }
    }

    fn resolution(&self) -> Seconds {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Tsc(clock) => clock.resolution(),
            Self::Monotonic(clock, _) => clock.resolution(),
        }
    }

    fn name(&self) -> String {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Tsc(clock) => clock.name(),
            Self::Monotonic(clock, why) => {
                format!("{} ({why})", clock.name())
            }
        }
    }
}
