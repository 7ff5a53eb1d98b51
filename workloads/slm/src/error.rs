//! What can go wrong with a language model.

use std::path::PathBuf;

use assay_kit::KitError;
use assay_schema::TextError;
use assay_trace::TraceError;

use crate::Family;

/// A model that cannot be read, loaded or run.
#[derive(Debug, thiserror::Error)]
pub enum SlmError {
    /// A model file could not be read.
    #[error("{path}: {error}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A model file with a mistake in it.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Weights or a golden file.
    #[error(transparent)]
    Kit(#[from] KitError),
    /// The trace.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// A name that is no model.
    #[error("unknown model `{found}`; nearest valid: `{nearest}`")]
    UnknownModel {
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
    /// Weights of a model whose shape here lacks something of it.
    #[error(
        "{model}: its weights would give other answers here, which leaves out \
         {what}"
    )]
    LeftOut {
        /// The model.
        model: String,
        /// What the model file says of it.
        what: String,
    },
    /// A weight whose rows are no whole number of a format's blocks.
    #[error(
        "`{name}` has rows of {inner} values; {format} packs blocks of {block}, \
         expected a multiple of that (f16 and bf16 take any)"
    )]
    Unpackable {
        /// The weight's dotted path.
        name: String,
        /// Values of a row.
        inner: usize,
        /// The number format.
        format: &'static str,
        /// Values of a block.
        block: usize,
    },
    /// A family whose right answers are not made yet.
    #[error("family {family:?} has no golden file in `goldens/`")]
    NoGolden {
        /// The family.
        family: Family,
    },
    /// The tokenizer file.
    #[error("tokenizer: {0}")]
    Tokenizer(String),
}
