//! Runs made of numbers.

use assay_schema::{
    Depth, FORMAT_VERSION, Flops, Host, Moment, Plan, SampleBatch, Seconds,
    StopReason, Verdict, Warning, WorkSummary,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

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
        plan: Plan {
            name: "test".to_owned(),
            depth: Depth::Quick,
            seed: 1,
            predict_on: Vec::new(),
            cases: Vec::new(),
        },
    }
}

fn noisy(typical: f64, n: usize, seed: u64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| typical * (1.0 + 0.01 * rng.random::<f64>())).collect()
}

fn record(case: &str, seconds: Vec<f64>) -> Record {
    Record {
        case: case.parse().unwrap(),
        started: Moment(0),
        device: "cpu".to_owned(),
        work: Some(WorkSummary { flops: Flops(1e6), ..Default::default() }),
        verification: Some(Verification {
            against: "closed form".to_owned(),
            largest_difference: 1e-7,
            relative_difference: 1e-7,
            tolerance: 1e-4,
        }),
        samples: vec![SampleBatch {
            part: "step".to_owned(),
            rank: None,
            warm_up: false,
            iterations: 1,
            seconds,
        }],
        metrics: Vec::new(),
        pictures: Vec::new(),
        warnings: Vec::new(),
        outcome: Outcome::Finished(StopReason::BudgetSpent {
            budget_s: Seconds(1.0),
            relative_half_width: None,
        }),
    }
}

const CASE: &str = "slm/tiny/decode";

fn compared(a: &[Record], b: &[Record]) -> RunComparison {
    compared_with(a, b, Vec::new(), &|_| None)
}

fn compared_with(
    a: &[Record],
    b: &[Record],
    forced: Vec<String>,
    ceiling: &dyn Fn(&Case) -> Option<Ceiling>,
) -> RunComparison {
    let header = header();
    let side = |name, records| RunSide { name, header: &header, records };
    let options = RunOptions { rule: VerdictRule::default(), forced, ceiling };
    compare_runs(&side("a", a), &side("b", b), &options).unwrap()
}

fn only(a: Record, b: Record) -> assay_schema::ComparisonRow {
    let mut rows = compared(&[a], &[b]).comparison.rows;
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows.remove(0)
}

#[test]
fn slower_same_and_faster_come_out_worst_first() {
    let cases = ["slm/tiny/decode", "slm/tiny/prefill", "operators/softmax"];
    let a: Vec<Record> =
        cases.iter().map(|case| record(case, noisy(1e-3, 200, 1))).collect();
    let b: Vec<Record> = cases
        .iter()
        .zip([1e-3, 0.5e-3, 2e-3])
        .map(|(case, typical)| record(case, noisy(typical, 200, 2)))
        .collect();
    let found = compared(&a, &b);
    let rows = &found.comparison.rows;
    let verdicts: Vec<_> = rows.iter().map(|row| row.verdict).collect();
    assert_eq!(verdicts, [Verdict::Slower, Verdict::Same, Verdict::Faster]);
    assert_eq!(rows[0].case, "operators/softmax");
    assert!((rows[0].change.unwrap().point - 1.0).abs() < 0.01);
    let suite = &found.comparison.suite;
    assert_eq!((suite.slower, suite.same, suite.faster), (1, 1, 1));
    assert_eq!(suite.output_changed, Some(false));
    assert!(suite.notes[0].contains("cannot see what differs between runs"));
    assert!(found.failed.is_empty());
}

#[test]
fn samples_that_are_no_times_have_a_stated_outcome() {
    let good = || record(CASE, noisy(1e-3, 50, 1));
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0] {
        let mut seconds = noisy(1e-3, 50, 2);
        seconds[7] = bad;
        for (a, b, side) in [
            (good(), record(CASE, seconds.clone()), "candidate"),
            (record(CASE, seconds), good(), "baseline"),
        ] {
            let row = only(a, b);
            assert_eq!(row.verdict, Verdict::Unclear);
            assert_eq!(
                row.reasons,
                [format!(
                    "steady sample 7 of the {side} is {bad} s; expected a \
                     time above 0: not judged"
                )]
            );
        }
    }
    let row = only(good(), record(CASE, Vec::new()));
    assert_eq!(row.reasons, ["the candidate has no steady sample: not judged"]);
}

#[test]
fn one_sample_and_no_variance_are_unclear_and_say_so() {
    let row = only(record(CASE, vec![1.0]), record(CASE, vec![2.0]));
    assert_eq!(row.verdict, Verdict::Unclear);
    assert!(row.reasons[0].contains("an interval needs two"), "{row:?}");
    let row = only(record(CASE, vec![1.0; 50]), record(CASE, vec![2.0; 50]));
    assert_eq!(row.verdict, Verdict::Unclear);
    assert!(row.reasons[0].contains("too coarse"), "{row:?}");
}

#[test]
fn a_run_against_itself_is_found_out() {
    let a = record(CASE, noisy(1e-3, 50, 1));
    let row = only(a.clone(), a);
    assert_eq!(row.verdict, Verdict::Unclear);
    let said = "both sides hold the very same samples".to_owned();
    assert!(row.reasons.contains(&said), "{row:?}");
}

