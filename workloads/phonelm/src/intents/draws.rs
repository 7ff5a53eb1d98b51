//! Seeded random choices: the kit's, a stream for each request.

pub(crate) use assay_kit::Draws;
