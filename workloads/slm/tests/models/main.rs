//! The language models against what others say of them: published parameter
//! counts, closed forms, golden files; their packed and adapted forms; what is
//! refused; and the halves of the survey's times.

#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "tests compare counts that are exact by construction"
)]

mod adapting;
mod caches;
mod counts;
mod evidence;
mod files;
mod goldens;
mod halves;
mod packing;
mod parameters;
mod properties;
mod requests;
mod training;
mod variants;
mod weights;
