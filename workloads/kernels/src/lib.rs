//! Fast CPU kernels behind Burn's extension door, each with its plain twin,
//! its backward and its cost.
//!
//! One file a kernel. A kernel is a function on Burn tensors that serves `f32`
//! on Flex and the capture device, and falls back to its plain twin
//! everywhere else; equality with the twin is tested, forward and backward.
//! Under capture it is recorded as one custom operator whose cost [`cost`]
//! declares, so that a trace knows its arithmetic and traffic.

#![cfg_attr(
    test,
    allow(
        clippy::float_cmp,
        reason = "tests compare values that are exact by construction"
    )
)]

mod door;
mod math;
mod rows;
mod softmax;

pub use softmax::{SoftmaxOps, softmax, softmax_plain};

use assay_trace::CustomCost;
use burn::backend::ir::CustomOpIr;

/// The cost of each operator that this crate records, `None` for others.
pub fn cost(op: &CustomOpIr) -> Option<CustomCost> {
    [softmax::cost].iter().find_map(|cost| cost(op))
}
