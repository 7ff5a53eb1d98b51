//! A command and one bounded run of it: in time, and in what is kept of its
//! words.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::CallgrindError;

/// How much of its words is kept.
const KEPT: usize = 2000;

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

/// Runs a command to its end or the limit.
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
    // A group of its own, so that what it starts can be ended with it.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut start, 0);
    let mut child = start.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => CallgrindError::NoValgrind,
        _ => CallgrindError::io("start", program)(error),
    })?;
    let words = tail(&mut child);
    let begun = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        let ended =
            child.try_wait().map_err(CallgrindError::io("wait for", program));
        match ended {
            Ok(Some(status)) => {
                // A process that it left behind may hold the pipe open.
                let said = words.recv_timeout(Duration::from_secs(1));
                let said = said.unwrap_or_default();
                return Ok(Ran::Ended { status, said });
            }
            Ok(None) if begun.elapsed() < limit => std::thread::sleep(pause),
            Ok(None) => {
                end(&mut child);
                return Ok(Ran::TooLong);
            }
            Err(error) => {
                end(&mut child);
                return Err(error);
            }
        }
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Ends a command and all that it started.
fn end(child: &mut Child) {
    #[cfg(unix)]
    {
        use nix::sys::signal::{Signal, killpg};
        use nix::unistd::Pid;
        if let Ok(group) = i32::try_from(child.id()) {
            // Gone already is as good as ended.
            let _: nix::Result<()> =
                killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
    }
    let _: std::io::Result<()> = child.kill();
    let _: std::io::Result<ExitStatus> = child.wait();
}

/// The end of a child's standard error, sent once it closes; however much it
/// prints, little is kept.
fn tail(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = channel();
    if let Some(mut pipe) = child.stderr.take() {
        std::thread::spawn(move || {
            let (mut kept, mut buffer) = (Vec::new(), [0; 4096]);
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                kept.extend_from_slice(&buffer[..count]);
                let over = kept.len().saturating_sub(KEPT);
                kept.drain(..over);
            }
            // Nobody waits any more where the run was ended.
            let _: Result<(), _> =
                sender.send(String::from_utf8_lossy(&kept).into_owned());
        });
    }
    receiver
}
