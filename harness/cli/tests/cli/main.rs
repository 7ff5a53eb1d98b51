//! The `assay` command as a user meets it: the contract's verbs, files and
//! exit codes, and what it says of bad input and faults.
//!
//! Each test runs the built binary in a folder of its own, on a machine
//! without a host profile unless the test makes one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(
    clippy::float_cmp,
    reason = "sums of the same numbers in the same order are exact"
)]

mod bad_input;
mod bench_list;
mod calibrate;
mod compare;
mod disk_full;
mod doctor;
mod faults;
#[cfg(feature = "gpu")]
mod gpu;
mod import;
mod instaflow;
mod json_schema;
mod mstar;
mod phonelm;
mod phones;
mod place;
mod predict;
mod profiles;
mod report;
mod run;
mod schemas;
mod survey;
mod table;
mod trace;
mod verify;
mod whole_models;
mod wireless;
mod workloads;
