//! Comparisons on a machine made of files: its counters move with the work of
//! arms that are made of numbers, in steps, and wrap.

use std::cell::RefCell;
use std::fs;
use std::rc::Rc;

use assay_schema::{Comparison, ComparisonRow, Verdict};
use assay_statistics::VerdictRule;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::FakeClock;
use crate::paired::{
    Arm, PairedError, PairedRun, PairedSettings, Side, Slot, Started, Starter,
    SuiteFacts, Turn, compare, rows, suite,
};

/// Where the package's counter wraps, microjoules: some turns of work.
const RANGE: f64 = 20e6;
const PACKAGE: &str = "sys/class/powercap/intel-rapl:0";

struct Machine {
    folder: tempfile::TempDir,
    seconds: f64,
    /// Joules.
    spent: f64,
    /// Ticks of 10 ms on two processors, and those stolen.
    ticks: [f64; 2],
    /// Seconds.
    held_back: f64,
    rng: ChaCha8Rng,
}

impl Machine {
    fn new() -> Rc<RefCell<Self>> {
        let machine = Self {
            folder: tempfile::tempdir().unwrap(),
            seconds: 0.0,
            spent: 3.0,
            ticks: [0.0; 2],
            held_back: 0.0,
            rng: ChaCha8Rng::seed_from_u64(3),
        };
        machine.set(&format!("{PACKAGE}/name"), "package-0\n");
        machine.set(&format!("{PACKAGE}/max_energy_range_uj"), "20000000\n");
        machine.set("proc/self/cgroup", "0::/box\n");
        let core = "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq";
        machine.set(core, "3000000\n");
        machine.show(0.0);
        Rc::new(RefCell::new(machine))
    }

