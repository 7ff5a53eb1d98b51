//! The whole flow on a clock that only the bodies move.

use assay_measure::FakeClock;
use assay_schema::{Better, Seconds};

use super::*;
use crate::Throughput;

/// A body of so many seconds and up to a tenth of a per cent more, by chance
/// that the seed decides.
fn spending(
    clock: &FakeClock,
    seconds: f64,
    seed: u64,
) -> impl Fn(&crate::Bencher) -> crate::Routine<u64> + Send + Sync + 'static {
    let clock = clock.clone();
    move |b| {
        let (clock, mut state) = (clock.clone(), seed);
        b.iter(move || {
            // A linear congruential generator, constants of Knuth's MMIX.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let noise = 1.0 + (state >> 33) as f64 / 2.0_f64.powi(31) * 1e-3;
            clock.advance(Seconds(seconds * noise));
            42
        })
        .throughput(Throughput::Elements(1e6))
        .fingerprint(|output| *output)
    }
}

struct Ran {
    result: Result<usize, BenchError>,
    text: String,
}

fn ran(bench: &Bench, clock: &FakeClock, folder: &Path, line: &str) -> Ran {
    let mut out = Vec::new();
    let words = line.split_whitespace().map(str::to_owned);
    let clock = || clock.clone();
    let result = run_on(bench, words, folder.to_owned(), clock, &mut out);
    Ran { result, text: String::from_utf8(out).unwrap() }
}

/// Registers, runs without baselines, and hands over what was printed.
fn once(line: &str, register: impl FnOnce(&mut Bench, &FakeClock)) -> Ran {
    let (mut bench, clock) = (Bench::new(), FakeClock::new());
    register(&mut bench, &clock);
    let folder = tempfile::tempdir().unwrap();
    ran(&bench, &clock, folder.path(), line)
}

#[test]
fn the_list_is_libtests_and_filters_are_parts_of_names() {
    let found = once("--list sum ../x", |bench, _| {
        bench.bench("group/../x <b>é", |b| b.iter(|| 1));
        bench.bench("other", |b| b.iter(|| 1));
        bench
            .axis("n", [1, 10])
            .axis("kind", ["a", "b"])
            .bench("sum", |b, (n, kind)| b.iter(move || (n, kind)));
    });
    assert_eq!(found.result.unwrap(), 0);
    insta::assert_snapshot!(found.text, @"
    group/../x <b>é: benchmark
    sum n=1 kind=a: benchmark
    sum n=1 kind=b: benchmark
    sum n=10 kind=a: benchmark
    sum n=10 kind=b: benchmark
    ");
}

#[test]
fn a_test_runs_each_body_once_and_names_those_that_break() {
    let found = once("--test", |bench, _| {
        bench.bench("good", |b| b.iter(|| 1));
        bench.bench("body", |b| b.iter(|| -> u8 { panic!("no {}", "luck") }));
        bench.bench("setup", |_| -> crate::Routine<()> { panic!("early") });
        bench.bench("nan", |b| {
            b.iter(|| 0.0).metric("loss", "1", Better::Lower, |x| x / x)
        });
        bench.bench("lazy", |b| b.iter_async(|_| (), async || 1));
    });
    assert_eq!(found.result.unwrap(), 4);
    insta::assert_snapshot!(found.text);
}

#[test]
fn a_measured_body_is_a_line_with_time_rate_and_metrics() {
    let found = once("--bench --budget 2s", |bench, clock| {
        bench.bench("decode", spending(clock, 2.5e-3, 1));
        let own = clock.clone();
        bench.bench("with setup", move |b| {
            let (make, work) = (own.clone(), own.clone());
            b.iter_with_setup(
                move || {
                    make.advance(Seconds(1e-3));
                    7_u64
                },
                move |input| {
                    work.advance(Seconds(4e-3));
                    *input
                },
            )
            .metric("recall", "1", Better::Higher, |output| {
                *output as f64 / 8.0
            })
        });
        bench.bench("broken", |b| b.iter(|| -> u8 { panic!("boom") }));
    });
    assert_eq!(found.result.unwrap(), 1);
    insta::assert_snapshot!(found.text);
}

#[test]
fn a_slower_build_fails_against_its_baseline_and_the_same_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let compared = |line: &str, seconds: f64| {
        let (mut bench, clock) = (Bench::new(), FakeClock::new());
        let seed = seconds.to_bits() ^ line.len() as u64;
        bench.bench("../decode <b>", spending(&clock, seconds, seed));
        ran(&bench, &clock, folder.path(), line)
    };
    let saved = compared("--save-baseline main", 1e-3);
    assert_eq!(saved.result.unwrap(), 0);
    let same = compared("--baseline main", 1e-3);
    assert_eq!(same.result.unwrap(), 0);
    assert!(same.text.contains("../decode <b>: same"), "{}", same.text);
    let slower = compared("--baseline main", 1.05e-3);
    assert_eq!(slower.result.unwrap(), 1);
    assert!(slower.text.contains(": slower +5.0 %"), "{}", slower.text);
    let faster = compared("--baseline main", 0.95e-3);
    assert_eq!(faster.result.unwrap(), 0);
    assert!(faster.text.contains(": faster -5.0 %"), "{}", faster.text);
    let allowed = compared("--baseline main --floor 10%", 1.05e-3);
    assert_eq!(allowed.result.unwrap(), 0, "{}", allowed.text);

    let unknown = compared("--baseline mian", 1e-3).result.unwrap_err();
    assert!(unknown.to_string().contains("`main`"), "{unknown}");
}

