//! What can go wrong with a run directory. Each message has the path, what
//! was found and what to do.

use std::io;
use std::path::{Path, PathBuf};

use assay_schema::TextError;

/// A run directory that cannot be read or written as asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A new run where one already is.
    #[error(
        "{} already holds a run; continue it with --resume or choose another --out",
        .0.display()
    )]
    AlreadyARun(PathBuf),
    /// Another process writes into it.
    #[error(
        "{} is in use by another run; wait for it or choose another --out",
        .0.display()
    )]
    InUse(PathBuf),
    /// No run there.
    #[error("{} is no run directory: it has no run.toml", .0.display())]
    NotARun(PathBuf),
    /// Opened to read, asked to write.
    #[error("{} was opened to read; resume it to write", .0.display())]
    ReadOnly(PathBuf),
    /// A published run asked to be continued.
    #[error(
        "{} is a published run (.jsonl.zst); it is read, never continued",
        .0.display()
    )]
    Published(PathBuf),
    /// Written by a newer Assay.
    #[error(
        "{}: format version {found} is newer than this build reads (up to {supported}); update assay",
        path.display()
    )]
    Newer {
        /// The header.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version that this build reads.
        supported: u32,
    },
    /// A header or a line that does not parse, with its file and line.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A value that would not read back, so it is not written.
    #[error("{}: refused to write: {reason}", path.display())]
    WouldNotReadBack {
        /// The file.
        path: PathBuf,
        /// What is wrong with the value.
        reason: String,
    },
    /// The system refused.
    #[error("cannot {action} {}: {error}", path.display())]
    Io {
        /// `create`, `write`, `read`, ...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
}

impl StoreError {
    /// Puts action and path to the system's error.
    pub(crate) fn io<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> Self + 'a {
        move |error| Self::Io { action, path: path.to_owned(), error }
    }

    /// Whether the disk is full: what was written so far is intact, and the
    /// run goes on with --resume once there is room.
    pub fn is_disk_full(&self) -> bool {
        matches!(
            self,
            Self::Io { error, .. } if matches!(
                error.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            )
        )
    }
}
