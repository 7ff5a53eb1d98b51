//! assay-statistics.
