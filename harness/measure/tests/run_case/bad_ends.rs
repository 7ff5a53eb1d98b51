//! Cases that end badly: each is a record, none ends the sweep.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::toy::{Body, Ran, Toy, right, run, run_with, steady};
use assay_measure::{
    Context, FakeClock, Instruments, Job, Pace, Progress, Session, Settings,
    Watch, WorkloadError, run_case, verify_case,
};
use assay_schema::{
    Bytes, Case, Event, Outcome, Seconds, StopReason, Verification,
};

fn kinds(ran: &Ran) -> Vec<&'static str> {
    ran.events
        .iter()
        .map(|event| match event {
            Event::Started { .. } => "started",
            Event::Verified(_) => "verified",
            Event::Sample(_) => "sample",
            Event::Meter { .. } => "meter",
            Event::Pictures(_) => "pictures",
            Event::Warning(_) => "warning",
            Event::Finished { .. } => "finished",
            Event::Failed { .. } => "failed",
        })
        .collect()
}

fn with_answer(verify: fn() -> Result<Verification, WorkloadError>) -> Ran {
    run(&Settings::default(), move |_| {
        Ok(Box::new(Body {
            pace: Pace::Steady,
            verify,
            iterate: |_: &mut Watch<'_>| -> Result<Progress, WorkloadError> {
                panic!("nothing may be timed without a right answer")
            },
        }))
    })
}

#[test]
fn a_wrong_answer_is_recorded_with_its_numbers_and_nothing_is_timed() {
    let ran = with_answer(|| {
        Ok(Verification {
            largest_difference: 0.3,
            relative_difference: 0.02,
            ..right()
        })
    });
    assert_eq!(kinds(&ran), ["started", "meter", "verified", "failed"]);
    let Outcome::Failed(error) = &ran.outcome else {
        panic!("{:?}", ran.outcome)
    };
    insta::assert_snapshot!(
        error,
        @"wrong answer: 2e-2 relative to closed form (3e-1 absolute), allowed 1e-4"
    );
    assert!(!ran.record().is_sound());
}

#[test]
fn nan_is_a_wrong_answer() {
    let ran = with_answer(|| {
        Ok(Verification { relative_difference: f64::NAN, ..right() })
    });
    assert_eq!(kinds(&ran), ["started", "meter", "verified", "failed"]);
}

#[test]
fn a_panic_anywhere_in_a_session_is_a_failure_of_its_case() {
    let verifying = with_answer(|| panic!("index 7"));
    assert_eq!(
        verifying.outcome,
        Outcome::Failed("verifying panicked: index 7".into())
    );
    let preparing = run(&Settings::default(), |_| panic!("no {}", "weights"));
    assert_eq!(
        preparing.outcome,
        Outcome::Failed("preparing panicked: no weights".into())
    );
    assert_eq!(kinds(&preparing), ["started", "failed"]);
}

#[test]
fn a_panic_while_dropping_is_a_failure_too() {
    struct Grenade;
    impl Session for Grenade {
        fn verify(&mut self) -> Result<Verification, WorkloadError> {
            Ok(right())
        }
        fn pace(&self) -> Pace {
            Pace::Study
        }
        fn iterate(
            &mut self,
            watch: &mut Watch<'_>,
        ) -> Result<Progress, WorkloadError> {
            watch.record("nothing", Seconds(1.0));
            Ok(Progress::Done)
        }
    }
    impl Drop for Grenade {
        fn drop(&mut self) {
            panic!("boom");
        }
    }
    let ran = run(&Settings::default(), |_| Ok(Box::new(Grenade)));
    assert_eq!(
        ran.outcome,
        Outcome::Failed("dropping the session panicked: boom".into())
    );
}

#[test]
fn samples_before_an_error_are_kept() {
    let ran = run(&Settings::default(), |clock| {
        let clock = clock.clone();
        Ok(Box::new(Body {
            pace: Pace::Study,
            verify: || Ok(right()),
            iterate: move |watch: &mut Watch<'_>| {
                clock.advance(Seconds(0.25));
                if watch.step() == 3 {
                    let what = format!("loss at step {}", watch.step());
                    return Err(WorkloadError::NotFinite { what });
                }
                Ok(Progress::More)
            },
        }))
    });
    assert_eq!(
        ran.outcome,
        Outcome::Failed("loss at step 3 is not finite".into())
    );
    assert_eq!(ran.record().steady_samples("step"), [0.25; 3]);
}

