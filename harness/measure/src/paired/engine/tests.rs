//! The engine over arms that are made of numbers and a clock that only they
//! move.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use assay_schema::{Better, Comparison, LockstepMetric, Verdict};
use assay_statistics::VerdictRule;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::FakeClock;
use crate::paired::{SuiteFacts, is_decided, rows, suite};

/// A machine with weather, and processes with luck.
struct World {
    rng: ChaCha8Rng,
    /// Slows everybody, and changes slowly.
    weather: f64,
}

impl World {
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.rng.random::<f64>()).sum::<f64>() - 6.0
    }
}

struct Fake {
    clock: FakeClock,
    world: Rc<RefCell<World>>,
    /// Seconds of an iteration of A, B, A'.
    body: [f64; 3],
    start: f64,
    allocations: [f64; 3],
    whole_process: bool,
    /// Fails in this sample of the candidate, counted over all rounds.
    fails_at: Option<u64>,
    samples: Rc<RefCell<u64>>,
    starts: Vec<(u64, [Side; 3])>,
    answers: [u64; 3],
}

struct FakeArm {
    clock: FakeClock,
    world: Rc<RefCell<World>>,
    side: Side,
    body: f64,
    allocations: f64,
    fails_at: Option<u64>,
    samples: Rc<RefCell<u64>>,
}

impl Fake {
    fn new(candidate: f64) -> Self {
        Self {
            clock: FakeClock::new(),
            world: Rc::new(RefCell::new(World {
                rng: ChaCha8Rng::seed_from_u64(5),
                weather: 1.0,
            })),
            body: [1e-5, 1e-5 * candidate, 1e-5],
            start: 3e-3,
            allocations: [4.0, 4.0, 4.0],
            whole_process: false,
            fails_at: None,
            samples: Rc::default(),
            starts: Vec::new(),
            answers: [7, 7, 7],
        }
    }

    fn seeded(candidate: f64, seed: u64) -> Self {
        let fake = Self::new(candidate);
        fake.world.borrow_mut().rng = ChaCha8Rng::seed_from_u64(seed);
        fake
    }
}

impl Starter for Fake {
    type Arm = FakeArm;

    fn start(
        &mut self,
        round: u64,
        order: [Side; 3],
    ) -> Result<[(FakeArm, Started); 3], PairedError> {
        self.starts.push((round, order));
        self.clock.advance(Seconds(self.start));
        Ok(Side::ALL.map(|side| {
            let luck = 1.0 + 0.002 * self.world.borrow_mut().normal();
            let arm = FakeArm {
                clock: self.clock.clone(),
                world: Rc::clone(&self.world),
                side,
                body: self.body[side.index()] * luck,
                allocations: self.allocations[side.index()],
                fails_at: self.fails_at,
                samples: Rc::clone(&self.samples),
            };
            let started = Started {
                seconds: Some(self.body[side.index()]),
                fingerprint: Some(self.answers[side.index()]),
            };
            (arm, started)
        }))
    }

    fn name(&self) -> &str {
        "fake"
    }

    fn is_whole_process(&self) -> bool {
        self.whole_process
    }
}

impl Arm for FakeArm {
    fn sample(&mut self, slot: Slot) -> Result<ArmSample, PairedError> {
        *self.samples.borrow_mut() += u64::from(self.side == Side::Candidate);
        if self.fails_at.is_some_and(|at| *self.samples.borrow() >= at)
            && self.side == Side::Candidate
        {
            return Err(PairedError::Died {
                side: self.side,
                what: "fake".to_owned(),
                how: "exit code 3".to_owned(),
                stderr: "out of luck".to_owned(),
            });
        }
        let mut world = self.world.borrow_mut();
        // Weather of up to 20 %, noise of 1 %: alone, no run would show 5 %.
        let step = 0.01 * world.normal();
        world.weather = (world.weather + step).clamp(1.0, 1.2);
        let pace = world.weather * (1.0 + 0.01 * world.normal());
        let iterations = slot.iterations as f64;
        let seconds = self.body * pace * iterations;
        let warm_up = self.body * slot.warm_up as f64;
        self.clock.advance(Seconds(seconds + warm_up + 50e-6));
        let allocations = LockstepMetric {
            value: self.allocations,
            unit: "1".to_owned(),
            better: Better::Lower,
        };
        let metrics = BTreeMap::from([("allocations".to_owned(), allocations)]);
        Ok(ArmSample { seconds, metrics, fingerprint: None })
    }
}