#[test]
fn other_work_and_other_answers_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let compared = |line: &str, elements: f64, answer: u64| {
        let (mut bench, clock) = (Bench::new(), FakeClock::new());
        let body = spending(&clock, 1e-3, line.len() as u64);
        bench.bench("scan", move |b| {
            let mut routine = body(b).fingerprint(move |_| answer);
            routine.throughputs = vec![Throughput::Bytes(elements)];
            routine
        });
        ran(&bench, &clock, folder.path(), line)
    };
    compared("--save-baseline main", 64.0, 1);
    let other = compared("--baseline main", 128.0, 1);
    assert!(other.text.contains("Bytes(64.0)"), "{}", other.text);
    assert!(other.text.contains("scan: not compared"), "{}", other.text);
    let refused = other.result.unwrap_err().to_string();
    assert!(refused.contains("`main`: scan; --force"), "{refused}");
    let forced = compared("--baseline main --force", 128.0, 1);
    let text = forced.text;
    assert!(text.contains("scan: same"), "{text}");
    assert!(text.contains("forced: an iteration did other work"), "{text}");
    assert_eq!(forced.result.unwrap(), 0);
    let answer = compared("--baseline main", 64.0, 2).text;
    assert!(answer.contains("another answer"), "{answer}");
}

#[test]
fn another_unit_is_refused_and_a_fingerprint_that_came_is_no_other_answer() {
    let folder = tempfile::tempdir().unwrap();
    let compared = |line: &str, unit: &'static str, answers: bool| {
        let (mut bench, clock) = (Bench::new(), FakeClock::new());
        let body = spending(&clock, 1e-3, line.len() as u64);
        bench.bench("scan", move |b| {
            let mut routine =
                body(b).metric("recall", unit, Better::Higher, |_| 0.5);
            if !answers {
                routine.fingerprint = None;
            }
            routine
        });
        ran(&bench, &clock, folder.path(), line)
    };
    compared("--save-baseline main", "1", false);
    let came = compared("--baseline main", "1", true);
    assert_eq!(came.result.unwrap(), 0, "{}", came.text);
    assert!(!came.text.contains("another answer"), "{}", came.text);
    assert!(came.text.contains("only one side"), "{}", came.text);
    let unit = compared("--baseline main", "%", true);
    let refused = unit.result.unwrap_err().to_string();
    assert!(refused.contains("--force"), "{refused}");
    let said = "recall was in `1` in the baseline; now it is in `%`";
    assert!(unit.text.contains(said), "{}", unit.text);
}

#[test]
fn names_that_cannot_be_are_refused_before_anything_runs() {
    let said = |names: &'static [&'static str]| {
        let refused = once("--list", |bench, _| {
            for name in names {
                bench.bench(*name, |b| b.iter(|| ()));
            }
        });
        refused.result.unwrap_err().to_string()
    };
    insta::assert_snapshot!(
        said(&["a", "b", "a"]),
        @"two benchmarks are called `a`; expected a name for each"
    );
    insta::assert_snapshot!(
        said(&["a\nb"]),
        @r#"the benchmark name "a\nb" is empty or holds a control character; expected a line of text"#
    );
}

#[test]
fn ten_thousand_benchmarks_are_listed_and_none_is_built() {
    let found = once("--list --skip n=1", |bench, _| {
        bench
            .axis("n", 0..10_000)
            .bench("never", |_, n| -> crate::Routine<()> {
                panic!("{n} was built")
            });
    });
    assert_eq!(found.result.unwrap(), 0);
    // Those without n=1...: 10,000 less 1, 10, 100 and 1000 of them.
    assert_eq!(found.text.lines().count(), 10_000 - 1111);
}
