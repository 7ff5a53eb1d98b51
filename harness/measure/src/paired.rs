//! Paired comparison: a baseline A, a candidate B, and the baseline again A',
//! turn by turn in random order.
//!
//! What disturbs a machine lasts longer than a millisecond, so three turns of
//! some 0.15 ms each, one after the other, meet the same weather: the ratio
//! within such a *block* is quiet where each time alone is not. The third arm
//! is the null: whatever it shows, this method shows of nothing at all, here
//! and today. Fresh processes start every *round*, because a process keeps
//! its luck (addresses, pages, core) for life: the round is the unit of
//! replication, blocks nest inside (METHODOLOGY.md states the rule).
//!
//! The parts, in the order met: a [`Starter`] starts [`Arm`]s (benchmark
//! executables in lockstep: [`Lockstep`]; shell commands: [`Commands`]),
//! [`compare`] takes turns under [`PairedSettings`] and gives a
//! [`PairedRun`], [`rows`] judges it, [`suite`] puts rows together into a
//! [`Comparison`](assay_schema::Comparison), [`runs`] does the same for two
//! run directories, and [`reasons`] says what moved beside time.
//!
//! Not here: printing, and files but for the socket of a child.

mod arm;
#[cfg(unix)]
pub(crate) mod child;
#[cfg(unix)]
mod command;
mod counted;
mod energy_rows;
mod engine;
mod error;
#[cfg(unix)]
mod lockstep;
mod long_turns;
mod metric_rows;
mod pinning;
mod raw;
mod reasons;
mod rows;
pub mod runs;
mod schedule;
mod settings;
mod stream_hash;
mod suite;
mod surroundings;

pub use arm::{Arm, ArmSample, Side, Slot, Started, Starter};
#[cfg(unix)]
pub use child::kill_running;
#[cfg(unix)]
pub use command::{CommandArm, Commands};
pub use counted::counted_row;
pub use engine::{Ended, PairedRun, compare};
pub use error::PairedError;
#[cfg(unix)]
pub use lockstep::{Executable, Lockstep, LockstepArm, list};
pub use long_turns::LongTurns;
pub use metric_rows::Evidence;
pub use raw::Turn;
pub use reasons::{
    BRANCH_MISSES_SIMULATED, CACHE_MISSES_SIMULATED, Ceiling, Moved, Pair,
    reasons,
};
pub use rows::{Row, rows};
pub use schedule::{Orders, Schedule};
pub use settings::PairedSettings;
pub use suite::{SuiteFacts, failed_row, is_decided, suite};
pub use surroundings::{Around, Energy};
