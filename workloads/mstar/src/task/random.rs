//! Seeded random numbers: the kit's, a stream for each problem.

pub use assay_kit::Draws;
