//! Instructions counted by valgrind's callgrind: a simulated processor that
//! executes the program and counts, so the count repeats where time does not.
//! Misses of its caches and branch predictor are *simulated*: two levels of
//! the sizes that this processor reports, without prefetching, and a predictor
//! as of 2004 (valgrind's manual). They show where a program asks for other memory
//! than before, not what that costs here.
//!
//! [`count_instructions`] counts a whole command, the processes that it starts
//! included. What a body costs is the difference of two runs of one program,
//! with iterations and without ([`count_difference`]): start-up, linking and
//! set-up are in both and fall out. Symbols are not looked at, so inlining and
//! mangling do not matter.
//!
//! What makes counts differ between runs: random seeds of hash maps, reading
//! the clock in a loop, threads that wait by spinning, and the length of
//! arguments and environment (some tens of instructions at start). Valgrind
//! has no AVX-512: a program sees a processor without it, so kernels chosen at
//! run time may be others than those that are timed.

mod command;
mod out_file;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use command::CommandLine;
pub use out_file::Counts;
use out_file::parse_totals;

use command::{Ran, run};

const VALGRIND: &str = "valgrind";

/// Why there is no count.
#[derive(Debug, thiserror::Error)]
pub enum CallgrindError {
    /// No valgrind on this machine.
    #[error(
        "valgrind is not installed; callgrind is part of the package \
         `valgrind`: apt install valgrind (Debian, Ubuntu), dnf install \
         valgrind (Fedora)"
    )]
    NoValgrind,
    /// The system refused.
    #[error("cannot {action} {}: {error}", path.display())]
    Io {
        /// `start`, `read`, ...
        action: &'static str,
        /// What.
        path: PathBuf,
        /// The system's reason.
        error: std::io::Error,
    },
    /// The command ended badly under valgrind.
    #[error("`{command}` under callgrind ended with {status}{said}")]
    Failed {
        /// The command.
        command: String,
        /// Its exit status.
        status: std::process::ExitStatus,
        /// The end of what it or valgrind said, after `: `.
        said: String,
    },
    /// The command did not end.
    #[error(
        "`{command}` under callgrind did not end within {} s; callgrind is \
         some hundred times slower than the processor: give it less work or \
         more time",
        limit.as_secs()
    )]
    TooSlow {
        /// The command.
        command: String,
        /// The limit.
        limit: Duration,
    },
    /// A file of callgrind that holds no totals.
    #[error("callgrind's file of `{command}`: {problem}")]
    OutFile {
        /// The command.
        command: String,
        /// What was found, and what was expected.
        problem: String,
    },
    /// The run with iterations counted no more than that without.
    #[error(
        "`{with}` took {counted} instructions and `{without}` {baseline}; \
         expected more with iterations than without"
    )]
    NoDifference {
        /// The command with iterations.
        with: String,
        /// The command without.
        without: String,
        /// Instructions with.
        counted: u64,
        /// Instructions without.
        baseline: u64,
    },
}

impl CallgrindError {
    /// Whether the machine, and not the command, is at fault (exit code 3).
    pub fn is_machine(&self) -> bool {
        matches!(self, Self::NoValgrind | Self::Io { .. })
    }

    fn io(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io { action, path, error }
    }
}

/// Runs a command under callgrind and counts it and the processes that it
/// starts. What it prints goes nowhere.
///
/// # Errors
/// No valgrind; the command fails or outlasts the limit; no totals.
pub fn count_instructions(
    command: &CommandLine,
    limit: Duration,
) -> Result<Counts, CallgrindError> {
    count_with(VALGRIND.as_ref(), command, limit)
}

/// The counts of one run less those of another: what the iterations cost that
/// one has and the other has not.
///
/// # Errors
/// As [`count_instructions`], and where the first counts no more.
pub fn count_difference(
    with: &CommandLine,
    without: &CommandLine,
    limit: Duration,
) -> Result<Counts, CallgrindError> {
    difference(
        (with, count_instructions(with, limit)?),
        (without, count_instructions(without, limit)?),
    )
}

