//! Why a workload cannot prepare or run a case.

use std::path::PathBuf;

use assay_schema::Bytes;

/// An error of a workload. It ends its case, never the sweep.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    /// A model, phase or operator that the workload does not have.
    #[error("unknown {what} `{found}`{}", did_you_mean(.nearest.as_deref()))]
    Unknown {
        /// `model`, `phase`, ...
        what: &'static str,
        /// What was asked for.
        found: String,
        /// The nearest valid name.
        nearest: Option<String>,
    },
    /// An axis whose value cannot be.
    #[error("axis `{axis}` is `{found}`, expected {expected}")]
    Axis {
        /// The axis.
        axis: String,
        /// Its value, or `nothing`.
        found: String,
        /// What would do.
        expected: String,
    },
    /// A file that cannot be used.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what was expected.
        problem: String,
    },
    /// More memory than there is. The case is skipped, not failed.
    #[error(
        "needs {} of memory, {} are free",
        in_gigabytes(*.needed),
        in_gigabytes(*.available)
    )]
    DoesNotFit {
        /// What it needs.
        needed: Bytes,
        /// What there is.
        available: Bytes,
    },
    /// Not on this machine or device. The case is skipped, not failed.
    #[error("{0}")]
    Unsupported(String),
    /// NaN or infinity where a number was due.
    #[error("{what} is not finite")]
    NotFinite {
        /// E.g. `loss at step 12`.
        what: String,
    },
    /// Anything else, with its source.
    #[error("{0}")]
    Other(#[from] Box<dyn std::error::Error + Send + Sync>),
}

impl WorkloadError {
    /// Any other failure, in words.
    pub fn other(message: impl Into<String>) -> Self {
        Self::Other(message.into().into())
    }

    /// Whether the case was not run at all, as opposed to broken.
    pub fn is_skip(&self) -> bool {
        matches!(self, Self::DoesNotFit { .. } | Self::Unsupported(_))
    }

    /// The message with those of its sources, joined by `: `.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        // `Other` shows its box itself; its sources start below that.
        let mut source = match self {
            Self::Other(inner) => inner.source(),
            Self::Unknown { .. }
            | Self::Axis { .. }
            | Self::File { .. }
            | Self::DoesNotFit { .. }
            | Self::Unsupported(_)
            | Self::NotFinite { .. } => None,
        };
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        text
    }
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

fn in_gigabytes(bytes: Bytes) -> String {
    format!("{:.2} GB", bytes.0 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_was_found_and_what_was_expected() {
        let unknown = WorkloadError::Unknown {
            what: "model",
            found: "tny".into(),
            nearest: Some("tiny".into()),
        };
        insta::assert_snapshot!(
            unknown,
            @"unknown model `tny`; did you mean `tiny`?"
        );
        let memory = WorkloadError::DoesNotFit {
            needed: Bytes(6e9),
            available: Bytes(2.5e9),
        };
        insta::assert_snapshot!(
            memory,
            @"needs 6.00 GB of memory, 2.50 GB are free"
        );
        assert!(memory.is_skip() && !unknown.is_skip());
    }

    #[test]
    fn a_chain_names_every_source_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read weights")]
        struct Outer(#[source] std::io::Error);
        let error = WorkloadError::Other(Box::new(Outer(
            std::io::Error::other("disk gone"),
        )));
        assert_eq!(error.chain(), "cannot read weights: disk gone");
    }
}
