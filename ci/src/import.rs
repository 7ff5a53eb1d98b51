//! `assay import`: results that another harness measured, as a run directory.
//!
//! Each format is a file that reads its tool's own files into [`Foreign`]
//! cases; `run` writes those. An imported case keeps its raw samples, and says
//! what it is: no answer of it was checked, so it has no verification and is
//! never sound; its first warning is of the kind `imported`.

mod criterion;
mod error;
mod names;
mod run;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use assay_schema::{Case, Host, Metric, Moment, SampleBatch, Warning, nearest};

pub use error::ImportError;

/// A tool whose results can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// criterion.rs: the folder `target/criterion`.
    Criterion,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::Criterion];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Criterion => "criterion",
        }
    }
}

impl FromStr for Format {
    type Err = ImportError;

    fn from_str(text: &str) -> Result<Self, ImportError> {
        let names = || Self::ALL.iter().map(|format| format.name());
        Self::ALL.into_iter().find(|format| format.name() == text).ok_or_else(
            || ImportError::UnknownFormat {
                found: text.to_owned(),
                known: names().collect::<Vec<_>>().join(", "),
                nearest: nearest(text, names()).unwrap_or_default().to_owned(),
            },
        )
    }
}

/// What an import needs beside the files.
#[derive(Clone, Debug)]
pub struct ImportRequest<'a> {
    /// Files or folders of the tool.
    pub paths: &'a [PathBuf],
    /// Which of the tool's baselines, e.g. `new`.
    pub baseline: &'a str,
    /// The run directory to make.
    pub out: &'a Path,
    /// Now, for the header.
    pub now: Moment,
    /// The machine that imports, and as far as anybody knows measured.
    pub host: Host,
    /// The command as typed.
    pub command: Vec<String>,
    /// The version of Assay that imports.
    pub assay_version: &'a str,
}

/// What an import made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Cases written.
    pub cases: usize,
    /// Raw samples in them.
    pub samples: usize,
    /// What the reader must know: what was left out.
    pub notes: Vec<String>,
}

/// One case as another tool measured it.
#[derive(Clone, Debug, PartialEq)]
struct Foreign {
    /// Where it was found.
    folder: PathBuf,
    /// Its name here.
    case: Case,
    /// When the tool wrote it.
    at: Moment,
    /// Raw samples in order.
    samples: Vec<SampleBatch>,
    /// What the tool declared or computed.
    metrics: Vec<Metric>,
    /// What does not fit together.
    warnings: Vec<Warning>,
}

/// Reads the tool's files and writes a run directory.
///
/// # Errors
/// A file that is missing, torn or holds what cannot be; a path that is none
/// of the tool's; the same case twice; a run directory that is there already.
pub fn import(
    format: Format,
    request: &ImportRequest<'_>,
) -> Result<Imported, ImportError> {
    let (found, notes) = match format {
        Format::Criterion => criterion::read(request.paths, request.baseline)?,
    };
    for (index, one) in found.iter().enumerate() {
        let same = found[..index].iter().find(|other| other.case == one.case);
        if let Some(other) = same {
            return Err(ImportError::Twice {
                case: one.case.to_string(),
                first: other.folder.clone(),
                second: one.folder.clone(),
            });
        }
    }
    run::write(format, request, &found)?;
    let samples = found
        .iter()
        .flat_map(|one| &one.samples)
        .map(|batch| batch.seconds.len())
        .sum();
    Ok(Imported { cases: found.len(), samples, notes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_format_lists_the_known_and_the_nearest() {
        let error = "criterio".parse::<Format>().unwrap_err();
        insta::assert_snapshot!(
            error,
            @"unknown format `criterio`; known: criterion; nearest: `criterion`"
        );
        assert_eq!("criterion".parse::<Format>().unwrap(), Format::Criterion);
    }
}
