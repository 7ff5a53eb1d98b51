//! assay-slm.
