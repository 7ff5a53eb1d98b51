//! A run on disk: a directory with `run.toml` and one append-only JSON Lines
//! file a case, and the few derived files beside them.
//!
//! The door is [`RunDirectory`]: `create` for a new run, `resume` for one
//! that was cut short, `open` to read. A [`CaseWriter`] appends events; a
//! [`CaseFile`] is what a case's file holds, and its record is a view of it.
//! [`compress`] makes the copy that is published.
//!
//! What holds, whatever kills the process:
//!
//! - raw events are appended and never edited; a kill costs at most the line
//!   being written, and that line stays where it is, marked;
//! - every other file is written beside its place and renamed into it;
//! - two runs never write into one directory.
//!
//! Not here: what a run measures, how records are judged, the index over many
//! runs (derived; it comes with `history`).

#![cfg_attr(
    test,
    allow(
        clippy::float_cmp,
        reason = "tests compare values that must read back exactly"
    )
)]

mod atomic;
mod case_file;
mod case_writer;
mod derived;
mod directory;
mod error;
mod header;
mod publish;

#[cfg(test)]
mod fixture;

pub use case_file::{CaseFile, TORN_LINE, read_bytes, read_case};
pub use case_writer::CaseWriter;
pub use directory::RunDirectory;
pub use error::StoreError;
pub use publish::compress;
