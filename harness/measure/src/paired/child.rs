//! A child process: the end of its standard error is kept, it is killed with
//! all that it started, and it never stays behind.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, ExitStatus};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// Bytes of standard error that are kept.
const TAIL: usize = 2048;
/// How long a reader may go on after its process has ended: long enough for
/// what is in the pipe, short beside a person's patience.
const READERS_GRACE: Duration = Duration::from_secs(2);

/// Reads standard error to its end, in a thread, and keeps the last of it.
pub(crate) fn tail_of(stderr: Option<ChildStderr>) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut tail = Vec::new();
        let mut buffer = [0_u8; 4096];
        let Some(mut stderr) = stderr else { return String::new() };
        while let Ok(n @ 1..) = stderr.read(&mut buffer) {
            tail.extend_from_slice(&buffer[..n]);
            if tail.len() > 4 * TAIL {
                tail.drain(..tail.len() - TAIL);
            }
        }
        let from = tail.len().saturating_sub(TAIL);
        String::from_utf8_lossy(&tail[from..]).trim().to_owned()
    })
}

/// What a reader found; `None` when something that outlived the process still
/// holds the pipe.
pub(crate) fn joined<T>(reader: JoinHandle<T>) -> Option<T> {
    let until = Instant::now() + READERS_GRACE;
    while !reader.is_finished() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
    if reader.is_finished() { reader.join().ok() } else { None }
}

/// Kills a child that leads its own process group, and the group.
pub(crate) fn kill_group(process: u32) {
    if let Ok(process) = i32::try_from(process) {
        // An error means that nobody is left.
        let _ = killpg(Pid::from_raw(process), Signal::SIGKILL);
    }
}

/// Kills a child and its group and takes it off the kernel's books.
pub(crate) fn end(child: &mut Child) {
    if !matches!(child.try_wait(), Ok(Some(_))) {
        kill_group(child.id());
        let _ = child.wait();
    }
}

/// How a process ended, in words.
pub(crate) fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => match Signal::try_from(signal) {
            Ok(signal) => format!("signal {signal}"),
            Err(_) => format!("signal {signal}"),
        },
        (None, None) => "no exit code".to_owned(),
    }
}