fn settings(budget: f64) -> PairedSettings {
    PairedSettings { budget: Seconds(budget), ..PairedSettings::default() }
}

fn run(fake: &mut Fake, settings: &PairedSettings) -> PairedRun {
    let clock = fake.clock.clone();
    compare(fake, &clock, settings, &mut |_| Ok(()), &mut |_| false).unwrap()
}

fn judged(run: &PairedRun) -> Comparison {
    let rule = VerdictRule::default();
    suite(rows(run, &rule), &rule, SuiteFacts::default())
}

fn verdict(run: &PairedRun, metric: &str) -> Verdict {
    let rows = judged(run).rows;
    rows.iter().find(|row| row.metric == metric).unwrap().verdict
}

#[test]
fn identical_arms_are_not_called() {
    let called = (0..40)
        .filter(|&seed| {
            let run = run(&mut Fake::seeded(1.0, seed), &settings(0.5));
            matches!(verdict(&run, "time"), Verdict::Faster | Verdict::Slower)
        })
        .count();
    assert_eq!(called, 0);
}

#[test]
fn five_per_cent_is_called_with_its_sign_on_a_machine_with_weather() {
    for (factor, expected) in
        [(1.05, Verdict::Slower), (1.0 / 1.05, Verdict::Faster)]
    {
        for seed in 0..10 {
            let run = run(&mut Fake::seeded(factor, seed), &settings(1.0));
            assert_eq!(verdict(&run, "time"), expected, "{factor} {seed}");
        }
    }
}

#[test]
fn a_call_says_by_how_much_and_what_moved() {
    let mut fake = Fake::new(1.05);
    fake.allocations[1] = 5.0;
    let comparison = judged(&run(&mut fake, &settings(2.0)));
    let [allocations, time] = &comparison.rows[..] else { panic!() };
    assert_eq!(allocations.metric, "allocations", "25 % is worse than 5 %");
    assert_eq!(allocations.verdict, Verdict::Slower);
    let more = allocations.change.unwrap();
    assert!((more.point - 0.25).abs() < 1e-9, "{more:?}");
    let change = time.change.unwrap();
    assert!(change.low <= 0.05 && 0.05 <= change.high, "{change:?}");
    assert!(time.change_any_time.unwrap().low < change.low);
    assert!(
        time.reasons.contains(&"allocations +25.0 % (4.00 to 5.00)".to_owned()),
        "{:?}",
        time.reasons
    );
    let caught = time.minimum_detectable_change.unwrap();
    assert!(0.01 < caught.power_80 && caught.power_80 < 0.05, "{caught:?}");
    assert_eq!(time.percentiles.len(), 3);
    assert_eq!((comparison.suite.slower, comparison.suite.same), (1, 0));
    assert_eq!(comparison.suite.null_arms, 2);
}

#[test]
fn the_budget_is_kept_and_cut_into_rounds() {
    for budget in [0.5, 1.0, 10.0] {
        let mut fake = Fake::new(1.0);
        let run = run(&mut fake, &settings(budget));
        assert_eq!(run.rounds.len(), 32, "{budget}");
        let elapsed = run.elapsed.0;
        assert!(
            elapsed < budget * 1.1 && elapsed > budget * 0.7,
            "{elapsed} of {budget}"
        );
        assert_eq!(fake.starts.len(), 32);
    }
}

#[test]
fn a_slow_start_leaves_five_rounds() {
    let mut fake = Fake::new(1.0);
    fake.start = 0.5;
    let run = run(&mut fake, &settings(10.0));
    assert_eq!(run.rounds.len(), 6, "35 % of 9.5 s at 0.5 s each");
    fake.start = 1.2;
    let run = self::run(&mut fake, &settings(10.0));
    assert_eq!(run.rounds.len(), 5);
    assert_eq!(run.notes, Vec::<String>::new());
}

#[test]
fn a_body_too_slow_for_five_rounds_is_told() {
    let mut fake = Fake::new(1.0);
    fake.body = [1.0; 3];
    let run = run(&mut fake, &settings(10.0));
    assert!(run.rounds.len() < 5, "{}", run.rounds.len());
    assert!(run.elapsed.0 < 14.0, "{:?}", run.elapsed);
    assert!(run.notes[0].contains("longer --budget"), "{:?}", run.notes);
}

