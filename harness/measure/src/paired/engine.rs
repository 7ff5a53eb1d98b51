//! Taking turns: calibration, rounds, blocks, the budget.

use std::collections::BTreeSet;

use assay_schema::Seconds;
use assay_statistics::Block;

use super::arm::check_time;
use super::long_turns::{LongPlan, LongTurns, Pace, long_plan};
use super::schedule::{Costs, Orders, Schedule, schedule, slot};
use super::surroundings::{Around, Moment, Shared, Surroundings};
use super::{
    Arm, ArmSample, PairedError, PairedSettings, Side, Slot, Started, Starter,
    Turn,
};
use crate::Clock;

/// Past this many iterations in a slot the body does nothing.
const MOST_ITERATIONS: u64 = 1_000_000_000;

/// Why a comparison stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All rounds that were planned.
    Planned,
    /// The budget is spent.
    BudgetSpent,
    /// The verdict is in.
    Decided,
}

/// What a comparison of one benchmark or pair of commands gave.
#[derive(Clone, Debug, PartialEq)]
pub struct PairedRun {
    /// The benchmark or pair of commands.
    pub name: String,
    /// The cut.
    pub schedule: Schedule,
    /// Rounds of blocks of A, B, A'; seconds are of one iteration.
    pub rounds: Vec<Vec<[ArmSample; 3]>>,
    /// The different answers that each arm gave; empty where it gives none.
    pub answers: [BTreeSet<u64>; 3],
    /// What it took.
    pub elapsed: Seconds,
    /// Why it stopped.
    pub ended: Ended,
    /// How the arms were placed on processors.
    pub placement: Option<String>,
    /// What was seen of the machine, where it was looked at.
    pub around: Option<Around>,
    /// Turns for what moves too slowly for a slot, where there were any.
    pub long_turns: Option<LongTurns>,
    /// What a reader must know.
    pub notes: Vec<String>,
}

impl PairedRun {
    /// One arm's seconds an iteration, in order.
    pub fn seconds(&self, side: Side) -> Vec<f64> {
        self.blocks().map(|block| block[side.index()].seconds).collect()
    }

    /// Rounds of blocks of one quantity of a turn: seconds, or a metric.
    pub fn blocks_of(
        &self,
        of: impl Fn(&ArmSample) -> f64 + Copy,
    ) -> Vec<Vec<Block>> {
        let block = |[a, b, again]: &[ArmSample; 3]| Block {
            baseline: of(a),
            candidate: of(b),
            repeat: of(again),
        };
        self.rounds
            .iter()
            .map(|round| round.iter().map(block).collect())
            .collect()
    }

    /// All blocks, in order.
    pub fn blocks(&self) -> impl Iterator<Item = &[ArmSample; 3]> {
        self.rounds.iter().flatten()
    }

    /// Whether the candidate answers otherwise than the baseline; `None`
    /// where there is no answer, or where the baseline's own differs.
    pub fn answer_changed(&self) -> Option<bool> {
        let [a, b, again] = &self.answers;
        let baseline: BTreeSet<u64> = a.union(again).copied().collect();
        if baseline.len() != 1 || b.is_empty() {
            return None;
        }
        Some(*b != baseline)
    }

    /// Whether the baseline answers differently from turn to turn.
    pub fn answer_wavers(&self) -> bool {
        let [a, _, again] = &self.answers;
        a.union(again).count() > 1
    }
}

