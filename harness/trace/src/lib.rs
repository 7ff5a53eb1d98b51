//! assay-trace.