#[test]
fn every_turn_is_kept_with_its_place_and_orders_are_balanced() {
    let mut fake = Fake::new(1.0);
    let clock = fake.clock.clone();
    let mut turns = Vec::new();
    let mut keep = |turn: &Turn| {
        turns.push(turn.clone());
        Ok(())
    };
    let run =
        compare(&mut fake, &clock, &settings(2.0), &mut keep, &mut |_| false)
            .unwrap();
    let measured: Vec<&Turn> =
        turns.iter().filter(|turn| !turn.settling).collect();
    assert_eq!(measured.len(), 3 * run.blocks().count());
    let mut places: BTreeMap<(u64, Side), f64> = BTreeMap::new();
    for turn in &turns {
        *places.entry((turn.place, turn.arm)).or_default() += 1.0;
    }
    let blocks = turns.len() as f64 / 3.0;
    for (place, count) in &places {
        let off = (count - blocks / 3.0).abs();
        // Six orders a bag, and the bag's rest; starts take orders as well.
        assert!(off <= 8.0, "{place:?}: {count} of {blocks}");
    }
    let settled: Vec<u64> =
        turns.iter().filter(|t| t.settling).map(|t| t.round).collect();
    assert_eq!(settled.len(), 3 * run.rounds.len(), "a block each round");
}

#[test]
fn a_seed_gives_the_same_orders_and_another_does_not() {
    let orders = |seed| {
        let mut fake = Fake::new(1.0);
        let settings = PairedSettings { seed, ..settings(1.0) };
        run(&mut fake, &settings);
        fake.starts
    };
    assert_eq!(orders(1), orders(1));
    assert_ne!(orders(1), orders(2));
}

#[test]
fn commands_take_one_turn_a_process() {
    let mut fake = Fake::new(1.05);
    fake.whole_process = true;
    fake.body = [0.02, 0.021, 0.02];
    let run = run(&mut fake, &settings(10.0));
    assert_eq!(run.schedule.slot, Slot { warm_up: 0, iterations: 1 });
    assert!(run.rounds.len() >= 15, "{}", run.rounds.len());
    assert_eq!(verdict(&run, "time"), Verdict::Slower);
}

#[test]
fn a_command_dearer_than_the_budget_still_gives_what_it_took() {
    let mut fake = Fake::new(1.0);
    fake.whole_process = true;
    fake.body = [30.0; 3];
    let run = run(&mut fake, &settings(10.0));
    assert_eq!(run.blocks().count(), 1);
    assert_eq!(verdict(&run, "time"), Verdict::Unclear);
    assert!(run.notes[0].contains("only 1 of at least 5"), "{:?}", run.notes);
}

#[test]
fn proving_stops_when_the_verdict_is_in_or_the_budget_ends() {
    let rule = VerdictRule {
        any_time: true,
        equivalence: 0.02,
        ..VerdictRule::default()
    };
    let prove_among = |factor: f64, budget: f64, rows: usize| {
        let mut fake = Fake::new(factor);
        let clock = fake.clock.clone();
        let settings = PairedSettings { prove: true, ..settings(budget) };
        compare(&mut fake, &clock, &settings, &mut |_| Ok(()), &mut |run| {
            is_decided(run, &rule, rows)
        })
        .unwrap()
    };
    let prove = |factor, budget| prove_among(factor, budget, 1);
    let same = prove(1.0, 10.0);
    assert_eq!(same.ended, Ended::Decided);
    let comparison = suite(rows(&same, &rule), &rule, SuiteFacts::default());
    let time = comparison.rows.iter().find(|r| r.metric == "time").unwrap();
    assert_eq!(time.verdict, Verdict::Same);
    let slower = prove(1.2, 10.0);
    assert_eq!(slower.ended, Ended::Decided);
    assert!(slower.elapsed.0 < 5.0, "{:?}", slower.elapsed);
    // A call must stand after the adjustment for the suite; `same` has none.
    let among = prove_among(1.2, 10.0, 1000);
    assert_eq!(among.ended, Ended::Decided);
    assert!(among.rounds.len() > slower.rounds.len(), "{}", among.rounds.len());
    assert_eq!(prove_among(1.0, 10.0, 1000).rounds.len(), same.rounds.len());
    assert_ne!(prove(1.0, 0.02).ended, Ended::Decided);
}

