//! What can go wrong with self-evolving training.

use std::path::PathBuf;

use assay_kit::{AxisError, KitError, StudyFileError};
use assay_measure::WorkloadError;
use assay_schema::TextError;
use assay_slm::SlmError;
use assay_trace::TraceError;

/// A case that cannot be read, prepared or run.
#[derive(Debug, thiserror::Error)]
pub enum MstarError {
    /// An embedded or given text file with a mistake in it.
    #[error(transparent)]
    Text(#[from] TextError),
    /// What the language model says.
    #[error(transparent)]
    Slm(#[from] SlmError),
    /// Weights or a golden file.
    #[error(transparent)]
    Kit(#[from] KitError),
    /// The trace.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// An axis without a lawful value.
    #[error(transparent)]
    Axis(#[from] AxisError),
    /// A name that is no model, nor part of one.
    #[error("unknown model `{found}`; nearest valid: `{nearest}`")]
    Model {
        /// What was asked for.
        found: String,
        /// The nearest name.
        nearest: String,
    },
    /// Tokens that do not fit where they should.
    #[error(
        "{tokens} tokens, visual ones included where there are some: there \
         is room for {context}; take a shorter prompt, fewer tiles or a \
         shorter reply"
    )]
    TooLong {
        /// How many there are.
        tokens: usize,
        /// How many fit.
        context: usize,
    },
    /// Examples or pictures of a shape that does not go together.
    #[error("{0}")]
    Shape(String),
    /// Problems that cannot be had, or words that are none of the task's.
    #[error("{0}")]
    Data(String),
    /// A file that cannot be read or written.
    #[error("{}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// A file of a study's state that cannot be gone on from.
    #[error(transparent)]
    State(#[from] StudyFileError),
    /// Training that ran away.
    #[error("{what} is not finite")]
    NotFinite {
        /// E.g. `loss of `rft` at step 12`.
        what: String,
    },
}

impl From<MstarError> for WorkloadError {
    fn from(error: MstarError) -> Self {
        match error {
            MstarError::NotFinite { what } => Self::NotFinite { what },
            other => Self::other(other.to_string()),
        }
    }
}
