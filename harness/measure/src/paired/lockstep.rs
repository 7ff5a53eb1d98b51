//! Arms that are processes of benchmark executables, told over a socket when
//! to run (see [`LockstepRequest`]).

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use assay_schema::{LOCKSTEP_VERSION, LockstepReply, LockstepRequest, Seconds};

use super::child::{end, ended, how, joined, spawn, tail_of};
use super::pinning::{allowed_cores, pin, processor_time, threads};
use super::{
    Arm, ArmSample, PairedError, PairedSettings, Side, Slot, Started, Starter,
};

/// How long an executable may take to connect: it has only to start.
const CONNECT: Duration = Duration::from_secs(20);
/// How long it may take to leave when told to.
const LEAVE: Duration = Duration::from_millis(200);
/// Longest answer that is read: the names of many thousand benchmarks.
const LONGEST_ANSWER: u64 = 64 << 20;
/// A process that used more processor time than this share of the wall time
/// ran on several cores at once.
const PARALLEL: f64 = 1.1;

/// A program and what stands before `--assay-lockstep SOCKET`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executable {
    /// The file.
    pub program: PathBuf,
    /// Arguments in front.
    pub arguments: Vec<String>,
}

impl Executable {
    /// A file without arguments.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), arguments: Vec::new() }
    }
}

/// The names of an executable's benchmarks.
///
/// # Errors
/// It cannot be started, or is no benchmark executable of this version.
pub fn list(
    executable: &Executable,
    side: Side,
) -> Result<Vec<String>, PairedError> {
    let mut arm = LockstepArm::spawn(executable, side, "--list", None)?;
    arm.list()
}

/// Compares one benchmark of two executables.
#[derive(Debug)]
pub struct Lockstep {
    executables: [Executable; 3],
    bench: String,
    limit: Option<Seconds>,
    cores: Vec<usize>,
    placement: Option<Placement>,
}

/// How the arms are placed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Placement {
    Pinned,
    Free(&'static str),
}

impl Lockstep {
    /// The benchmark of this full name in both executables.
    pub fn new(
        baseline: Executable,
        candidate: Executable,
        bench: impl Into<String>,
        settings: &PairedSettings,
    ) -> Self {
        Self {
            executables: [baseline.clone(), candidate, baseline],
            bench: bench.into(),
            limit: settings.time_limit,
            cores: allowed_cores(),
            placement: None,
        }
    }
}

impl Starter for Lockstep {
    type Arm = LockstepArm;

    fn start(
        &mut self,
        _round: u64,
        order: [Side; 3],
    ) -> Result<[(LockstepArm, Started); 3], PairedError> {
        // All come up at once, and set up one after the other: starting is
        // the system's work, set-up the benchmark's.
        let mut launched = Vec::with_capacity(3);
        for side in order {
            launched
                .push(Launched::new(&self.executables[side.index()], side)?);
        }
        let mut arms = [None, None, None];
        for launched in launched {
            let side = launched.side;
            let mut arm = launched.connect(&self.bench, self.limit)?;
            let started = arm.prepare()?;
            arms[side.index()] = Some((arm, started));
        }
        match arms {
            [Some(a), Some(b), Some(again)] => Ok([a, b, again]),
            // Not with an order that names each side once.
            _ => Err(PairedError::System {
                action: "start three arms",
                error: std::io::ErrorKind::InvalidInput.into(),
            }),
        }
    }

    fn stop(&mut self, mut arms: [LockstepArm; 3]) {
        // Told together, so that they leave side by side.
        for arm in &mut arms {
            arm.tell_to_leave();
        }
    }

    fn place(
        &mut self,
        round: u64,
        arms: &mut [LockstepArm; 3],
    ) -> Result<(), PairedError> {
        if matches!(self.placement, Some(Placement::Free(_))) {
            return Ok(());
        }
        let free = if self.cores.is_empty() {
            Some("this system tells no allowed cores")
        } else if arms.iter().any(|arm| arm.ran_in_parallel) {
            Some("it uses several cores at once")
        } else if arms.iter().any(|arm| threads(arm.child.id()) != Some(1)) {
            Some("it has several threads")
        } else {
            None
        };
        if let Some(why) = free {
            self.placement = Some(Placement::Free(why));
            return Ok(());
        }
        let core = self.cores[round as usize % self.cores.len()];
        for arm in arms {
            if pin(arm.child.id(), core).is_err() {
                let why = "the system refuses affinity";
                self.placement = Some(Placement::Free(why));
                return Ok(());
            }
        }
        self.placement = Some(Placement::Pinned);
        Ok(())
    }

    fn name(&self) -> &str {
        &self.bench
    }

    fn placement(&self) -> Option<String> {
        Some(match self.placement.as_ref()? {
            Placement::Pinned => format!(
                "the three processes of a round pinned to one core, in turn \
                 over {}",
                self.cores.len()
            ),
            Placement::Free(why) => format!("not pinned: {why}"),
        })
    }
}

