//! What can go wrong with the workload of one-step diffusion.

use assay_kit::{AxisError, KitError, StudyFileError};
use assay_measure::WorkloadError;
use assay_schema::TextError;
use assay_trace::TraceError;

/// A case that cannot be read, prepared or run.
#[derive(Debug, thiserror::Error)]
pub enum InstaFlowError {
    /// An embedded or given text file with a mistake in it.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Weights or a golden file.
    #[error(transparent)]
    Kit(#[from] KitError),
    /// The trace.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// An axis without a lawful value.
    #[error(transparent)]
    Axis(#[from] AxisError),
    /// A name that is none of the known ones.
    #[error("unknown {what} `{found}`; nearest valid: `{nearest}`")]
    Unknown {
        /// Of what.
        what: &'static str,
        /// What was asked for.
        found: String,
        /// The nearest name.
        nearest: String,
    },
    /// A caption that cannot be drawn.
    #[error("caption `{caption}`: {why}")]
    Caption {
        /// The caption.
        caption: String,
        /// What is wrong with it, and what would do.
        why: String,
    },
    /// A network's shape that is not supported.
    #[error("{file}: {why}")]
    Config {
        /// The file.
        file: String,
        /// What is missing.
        why: String,
    },
    /// A request that no sampler can serve.
    #[error("{0}")]
    Sampling(String),
    /// A file of a study's state that cannot be gone on from.
    #[error(transparent)]
    State(#[from] StudyFileError),
    /// A picture that cannot be written, or a feature network that cannot
    /// read one.
    #[error("{0}")]
    Picture(String),
}

impl From<InstaFlowError> for WorkloadError {
    fn from(error: InstaFlowError) -> Self {
        Self::other(error.to_string())
    }
}
