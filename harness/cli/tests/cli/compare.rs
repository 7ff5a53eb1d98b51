//! `assay compare`: run directories, commands, and executables in lockstep.
//!
//! Where a verdict is asserted, it comes from written numbers or from
//! answers, never from how long something took here.

use std::process::{Command, Stdio};

use assay_schema::{
    Better, Case, Event, FORMAT_VERSION, Host, Metric, Moment, RunHeader,
    SampleBatch, StopReason, Verification,
};
use assay_store::RunDirectory;
use serde_json::Value;

use crate::json_schema::faults;
use crate::place::{ASSAY, Place, Said};
use crate::schemas::schema;

const CASE: &str = "slm/größe<b>|x/decode";

fn header() -> RunHeader {
    RunHeader {
        format_version: FORMAT_VERSION,
        started: Moment(0),
        command: Vec::new(),
        assay_version: "0.1.0".to_owned(),
        commit: "unknown".to_owned(),
        dirty: None,
        toolchain: "rustc".to_owned(),
        device: "cpu".to_owned(),
        hardware_profile: "host".to_owned(),
        host: Host { name: "box".to_owned(), ..Host::default() },
        plan: assay_schema::Plan {
            name: "test".to_owned(),
            depth: assay_schema::Depth::Quick,
            seed: 1,
            predict_on: Vec::new(),
            cases: Vec::new(),
        },
    }
}

/// Seconds with a noise of 1 % that is the same on every machine.
fn seconds(typical: f64, offset: usize) -> Vec<f64> {
    (0..200)
        .map(|i| {
            let turn = ((i + offset) * 7919 % 101) as f64 / 101.0;
            typical * (1.0 + 0.01 * turn)
        })
        .collect()
}

fn write_run(
    place: &Place,
    name: &str,
    header: &RunHeader,
    seconds: Vec<f64>,
    difference: f64,
) {
    let run = RunDirectory::create(&place.path(name), header).unwrap();
    let case: Case = CASE.parse().unwrap();
    let mut writer = run.writer(&case).unwrap();
    for event in [
        Event::Started {
            case,
            at: Moment(0),
            device: "cpu".to_owned(),
            work: None,
        },
        Event::Verified(Verification {
            against: "closed form".to_owned(),
            largest_difference: difference,
            relative_difference: difference,
            tolerance: 1e-4,
        }),
        Event::Sample(SampleBatch {
            part: "step".to_owned(),
            rank: None,
            warm_up: false,
            iterations: 1,
            seconds,
        }),
        Event::Meter {
            step: None,
            metric: Metric::value("quality/accuracy", "1", Better::Higher, 0.9),
        },
        Event::Finished { at: Moment(1), stop: StopReason::Completed },
    ] {
        writer.append(&event).unwrap();
    }
}

fn two_runs(candidate: Vec<f64>) -> Place {
    let place = Place::new();
    write_run(&place, "a", &header(), seconds(1e-3, 0), 1e-7);
    write_run(&place, "b", &header(), candidate, 1e-7);
    place
}

