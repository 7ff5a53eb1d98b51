//! What the public sees of `run_case`, with toy workloads on a fake clock.

#![allow(
    clippy::float_cmp,
    reason = "the fake clock's times are exact by construction"
)]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's toys stop the test"
)]

mod bad_ends;
mod implementations;
mod sampling;
mod toy;
