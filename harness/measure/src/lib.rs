//! assay-measure.
