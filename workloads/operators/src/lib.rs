//! assay-operators.
