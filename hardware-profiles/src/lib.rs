//! Machines as data: one TOML a machine, and a loader that refuses a number
//! without unit and source.
//!
//! [`names`] lists the shipped profiles and costs nothing; [`load`] parses
//! one; [`resolve`] takes `name:unit`; [`load_file`] reads a profile of one's
//! own, such as the one that `assay probe` writes with
//! [`HardwareProfile::save`]. [`check`] finds numbers that contradict each
//! other. [`Overlay`] is what `assay calibrate` found on one device;
//! [`overlay_for`] finds the shipped one of a unit. `FORMAT.md` specifies the
//! files.
//!
//! Facts only. How a peak and a bandwidth become a latency is the business of
//! `assay-predict`, which knows no device by name.

#![cfg_attr(
    test,
    allow(
        clippy::float_cmp,
        reason = "tests compare values that are exact by construction"
    )
)]

mod architecture;
mod check;
mod digest;
mod error;
mod fact;
mod load;
mod measured;
mod overlay;
mod peaks;
mod profile;
mod quantity;
mod unit;
mod write;

pub use architecture::Architecture;
pub use check::{Finding, Severity, check};
pub use digest::{digest, facts_digest};
pub use error::ProfileError;
pub use fact::{Fact, Interval, Kind, Trust};
pub use load::{load, load_file, names, parse, resolve};
pub use measured::{Bandwidth, Efficiency, Gemm, Level, Timer};
pub use overlay::{
    OVERLAY_FORMAT_VERSION, Overlay, OverlayClass, OverlayError, OverlayPoint,
    overlay_for,
};
pub use peaks::Peaks;
pub use profile::{
    Density, Explained, FORMAT_VERSION, HardwareProfile, Memory,
};
pub use quantity::{Bits, BitsPerSecond, Count, FlopsPerCycle, Quantity, Year};
pub use unit::{Caches, Clocks, Cluster, Links, Unit, UnitName};
