//! What can be wrong with a request or with the constants.

use assay_schema::TextError;

/// An error of the RadioML generator.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RadioMlError {
    /// The constants file does not parse, or a number in it is unlawful.
    #[error(transparent)]
    Constants(#[from] TextError),
    /// Nothing is asked for.
    #[error("the request has no {what}: nothing to generate")]
    Empty {
        /// What is missing.
        what: &'static str,
    },
    /// An SNR label twice: its snapshots would be the same ones twice.
    #[error("SNR label {snr_db} dB is asked for twice")]
    Repeated {
        /// The label.
        snr_db: i8,
    },
}
