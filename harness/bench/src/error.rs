//! What can go wrong outside of a benchmark's own code.

use std::path::PathBuf;

/// Wrong flags, names or files; a broken body is no error but a failed
/// benchmark.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A flag that there is not.
    #[error("unknown flag `{found}`{}; --help lists the flags", did_you_mean(.nearest.as_deref()))]
    UnknownFlag {
        /// What was given.
        found: String,
        /// The nearest flag.
        nearest: Option<String>,
    },
    /// A flag with a value that cannot be.
    #[error("{flag} is `{found}`; expected {expected}")]
    FlagValue {
        /// The flag.
        flag: &'static str,
        /// Its value, or `nothing`.
        found: String,
        /// What would do.
        expected: &'static str,
    },
    /// A benchmark that there is not.
    #[error("unknown benchmark `{found}`{}", did_you_mean(.nearest.as_deref()))]
    UnknownBenchmark {
        /// What was asked for.
        found: String,
        /// The nearest name.
        nearest: Option<String>,
    },
    /// A name that is no line of text.
    #[error(
        "the benchmark name {found:?} is empty or holds a control character; expected a line of text"
    )]
    Name {
        /// The name.
        found: String,
    },
    /// Two benchmarks of one name.
    #[error("two benchmarks are called `{name}`; expected a name for each")]
    Twice {
        /// The name.
        name: String,
    },
    /// A baseline that was never saved.
    #[error("no baseline `{found}` in {}{}; --save-baseline {found} makes one", folder.display(), did_you_mean(.nearest.as_deref()))]
    UnknownBaseline {
        /// What was asked for.
        found: String,
        /// Where baselines are.
        folder: PathBuf,
        /// The nearest baseline.
        nearest: Option<String>,
    },
    /// Benchmarks that their baseline does not fit, without `--force`.
    #[error(
        "not compared with the baseline `{baseline}`: {}; --force compares them all the same",
        names.join(", ")
    )]
    NotComparable {
        /// The baseline.
        baseline: String,
        /// The benchmarks.
        names: Vec<String>,
    },
    /// A file or socket that cannot be used.
    #[error("{}: {problem}", path.display())]
    File {
        /// Where.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Lockstep where there are no Unix sockets.
    #[error(
        "--assay-lockstep speaks through a Unix socket, which this system has not; run the benchmarks with --save-baseline and --baseline instead"
    )]
    NoLockstep,
    /// Standard output is gone.
    #[error("standard output: {0}")]
    Output(#[from] std::io::Error),
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}
