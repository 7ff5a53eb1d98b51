//! What the units say of one row, before any verdict.
//!
//! With `n` units of mean `m` and standard deviation `s` (logarithms of
//! ratios, see `paired`), `v = n - 1` and Student's quantile `T(v)`:
//!
//! ```text
//! fixed budget:  m -+ T(v) s / sqrt(n)          (Student)
//! any time:      m -+ the t of `sequential` s / sqrt(n)
//! ```
//!
//! both shown as `exp() - 1`. The null arm has the same from its own units;
//! its *reach* is the end of its interval that lies farther from 0.
//!
//! The smallest change that would have been called, with a chance of `w`:
//!
//! ```text
//! exp( max( T_call s / sqrt(n), ln(1 + floor), reach ) + T_w s / sqrt(n) ) - 1
//! ```
//!
//! where `T_call` is the t at which p falls to what a call needs and `T_w`
//! Student's quantile at `w`: the change that overshoots the bar by as much
//! as the estimate may fall short.

use assay_schema::{Better, Change, DetectableChange};

use crate::error::check;
use crate::{StatisticsError, Units, VerdictRule, sequential, student};

/// Where a row's numbers come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Sampled: time, energy, clock. Never twice the same.
    Timed,
    /// Counted: allocations, instructions, quality with the same seed. May
    /// agree exactly, and then has no noise.
    Counted,
}

/// What stands behind a finding's interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// Units that differ: the interval means what it says.
    Sampled,
    /// Counts that agree exactly in every unit: the interval is the point.
    Exact,
    /// Fewer than two units of the candidate or of the null arm: no interval.
    TooFew,
    /// Times that agree exactly in every unit, of the candidate or of the
    /// null arm: the clock's step hides the noise, so there is no interval.
    ClockTooCoarse,
}

/// What the units of one row say.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What stands behind the interval.
    pub certainty: Certainty,
    /// Which way is good.
    pub better: Better,
    /// Units of the candidate.
    pub n: u64,
    /// The change, with the interval for a budget fixed beforehand. Without
    /// an interval (see [`Certainty`]) it reaches from -1 to infinity.
    pub change: Change,
    /// The same change, with the interval that holds at any stopping time.
    pub change_any_time: Change,
    /// The change with the interval that shows equivalence for a budget fixed
    /// beforehand: two one-sided tests, so 0.90 where the others have 0.95.
    pub change_one_sided: Change,
    /// The baseline against itself; absent where no null arm was measured.
    pub null_change: Option<Change>,
    /// The same with the interval that holds at any stopping time.
    pub null_change_any_time: Option<Change>,
    /// Two-sided p of "no change" for a budget fixed beforehand; absent
    /// unless sampled.
    pub p: Option<f64>,
    /// Evidence against "no change" at any stopping time; absent unless
    /// sampled.
    pub e: Option<f64>,
    /// As `p`, of the null arm.
    pub null_p: Option<f64>,
    /// As `e`, of the null arm.
    pub null_e: Option<f64>,
    /// What would have been called here, were this the only row; [`judge`]
    /// gives it for the suite.
    ///
    /// [`judge`]: crate::judge
    pub detectable: DetectableChange,
    pub(crate) candidate: Spread,
    pub(crate) null: Option<Spread>,
}

/// Finds what the units of one row say. At least one unit of the candidate;
/// all finite.
pub fn find(
    units: &Units,
    kind: MetricKind,
    better: Better,
    rule: &VerdictRule,
) -> Result<Finding, StatisticsError> {
    rule.check()?;
    check(&units.candidate, 1, "a comparison")?;
    check(&units.null, 0, "a comparison")?;
    let mut candidate = Spread::of(&units.candidate);
    let null = (!units.null.is_empty()).then(|| Spread::of(&units.null));
    let certainty = certainty(&candidate, null.as_ref(), kind);
    if let (Certainty::Sampled, Some(null)) = (certainty, &null)
        && candidate.deviation == 0.0
    {
        // Counts: the baseline varies, so the candidate's agreement is luck.
        candidate.deviation = null.deviation;
    }
    let bounded = matches!(certainty, Certainty::Sampled | Certainty::Exact);
    let change = |spread: &Spread, confidence: f64, any_time: bool| {
        let reach = if bounded {
            spread.half_width(1.0 - confidence, any_time)
        } else {
            f64::INFINITY
        };
        change_of(spread.mean, reach, confidence)
    };
    let sampled = certainty == Certainty::Sampled;
    let (confidence, one_sided) = (rule.confidence, rule.one_sided());
    let null_of =
        |any_time| null.as_ref().map(|null| change(null, confidence, any_time));
    let mut finding = Finding {
        certainty,
        better,
        n: units.candidate.len() as u64,
        change: change(&candidate, confidence, false),
        change_any_time: change(&candidate, confidence, true),
        change_one_sided: change(&candidate, one_sided, false),
        null_change: null_of(false),
        null_change_any_time: null_of(true),
        p: sampled.then(|| candidate.p()),
        e: sampled.then(|| candidate.e()),
        null_p: null.as_ref().filter(|_| sampled).map(Spread::p),
        null_e: null.as_ref().filter(|_| sampled).map(Spread::e),
        detectable: DetectableChange { power_80: 0.0, power_95: 0.0 },
        candidate,
        null,
    };
    finding.detectable = finding.detectable_at(rule.call, rule);
    Ok(finding)
}

