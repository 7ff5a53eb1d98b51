//! How steady sessions are sampled: iterations a sample, warm-up, stopping,
//! meters.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::toy::{Body, Ran, right, run, run_with, steady};
use assay_measure::{Meter, Pace, Progress, Readout, Settings, Watch, Window};
use assay_schema::{
    Better, Event, Metric, Outcome, Reading, Record, SampleBatch, Seconds,
    StopReason,
};
use proptest::prelude::*;

/// A time that looks noisy and repeats: from 0.9 to 1.1.
fn jitter(n: u64) -> f64 {
    0.9 + 0.2 * (n.wrapping_mul(2_654_435_761) % 1000) as f64 / 1000.0
}

fn batches(ran: &Ran) -> Vec<&SampleBatch> {
    ran.events
        .iter()
        .filter_map(|event| match event {
            Event::Sample(batch) => Some(batch),
            _ => None,
        })
        .collect()
}

#[test]
fn a_fast_body_gets_samples_of_a_thousand_resolutions_or_more() {
    // The fake clock shows 1 ns; the budget of 1 s asks for 0.1 ms a sample.
    let settings = Settings::with_budget(Seconds(1.0));
    let ran = run(&settings, |clock| Ok(steady(clock, |_| 200e-9)));
    for batch in batches(&ran).iter().filter(|batch| !batch.warm_up) {
        for seconds in &batch.seconds {
            assert!((seconds / 200e-9 - 1.0).abs() < 1e-6, "per iteration");
            assert!(seconds * batch.iterations as f64 >= 1e-4);
        }
    }
    assert!(ran.record().is_sound());
}

#[test]
fn a_cold_start_is_warm_up_and_what_follows_is_not() {
    let settings = Settings::with_budget(Seconds(60.0));
    let ran = run(&settings, |clock| {
        Ok(steady(clock, |n| {
            let cold = if n < 10 { 5.0 } else { 1.0 };
            0.01 * cold * jitter(n)
        }))
    });
    let record = ran.record();
    let steady_samples = record.steady_samples("step");
    assert!(steady_samples.iter().all(|&s| s < 0.02), "{steady_samples:?}");
    let warm: usize = batches(&ran)
        .iter()
        .filter(|batch| batch.warm_up)
        .map(|batch| batch.seconds.len())
        .sum();
    assert!((10..40).contains(&warm), "{warm}");
    assert!(matches!(
        ran.outcome,
        Outcome::Finished(StopReason::Precise { relative_half_width })
            if relative_half_width <= 0.01
    ));
}

#[test]
fn noise_wider_than_the_target_spends_the_budget_and_says_how_far_it_got() {
    let settings =
        Settings { target: 1e-9, ..Settings::with_budget(Seconds(5.0)) };
    let ran = run(&settings, |clock| Ok(steady(clock, |n| 0.01 * jitter(n))));
    let Outcome::Finished(StopReason::BudgetSpent {
        budget_s,
        relative_half_width: Some(width),
    }) = ran.outcome
    else {
        panic!("{:?}", ran.outcome)
    };
    assert_eq!(budget_s, Seconds(5.0));
    assert!(width > 1e-9 && width < 0.1, "{width}");
}

#[test]
fn an_iteration_longer_than_the_budget_gives_one_sample_and_a_warning() {
    let ran = run(&Settings::with_budget(Seconds(1.0)), |clock| {
        Ok(steady(clock, |_| 30.0))
    });
    assert_eq!(ran.record().steady_samples("step"), [30.0]);
    assert_eq!(ran.warnings(), ["warm-up", "budget"]);
    let record = ran.record();
    insta::assert_snapshot!(
        record.warnings[1].message,
        @"an iteration takes 30.000 s, so that the budget of 1 s held 1 of the 5 samples wanted; give --budget 180s or more"
    );
}

#[test]
fn five_samples_are_taken_where_the_budget_holds_them() {
    let ran = run(&Settings::with_budget(Seconds(10.0)), |clock| {
        Ok(steady(clock, |_| 1.9))
    });
    let taken: usize = batches(&ran).iter().map(|b| b.seconds.len()).sum();
    assert_eq!(taken, 6);
    assert_eq!(ran.record().steady_samples("step").len(), 5);
}

#[test]
fn a_time_that_never_settles_is_said() {
    let ran = run(&Settings::with_budget(Seconds(60.0)), |clock| {
        Ok(steady(clock, |n| 0.01 * 1.02_f64.powi(n as i32)))
    });
    assert!(ran.warnings().contains(&"warm-up".to_owned()));
    assert!(!ran.record().steady_samples("step").is_empty());
}

