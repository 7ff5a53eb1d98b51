//! What can go wrong with the workload of the second wireless paper.

use assay_interference::InterferenceError;
use assay_kit::{AxisError, KitError};
use assay_measure::WorkloadError;
use assay_radio::SnapshotsError;
use assay_radio::files::FilesError;
use assay_radio::radioml::RadioMlError;
use assay_schema::TextError;
use assay_trace::TraceError;

/// A case that cannot be read, prepared or run.
#[derive(Debug, thiserror::Error)]
pub enum SnrError {
    /// An embedded file with a mistake in it: a bug of this crate.
    #[error(transparent)]
    Text(#[from] TextError),
    /// What the interference networks or data say.
    #[error(transparent)]
    Interference(#[from] InterferenceError),
    /// Weights or a golden file.
    #[error(transparent)]
    Kit(#[from] KitError),
    /// The trace.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// Data files.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The generator of modulations.
    #[error(transparent)]
    RadioMl(#[from] RadioMlError),
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
    /// Examples that a network cannot take.
    #[error(
        "examples of {length} samples are too short for this network: it \
         needs {least}; take fewer stacks"
    )]
    TooShort {
        /// Samples an example.
        length: usize,
        /// Least.
        least: usize,
    },
    /// Nothing to train on.
    #[error(
        "no training example at {snr_db} dB is left of {per_cell} snapshots a \
         cell and a fraction of {fraction}; raise either"
    )]
    NothingToTrain {
        /// The SNRs that were asked for.
        snr_db: String,
        /// Snapshots of a class at an SNR.
        per_cell: usize,
        /// Share of them.
        fraction: f64,
    },
}

impl From<SnrError> for WorkloadError {
    fn from(error: SnrError) -> Self {
        Self::other(error.to_string())
    }
}
