//! The language models against what others say of them: published parameter
//! counts, closed forms, golden files; and what is refused.

#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "tests compare counts that are exact by construction"
)]

mod counts;
mod evidence;
mod files;
mod goldens;
mod parameters;
mod properties;
mod requests;
mod training;
mod variants;
mod weights;
