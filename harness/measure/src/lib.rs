//! Measuring: what can be measured, with which clock and meters, for how
//! long.
//!
//! The door is [`run_case`]: it prepares a case of a [`Workload`], has its
//! answer verified, samples it until the median is precise or the budget is
//! spent, reads the meters, and hands every [`Event`](assay_schema::Event) to
//! a sink in the order of the record.
//!
//! Not here: files, plans, configuration, printing, models. The crate knows no
//! store and no TOML; the sink keeps events, the caller prints.
//!
//! The parts, in the order met: [`Workload`] and [`Session`] are what a paper
//! implements, [`Watch`] is what it times its parts with, [`Rotation`] keeps
//! caches from flattering it, [`Settings`] say when to stop, [`Clock`] and
//! [`Meter`] are the instruments, [`timer_report`] and [`sampler_cost`] their
//! own error, [`host_facts`] the machine.

#![cfg_attr(
    test,
    allow(
        clippy::float_cmp,
        reason = "tests compare values that are exact by construction"
    )
)]

#[cfg(all(unix, feature = "paired"))]
mod callgrind;
mod clock;
#[cfg(feature = "host")]
pub mod doctor;
mod error;
#[cfg(feature = "host")]
mod host;
mod journal;
mod meter;
#[cfg(feature = "paired")]
pub mod paired;
mod panics;
mod rotation;
mod run;
mod sampler;
mod sampling;
mod settings;
mod steady;
mod study;
mod timer;
mod watch;
mod workload;

#[cfg(all(unix, feature = "paired"))]
pub use callgrind::{
    CallgrindError, CommandLine, Counts, count_difference, count_instructions,
};
#[cfg(target_arch = "x86_64")]
pub use clock::TscClock;
pub use clock::{Clock, FakeClock, MonotonicClock, SystemClock};
pub use error::WorkloadError;
#[cfg(feature = "host")]
pub use host::{available_memory, host_facts, last_level_cache};
pub use meter::{
    AllocationCounter, AllocationMeter, AllocationSnapshot, EnergyMeter,
    FrequencyMeter, InstructionMeter, Meter, ProcessMeter, Readout,
    ResidentMeter, StealMeter, Window,
};
#[cfg(feature = "nvidia")]
pub use meter::{NvidiaMeter, standard_meters};
pub use panics::caught;
pub use rotation::{Rotation, RotationSize};
pub use run::{Instruments, Job, Sink, VerifyError, run_case, verify_case};
pub use settings::Settings;
pub use timer::{SamplerCost, TimerReport, sampler_cost, timer_report};
pub use watch::Watch;
pub use workload::{Context, Pace, Progress, Session, Workload};

/// The README's examples compile and run as documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
