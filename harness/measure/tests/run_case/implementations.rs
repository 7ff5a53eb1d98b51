//! The toy workloads that freeze the traits: what later papers need must be
//! sayable in [`Workload`](assay_measure::Workload) and
//! [`Session`](assay_measure::Session) as they stand.

use crate::toy::{Body, right, run};
use assay_measure::{
    FakeClock, Pace, Progress, Session, Settings, Watch, WorkloadError,
};
use assay_schema::{
    Better, Event, Outcome, Reading, Seconds, StopReason, Verification,
};

/// A device that takes a launch in a microsecond and works it off behind the
/// caller's back, a millisecond each.
struct Queued {
    clock: FakeClock,
    waiting: u32,
    launched: u32,
    /// Launches after which the device is lost.
    last: u32,
}

impl Session for Queued {
    fn verify(&mut self) -> Result<Verification, WorkloadError> {
        Ok(right())
    }

    fn pace(&self) -> Pace {
        Pace::Steady
    }

    fn iterate(
        &mut self,
        _watch: &mut Watch<'_>,
    ) -> Result<Progress, WorkloadError> {
        self.clock.advance(Seconds(1e-6));
        self.waiting += 1;
        self.launched += 1;
        Ok(Progress::More)
    }

    fn finish_sample(
        &mut self,
        watch: &mut Watch<'_>,
    ) -> Result<(), WorkloadError> {
        if self.launched > self.last {
            return Err(WorkloadError::other("the device: lost"));
        }
        let waiting = std::mem::take(&mut self.waiting);
        self.clock.advance(Seconds(1e-3 * f64::from(waiting)));
        watch.record("device", Seconds(1e-3));
        watch.untimed(|| self.clock.advance(Seconds(7.0)));
        Ok(())
    }
}

#[test]
fn a_sample_of_queued_work_lasts_until_it_is_done() {
    // Ten launches a sample: the settings ask for samples of 10 ms.
    let settings = Settings {
        most_samples: 100_000.0,
        ..Settings::with_budget(Seconds(1000.0))
    };
    let ran = run(&settings, |clock| {
        let clock = clock.clone();
        let (waiting, launched, last) = (0, 0, u32::MAX);
        Ok(Box::new(Queued { clock, waiting, launched, last }))
    });
    let record = ran.record();
    let steps = record.steady_samples("step");
    assert!(!steps.is_empty());
    assert!(steps.iter().all(|s| (s / 1.001e-3 - 1.0).abs() < 1e-6));
    // The device's own time is a part, one a sample.
    let device = record.steady_samples("device");
    assert_eq!(device.len(), steps.len());
    assert!(device.iter().all(|s| *s == 1e-3));
    assert!(record.samples.iter().any(|batch| batch.iterations > 1));
}

#[test]
fn work_that_fails_while_it_is_waited_for_ends_the_case() {
    let ran = run(&Settings::with_budget(Seconds(1e4)), |clock| {
        let clock = clock.clone();
        let (waiting, launched, last) = (0, 0, 1);
        Ok(Box::new(Queued { clock, waiting, launched, last }))
    });
    let Outcome::Failed(why) = &ran.outcome else {
        panic!("{:?}", ran.outcome)
    };
    assert_eq!(why, "the device: lost");
    // The sample before it, whole: the step and the device's own time.
    let record = ran.record();
    let kept: Vec<&str> =
        record.samples.iter().map(|batch| batch.part.as_str()).collect();
    assert_eq!(kept, ["step", "device"]);
}

#[test]
fn a_steady_inference_phase_is_sampled_until_its_median_is_precise() {
    let settings = Settings::with_budget(Seconds(1000.0));
    let ran = run(&settings, |clock| {
        let clock = clock.clone();
        Ok(Box::new(Body {
            pace: Pace::Steady,
            verify: || Ok(right()),
            iterate: move |watch: &mut Watch<'_>| {
                let cold = 1.0 + 2.0 * (-(watch.step() as f64)).exp();
                watch.untimed(|| clock.advance(Seconds(0.5)));
                watch.part("attention", |_| {
                    clock.advance(Seconds(0.004 * cold));
                });
                clock.advance(Seconds(0.006 * cold));
                watch.quality("perplexity", "1", Better::Lower, 12.5);
                Ok(Progress::More)
            },
        }))
    });
    let record = ran.record();
    assert!(record.is_sound());
    let Outcome::Finished(StopReason::Precise { relative_half_width }) =
        ran.outcome
    else {
        panic!("{:?}", ran.outcome)
    };
    assert!(relative_half_width <= 0.01);
    let steps = record.steady_samples("step");
    assert!(steps.iter().all(|s| (s / 0.01 - 1.0).abs() < 0.05), "{steps:?}");
    let parts = record.steady_samples("attention");
    assert_eq!(parts.len(), steps.len());
    for (part, step) in parts.iter().zip(&steps) {
        assert!((part / step - 0.4).abs() < 1e-3);
    }
    assert!(record.samples[0].warm_up);
    assert_eq!(record.metric("quality/perplexity"), Some(12.5));
}

