//! Arms: what gives samples on demand.

use std::collections::BTreeMap;
use std::fmt;

use assay_schema::{LockstepMetric, Seconds};
use serde::{Deserialize, Serialize};

use super::PairedError;

/// Which of the three arms.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// A: the baseline.
    Baseline,
    /// B: the candidate.
    Candidate,
    /// A': the baseline again, the null arm.
    BaselineAgain,
}

impl Side {
    /// A, B, A'.
    pub const ALL: [Self; 3] =
        [Self::Baseline, Self::Candidate, Self::BaselineAgain];

    /// Its place in an array of three.
    pub fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Baseline => "baseline",
            Self::Candidate => "candidate",
            Self::BaselineAgain => "baseline (its second process)",
        })
    }
}

/// One turn of an arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Iterations before the clock starts: the other arms have had the caches.
    pub warm_up: u64,
    /// Iterations that the clock sees.
    pub iterations: u64,
}

/// What a turn gave.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ArmSample {
    /// Seconds of all measured iterations together.
    pub seconds: f64,
    /// What else was counted, an iteration, by the contract's names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, LockstepMetric>,
    /// A hash of the answer, where this turn gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<u64>,
}

/// Something that gives a sample on demand.
pub trait Arm {
    /// Takes one turn.
    ///
    /// # Errors
    /// The body failed, hung or died.
    fn sample(&mut self, slot: Slot) -> Result<ArmSample, PairedError>;
}

/// What is known of an arm that has just started.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Started {
    /// Seconds of the body's first run, where it ran.
    pub seconds: Option<f64>,
    /// A hash of its answer, where it gave one.
    pub fingerprint: Option<u64>,
}

/// Starts arms: three fresh ones each round.
pub trait Starter {
    /// What it starts.
    type Arm: Arm;

    /// Starts the three arms of a round, in the order of `order`; they come
    /// back as A, B, A'.
    ///
    /// # Errors
    /// One cannot be started or is not what it should be.
    fn start(
        &mut self,
        round: u64,
        order: [Side; 3],
    ) -> Result<[(Self::Arm, Started); 3], PairedError>;

    /// Ends the arms of a round, before the next is started.
    fn stop(&mut self, _arms: [Self::Arm; 3]) {}

    /// Places the arms of a round on processors, before what counts.
    ///
    /// # Errors
    /// The system refused.
    fn place(
        &mut self,
        _round: u64,
        _arms: &mut [Self::Arm; 3],
    ) -> Result<(), PairedError> {
        Ok(())
    }

    /// What is compared, for messages.
    fn name(&self) -> &str;

    /// Whether each turn is a whole process: then a slot has one iteration
    /// and no warm-up, and starting costs nothing.
    fn is_whole_process(&self) -> bool {
        false
    }

    /// How arms are placed on processors, for the record; empty before the
    /// first start.
    fn placement(&self) -> Option<String> {
        None
    }
}

/// A time that can be reasoned with.
pub(crate) fn check_time(
    side: Side,
    what: &str,
    seconds: f64,
) -> Result<Seconds, PairedError> {
    if seconds.is_finite() && seconds >= 0.0 {
        Ok(Seconds(seconds))
    } else {
        Err(PairedError::Time { side, what: what.to_owned(), found: seconds })
    }
}
