//! The order of arms, and how a budget becomes rounds and blocks.
//!
//! Orders: the six orders of three arms, shuffled, one each in every six
//! blocks. So each arm stands equally often first, second and third, follows
//! each other arm equally often, and nothing periodic can keep step with it.
//!
//! Rounds: with `S` the time that starting three processes takes, `b` the
//! time of a block and `T` the budget,
//!
//! ```text
//! R = clamp(start_share T / S, least, most)        rounds
//! K = (T / R - S) / b - w                          measured blocks of a round
//! ```
//!
//! where `w` is the one block of each round that is thrown away (fresh pages,
//! cold branch predictors), or 0 of a body that fills its slot alone. Where
//! `K` falls below 1, it is 1 and rounds get fewer.

use assay_schema::Seconds;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{PairedSettings, Side, Slot};

const A: Side = Side::Baseline;
const B: Side = Side::Candidate;
const C: Side = Side::BaselineAgain;

const ORDERS: [[Side; 3]; 6] =
    [[A, B, C], [A, C, B], [B, A, C], [B, C, A], [C, A, B], [C, B, A]];

/// An endless, seeded, balanced series of orders.
#[derive(Clone, Debug)]
pub struct Orders<R = ChaCha8Rng> {
    rng: R,
    left: Vec<[Side; 3]>,
}

impl Orders {
    /// The series of a seed.
    pub fn new(seed: u64) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), left: Vec::new() }
    }
}

impl<R: Rng> Iterator for Orders<R> {
    type Item = [Side; 3];

    fn next(&mut self) -> Option<[Side; 3]> {
        if self.left.is_empty() {
            self.left = ORDERS.to_vec();
            self.left.shuffle(&mut self.rng);
        }
        self.left.pop()
    }
}

/// How a comparison is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Rounds that are planned.
    pub rounds: u64,
    /// Measured blocks of a round.
    pub blocks: u64,
    /// Unmeasured blocks at the start of a round.
    pub settling: u64,
    /// Each turn.
    pub slot: Slot,
}

/// What a schedule is made from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Costs {
    /// Starting the three arms of a round.
    pub(crate) start: Seconds,
    /// One iteration of a body.
    pub(crate) iteration: Seconds,
    /// One block, in full.
    pub(crate) block: Seconds,
    /// The budget less what was spent on finding these out.
    pub(crate) left: Seconds,
    /// Each turn is a process of its own.
    pub(crate) whole_process: bool,
}

/// Iterations of a slot, by the time of one.
pub(crate) fn slot(settings: &PairedSettings, iteration: Seconds) -> Slot {
    let aimed = (settings.slot.0 / iteration.0.max(1e-12)).round();
    let iterations = (aimed as u64).clamp(1, 1 << 40);
    let share = (iterations as f64 * settings.warm_up_share).ceil() as u64;
    // A long body warms the caches itself, and an unmeasured run is dear.
    let warm_up = if iteration.0 > 4.0 * settings.slot.0 { 0 } else { share };
    Slot { warm_up, iterations }
}

/// Cuts the budget.
pub(crate) fn schedule(settings: &PairedSettings, costs: &Costs) -> Schedule {
    if costs.whole_process {
        return of_processes(settings, costs);
    }
    let slot = slot(settings, costs.iteration);
    // Proving goes on while the answer is open: more, shorter rounds.
    let most = settings.most_rounds * if settings.prove { 4 } else { 1 };
    let (left, start) = (costs.left.0, costs.start.0.max(1e-6));
    let block = costs.block.0.max(1e-9);
    let affordable = (settings.start_share * left / start).floor();
    let rounds =
        (affordable as u64).clamp(settings.least_rounds.min(most), most);
    // A body that fills its slot alone has settled in its first run.
    let settling = u64::from(slot.warm_up > 0);
    let fitting = (left / rounds as f64 - start) / block - settling as f64;
    if fitting >= 1.0 {
        let blocks = fitting.min(100_000.0) as u64;
        return Schedule { rounds, blocks, settling, slot };
    }
    let rounds = (left / (start + block * (1 + settling) as f64)).floor();
    Schedule { rounds: (rounds as u64).max(1), blocks: 1, settling, slot }
}

