//! Runs on disk as the rest of Assay sees them: made, killed, resumed, read,
//! published, refused.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's panic is its report"
)]

use std::path::Path;

use assay_schema::{
    Case, Depth, Event, FORMAT_VERSION, Host, Moment, Outcome, Plan,
    PlannedCase, RunHeader, SampleBatch, Seconds, StopReason,
};
use assay_store::{RunDirectory, StoreError, TORN_LINE, compress};

fn case(batch: u64) -> Case {
    Case::new("slm", "tiny", Some("decode")).with("batch", batch)
}

fn header(cases: &[Case]) -> RunHeader {
    RunHeader {
        format_version: FORMAT_VERSION,
        started: Moment(1),
        command: vec!["assay".to_owned(), "run".to_owned()],
        assay_version: "0.1.0".to_owned(),
        commit: "unknown".to_owned(),
        dirty: Some(true),
        toolchain: "rustc".to_owned(),
        device: "cpu".to_owned(),
        hardware_profile: "host".to_owned(),
        host: Host::default(),
        plan: Plan {
            name: "test".to_owned(),
            depth: Depth::Quick,
            seed: 0,
            predict_on: Vec::new(),
            cases: cases
                .iter()
                .map(|case| PlannedCase {
                    case: case.clone(),
                    budget_s: Seconds(1.0),
                    measure: true,
                    given: Vec::new(),
                    why: "\"quoted\"".to_owned(),
                    experiments: vec!["bands".to_owned()],
                })
                .collect(),
        },
    }
}

fn started(case: &Case) -> Event {
    Event::Started {
        case: case.clone(),
        at: Moment(2),
        device: "cpu".to_owned(),
        work: None,
    }
}

fn sample(seconds: f64) -> Event {
    Event::Sample(SampleBatch {
        part: "step".to_owned(),
        rank: None,
        warm_up: false,
        iterations: 1,
        seconds: vec![seconds],
    })
}

fn finished(stop: StopReason) -> Event {
    Event::Finished { at: Moment(3), stop }
}

fn failed(skipped: bool) -> Event {
    Event::Failed { at: Moment(3), error: "no".to_owned(), skipped }
}

fn write(run: &RunDirectory, case: &Case, events: &[Event]) {
    let mut writer = run.writer(case).unwrap();
    for event in events {
        writer.append(event).unwrap();
    }
}

fn message(result: Result<RunDirectory, StoreError>) -> String {
    result.unwrap_err().to_string()
}

fn edit_header(folder: &Path, edit: impl FnOnce(String) -> String) {
    let path = folder.join("run.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, edit(text)).unwrap();
}

#[test]
fn a_run_reads_back_with_records_in_the_plans_order_then_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/run");
    let header = header(&[case(9), case(1)]);
    let run = RunDirectory::create(&path, &header).unwrap();
    for batch in [5, 1, 9] {
        let end = finished(StopReason::Completed);
        write(&run, &case(batch), &[started(&case(batch)), sample(0.5), end]);
    }
    let read = RunDirectory::open(&path).unwrap();
    assert_eq!(read.header(), &header);
    let records = read.records().unwrap();
    let cases: Vec<Case> = records.iter().map(|r| r.case.clone()).collect();
    assert_eq!(cases, [case(9), case(1), case(5)]);
    assert_eq!(records[0].steady_samples("step"), [0.5]);
}

#[test]
fn a_new_run_is_refused_where_one_already_is() {
    let folder = tempfile::tempdir().unwrap();
    drop(RunDirectory::create(folder.path(), &header(&[])).unwrap());
    let message = message(RunDirectory::create(folder.path(), &header(&[])));
    assert!(message.contains("already holds a run"), "{message}");
    assert!(message.contains("--resume"), "{message}");
}

#[test]
fn two_runs_into_one_directory_are_refused_and_readers_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunDirectory::create(folder.path(), &header(&[])).unwrap();
    for second in [
        RunDirectory::create(folder.path(), &header(&[])),
        RunDirectory::resume(folder.path()),
    ] {
        assert!(matches!(second, Err(StoreError::InUse(_))));
    }
    RunDirectory::open(folder.path()).unwrap();
    drop(run);
    RunDirectory::resume(folder.path()).unwrap();
}