/// Compares: takes turns until the budget, the plan, or `decided` ends it.
///
/// `keep` gets every turn as it was taken. `decided` is asked after each
/// round where the settings say to prove.
///
/// # Errors
/// An arm failed, or `keep` did. What was kept until then stays.
pub fn compare<S: Starter, C: Clock>(
    starter: &mut S,
    clock: &C,
    settings: &PairedSettings,
    keep: &mut dyn FnMut(&Turn) -> std::io::Result<()>,
    decided: &mut dyn FnMut(&PairedRun) -> bool,
) -> Result<PairedRun, PairedError> {
    let name = starter.name().to_owned();
    let mut turns = Turns {
        clock,
        began: clock.now(),
        name: &name,
        orders: Orders::new(settings.seed),
        keep,
        answers: Default::default(),
        in_blocks: Mean::default(),
        in_starts: Mean::default(),
        around: settings.machine.as_deref().map(Surroundings::below),
        looks_at_turns: starter.is_whole_process(),
    };
    let mut arms = turns.start(starter, 0)?;
    let iteration = if starter.is_whole_process() {
        Seconds(0.0)
    } else {
        turns.calibrate(&mut arms, settings)?
    };
    let turn = match starter.is_whole_process() {
        true => Slot { warm_up: 0, iterations: 1 },
        false => slot(settings, iteration),
    };
    starter.place(0, &mut arms)?;
    // A turn of a slow body is as good as a long one.
    turns.looks_at_turns |= turns
        .stretch()
        .is_some_and(|least| iteration * turn.iterations as f64 >= least);
    // What one block costs. It settles the first round as well, unless it is
    // too dear to be taken twice.
    let whole_process = starter.is_whole_process();
    let taken = turns.take(&mut arms, turn)?;
    let dear = turn.warm_up == 0 && turns.elapsed() * 4.0 > settings.budget;
    let kind = if dear { Kind::Measured } else { Kind::Settling };
    let first = turns.file(taken, turn, 0, 0, kind)?;
    let left = Seconds((settings.budget - turns.elapsed()).0.max(0.0));
    let mut around = turns.around.as_ref().map(Surroundings::around);
    let pace = Pace::of_block(iteration, turns.in_blocks.mean(), turn);
    let long =
        turns.stretch().map(|stretch| long_plan(settings, stretch, pace, left));
    let (mut long, no_long_turns) = match long {
        None => (None, None),
        Some(Ok(long)) => (Some(long), None),
        Some(Err(why)) => (None, Some(why)),
    };
    if let Some(around) = &mut around {
        around.no_long_turns = no_long_turns;
        around.with_set_up = !whole_process;
    }
    let reserved = long.as_ref().map_or(Seconds::ZERO, LongPlan::cost);
    let plan = schedule(
        settings,
        &Costs {
            start: turns.in_starts.mean(),
            iteration,
            block: turns.in_blocks.mean(),
            left: left - reserved,
            whole_process,
        },
    );
    let every = long.as_mut().map(|long| long.spread(plan.rounds));
    let mut run = PairedRun {
        name: name.clone(),
        schedule: plan,
        rounds: Vec::new(),
        answers: Default::default(),
        elapsed: Seconds::ZERO,
        ended: Ended::Planned,
        placement: None,
        around,
        long_turns: long.as_ref().map(LongPlan::begun),
        notes: Vec::new(),
    };
    let mut shared = Shared::default();
    let mut first = dear.then_some(first);
    for round in 0..plan.rounds {
        if round > 0 {
            let next = turns.in_starts.mean() + turns.in_blocks.mean();
            if turns.elapsed() + next > settings.budget * 1.02 {
                run.ended = Ended::BudgetSpent;
                break;
            }
            arms = turns.restart(starter, round, arms)?;
            starter.place(round, &mut arms)?;
        }
        let mut blocks = Vec::new();
        let mut number = u64::from(round == 0);
        let settled = if round == 0 { 1 } else { 0 };
        for _ in settled..plan.settling {
            let taken = turns.take(&mut arms, plan.slot)?;
            turns.file(taken, plan.slot, round, number, Kind::Settling)?;
            number += 1;
        }
        let reserved = long.as_ref().zip(run.long_turns.as_ref());
        let reserved =
            reserved.map_or(Seconds::ZERO, |(long, taken)| long.left(taken));
        let wanted = turns.blocks_left(settings, &plan, round, reserved);
        let before = turns.seen();
        let began = turns.clock.now();
        for done in 0..wanted {
            let late = turns.elapsed() > settings.budget * 1.05;
            if late && (done > 0 || round > 0) {
                break;
            }
            if let Some(block) = first.take() {
                blocks.push(block);
                continue;
            }
            let taken = turns.take(&mut arms, plan.slot)?;
            let kind = Kind::Measured;
            blocks.push(turns.file(taken, plan.slot, round, number, kind)?);
            number += 1;
        }
        if let (Some(around), Some(before)) = (&turns.around, before) {
            let now = around.now();
            let seconds = turns.since(began);
            let clock_hz = around.clock_hz();
            shared.add(&around.between(&before, &now), seconds, clock_hz);
        }
        if let (Some(long), Some(every), Some(taken)) =
            (&mut long, every, &mut run.long_turns)
            && round % every == 0
            && long.fits(turns.elapsed(), settings.budget * 1.02)
        {
            let slot = long.slot();
            let began = turns.clock.now();
            let turn = turns.take_seen(&mut arms, slot, true)?;
            long.took(turns.since(began));
            taken.rounds.push(vec![turns.file(
                turn,
                slot,
                round,
                number,
                Kind::Long,
            )?]);
        }
        if !blocks.is_empty() {
            run.rounds.push(blocks);
        }
        run.elapsed = turns.elapsed();
        run.answers = turns.answers.clone();
        if settings.prove && decided(&run) {
            run.ended = Ended::Decided;
            break;
        }
    }
    run.placement = starter.placement();
    run.notes = notes(&run, settings, iteration);
    let looked = turns.looks_at_turns;
    if let Some(around) = run.around.as_mut().filter(|_| !looked) {
        shared.fill(around);
        run.notes.extend(around.notes(&run.name));
    }
    Ok(run)
}

