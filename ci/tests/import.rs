//! `assay import criterion` on folders that criterion 0.8.2 wrote, whole and
//! broken.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_cmp,
    reason = "a test fails by panicking, and what is read must be exact"
)]

use std::path::{Path, PathBuf};

use assay_ci::{Format, ImportRequest, Imported, import};
use assay_schema::{Host, Moment, Outcome, Record, StopReason};
use assay_store::RunDirectory;
use tempfile::TempDir;

const MADE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/criterion/made");

fn imported(
    paths: &[PathBuf],
    baseline: &str,
    out: &Path,
) -> Result<Imported, String> {
    let request = ImportRequest {
        paths,
        baseline,
        out,
        now: Moment(1_700_000_000_000),
        host: Host { name: "box".to_owned(), ..Host::default() },
        command: vec!["assay".to_owned(), "import".to_owned()],
        assay_version: "0.1.0",
    };
    import(Format::Criterion, &request).map_err(|error| error.to_string())
}

/// A copy of the fixture that a test may break.
struct Broken {
    folder: TempDir,
}

impl Broken {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(Path::new(MADE), &folder.path().join("criterion"));
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("criterion").join(name)
    }

    /// The error of an import, with this folder's name left out.
    fn error(&self) -> String {
        let out = self.folder.path().join("run");
        let error = imported(&[self.path("")], "new", &out).unwrap_err();
        assert!(!out.exists(), "an error leaves no run behind: {error}");
        error.replace(&format!("{}/", self.folder.path().display()), "")
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            std::fs::copy(path, to).unwrap();
        }
    }
}

fn records(run: &Path) -> Vec<Record> {
    RunDirectory::open(run).unwrap().records().unwrap()
}

#[test]
fn every_benchmark_becomes_a_case_with_its_raw_samples() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    let did = imported(&[MADE.into()], "new", &out).unwrap();
    assert_eq!(did, Imported { cases: 5, samples: 50, notes: Vec::new() });
    let lines: Vec<String> = records(&out)
        .iter()
        .map(|record| {
            let work: Vec<String> = record
                .metrics
                .iter()
                .map(|(_, metric)| metric.name.clone())
                .filter(|name| name.ends_with("_per_iteration"))
                .collect();
            format!(
                "{}: {} batches, {} samples; {}",
                record.case,
                record.samples.len(),
                record.steady_samples("step").len(),
                if work.is_empty() {
                    "no work".to_owned()
                } else {
                    work.join(", ")
                }
            )
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @"
        criterion/both/one: 10 batches, 10 samples; elements_per_iteration, bytes_per_iteration
        criterion/plain: 10 batches, 10 samples; no work
        criterion/sums%20<b>of<%2Fb>%20größe%2F2 value=..%2Fx: 1 batches, 10 samples; bytes_per_iteration
        criterion/sums%20<b>of<%2Fb>%20größe%2F2/a%20b value=10: 10 batches, 10 samples; elements_per_iteration
        criterion/sums%20<b>of<%2Fb>%20größe%2F2/a%20b value=100: 10 batches, 10 samples; elements_per_iteration
        ");
}

#[test]
fn samples_are_the_files_numbers_an_iteration_and_agree_with_its_median() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    imported(&[MADE.into()], "new", &out).unwrap();
    let records = records(&out);
    let record = records
        .iter()
        .find(|record| record.case.to_string() == "criterion/both/one")
        .unwrap();
    let first = &record.samples[0];
    assert_eq!(first.iterations, 971_539);
    assert_eq!(first.seconds, [1_577_870.0 / 971_539.0 * 1e-9]);
    assert!(!first.warm_up);
    for record in &records {
        let mut all = record.steady_samples("step");
        all.sort_by(f64::total_cmp);
        let median = (all[4] + all[5]) / 2.0;
        let theirs = record.metric("criterion/median").unwrap();
        assert!((median / theirs - 1.0).abs() < 1e-9, "{}", record.case);
    }
}

#[test]
fn an_imported_case_says_so_and_is_not_taken_for_a_verified_one() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    imported(&[MADE.into()], "new", &out).unwrap();
    let header = RunDirectory::open(&out).unwrap().header().clone();
    assert_eq!(header.device, "imported");
    assert_eq!(header.host.name, "box");
    assert_eq!(header.plan.name, "imported from criterion");
    for record in records(&out) {
        assert_eq!(record.outcome, Outcome::Finished(StopReason::Completed));
        assert_eq!(record.verification, None);
        assert!(!record.is_sound());
        assert_eq!(record.warnings.len(), 1, "{:?}", record.warnings);
        assert_eq!(record.warnings[0].kind, "imported");
        assert!(record.warnings[0].message.contains("measured by criterion"));
    }
}

