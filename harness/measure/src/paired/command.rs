//! Arms that are shell commands: a fresh process each turn.
//!
//! Time is the wall time from start to end; processor time and peak memory
//! are the kernel's account of that child and of what it waited for; page
//! faults and context switches are what the account of all children grew by
//! (one runs at a time). Standard output is hashed as it streams and never
//! kept.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use assay_schema::{Better, LockstepMetric, Seconds};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use wait4::{ResUse, Wait4};

use super::child::{how, joined, kill_group, release, spawn, tail_of};
use super::stream_hash::StreamHash;
use super::{
    Arm, ArmSample, PairedError, PairedSettings, Side, Slot, Started, Starter,
};

/// What the shell says when it finds no command, or may not run it.
const NOT_FOUND: i32 = 127;
const NOT_EXECUTABLE: i32 = 126;

/// Compares two shell commands.
#[derive(Clone, Debug)]
pub struct Commands {
    name: String,
    commands: [String; 3],
    settings: PairedSettings,
}

impl Commands {
    /// Two commands for `sh -c`.
    pub fn new(
        baseline: impl Into<String>,
        candidate: impl Into<String>,
        settings: &PairedSettings,
    ) -> Self {
        let (baseline, candidate) = (baseline.into(), candidate.into());
        let name = if baseline == candidate {
            baseline.clone()
        } else {
            format!("{baseline} -> {candidate}")
        };
        Self {
            name,
            commands: [baseline.clone(), candidate, baseline],
            settings: settings.clone(),
        }
    }
}

impl Starter for Commands {
    type Arm = CommandArm;

    fn start(
        &mut self,
        _round: u64,
        _order: [Side; 3],
    ) -> Result<[(CommandArm, Started); 3], PairedError> {
        Ok(Side::ALL.map(|side| {
            let arm = CommandArm {
                side,
                command: self.commands[side.index()].clone(),
                settings: self.settings.clone(),
                longest: Seconds::ZERO,
            };
            (arm, Started::default())
        }))
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn is_whole_process(&self) -> bool {
        true
    }

    fn placement(&self) -> Option<String> {
        Some("not pinned: a command may start what it likes".to_owned())
    }
}

/// A shell command.
#[derive(Clone, Debug)]
pub struct CommandArm {
    side: Side,
    command: String,
    settings: PairedSettings,
    /// The longest run so far.
    longest: Seconds,
}

impl CommandArm {
    fn ran_out(&self, limit: Seconds) -> PairedError {
        PairedError::Hung {
            side: self.side,
            what: self.command.clone(),
            limit_s: limit.0,
        }
    }

    /// The error of an execution that did not end with 0.
    fn failed(&self, status: ExitStatus, stderr: String) -> PairedError {
        let (side, command) = (self.side, self.command.clone());
        match status.code() {
            Some(NOT_FOUND | NOT_EXECUTABLE) => {
                PairedError::NoCommand { side, command, stderr }
            }
            _ => {
                let how = how(status);
                PairedError::Exit { side, command, how, stderr }
            }
        }
    }
}

impl Arm for CommandArm {
    fn sample(&mut self, _: Slot) -> Result<ArmSample, PairedError> {
        let limit = self.settings.patience(self.longest);
        let before = children()?;
        let began = Instant::now();
        let mut child = spawn(
            Command::new("sh")
                .arg("-c")
                .arg(&self.command)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped()),
        )
        .map_err(PairedError::system("start sh"))?;
        let group = child.id();
        let stderr = tail_of(child.stderr.take());
        let stdout = hash_of(child.stdout.take());
        let watchdog = Watchdog::set(group, limit);
        let waited = wait(child, began, watchdog);
        let Waited { used, wall, killed } =
            waited.map_err(PairedError::system("wait for a command"))?;
        let after = children()?;
        let (stderr, output) = (joined(stderr), joined(stdout));
        if killed {
            return Err(self.ran_out(limit));
        }
        if !used.status.success() {
            return Err(self.failed(used.status, stderr.unwrap_or_default()));
        }
        let Some(fingerprint) = output else {
            return Err(PairedError::Exit {
                side: self.side,
                command: self.command.clone(),
                how: "a process left behind that keeps its standard output \
                      open"
                    .to_owned(),
                stderr: stderr.unwrap_or_default(),
            });
        };
        let seconds = wall.as_secs_f64();
        self.longest = self.longest.max(Seconds(seconds));
        Ok(ArmSample {
            seconds,
            metrics: metrics(&used, &before, &after),
            fingerprint: Some(fingerprint),
        })
    }
}

