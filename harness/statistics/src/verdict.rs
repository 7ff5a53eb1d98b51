//! The rule for verdicts, so that it can be applied by hand. METHODOLOGY.md
//! has it as one page with a worked example, which the tests here repeat.
//!
//! A row is `faster` or `slower` when all of these hold:
//!
//! 1. p <= `call`, and p adjusted over the suite <= `false_discovery_rate`;
//! 2. the change is farther from 0 than `floor`;
//! 3. it is farther from 0 than the null arm's interval reaches;
//! 4. the null arm is not itself called by p <= `call` and `floor`.
//!
//! Else it is `same` when the interval for equivalence lies within
//! `equivalence` to either side and the null arm is not called. Else it is
//! `unclear`. Evidence that is missing never makes a row `same`.
//!
//! With `any_time` the intervals are those for any stopping time, p is 1 / e,
//! and the adjustment that of e-values. Equivalence is then shown by the
//! interval with `confidence` itself: its one-sided error is below
//! `1 - confidence` at every look, with no argument from symmetry. (The bound
//! of the suite's adjustment is proved for stops that do not depend on the
//! unit of the numbers; p and the intervals hold for every stop.)
//!
//! Counts that agree exactly have no noise: 1 is skipped, and the change is
//! what it is. A single unit and a clock too coarse have no interval, and are
//! `unclear`. A metric of which neither way is good is shown, never judged:
//! it is `unclear` and not part of the suite's adjustment.

use assay_schema::{Better, DetectableChange, Verdict};

use crate::multiplicity::{adjusted, needed_p};
use crate::{Certainty, Finding, StatisticsError};

mod sentences;

/// The constants of the rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VerdictRule {
    /// The smallest relative change that is worth a call.
    pub floor: f64,
    /// The relative change within which two sides are `same`.
    pub equivalence: f64,
    /// Of the intervals, above 0.5.
    pub confidence: f64,
    /// The p that a call needs: false calls among rows without a change.
    pub call: f64,
    /// The share of false calls among the suite's calls.
    pub false_discovery_rate: f64,
    /// Whether sampling stopped when the answer was seen.
    pub any_time: bool,
}

impl Default for VerdictRule {
    fn default() -> Self {
        Self {
            floor: 0.01,
            equivalence: 0.01,
            confidence: 0.95,
            call: 0.01,
            false_discovery_rate: 0.05,
            any_time: false,
        }
    }
}

impl VerdictRule {
    /// Every constant is within its range.
    pub fn check(&self) -> Result<(), StatisticsError> {
        for (name, value, from, expected) in [
            ("floor", self.floor, 0.0, "a number from 0 to below 1"),
            (
                "equivalence",
                self.equivalence,
                0.0,
                "a number from 0 to below 1",
            ),
            ("confidence", self.confidence, 0.5, "a number above 0.5, below 1"),
            ("call", self.call, 0.0, "a number above 0, below 1"),
            (
                "false_discovery_rate",
                self.false_discovery_rate,
                0.0,
                "a number above 0, below 1",
            ),
        ] {
            let zero_is_fine = ["floor", "equivalence"].contains(&name);
            let above = value > from || (zero_is_fine && value == 0.0);
            if !(above && value < 1.0) {
                return Err(StatisticsError::Argument {
                    name,
                    value,
                    expected,
                });
            }
        }
        Ok(())
    }

    /// Confidence of the interval whose two ends each miss with a chance of
    /// `1 - confidence`.
    pub(crate) fn one_sided(&self) -> f64 {
        2.0 * self.confidence - 1.0
    }
}

/// A row's verdict and what led to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The verdict; `Faster` reads "better" where the metric is not time.
    pub verdict: Verdict,
    /// The p that was judged: for a fixed budget, or 1 / e at any time.
    /// Absent where there is none, or where neither way is good.
    pub p: Option<f64>,
    /// The same after the suite's adjustment.
    pub p_adjusted: Option<f64>,
    /// Whether the null arm would have been called, by `call` and `floor`.
    pub null_called: bool,
    /// What would have been called in this suite, the other rows being as
    /// they are.
    pub detectable: DetectableChange,
    /// Sentences with the numbers: why this verdict.
    pub why: Vec<String>,
}

