//! assay-ci.
fn main() {}
