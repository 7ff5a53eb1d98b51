//! One file a verb.

pub(crate) mod calibrate;
pub(crate) mod compare;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod predict;
pub(crate) mod probe;
pub(crate) mod profiles;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod selftest;
pub(crate) mod trace;
pub(crate) mod verify;
pub(crate) mod workloads;