#[test]
fn a_run_trains_to_an_accuracy_and_its_curve_has_a_point_a_step() {
    let ran = run(&Settings::with_budget(Seconds(1.0)), |clock| {
        let clock = clock.clone();
        let mut accuracy = 0.0;
        Ok(Box::new(Body {
            pace: Pace::Study,
            verify: || Ok(right()),
            iterate: move |watch: &mut Watch<'_>| {
                watch.part("train", |_| clock.advance(Seconds(2.0)));
                accuracy += 0.25;
                watch.part("evaluate", |_| clock.advance(Seconds(0.5)));
                watch.quality("accuracy", "1", Better::Higher, accuracy);
                let reached = accuracy >= 0.75;
                Ok(if reached { Progress::Done } else { Progress::More })
            },
        }))
    });
    // The budget of a second cut nothing, but the excess is said.
    assert_eq!(ran.outcome, Outcome::Finished(StopReason::Completed));
    assert_eq!(ran.warnings(), ["budget"]);
    let record = ran.record();
    assert_eq!(record.steady_samples("step"), [2.5, 2.5, 2.5]);
    assert_eq!(record.steady_samples("train"), [2.0, 2.0, 2.0]);
    let curve: Vec<(u64, f64)> = record
        .metrics
        .iter()
        .filter(|(_, metric)| metric.name == "quality/accuracy")
        .filter_map(|(step, metric)| match metric.reading {
            Reading::Value(value) => Some(((*step)?, value)),
            Reading::Unavailable(_) => None,
        })
        .collect();
    assert_eq!(curve, [(0, 0.25), (1, 0.5), (2, 0.75)]);
}

#[test]
fn a_stage_that_is_read_back_has_the_time_that_it_took_when_it_was_made() {
    let ran = run(&Settings::default(), |clock| {
        let clock = clock.clone();
        Ok(Box::new(Body {
            pace: Pace::Study,
            verify: || Ok(right()),
            iterate: move |watch: &mut Watch<'_>| {
                clock.advance(Seconds(0.25));
                if watch.step() == 0 {
                    watch.took_earlier(Seconds(30.0));
                    return Ok(Progress::More);
                }
                Ok(Progress::Done)
            },
        }))
    });
    assert_eq!(ran.record().steady_samples("step"), [30.0, 0.25]);
}

#[test]
fn ranks_on_threads_of_their_own_time_their_parts() {
    const RANKS: u32 = 4;
    let ran = run(&Settings::default(), |clock| {
        let clock = clock.clone();
        Ok(Box::new(Body {
            pace: Pace::Study,
            verify: || Ok(right()),
            iterate: move |watch: &mut Watch<'_>| {
                let step = watch.step();
                std::thread::scope(|scope| {
                    for watch in watch.ranks(RANKS) {
                        let clock = &clock;
                        scope.spawn(move || {
                            watch.part("all-reduce", |_| {
                                clock.advance(Seconds(1.0));
                            });
                            // A device's own timer is as good.
                            let rank = f64::from(watch.rank().unwrap_or(0));
                            watch.record("compute", Seconds(1.0 + rank));
                        });
                    }
                });
                Ok(if step == 2 { Progress::Done } else { Progress::More })
            },
        }))
    });
    let record = ran.record();
    assert!(record.is_sound());
    assert_eq!(record.steady_samples("step").len(), 3);
    for rank in 0..RANKS {
        let of = |part: &str| -> Vec<f64> {
            record
                .samples
                .iter()
                .filter(|b| b.part == part && b.rank == Some(rank))
                .flat_map(|b| b.seconds.clone())
                .collect()
        };
        // Threads share the fake clock: a rank sees its own second at least.
        let reduced = of("all-reduce");
        assert_eq!(reduced.len(), 3);
        assert!(reduced.iter().all(|&s| (1.0..=4.0).contains(&s)));
        assert_eq!(of("compute"), [1.0 + f64::from(rank); 3]);
    }
}

#[test]
fn a_generate_then_train_loop_keeps_both_phases_and_their_tokens_apart() {
    let ran = run(&Settings::default(), |clock| {
        let clock = clock.clone();
        Ok(Box::new(Body {
            pace: Pace::Study,
            verify: || Ok(right()),
            iterate: move |watch: &mut Watch<'_>| {
                let round = watch.step();
                watch.part("rollout", |watch| {
                    watch.part("first-token", |_| {
                        clock.advance(Seconds(0.5));
                    });
                    // Each round generates more.
                    for _ in 0..=round {
                        watch.part("token", |_| clock.advance(Seconds(0.125)));
                    }
                });
                watch.part("update", |_| clock.advance(Seconds(2.0)));
                watch.quality("reward", "1", Better::Higher, round as f64);
                watch.quality("loss", "nat", Better::Lower, 1.0);
                Ok(if round == 1 { Progress::Done } else { Progress::More })
            },
        }))
    });
    let record = ran.record();
    assert_eq!(record.steady_samples("rollout"), [0.625, 0.75]);
    assert_eq!(record.steady_samples("first-token"), [0.5, 0.5]);
    assert_eq!(record.steady_samples("token"), [0.125; 3]);
    assert_eq!(record.steady_samples("update"), [2.0, 2.0]);
    assert_eq!(record.steady_samples("step"), [2.625, 2.75]);
    assert_eq!(record.metric("quality/reward"), Some(1.0));
    let last = ran.events.last();
    assert!(matches!(last, Some(Event::Finished { .. })), "{last:?}");
}