#[test]
fn of_many_creators_at_once_exactly_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let created: Vec<_> = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..8)
            .map(|_| {
                scope
                    .spawn(|| RunDirectory::create(folder.path(), &header(&[])))
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    assert_eq!(created.iter().filter(|run| run.is_ok()).count(), 1);
}

#[test]
fn a_resumed_run_keeps_what_finished_and_runs_the_rest_again() {
    let folder = tempfile::tempdir().unwrap();
    let cases: Vec<Case> = (1..=6).map(case).collect();
    let run = RunDirectory::create(folder.path(), &header(&cases)).unwrap();
    let ends = [
        Some(finished(StopReason::Completed)),
        Some(finished(StopReason::Interrupted)),
        Some(failed(false)),
        Some(failed(true)),
        None,
    ];
    for (case, end) in cases.iter().zip(ends) {
        write(&run, case, &[started(case), sample(0.5)]);
        write(&run, case, end.as_slice());
    }
    drop(run);
    let run = RunDirectory::resume(folder.path()).unwrap();
    let done: Vec<bool> =
        cases.iter().map(|case| run.is_done(case).unwrap()).collect();
    assert_eq!(done, [true, false, false, false, false, false]);
    assert!(run.done_cases().unwrap().into_iter().eq([case(1)]));
}

#[test]
fn a_case_killed_in_a_line_is_run_again_and_counts_from_its_new_start() {
    let folder = tempfile::tempdir().unwrap();
    let case = case(1);
    let run = RunDirectory::create(
        folder.path(),
        &header(std::slice::from_ref(&case)),
    )
    .unwrap();
    write(&run, &case, &[started(&case), sample(0.25), sample(0.5)]);
    let path = run.writer(&case).unwrap().path().to_owned();
    drop(run);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();

    let run = RunDirectory::resume(folder.path()).unwrap();
    let record = &run.records().unwrap()[0];
    assert_eq!(record.steady_samples("step"), [0.25]);
    assert_eq!(record.outcome, Outcome::Unfinished);

    let end = finished(StopReason::Completed);
    write(&run, &case, &[started(&case), sample(0.75), end]);
    let record = &run.records().unwrap()[0];
    assert_eq!(record.steady_samples("step"), [0.75]);
    assert_eq!(record.warnings[0].kind, TORN_LINE);
    assert!(run.is_done(&case).unwrap());
}

#[test]
fn a_newer_format_is_refused_with_both_versions_named() {
    let folder = tempfile::tempdir().unwrap();
    drop(RunDirectory::create(folder.path(), &header(&[])).unwrap());
    edit_header(folder.path(), |text| {
        let ours = format!("format_version = {FORMAT_VERSION}");
        let newer = text.replace(&ours, "format_version = 12");
        format!("key_of_the_future = 1\n{newer}")
    });
    for opened in
        [RunDirectory::open(folder.path()), RunDirectory::resume(folder.path())]
    {
        let message = message(opened);
        assert!(message.contains("run.toml: format version 12"), "{message}");
        let ours = format!("(up to {FORMAT_VERSION})");
        assert!(message.contains(&ours), "{message}");
    }
}

#[test]
fn an_unknown_or_malformed_key_of_the_header_has_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    drop(RunDirectory::create(folder.path(), &header(&[])).unwrap());
    edit_header(folder.path(), |text| format!("comit = \"x\"\n{text}"));
    let wrong = message(RunDirectory::open(folder.path()));
    assert!(wrong.contains("run.toml:1: unknown field `comit`"), "{wrong}");
    assert!(wrong.ends_with("nearest valid: `commit`"), "{wrong}");

    edit_header(folder.path(), |_| "format_version = 1\nx = [".to_owned());
    let wrong = message(RunDirectory::open(folder.path()));
    assert!(wrong.contains("run.toml:2: "), "{wrong}");
}

#[test]
fn a_path_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let below = file.join("run");
    let message = message(RunDirectory::create(&below, &header(&[])));
    assert!(message.starts_with("cannot create "), "{message}");
    assert!(message.contains("file/run"), "{message}");
}

#[test]
fn a_folder_without_a_run_is_no_run() {
    let folder = tempfile::tempdir().unwrap();
    let message = message(RunDirectory::resume(folder.path()));
    assert!(message.contains("no run.toml"), "{message}");
}

#[test]
fn a_run_opened_to_read_hands_out_no_writer() {
    let folder = tempfile::tempdir().unwrap();
    drop(RunDirectory::create(folder.path(), &header(&[])).unwrap());
    let run = RunDirectory::open(folder.path()).unwrap();
    assert!(matches!(run.writer(&case(1)), Err(StoreError::ReadOnly(_))));
}

#[test]
fn a_published_copy_reads_like_the_original_and_is_never_continued() {
    let folder = tempfile::tempdir().unwrap();
    let (path, out) = (folder.path().join("run"), folder.path().join("copy"));
    let run = RunDirectory::create(&path, &header(&[case(1)])).unwrap();
    let samples: Vec<Event> =
        (0..500).map(|i| sample(0.5 + f64::from(i) * 1e-6)).collect();
    write(&run, &case(1), &[started(&case(1))]);
    write(&run, &case(1), &samples);
    write(&run, &case(1), &[finished(StopReason::Completed)]);
    compress(&run, &out).unwrap();

    let copy = RunDirectory::open(&out).unwrap();
    assert_eq!(copy.header(), run.header());
    assert_eq!(copy.records().unwrap(), run.records().unwrap());
    assert!(copy.is_done(&case(1)).unwrap());
    assert!(matches!(
        RunDirectory::resume(&out),
        Err(StoreError::Published(_))
    ));
    assert!(matches!(compress(&run, &out), Err(StoreError::AlreadyARun(_))));
    // A copy of a copy holds the same.
    let again = folder.path().join("again");
    compress(&copy, &again).unwrap();
    let again = RunDirectory::open(&again).unwrap();
    assert_eq!(again.records().unwrap(), run.records().unwrap());
}