/// Processes are the samples: every triple is a block, and a round is a block
/// where there are few, a stretch of them where there are many.
fn of_processes(settings: &PairedSettings, costs: &Costs) -> Schedule {
    let most = settings.most_rounds * if settings.prove { 4 } else { 1 };
    let triples = (costs.left.0 / costs.block.0.max(1e-9)).floor().max(1.0);
    let blocks = (triples / most as f64).floor().clamp(1.0, 100_000.0);
    Schedule {
        rounds: ((triples / blocks) as u64).max(1),
        blocks: blocks as u64,
        settling: 0,
        slot: Slot { warm_up: 0, iterations: 1 },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn costs(start: f64, iteration: f64, left: f64) -> Costs {
        let slot = slot(&PairedSettings::default(), Seconds(iteration));
        let turn = iteration * (slot.iterations + slot.warm_up) as f64;
        Costs {
            start: Seconds(start),
            iteration: Seconds(iteration),
            block: Seconds(3.0 * turn + 60e-6),
            left: Seconds(left),
            whole_process: false,
        }
    }

    #[test]
    fn each_order_comes_once_in_six_blocks_and_never_in_step() {
        let orders: Vec<_> = Orders::new(7).take(600).collect();
        for six in orders.chunks(6) {
            let mut sorted = six.to_vec();
            sorted.sort();
            assert_eq!(sorted, ORDERS);
        }
        let mut places: BTreeMap<(usize, Side), usize> = BTreeMap::new();
        for order in &orders {
            for (place, side) in order.iter().enumerate() {
                *places.entry((place, *side)).or_default() += 1;
            }
        }
        assert!(places.values().all(|&n| n == 200), "{places:?}");
        let first: Vec<_> = orders.chunks(6).map(|six| six[0]).collect();
        assert!(first.windows(2).any(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn a_seed_gives_one_series() {
        let series = |seed| Orders::new(seed).take(60).collect::<Vec<_>>();
        assert_eq!(series(3), series(3));
        assert_ne!(series(3), series(4));
    }

    #[test]
    fn a_cheap_start_gives_all_rounds_and_a_dear_one_at_least_five() {
        let settings = PairedSettings::default();
        let cheap = schedule(&settings, &costs(3e-3, 1e-6, 10.0));
        assert_eq!(cheap.rounds, 32);
        assert!(cheap.blocks > 100, "{cheap:?}");
        let dear = schedule(&settings, &costs(1.5, 1e-6, 10.0));
        assert_eq!(dear.rounds, 5);
        assert!(dear.blocks > 50, "{dear:?}");
    }

    #[test]
    fn a_schedule_keeps_its_budget() {
        let settings = PairedSettings::default();
        for left in [0.5, 1.0, 10.0] {
            for iteration in [1e-9, 1e-6, 1e-3, 0.02] {
                for start in [1e-3, 0.01, 0.05] {
                    let costs = costs(start, iteration, left);
                    let s = schedule(&settings, &costs);
                    let blocks = (s.blocks + s.settling) as f64;
                    let round = start + blocks * costs.block.0;
                    let total = s.rounds as f64 * round;
                    assert!(
                        total <= left * 1.0001 || s.rounds == 1,
                        "{total} of {left}: {s:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_slow_body_gets_whole_rounds_not_fractions_of_one() {
        let settings = PairedSettings::default();
        let s = schedule(&settings, &costs(0.1, 1.0, 10.0));
        assert_eq!((s.rounds, s.blocks, s.settling), (3, 1, 0));
        assert_eq!(s.slot, Slot { warm_up: 0, iterations: 1 });
        let never = schedule(&settings, &costs(0.1, 100.0, 10.0));
        assert_eq!((never.rounds, never.blocks), (1, 1));
    }

    #[test]
    fn many_short_commands_are_grouped_and_few_long_ones_are_not() {
        let settings = PairedSettings::default();
        let commands = |block: f64| Costs {
            block: Seconds(block),
            whole_process: true,
            ..costs(0.0, 1.0, 10.0)
        };
        let short = schedule(&settings, &commands(5e-3));
        assert_eq!((short.rounds, short.blocks), (32, 62));
        let long = schedule(&settings, &commands(0.8));
        assert_eq!((long.rounds, long.blocks), (12, 1));
    }
}
