//! assay-kit.
