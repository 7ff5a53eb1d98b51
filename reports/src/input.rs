//! What a report is made from: plain values that the caller has loaded.
//!
//! Not here: files. The command line loads runs from the store and hands
//! them over, one [`RunData`] a run; runs of several machines can stand in
//! one report.

use assay_schema::{
    Case, ClaimFinding, Estimate, Prediction, ProfileSummary, Record, RunHeader,
};
use serde::{Deserialize, Serialize};

/// One run: what was run, what came out, and what stands beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunData {
    /// The run's header: machine, device, commit, plan.
    pub header: RunHeader,
    /// One record a case, in any order.
    pub records: Vec<Record>,
    /// Predictions of the same plan, in any order; those on the profile
    /// `host` are paired with the records.
    pub predictions: Vec<Prediction>,
    /// Ceilings of the profiles that are drawn as roofs.
    pub profiles: Vec<ProfileSummary>,
    /// Claims with their rulings.
    pub claims: Vec<ClaimFinding>,
    /// Numbers of somebody's paper or table.
    pub published: Vec<PublishedPoint>,
}

/// A number that somebody else published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PublishedPoint {
    /// The case as text; it need not parse, since papers leave axes out.
    pub case: String,
    /// The hardware profile, or the machine in the source's own words.
    pub profile: String,
    /// The metric: `time`, `memory_peak`, `tokens_per_second`, ...
    pub metric: String,
    /// The value, in `unit`.
    pub value: f64,
    /// Unit symbol.
    pub unit: String,
    /// Where it was published.
    pub source: String,
    /// How far to trust it, in words: `table`, `read off a figure`, ...
    pub trust: String,
}

/// What a prediction is held against.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Observed {
    /// Measured by this project, with an interval.
    Measured(Estimate),
    /// Published by somebody: a value without an interval, seconds.
    Published(f64),
}

impl Observed {
    /// The best single value, seconds.
    pub fn point(&self) -> f64 {
        match self {
            Self::Measured(estimate) => estimate.point,
            Self::Published(value) => *value,
        }
    }
}

/// One line of a validation: a latency that was predicted and observed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValidationRow {
    /// The case.
    pub case: Case,
    /// Hardware profile (with `:unit` where it matters), or a host's name.
    pub profile: String,
    /// What was predicted, seconds.
    pub predicted: Estimate,
    /// What was observed, seconds.
    pub observed: Observed,
    /// Where the observation comes from.
    pub source: String,
}
