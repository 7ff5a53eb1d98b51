//! assay-reports.
