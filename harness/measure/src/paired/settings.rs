//! How long a comparison takes and how it is cut into rounds and blocks.

use std::path::PathBuf;

use assay_schema::Seconds;

/// How arms are compared. The defaults are those of `assay compare`.
#[derive(Clone, Debug, PartialEq)]
pub struct PairedSettings {
    /// Time for all arms of one benchmark or pair of commands together, the
    /// starting of processes included.
    pub budget: Seconds,
    /// Length that a slot aims at: long beside the clock's step and short
    /// beside what disturbs a machine, so that the three slots of a block
    /// meet the same weather and most meet no disturbance at all. Of slots of
    /// 0.7 ms one in six holds a scheduler's tick (every 4 ms) and units
    /// spread by 0.5 to 1 %; of 0.1 ms one in forty, and they spread by 0.01
    /// to 0.1 % (seen with a chain of additions on a virtual machine).
    pub slot: Seconds,
    /// Unmeasured iterations before a slot, as a share of the measured ones,
    /// so that caches are warm again after the other arms had them.
    pub warm_up_share: f64,
    /// Rounds aimed at; each has three fresh processes.
    pub most_rounds: u64,
    /// Rounds below which a result is called thin.
    pub least_rounds: u64,
    /// Share of the budget that starting processes may take before rounds
    /// become fewer.
    pub start_share: f64,
    /// Go on, round after round, until the verdict is in or the budget ends.
    pub prove: bool,
    /// Seed of every order.
    pub seed: u64,
    /// Longest wait for one answer; `None`: ten times what is expected of it,
    /// at least a minute.
    pub time_limit: Option<Seconds>,
    /// The root of the machine's files (`/`: this machine) from which energy,
    /// steal, clock and quota are read; `None`: they are not looked at.
    pub machine: Option<PathBuf>,
}

impl Default for PairedSettings {
    fn default() -> Self {
        Self {
            budget: Seconds(10.0),
            slot: Seconds(0.15e-3),
            warm_up_share: 0.25,
            most_rounds: 32,
            least_rounds: 5,
            start_share: 0.35,
            prove: false,
            seed: 1,
            time_limit: None,
            machine: None,
        }
    }
}

/// The wait without `--time-limit`.
pub(crate) const PATIENCE: Seconds = Seconds(60.0);

impl PairedSettings {
    /// The wait for an answer that is expected after `expected`.
    pub(crate) fn patience(&self, expected: Seconds) -> Seconds {
        self.time_limit.unwrap_or_else(|| PATIENCE.max(expected * 10.0))
    }
}
