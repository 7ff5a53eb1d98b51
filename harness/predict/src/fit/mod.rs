//! Fitting the models' constants to measured cases: the joint ones, those of
//! families, and a device's overlay; and how wrong all of them are on rows
//! that no fit has seen.
//!
//! The loss is Huber's on `ln(predicted / measured)`. A joint fit lets every
//! device and source deviate in a few constants while it looks for the middle,
//! so that one odd device does not move what an unknown one gets.

mod bands;
mod factors;
mod folds;
mod joint;
mod overlay;
mod roofline;
mod rows;
mod solve;

pub use folds::{HeldOut, Refit, refit};
pub use overlay::{Calibrated, calibrate};
pub use rows::{LEAST_SCORED_WEIGHT, Observation, Unfit};
