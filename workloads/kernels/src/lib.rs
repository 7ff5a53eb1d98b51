//! assay-kernels.