#[test]
fn an_arm_that_dies_ends_the_comparison_with_its_last_words() {
    let mut fake = Fake { fails_at: Some(20), ..Fake::new(1.0) };
    let clock = fake.clock.clone();
    let error = compare(
        &mut fake,
        &clock,
        &settings(1.0),
        &mut |_| Ok(()),
        &mut |_| false,
    )
    .unwrap_err();
    insta::assert_snapshot!(error, @r"
    the candidate ended in the middle of `fake` (exit code 3); the end of its standard error:
    out of luck
    ");
    assert!(!error.is_wrong_input());
}

#[test]
fn a_file_that_cannot_be_written_ends_it_too() {
    let mut fake = Fake::new(1.0);
    let clock = fake.clock.clone();
    let full = std::io::ErrorKind::StorageFull;
    let error = compare(
        &mut fake,
        &clock,
        &settings(1.0),
        &mut |_| Err(full.into()),
        &mut |_| false,
    )
    .unwrap_err();
    assert!(error.is_machine(), "{error}");
}

#[test]
fn a_changed_answer_is_told_and_a_wavering_one_cannot_be() {
    let mut fake = Fake { answers: [7, 8, 7], ..Fake::new(1.0) };
    let changed = run(&mut fake, &settings(0.5));
    assert_eq!(changed.answer_changed(), Some(true));
    let rows = judged(&changed).rows;
    let time = rows.iter().find(|row| row.metric == "time").unwrap();
    assert!(
        time.reasons.contains(&"the candidate's answer differs".to_owned())
    );
    fake.answers = [7, 7, 7];
    let same = run(&mut fake, &settings(0.5));
    assert_eq!(same.answer_changed(), Some(false));
    fake.answers = [7, 7, 9];
    let wavers = run(&mut fake, &settings(0.5));
    assert_eq!(wavers.answer_changed(), None);
    assert!(wavers.notes[0].contains("cannot be compared"));
}

#[test]
fn times_that_are_none_are_errors_or_rows_without_verdict() {
    for bad in [f64::NAN, f64::INFINITY, -1.0] {
        let mut fake = Fake::new(1.0);
        fake.whole_process = true;
        fake.body[1] = bad;
        // The clock is not moved by such a time.
        let clock = FakeClock::new();
        let error = compare(
            &mut fake,
            &clock,
            &settings(0.5),
            &mut |_| Ok(()),
            &mut |_| false,
        )
        .unwrap_err();
        assert!(error.to_string().contains("expected 0 or more"), "{error}");
    }
    let mut nothing = Fake::new(1.0);
    nothing.body = [0.0; 3];
    let run = run(&mut nothing, &settings(0.05));
    assert!(run.notes[0].contains("does nothing"), "{:?}", run.notes);
    let rows = judged(&run).rows;
    let time = rows.iter().find(|row| row.metric == "time").unwrap();
    assert_eq!(time.verdict, Verdict::Unclear);
    assert!(time.reasons[0].contains("no time"), "{:?}", time.reasons);
}

#[test]
fn metrics_with_zeros_nan_or_gaps_have_stated_outcomes() {
    let row = |values: [f64; 3]| {
        let mut fake = Fake { allocations: values, ..Fake::new(1.0) };
        let comparison = judged(&run(&mut fake, &settings(0.5)));
        comparison.rows.into_iter().find(|row| row.metric == "allocations")
    };
    let of = |values| {
        let row = row(values).unwrap();
        (row.verdict, row.change.map(|change| change.point))
    };
    assert_eq!(of([4.0, 4.0, 4.0]), (Verdict::Same, Some(0.0)));
    assert_eq!(of([0.0, 3.0, 0.0]), (Verdict::Slower, None));
    assert_eq!(of([3.0, 0.0, 3.0]), (Verdict::Faster, Some(-1.0)));
    assert_eq!(row([0.0, 0.0, 0.0]), None);
    assert_eq!(of([4.0, f64::NAN, 4.0]), (Verdict::Unclear, None));
    assert_eq!(of([4.0, f64::INFINITY, 4.0]), (Verdict::Unclear, None));
}
