//! What the units say of one row, before any verdict.
//!
//! Of `n` units (logarithms of ratios, see `paired`) the `g` smallest and the
//! `g` largest are cut, a fifth from either end where there are ten units or
//! more: one process in thirty that was laid out badly, and is twice as slow
//! for life, must not hide a change that all the others show. With `m` the
//! mean of the `h = n - 2 g` that stay, `s` the standard deviation after each
//! unit that was cut has taken the value of the nearest that stays,
//! `se = s / ((h / n) sqrt(n))`, `v = h - 1` and Student's quantile `T(v)`:
//!
//! ```text
//! fixed budget:  m -+ T(v) se                (Yuen, Biometrika 61(1), 1974)
//! any time:      m -+ se * the t of `sequential` after h units
//! ```
//!
//! both shown as `exp() - 1`. The candidate has two such series, B / A and
//! B / A': each is cut by itself, `m` is the mean of their two, and `s` the
//! deviation of the units' own mean of the two. Below ten units `g = 0`, and these are the plain
//! mean and Student's interval. The any-time interval is exact for those; with
//! cut units its coverage at all looks is by simulation (the tests here). The null arm has the same from its own units;
//! its *reach* is the end of its interval that lies farther from 0.
//!
//! The smallest change that would have been called, with a chance of `w`:
//!
//! ```text
//! bar = max( T_call se, ln(1 + floor), reach )
//! exp( bar + T_w sqrt( se^2 + w^2 ) ) - 1
//! ```
//!
//! where `T_call` is the t at which p falls to what a call needs, `T_w`
//! Student's quantile at that chance, and `w` the standard error of the bar:
//! 0 of the floor, else `bar / sqrt(v)`. It is the change that overshoots
//! the bar by as much as the estimate may fall short of it.

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
    check(&units.again, 0, "a comparison")?;
    check(&units.null, 0, "a comparison")?;
    let series = [units.candidate.as_slice(), units.again.as_slice()];
    let [left, right] = series.map(<[f64]>::len);
    if right > 0 && left != right {
        return Err(StatisticsError::Lengths { left, right });
    }
    let series = if right > 0 { &series[..] } else { &series[..1] };
    let mut candidate = Spread::of(series);
    let null = (!units.null.is_empty()).then(|| Spread::of(&[&units.null]));
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
                let bar = bar.max(beyond);
                // The floor is what it is; the other bars are multiples of a
                // standard error that comes out otherwise each time.
                let wavers = bar > rule.floor.ln_1p();
                let error =
                    if wavers { self.candidate.error_of(bar) } else { 0.0 };
                relative(bar + self.candidate.shortfall(power, error))
            }
            Certainty::TooFew | Certainty::ClockTooCoarse => f64::INFINITY,
        };
        DetectableChange { power_80: at(0.80), power_95: at(0.95) }
    }
}

/// Units from which on the ends are cut, and the share cut from either.
const LEAST_TO_CUT: usize = 10;
const CUT: usize = 5;

/// Mean and spread of an arm's units, as logarithms.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Spread {
    /// Units, at least 1.
    pub(crate) n: usize,
    /// Units that were not cut.
    kept: usize,
    /// The mean of those.
    pub(crate) mean: f64,
    /// Standard error times the root of `n`; exactly 0 where all agree.
    deviation: f64,
}

impl Spread {
    /// Of one series of units, or of several of the same length (B / A and
    /// B / A'): each is cut by itself and the means are averaged, the error
    /// is that of the average, unit by unit.
    fn of(series: &[&[f64]]) -> Self {
        let n = series[0].len();
        let share = 1.0 / series.len() as f64;
        let agree = |units: &&[f64]| units.iter().all(|u| u - units[0] == 0.0);
        if series.iter().all(agree) {
            let mean = series.iter().map(|units| units[0] * share).sum();
            return Self { n, kept: n, mean, deviation: 0.0 };
        }
        let cut = if n < LEAST_TO_CUT { 0 } else { n / CUT };
        let sorted: Vec<Vec<f64>> = series
            .iter()
            .map(|units| {
                let mut sorted = units.to_vec();
                sorted.sort_unstable_by(f64::total_cmp);
                sorted
            })
            .collect();
        // Counts of which most agree: what would stay says nothing of the
        // noise, and nothing is cut.
        let is_bare = |s: &Vec<f64>| s[n - 1 - cut] - s[cut] == 0.0;
        let cut = if sorted.iter().all(is_bare) { 0 } else { cut };
        let kept = n - 2 * cut;
        let (mut mean, mut drawn_in) = (0.0, vec![0.0; n]);
        for (units, sorted) in series.iter().zip(&sorted) {
            let stay = &sorted[cut..n - cut];
            mean += share * stay.iter().sum::<f64>() / kept as f64;
            let (low, high) = (stay[0], stay[kept - 1]);
            for (sum, unit) in drawn_in.iter_mut().zip(*units) {
                *sum += share * unit.clamp(low, high);
            }
        }
        let centre = drawn_in.iter().sum::<f64>() / n as f64;
        let squares: f64 =
            drawn_in.iter().map(|x| (x - centre) * (x - centre)).sum();
        let deviation = (squares / (n as f64 - 1.0)).sqrt();
        let deviation = deviation * n as f64 / kept as f64;
        // Never 0 here: the units differ, if by less than squares can hold.
        Self { n, kept, mean, deviation: deviation.max(f64::MIN_POSITIVE) }
    }

    fn degrees(&self) -> f64 {
        self.kept as f64 - 1.0
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
            sequential::half_width(self.kept, alpha)
        } else {
            student::two_sided_quantile(alpha, self.degrees())
        };
        t * self.standard_error()
    }

    /// Standard error of a bar that is a multiple of the standard error: a
    /// deviation estimated with v degrees of freedom is itself known to one
    /// part in sqrt(2 v), and two of them stand against each other: the one
    /// here, and that of the comparison that would have to call.
    fn error_of(&self, bar: f64) -> f64 {
        bar / self.degrees().sqrt()
    }

    /// How far the mean may fall short of a bar with an error of its own, but
    /// for 1 - `power`.
    fn shortfall(&self, power: f64, bar_error: f64) -> f64 {
        student::quantile(power, self.degrees())
            * self.standard_error().hypot(bar_error)
    }

    /// t, as far as there is one: units that agree on 0 say nothing.
    fn t(&self) -> f64 {
        if self.mean == 0.0 { 0.0 } else { self.mean / self.standard_error() }
    }

    fn p(&self) -> f64 {
        student::two_sided_p(self.t(), self.degrees())
    }

    fn e(&self) -> f64 {
        sequential::e_value(self.kept, self.t() * self.t() / self.degrees())
    }
}

#[cfg(test)]
mod tests;