#[test]
fn an_iteration_that_takes_no_time_is_an_error() {
    let ran = run(&Settings::default(), |clock| {
        let _ = clock;
        let calls = AtomicU64::new(0);
        Ok(Box::new(Body {
            pace: Pace::Steady,
            verify: || Ok(right()),
            iterate: move |_: &mut Watch<'_>| {
                // Ends the doubling early: the point is the zero.
                let calls = calls.fetch_add(1, Ordering::Relaxed);
                Ok(if calls == 5000 { Progress::Done } else { Progress::More })
            },
        }))
    });
    let Outcome::Failed(error) = &ran.outcome else {
        panic!("{:?}", ran.outcome)
    };
    assert!(error.contains("no sample"), "{error}");
    assert!(batches(&ran).is_empty(), "a zero is never a sample");
}

#[test]
fn samples_are_handed_over_while_sampling_goes_on() {
    let settings =
        Settings { target: 0.0, ..Settings::with_budget(Seconds(20.0)) };
    let ran = run(&settings, |clock| Ok(steady(clock, |n| 0.01 * jitter(n))));
    // Bursts of half a second at most, once the warm-up's end is known.
    assert!(batches(&ran).len() > 10, "{}", batches(&ran).len());
}

/// A meter that writes down what is done to it.
struct Diary {
    seen: Arc<Mutex<Vec<&'static str>>>,
    counts: Arc<AtomicU64>,
}

impl Meter for Diary {
    fn start(&mut self) {
        self.seen.lock().unwrap().push("start");
    }

    fn stop(&mut self) {
        self.seen.lock().unwrap().push("stop");
    }

    fn read(&mut self, window: &Window) -> Readout {
        self.seen.lock().unwrap().push("read");
        let iterations = self.counts.swap(0, Ordering::Relaxed);
        assert_eq!(window.iterations, iterations);
        let metric =
            Metric::value("seen", "1", Better::Lower, iterations as f64);
        let nonsense = Metric::value("bad", "1", Better::Lower, f64::NAN);
        let none =
            Metric::unavailable("energy", "J", Better::Lower, "no counter");
        Readout { metrics: vec![metric, nonsense, none], warnings: vec![] }
    }
}

#[test]
fn meters_count_exactly_the_iterations_of_their_window() {
    let counts = Arc::new(AtomicU64::new(0));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let diary = Diary { seen: seen.clone(), counts: counts.clone() };
    let mut meters: [Box<dyn Meter>; 1] = [Box::new(diary)];
    let interrupted = AtomicBool::new(false);
    let ran = run_with(
        &Settings::with_budget(Seconds(2.0)),
        &mut meters,
        &interrupted,
        move |clock| {
            let (clock, counts) = (clock.clone(), counts.clone());
            Ok(Box::new(Body {
                pace: Pace::Steady,
                verify: || Ok(right()),
                iterate: move |watch: &mut Watch<'_>| {
                    counts.fetch_add(1, Ordering::Relaxed);
                    clock.advance(Seconds(1e-5 * jitter(watch.step())));
                    Ok(Progress::More)
                },
            }))
        },
    );
    // The first sample is left out, as many follow.
    let seen = seen.lock().unwrap();
    assert_eq!(seen[..3], ["start", "stop", "read"]);
    assert_eq!(seen.iter().filter(|&&what| what == "read").count(), 2);
    let record = ran.record();
    assert!(record.metric("seen").is_some_and(|n| n > 1.0));
    // What is no number is no value, and no meter reads zero.
    let readings: Vec<&Reading> = record
        .metrics
        .iter()
        .filter(|(_, m)| ["bad", "energy", "memory_peak"].contains(&&*m.name))
        .map(|(_, m)| &m.reading)
        .collect();
    assert_eq!(readings.len(), 3);
    assert!(readings.iter().all(|r| matches!(r, Reading::Unavailable(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_the_times_the_record_is_whole(
        times in proptest::collection::vec(1e-8_f64..0.5, 1..40),
        budget in 0.01..5.0,
    ) {
        let total = Arc::new(Mutex::new(Vec::<f64>::new()));
        let spent = total.clone();
        let ran = run(&Settings::with_budget(Seconds(budget)), move |clock| {
            let (times, spent) = (times.clone(), spent.clone());
            Ok(steady(clock, move |n| {
                let time: f64 = times[n as usize % times.len()];
                // The clock shows whole nanoseconds.
                let time = (time * 1e9).round() * 1e-9;
                spent.lock().unwrap().push(time);
                time
            }))
        });
        let record: Record = ran.record();
        prop_assert!(record.is_sound(), "{:?}", ran.outcome);
        prop_assert!(!record.steady_samples("step").is_empty());
        let sampled: f64 = record
            .samples
            .iter()
            .map(|b| b.seconds.iter().sum::<f64>() * b.iterations as f64)
            .sum();
        let spent: f64 = total.lock().unwrap().iter().sum();
        prop_assert!((sampled / spent - 1.0).abs() < 1e-6);
        let is_end = |e: &Event| matches!(e, Event::Finished { .. });
        prop_assert_eq!(ran.events.iter().filter(|e| is_end(e)).count(), 1);
        prop_assert!(ran.events.last().is_some_and(is_end));
    }
}
