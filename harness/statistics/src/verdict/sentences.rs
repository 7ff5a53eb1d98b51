//! Why a row has its verdict, in plain sentences with numbers.

use assay_schema::{Better, Change, Verdict};

use super::{Row, beyond};
use crate::Certainty;

impl Row<'_> {
    pub(super) fn why(&self, verdict: Verdict) -> Vec<String> {
        let mut why = match verdict {
            Verdict::Faster | Verdict::Slower => self.why_called(),
            Verdict::Same => vec![self.why_same()],
            Verdict::Unclear => self.why_unclear(),
        };
        let small = self.detectable.power_80;
        if !matches!(verdict, Verdict::Faster | Verdict::Slower)
            && self.finding.better != Better::Neither
            && small.is_finite()
        {
            why.push(if self.finding.certainty == Certainty::Exact {
                format!("a change beyond {} would be called", size(small))
            } else {
                format!(
                    "a change of {} would have been called in 80 of 100 such \
                     comparisons, one of {} in 95",
                    size(small),
                    size(self.detectable.power_95)
                )
            });
        }
        why
    }

    fn why_called(&self) -> Vec<String> {
        let finding = self.finding;
        let point = signed(finding.change.point);
        if finding.certainty == Certainty::Exact {
            return vec![format!(
                "all {} units agree exactly: {point}, beyond the floor of {}",
                finding.n,
                setting(self.rule.floor)
            )];
        }
        let shown = if self.rule.any_time {
            finding.change_any_time
        } else {
            finding.change
        };
        let mut why = vec![format!(
            "{point} ({}): beyond the floor of {}, and beyond the {} that \
             the baseline shows against itself",
            interval(shown),
            setting(self.rule.floor),
            size(self.null_reach())
        )];
        if let (Some(p), Some(adjusted)) = (self.p, self.p_adjusted) {
            why.push(format!("p {}{}", is(p), self.corrected(adjusted)));
        }
        why
    }

    /// What the suite made of p; nothing where there is no other row.
    fn corrected(&self, adjusted: f64) -> String {
        if self.rows < 2 {
            return String::new();
        }
        format!(", after correction for {} rows {}", self.rows, is(adjusted))
    }

    fn why_same(&self) -> String {
        let within = setting(self.rule.equivalence);
        let point = signed(self.finding.change.point);
        if self.finding.certainty == Certainty::Exact {
            return format!(
                "all {} units agree exactly: {point}, within {within} to \
                 either side",
                self.finding.n
            );
        }
        format!(
            "{point} ({}): shown to lie within {within} to either side",
            interval(self.shown())
        )
    }

    fn why_unclear(&self) -> Vec<String> {
        let finding = self.finding;
        match finding.certainty {
            Certainty::TooFew => {
                return vec![format!(
                    "{} of the candidate and {} of the baseline against \
                     itself: an interval needs two of each",
                    units(finding.n),
                    finding.null.as_ref().map_or(0, |null| null.n)
                )];
            }
            Certainty::ClockTooCoarse => {
                return vec![
                    "times agree exactly in every unit: the clock is too \
                     coarse; measure more iterations at a time"
                        .to_owned(),
                ];
            }
            Certainty::Sampled | Certainty::Exact => {}
        }
        if finding.better == Better::Neither {
            return vec![
                "neither direction is good: shown, not judged".to_owned(),
            ];
        }
        if self.null_called() {
            let null = finding.null_change.map_or(0.0, |null| null.point);
            return vec![format!(
                "the baseline differs from itself by {} in the same blocks: \
                 nothing can be called here",
                size(null)
            )];
        }
        let mut why = self.why_not_called();
        let shown = self.shown();
        why.push(format!(
            "not shown to lie within {} to either side: {}",
            setting(self.rule.equivalence),
            interval(shown)
        ));
        why
    }

    /// Each condition of a call that is missed.
    fn why_not_called(&self) -> Vec<String> {
        let mut why = Vec::new();
        let point = signed(self.finding.change.point);
        if let Some(p) = self.p
            && p > self.rule.call
        {
            why.push(format!(
                "{point} may be chance: p {}, a call needs {} or less",
                is(p),
                self.rule.call
            ));
        } else if let (Some(p), Some(adjusted)) = (self.p, self.p_adjusted)
            && adjusted > self.rule.false_discovery_rate
        {
            why.push(format!(
                "{point} may be chance: p {}{}, a call needs {} or less",
                is(p),
                self.corrected(adjusted),
                self.rule.false_discovery_rate
            ));
        }
        if !self.beyond_floor() {
            why.push(format!(
                "{point} is not beyond the floor of {}",
                setting(self.rule.floor)
            ));
        }
        if !self.beyond_null() && beyond(self.null_reach(), self.rule.floor) {
            why.push(format!(
                "{point} is not beyond the {} that the baseline shows against \
                 itself",
                size(self.null_reach())
            ));
        }
        why
    }

    /// The null arm's reach as a relative change.
    fn null_reach(&self) -> f64 {
        self.finding.null_reach(self.rule).exp_m1()
    }
}

fn units(n: u64) -> String {
    if n == 1 { "1 unit".to_owned() } else { format!("{n} units") }
}

/// "+1.2 % to +3.4 %, 95 %".
fn interval(change: Change) -> String {
    // Rounded, because 2 x 0.95 - 1 is a hair below 0.9.
    let confidence = (change.confidence * 1e6).round() / 1e4;
    if change.high.is_infinite() {
        return format!("no bound yet, {confidence} %");
    }
    format!("{} to {}, {confidence} %", signed(change.low), signed(change.high))
}

/// A relative change in per cent with its sign: "+2.1 %".
fn signed(change: f64) -> String {
    let digits = digits(change);
    let percent = change * 100.0;
    // No "-0.00 %".
    let percent =
        if percent.abs() < 0.5 * 0.1_f64.powi(digits) { 0.0 } else { percent };
    let digits = usize::try_from(digits).unwrap_or(0);
    if percent == 0.0 {
        return format!("{percent:.digits$} %");
    }
    format!("{percent:+.digits$} %")
}

/// The size of a relative change in per cent: "2.1 %".
fn size(change: f64) -> String {
    if change.is_infinite() {
        return "any amount".to_owned();
    }
    signed(change.abs()).trim_start_matches('+').to_owned()
}

/// Decimals of a percentage: two digits that mean something.
fn digits(change: f64) -> i32 {
    match change.abs() {
        x if x >= 0.1 => 0,
        x if x >= 0.01 => 1,
        _ => 2,
    }
}

/// A constant of the rule in per cent, as it was set: "1 %", "2.5 %".
fn setting(size: f64) -> String {
    // Rounded, because 0.07 * 100 prints as 7.000000000000001.
    format!("{} %", (size * 1e8).round() / 1e6)
}

/// A p as it reads after the letter: "= 0.0104", "< 0.0001".
fn is(p: f64) -> String {
    if p < 0.0001 {
        "< 0.0001".to_owned()
    } else if p < 0.1 {
        // Four decimals: 0.0104 must not read like the 0.01 that it misses.
        format!("= {}", (p * 1e4).round() / 1e4)
    } else {
        format!("= {p:.2}")
    }
}
