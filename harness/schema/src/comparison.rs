//! A comparison: two builds, two commands or two runs, row by row.
//!
//! `statistics` derives the verdicts, `measure` and `store` bring the numbers,
//! the binary prints them. METHODOLOGY.md states the rule.

use serde::{Deserialize, Serialize};

use crate::Better;

/// How a comparison came out. The words are those of time; for another metric
/// `faster` reads "better" and `slower` reads "worse".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Better, beyond the floor and beyond what the null arm shows.
    Faster,
    /// Worse, beyond the floor and beyond what the null arm shows.
    Slower,
    /// Shown to lie within the stated size. Never the absence of evidence.
    Same,
    /// Neither was shown.
    Unclear,
}

impl Verdict {
    /// The name in files and on the screen.
    pub fn name(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::Same => "same",
            Self::Unclear => "unclear",
        }
    }
}

/// A relative change, candidate / baseline - 1, with its interval. 0.02 reads
/// "two per cent more".
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The best single value.
    pub point: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end; infinite (in JSON `"inf"`) where the samples cannot bound it.
    #[serde(with = "crate::number")]
    pub high: f64,
    /// The interval's confidence.
    pub confidence: f64,
}

/// The smallest change that would have been called here, by the chance with
/// which it would have been.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetectableChange {
    /// Called in 80 of 100 such comparisons.
    #[serde(with = "crate::number")]
    pub power_80: f64,
    /// Called in 95 of 100 such comparisons.
    #[serde(with = "crate::number")]
    pub power_95: f64,
}

/// One percentile of both sides, in the row's unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PercentileChange {
    /// 50, 95 or 99.
    pub percentile: f64,
    /// Of the baseline.
    pub baseline: crate::Estimate,
    /// Of the candidate.
    pub candidate: crate::Estimate,
}

/// One mode of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mode {
    /// Where it is, in the row's unit.
    pub at: f64,
    /// The share of samples that belong to it.
    pub share: f64,
}

/// The modes of both sides, where either has several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModesChange {
    /// Of the baseline, ascending.
    pub baseline: Vec<Mode>,
    /// Of the candidate, ascending.
    pub candidate: Vec<Mode>,
}

/// One case and one metric, compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComparisonRow {
    /// The case, benchmark or command.
    pub case: String,
    /// `time`, `memory_peak`, `instructions`, `quality/<name>`, ...
    pub metric: String,
    /// Its unit symbol.
    pub unit: String,
    /// How it came out.
    pub verdict: Verdict,
    /// The change; its interval is for a budget that was fixed beforehand.
    /// Absent where there is no number (see `reasons`).
    pub change: Option<Change>,
    /// The same change with an interval that holds at any stopping time.
    pub change_any_time: Option<Change>,
    /// Which way is good.
    pub better: Better,
    /// The baseline against itself, in the same blocks.
    pub null_change: Option<Change>,
    /// What would have been caught.
    pub minimum_detectable_change: Option<DetectableChange>,
    /// Independent observations behind the interval (processes, or batches).
    pub samples: u64,
    /// Raw samples behind those.
    pub raw_samples: u64,
    /// Typical value of the baseline, in `unit`.
    pub baseline: Option<f64>,
    /// Typical value of the candidate, in `unit`.
    pub candidate: Option<f64>,
    /// Two-sided p of no change; 1 / e where `any_time`. Before the suite's
    /// correction.
    pub p: Option<f64>,
    /// Benjamini-Hochberg adjusted.
    pub p_adjusted: Option<f64>,
    /// Percentiles of both sides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub percentiles: Vec<PercentileChange>,
    /// Modes, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modes: Option<ModesChange>,
    /// Whether the candidate answers otherwise than the baseline; of the first
    /// row of a case, absent where no answer was compared.
    #[serde(default)]
    pub answer_changed: Option<bool>,
    /// Compared in spite of what makes it incomparable (`--force`).
    #[serde(default)]
    pub forced: bool,
    /// The metric could not be read on this machine; `reasons` says why.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unread: bool,
    /// Sentences: why this verdict, what else moved.
    pub reasons: Vec<String>,
}

/// What holds for the whole comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComparisonSuite {
    /// `run directories`, `commands in blocks` or `benchmarks in lockstep`.
    pub kind: String,
    /// What stands as the baseline.
    pub baseline: String,
    /// What stands as the candidate.
    pub candidate: String,
    /// Rows of time by verdict.
    pub faster: u64,
    /// Rows of time that are slower.
    pub slower: u64,
    /// Rows of time shown the same.
    pub same: u64,
    /// Rows of time that are unclear.
    pub unclear: u64,
    /// The smallest change that is called, e.g. 0.01.
    pub floor: f64,
    /// The size within which `same` was shown.
    pub equivalence: f64,
    /// Whether the any-time intervals decided (`--prove`).
    #[serde(default)]
    pub any_time: bool,
    /// The share of false calls among calls that is tolerated over the suite.
    pub false_discovery_rate: f64,
    /// Null arms that would have been called, of how many.
    pub null_calls: u64,
    /// Null arms.
    pub null_arms: u64,
    /// Whether a candidate's answer differs from the baseline's; absent where
    /// no answer was compared.
    pub output_changed: Option<bool>,
    /// What a reader must know: what was forced, what the machine did.
    pub notes: Vec<String>,
}

/// What `assay compare` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Worst first.
    pub rows: Vec<ComparisonRow>,
    /// The whole.
    pub suite: ComparisonSuite,
}
