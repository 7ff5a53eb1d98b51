//! What can go wrong with the search and with the intents.

use assay_kit::{AxisError, KitError, StudyFileError};
use assay_measure::WorkloadError;
use assay_schema::TextError;
use assay_slm::SlmError;
use assay_statistics::StatisticsError;
use assay_trace::TraceError;

/// A case that cannot be read, prepared or run.
#[derive(Debug, thiserror::Error)]
pub enum PhoneLmError {
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
    /// A budget that no candidate of the search's space meets.
    #[error(
        "a budget of {budget} parameters: no candidate meets it; the space \
         reaches from {least} to {most}"
    )]
    NoCandidate {
        /// Parameters that were asked for.
        budget: u64,
        /// Parameters of the smallest candidate.
        least: u64,
        /// Parameters of the largest.
        most: u64,
    },
    /// Axes that exclude each other: which, and what would do.
    #[error("axes that exclude each other: {0}")]
    Excluded(String),
    /// A tool whose schema is malformed.
    #[error("tool `{tool}`: {reason}")]
    Schema {
        /// The tool, as far as it has a name.
        tool: String,
        /// What was found and what was expected.
        reason: String,
    },
    /// A text too short to train on.
    #[error(
        "the text has {tokens} tokens; training and judging on it takes at \
         least {needed}"
    )]
    TextTooShort {
        /// Tokens that were found.
        tokens: usize,
        /// Tokens that it takes.
        needed: usize,
    },
    /// Nobody handed a scoring function in.
    #[error(
        "no scoring function is registered, so that nothing can be predicted \
         for `{target}`: hand one to `assay_phonelm::use_scorer`"
    )]
    NoScorer {
        /// For which machine.
        target: String,
    },
    /// The scoring function refused.
    #[error("target `{target}`: {reason}")]
    Score {
        /// For which machine.
        target: String,
        /// What it said.
        reason: String,
    },
    /// A language model.
    #[error(transparent)]
    Slm(#[from] SlmError),
    /// Weights.
    #[error(transparent)]
    Kit(#[from] KitError),
    /// The trace.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// An embedded or given text file with a mistake in it.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A statistic that its input does not have.
    #[error(transparent)]
    Statistics(#[from] StatisticsError),
    /// Data that cannot be generated or read.
    #[error("{0}")]
    Data(String),
    /// A file of a study's state that cannot be gone on from.
    #[error(transparent)]
    State(#[from] StudyFileError),
}

impl From<AxisError> for PhoneLmError {
    fn from(error: AxisError) -> Self {
        let AxisError { axis, found, expected } = error;
        Self::Axis { axis, found, expected }
    }
}

impl From<PhoneLmError> for WorkloadError {
    fn from(error: PhoneLmError) -> Self {
        Self::other(error.to_string())
    }
}
