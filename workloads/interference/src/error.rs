//! What can go wrong with the interference workload.

use assay_kit::KitError;
use assay_measure::WorkloadError;
use assay_radio::SnapshotsError;
use assay_radio::files::FilesError;
use assay_radio::interference::ConstantsError;
use assay_schema::TextError;
use assay_trace::TraceError;

/// A case that cannot be read, prepared or run.
#[derive(Debug, thiserror::Error)]
pub enum InterferenceError {
    /// An embedded file with a mistake in it: a bug of this crate.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Weights or a golden file.
    #[error(transparent)]
    Kit(#[from] KitError),
    /// The trace.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The generator's constants: a bug.
    #[error(transparent)]
    Constants(#[from] ConstantsError),
    /// Data files.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// Data with a mistake in it.
    #[error("{path}: {error}")]
    Data {
        /// The data's file, or what made it.
        path: String,
        /// What is wrong.
        error: SnapshotsError,
    },
    /// A name that is none of the known ones.
    #[error("unknown {what} `{found}`; nearest valid: `{nearest}`")]
    Unknown {
        /// Of what: model, size, band.
        what: &'static str,
        /// What was asked for.
        found: String,
        /// The nearest name.
        nearest: String,
    },
    /// An axis without a lawful value.
    #[error("axis `{axis}`: found `{found}`, expected {expected}")]
    Axis {
        /// The axis.
        axis: &'static str,
        /// What was found.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// Examples that a network cannot take.
    #[error(
        "examples of {length} values are too short for this network: it needs \
         {least}; keep more samples or take a wider band"
    )]
    TooShort {
        /// Values an example.
        length: usize,
        /// Least.
        least: usize,
    },
    /// More data than there is memory.
    #[error("{what} needs {needed} bytes of memory, {free} are free")]
    TooLarge {
        /// What.
        what: String,
        /// By estimate.
        needed: u64,
        /// Now.
        free: u64,
    },
}

impl From<InterferenceError> for WorkloadError {
    fn from(error: InterferenceError) -> Self {
        Self::other(error.to_string())
    }
}
