//! assay-predict.
