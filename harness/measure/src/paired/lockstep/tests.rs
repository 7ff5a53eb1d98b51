//! Real children: this very test executable, started as the ignored test
//! `child`, which answers as its first argument says.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use assay_schema::{LOCKSTEP_VERSION, LockstepReply, LockstepRequest, Seconds};

use super::*;
use crate::MonotonicClock;
use crate::paired::{PairedSettings, compare};

const PINNED: &str = "the three processes of a round pinned to one core";

#[test]
#[ignore = "a part of the other tests, which start it as a child; alone it has no socket to answer on"]
fn child() {
    let arguments: Vec<String> = std::env::args().collect();
    let after = |word: &str| {
        let place = arguments.iter().position(|a| a == word).unwrap();
        arguments[place + 1].clone()
    };
    let manner = after("--");
    let socket = after("--assay-lockstep");
    match manner.as_str() {
        "silent" => return,
        "crash" => std::process::abort(),
        _ => {}
    }
    let stream = UnixStream::connect(socket).unwrap();
    let mut writer = stream.try_clone().unwrap();
    for line in BufReader::new(stream).lines() {
        let request: LockstepRequest =
            serde_json::from_str(&line.unwrap()).unwrap();
        let reply = match (request, manner.as_str()) {
            (LockstepRequest::List, _) => LockstepReply::Listing {
                version: LOCKSTEP_VERSION
                    + u32::from(manner == "other-version"),
                benches: vec!["sum <b>".to_owned(), "größe n=3".to_owned()],
            },
            (LockstepRequest::Prepare { .. }, "refuse") => {
                LockstepReply::Error { message: "no data".to_owned() }
            }
            (LockstepRequest::Prepare { .. }, "hang") => loop {
                std::thread::park();
            },
            (LockstepRequest::Prepare { .. }, "die") => {
                eprintln!("the child's last words");
                std::process::exit(3)
            }
            (LockstepRequest::Prepare { .. }, "babble") => {
                writer.write_all(b"hello\n").unwrap();
                continue;
            }
            (LockstepRequest::Prepare { .. }, _) => {
                LockstepReply::Ready { seconds: 1e-3, fingerprint: Some(1) }
            }
            // A made-up time: no test here reads a real clock.
            (LockstepRequest::Run { iterations, .. }, _) => {
                LockstepReply::Sample {
                    seconds: 1e-3 * iterations as f64,
                    metrics: Default::default(),
                }
            }
            (LockstepRequest::End, _) => return,
        };
        let mut line = serde_json::to_vec(&reply).unwrap();
        line.push(b'\n');
        writer.write_all(&line).unwrap();
    }
}

fn executable(manner: &str) -> Executable {
    let words = [
        "paired::lockstep::tests::child",
        "--exact",
        "--ignored",
        "--nocapture",
        "--test-threads=1",
        "--",
        manner,
    ];
    Executable {
        program: std::env::current_exe().unwrap(),
        arguments: words.map(str::to_owned).to_vec(),
    }
}

fn arms(manner: &str, limit: Option<f64>) -> Lockstep {
    let settings = PairedSettings {
        time_limit: limit.map(Seconds),
        ..PairedSettings::default()
    };
    Lockstep::new(executable("good"), executable(manner), "sum <b>", &settings)
}

fn refused(manner: &str) -> PairedError {
    let started = arms(manner, Some(0.5)).start(0, Side::ALL);
    started.map(|_| ()).unwrap_err()
}

#[test]
fn the_names_of_an_executable_are_read() {
    let names = list(&executable("good"), Side::Baseline).unwrap();
    assert_eq!(names, ["sum <b>", "größe n=3"]);
}

/// Notes the processes that it starts, and their threads.
struct Noted {
    inner: Lockstep,
    processes: Vec<i32>,
    threads: Vec<Option<u64>>,
}

impl Starter for Noted {
    type Arm = LockstepArm;

    fn start(
        &mut self,
        round: u64,
        order: [Side; 3],
    ) -> Result<[(LockstepArm, Started); 3], PairedError> {
        let started = self.inner.start(round, order)?;
        for (arm, _) in &started {
            self.processes.push(arm.child.id() as i32);
            self.threads.push(threads(arm.child.id()));
        }
        Ok(started)
    }

    fn stop(&mut self, arms: [LockstepArm; 3]) {
        self.inner.stop(arms);
    }

    fn place(
        &mut self,
        round: u64,
        arms: &mut [LockstepArm; 3],
    ) -> Result<(), PairedError> {
        self.inner.place(round, arms)
    }

    fn name(&self) -> &str {
        self.inner.name()
    }

    fn placement(&self) -> Option<String> {
        self.inner.placement()
    }
}

fn has_process(process: i32) -> bool {
    // Signal 0 asks whether there is such a process, zombies included.
    let process = nix::unistd::Pid::from_raw(process);
    nix::sys::signal::kill(process, None) != Err(nix::errno::Errno::ESRCH)
}

