//! The paper's numbers of parameters, and every strategy from end to end.

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

use assay_measure::{Context, FakeClock, Instruments, Job, Settings, run_case};
use assay_schema::{Case, Event, Outcome, Precision, Record};
use assay_snr::{Request, Snr, snrs_db, task, trace};
use assay_trace::summary;

fn case(text: &str) -> Case {
    text.parse().unwrap()
}

/// The record of a case, run with a clock that stands still.
fn ran(text: &str) -> Record {
    let case = case(text);
    let context = Context::new("cpu", 1);
    let job =
        Job { workload: &Snr, case: &case, context: &context, work: None };
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
    let record = Record::from_events(&events).unwrap();
    assert!(record.is_sound(), "{text}");
    record
}

/// The smallest study of channels, with `axes`.
fn channels(axes: &str) -> Record {
    ran(&format!(
        "snr/ci-cnn/study size=tiny batch=32 per_cell=12 epochs=3 {axes}"
    ))
}

#[test]
fn parameter_counts_are_pytorchs_of_the_same_layers() {
    for (model, count) in [
        ("mc-cnn", 2_830_170),
        ("mc-resnet", 148_458),
        ("mc-cldnn", 2_741_322),
        ("ci-cnn", 32_916_751),
    ] {
        let text = format!("snr/{model}/infer size=full");
        let request = Request::new(&case(&text)).unwrap();
        let work = summary(&trace(&request).unwrap(), Precision::F32);
        assert_eq!(work.parameters, count, "{model}");
    }
    let five = Request::new(&case("snr/mc-resnet/infer stacks=5")).unwrap();
    let work = summary(&trace(&five).unwrap(), Precision::F32);
    assert_eq!(work.parameters, 143_274);
}

#[test]
fn one_snr_to_train_on_is_a_twenty_first_of_all() {
    let count =
        |record: &Record| record.metric("quality/training_examples").unwrap();
    let all = channels("strategy=all");
    let single = channels("test_snr_db=10");
    let uniform = channels("strategy=uniform");
    assert_eq!(count(&all), 21.0 * count(&single));
    assert!((count(&all) / count(&uniform) - 8.0).abs() < 0.05);
    // A single one is tested at its own SNR, one for all at every SNR.
    let tested = |record: &Record| {
        record
            .metric_values("quality/accuracy")
            .filter(|(at, _)| at.len() == 1 && at.contains_key("snr_db"))
            .count()
    };
    assert_eq!((tested(&all), tested(&single)), (21, 1));
    let half = channels("test_snr_db=10 fraction=0.5");
    assert_eq!(count(&single), 2.0 * count(&half));
}

#[test]
fn an_estimate_that_is_off_trains_on_another_snr() {
    let right = channels("test_snr_db=20");
    let beyond = channels("test_snr_db=20 offset_db=4");
    let off = channels("test_snr_db=20 offset_db=-10");
    // An estimate beyond the range falls on its end.
    assert_eq!(right.metrics, beyond.metrics);
    assert_ne!(right.metrics, off.metrics);
}

#[test]
fn each_trains_a_network_for_every_snr() {
    let each = ran("snr/mc-cnn/study size=tiny batch=32 per_cell=8 epochs=1");
    let snrs: Vec<String> = each
        .metric_values("quality/accuracy")
        .filter_map(|(at, _)| at.get("snr_db").cloned())
        .collect();
    let all: Vec<String> =
        snrs_db(task("mc-cnn")).iter().map(ToString::to_string).collect();
    assert_eq!(snrs, all);
    assert_eq!(each.metric("quality/best_epoch"), Some(1.0));
}

#[test]
fn boosting_chooses_near_the_test_and_counts_its_search() {
    let boosted = channels("test_snr_db=10 strategy=boosted reach_db=2 seed=2");
    let chosen: Vec<f64> = boosted
        .metric_values("quality/chosen_snr")
        .map(|(at, snr)| {
            assert_eq!(at["test_snr_db"], "10");
            snr
        })
        .collect();
    assert!((1..=3).contains(&chosen.len()), "{chosen:?}");
    assert!(chosen.iter().all(|snr| (8.0..=12.0).contains(snr)));
    // Validation examples are added back: 9 of 12 are not the test's.
    let examples = boosted.metric("quality/training_examples").unwrap();
    assert_eq!(examples, chosen.len() as f64 * 15.0 * 9.0);
    assert!(boosted.metric("quality/search_time").is_some());
}

#[test]
fn a_bag_is_three_networks_of_a_share_each() {
    let bagged =
        channels("test_snr_db=-20 strategy=bagged fraction=0.5 seed=2");
    let single = channels("test_snr_db=-20 fraction=0.5 seed=2");
    let examples =
        |record: &Record| record.metric("quality/training_examples").unwrap();
    assert_eq!(examples(&bagged), 3.0 * examples(&single));
    let counts: f64 =
        bagged.metric_values("quality/confusion").map(|(_, n)| n).sum();
    assert_eq!(counts, 3.0 * 15.0);
}

#[test]
fn the_published_label_is_no_snr() {
    let label =
        ran("snr/mc-resnet/study size=tiny batch=32 per_cell=8 epochs=2 \
         strategy=all snr=label");
    let truly =
        ran("snr/mc-resnet/study size=tiny batch=32 per_cell=8 epochs=2 \
         strategy=all snr=true");
    assert_ne!(label.metrics, truly.metrics);
    assert_eq!(label.metric("quality/classes"), Some(10.0));
}
