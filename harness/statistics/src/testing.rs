//! For the tests of workloads: claims driven through every ruling, and the
//! records, predictions and published numbers that do it.
//!
//! No part of the interface, but no feature either: one that only tests ask
//! for would have everything above this crate compiled twice. Nothing here
//! panics: what is wrong comes back as one sentence each, and a test asserts
//! that there is none.

mod drill;
mod made;
mod table;

pub use drill::{Trial, drill};
pub use made::{points_as, prediction, record, samples};
pub use table::{doubtful, is_printed, unmatched};

#[cfg(test)]
mod tests;