#[test]
fn samples_before_a_panic_are_kept() {
    let ran = run(&Settings::default(), |clock| {
        Ok(steady(clock, |n| if n < 5 { 0.5 } else { panic!("step {n}") }))
    });
    assert_eq!(
        ran.outcome,
        Outcome::Failed("an iteration panicked: step 5".into())
    );
    let taken: usize =
        ran.record().samples.iter().map(|b| b.seconds.len()).sum();
    assert_eq!(taken, 5);
}

#[test]
fn a_case_that_does_not_fit_is_skipped_with_its_size() {
    let ran = run(&Settings::default(), |_| {
        Err(WorkloadError::DoesNotFit {
            needed: Bytes(3e12),
            available: Bytes(16e9),
        })
    });
    assert_eq!(
        ran.outcome,
        Outcome::Skipped(
            "needs 3000.00 GB of memory, 16.00 GB are free".into()
        )
    );
    assert!(matches!(
        ran.events.last(),
        Some(Event::Failed { skipped: true, .. })
    ));
}

#[test]
fn ctrl_c_while_sampling_keeps_the_samples() {
    for pace in [Pace::Steady, Pace::Study] {
        let flag = Arc::new(AtomicBool::new(false));
        let raised = flag.clone();
        let ran = run_with(
            &Settings::with_budget(Seconds(1e9)),
            &mut [],
            &flag,
            move |clock| {
                let (clock, raised) = (clock.clone(), raised.clone());
                Ok(Box::new(Body {
                    pace,
                    verify: || Ok(right()),
                    iterate: move |watch: &mut Watch<'_>| {
                        clock.advance(Seconds(1e6));
                        raised.store(watch.step() == 3, Ordering::Relaxed);
                        Ok(Progress::More)
                    },
                }))
            },
        );
        assert_eq!(ran.outcome, Outcome::Finished(StopReason::Interrupted));
        let taken: usize =
            ran.record().samples.iter().map(|b| b.seconds.len()).sum();
        assert_eq!(taken, 4);
    }
}

#[test]
fn ctrl_c_before_the_first_sample_leaves_the_case_to_a_resumed_run() {
    let flag = Arc::new(AtomicBool::new(true));
    let make = |clock: &FakeClock| Ok(steady(clock, |_| 1.0));
    let ran = run_with(&Settings::default(), &mut [], &flag, make);
    assert!(ran.events.is_empty());

    flag.store(false, Ordering::Relaxed);
    let raised = flag.clone();
    let ran = run_with(&Settings::default(), &mut [], &flag, move |clock| {
        raised.store(true, Ordering::Relaxed);
        Ok(steady(clock, |_| 1.0))
    });
    assert_eq!(ran.outcome, Outcome::Unfinished);
    assert_eq!(ran.record().outcome, Outcome::Unfinished);
}

#[test]
fn a_sink_that_fails_is_not_written_to_again() {
    for most in 0..12 {
        let clock = FakeClock::new();
        let toy = Toy {
            clock: clock.clone(),
            make: Box::new(|clock| Ok(steady(clock, |_| 0.01))),
        };
        let case = Case::new("toy", "one", None);
        let context = Context::new("cpu", 1);
        let job =
            Job { workload: &toy, case: &case, context: &context, work: None };
        let instruments = Instruments {
            clock: &clock,
            meters: &mut [],
            allocations: None,
            interrupted: &AtomicBool::new(false),
        };
        let mut written = 0;
        let mut sink = |_: Event| {
            written += 1;
            if written > most { Err("disk full") } else { Ok(()) }
        };
        let settings = Settings::default();
        let ended = run_case(job, &settings, instruments, &mut sink);
        match ended {
            Err(error) => {
                assert_eq!((error, written), ("disk full", most + 1));
            }
            Ok(outcome) => {
                assert!(matches!(outcome, Outcome::Finished(_)));
                assert!(written <= most);
            }
        }
    }
}

#[test]
fn verifying_alone_times_nothing_and_names_the_case() {
    let make = |_: &FakeClock| -> Result<Box<dyn Session>, WorkloadError> {
        Err(WorkloadError::Unsupported("needs a GPU".into()))
    };
    let toy = Toy { clock: FakeClock::new(), make: Box::new(make) };
    let case = Case::new("toy", "one", None);
    let context = Context::new("cpu", 1);
    let job =
        Job { workload: &toy, case: &case, context: &context, work: None };
    let error = verify_case(job).unwrap_err();
    assert_eq!(error.to_string(), "toy/one: needs a GPU");
    assert!(error.skipped);
}
