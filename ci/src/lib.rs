//! What other tools bring to Assay: their results as run directories.
//!
//! The door is [`import`]: a [`Format`], the paths of its files and an
//! [`ImportRequest`] become a run directory that `assay compare` reads. All
//! files are read and checked before anything is written.
//!
//! Not here: what becomes of the run, and printing. The same package holds
//! the binary of `cargo ci`, which is its own affair.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::float_cmp,
        reason = "a test fails by panicking, and what is read must be exact"
    )
)]

mod import;

pub use import::{Format, ImportError, ImportRequest, Imported, import};
