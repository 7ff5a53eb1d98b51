//! Events: the lines of a case's file. Appended in order, never edited;
//! everything else is a view of them.

use serde::{Deserialize, Serialize};

use crate::{Case, Metric, Pictures, Seconds, Verification, WorkSummary};

/// A moment, in milliseconds since 1970 (UTC).
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
)]
#[serde(transparent)]
pub struct Moment(pub u64);

/// Why sampling ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reason")]
pub enum StopReason {
    /// The interval of the median is as narrow as was asked.
    Precise {
        /// Half width over median that was reached.
        relative_half_width: f64,
    },
    /// The budget is spent.
    BudgetSpent {
        /// The budget.
        budget_s: Seconds,
        /// Half width over median that was reached; absent with too few
        /// samples for an interval.
        relative_half_width: Option<f64>,
    },
    /// A study came to its own end.
    Completed,
    /// The user stopped it; what was sampled is kept.
    Interrupted,
}

/// Something a reader must know, with what to do about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Warning {
    /// A stable short name, e.g. `steal`.
    pub kind: String,
    /// What was seen, and what to do next.
    pub message: String,
}

/// Consecutive samples of one part of the work, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampleBatch {
    /// Which part: `step` for the whole, or `first-token`, `rollout`, ...
    pub part: String,
    /// The rank, where a case runs on several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank: Option<u32>,
    /// Whether they belong to the warm-up.
    pub warm_up: bool,
    /// Iterations that each sample spans; each value is already per
    /// iteration.
    pub iterations: u64,
    /// Seconds an iteration.
    pub seconds: Vec<f64>,
}

/// One line of a case's file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    /// The case began.
    Started {
        /// The case, defaults filled in.
        case: Case,
        /// When.
        at: Moment,
        /// Device it runs on.
        device: String,
        /// Its work, from the trace.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        work: Option<WorkSummary>,
    },
    /// The answer was checked against an independent one.
    Verified(Verification),
    /// Raw samples.
    Sample(SampleBatch),
    /// What a meter said.
    Meter {
        /// The step it belongs to, for a study's curves.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<u64>,
        /// The metric.
        metric: Metric,
    },
    /// What was drawn.
    Pictures(Pictures),
    /// Something that a reader must know.
    Warning(Warning),
    /// The case ended well.
    Finished {
        /// When.
        at: Moment,
        /// Why it stopped.
        stop: StopReason,
    },
    /// The case ended badly; it is never charted.
    Failed {
        /// When.
        at: Moment,
        /// What went wrong.
        error: String,
        /// Not run at all (does not fit, no device), as opposed to broken.
        skipped: bool,
    },
}
