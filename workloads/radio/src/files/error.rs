//! What can be wrong with a real file.

use std::path::{Path, PathBuf};

use super::array::ArrayError;
use super::pickle::PickleError;
use crate::SnapshotsError;

/// An error of a reader, with the path inside.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// It cannot be opened or read.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A folder without any known file.
    #[error("{}: holds none of {names}", path.display())]
    NoneFound {
        /// The folder.
        path: PathBuf,
        /// What is looked for.
        names: String,
    },
    /// A folder with several sets.
    #[error("{}: holds {names}; name one of them", path.display())]
    Several {
        /// The folder.
        path: PathBuf,
        /// What was found.
        names: String,
    },
    /// A compressed file.
    #[error("{}: is compressed with {by}; unpack it first", path.display())]
    Compressed {
        /// Which file.
        path: PathBuf,
        /// With what.
        by: &'static str,
    },
    /// A pickle that is broken or asks for too much.
    #[error("{}: {source}", path.display())]
    Pickle {
        /// Which file.
        path: PathBuf,
        /// What and where.
        source: PickleError,
    },
    /// A `.npy` that is broken.
    #[error("{}: {message}", path.display())]
    Npy {
        /// Which file.
        path: PathBuf,
        /// What.
        message: String,
    },
    /// An array that is not whole.
    #[error("{}: {source}", path.display())]
    Array {
        /// Which file.
        path: PathBuf,
        /// What.
        source: ArrayError,
    },
    /// Something of another shape or type than the set has.
    #[error("{}: {what}: found {found}, expected {expected}", path.display())]
    Shape {
        /// Which file.
        path: PathBuf,
        /// Of what.
        what: String,
        /// Found.
        found: String,
        /// Expected.
        expected: String,
    },
    /// A modulation that RadioML 2016 has not.
    #[error(
        "{}: unknown modulation `{name}`; nearest known: `{nearest}`",
        path.display()
    )]
    UnknownName {
        /// Which file.
        path: PathBuf,
        /// The name.
        name: String,
        /// The nearest one.
        nearest: String,
    },
    /// Read, but no lawful set.
    #[error("{}: {source}", path.display())]
    Set {
        /// Which file.
        path: PathBuf,
        /// What.
        source: SnapshotsError,
    },
}

impl FilesError {
    pub(super) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    pub(super) fn pickle(path: &Path, source: PickleError) -> Self {
        Self::Pickle { path: path.to_owned(), source }
    }

    pub(super) fn array(path: &Path, source: ArrayError) -> Self {
        Self::Array { path: path.to_owned(), source }
    }
}
