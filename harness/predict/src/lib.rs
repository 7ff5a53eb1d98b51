//! Graph x hardware profile -> latency, memory, energy, error band.
//!
//! [`Traced`] is a graph at a precision, ready for any profile; [`Target`] is a
//! profile's unit, ready for any graph; [`predict`] joins them. Per kernel:
//! `max(compute, memory) + launch` at shares of the unit's ceilings
//! (`constants.toml`, each with its source), or, on a probed machine, at the
//! utilisation that the probe measured on neighbouring shapes. Identical
//! kernels are predicted once.
//!
//! Formulas, no facts: nothing here knows a device by name.

#![cfg_attr(
    test,
    allow(clippy::float_cmp, reason = "tests compare exact numbers")
)]

mod ceilings;
mod constants;
mod error;
mod fit;
mod graph_time;
mod kernels;
mod library;
mod machine;
mod models;
mod place;
mod residuals;
mod serving;
mod table;
mod target;
mod traced;

pub use error::PredictError;
pub use fit::{
    Calibrated, HeldOut, LEAST_SCORED_WEIGHT, Observation, Refit, Unfit,
    calibrate, refit,
};
pub use library::Distance;
pub use serving::serving_peak;
pub use target::Target;
pub use traced::{Traced, operator_seconds, predict};
