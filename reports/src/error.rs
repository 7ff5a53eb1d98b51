//! What can go wrong while a report is made.

/// Why there is no report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// A word that names no kind of report.
    #[error(
        "unknown kind of report `{found}`; nearest valid: `{nearest}` (one of run, validation)"
    )]
    UnknownKind {
        /// What was written.
        found: String,
        /// The nearest kind.
        nearest: &'static str,
    },
    /// A kind that is named but cannot be made from what was given.
    #[error(
        "a `{kind}` report cannot be made from runs; valid kinds: run, validation"
    )]
    KindNotAvailable {
        /// The kind asked for.
        kind: &'static str,
    },
    /// A word that names no format.
    #[error(
        "unknown report format `{found}`; nearest valid: `{nearest}` (one of html, markdown, csv, latex, svg)"
    )]
    UnknownFormat {
        /// What was written.
        found: String,
        /// The nearest format.
        nearest: &'static str,
    },
    /// No run was given.
    #[error("no run to report on: expected at least one run directory")]
    NothingToReport,
    /// A figure could not be drawn: a bug, with the figure's name in it.
    #[error("figure `{figure}` could not be drawn: {reason}")]
    Figure {
        /// The figure.
        figure: String,
        /// What the plotting library said.
        reason: String,
    },
    /// A table could not be written as CSV: a bug, with its name in it.
    #[error("table `{table}` could not be written as CSV: {reason}")]
    Table {
        /// The table.
        table: String,
        /// What the CSV library said.
        reason: String,
    },
}