/// Judges a suite of rows, in their order.
pub fn judge(findings: &[Finding], rule: &VerdictRule) -> Vec<Judged> {
    let p: Vec<Option<f64>> =
        findings.iter().map(|finding| judged_p(finding, rule)).collect();
    let family: Vec<f64> = p.iter().copied().flatten().collect();
    let mut places = adjusted(&family).into_iter().enumerate();
    findings
        .iter()
        .zip(p)
        .map(|(finding, p)| {
            // Rows without a p are not of the family, and take no place.
            let place = p.and_then(|_| places.next());
            let needed = place.map_or(rule.call, |(index, _)| {
                needed_p(&family, index, rule.false_discovery_rate)
            });
            let row = Row {
                finding,
                rule,
                p,
                p_adjusted: place.map(|(_, adjusted)| adjusted),
                rows: family.len(),
                detectable: finding.detectable_at(needed.min(rule.call), rule),
            };
            row.judged()
        })
        .collect()
}

fn judged_p(finding: &Finding, rule: &VerdictRule) -> Option<f64> {
    if finding.better == Better::Neither {
        return None;
    }
    if rule.any_time {
        finding.e.map(|e| (1.0 / e).min(1.0))
    } else {
        finding.p
    }
}

/// A row in its suite, with all that its verdict and sentences need.
struct Row<'a> {
    finding: &'a Finding,
    rule: &'a VerdictRule,
    p: Option<f64>,
    p_adjusted: Option<f64>,
    /// Rows of the suite that have a p.
    rows: usize,
    detectable: DetectableChange,
}

impl Row<'_> {
    fn judged(&self) -> Judged {
        let verdict = self.verdict();
        Judged {
            verdict,
            p: self.p,
            p_adjusted: self.p_adjusted,
            null_called: self.null_called(),
            detectable: self.detectable,
            why: self.why(verdict),
        }
    }

    fn verdict(&self) -> Verdict {
        let bounded = matches!(
            self.finding.certainty,
            Certainty::Sampled | Certainty::Exact
        );
        if !bounded || self.null_called() {
            return Verdict::Unclear;
        }
        let called = self.unlikely_by_chance()
            && self.beyond_floor()
            && self.beyond_null();
        let rises = self.finding.change.point > 0.0;
        match self.finding.better {
            Better::Neither => Verdict::Unclear,
            Better::Lower if called && rises => Verdict::Slower,
            Better::Higher if called && !rises => Verdict::Slower,
            Better::Lower | Better::Higher if called => Verdict::Faster,
            Better::Lower | Better::Higher if self.equivalent() => {
                Verdict::Same
            }
            Better::Lower | Better::Higher => Verdict::Unclear,
        }
    }

    /// Condition 1.
    fn unlikely_by_chance(&self) -> bool {
        self.finding.certainty == Certainty::Exact
            || (self.p.is_some_and(|p| p <= self.rule.call)
                && self.p_adjusted.is_some_and(|adjusted| {
                    adjusted <= self.rule.false_discovery_rate
                }))
    }

    /// Condition 2.
    fn beyond_floor(&self) -> bool {
        beyond(self.finding.change.point, self.rule.floor)
    }

    /// Condition 3.
    fn beyond_null(&self) -> bool {
        self.finding.candidate.mean.abs() > self.finding.null_reach(self.rule)
    }

    /// The negation of condition 4.
    fn null_called(&self) -> bool {
        let Some(null) = self.finding.null_change else { return false };
        let unlikely = match self.finding.certainty {
            Certainty::Exact => true,
            Certainty::Sampled if self.rule.any_time => {
                self.finding.null_e.is_some_and(|e| 1.0 / e <= self.rule.call)
            }
            Certainty::Sampled => {
                self.finding.null_p.is_some_and(|p| p <= self.rule.call)
            }
            Certainty::TooFew | Certainty::ClockTooCoarse => false,
        };
        unlikely && beyond(null.point, self.rule.floor)
    }

    /// The interval that shows equivalence.
    fn shown(&self) -> assay_schema::Change {
        if self.rule.any_time {
            self.finding.change_any_time
        } else {
            self.finding.change_one_sided
        }
    }

    fn equivalent(&self) -> bool {
        let shown = self.shown();
        !beyond(shown.low, self.rule.equivalence)
            && !beyond(shown.high, self.rule.equivalence)
    }
}

/// Whether a change exceeds a size, a rounding error aside: 101 counts for
/// 100 are not more than 1 %.
fn beyond(change: f64, size: f64) -> bool {
    change.abs() > size + 1e-12
}

#[cfg(test)]
mod simulations;
#[cfg(test)]
mod tests;
