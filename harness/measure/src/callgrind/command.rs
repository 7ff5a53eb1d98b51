//! A command and one bounded run of it: in time, and in what is kept of its
//! words.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::CallgrindError;
use crate::paired::child::{end, ended, joined, spawn, tail_of};

/// A program with its arguments, and variables beside those of this process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// A path, or a name looked up in `PATH`.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables to set.
    pub env: Vec<(OsString, OsString)>,
}

impl CommandLine {
    /// A program with arguments.
    pub fn new<A: AsRef<OsStr>>(
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: args.into_iter().map(|a| a.as_ref().to_owned()).collect(),
            env: Vec::new(),
        }
    }

    /// A line for the shell.
    pub fn shell(line: &str) -> Self {
        Self::new("sh", ["-c", line])
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.program.to_string_lossy())?;
        for word in &self.args {
            write!(f, " {}", word.to_string_lossy())?;
        }
        Ok(())
    }
}

/// How a run ended.
pub(super) enum Ran {
    /// By itself.
    Ended {
        status: ExitStatus,
        /// The end of its standard error.
        said: String,
    },
    /// It was ended, at the limit.
    TooLong,
}

/// Runs a command to its end or the limit; what it left running is killed.
pub(super) fn run(
    command: &CommandLine,
    limit: Duration,
) -> Result<Ran, CallgrindError> {
    let program = Path::new(&command.program);
    let mut start = Command::new(program);
    start
        .args(&command.args)
        .envs(command.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = spawn(&mut start).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => CallgrindError::NoValgrind,
        _ => CallgrindError::io("start", program)(error),
    })?;
    let words = tail_of(child.stderr.take());
    let begun = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        match ended(&mut child) {
            Ok(Some(status)) => {
                let said = joined(words).unwrap_or_default();
                return Ok(Ran::Ended { status, said });
            }
            Ok(None) if begun.elapsed() < limit => std::thread::sleep(pause),
            Ok(None) => {
                end(&mut child);
                return Ok(Ran::TooLong);
            }
            Err(error) => {
                end(&mut child);
                return Err(CallgrindError::io("wait for", program)(error));
            }
        }
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}