/// What the cut itself tells.
fn notes(
    run: &PairedRun,
    settings: &PairedSettings,
    iteration: Seconds,
) -> Vec<String> {
    let mut notes = Vec::new();
    let rounds = run.rounds.len() as u64;
    if rounds < settings.least_rounds && run.ended != Ended::Decided {
        notes.push(format!(
            "{}: only {rounds} of at least {} triples of processes fit into \
             {} s; give it a longer --budget",
            run.name, settings.least_rounds, settings.budget.0
        ));
    }
    let most = iteration.0 * MOST_ITERATIONS as f64;
    let whole_process = iteration.0 == 0.0 && run.schedule.slot.iterations == 1;
    if most < settings.slot.0 / 2.0 && !whole_process {
        notes.push(format!(
            "{}: {MOST_ITERATIONS} iterations take {most:.1e} s: the body \
             does nothing, or the compiler removed it",
            run.name
        ));
    }
    if run.answer_wavers() {
        notes.push(format!(
            "{}: the baseline's own answer changes from turn to turn, so \
             answers cannot be compared",
            run.name
        ));
    }
    notes
}

/// A running mean.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    sum: f64,
    n: u64,
}

impl Mean {
    fn add(&mut self, value: Seconds) {
        self.sum += value.0;
        self.n += 1;
    }

    fn mean(&self) -> Seconds {
        Seconds(if self.n == 0 { 0.0 } else { self.sum / self.n as f64 })
    }
}

/// The turns taken so far.
struct Turns<'a, C> {
    clock: &'a C,
    began: u64,
    name: &'a str,
    orders: Orders,
    keep: &'a mut dyn FnMut(&Turn) -> std::io::Result<()>,
    answers: [BTreeSet<u64>; 3],
    in_blocks: Mean,
    in_starts: Mean,
    /// The machine, where it is looked at.
    around: Option<Surroundings>,
    /// Turns are so long, or processes, that it is looked at round each.
    looks_at_turns: bool,
}

/// What a block is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Settling,
    Measured,
    Long,
}

