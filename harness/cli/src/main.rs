//! assay.
fn main() {}
