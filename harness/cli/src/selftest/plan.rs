//! What is compared how often (`plans/selftest.toml`), and in which order.

use anyhow::{Context, Result};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::bodies::Body;
use super::noise::Noise;

/// A selftest.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// Every part is cut into this many pieces, which take turns.
    pub(crate) rounds: usize,
    pub(crate) coverage: Coverage,
    pub(crate) part: Vec<Part>,
}

/// Targets for the share of intervals that hold the truth.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Coverage {
    pub(crate) fixed_budget: [f64; 2],
    pub(crate) any_time: f64,
}

/// Comparisons of one kind.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) noise: Noise,
    /// Extra work of the candidate, per cent.
    pub(crate) slowdown: u32,
    /// Seconds for all arms of one comparison together.
    pub(crate) budget_s: f64,
    /// Comparisons of this project's rule.
    pub(crate) comparisons: usize,
    /// Comparisons of criterion's.
    pub(crate) criterion: usize,
    #[serde(default)]
    pub(crate) target: Target,
}

impl Part {
    /// ln(candidate / baseline), exact by count.
    pub(crate) fn truth(&self) -> f64 {
        (f64::from(self.candidate_units()) / f64::from(BASELINE_UNITS)).ln()
    }

    /// Units of work of the candidate.
    pub(crate) fn candidate_units(&self) -> u32 {
        BASELINE_UNITS + self.slowdown
    }
}

/// Units of work of the baseline.
pub(crate) const BASELINE_UNITS: u32 = 100;

/// What a part should come to, as shares.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    pub(crate) called_at_most: Option<f64>,
    pub(crate) called_at_least: Option<f64>,
    pub(crate) suites_at_most: Option<f64>,
}

/// Whose rule judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Tool {
    Assay,
    Criterion,
}

impl Tool {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Assay => "assay",
            Self::Criterion => "criterion",
        }
    }
}

/// One comparison to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Task {
    /// Index of the part.
    pub(crate) part: usize,
    pub(crate) tool: Tool,
    /// Number within part and tool.
    pub(crate) index: usize,
}

impl Task {
    /// The bodies take turns.
    pub(crate) fn body(self) -> Body {
        Body::ALL[self.index % Body::ALL.len()]
    }
}

impl Plan {
    /// The full selftest, or the quick one.
    pub(crate) fn shipped(quick: bool) -> Result<Self> {
        let (text, name) = if quick {
            (include_str!("../../plans/selftest-quick.toml"), "selftest-quick")
        } else {
            (include_str!("../../plans/selftest.toml"), "selftest")
        };
        toml::from_str(text).with_context(|| format!("plans/{name}.toml"))
    }

    /// Groups of comparisons under the same noise, in the order to make them:
    /// round after round holds a piece of every part, shuffled.
    pub(crate) fn groups(&self, seed: u64) -> Vec<Vec<Task>> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut groups = Vec::new();
        for round in 0..self.rounds {
            let mut pieces: Vec<Vec<Task>> =
                self.part
                    .iter()
                    .enumerate()
                    .map(|(part, spec)| {
                        let piece = |tool, count: usize| {
                            let cut = |round| count * round / self.rounds;
                            (cut(round)..cut(round + 1))
                                .map(move |index| Task { part, tool, index })
                        };
                        let mut tasks: Vec<Task> =
                            piece(Tool::Assay, spec.comparisons)
                                .chain(piece(Tool::Criterion, spec.criterion))
                                .collect();
                        tasks.shuffle(&mut random);
                        tasks
                    })
                    .collect();
            pieces.shuffle(&mut random);
            groups.extend(pieces);
        }
        groups.retain(|group| !group.is_empty());
        groups
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_comparison_of_both_plans_is_made_once() {
        for quick in [true, false] {
            let plan = Plan::shipped(quick).unwrap();
            let tasks: Vec<Task> = plan.groups(1).concat();
            let distinct: HashSet<Task> = tasks.iter().copied().collect();
            let asked: usize =
                plan.part.iter().map(|p| p.comparisons + p.criterion).sum();
            assert_eq!((tasks.len(), distinct.len()), (asked, asked));
        }
    }

    #[test]
    fn the_full_plan_asks_what_the_issue_asks() {
        let plan = Plan::shipped(false).unwrap();
        let of = |noise, slowdown| {
            plan.part
                .iter()
                .filter(|p| p.noise == noise && p.slowdown == slowdown)
                .map(|p| (p.comparisons, p.criterion, p.budget_s))
                .collect::<Vec<_>>()
        };
        assert_eq!(of(Noise::None, 0), [(3000, 500, 0.5)]);
        assert_eq!(of(Noise::Burst, 0), [(1000, 200, 0.5)]);
        assert_eq!(of(Noise::MemoryHog, 0), [(1000, 200, 0.5)]);
        for slowdown in [2, 5] {
            let (comparisons, _, budget) = of(Noise::None, slowdown)[0];
            assert_eq!((comparisons, budget), (300, 1.0));
        }
    }

    #[test]
    fn the_truth_is_the_count_of_work() {
        let plan = Plan::shipped(false).unwrap();
        let two = plan.part.iter().find(|p| p.slowdown == 2).unwrap();
        assert!((two.truth().exp() - 1.02).abs() < 1e-12);
    }
}
