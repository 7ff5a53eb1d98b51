//! Long turns: what moves in steps of a millisecond or more (energy) is read
//! round a turn that holds enough of them, one of each arm in a round, or in
//! every second or third round where the budget is short.
//!
//! They are no samples of time: a slot is short so that disturbances miss it.

use assay_schema::Seconds;

use super::{ArmSample, PairedSettings, Slot};

/// The share of the budget that long turns may take.
const SHARE: f64 = 0.3;

/// The most iterations of a turn.
const MOST_ITERATIONS: f64 = 1e12;

/// Long turns as they were taken.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LongTurns {
    /// One block of A, B, A' in each round that had one; seconds and amounts
    /// are of one iteration.
    pub rounds: Vec<Vec<[ArmSample; 3]>>,
    /// Iterations of a turn.
    pub iterations: u64,
}

/// Long turns as they are planned.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LongPlan {
    /// Iterations of a turn.
    iterations: u64,
    /// Three turns, set-up included.
    block: Seconds,
    /// Rounds that have them.
    count: u64,
}

/// What one iteration takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pace {
    /// Its body, as the clock has it.
    pub(crate) body: Seconds,
    /// All of it, what the clock leaves out (set-up) included.
    pub(crate) wall: Seconds,
}

impl Pace {
    /// By a body's time and what a block of three turns took. What a turn
    /// takes besides (asking for it, reading counters) counts as set-up: too
    /// much for a body without any, never too little.
    pub(crate) fn of_block(body: Seconds, block: Seconds, slot: Slot) -> Self {
        let iterations = slot.warm_up.saturating_add(slot.iterations).max(1);
        let wall = block / (3.0 * iterations as f64);
        Self { body, wall: wall.max(body) }
    }
}

/// Plans turns whose bodies take `stretch`; else says what they would need.
pub(crate) fn long_plan(
    settings: &PairedSettings,
    stretch: Seconds,
    pace: Pace,
    left: Seconds,
) -> Result<LongPlan, String> {
    let iterations = (stretch.0 / pace.body.0.max(1e-15)).ceil().max(1.0);
    if iterations > MOST_ITERATIONS {
        return Err("the body takes no time that could be measured".to_owned());
    }
    let block = Seconds(3.0 * iterations * pace.wall.0);
    let affordable = (SHARE * left.0 / block.0).floor();
    let least = settings.least_rounds.max(2) as f64;
    if affordable < least {
        return Err(format!(
            "{least} turns of {:.2} s of each arm, set-up included, do not \
             fit into {SHARE} of the budget: give it --budget {:.0}s or more",
            block.0 / 3.0,
            (least * block.0 / SHARE * 1.1).ceil()
        ));
    }
    let count = affordable.min(settings.most_rounds as f64) as u64;
    Ok(LongPlan { iterations: iterations as u64, block, count })
}

impl LongPlan {
    pub(crate) fn slot(&self) -> Slot {
        Slot { warm_up: 0, iterations: self.iterations }
    }

    /// What all of them take.
    pub(crate) fn cost(&self) -> Seconds {
        self.block * self.count as f64
    }

    /// What those still to be taken will take.
    pub(crate) fn left(&self, taken: &LongTurns) -> Seconds {
        let left = self.count.saturating_sub(taken.rounds.len() as u64);
        self.block * left as f64
    }

    /// Spreads them over so many rounds: they stand in every so many, and are
    /// no more than that needs.
    pub(crate) fn spread(&mut self, rounds: u64) -> u64 {
        let every = rounds.div_ceil(self.count.max(1)).max(1);
        self.count = rounds.div_ceil(every);
        every
    }

    /// Whether one more ends by then.
    pub(crate) fn fits(&self, elapsed: Seconds, end: Seconds) -> bool {
        elapsed + self.block <= end
    }

    /// One was taken, and took this: the next will.
    pub(crate) fn took(&mut self, block: Seconds) {
        self.block = block;
    }

    /// None taken yet.
    pub(crate) fn begun(&self) -> LongTurns {
        LongTurns { rounds: Vec::new(), iterations: self.iterations }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(budget: f64, iteration: f64) -> Result<LongPlan, String> {
        with_set_up(budget, iteration, 0.0)
    }

    fn with_set_up(
        budget: f64,
        body: f64,
        set_up: f64,
    ) -> Result<LongPlan, String> {
        let settings = PairedSettings::default();
        let (stretch, left) = (Seconds(0.06), Seconds(budget));
        let pace = Pace { body: Seconds(body), wall: Seconds(body + set_up) };
        long_plan(&settings, stretch, pace, left)
    }

    #[test]
    fn long_turns_take_a_third_of_the_budget_at_most() {
        for budget in [5.1, 10.0, 60.0] {
            for iteration in [1e-6, 1e-3, 0.05] {
                let plan = plan(budget, iteration).unwrap();
                assert!(plan.cost().0 <= 0.3 * budget, "{budget} {plan:?}");
                assert!(plan.slot().iterations as f64 * iteration >= 0.06);
            }
        }
        let mut ten = plan(10.0, 1e-6).unwrap();
        assert_eq!((ten.count, ten.spread(32)), (16, 2));
        assert_eq!(plan(60.0, 1e-6).unwrap().spread(32), 1);
    }

    #[test]
    fn what_the_rounds_do_not_need_is_given_back() {
        // 21 would fit, but in every second of 32 rounds stand 16.
        let mut plan = plan(12.9, 1e-6).unwrap();
        let block = plan.block;
        assert_eq!((plan.count, plan.spread(32), plan.count), (21, 2, 16));
        assert_eq!(plan.cost(), block * 16.0);
        assert_eq!((plan.spread(5), plan.count), (1, 5));
    }

    #[test]
    fn set_up_that_the_clock_leaves_out_is_paid_for() {
        // 60 ms of a body of 1 us are 6.06 s with a set-up of 100 us.
        let why = with_set_up(10.0, 1e-6, 1e-4).unwrap_err();
        assert!(why.contains("turns of 6.06 s"), "{why}");
        assert!(with_set_up(10.0, 1e-4, 1e-4).is_ok());
        let mut plan = with_set_up(10.0, 1e-4, 1e-4).unwrap();
        assert!((plan.block.0 - 0.36).abs() < 1e-9, "{plan:?}");
        assert!(plan.fits(Seconds(9.6), Seconds(10.0)));
        plan.took(Seconds(0.5));
        assert!(!plan.fits(Seconds(9.6), Seconds(10.0)));
    }

    #[test]
    fn a_pace_is_that_of_all_iterations_and_no_shorter_than_the_body() {
        let slot = Slot { warm_up: 38, iterations: 150 };
        let block = Seconds(3.0 * 188.0 * 101e-6);
        let pace = Pace::of_block(Seconds(1e-6), block, slot);
        assert!((pace.wall.0 - 101e-6).abs() < 1e-12, "{pace:?}");
        let pace = Pace::of_block(Seconds(1e-6), Seconds(0.0), slot);
        assert_eq!(pace.wall, Seconds(1e-6));
    }

    #[test]
    fn a_budget_too_short_says_what_is_needed() {
        let why = plan(0.5, 1e-6).unwrap_err();
        assert!(why.contains("--budget 4s"), "{why}");
        assert!(plan(4.0, 1e-6).is_ok());
        let why = plan(10.0, 3.0).unwrap_err();
        assert!(why.contains("turns of 3.00 s"), "{why}");
        assert!(plan(10.0, 0.0).is_err());
    }
}