#[test]
fn parts_are_rows_of_their_own() {
    let with_part = |seed| {
        let mut record = record(CASE, noisy(1e-3, 50, seed));
        record.samples.push(SampleBatch {
            part: "first-token".to_owned(),
            ..record.samples[0].clone()
        });
        record
    };
    let rows = compared(&[with_part(1)], &[with_part(2)]).comparison.rows;
    let mut metrics: Vec<_> =
        rows.iter().map(|row| row.metric.as_str()).collect();
    metrics.sort_unstable();
    assert_eq!(metrics, ["time", "time/first-token"]);
}

#[test]
fn other_machines_seeds_units_and_lost_cases_are_differences() {
    let (a, mut b) = (header(), header());
    let records = [record(CASE, vec![1.0])];
    let side = |name, header, records| RunSide { name, header, records };
    let none = differences(&side("a", &a, &records), &side("b", &a, &records));
    assert_eq!(none, Vec::<String>::new());
    b.host.name = "other <box>".to_owned();
    b.host.cores = 7;
    b.device = "cuda:0".to_owned();
    b.plan.seed = 2;
    let found = differences(&side("a", &a, &records), &side("b", &b, &[]));
    insta::assert_snapshot!(found.join("\n"), @r"
    other host: `box` in the baseline, `other <box>` in the candidate
    other number of cores: `0` in the baseline, `7` in the candidate
    other device: `cpu` in the baseline, `cuda:0` in the candidate
    other seed: `1` in the baseline, `2` in the candidate
    other cases: the candidate has not `slm/tiny/decode`
    ");
    let with_unit = |unit: &str| {
        let mut record = record(CASE, vec![1.0]);
        let metric = Metric::value("energy", unit, Better::Lower, 1.0);
        record.metrics.push((None, metric));
        [record]
    };
    let (joules, watts) = (with_unit("J"), with_unit("Wh"));
    let found = differences(&side("a", &a, &joules), &side("b", &a, &watts));
    insta::assert_snapshot!(
        found.join("\n"),
        @"other unit: energy of slm/tiny/decode is in `J` in the baseline, in `Wh` in the candidate"
    );
}

#[test]
fn what_was_forced_is_said_in_the_suite_and_in_every_row() {
    let a = [record(CASE, noisy(1e-3, 50, 1))];
    let why = "other host: `a` in the baseline, `b` in the candidate";
    let found = compared_with(&a, &a, vec![why.to_owned()], &|_| None);
    let suite = &found.comparison.suite;
    assert!(suite.notes.contains(&format!("forced: {why}")));
    let row = &found.comparison.rows[0];
    assert!(row.reasons.contains(&format!("forced in spite of this: {why}")));
}

#[test]
fn runs_without_a_common_case_are_refused_by_name() {
    let header = header();
    let a = [record(CASE, vec![1.0])];
    let b = [record("slm/tiny/prefill", vec![1.0])];
    let side = |name, records| RunSide { name, header: &header, records };
    let options = RunOptions {
        rule: VerdictRule::default(),
        forced: Vec::new(),
        ceiling: &|_| None,
    };
    let error =
        compare_runs(&side("runs/a", &a), &side("runs/b", &b), &options)
            .unwrap_err();
    assert_eq!(
        error,
        "no case is in both runs: runs/a has `slm/tiny/decode`, runs/b has \
         `slm/tiny/prefill`"
    );
}

#[test]
fn a_case_that_broke_is_a_failure_and_one_that_was_mended_a_note() {
    let good = || record(CASE, noisy(1e-3, 50, 1));
    let mut broken = good();
    broken.outcome = Outcome::Failed("no memory".to_owned());
    let mut wrong = good();
    wrong.verification.as_mut().unwrap().relative_difference = 0.5;
    for (bad, why) in [
        (broken, "it failed: no memory; it was well in the baseline"),
        (
            wrong,
            "its answer is wrong: 5.0e-1 off closed form, 1e-4 is allowed; it \
             was well in the baseline",
        ),
    ] {
        let found = compared(&[good()], std::slice::from_ref(&bad));
        assert_eq!(found.failed, [CASE]);
        assert_eq!(found.comparison.rows[0].verdict, Verdict::Unclear);
        assert_eq!(found.comparison.rows[0].reasons, [why]);
        let mended = compared(&[bad], &[good()]);
        assert!(mended.failed.is_empty() && mended.comparison.rows.is_empty());
        assert!(mended.comparison.suite.notes[1].starts_with(CASE));
    }
}

#[test]
fn imports_have_no_answer_to_check_and_are_compared() {
    let imported = |typical: f64, seed: u64| {
        let mut record = record(CASE, noisy(typical, 200, seed));
        record.verification = None;
        record.warnings.push(Warning {
            kind: "imported".to_owned(),
            message: "no answer was checked".to_owned(),
        });
        record
    };
    let found = compared(&[imported(1e-3, 1)], &[imported(2e-3, 2)]);
    assert_eq!(found.comparison.rows[0].verdict, Verdict::Slower);
    assert!(found.failed.is_empty());
    let suite = &found.comparison.suite;
    assert_eq!(suite.output_changed, None);
    let said = "imported results: nobody here checked their answers";
    let notes = suite.notes.iter().filter(|note| *note == said);
    assert_eq!(notes.count(), 1, "{:?}", suite.notes);
    // An import that its tool failed is at fault like any other.
    let mut failed = imported(1e-3, 3);
    failed.outcome = Outcome::Failed("no samples".to_owned());
    let found = compared(&[imported(1e-3, 1)], &[failed]);
    assert_eq!(found.failed, [CASE]);
}

#[test]
fn runs_of_which_no_case_can_be_judged_are_an_error() {
    let mut unverified = record(CASE, noisy(1e-3, 50, 1));
    unverified.verification = None;
    let both = [unverified, record("operators/softmax", vec![1.0])];
    let header = header();
    let side = |name, records| RunSide { name, header: &header, records };
    let options = RunOptions {
        rule: VerdictRule::default(),
        forced: Vec::new(),
        ceiling: &|_| None,
    };
    let alone = &both[..1];
    let error = compare_runs(&side("a", alone), &side("b", alone), &options)
        .unwrap_err();
    assert_eq!(
        error,
        "no case could be judged: slm/tiny/decode: on both sides its answer \
         was not verified"
    );
    // Beside a case that can be judged it is a note.
    let found = compared(&both, &both).comparison;
    assert!(found.suite.notes.iter().any(|note| note.starts_with(CASE)));
    assert_eq!(found.rows[0].case, "operators/softmax");
}

#[test]
fn a_case_that_failed_stands_before_one_that_is_slower() {
    let good = |case| record(case, noisy(1e-3, 200, 1));
    let mut broken = good(CASE);
    broken.outcome = Outcome::Failed("no memory".to_owned());
    let slower = record("operators/softmax", noisy(2e-3, 200, 2));
    let found =
        compared(&[good("operators/softmax"), good(CASE)], &[slower, broken]);
    let cases: Vec<&str> =
        found.comparison.rows.iter().map(|row| row.case.as_str()).collect();
    assert_eq!(cases, [CASE, "operators/softmax"]);
}

#[test]
fn a_time_that_the_machine_cannot_reach_is_refused() {
    let a = [record(CASE, noisy(1e-3, 50, 1))];
    let b = [record(CASE, noisy(1e-6, 50, 1))];
    let ceiling = |_: &Case| {
        Some(Ceiling {
            flops_per_second: 1e11,
            what: "f32 arithmetic of host".to_owned(),
        })
    };
    let found = compared_with(&a, &b, Vec::new(), &ceiling);
    let row = &found.comparison.rows[0];
    assert_eq!(row.verdict, Verdict::Unclear, "1 TFLOP/s is no speed-up");
    assert!(row.reasons[0].starts_with("candidate impossible: "), "{row:?}");
    let b = [record(CASE, noisy(1e-3, 50, 2))];
    let possible = compared_with(&a, &b, Vec::new(), &ceiling);
    assert_eq!(possible.comparison.rows[0].verdict, Verdict::Same);
}

#[test]
fn single_readings_are_judged_only_where_they_repeat() {
    let with = |metrics: &[(&str, Better, f64)]| {
        let mut record = record(CASE, noisy(1e-3, 50, 1));
        for &(name, better, value) in metrics {
            let metric = Metric::value(name, "1", better, value);
            record.metrics.push((None, metric));
        }
        [record]
    };
    use Better::{Higher, Lower, Neither};
    let a = with(&[
        ("quality/accuracy", Higher, 0.9),
        ("memory_peak", Lower, 1000.0),
        ("allocations", Lower, 0.0),
        ("instructions", Lower, 1e6),
        ("cpu_frequency", Neither, 3e9),
        ("quality/loss", Lower, f64::NAN),
    ]);
    let b = with(&[
        ("quality/accuracy", Higher, 0.8),
        ("memory_peak", Lower, 1000.0),
        ("allocations", Lower, 2.0),
        ("instructions", Lower, 2e6),
        ("cpu_frequency", Neither, 2e9),
        ("quality/loss", Lower, 1.0),
    ]);
    let found = compared(&a, &b);
    let verdict = |name: &str| {
        let rows = &found.comparison.rows;
        rows.iter().find(|row| row.metric == name).map(|row| row.verdict)
    };
    assert_eq!(verdict("quality/accuracy"), Some(Verdict::Slower));
    assert_eq!(verdict("memory_peak"), Some(Verdict::Same));
    assert_eq!(verdict("allocations"), Some(Verdict::Slower));
    assert_eq!(verdict("instructions"), Some(Verdict::Unclear));
    assert_eq!(verdict("quality/loss"), Some(Verdict::Unclear));
    assert_eq!(verdict("cpu_frequency"), None);
    assert_eq!(found.comparison.suite.output_changed, Some(true));
    let again = compared(&a, &a);
    assert_eq!(again.comparison.suite.output_changed, Some(false));
}
