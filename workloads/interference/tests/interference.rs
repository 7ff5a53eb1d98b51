//! The paper's numbers of parameters and operations, a study from end to end,
//! and bad input.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(
    clippy::float_cmp,
    reason = "counts and sums of the same numbers are exact"
)]

use std::sync::atomic::AtomicBool;

use assay_interference::{Interference, Request, names, trace};
use assay_measure::{
    Context, FakeClock, Instruments, Job, Settings, Workload, run_case,
};
use assay_schema::{Case, Event, Outcome, Precision, Record, WorkSummary};
use assay_trace::summary;

fn case(text: &str) -> Case {
    text.parse().unwrap()
}

fn work(text: &str) -> WorkSummary {
    let request = Request::new(&case(text)).unwrap();
    summary(&trace(&request).unwrap(), Precision::F32)
}

/// The record of a case, run with a clock that stands still.
fn ran(text: &str) -> Record {
    let case = case(text);
    let context = Context::new("cpu", 1);
    let job = Job {
        workload: &Interference,
        case: &case,
        context: &context,
        work: None,
    };
    let instruments = Instruments {
        clock: &FakeClock::new(),
        meters: &mut [],
        allocations: None,
        interrupted: &AtomicBool::new(false),
    };
    let mut events: Vec<Event> = Vec::new();
    let outcome =
        run_case(job, &Settings::default(), instruments, &mut |event| {
            events.push(event);
            Ok::<(), std::convert::Infallible>(())
        });
    match outcome {
        Ok(Outcome::Finished(_)) => {}
        other => panic!("{text}: {other:?}"),
    }
    Record::from_events(&events).unwrap()
}

#[test]
fn parameter_counts_are_the_papers() {
    // Facts 2.2, and PyTorch's own count of the same layers.
    let published = [
        ("cnn", 32_916_751),
        ("schmidt-cnn", 16_649_487),
        ("resnet", 143_919),
        ("cldnn", 33_825_039),
        ("lstm", 1_072_751),
    ];
    assert_eq!(
        published.map(|(name, _)| name).to_vec(),
        names().collect::<Vec<_>>()
    );
    for (name, count) in published {
        let work = work(&format!("interference/{name}/infer size=full"));
        assert_eq!(work.parameters, count, "{name}");
    }
}

#[test]
fn the_cnns_operations_equal_a_closed_form() {
    let b = 16.0;
    let conv1 = 2.0 * b * 126.0 * 2.0 * 256.0 * 3.0;
    let conv2 = 2.0 * b * 124.0 * 256.0 * 256.0 * 6.0;
    let dense = 2.0 * b * (31_744.0 * 1024.0 + 1024.0 * 15.0);
    let forward = work("interference/cnn/infer size=full batch=16");
    assert_eq!(forward.flops_by_kind["conv"].value(), conv1 + conv2);
    assert_eq!(forward.flops_by_kind["matmul"].value(), dense);
    // Backward: the weights' gradients of all, the input's of all but the
    // first.
    let step = work("interference/cnn/train-step size=full batch=16");
    let convolutions = 2.0 * conv1 + 3.0 * conv2;
    assert_eq!(step.flops_by_kind["conv"].value(), convolutions);
    assert_eq!(step.flops_by_kind["matmul"].value(), 3.0 * dense);
}

#[test]
fn a_study_holds_its_data_and_the_trace_counts_them() {
    let small = "interference/cnn/study size=tiny batch=16 per_cell=10";
    let large = "interference/cnn/study size=tiny batch=16 per_cell=110";
    let more = work(large).memory_peak.total().value()
        - work(small).memory_peak.total().value();
    // 100 more snapshots in each of 315 cells: as made, as examples, as
    // prepared, each 256 values of 4 bytes.
    let expected = 100.0 * 315.0 * 3.0 * 256.0 * 4.0;
    assert!((more / expected - 1.0).abs() < 0.01, "{more} {expected}");
}

#[test]
fn a_study_learns_and_says_the_same_twice() {
    let text = "interference/cnn/study size=tiny batch=8 per_cell=12 \
                epochs=20 train_snr_db=10 seed=3";
    let record = ran(text);
    assert!(record.is_sound());
    let at = |snr: &str| {
        record.metric_at("quality/accuracy", &[("snr_db", snr)]).unwrap()
    };
    // A fifteenth is chance.
    assert!(at("10") > 0.5, "{}", at("10"));
    assert!(at("-20") < 0.3, "{}", at("-20"));
    let counts: f64 =
        record.metric_values("quality/confusion").map(|(_, n)| n).sum();
    // A third of 12 is 3 of each cell.
    assert_eq!(counts, 3.0 * 315.0);
    assert_eq!(record.metric("quality/training_examples"), Some(15.0 * 8.0));
    assert!(record.metric("quality/accuracy_authors").is_some());
    assert_eq!(record.metric("quality/real_data"), None);
    let again = ran(text);
    assert_eq!(record.metrics, again.metrics);
}

#[test]
fn a_narrow_band_and_a_share_of_samples_make_smaller_networks() {
    let count = |axes: &str| {
        work(&format!("interference/cnn/infer size=full {axes}")).parameters
    };
    let dense = |length: u64, classes: u64| {
        let convolutions = 256 * 3 + 256 + 256 * 256 * 6 + 256;
        let hidden = 256 * (length - 4) * 1024 + 1024;
        convolutions + hidden + 1024 * classes + classes
    };
    assert_eq!(count("band_mhz=2"), dense(26, 7));
    assert_eq!(count("band_mhz=4"), dense(52, 10));
    assert_eq!(count("select=uniform keep=0.0625"), dense(8, 15));
    assert_eq!(count("band_mhz=4 select=pca keep=0.125"), dense(6, 10));
}

#[test]
fn what_cannot_be_run_says_why() {
    for (text, word) in [
        ("interference/cn/infer", "nearest valid: `cnn`"),
        ("interference/cnn/infer size=ful", "nearest valid: `full`"),
        ("interference/cnn/fly", "train-step, infer, study"),
        ("interference/cnn/infer band_mhz=5", "unknown band"),
        ("interference/cnn/infer keep=0.5", "a way to choose values"),
        ("interference/cnn/infer select=pca keep=0.3", "0.0625"),
        ("interference/cnn/study train_snr_db=3", "an even number"),
        ("interference/cnn/study per_cell=2", "at least 3"),
        ("interference/cnn/infer batch=0", "at least 1"),
        ("interference/resnet/infer select=uniform keep=0.125", "it needs 32"),
        ("interference/cnn/infer precision=f33", "axis `precision`"),
    ] {
        let error = Request::new(&case(text)).unwrap_err().to_string();
        assert!(error.contains(word), "{text}: {error}");
    }
    let prepared = |text: &str, context: &Context| match Interference
        .prepare(&case(text), context)
    {
        Ok(_) => panic!("{text} was prepared"),
        Err(error) => error.to_string(),
    };
    let context = Context::new("cpu", 1);
    let error = prepared("interference/cnn/infer precision=f16", &context);
    assert!(error.contains("f16 is not measured"), "{error}");
    let error = prepared("interference/cnn/infer", &Context::new("wgpu:0", 1));
    assert!(error.contains("wgpu:0"), "{error}");
    let mut context = context;
    context.data = Some("/nowhere/data_iq.p".into());
    let error = prepared("interference/cnn/study", &context);
    assert!(error.contains("/nowhere/data_iq.p"), "{error}");
}
