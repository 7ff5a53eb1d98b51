//! Capture -> operator graph -> work (FLOPs, bytes), memory over time.

#![cfg_attr(
    test,
    allow(
        clippy::float_cmp,
        reason = "tests compare counts that are exact by construction"
    )
)]

mod cost;
mod operator;

pub use cost::{CostOf, CustomCost};
pub use operator::{Collective, Elementwise, OperatorKind, causal_pairs};