/// One process of a benchmark executable.
#[derive(Debug)]
pub struct LockstepArm {
    side: Side,
    bench: String,
    child: Child,
    stream: BufReader<UnixStream>,
    stderr: Option<JoinHandle<String>>,
    limit: Option<Seconds>,
    /// Seconds of an iteration, as last seen.
    iteration: Seconds,
    /// Whether it was seen on several cores at once.
    ran_in_parallel: bool,
    /// Told to leave.
    told: bool,
    /// Dead.
    left: bool,
}

/// An executable that was started and has not connected yet. Ended when
/// dropped.
struct Launched {
    side: Side,
    path: PathBuf,
    child: Option<Child>,
    listener: UnixListener,
    stderr: Option<JoinHandle<String>>,
    /// Holds the socket; nobody else can connect to it.
    _folder: tempfile::TempDir,
}

impl Launched {
    fn new(executable: &Executable, side: Side) -> Result<Self, PairedError> {
        let folder = tempfile::Builder::new()
            .prefix("assay")
            .tempdir()
            .map_err(PairedError::system("make a folder for a socket"))?;
        let socket = folder.path().join("s");
        let listener = UnixListener::bind(&socket)
            .map_err(PairedError::system("open a socket"))?;
        let mut child = spawn(
            Command::new(&executable.program)
                .args(&executable.arguments)
                .arg("--assay-lockstep")
                .arg(&socket)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped()),
        )
        .map_err(|error| PairedError::Start {
            side,
            path: executable.program.clone(),
            error,
        })?;
        let stderr = Some(tail_of(child.stderr.take()));
        Ok(Self {
            side,
            path: executable.program.clone(),
            child: Some(child),
            listener,
            stderr,
            _folder: folder,
        })
    }

    fn connect(
        mut self,
        bench: &str,
        limit: Option<Seconds>,
    ) -> Result<LockstepArm, PairedError> {
        let (side, path) = (self.side, self.path.clone());
        let Some(mut child) = self.child.take() else {
            let found = "it was started no longer".to_owned();
            return Err(PairedError::NoBench { side, path, found });
        };
        let stream = match accept(&self.listener, &mut child) {
            Ok(stream) => stream,
            Err(found) => {
                end(&mut child);
                let said = self.stderr.take().and_then(joined);
                let said = said.unwrap_or_default();
                let found = match said.lines().next().unwrap_or_default() {
                    "" => found,
                    said => format!("{found}: {said}"),
                };
                return Err(PairedError::NoBench { side, path, found });
            }
        };
        let mut arm = LockstepArm {
            side,
            bench: bench.to_owned(),
            child,
            stream: BufReader::new(stream),
            stderr: self.stderr.take(),
            limit,
            iteration: Seconds::ZERO,
            ran_in_parallel: false,
            told: false,
            left: false,
        };
        // Before the first use, so that versions that mean other things by
        // the same words never come to speak.
        arm.check_version(&path)?;
        Ok(arm)
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            end(child);
        }
    }
}

impl LockstepArm {
    fn spawn(
        executable: &Executable,
        side: Side,
        bench: &str,
        limit: Option<Seconds>,
    ) -> Result<Self, PairedError> {
        Launched::new(executable, side)?.connect(bench, limit)
    }

    /// Asks it to leave; whether the request went out.
    fn tell_to_leave(&mut self) -> bool {
        if !self.told {
            let sent = self.stream.get_mut().write_all(b"{\"do\":\"end\"}\n");
            self.told = sent.is_ok();
        }
        self.told
    }

    fn check_version(
        &mut self,
        path: &std::path::Path,
    ) -> Result<(), PairedError> {
        match self.ask(&LockstepRequest::List, Seconds::ZERO)? {
            LockstepReply::Listing { version: LOCKSTEP_VERSION, .. } => Ok(()),
            LockstepReply::Listing { version, .. } => {
                Err(PairedError::Version {
                    side: self.side,
                    path: path.to_owned(),
                    found: version,
                    expected: LOCKSTEP_VERSION,
                })
            }
            other => Err(self.unexpected(&other, "a listing")),
        }
    }

    fn list(&mut self) -> Result<Vec<String>, PairedError> {
        match self.ask(&LockstepRequest::List, Seconds::ZERO)? {
            LockstepReply::Listing { benches, .. } => Ok(benches),
            other => Err(self.unexpected(&other, "a listing")),
        }
    }

    fn prepare(&mut self) -> Result<Started, PairedError> {
        let name = self.bench.clone();
        let request = LockstepRequest::Prepare { name };
        match self.ask(&request, Seconds::ZERO)? {
            LockstepReply::Ready { seconds, fingerprint } => {
                self.iteration = Seconds(seconds.max(0.0));
                Ok(Started { seconds: Some(seconds), fingerprint })
            }
            other => Err(self.unexpected(&other, "that it is ready")),
        }
    }