#[test]
fn three_children_take_turns_and_are_gone_after() {
    let mut starter = Noted {
        inner: arms("good", None),
        processes: Vec::new(),
        threads: Vec::new(),
    };
    let settings = PairedSettings {
        budget: Seconds(0.2),
        least_rounds: 2,
        ..PairedSettings::default()
    };
    let run = compare(
        &mut starter,
        &MonotonicClock::new(),
        &settings,
        &mut |_| Ok(()),
        &mut |_| false,
    )
    .unwrap();
    assert_eq!(run.answer_changed(), Some(false));
    assert!(run.blocks().flatten().all(|s| (s.seconds - 1e-3).abs() < 1e-12));
    assert!(starter.processes.len() >= 3);
    assert!(!starter.processes.iter().any(|&process| has_process(process)));
    let placement = run.placement.unwrap();
    // A test executable may run its test in a thread of its own.
    let free = if starter.threads.iter().all(|&n| n == Some(1)) {
        "not pinned: the system refuses affinity"
    } else {
        "not pinned: it has several threads"
    };
    assert!(
        placement.starts_with(PINNED) || placement == free,
        "{placement}, {:?}",
        starter.threads
    );
}

#[cfg(target_os = "linux")]
#[test]
fn processes_of_one_thread_are_pinned_to_one_core() {
    use nix::sched::{CpuSet, sched_getaffinity};
    let sleeper = |side| LockstepArm {
        side,
        bench: "sleep".to_owned(),
        child: spawn(Command::new("sleep").arg("1000")).unwrap(),
        stream: BufReader::new(UnixStream::pair().unwrap().0),
        stderr: None,
        limit: None,
        iteration: Seconds::ZERO,
        ran_in_parallel: false,
        told: false,
        left: true,
    };
    let mut starter = arms("good", None);
    let mut sleepers = Side::ALL.map(sleeper);
    starter.place(1, &mut sleepers).unwrap();
    let placement = starter.placement().unwrap();
    if placement == "not pinned: the system refuses affinity" {
        println!("skipped: pinning: the system refuses affinity");
        return;
    }
    assert!(placement.starts_with(PINNED), "{placement}");
    let cores = sleepers.each_ref().map(|arm| {
        let process = nix::unistd::Pid::from_raw(arm.child.id() as i32);
        let set = sched_getaffinity(process).unwrap();
        let is_allowed = |core: &usize| set.is_set(*core).unwrap();
        (0..CpuSet::count()).filter(is_allowed).collect::<Vec<_>>()
    });
    assert_eq!(cores[0].len(), 1);
    assert!(cores.iter().all(|core| *core == cores[0]), "{cores:?}");
}

#[test]
fn a_dropped_arm_leaves_no_process_behind() {
    let mut starter = arms("good", None);
    let started = starter.start(0, Side::ALL).unwrap();
    let processes: Vec<i32> =
        started.iter().map(|(arm, _)| arm.child.id() as i32).collect();
    drop(started);
    assert!(!processes.into_iter().any(has_process));
}

#[test]
fn a_child_that_hangs_is_killed_and_named() {
    let error = refused("hang");
    assert_eq!(
        error.to_string(),
        "the candidate gave no answer in 0.5 s in `sum <b>` and was killed; \
         raise --time-limit if it needs longer"
    );
    assert!(!error.is_wrong_input());
}

#[test]
fn a_child_that_dies_is_told_with_its_last_words() {
    let error = refused("die").to_string();
    assert!(error.starts_with(
        "the candidate ended in the middle of `sum <b>` (exit code 3)"
    ));
    assert!(error.ends_with("the child's last words"), "{error}");
}

#[test]
fn an_error_of_the_body_is_passed_on() {
    assert_eq!(
        refused("refuse").to_string(),
        "the candidate reports of `sum <b>`: no data"
    );
}

#[test]
fn an_answer_out_of_protocol_is_shown() {
    let error = refused("babble").to_string();
    assert!(error.contains("answered `hello`"), "{error}");
}

#[test]
fn another_version_is_refused_by_number() {
    let error = refused("other-version");
    assert!(error.is_wrong_input());
    let expected = format!("version {}, this assay", LOCKSTEP_VERSION + 1);
    assert!(error.to_string().contains(&expected), "{error}");
}

#[test]
fn what_is_no_benchmark_is_told_what_one_is() {
    let other = Executable::new("/bin/true");
    let error = list(&other, Side::Candidate).unwrap_err();
    assert!(error.is_wrong_input());
    let text = error.to_string();
    for part in [
        "the candidate /bin/true is no assay-bench executable",
        "exit code 0 without connecting",
        "`harness = false`",
    ] {
        assert!(text.contains(part), "{text}");
    }
    for manner in ["silent", "crash"] {
        assert!(matches!(refused(manner), PairedError::NoBench { .. }));
    }
    let missing = Executable::new("/no/such/bench");
    let error = list(&missing, Side::Baseline).unwrap_err();
    assert!(error.is_wrong_input());
    assert!(
        error
            .to_string()
            .starts_with("the baseline /no/such/bench cannot be started: "),
        "{error}"
    );
}
