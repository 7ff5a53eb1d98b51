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
    /// Three turns.
    block: Seconds,
    /// Rounds that have them.
    count: u64,
}

/// Plans turns of `stretch`; else says what they would need.
pub(crate) fn long_plan(
    settings: &PairedSettings,
    stretch: Seconds,
    iteration: Seconds,
    left: Seconds,
) -> Result<LongPlan, String> {
    let iterations = (stretch.0 / iteration.0.max(1e-15)).ceil().max(1.0);
    if iterations > MOST_ITERATIONS {
        return Err("the body takes no time that could be measured".to_owned());
    }
    let block = Seconds(3.0 * iterations * iteration.0);
    let affordable = (SHARE * left.0 / block.0).floor();
    let least = settings.least_rounds.max(2) as f64;
    if affordable < least {
        return Err(format!(
            "{least} turns of {:.2} s of each arm do not fit into {SHARE} of \
             the budget: give it --budget {:.0}s or more",
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

    /// They stand in every so many rounds.
    pub(crate) fn every(&self, rounds: u64) -> u64 {
        rounds.div_ceil(self.count).max(1)
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
        let settings = PairedSettings::default();
        let (stretch, left) = (Seconds(0.06), Seconds(budget));
        long_plan(&settings, stretch, Seconds(iteration), left)
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
        let ten = plan(10.0, 1e-6).unwrap();
        assert_eq!((ten.count, ten.every(32)), (16, 2));
        assert_eq!(plan(60.0, 1e-6).unwrap().every(32), 1);
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