fn difference(
    (with, mut counts): (&CommandLine, Counts),
    (without, less): (&CommandLine, Counts),
) -> Result<Counts, CallgrindError> {
    let counted = counts.instructions().unwrap_or(0);
    let baseline = less.instructions().unwrap_or(0);
    if counted <= baseline {
        return Err(CallgrindError::NoDifference {
            with: with.to_string(),
            without: without.to_string(),
            counted,
            baseline,
        });
    }
    for (event, count) in &mut counts.events {
        // Misses may fall by chance where instructions rise.
        let less = less.events.get(event).copied().unwrap_or(0);
        *count = count.saturating_sub(less);
    }
    Ok(counts)
}

fn count_with(
    valgrind: &OsStr,
    command: &CommandLine,
    limit: Duration,
) -> Result<Counts, CallgrindError> {
    let folder = tempfile::Builder::new()
        .prefix("assay-callgrind-")
        .tempdir()
        .map_err(CallgrindError::io("make", &std::env::temp_dir()))?;
    let place = |name: &str| folder.path().join(name).into_os_string();
    let file = |option: &str, name: &str| {
        let mut word = std::ffi::OsString::from(option);
        word.push(place(name));
        word
    };
    // A file for each process: `%p` is its number.
    let options = [
        "--tool=callgrind".into(),
        "--trace-children=yes".into(),
        "--cache-sim=yes".into(),
        "--branch-sim=yes".into(),
        file("--callgrind-out-file=", "out.%p"),
        file("--log-file=", "log.%p"),
    ];
    let under = CommandLine {
        program: valgrind.to_owned(),
        args: options
            .into_iter()
            .chain([command.program.clone()])
            .chain(command.args.iter().cloned())
            .collect(),
        env: command.env.clone(),
    };
    match run(&under, limit)? {
        Ran::TooLong => {
            Err(CallgrindError::TooSlow { command: command.to_string(), limit })
        }
        Ran::Ended { status, said } if !status.success() => {
            let said = if said.is_empty() { log(folder.path()) } else { said };
            let said = said.trim();
            Err(CallgrindError::Failed {
                command: command.to_string(),
                status,
                said: if said.is_empty() {
                    String::new()
                } else {
                    format!(": {said}")
                },
            })
        }
        Ran::Ended { .. } => totals(folder.path(), command),
    }
}

/// The totals of all processes.
fn totals(
    folder: &Path,
    command: &CommandLine,
) -> Result<Counts, CallgrindError> {
    let problem = |problem: String| CallgrindError::OutFile {
        command: command.to_string(),
        problem,
    };
    let mut counts = Counts::default();
    for path in files(folder, "out.")? {
        let text = fs::read_to_string(&path)
            .map_err(CallgrindError::io("read", &path))?;
        // A process that was replaced before it ran leaves an empty file.
        if !text.is_empty() {
            counts.add(parse_totals(&text).map_err(problem)?);
        }
    }
    match counts.instructions() {
        Some(1..) => Ok(counts),
        Some(0) | None => Err(problem("no instruction was counted".into())),
    }
}

/// Valgrind's own last words.
fn log(folder: &Path) -> String {
    const LINES: usize = 6;
    let mut lines = Vec::new();
    for path in files(folder, "log.").unwrap_or_default() {
        let text = fs::read_to_string(path).unwrap_or_default();
        lines.extend(text.lines().map(str::to_owned));
    }
    lines.split_off(lines.len().saturating_sub(LINES)).join("; ")
}

/// Files of a folder whose names begin so, sorted.
fn files(folder: &Path, start: &str) -> Result<Vec<PathBuf>, CallgrindError> {
    let entries =
        fs::read_dir(folder).map_err(CallgrindError::io("read", folder))?;
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(start))
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests;