/// Runs a command whose words hold spaces.
fn assay(place: &Place, words: &[&str]) -> Said {
    let output = place.command("compare").args(words).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said {
        code: output.status.code().unwrap(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

fn document(said: &Said) -> Value {
    let document: Value = serde_json::from_str(&said.out).unwrap();
    let found = faults(&schema("compare"), &document);
    assert!(found.is_empty(), "{}", found.join("\n"));
    document
}

fn time_row(document: &Value) -> &Value {
    let rows = document["rows"].as_array().unwrap();
    rows.iter().find(|row| row["metric"] == "time").unwrap()
}

#[test]
fn a_slower_run_is_a_regression_and_a_faster_one_is_not() {
    for (typical, code, verdict) in
        [(2e-3, 1, "slower"), (0.5e-3, 0, "faster"), (1e-3, 0, "same")]
    {
        let place = two_runs(seconds(typical, 31));
        let said = place.assay("compare a b --format json");
        assert_eq!(said.code, code, "{}{}", said.out, said.err);
        let document = document(&said);
        let time = time_row(&document);
        assert_eq!(time["verdict"], verdict);
        assert_eq!(time["case"], CASE);
        assert_eq!(document["suite"][verdict], 1);
        assert_eq!(time["percentiles"].as_array().unwrap().len(), 3);
    }
}

#[test]
fn people_read_a_table_reasons_and_a_line_of_counts() {
    let place = two_runs(seconds(2e-3, 31));
    let said = place.assay("compare a b");
    for part in [
        "run directories",
        "slower",
        CASE,
        "+100 %",
        "beyond the floor of 1 %",
        "one run a side cannot see what differs between runs",
        "time: 1 slower, 0 unclear, 0 same, 0 faster",
    ] {
        assert!(said.out.contains(part), "{part}\n{}", said.out);
    }
    let markdown = place.assay("compare a b --format markdown").out;
    assert!(markdown.contains("größe&lt;b&gt;\\|x"), "{markdown}");
    assert!(!markdown.contains("<b>"), "{markdown}");
}

#[test]
fn another_host_needs_force_and_is_then_said_in_every_row() {
    let place = Place::new();
    let mut other = header();
    other.host.name = "other".to_owned();
    other.plan.seed = 2;
    write_run(&place, "a", &header(), seconds(1e-3, 0), 1e-7);
    write_run(&place, "b", &other, seconds(1e-3, 31), 1e-7);
    place.refused(
        2,
        "compare a b",
        &["other host: `box`", "`other`", "other seed", "--force"],
    );
    let said = place.assay("compare a b --force --format json");
    assert_eq!(said.code, 0, "{}", said.err);
    for row in document(&said)["rows"].as_array().unwrap() {
        let reasons = row["reasons"].to_string();
        assert!(reasons.contains("forced in spite of this"), "{reasons}");
    }
    let told = place.assay("compare a b --force").out;
    assert!(told.contains("time: same"), "{told}");
    assert!(told.contains("  forced in spite of this: other host"), "{told}");
}

#[test]
fn a_changed_answer_fails_where_the_same_was_asked_for() {
    let place = Place::new();
    write_run(&place, "a", &header(), seconds(1e-3, 0), 1e-7);
    write_run(&place, "b", &header(), seconds(1e-3, 31), 2e-7);
    assert_eq!(place.assay("compare a b").code, 0);
    let said = place.assay("compare a b --same-output");
    assert_eq!(said.code, 1, "{}", said.out);
    assert!(said.out.contains("the answer CHANGED"), "{}", said.out);
    let note = format!("note: the answer differs: {CASE}");
    assert!(said.out.contains(&note), "{}", said.out);
    assert!(said.out.contains("  the answer changed: it was"), "{}", said.out);
}

#[test]
fn where_no_answer_was_compared_none_is_shown_to_be_the_same() {
    let place = Place::new();
    // Another answer each time.
    let said = assay(
        &place,
        &[
            "--exec",
            "cat /proc/sys/kernel/random/uuid",
            "--exec",
            "true",
            "--budget",
            "200ms",
            "--floor",
            "99%",
            "--same-output",
        ],
    );
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    for part in [
        "--same-output: no answer was compared",
        "was not compared: the baseline's own answer changes",
    ] {
        assert!(said.out.contains(part), "{part}\n{}", said.out);
    }
}

#[test]
fn what_is_to_be_proved_brings_a_larger_floor_down() {
    let place = Place::new();
    let said = assay(
        &place,
        &[
            "--exec", "true", "--exec", "true", "--budget", "200ms", "--floor",
            "5%", "--prove", "2%", "--format", "json",
        ],
    );
    let document = document(&said);
    let suite = &document["suite"];
    assert_eq!(suite["floor"], 0.02);
    assert_eq!(suite["equivalence"], 0.02);
    assert_eq!(suite["any_time"], true);
}

#[cfg(unix)]
#[test]
fn a_closed_pipe_keeps_the_exit_code_and_a_full_disk_is_the_machines() {
    let place = two_runs(seconds(2e-3, 31));
    let mut child = place
        .command("compare a b")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(1), "slower");

    let Ok(full) = std::fs::File::options().write(true).open("/dev/full")
    else {
        println!("skipped: full standard output: no /dev/full");
        return;
    };
    let output = place.command("compare a b").stdout(full).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.starts_with("assay: standard output: "), "{said}");
}

#[test]
fn a_missing_valgrind_is_told_before_anything_is_measured() {
    let place = Place::new();
    std::fs::create_dir(place.path("empty")).unwrap();
    let output = place
        .command("compare --exec true --exec true --instructions callgrind")
        .args(["--out", "kept"])
        .env("PATH", place.path("empty"))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("apt install valgrind"), "{said}");
    assert!(!place.path("kept").exists());
}

