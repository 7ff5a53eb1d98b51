//! A child process: the end of its standard error is kept, it is killed with
//! all that it started, and it never stays behind.

use std::collections::BTreeSet;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStderr, Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// Bytes of standard error that are kept.
const TAIL: usize = 2048;
/// How long a reader may go on after its process has ended: long enough for
/// what is in the pipe, short beside a person's patience.
const READERS_GRACE: Duration = Duration::from_secs(2);

/// The process groups whose leader was started and not reaped yet.
static GROUPS: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

fn groups() -> MutexGuard<'static, BTreeSet<u32>> {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills all that was started here and still runs: the last act of the
/// handler of an interrupt before it ends the process, because a child in its
/// own process group gets no interrupt from the terminal.
///
/// Nothing is started or reaped after it: whoever tries waits for the end of
/// the process, and so has nothing to say of children that died.
pub fn kill_running() {
    let groups = groups();
    for group in groups.iter() {
        kill_group(*group);
    }
    std::mem::forget(groups);
}

/// Starts a command as the leader of its own process group, known to
/// [`kill_running`] until it is reaped.
pub(crate) fn spawn(command: &mut Command) -> std::io::Result<Child> {
    // Held meanwhile: an interrupt comes before the start, or sees the child.
    let mut groups = groups();
    let child = command.process_group(0).spawn()?;
    groups.insert(child.id());
    Ok(child)
}

/// Kills a group and forgets it, before its leader is reaped: until then
/// nobody else can have its number. Does nothing a second time.
pub(crate) fn release(group: u32) {
    let mut groups = groups();
    if groups.remove(&group) {
        kill_group(group);
    }
}

/// Reads standard error to its end, in a thread, and keeps the last of it,
/// without the characters that would move a terminal's cursor.
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
        String::from_utf8_lossy(&tail[from..])
            .trim()
            .replace(|c: char| c.is_control() && c != '\n', " ")
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

/// Kills a child and its group, or what it left running where it ended by
/// itself, and takes it off the kernel's books.
pub(crate) fn end(child: &mut Child) {
    let _ = reap(child);
}

/// How a child ended, if it did; what it left running is killed then.
pub(crate) fn ended(child: &mut Child) -> std::io::Result<Option<ExitStatus>> {
    if has_ended(child) { reap(child).map(Some) } else { Ok(None) }
}

fn reap(child: &mut Child) -> std::io::Result<ExitStatus> {
    release(child.id());
    child.wait()
}

/// Whether a child has ended, without reaping it.
#[cfg(target_os = "linux")]
fn has_ended(child: &mut Child) -> bool {
    use nix::errno::Errno;
    use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
    let Ok(process) = i32::try_from(child.id()) else { return false };
    let flags =
        WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    let found = waitid(Id::Pid(Pid::from_raw(process)), flags);
    // Any other error: it is reaped already, or a signal without a name
    // ended it.
    !matches!(found, Ok(WaitStatus::StillAlive) | Err(Errno::EINTR))
}

/// Elsewhere asking reaps at once.
#[cfg(not(target_os = "linux"))]
fn has_ended(child: &mut Child) -> bool {
    matches!(child.try_wait(), Ok(Some(_)))
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

/// Whether a process is no more, or will be in a moment; one that is dead and
/// that its new parent has not reaped yet is no more.
#[cfg(test)]
pub(crate) fn is_gone(process: i32) -> bool {
    use nix::errno::Errno;
    use nix::sys::signal::kill;
    let gone = || {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat"));
        kill(Pid::from_raw(process), None) == Err(Errno::ESRCH)
            || stat.is_ok_and(|stat| stat.contains(") Z "))
    };
    (0..5000).any(|_| {
        let gone = gone();
        if !gone {
            std::thread::sleep(Duration::from_millis(1));
        }
        gone
    })
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    use super::*;

    fn shell(line: &str) -> Child {
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(line)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        spawn(&mut command).unwrap()
    }

    /// The number that it prints.
    fn printed(child: &mut Child) -> i32 {
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        line.trim().parse().unwrap()
    }

    #[test]
    fn a_child_that_ended_by_itself_leaves_nothing_running() {
        let mut child = shell("sleep 1000 & echo $!");
        let left = printed(&mut child);
        assert!(groups().contains(&child.id()));
        let status = (0..5000).find_map(|_| {
            std::thread::sleep(Duration::from_millis(1));
            ended(&mut child).unwrap()
        });
        assert!(status.unwrap().success());
        assert!(is_gone(left));
        assert!(!groups().contains(&child.id()));
        end(&mut child); // A second time does nothing.
    }

    #[test]
    fn a_child_is_ended_with_what_it_started() {
        let mut child = shell("sleep 1000 & echo $!; sleep 1000");
        let started = printed(&mut child);
        assert_eq!(ended(&mut child).unwrap(), None);
        end(&mut child);
        assert!(is_gone(started));
    }

    #[test]
    #[ignore = "a part of the test below, which runs it in a process of its own; among others it would kill their children"]
    fn kills_all() {
        let mut child = shell("sleep 1000 & echo $!; sleep 1000");
        let started = printed(&mut child);
        kill_running();
        assert!(!child.wait().unwrap().success());
        assert!(is_gone(started));
    }

    #[test]
    fn an_interrupt_leaves_nothing_running() {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["paired::child::tests::kills_all", "--exact", "--ignored"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("1 passed"), "{said}");
    }

    #[test]
    fn last_words_do_not_move_the_cursor() {
        let mut child = shell("printf 'a\\033[2Jb\\rc\\nd\\n' >&2");
        let said = joined(tail_of(child.stderr.take()));
        end(&mut child);
        assert_eq!(said.as_deref(), Some("a [2Jb c\nd"));
    }
}
