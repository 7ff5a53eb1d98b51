//! Claims of a paper, and the ruling that code derives from evidence.
//!
//! `claims.toml` says what is claimed and how it would be judged; it never
//! says how it came out. `statistics` applies the rule, `reports` shows it.

use serde::{Deserialize, Serialize};

use crate::{Estimate, Provenance};

/// Which way a claim points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// The statistic is at least the paper's number, less the margin.
    AtLeast,
    /// The statistic is at most the paper's number, plus the margin.
    AtMost,
    /// The statistic is within the margin of the paper's number.
    Near,
}

/// The kind of data that may judge a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClaimData {
    /// Measured on data that this project generates.
    Generated,
    /// Measured on the paper's real data.
    Real,
    /// Recomputed from published numbers.
    Published,
    /// Predicted from traces.
    Predicted,
}

/// One claim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Short and stable, e.g. `qwen-prefill`.
    pub id: String,
    /// The paper's sentence, restated.
    pub statement: String,
    /// Paper, section or figure.
    pub source: String,
    /// The paper's number.
    pub value: f64,
    /// Its unit; `1` for a ratio.
    pub unit: String,
    /// What is computed, in words; `id` names the code that computes it.
    pub statistic: String,
    /// Which way it points.
    pub direction: Direction,
    /// Distance from the paper's number that still counts as agreement, in
    /// the claim's unit.
    pub margin: f64,
    /// Effects smaller than this are inside the published or measured noise,
    /// in the claim's unit; 0 when none is known.
    #[serde(default)]
    pub noise: f64,
    /// The value of "no effect" that the noise is counted from.
    #[serde(default)]
    pub null: f64,
    /// Least number of seeds or repetitions.
    pub least_seeds: u64,
    /// Data that may judge it.
    pub data: Vec<ClaimData>,
    /// Why it cannot be tested here; then nothing judges it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untestable: Option<String>,
}

/// A `claims.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimFile {
    /// The paper.
    pub paper: String,
    /// Its claims.
    pub claim: Vec<Claim>,
}

/// What a run has to say about a claim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The claim's id.
    pub claim: String,
    /// The statistic with its interval; `n` counts seeds or repetitions.
    pub estimate: Estimate,
    /// The kind of data it was computed from.
    pub data: ClaimData,
    /// How the numbers underneath came to be.
    pub provenance: Provenance,
}

/// How a claim came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ruling {
    /// The interval lies inside what the claim allows.
    Supported,
    /// The interval lies outside what the claim allows.
    Contradicted,
    /// The interval straddles the border, or the effect is smaller than the
    /// noise.
    InsideNoise,
    /// No evidence that may judge it.
    NotTested,
}

impl Ruling {
    /// The word in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Supported => "supported",
            Self::Contradicted => "contradicted",
            Self::InsideNoise => "inside-noise",
            Self::NotTested => "not-tested",
        }
    }
}

/// A claim, its evidence, and the ruling with its reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClaimFinding {
    /// The paper.
    pub paper: String,
    /// The claim.
    pub claim: Claim,
    /// What judged it, if anything did.
    pub evidence: Option<Evidence>,
    /// The ruling.
    pub ruling: Ruling,
    /// One sentence: why.
    pub reason: String,
}