#[test]
fn a_count_that_fails_is_a_row_and_time_is_kept() {
    let place = Place::new();
    let asked = Command::new("valgrind").arg("--version").output();
    if !asked.is_ok_and(|output| output.status.success()) {
        println!("skipped: callgrind: no valgrind");
        return;
    }
    let output = place
        .command("compare --instructions callgrind --budget 200ms")
        .args(["--floor", "99%", "--format", "json", "--exec", "true"])
        // Valgrind loads its own library into what it runs.
        .args(["--exec", "test -z \"$LD_PRELOAD\""])
        .env_remove("LD_PRELOAD")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let said = Said {
        code: output.status.code().unwrap(),
        out: text(output.stdout),
        err: text(output.stderr),
    };
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    let document = document(&said);
    assert!(time_row(&document)["change"].is_object(), "{document}");
    let rows = document["rows"].as_array().unwrap();
    let counts =
        rows.iter().find(|row| row["metric"] == "instructions").unwrap();
    assert_eq!(counts["verdict"], "unclear");
    let reasons = counts["reasons"].to_string();
    assert!(reasons.contains("under callgrind ended with"), "{reasons}");
}

#[test]
fn numbers_that_are_no_times_have_a_stated_outcome() {
    let mut negative = seconds(1e-3, 31);
    negative[9] = -1.0;
    for (bad, said) in [
        (negative, "steady sample 9 of the candidate is -1 s"),
        (vec![1e-3], "an interval needs two"),
        (vec![1e-3; 200], "the clock is too coarse"),
        (Vec::new(), "no steady sample"),
    ] {
        let out = two_runs(bad).assay("compare a b");
        assert_eq!(out.code, 0, "{}", out.err);
        assert!(out.out.contains(said), "{said}\n{}", out.out);
        assert!(out.out.contains("1 unclear"), "{}", out.out);
    }
}

#[test]
fn wrong_words_are_answered_with_what_was_expected() {
    let place = Place::new();
    write_run(&place, "a", &header(), seconds(1e-3, 0), 1e-7);
    for (words, parts) in [
        ("compare", vec!["0 names", "two run directories"]),
        ("compare a", vec!["1 name;"]),
        ("compare a a a", vec!["3 names"]),
        ("compare a nowhere", vec!["nowhere is no run directory"]),
        ("compare --exec true", vec!["1 of --exec", "expected two"]),
        ("compare --bench a", vec!["1 name after --bench"]),
        ("compare a a --floor 1", vec!["`1` has no %"]),
        ("compare a a --prove 0%", vec!["above 0%"]),
        ("compare a a --prove 1%", vec!["--prove is for --exec and --bench"]),
        ("compare a a --budget 9s", vec!["--budget is for --exec and"]),
        ("compare a a --seed 1", vec!["--seed is for --exec and --bench"]),
        ("compare a a --floor 100%", vec!["`100%` is no percentage"]),
        ("compare --exec true --exec true --force", vec!["--force"]),
        ("compare a a --budget 3parsecs", vec!["3parsecs"]),
        (
            "compare --exec true --exec no-such-command-here",
            vec!["the candidate command `no-such-command-here`"],
        ),
        (
            "compare --bench /bin/true /bin/true",
            vec!["no assay-bench executable", "harness = false"],
        ),
        ("compare --bench no-file /bin/true", vec!["cannot be started"]),
    ] {
        place.refused(2, words, &parts);
    }
}

