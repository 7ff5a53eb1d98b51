//! What can be wrong with another tool's files. Each message has the path,
//! what was found and what was expected.

use std::path::{Path, PathBuf};

use assay_store::StoreError;

/// An import that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// No such format.
    #[error("unknown format `{found}`; known: {known}; nearest: `{nearest}`")]
    UnknownFormat {
        /// What was asked for.
        found: String,
        /// All names, joined.
        known: String,
        /// The nearest of them.
        nearest: String,
    },
    /// No path was given.
    #[error("no PATH was given; expected {expected}")]
    NoPath {
        /// What would do.
        expected: &'static str,
    },
    /// A path at which the tool has nothing.
    #[error("{}: {found}; expected {expected}", path.display())]
    NotOfTheTool {
        /// The path as given.
        path: PathBuf,
        /// What is there.
        found: &'static str,
        /// What should be.
        expected: &'static str,
    },
    /// A baseline that no benchmark has.
    #[error(
        "{}: no benchmark has the baseline `{baseline}`; found: {known}; \
         nearest: `{nearest}`",
        path.display()
    )]
    NoBaseline {
        /// The path as given.
        path: PathBuf,
        /// What was asked for.
        baseline: String,
        /// Baselines that are there, joined.
        known: String,
        /// The nearest of them.
        nearest: String,
    },
    /// A file that cannot be read or does not hold what it should.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was found, and what was expected.
        problem: String,
    },
    /// Two folders with one benchmark.
    #[error(
        "`{case}` stands twice: in {} and in {}; import them into two runs",
        first.display(),
        second.display()
    )]
    Twice {
        /// The case.
        case: String,
        /// Where it was found first.
        first: PathBuf,
        /// Where it was found again.
        second: PathBuf,
    },
    /// The run directory.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ImportError {
    /// What is wrong with a file.
    pub(super) fn file(path: &Path, problem: impl Into<String>) -> Self {
        Self::File { path: path.to_owned(), problem: problem.into() }
    }
}