impl<C: Clock> Turns<'_, C> {
    /// The length of a long turn; `None` where none is needed.
    fn stretch(&self) -> Option<Seconds> {
        let around = self.around.as_ref();
        around.filter(|_| !self.looks_at_turns)?.stretch()
    }

    /// The machine now, where turns are too short to look round each.
    fn seen(&self) -> Option<Moment> {
        let around = self.around.as_ref();
        around.filter(|_| !self.looks_at_turns).map(Surroundings::now)
    }

    fn elapsed(&self) -> Seconds {
        self.since(self.began)
    }

    fn since(&self, then: u64) -> Seconds {
        self.clock.seconds(self.clock.now().saturating_sub(then))
    }

    fn order(&mut self) -> [Side; 3] {
        self.orders.next().unwrap_or(Side::ALL)
    }

    fn start<S: Starter>(
        &mut self,
        starter: &mut S,
        round: u64,
    ) -> Result<[S::Arm; 3], PairedError> {
        self.start_since(self.clock.now(), starter, round)
    }

    /// The next round in the place of the last one, whose end counts to the
    /// start of this.
    fn restart<S: Starter>(
        &mut self,
        starter: &mut S,
        round: u64,
        last: [S::Arm; 3],
    ) -> Result<[S::Arm; 3], PairedError> {
        let began = self.clock.now();
        starter.stop(last);
        self.start_since(began, starter, round)
    }

    fn start_since<S: Starter>(
        &mut self,
        began: u64,
        starter: &mut S,
        round: u64,
    ) -> Result<[S::Arm; 3], PairedError> {
        let order = self.order();
        let started = starter.start(round, order)?;
        self.in_starts.add(self.since(began));
        let mut answers = started.iter().map(|(_, s): &(_, Started)| s);
        for known in &mut self.answers {
            known.extend(answers.next().and_then(|s| s.fingerprint));
        }
        Ok(started.map(|(arm, _)| arm))
    }

    /// Seconds of an iteration, the mean of A and B, once a turn is about as
    /// long as a slot.
    fn calibrate<A: Arm>(
        &mut self,
        arms: &mut [A; 3],
        settings: &PairedSettings,
    ) -> Result<Seconds, PairedError> {
        let mut iterations = 1_u64;
        loop {
            let turn = Slot { warm_up: 0, iterations };
            let [a, b, _] = arms;
            let a = a.sample(turn)?.seconds;
            let b = b.sample(turn)?.seconds;
            check_time(Side::Baseline, self.name, a)?;
            check_time(Side::Candidate, self.name, b)?;
            let both = f64::midpoint(a, b);
            if both >= settings.slot.0 / 2.0 || iterations >= MOST_ITERATIONS {
                return Ok(Seconds(both / iterations as f64));
            }
            let growth = (settings.slot.0 / both.max(1e-12)).clamp(2.0, 64.0);
            iterations = ((iterations as f64 * growth) as u64)
                .clamp(iterations + 1, MOST_ITERATIONS);
        }
    }

    /// One turn of each arm.
    fn take<A: Arm>(
        &mut self,
        arms: &mut [A; 3],
        slot: Slot,
    ) -> Result<Vec<(Side, ArmSample)>, PairedError> {
        let began = self.clock.now();
        let taken = self.take_seen(arms, slot, self.looks_at_turns)?;
        self.in_blocks.add(self.since(began));
        Ok(taken)
    }

    /// One turn of each arm, the machine looked at before and after each
    /// where asked for.
    fn take_seen<A: Arm>(
        &mut self,
        arms: &mut [A; 3],
        slot: Slot,
        look: bool,
    ) -> Result<Vec<(Side, ArmSample)>, PairedError> {
        let mut taken = Vec::with_capacity(3);
        for side in self.order() {
            let around = self.around.as_ref().filter(|_| look);
            let before = around.map(Surroundings::now);
            let mut sample = arms[side.index()].sample(slot)?;
            check_time(side, self.name, sample.seconds)?;
            if let Some((around, before)) = around.zip(before) {
                let iterations = slot.warm_up.saturating_add(slot.iterations);
                around.add(&mut sample, &before, iterations);
            }
            taken.push((side, sample));
        }
        Ok(taken)
    }

    /// Keeps a block's turns; apart from taking them, so that no turn pays
    /// for the file. Comes back as A, B, A', seconds of one iteration.
    fn file(
        &mut self,
        taken: Vec<(Side, ArmSample)>,
        slot: Slot,
        round: u64,
        block: u64,
        kind: Kind,
    ) -> Result<[ArmSample; 3], PairedError> {
        let mut samples: [ArmSample; 3] = Default::default();
        for (place, (arm, sample)) in taken.into_iter().enumerate() {
            let turn = Turn {
                case: self.name.to_owned(),
                round,
                block,
                settling: kind == Kind::Settling,
                long: kind == Kind::Long,
                place: place as u64,
                arm,
                warm_up: slot.warm_up,
                iterations: slot.iterations,
                sample,
            };
            (self.keep)(&turn).map_err(PairedError::system(
                "write the raw samples of a comparison",
            ))?;
            let mut sample = turn.sample;
            self.answers[arm.index()].extend(sample.fingerprint);
            sample.seconds /= slot.iterations as f64;
            samples[arm.index()] = sample;
        }
        Ok(samples)
    }

    /// Blocks for a round, so that the rounds left share the time left that is
    /// not reserved.
    fn blocks_left(
        &self,
        settings: &PairedSettings,
        plan: &Schedule,
        round: u64,
        reserved: Seconds,
    ) -> u64 {
        let rounds = (plan.rounds - round) as f64;
        let starts = self.in_starts.mean().0 * (rounds - 1.0);
        let left = settings.budget.0 - self.elapsed().0 - starts - reserved.0;
        let block = self.in_blocks.mean().0.max(1e-9);
        // The rounds after this one settle first.
        let settling = plan.settling as f64 * (rounds - 1.0);
        let fitting = (left / block - settling) / rounds;
        (fitting.max(1.0) as u64).clamp(1, plan.blocks.saturating_mul(4))
    }
}

#[cfg(test)]
mod tests;
