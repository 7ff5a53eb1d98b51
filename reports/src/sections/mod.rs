//! Sections: findings laid out as a document. One file a section, each a
//! function from findings to a [`Section`], or `None` when it has nothing
//! to say.

mod claims;
mod comparison;
mod everything;
mod losses;
mod memory;
mod memory_by_size;
mod methods;
mod pictures;
mod rooflines;
mod scaling;
mod studies;
mod summary;
mod survey;
mod throughput;
mod time_by_class;
mod validation;

use crate::document::Document;
use crate::findings::RunFindings;
use crate::{ReportError, RunData, Validation, findings};

/// The document of a `run` report.
pub(crate) fn run_document(runs: &[RunData]) -> Result<Document, ReportError> {
    if runs.is_empty() {
        return Err(ReportError::NothingToReport);
    }
    let found = findings::find(runs);
    let timed = [
        Some(summary::section(&found)),
        comparison::section(&found),
        time_by_class::section(&found),
        rooflines::section(&found),
        scaling::section(&found),
        throughput::section(&found),
        memory::section(&found),
        memory_by_size::section(&found),
    ];
    let rest = [
        pictures::section(&found),
        claims::section(&found),
        losses::section(&found),
        everything::section(&found),
        Some(methods::section(&found)),
    ];
    Ok(Document {
        title: summary::title(&found),
        subtitle: summary::subtitle(&found),
        sections: timed
            .into_iter()
            .flatten()
            .chain(survey::sections(&found))
            .chain(studies::sections(&found))
            .chain(rest.into_iter().flatten())
            .collect(),
    })
}

/// The document of a `validation` report from runs.
pub(crate) fn validation_of_runs(
    runs: &[RunData],
) -> Result<Document, ReportError> {
    if runs.is_empty() {
        return Err(ReportError::NothingToReport);
    }
    let rows = findings::validation_rows(&findings::find(runs));
    Ok(validation::of_runs(&rows))
}

/// The document of a `validation` report from a table of measurements.
pub(crate) fn validation_of_table(validation: &Validation) -> Document {
    validation::of_table(validation)
}

/// Case, and machine where several machines stand in the report.
fn several(runs: &[RunFindings<'_>]) -> bool {
    runs.len() > 1
}

/// A word that is safe in a file name.
fn file_word(word: &str) -> String {
    word.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect()
}

/// A name that none has taken, numbered where it has to be.
fn unique(id: &str, taken: &[String]) -> String {
    let free = |id: &String| !taken.contains(id);
    let numbered = (2..).map(|number| format!("{id}-{number}"));
    std::iter::once(id.to_owned())
        .chain(numbered)
        .find(free)
        .unwrap_or_default()
}

/// `1 case`, `2 cases`.
fn counted(count: usize, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}
