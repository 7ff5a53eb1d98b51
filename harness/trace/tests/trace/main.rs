//! What a capture becomes: operators, modules, memory, trace events, and what
//! is refused. The engine's own operators only; the kernels test their costs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::float_cmp,
    reason = "tests compare counts that are exact by construction"
)]

mod chrome;
mod memory;
mod modules;
mod refusals;
mod training;
mod views;
