//! A plan: which cases to run, how deep, and with which budget. Pure data;
//! `sweep` makes it from axes, `run` follows it.

use serde::{Deserialize, Serialize};

use crate::{Case, Seconds};

/// How much of a study to run.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Depth {
    /// Every stage once, at one small point.
    Quick,
    /// The study at CPU size.
    #[default]
    Default,
    /// The paper's size.
    Full,
}

/// One case of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedCase {
    /// What to run.
    pub case: Case,
    /// Time that its sampling may take.
    pub budget_s: Seconds,
    /// Measure it on the device (else it is only predicted).
    pub measure: bool,
    /// Axes that the plan fixes; the others took the defaults of the machine
    /// that made it, and take another machine's own when predicted for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<String>,
    /// Why it is in the plan.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// The study's experiments that it belongs to, e.g. `training-snr`; a
    /// case that serves as a baseline is in several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub experiments: Vec<String>,
}

/// Cases in the order in which they run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// A short name, e.g. `tour`.
    pub name: String,
    /// How deep.
    pub depth: Depth,
    /// Seed of everything random.
    pub seed: u64,
    /// Hardware profiles to predict for, by name.
    pub predict_on: Vec<String>,
    /// The cases.
    pub cases: Vec<PlannedCase>,
}