    /// One request, one answer, within the time limit.
    fn ask(
        &mut self,
        request: &LockstepRequest,
        expected: Seconds,
    ) -> Result<LockstepReply, PairedError> {
        let limit = PairedSettings {
            time_limit: self.limit,
            ..PairedSettings::default()
        }
        .patience(expected);
        let mut line = serde_json::to_vec(request).unwrap_or_default();
        line.push(b'\n');
        let patience = Duration::try_from_secs_f64(limit.0.max(1e-3))
            .unwrap_or(Duration::MAX);
        let sent = self
            .stream
            .get_ref()
            .set_read_timeout(Some(patience))
            .and_then(|()| self.stream.get_mut().write_all(&line));
        if sent.is_err() {
            return Err(self.died());
        }
        let mut answer = Vec::new();
        let read = (&mut self.stream)
            .take(LONGEST_ANSWER)
            .read_until(b'\n', &mut answer);
        match read {
            Ok(_) if answer.ends_with(b"\n") => {}
            Ok(_) => return Err(self.died()),
            Err(error) if is_timeout(&error) => {
                self.kill();
                return Err(PairedError::Hung {
                    side: self.side,
                    what: self.bench.clone(),
                    limit_s: limit.0,
                });
            }
            Err(_) => return Err(self.died()),
        }
        serde_json::from_slice(&answer).map_err(|_| PairedError::Answer {
            side: self.side,
            what: self.bench.clone(),
            found: String::from_utf8_lossy(&answer)
                .trim()
                .chars()
                .take(80)
                .collect(),
            expected: "a line of the lockstep protocol",
        })
    }

    fn unexpected(
        &mut self,
        reply: &LockstepReply,
        expected: &'static str,
    ) -> PairedError {
        let (side, what) = (self.side, self.bench.clone());
        if let LockstepReply::Error { message } = reply {
            let message = message.clone();
            return PairedError::Reported { side, what, message };
        }
        let found = format!("{reply:?}").chars().take(80).collect();
        PairedError::Answer { side, what, found, expected }
    }

    /// It closed the socket: why?
    fn died(&mut self) -> PairedError {
        self.left = true;
        let how = match wait_until(&mut self.child, LEAVE) {
            Some(status) => how(status),
            None => "it closed the socket and was killed".to_owned(),
        };
        end(&mut self.child);
        let stderr = self.stderr.take().and_then(joined).unwrap_or_default();
        PairedError::Died {
            side: self.side,
            what: self.bench.clone(),
            how,
            stderr,
        }
    }

    fn kill(&mut self) {
        self.left = true;
        end(&mut self.child);
    }
}

impl Arm for LockstepArm {
    fn sample(&mut self, slot: Slot) -> Result<ArmSample, PairedError> {
        let Slot { warm_up, iterations } = slot;
        let expected = self.iteration * (warm_up + iterations) as f64;
        let used = processor_time(self.child.id());
        let began = Instant::now();
        let reply =
            self.ask(&LockstepRequest::Run { warm_up, iterations }, expected)?;
        let wall = began.elapsed();
        if let (Some(then), Some(now)) = (used, processor_time(self.child.id()))
        {
            let used = now.saturating_sub(then).as_secs_f64();
            self.ran_in_parallel |= used > PARALLEL * wall.as_secs_f64();
        }
        match reply {
            LockstepReply::Sample { seconds, metrics } => {
                self.iteration = Seconds(seconds / iterations as f64);
                Ok(ArmSample { seconds, metrics, fingerprint: None })
            }
            other => Err(self.unexpected(&other, "a sample")),
        }
    }
}

impl Drop for LockstepArm {
    fn drop(&mut self) {
        if !self.left {
            // Told first, so that a body can clean up after itself.
            if self.tell_to_leave() {
                wait_until(&mut self.child, LEAVE);
            }
        }
        end(&mut self.child);
    }
}

/// Waits for the child to connect; else what it did instead.
fn accept(
    listener: &UnixListener,
    child: &mut Child,
) -> Result<UnixStream, String> {
    let until = Instant::now() + CONNECT;
    listener.set_nonblocking(true).map_err(|error| error.to_string())?;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream
                    .set_nonblocking(false)
                    .map_err(|error| error.to_string())?;
                return Ok(stream);
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.to_string()),
        }
        if let Ok(Some(status)) = ended(child) {
            return Err(format!("{} without connecting", how(status)));
        }
        if Instant::now() > until {
            return Err(format!(
                "no connection within {} s",
                CONNECT.as_secs()
            ));
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// The child's end, if it comes soon.
fn wait_until(
    child: &mut Child,
    patience: Duration,
) -> Option<std::process::ExitStatus> {
    let until = Instant::now() + patience;
    loop {
        if let Ok(Some(status)) = ended(child) {
            return Some(status);
        }
        if Instant::now() > until {
            return None;
        }
        std::thread::sleep(Duration::from_micros(100));
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    matches!(error.kind(), TimedOut | WouldBlock)
}

#[cfg(test)]
mod tests;