/// Reads standard output to its end, in a thread.
fn hash_of(stdout: Option<ChildStdout>) -> JoinHandle<u64> {
    std::thread::spawn(move || {
        let mut hash = StreamHash::new();
        let mut buffer = vec![0_u8; 1 << 16];
        if let Some(mut stdout) = stdout {
            while let Ok(n @ 1..) = stdout.read(&mut buffer) {
                hash.write(&buffer[..n]);
            }
        }
        hash.finish()
    })
}

/// The account of all children that were waited for.
fn children() -> Result<Usage, PairedError> {
    getrusage(UsageWho::RUSAGE_CHILDREN)
        .map_err(|error| PairedError::system("read getrusage")(error.into()))
}

fn metrics(
    used: &ResUse,
    before: &Usage,
    after: &Usage,
) -> BTreeMap<String, LockstepMetric> {
    let mut metrics = BTreeMap::new();
    let mut add = |name: &str, unit: &str, value: f64| {
        metrics.insert(
            name.to_owned(),
            LockstepMetric {
                value,
                unit: unit.to_owned(),
                better: Better::Lower,
            },
        );
    };
    let usage = used.rusage;
    add("cpu_time", "s", (usage.utime + usage.stime).as_secs_f64());
    // A child begins with its parent's peak to its name: below that, what
    // the kernel says is this program's memory, not the command's.
    let own = getrusage(UsageWho::RUSAGE_SELF)
        .map_or(u64::MAX, |own| own.max_rss().unsigned_abs() * MAX_RSS_UNIT);
    if usage.maxrss > own {
        add("memory_peak", "B", usage.maxrss as f64);
    }
    let grown =
        |of: fn(&Usage) -> nix::libc::c_long| (of(after) - of(before)) as f64;
    let faults =
        grown(Usage::minor_page_faults) + grown(Usage::major_page_faults);
    add("page_faults", "1", faults);
    let switches = grown(Usage::involuntary_context_switches);
    add("context_switches_involuntary", "1", switches);
    metrics
}

/// Bytes of one unit of `ru_maxrss`.
const MAX_RSS_UNIT: u64 = if cfg!(target_vendor = "apple") { 1 } else { 1024 };

/// How an execution went.
struct Waited {
    used: ResUse,
    wall: Duration,
    /// Its time was up.
    killed: bool,
}

/// Waits, kills what the command left running, and reaps.
#[cfg(target_os = "linux")]
fn wait(
    child: Child,
    began: Instant,
    watchdog: Watchdog,
) -> std::io::Result<Waited> {
    use nix::errno::Errno;
    use nix::sys::wait::{Id, WaitPidFlag, waitid};
    use nix::unistd::Pid;
    let group = child.id();
    let process = i32::try_from(group).map_err(std::io::Error::other)?;
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    let mut ended = waitid(Id::Pid(Pid::from_raw(process)), flags);
    while ended == Err(Errno::EINTR) {
        ended = waitid(Id::Pid(Pid::from_raw(process)), flags);
    }
    let wall = began.elapsed();
    let killed = watchdog.stop();
    release(group);
    Ok(Waited { used: child.wait4()?, wall, killed })
}

/// Elsewhere waiting reaps at once.
#[cfg(not(target_os = "linux"))]
fn wait(
    child: Child,
    began: Instant,
    watchdog: Watchdog,
) -> std::io::Result<Waited> {
    let group = child.id();
    let used = child.wait4()?;
    let wall = began.elapsed();
    let killed = watchdog.stop();
    release(group);
    Ok(Waited { used, wall, killed })
}

/// Kills a process group when its time is up.
struct Watchdog {
    done: Option<Sender<()>>,
    killed: Arc<Mutex<bool>>,
    thread: JoinHandle<()>,
}

impl Watchdog {
    fn set(group: u32, limit: Seconds) -> Self {
        let (done, ended) = channel();
        let killed = Arc::new(Mutex::new(false));
        let shared = Arc::clone(&killed);
        let limit = Duration::try_from_secs_f64(limit.0.max(1e-3))
            .unwrap_or(Duration::MAX);
        let thread = std::thread::spawn(move || {
            if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                *shared.lock().unwrap_or_else(PoisonError::into_inner) = true;
                kill_group(group);
            }
        });
        Self { done: Some(done), killed, thread }
    }

    /// Calls it off; whether it had to kill.
    fn stop(mut self) -> bool {
        self.done.take();
        let _ = self.thread.join();
        *self.killed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
