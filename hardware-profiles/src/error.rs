//! What can be wrong with a profile or an overlay.

use std::io;
use std::path::PathBuf;

/// Why a profile or an overlay could not be had or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// No shipped profile has this name.
    #[error(
        "unknown hardware profile `{found}`; nearest valid: `{nearest}` \
         (`assay profiles` lists all)"
    )]
    Unknown {
        /// What was asked for.
        found: String,
        /// The nearest name.
        nearest: String,
    },
    /// The profile has no such unit.
    #[error(
        "profile `{profile}` has no unit `{found}`; nearest valid: \
         `{nearest}` (it has {valid})"
    )]
    UnknownUnit {
        /// The profile.
        profile: String,
        /// What was asked for.
        found: String,
        /// The nearest unit that it has.
        nearest: String,
        /// All units that it has.
        valid: String,
    },
    /// The file is not a profile.
    #[error("{file}:{line}: {place}{message}", place = place(key))]
    Content {
        /// The file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Dotted key, e.g. `unit.gpu.matrix.f16`; empty when none is meant.
        key: String,
        /// What was found and what was expected.
        message: String,
    },
    /// A newer build wrote it.
    #[error(
        "{file}: profile format {found} is newer than {supported}, which \
         this build reads; update assay"
    )]
    Newer {
        /// The file.
        file: String,
        /// Its format version.
        found: i64,
        /// [`crate::FORMAT_VERSION`].
        supported: u32,
    },
    /// The file cannot be read.
    #[error("cannot read hardware profile {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write hardware profile {path}: {source}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The profile or overlay has a value that the format cannot hold.
    #[error("cannot write `{name}` as TOML: {source}")]
    Format {
        /// The profile.
        name: String,
        /// Why.
        source: toml::ser::Error,
    },
    /// A newer build wrote the overlay.
    #[error(
        "{file}: overlay format {found} is newer than {supported}, which \
         this build reads; update assay"
    )]
    NewerOverlay {
        /// The file.
        file: String,
        /// Its format version.
        found: i64,
        /// [`crate::OVERLAY_FORMAT_VERSION`].
        supported: u32,
    },
    /// The overlay's file cannot be read.
    #[error("cannot read overlay {path}: {source}", path = path.display())]
    ReadOverlay {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The overlay's file cannot be written.
    #[error("cannot write overlay {path}: {source}", path = path.display())]
    WriteOverlay {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn place(key: &str) -> String {
    if key.is_empty() { String::new() } else { format!("{key}: ") }
}
