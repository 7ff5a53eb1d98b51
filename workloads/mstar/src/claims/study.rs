//! Records of studies, gathered by what they share, and the statistics over
//! their seeds, in percentage points.
//!
//! A mean over several seeds has Student's interval. Each seed judges on
//! problems of its own, so that their spread holds that of the problems. Seeds
//! may agree by luck, so the interval is at least
//!
//! ```text
//! mean +- 1.96 sqrt( sum over seeds of the least variances ) / n
//! ```
//!
//! The same `m` problems judge both shares of a seed. If they differ by `d`, at
//! least a share `|d|` of the problems is answered right by one side alone, so
//! that the variance of the difference is at least `(|d| - d^2) / m`. How many
//! more there are no record says.
//!
//! One seed has no spread. Its difference of shares `a` and `b` has the
//! variance `a (1 - a) / m + b (1 - b) / m`, as if other problems had judged
//! the second: the safe side. Where the number of problems is not told either,
//! one seed has no interval, and is no evidence.

use std::collections::BTreeMap;

pub(super) use assay_statistics::Study;

use assay_schema::{Estimate, Record};
use assay_statistics::{mean_estimate, widened};

/// The cases whose records judge: of the models that train here.
pub(super) const STUDIES: [&str; 2] = ["mstar/small/study", "mstar/tiny/study"];

/// Problems behind a share of greedy answers, and of votes.
pub(super) const JUDGED: &str = "quality/judged";
const VOTED: &str = "quality/voted";

/// Axes of a quality.
pub(super) const ARM: &str = "arm";
pub(super) const SET: &str = "set";
pub(super) const ITERATION: &str = "iteration";

/// Axes in which records of one study may differ: seeds are its repetitions,
/// and a study of more arms does the same for those that both have.
const OWN: [&str; 2] = ["seed", "arms"];

/// The confidence of all intervals, and the normal quantile of its two sides.
const CONFIDENCE: f64 = 0.95;
const TWO_SIDED: f64 = 1.96;

/// What is computed of a study, seed by seed.
#[derive(Clone, Copy, Debug)]
pub(super) enum OfStudies {
    /// A share of one arm less that of another, on a set of problems.
    Difference {
        metric: &'static str,
        of: &'static str,
        less: &'static str,
        set: &'static str,
    },
    /// One share of an arm less another, on a set of problems.
    Beside {
        of: &'static str,
        less: &'static str,
        arm: &'static str,
        set: &'static str,
    },
    /// A share after the last iteration less that before the first.
    Change { metric: &'static str, arm: &'static str },
    /// The change in the second half of the iterations less that in the first.
    Saturation { metric: &'static str, arm: &'static str },
    /// A share after the last iteration of one arm less that of another.
    Last { metric: &'static str, of: &'static str, less: &'static str },
}

/// The sound studies of this workload, gathered.
pub(super) fn studies(records: &[Record]) -> Vec<Study<'_>> {
    assay_statistics::studies(records, &STUDIES, &OWN)
}

impl OfStudies {
    /// Its value for a study; `None` where no seed has what it takes.
    pub(super) fn of(&self, study: &Study<'_>) -> Option<Estimate> {
        let each = study.over_seeds(|record| self.of_seed(record));
        let estimate = match each.as_slice() {
            [one] => one.alone()?,
            several => over_seeds(several)?,
        };
        Some(study.labelled(estimate, &self.label()))
    }

    /// Its value in one record.
    fn of_seed(&self, record: &Record) -> Option<Seed> {
        match *self {
            Self::Difference { metric, of, less, set } => Some(less_than(
                share(record, (metric, JUDGED), of, set)?,
                share(record, (metric, JUDGED), less, set)?,
            )),
            Self::Beside { of, less, arm, set } => Some(less_than(
                share(record, (of, VOTED), arm, set)?,
                share(record, (less, VOTED), arm, set)?,
            )),
            Self::Change { metric, arm } => {
                let course = course(record, metric, arm);
                let (first, last) = (course.first()?, course.last()?);
                (course.len() > 1).then(|| Seed::uncounted(last - first))
            }
            Self::Saturation { metric, arm } => {
                let course = course(record, metric, arm);
                // Fewer have no halves.
                if course.len() < 3 {
                    return None;
                }
                let (first, last) = (course.first()?, course.last()?);
                let middle = course.get(course.len() / 2)?;
                Some(Seed::uncounted((last - middle) - (middle - first)))
            }
            Self::Last { metric, of, less } => {
                let end = |arm| {
                    let course = course(record, metric, arm);
                    if course.len() > 1 { course.last().copied() } else { None }
                };
                Some(Seed::uncounted(end(of)? - end(less)?))
            }
        }
    }