fn certainty(
    candidate: &Spread,
    null: Option<&Spread>,
    kind: MetricKind,
) -> Certainty {
    let Some(null) = null.filter(|null| null.n >= 2 && candidate.n >= 2) else {
        return Certainty::TooFew;
    };
    let agree = [candidate, null].map(|spread| spread.deviation == 0.0);
    match (kind, agree) {
        (MetricKind::Counted, [true, true]) => Certainty::Exact,
        (MetricKind::Counted, _) | (MetricKind::Timed, [false, false]) => {
            Certainty::Sampled
        }
        (MetricKind::Timed, _) => Certainty::ClockTooCoarse,
    }
}

fn change_of(mean: f64, reach: f64, confidence: f64) -> Change {
    Change {
        point: relative(mean).min(f64::MAX),
        low: relative(mean - reach).min(f64::MAX),
        high: relative(mean + reach),
        confidence,
    }
}

/// The relative change that a logarithm of a ratio stands for.
fn relative(logarithm: f64) -> f64 {
    logarithm.exp_m1()
}

impl Finding {
    /// How far from 0 the null arm's interval reaches, as a logarithm;
    /// infinite where it has none.
    pub(crate) fn null_reach(&self, rule: &VerdictRule) -> f64 {
        match (self.certainty, &self.null) {
            (Certainty::Sampled | Certainty::Exact, Some(null)) => {
                null.mean.abs()
                    + null.half_width(1.0 - rule.confidence, rule.any_time)
            }
            _ => f64::INFINITY,
        }
    }

    /// What would have been called where a call needs p at or below `call`.
    pub(crate) fn detectable_at(
        &self,
        call: f64,
        rule: &VerdictRule,
    ) -> DetectableChange {
        let beyond = rule.floor.ln_1p().max(self.null_reach(rule));
        let at = |power: f64| match self.certainty {
            Certainty::Exact => relative(beyond),
            Certainty::Sampled => {
                let bar = self.candidate.half_width(call, rule.any_time);
                relative(bar.max(beyond) + self.candidate.shortfall(power))
            }
            Certainty::TooFew | Certainty::ClockTooCoarse => f64::INFINITY,
        };
        DetectableChange { power_80: at(0.80), power_95: at(0.95) }
    }
}

/// Mean and spread of an arm's units, as logarithms.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Spread {
    /// Units, at least 1.
    pub(crate) n: usize,
    /// Their mean.
    pub(crate) mean: f64,
    /// Their standard deviation; exactly 0 where all agree.
    deviation: f64,
}

impl Spread {
    fn of(units: &[f64]) -> Self {
        let n = units.len();
        if units.iter().all(|unit| unit - units[0] == 0.0) {
            return Self { n, mean: units[0], deviation: 0.0 };
        }
        let mean = units.iter().sum::<f64>() / n as f64;
        let squares: f64 = units.iter().map(|x| (x - mean) * (x - mean)).sum();
        let deviation = (squares / (n as f64 - 1.0)).sqrt();
        // Never 0 here: the units differ, if by less than squares can hold.
        Self { n, mean, deviation: deviation.max(f64::MIN_POSITIVE) }
    }

    fn degrees(&self) -> f64 {
        self.n as f64 - 1.0
    }

    fn standard_error(&self) -> f64 {
        self.deviation / (self.n as f64).sqrt()
    }

    /// Half the width of the interval that misses with a chance of `alpha`.
    fn half_width(&self, alpha: f64, any_time: bool) -> f64 {
        if self.n < 2 {
            return f64::INFINITY;
        }
        if self.deviation == 0.0 {
            return 0.0;
        }
        let t = if any_time {
            sequential::half_width(self.n, alpha)
        } else {
            student::two_sided_quantile(alpha, self.degrees())
        };
        t * self.standard_error()
    }

    /// How far the mean may fall short of the truth, but for 1 - `power`.
    fn shortfall(&self, power: f64) -> f64 {
        student::quantile(power, self.degrees()) * self.standard_error()
    }

    /// t, as far as there is one: units that agree on 0 say nothing.
    fn t(&self) -> f64 {
        if self.mean == 0.0 { 0.0 } else { self.mean / self.standard_error() }
    }

    fn p(&self) -> f64 {
        student::two_sided_p(self.t(), self.degrees())
    }

    fn e(&self) -> f64 {
        sequential::e_value(self.n, self.t() * self.t() / self.degrees())
    }
}

#[cfg(test)]
mod tests;
