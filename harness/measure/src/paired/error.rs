//! What can go wrong while arms are compared. Each message names the side,
//! the benchmark, and what to do.

use std::path::PathBuf;

use super::Side;

/// A comparison that cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum PairedError {
    /// The file cannot be started.
    #[error("the {side} {} cannot be started: {error}", path.display())]
    Start {
        /// Which side.
        side: Side,
        /// The executable.
        path: PathBuf,
        /// The system's reason.
        error: std::io::Error,
    },
    /// It runs, but does not speak lockstep.
    #[error(
        "the {side} {} is no assay-bench executable ({found}); expected a \
         benchmark with `harness = false` whose main is assay-bench's, as \
         `cargo bench --no-run` prints it",
        path.display()
    )]
    NoBench {
        /// Which side.
        side: Side,
        /// The executable.
        path: PathBuf,
        /// What it did instead.
        found: String,
    },
    /// It speaks another version.
    #[error(
        "the {side} {} speaks lockstep version {found}, this assay {expected}; \
         build it with the assay-bench of this version",
        path.display()
    )]
    Version {
        /// Which side.
        side: Side,
        /// The executable.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        expected: u32,
    },
    /// No answer within the time limit; it was killed.
    #[error(
        "the {side} gave no answer in {limit_s} s in `{what}` and was killed; \
         raise --time-limit if it needs longer"
    )]
    Hung {
        /// Which side.
        side: Side,
        /// The benchmark or command.
        what: String,
        /// The limit, seconds.
        limit_s: f64,
    },
    /// It ended in the middle.
    #[error("the {side} ended in the middle of `{what}` ({how}){}", tail(.stderr))]
    Died {
        /// Which side.
        side: Side,
        /// The benchmark.
        what: String,
        /// Exit code or signal.
        how: String,
        /// The last lines of its standard error.
        stderr: String,
    },
    /// It said that something went wrong.
    #[error("the {side} reports of `{what}`: {message}")]
    Reported {
        /// Which side.
        side: Side,
        /// The benchmark.
        what: String,
        /// Its words.
        message: String,
    },
    /// An answer that is none.
    #[error("the {side} answered `{found}` in `{what}`; expected {expected}")]
    Answer {
        /// Which side.
        side: Side,
        /// The benchmark.
        what: String,
        /// The answer, shortened.
        found: String,
        /// What was due.
        expected: &'static str,
    },
    /// A command that ended badly.
    #[error("the {side} command `{command}` ended with {how}{}", tail(.stderr))]
    Exit {
        /// Which side.
        side: Side,
        /// The command.
        command: String,
        /// Exit code or signal.
        how: String,
        /// The last lines of its standard error.
        stderr: String,
    },
    /// A command that the shell cannot find or run.
    #[error(
        "the {side} command `{command}` cannot be run by the shell{}",
        tail(.stderr)
    )]
    NoCommand {
        /// Which side.
        side: Side,
        /// The command.
        command: String,
        /// What the shell said.
        stderr: String,
    },
    /// A time that no clock gives.
    #[error("the {side} took {found} s in `{what}`; expected 0 or more")]
    Time {
        /// Which side.
        side: Side,
        /// The benchmark.
        what: String,
        /// The value.
        found: f64,
    },
    /// The system refused something of ours.
    #[error("cannot {action}: {error}")]
    System {
        /// What was tried.
        action: &'static str,
        /// The system's reason.
        error: std::io::Error,
    },
}

impl PairedError {
    /// Whether the user named the wrong thing, as opposed to a body or
    /// command that failed or a machine that could not.
    pub fn is_wrong_input(&self) -> bool {
        matches!(
            self,
            Self::Start { .. }
                | Self::NoBench { .. }
                | Self::Version { .. }
                | Self::NoCommand { .. }
        )
    }

    /// Whether the machine refused.
    pub fn is_machine(&self) -> bool {
        matches!(self, Self::System { .. })
    }

    /// Which side failed, where it was a side.
    pub fn side(&self) -> Option<Side> {
        match self {
            Self::Start { side, .. }
            | Self::NoBench { side, .. }
            | Self::Version { side, .. }
            | Self::Hung { side, .. }
            | Self::Died { side, .. }
            | Self::Reported { side, .. }
            | Self::Answer { side, .. }
            | Self::Exit { side, .. }
            | Self::NoCommand { side, .. }
            | Self::Time { side, .. } => Some(*side),
            Self::System { .. } => None,
        }
    }

    pub(crate) fn system(
        action: &'static str,
    ) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::System { action, error }
    }
}

fn tail(stderr: &str) -> String {
    let stderr = stderr.trim();
    if stderr.is_empty() {
        String::new()
    } else {
        format!("; the end of its standard error:\n{stderr}")
    }
}
