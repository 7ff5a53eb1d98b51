//! What can go wrong with the workload of protein folding.

use assay_kit::{AxisError, KitError};
use assay_measure::WorkloadError;
use assay_schema::TextError;
use assay_trace::TraceError;

/// A case that cannot be read, prepared or run.
#[derive(Debug, thiserror::Error)]
pub enum FastFoldError {
    /// An embedded file with a mistake in it: a bug of this crate.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Weights or a golden file.
    #[error(transparent)]
    Kit(#[from] KitError),
    /// The trace.
    #[error(transparent)]
    Trace(#[from] TraceError),
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
    /// An axis without a lawful value.
    #[error(transparent)]
    Axis(#[from] AxisError),
    /// A memory limit that no chunking meets.
    #[error(
        "axis `memory_limit`: no chunking of {sequences} sequences x \
         {residues} residues stays under {limit} bytes: one row at a time \
         still takes {least} bytes, of which {weights} are weights; the peak \
         is at `{peak_at}`"
    )]
    Limit {
        /// Sequences.
        sequences: usize,
        /// Residues.
        residues: usize,
        /// What was asked for.
        limit: u64,
        /// The least that was found.
        least: u64,
        /// Of which weights.
        weights: u64,
        /// The part of the model whose memory is largest then.
        peak_at: String,
    },
}

impl From<FastFoldError> for WorkloadError {
    fn from(error: FastFoldError) -> Self {
        Self::other(error.to_string())
    }
}
