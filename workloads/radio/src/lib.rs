//! Radio snapshots for the two wireless papers: seeded generators, and
//! loaders of the real files. No network, no Burn.
//!
//! [`interference`] makes the 15 channels of Bluetooth, WiFi and Zigbee in a
//! 10 MHz band (arXiv 1703.00737, as arXiv 1905.08054 uses it); [`radioml`]
//! makes the modulations of RadioML 2016; [`files`] reads the CRAWDAD arrays,
//! the RadioML pickles and `.npy`. All give [`Snapshots`].

#![cfg_attr(
    test,
    allow(
        clippy::float_cmp,
        reason = "tests compare values that are exact by construction"
    )
)]

pub mod files;
pub mod interference;
pub mod radioml;
mod random;
mod snapshots;
mod spectrum;

pub use random::Random;
pub use snapshots::{Snapshots, SnapshotsError};
pub use spectrum::Spectrum;
