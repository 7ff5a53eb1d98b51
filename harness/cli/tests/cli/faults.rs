//! A run that is in use, cut short, killed, torn or from a newer version:
//! nothing measured is lost.

use std::path::PathBuf;
use std::process::{Child, Command};

use assay_schema::Outcome;
use assay_store::RunDirectory;

use crate::place::Place;

/// Six cases, each of a few hundred milliseconds at least.
const LONG: &str = "run slm/tiny/train-step prompt=64,80,96,112,120,128 \
                    --budget 1s --on nvidia-l4 --out out";

fn finished(place: &Place) -> usize {
    let records = place.run("out").records().unwrap();
    let done = |outcome: &Outcome| matches!(outcome, Outcome::Finished(_));
    records.iter().filter(|record| done(&record.outcome)).count()
}

/// The files of the cases as they are now.
fn contents(place: &Place) -> Vec<(PathBuf, Vec<u8>)> {
    let read = |path: PathBuf| {
        let bytes = std::fs::read(&path).unwrap();
        (path, bytes)
    };
    place.case_files("out").into_iter().map(read).collect()
}

/// Every line but a torn last one is JSON.
fn whole_lines(bytes: &[u8]) {
    let mut lines: Vec<&[u8]> = bytes.split(|&b| b == b'\n').collect();
    lines.pop(); // nothing, or the line being written
    for line in lines {
        serde_json::from_slice::<serde_json::Value>(line).unwrap();
    }
}

/// Raw events are appended to, never edited.
fn still_begin_with(before: &[(PathBuf, Vec<u8>)]) {
    for (path, bytes) in before {
        let after = std::fs::read(path).unwrap();
        assert!(after.starts_with(bytes), "{}", path.display());
    }
}

fn kill(mut child: Child) {
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
}

#[test]
fn a_killed_run_is_resumed_and_finishes() {
    let place = Place::new();
    kill(place.start_until(LONG, "[1/6]"));
    let before = contents(&place);
    before.iter().for_each(|(_, bytes)| whole_lines(bytes));
    let done = finished(&place);
    assert!((1..6).contains(&done), "{done}");

    let said = place.assay("run --resume out");
    assert_eq!(said.code, 0, "{}", said.err);
    let left = format!("[{0}/{0}]", 6 - done);
    assert!(said.err.contains(&left), "only what was left: {}", said.err);
    assert_eq!(finished(&place), 6);
    still_begin_with(&before);
    assert!(place.path("out/report/index.html").exists());
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_the_samples_and_prints_how_to_resume() {
    let place = Place::new();
    let child = place.start_until(LONG, "[1/6]");
    let interrupt = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupt.success());
    let output = child.wait_with_output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{out}");
    assert!(out.contains("what was measured is kept"), "{out}");
    assert!(out.contains("assay run --resume out"), "{out}");
    let before = contents(&place);
    assert!(before.len() < 6, "the rest did not start");
    let records = place.run("out").records().unwrap();
    assert!(!records[0].steady_samples("step").is_empty());

    place.ok("run --resume out");
    assert_eq!(finished(&place), 6);
    still_begin_with(&before);
}

#[test]
fn a_second_run_into_a_directory_in_use_is_refused() {
    let place = Place::new();
    let first = place.start_until(LONG, "[1/6]");
    for words in [
        "run slm/tiny/prefill --out out".to_owned(),
        "run --resume out".to_owned(),
    ] {
        place.refused(2, &words, &["out is in use by another run", "--out"]);
    }
    kill(first);
    place.refused(
        2,
        "run slm/tiny/prefill --out out",
        &["out already holds a run", "--resume"],
    );
}

#[test]
fn a_lock_held_by_anyone_is_respected_and_ends_with_its_holder() {
    let place = Place::new();
    place.ok("run slm/tiny/prefill prompt=8 --budget 50ms --out out");
    let held = RunDirectory::resume(&place.path("out")).unwrap();
    place.refused(2, "run --resume out", &["in use by another run"]);
    place.ok("report out --out elsewhere");
    drop(held);
    place.ok("run --resume out");
}

#[test]
fn a_torn_last_line_costs_that_line_and_the_case_runs_again() {
    let place = Place::new();
    place.ok("run slm/tiny/prefill prompt=8 --budget 50ms --out out");
    let file = &place.case_files("out")[0];
    let bytes = std::fs::read(file).unwrap();
    let torn = &bytes[..bytes.len() - 9]; // within the line `finished`
    std::fs::write(file, torn).unwrap();
    assert_eq!(finished(&place), 0);
    place.ok("report out --out torn");

    let said = place.assay("run --resume out");
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("[1/1]"), "{}", said.err);
    assert_eq!(finished(&place), 1);
    still_begin_with(&[(file.clone(), torn.to_vec())]);
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let place = Place::new();
    place.ok("run slm/tiny/prefill prompt=8 --budget 50ms --out out");
    let header = place.read("out/run.toml");
    let ours = format!("format_version = {}", assay_schema::FORMAT_VERSION);
    let newer = header.replace(&ours, "format_version = 99");
    assert_ne!(header, newer);
    place.write("out/run.toml", &newer);
    let parts = ["run.toml", "format version 99 is newer", "update assay"];
    place.refused(2, "run --resume out", &parts);
    place.refused(2, "report out --out r", &parts);
}

#[test]
fn a_damaged_header_is_named_with_its_line() {
    let place = Place::new();
    place.ok("run slm/tiny/prefill prompt=8 --budget 50ms --out out");
    let header = place.read("out/run.toml");
    place.write("out/run.toml", &format!("{header}\n[[plan.cases\n"));
    place.refused(2, "run --resume out", &["run.toml:"]);
    place.refused(2, "run --resume nowhere", &["nowhere is no run directory"]);
}

#[test]
fn out_that_holds_a_run_or_cannot_be_written_is_refused() {
    let place = Place::new();
    place.ok("run slm/tiny/prefill prompt=8 --budget 50ms --out out");
    place.refused(
        2,
        "run slm/tiny/prefill --out out",
        &["out already holds a run", "--resume", "another --out"],
    );
    place.write("file", "");
    place.refused(
        2,
        "run slm/tiny/prefill --out file/below",
        &["cannot create file/below"],
    );
}

#[test]
fn resume_takes_no_new_wishes() {
    let place = Place::new();
    place.ok("run slm/tiny/prefill prompt=8 --budget 50ms --out out");
    for wish in ["slm", "--budget 3s", "--seed 2", "--on nvidia-l4", "--quick"]
    {
        let words = format!("run {wish} --resume out");
        place.refused(2, &words, &["cannot be used with"]);
    }
}