#[test]
fn two_baselines_are_two_runs_of_the_same_cases() {
    let place = tempfile::tempdir().unwrap();
    let cases = |baseline: &str| {
        let out = place.path().join(baseline);
        imported(&[MADE.into()], baseline, &out).unwrap();
        let all = records(&out).into_iter();
        all.map(|record| record.case.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(cases("first"), cases("new"));
}

#[test]
fn a_benchmark_without_the_baseline_is_left_out_and_told() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    let did = imported(&[MADE.into()], "base", &out).unwrap();
    assert_eq!((did.cases, did.notes.len()), (1, 4));
    assert!(did.notes[0].ends_with("has no baseline `base`, left out"));
}

#[test]
fn one_benchmarks_folder_or_the_baselines_own_will_do() {
    let place = tempfile::tempdir().unwrap();
    for (index, part) in ["both", "both/one", "both/one/new"].iter().enumerate()
    {
        let out = place.path().join(index.to_string());
        let path = Path::new(MADE).join(part);
        assert_eq!(imported(&[path], "new", &out).unwrap().cases, 1);
    }
}

#[test]
fn what_is_not_criterions_is_refused_with_what_was_expected() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    let error = |path: PathBuf, baseline: &str| {
        let error = imported(&[path], baseline, &out).unwrap_err();
        error
            .replace(MADE, "MADE")
            .replace(&place.path().display().to_string(), "HERE")
    };
    let errors = [
        error(place.path().join("nowhere"), "new"),
        error(place.path().to_owned(), "new"),
        error(Path::new(MADE).join("plain/new/sample.json"), "new"),
        error(MADE.into(), "frist"),
        imported(&[], "new", &out).unwrap_err(),
    ];
    insta::assert_snapshot!(errors.join("\n"), @"
        HERE/nowhere: there is nothing; expected criterion's folder, e.g. target/criterion
        HERE: no benchmark of criterion below it; expected criterion's folder, e.g. target/criterion
        MADE/plain/new/sample.json: a file; expected criterion's folder, e.g. target/criterion
        MADE: no benchmark has the baseline `frist`; found: base, first, new; nearest: `first`
        no PATH was given; expected criterion's folder, e.g. target/criterion
        ");
}

#[test]
fn broken_files_are_refused_by_name_and_nothing_is_written() {
    let mut errors = Vec::new();
    for name in ["sample", "benchmark", "estimates"] {
        let broken = Broken::new();
        let path = broken.path(&format!("plain/new/{name}.json"));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &text[..text.len() / 2]).unwrap();
        errors.push(broken.error());
        std::fs::write(&path, "{}").unwrap();
        errors.push(broken.error());
        std::fs::remove_file(&path).unwrap();
        errors.push(broken.error());
    }
    insta::assert_snapshot!(errors.join("\n"), @"
        criterion/plain/new/sample.json: expected JSON: EOF while parsing a list at line 1 column 123
        criterion/plain/new/sample.json: expected criterion's sample: an object with iters and times, or in old files the array [iters, times]: missing field `iters`
        criterion/plain/new/sample.json: cannot be read: No such file or directory (os error 2); expected a file of criterion
        criterion/plain/new/benchmark.json: expected JSON: EOF while parsing a string at line 1 column 66
        criterion/plain/new/benchmark.json: expected criterion's benchmark (group_id, function_id, value_str, throughput): missing field `group_id`
        criterion/plain/new/benchmark.json: cannot be read: No such file or directory (os error 2); expected a file of criterion
        criterion/plain/new/estimates.json: expected JSON: EOF while parsing a string at line 1 column 498
        criterion/plain/new/estimates.json: expected criterion's estimates (mean, median, median_abs_dev, std_dev, each a number with its interval): missing field `mean`
        criterion/plain/new/estimates.json: cannot be read: No such file or directory (os error 2); expected a file of criterion
        ");
}

#[test]
fn the_same_benchmark_twice_is_refused_with_both_folders() {
    let broken = Broken::new();
    copy(&broken.path("plain"), &broken.path("plain again"));
    insta::assert_snapshot!(broken.error(), @"`criterion/plain` stands twice: in criterion/plain/new and in criterion/plain again/new; import them into two runs");
}

#[test]
fn a_run_that_is_there_is_not_overwritten() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    imported(&[MADE.into()], "new", &out).unwrap();
    let error = imported(&[MADE.into()], "new", &out).unwrap_err();
    assert!(error.contains("already holds a run"), "{error}");
}
