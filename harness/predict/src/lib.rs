//! Graph x hardware profile -> latency, memory, energy, error band.
//!
//! [`Traced`] is a graph at a precision, ready for any profile; [`Target`] is a
//! profile's unit, ready for any graph; [`predict`] joins them. A GPU's kernel
//! is priced by a model of its class (`models`, constants fitted in `fit` and
//! kept in `constants/`), corrected by the device's overlay; a CPU's or NPU's
//! by `max(compute, memory) + launch` at shares of its ceilings
//! (`constants.toml`), on a probed machine at the utilisation that the probe
//! measured nearby. Identical kernels are predicted once.
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
mod fixed_shapes;
mod graph_time;
mod kernels;
mod library;
mod machine;
mod models;
mod networks;
mod overlays;
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
pub use serving::serving_peak;
pub use target::Target;
pub use traced::{Traced, operator_seconds, predict, with_engine_memory};
