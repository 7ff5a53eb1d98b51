//! What a report is made from: plain values that the caller has loaded.
//!
//! Not here: files. The command line loads runs from the store and hands
//! them over, one [`RunData`] a run; runs of several machines can stand in
//! one report.

use std::collections::BTreeMap;

use assay_schema::{
    Case, ClaimFinding, Estimate, Prediction, ProfileSummary, PublishedPoint,
    Record, RunHeader, Runtime, Seconds,
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
    /// Numbers of somebody's paper or table. Beside a metric's own name
    /// (`time`, `memory_peak`) two kinds are read by a survey's figures:
    /// `part_NAME`, a module's share of a pass in per cent, and
    /// `memory_part/NAME`, what of the memory NAME holds. A share in per cent
    /// of a case without a phase is a capability of the model.
    pub published: Vec<PublishedPoint>,
    /// Predictions by module of the model, in any order; wanted are those of
    /// [`taken_apart`](crate::taken_apart).
    #[serde(default)]
    pub modules: Vec<ModuleTimes>,
}

/// A predicted pass by module of the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModuleTimes {
    /// The predicted case, every axis filled in.
    pub case: Case,
    /// Hardware profile.
    pub profile: String,
    /// Unit of the profile.
    pub unit: String,
    /// Runtime.
    pub runtime: Runtime,
    /// Module (`attention`, `head`), all layers together, to the seconds of
    /// its kernels; what the host adds beside kernels is in none.
    pub seconds: BTreeMap<String, Seconds>,
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
    /// Class of operators that priced it, e.g. `matmul`, or `llama-cpp-decode`;
    /// empty where nobody said.
    #[serde(default)]
    pub class: String,
    /// Seconds predicted by fits that had not seen the row.
    #[serde(default)]
    pub held_out: BTreeMap<Fold, f64>,
    /// The plain roofline, seconds: no efficiency, no overhead.
    #[serde(default)]
    pub roofline: Option<f64>,
    /// The roofline at 0.8 of both ceilings with 3 us a kernel, seconds.
    #[serde(default)]
    pub three_constants: Option<f64>,
    /// What other predictors say, seconds, by their names.
    #[serde(default)]
    pub peers: BTreeMap<String, f64>,
}

impl ValidationRow {
    /// A row that nothing but its prediction stands beside.
    pub fn new(
        case: Case,
        profile: String,
        predicted: Estimate,
        observed: Observed,
        source: String,
    ) -> Self {
        Self {
            case,
            profile,
            predicted,
            observed,
            source,
            class: String::new(),
            held_out: BTreeMap::new(),
            roofline: None,
            three_constants: None,
            peers: BTreeMap::new(),
        }
    }
}

/// What a fit had not seen of a row that it then predicted.
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
pub enum Fold {
    /// Any device of the architecture family.
    New,
    /// The device; others of its family it had seen.
    Family,
    /// The family, but for 30 other rows of the device.
    Calibrated,
    /// A fifth of the device's shapes; the rest made its overlay.
    Overlay,
}

impl Fold {
    /// All of them, from knowing least to knowing most.
    pub const ALL: [Self; 4] =
        [Self::New, Self::Family, Self::Calibrated, Self::Overlay];

    /// The name of its column in a table of held-out predictions.
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Family => "family",
            Self::Calibrated => "calibrated",
            Self::Overlay => "overlay",
        }
    }
}

/// A measured row that is not scored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Line of the table.
    pub line: usize,
    /// The case as text, as far as it could be read.
    pub case: String,
    /// The hardware profile, as far as it could be read.
    pub profile: String,
    /// Where the measurement comes from.
    pub source: String,
    /// Who left it out.
    pub by: LeftOutBy,
    /// Why.
    pub why: String,
}

/// Who left a row out.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum LeftOutBy {
    /// The table: its note says that the number is not to be believed.
    Note,
    /// The predictor, which has no prediction, or the reader of the row.
    Predictor,
}

/// A table of measurements, each predicted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// The scored rows, in any order.
    pub rows: Vec<ValidationRow>,
    /// The others.
    pub left_out: Vec<LeftOut>,
    /// The table's name.
    pub table: String,
    /// The name of the table of held-out predictions, where there is one.
    pub held_out: Option<String>,
}