#[test]
fn a_command_that_fails_is_a_failed_row_and_one_document() {
    let place = Place::new();
    let words =
        ["--exec", "true", "--exec", "echo '<why>' >&2; exit 3", "--format"];
    let said = assay(&place, &[&words[..], &["json"]].concat());
    assert_eq!(said.code, 1, "{}", said.err);
    let document = document(&said);
    let time = time_row(&document);
    assert_eq!(time["verdict"], "unclear");
    let reasons = time["reasons"].to_string();
    assert!(reasons.contains("ended with exit code 3"), "{reasons}");
    assert!(reasons.contains("<why>"), "{reasons}");
}

#[test]
fn a_command_that_hangs_is_stopped_at_its_limit() {
    let place = Place::new();
    let words = ["--exec", "true", "--exec", "sleep 1000", "--time-limit"];
    let said = assay(&place, &[&words[..], &["100ms"]].concat());
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(said.out.contains("no answer in 0.1 s"), "{}", said.out);
}

#[test]
fn commands_are_compared_by_answer_and_every_turn_is_kept() {
    let place = Place::new();
    let run = |candidate: &str, out: &str| {
        let words = [
            "--exec",
            "printf größe",
            "--exec",
            candidate,
            "--budget",
            "200ms",
            "--same-output",
            "--format",
            "json",
            "--floor",
            "99%",
            "--out",
            out,
        ];
        assay(&place, &words)
    };
    let same = run("printf gr; printf öße", "same");
    // Time may do what it likes here; the answer may not.
    assert_eq!(document(&same)["suite"]["output_changed"], false);
    let changed = run("printf other", "changed");
    assert_eq!(changed.code, 1, "{}", changed.err);
    assert_eq!(document(&changed)["suite"]["output_changed"], true);
    let lines = place.read("same/turns.jsonl");
    let arms: std::collections::BTreeSet<String> = lines
        .lines()
        .map(|line| {
            let turn: Value = serde_json::from_str(line).unwrap();
            assert!(turn["seconds"].as_f64().unwrap() > 0.0, "{turn}");
            turn["arm"].to_string()
        })
        .collect();
    assert_eq!(arms.len(), 3, "{arms:?}");
    let kept: Value =
        serde_json::from_str(&place.read("same/comparison.json")).unwrap();
    assert_eq!(kept, document(&same));
    let again = run("printf größe", "same");
    assert_eq!(again.code, 2);
    assert!(again.err.contains("already holds a comparison"), "{}", again.err);
}

#[cfg(unix)]
#[test]
fn executables_take_turns_in_lockstep() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    place.write(
        "bench",
        &format!("#!/bin/sh\nexec '{ASSAY}' selftest-child arm 100 \"$@\"\n"),
    );
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(place.path("bench"), mode).unwrap();
    let said = place
        .assay("compare --bench bench bench adds --budget 300ms --format json");
    let document = document(&said);
    assert_eq!(document["suite"]["kind"], "benchmarks in lockstep");
    let time = time_row(&document);
    assert!(time["samples"].as_u64().unwrap() >= 2, "{time}");
    assert!(time["null_change"].is_object(), "{time}");
    place.refused(
        2,
        "compare --bench bench bench nothing-like-it",
        &["`nothing-like-it`", "in both executables"],
    );
}
