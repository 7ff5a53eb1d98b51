//! Raw turns, as they are kept: one JSON object a line. A killed comparison
//! loses at most the line being written.

use serde::{Deserialize, Serialize};

use super::{ArmSample, Side};

/// One turn of one arm, for the file of raw samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// The benchmark or pair of commands.
    pub case: String,
    /// From 0.
    pub round: u64,
    /// From 0, within the round, settling blocks included.
    pub block: u64,
    /// Unmeasured: the round was settling.
    pub settling: bool,
    /// For what moves too slowly for a slot (energy); no sample of time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub long: bool,
    /// 0, 1 or 2: first, second or third in its block.
    pub place: u64,
    /// Whose turn.
    pub arm: Side,
    /// Unmeasured iterations before it.
    pub warm_up: u64,
    /// Measured iterations.
    pub iterations: u64,
    /// What it gave; seconds are of all iterations together.
    #[serde(flatten)]
    pub sample: ArmSample,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_reads_back_from_its_line() {
        let turn = Turn {
            case: "sort\n\"<b>\" n=1".to_owned(),
            round: 2,
            block: 7,
            settling: false,
            long: true,
            place: 1,
            arm: Side::BaselineAgain,
            warm_up: 3,
            iterations: 24,
            sample: ArmSample { seconds: 0.1 + 0.2, ..ArmSample::default() },
        };
        let line = serde_json::to_string(&turn).unwrap();
        assert!(!line.contains('\n'));
        assert_eq!(serde_json::from_str::<Turn>(&line).unwrap(), turn);
    }
}
