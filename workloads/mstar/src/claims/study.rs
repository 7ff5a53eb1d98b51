//! Records of studies, gathered by what they share, and the statistics over
//! their seeds, in percentage points.
//!
//! A mean over seeds has Student's interval. A share of `m` problems has an
//! interval of its own beside that: the difference of two shares `a` and `b`
//! of one seed has the variance `a (1 - a) / m + b (1 - b) / m` as if other
//! problems had judged the second, although the same did, which is on the safe
//! side. Each seed judges on problems of its own, so that over `n` seeds the
//! interval of a difference is at least
//!
//! ```text
//! mean +- 1.96 sqrt( sum over seeds of the variances ) / n
//! ```

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use assay_schema::{Estimate, Record};
use assay_statistics::mean_estimate;

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

/// Records that differ in their seeds alone, and in how many arms they have.
pub(super) struct Study<'a> {
    /// The case without its axes.
    path: String,
    /// Axes but those, and the device.
    shared: (BTreeMap<&'a str, &'a str>, &'a str),
    /// The latest first.
    records: Vec<&'a Record>,
}

/// The sound studies of this workload, gathered.
pub(super) fn studies(records: &[Record]) -> Vec<Study<'_>> {
    let mut own: Vec<&Record> = records
        .iter()
        .filter(|record| {
            STUDIES.contains(&record.case.path().as_str()) && record.is_sound()
        })
        .collect();
    own.sort_by_key(|record| Reverse(record.started));
    let mut studies: Vec<Study<'_>> = Vec::new();
    for record in own {
        let axes: BTreeMap<&str, &str> = record
            .case
            .axes
            .iter()
            .map(|(axis, value)| (axis.as_str(), value.as_str()))
            .filter(|(axis, _)| !OWN.contains(axis))
            .collect();
        let shared = (axes, record.device.as_str());
        let path = record.case.path();
        let met = studies
            .iter_mut()
            .find(|study| study.path == path && study.shared == shared);
        match met {
            Some(study) => study.records.push(record),
            None => {
                studies.push(Study { path, shared, records: vec![record] });
            }
        }
    }
    studies
}

fn seed_of(record: &Record) -> &str {
    record.case.axis("seed").unwrap_or_default()
}

impl Study<'_> {
    /// Of each seed, the value in the latest record that has it.
    fn over_seeds<T>(&self, of: impl Fn(&Record) -> Option<T>) -> Vec<T> {
        let seeds: BTreeSet<&str> =
            self.records.iter().map(|record| seed_of(record)).collect();
        seeds
            .into_iter()
            .filter_map(|seed| {
                self.records
                    .iter()
                    .copied()
                    .filter(|record| seed_of(record) == seed)
                    .find_map(&of)
            })
            .collect()
    }

    /// Under what conditions, for a reader of an estimate.
    fn conditions(&self) -> String {
        let (axes, device) = &self.shared;
        let mut text = self.path.clone();
        for (axis, value) in axes {
            text.push_str(&format!(" {axis}={value}"));
        }
        format!("{text} on {device}")
    }
}

impl OfStudies {
    /// Its value for a study; `None` where no seed has what it takes.
    pub(super) fn of(&self, study: &Study<'_>) -> Option<Estimate> {
        let each = study.over_seeds(|record| self.of_seed(record));
        let differences: Vec<f64> =
            each.iter().map(|(value, _)| 100.0 * value).collect();
        let mean = mean(&differences)?;
        let variance: f64 = each.iter().map(|(_, variance)| variance).sum();
        let count = each.len() as f64;
        let half = 100.0 * TWO_SIDED * variance.max(0.0).sqrt() / count;
        let mut method = mean.method.clone();
        if half > 0.0 {
            method.push_str(", at least the problems' own");
        }
        Some(Estimate {
            low: mean.low.min(mean.point - half),
            high: mean.high.max(mean.point + half),
            method: format!(
                "{method}; {}; {}",
                self.label(),
                study.conditions()
            ),
            ..mean
        })
    }

    /// Its value in one record, as a share, with its variance by the number
    /// of problems; 0 where that is not known.
    fn of_seed(&self, record: &Record) -> Option<(f64, f64)> {
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
                (course.len() > 1).then_some((last - first, 0.0))
            }
            Self::Saturation { metric, arm } => {
                let course = course(record, metric, arm);
                // Fewer have no halves.
                if course.len() < 3 {
                    return None;
                }
                let (first, last) = (course.first()?, course.last()?);
                let middle = course.get(course.len() / 2)?;
                Some(((last - middle) - (middle - first), 0.0))
            }
            Self::Last { metric, of, less } => {
                let end = |arm| {
                    let course = course(record, metric, arm);
                    if course.len() > 1 { course.last().copied() } else { None }
                };
                Some((end(of)? - end(less)?, 0.0))
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

/// A share with its binomial variance.
type Share = (f64, f64);

/// Their difference.
fn less_than(of: Share, less: Share) -> Share {
    (of.0 - less.0, of.1 + less.1)
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
    let variance = match record.metric_at(counted, &at) {
        Some(count) if count >= 1.0 => share * (1.0 - share) / count,
        Some(_) | None => 0.0,
    };
    Some((share, variance))
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

/// What one seed says has no interval of seeds.
fn mean(values: &[f64]) -> Option<Estimate> {
    match values {
        [value] => Some(Estimate {
            point: *value,
            low: *value,
            high: *value,
            confidence: CONFIDENCE,
            n: 1,
            method: "one seed".to_owned(),
        }),
        values => mean_estimate(values, CONFIDENCE).ok(),
    }
}
