//! Reports: records -> findings -> document -> HTML, Markdown, CSV, LaTeX,
//! SVG.
//!
//! Here: what is said about runs, how it is laid out, and one renderer a
//! format over the same document. Not here: measuring, files, the clock. The
//! same input gives the same bytes, whatever the order of its cases.
//!
//! The door is [`render`]: runs in, named files out; the command line writes
//! them. A case that failed, or whose answer was not found right, is listed
//! with its reason and never charted. Every number says whether it was
//! measured, predicted or published, by a word, a shape and a colour.

#![cfg_attr(
    test,
    allow(
        clippy::float_cmp,
        reason = "tests compare values that are exact by construction"
    )
)]

mod calendar;
mod choice;
mod document;
mod error;
mod findings;
mod input;
mod render;
mod sections;

pub use calendar::utc;
pub use choice::{Format, Kind};
pub use error::ReportError;
pub use findings::taken_apart;
pub use input::{
    Fold, LeftOut, LeftOutBy, ModuleTimes, Observed, RunData, Validation,
    ValidationRow,
};

/// A file of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputFile {
    /// Path inside the report's folder, `/` between parts: `index.html`,
    /// `data/memory.csv`.
    pub name: String,
    /// Content.
    pub bytes: Vec<u8>,
}

/// Renders a report of one or several runs in the formats asked for.
///
/// # Errors
///
/// Without a run, and for [`Kind::Comparison`], which needs paired samples
/// that runs do not hold.
pub fn render(
    runs: &[RunData],
    kind: Kind,
    formats: &[Format],
) -> Result<Vec<OutputFile>, ReportError> {
    let document = match kind {
        Kind::Run => sections::run_document(runs)?,
        Kind::Validation => sections::validation_of_runs(runs)?,
        Kind::Comparison => {
            return Err(ReportError::KindNotAvailable { kind: kind.name() });
        }
    };
    render::files(&document, formats)
}

/// Renders a validation report of measurements that were predicted elsewhere,
/// e.g. read from a CSV. Rows whose times are not finite and above zero are
/// left out, with a count.
///
/// # Errors
///
/// When a figure or table cannot be written: a bug.
pub fn render_validation(
    validation: &Validation,
    formats: &[Format],
) -> Result<Vec<OutputFile>, ReportError> {
    render::files(&sections::validation_of_table(validation), formats)
}
