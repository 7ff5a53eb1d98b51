//! What the reader asked for: the kind of report, and the formats.

use std::str::FromStr;

use assay_schema::nearest;

use crate::ReportError;

/// What a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What was run, on what, how sure.
    Run,
    /// Predicted against observed.
    Validation,
    /// One run against another: named by the contract, made from paired
    /// samples that a [`crate::RunData`] does not hold.
    Comparison,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Run, Self::Validation, Self::Comparison];

    /// The name that commands use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Validation => "validation",
            Self::Comparison => "comparison",
        }
    }
}

impl FromStr for Kind {
    type Err = ReportError;

    fn from_str(word: &str) -> Result<Self, ReportError> {
        Self::ALL.into_iter().find(|kind| kind.name() == word).ok_or_else(
            || ReportError::UnknownKind {
                found: word.to_owned(),
                nearest: nearest(word, ["run", "validation"]).unwrap_or("run"),
            },
        )
    }
}

/// A format to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// One self-contained page, `index.html`.
    Html,
    /// `report.md`.
    Markdown,
    /// One file a table, `data/<table>.csv`.
    Csv,
    /// Tables for a paper, `tables.tex`.
    Latex,
    /// One file a figure, `figures/<figure>.svg`.
    Svg,
}

impl Format {
    /// All of them, in the order in which they are written.
    pub const ALL: [Self; 5] =
        [Self::Html, Self::Markdown, Self::Csv, Self::Latex, Self::Svg];

    /// The name that commands use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Markdown => "markdown",
            Self::Csv => "csv",
            Self::Latex => "latex",
            Self::Svg => "svg",
        }
    }
}

impl FromStr for Format {
    type Err = ReportError;

    fn from_str(word: &str) -> Result<Self, ReportError> {
        Self::ALL.into_iter().find(|format| format.name() == word).ok_or_else(
            || ReportError::UnknownFormat {
                found: word.to_owned(),
                nearest: nearest(word, Self::ALL.map(Self::name))
                    .unwrap_or("html"),
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_to_what_they_name() {
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        for format in Format::ALL {
            assert_eq!(format.name().parse(), Ok(format));
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_nearest() {
        let kind = "valid".parse::<Kind>().unwrap_err().to_string();
        assert!(kind.contains("nearest valid: `validation`"), "{kind}");
        let format = "htm".parse::<Format>().unwrap_err().to_string();
        assert!(format.contains("nearest valid: `html`"), "{format}");
    }
}
