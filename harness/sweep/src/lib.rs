//! assay-sweep.
