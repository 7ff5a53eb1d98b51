//! How good pictures are: their distance from real ones, and whether they show
//! what was asked.
//!
//! `metrics/frechet.rs` is the Frechet distance of features with its sampling
//! interval, `metrics/agreement.rs` the share of captions that were kept. Both
//! take what [`crate::Judge`] makes of pictures.

mod agreement;
mod frechet;

pub use agreement::{Agreement, agreement};
pub use frechet::{Moments, RESAMPLES, frechet_distance, frechet_estimate};