    fn root(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    fn set(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Work of so many watts; the counter shows what it was a step ago.
    fn work(&mut self, seconds: f64, watts: f64, stolen: f64, held: f64) {
        let step = |seconds: f64| (seconds / STEP_S).floor();
        let before = step(self.seconds);
        self.seconds += seconds;
        self.spent += watts * seconds;
        self.ticks[0] += 2.0 * seconds / 0.01;
        self.ticks[1] += stolen * 2.0 * seconds / 0.01;
        self.held_back += held * seconds;
        // Files are slow to write, and tell nothing new within a step.
        if step(self.seconds) > before {
            self.show(watts * (self.seconds % STEP_S));
        }
    }

    fn show(&self, unseen: f64) {
        let shown = ((self.spent - unseen) * 1e6).max(0.0) % RANGE;
        let energy = format!("{PACKAGE}/energy_uj");
        // Gone where a test took it away.
        if !self.folder.path().join(&energy).is_dir() {
            self.set(&energy, &format!("{shown:.0}\n"));
        }
        let [all, steal] = self.ticks;
        let rest = (all - steal).floor();
        let steal = steal.floor();
        self.set("proc/stat", &format!("cpu  {rest} 0 0 0 0 0 0 {steal}\n"));
        let held = format!("throttled_usec {:.0}\n", self.held_back * 1e6);
        self.set("sys/fs/cgroup/box/cpu.stat", &held);
    }
}

struct Fake {
    clock: FakeClock,
    machine: Rc<RefCell<Machine>>,
    whole_process: bool,
    /// Seconds of an iteration of A, B, A'.
    body: [f64; 3],
    watts: [f64; 3],
    stolen: [f64; 3],
    held: [f64; 3],
}

impl Fake {
    fn new(body: f64, whole_process: bool) -> Self {
        Self {
            clock: FakeClock::new(),
            machine: Machine::new(),
            whole_process,
            body: [body; 3],
            watts: [50.0; 3],
            stolen: [0.0; 3],
            held: [0.0; 3],
        }
    }

    fn run(&mut self, budget: f64) -> (PairedRun, Vec<Turn>) {
        let clock = self.clock.clone();
        let settings = PairedSettings {
            budget: Seconds(budget),
            machine: Some(self.machine.borrow().root()),
            ..PairedSettings::default()
        };
        let mut turns = Vec::new();
        let mut keep = |turn: &Turn| {
            turns.push(turn.clone());
            Ok(())
        };
        let run = compare(self, &clock, &settings, &mut keep, &mut |_| false);
        (run.unwrap(), turns)
    }
}

struct FakeArm {
    clock: FakeClock,
    machine: Rc<RefCell<Machine>>,
    body: f64,
    watts: f64,
    stolen: f64,
    held: f64,
}

impl Starter for Fake {
    type Arm = FakeArm;

    fn start(
        &mut self,
        _round: u64,
        _order: [Side; 3],
    ) -> Result<[(FakeArm, Started); 3], PairedError> {
        self.clock.advance(Seconds(3e-3));
        Ok(Side::ALL.map(|side| {
            let side = side.index();
            let arm = FakeArm {
                clock: self.clock.clone(),
                machine: Rc::clone(&self.machine),
                body: self.body[side],
                watts: self.watts[side],
                stolen: self.stolen[side],
                held: self.held[side],
            };
            (arm, Started::default())
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
        let mut machine = self.machine.borrow_mut();
        let noise = 1.0 + 0.01 * (machine.rng.random::<f64>() - 0.5);
        let seconds = self.body * noise * slot.iterations as f64;
        machine.work(seconds, self.watts, self.stolen, self.held);
        self.clock.advance(Seconds(seconds));
        Ok(ArmSample { seconds, ..ArmSample::default() })
    }
}

fn judged(run: &PairedRun) -> Comparison {
    let rule = VerdictRule::default();
    suite(rows(run, &rule), &rule, SuiteFacts::default())
}

fn row(run: &PairedRun, metric: &str) -> ComparisonRow {
    let rows = judged(run).rows;
    rows.into_iter().find(|row| row.metric == metric).unwrap()
}

#[test]
fn energy_of_commands_is_judged_across_wraps() {
    let mut fake = Fake::new(0.1, true);
    fake.watts[1] = 55.0;
    let (run, turns) = fake.run(20.0);
    // Five joules a turn: the counter wraps every fourth.
    assert!(fake.machine.borrow().spent > 30.0 * RANGE * 1e-6);
    let energy = row(&run, "energy");
    assert_eq!(energy.verdict, Verdict::Slower, "{energy:?}");
    let change = energy.change.unwrap();
    assert!((change.point - 0.1).abs() < 0.01, "{change:?}");
    assert!((energy.baseline.unwrap() - 5.0).abs() < 0.1);
    assert_eq!(energy.unit, "J");
    let whose = &energy.reasons;
    assert!(whose.iter().any(|r| r.contains("whole processor package")));
    assert!(!whose.iter().any(|r| r.contains("set-up")), "{whose:?}");
    assert_eq!(row(&run, "time").verdict, Verdict::Same);
    assert!(turns.iter().all(|turn| {
        !turn.long && turn.sample.metrics.contains_key("energy")
    }));
}

#[test]
fn short_commands_are_judged_by_rounds_and_too_few_not_at_all() {
    let mut fake = Fake::new(5e-3, true);
    fake.watts[1] = 55.0;
    let (run, _) = fake.run(10.0);
    let energy = row(&run, "energy");
    assert_eq!(energy.verdict, Verdict::Slower, "{energy:?}");
    assert!((20..=34).contains(&energy.samples), "{energy:?}");
    // Of a round together: a turn alone sees 4 to 6 steps of 50 mJ.
    assert!((energy.baseline.unwrap() - 0.25).abs() < 0.01, "{energy:?}");
    let (run, _) = fake.run(0.5);
    let energy = row(&run, "energy");
    assert_eq!((energy.verdict, energy.change), (Verdict::Unclear, None));
    assert!(energy.baseline.is_some(), "shown: {energy:?}");
    insta::assert_snapshot!(energy.reasons[0], @"the turns of an arm in a round take 5 ms together, and the counter moves every 1 ms: 50 steps, 50 ms, are needed to judge by it; shown, not judged");
}

#[test]
fn turns_shorter_than_a_step_of_the_counter_show_no_number() {
    let (run, _) = Fake::new(5e-4, true).run(0.5);
    let energy = row(&run, "energy");
    assert_eq!((energy.baseline, energy.candidate), (None, None));
    assert!(energy.raw_samples > 0 && !energy.unread, "{energy:?}");
    assert!(energy.reasons[0].ends_with("; not shown"), "{energy:?}");
}

#[test]
fn a_body_as_long_as_a_long_turn_is_read_round_each_turn() {
    let mut fake = Fake::new(1.0, false);
    fake.watts = [5.0, 5.5, 5.0];
    fake.stolen[1] = 0.08;
    let (run, turns) = fake.run(40.0);
    assert_eq!(run.long_turns, None);
    assert!(turns.iter().all(|turn| !turn.long));
    let energy = row(&run, "energy");
    assert_eq!(energy.verdict, Verdict::Slower, "{energy:?}");
    assert_eq!(energy.raw_samples, row(&run, "time").raw_samples);
    assert!((energy.baseline.unwrap() - 5.0).abs() < 0.1, "{energy:?}");
    // Steal is each turn's own then, and met not all arms alike.
    assert!(run.blocks().all(|[_, b, _]| b.metrics["steal"].value > 0.05));
    assert_eq!(run.around.unwrap().steal, None);
}

#[test]
fn what_long_turns_lost_is_no_reason_for_the_time_of_others() {
    let mut fake = Fake::new(1e-5, false);
    fake.body[1] = 1.1e-5;
    fake.stolen[1] = 0.08;
    fake.held[1] = 0.2;
    let (run, _) = fake.run(10.0);
    let long = run.long_turns.as_ref().unwrap();
    let steal = |block: &[ArmSample; 3]| block[1].metrics["steal"].value;
    assert!(long.rounds.iter().flatten().any(|block| steal(block) > 0.05));
    let time = row(&run, "time");
    assert_eq!(time.verdict, Verdict::Slower, "{time:?}");
    let blamed = |reason: &String| {
        reason.starts_with("steal") || reason.starts_with("held back")
    };
    assert!(!time.reasons.iter().any(blamed), "{:?}", time.reasons);
}

#[test]
fn a_parent_group_whose_total_stands_still_hides_nothing() {
    let mut fake = Fake::new(1e-5, false);
    fake.held = [0.1; 3];
    let parent = "sys/fs/cgroup/cpu.stat";
    fake.machine.borrow().set(parent, "throttled_usec 9000000000\n");
    let (run, _) = fake.run(2.0);
    let throttled = run.around.unwrap().throttled.unwrap();
    assert!((throttled - 0.1).abs() < 0.02, "{throttled}");
}

#[test]
fn a_counters_reading_stands_before_an_arms_metric_of_its_name() {
    let fake = Fake::new(0.1, true);
    let around = Surroundings::below(&fake.machine.borrow().root());
    let before = around.now();
    fake.machine.borrow_mut().work(0.1, 50.0, 0.0, 0.0);
    let seven = metric_of("1", Better::Lower, 7.0);
    let own = |name: &str| (name.to_owned(), seven.clone());
    let metrics = [own("energy"), own("steal")].into_iter().collect();
    let seconds = 0.1;
    let mut sample = ArmSample { seconds, metrics, ..ArmSample::default() };
    around.add(&mut sample, &before, 1);
    let energy = &sample.metrics["energy"];
    assert!((energy.value - 5.0).abs() < 0.06, "{energy:?}");
    assert_eq!(energy.unit, "J");
    assert!((sample.metrics["steal"].value - 7.0).abs() < 1e-12);
}

#[test]
fn energy_of_benchmarks_comes_from_long_turns_that_are_no_samples_of_time() {
    let mut fake = Fake::new(1e-5, false);
    fake.watts[1] = 40.0;
    let (run, turns) = fake.run(10.0);
    let energy = row(&run, "energy");
    assert_eq!(energy.verdict, Verdict::Faster, "{energy:?}");
    let change = energy.change.unwrap();
    assert!((change.point + 0.2).abs() < 0.02, "{change:?}");
    // Of one iteration: 50 W for 10 us.
    assert!((energy.baseline.unwrap() - 5e-4).abs() < 2e-5, "{energy:?}");
    let set_up = |reason: &String| reason.contains("set-up of each input");
    assert!(energy.reasons.iter().any(set_up), "{energy:?}");
    let long: Vec<&Turn> = turns.iter().filter(|turn| turn.long).collect();
    assert_eq!(long.len() as u64, energy.raw_samples);
    assert!(long.iter().all(|turn| turn.sample.seconds > 0.05));
    let time = row(&run, "time");
    let measured = turns.iter().filter(|turn| !turn.long && !turn.settling);
    assert_eq!(time.raw_samples as usize, measured.count());
    assert_eq!(run.rounds.len(), 32);
    assert!(run.elapsed.0 < 10.6, "{:?}", run.elapsed);
}

#[test]
fn a_budget_without_room_for_long_turns_says_what_it_takes() {
    let (run, _) = Fake::new(1e-5, false).run(0.5);
    let energy = row(&run, "energy");
    assert!(energy.unread, "{energy:?}");
    assert!(energy.reasons[0].contains("--budget 4s"), "{energy:?}");
}

#[test]
fn a_machine_without_a_counter_says_so_in_the_last_row() {
    let mut fake = Fake::new(0.1, true);
    let root = fake.machine.borrow().root();
    fs::remove_dir_all(root.join("sys/class/powercap")).unwrap();
    let counter = root.join(PACKAGE).join("energy_uj");
    fs::create_dir_all(&counter).unwrap(); // Nobody reads a folder.
    let (run, _) = fake.run(5.0);
    let last = judged(&run).rows.pop().unwrap();
    assert_eq!((last.metric.as_str(), last.unread), ("energy", true));
    assert_eq!(last.verdict, Verdict::Unclear);
    assert!(last.reasons[0].starts_with("not read: "), "{last:?}");
    assert!(last.reasons[0].contains("energy_uj"), "{last:?}");
    assert_eq!(row(&run, "time").verdict, Verdict::Same);
}

#[test]
fn steal_and_a_quota_of_one_side_are_reasons_of_commands() {
    let mut fake = Fake::new(0.1, true);
    fake.body[1] = 0.11;
    fake.stolen[1] = 0.08;
    fake.held[1] = 0.2;
    let (run, _) = fake.run(20.0);
    let time = row(&run, "time");
    assert_eq!(time.verdict, Verdict::Slower);
    let said = |start: &str, part: &str| {
        let mut reasons = time.reasons.iter();
        reasons.any(|r| r.starts_with(start) && r.contains(part))
    };
    assert!(said("steal +", "hypervisor"), "{:?}", time.reasons);
    let quota = said("held back by the quota", "the quota, not code");
    assert!(quota, "{:?}", time.reasons);
}

#[test]
fn what_met_all_arms_of_a_lockstep_alike_is_a_note() {
    let mut fake = Fake::new(1e-5, false);
    fake.stolen = [0.08; 3];
    fake.held = [0.1; 3];
    let (run, _) = fake.run(2.0);
    let around = run.around.as_ref().unwrap();
    assert!((around.steal.unwrap() - 0.08).abs() < 0.01, "{around:?}");
    assert!((around.throttled.unwrap() - 0.1).abs() < 0.02, "{around:?}");
    assert_eq!(around.clock_hz, Some([3e9, 3e9]));
    let notes = run.notes.join("\n");
    assert!(notes.contains("the hypervisor took"), "{notes}");
    assert!(notes.contains("held it back for 0."), "{notes}");
    assert!(notes.contains("processor-seconds a second"), "{notes}");
    assert!(!notes.contains("GHz"), "a steady clock is no news: {notes}");
}

#[test]
fn a_clock_that_wandered_is_told() {
    let around = Around { clock_hz: Some([2.1e9, 3.4e9]), ..Around::default() };
    insta::assert_snapshot!(around.notes("sort")[0], @"sort: the clock read 2.10 to 3.40 GHz after the rounds; arms take turns, so it met them alike");
}