    /// For a reader of an estimate.
    fn label(&self) -> String {
        match self {
            Self::Difference { of, less, set, .. } => {
                format!("{of} less {less}, {set}")
            }
            Self::Beside { of, less, arm, set } => {
                format!("{of} less {less}, {arm}, {set}")
            }
            Self::Change { metric, arm } => {
                format!("{metric} of {arm}, last less first")
            }
            Self::Saturation { metric, arm } => {
                format!("{metric} of {arm}, second half less first")
            }
            Self::Last { metric, of, less } => {
                format!("last {metric}, {of} less {less}")
            }
        }
    }
}

/// What one seed says, as a share of its problems.
#[derive(Clone, Copy, Debug)]
struct Seed {
    value: f64,
    /// Where the number of problems is told.
    variance: Option<Variance>,
}

/// Of a difference of two shares of one seed.
#[derive(Clone, Copy, Debug)]
struct Variance {
    /// As if other problems had judged the second.
    apart: f64,
    /// The least that it can be, since the same did.
    least: f64,
}

impl Seed {
    /// A value of which no number of problems is told.
    fn uncounted(value: f64) -> Self {
        Self { value, variance: None }
    }

    /// What it says without others, in percentage points; `None` where
    /// nothing gives it an interval.
    fn alone(&self) -> Option<Estimate> {
        let Variance { apart, .. } = self.variance?;
        let point = 100.0 * self.value;
        let half = half_width(apart, 1);
        Some(Estimate {
            point,
            low: point - half,
            high: point + half,
            confidence: CONFIDENCE,
            n: 1,
            method: "one seed, by the number of its problems".to_owned(),
        })
    }
}

/// Half an interval, in percentage points, of the mean of `count` shares whose
/// variances add up to this.
fn half_width(variances: f64, count: usize) -> f64 {
    100.0 * TWO_SIDED * variances.max(0.0).sqrt() / count.max(1) as f64
}

/// The mean of several seeds, in percentage points.
fn over_seeds(each: &[Seed]) -> Option<Estimate> {
    let values: Vec<f64> = each.iter().map(|one| 100.0 * one.value).collect();
    let mean = mean_estimate(&values, CONFIDENCE).ok()?;
    let least = each.iter().filter_map(|one| one.variance);
    let half = half_width(least.map(|one| one.least).sum(), each.len());
    if half == 0.0 {
        return Some(mean);
    }
    let (low, high) = (mean.point - half, mean.point + half);
    Some(widened(mean, low, high, "the problems' own"))
}

/// A share, and of how many problems where that is told.
type Share = (f64, Option<f64>);

/// The difference of two shares of the same problems.
fn less_than((of, count): Share, (less, other): Share) -> Seed {
    let value = of - less;
    let variance = count.zip(other).map(|(count, other)| Variance {
        apart: of * (1.0 - of) / count + less * (1.0 - less) / other,
        least: (value.abs() - value * value) / count.min(other),
    });
    Seed { value, variance }
}

/// An arm's share on a set of problems, by the metric and that of their count.
fn share(
    record: &Record,
    (metric, counted): (&str, &str),
    arm: &str,
    set: &str,
) -> Option<Share> {
    let at = [(ARM, arm), (SET, set)];
    let share = record.metric_at(metric, &at).filter(|x| x.is_finite())?;
    let count = record.metric_at(counted, &at).filter(|count| *count >= 1.0);
    Some((share, count))
}

/// A metric of an arm by iteration, in their order. What was told twice, by a
/// study that went on after a kill, counts once: as it was told last.
fn course(record: &Record, metric: &str, arm: &str) -> Vec<f64> {
    let mut found: BTreeMap<u64, f64> = BTreeMap::new();
    for (at, value) in record.metric_values(metric) {
        let is_own = at.len() == 2 && at.get(ARM).is_some_and(|one| one == arm);
        let iteration = at.get(ITERATION).and_then(|text| text.parse().ok());
        if let (true, Some(iteration)) = (is_own, iteration)
            && value.is_finite()
        {
            found.insert(iteration, value);
        }
    }
    found.into_values().collect()
}
