//! Records of studies, gathered by what they share, and the statistics over
//! their seeds.
//!
//! A mean over seeds has Student's interval. Each Frechet distance has an
//! interval of its own beside that, since it stands on so many pictures:
//! `s` is half of it on a logarithmic scale. The distances of one seed are
//! compared as if they were independent, although the same noise made the
//! pictures, which is on the safe side; over `n` seeds the ratio's interval is
//! then at least
//!
//! ```text
//! ln r +- sqrt( sum over seeds of (s_of^2 + s_over^2) ) / n
//! ```
//!
//! so that a few seeds that agree by luck do not say more than their pictures.

use std::collections::BTreeMap;

pub(super) use assay_statistics::Study;

use assay_schema::{Estimate, Record};
use assay_statistics::{mean_over_seeds, ratio_over_seeds, widened};

/// The case whose records judge: the tiny pipeline is for tests.
pub(super) const STUDY: &str = "instaflow/small/study";

/// The distance whose sampling interval stands beside it.
pub(super) const FRECHET: &str = "quality/frechet_distance";
const FRECHET_LOW: &str = "quality/frechet_low";
const FRECHET_HIGH: &str = "quality/frechet_high";

/// Half of an interval that reaches 0, on a logarithmic scale: a factor of 10.
const WIDE: f64 = std::f64::consts::LN_10;

/// The share of pictures that show their caption, and how many were judged.
const AGREEMENT: &str = "quality/agreement";
const EVALUATED: &str = "evaluated";

/// What an interval over few seeds is never narrower than.
const PICTURES: &str = "the pictures' own";

/// Axes of a quality.
const METHOD: &str = "method";
const STEPS: &str = "steps";
const GUIDANCE: &str = "guidance";

/// Axes in which records of one study may differ: seeds are its repetitions,
/// and a study of more methods does the same for those that both have.
const OWN: [&str; 2] = ["seed", "methods"];

/// The confidence of intervals over seeds.
const CONFIDENCE: f64 = 0.95;

/// What was judged: pictures of a method in so many steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    pub(super) method: &'static str,
    /// `None`: the quality is of the method, however many steps stand there.
    pub(super) steps: Option<&'static str>,
}

/// What is computed of a study, seed by seed.
#[derive(Clone, Copy, Debug)]
pub(super) enum OfStudies {
    /// A quality of one setting over that of another.
    Ratio { metric: &'static str, of: Setting, over: Setting },
    /// A quality of one setting less that of another.
    Difference { metric: &'static str, of: Setting, less: Setting },
    /// The guidance scale of the smallest Frechet distance.
    BestGuidance { of: Setting },
}

/// The sound studies of this workload, gathered.
pub(super) fn studies(records: &[Record]) -> Vec<Study<'_>> {
    assay_statistics::studies(records, &[STUDY], &OWN)
}

impl Setting {
    /// Whether a quality was taken there, and is no part of it: neither at a
    /// guidance of its own nor of one part of the time.
    fn is_at(&self, at: &BTreeMap<String, String>) -> bool {
        at.keys().all(|axis| axis == METHOD || axis == STEPS) && self.fits(at)
    }

    fn fits(&self, at: &BTreeMap<String, String>) -> bool {
        at.get(METHOD).is_some_and(|found| found == self.method)
            && self.steps.is_none_or(|steps| {
                at.get(STEPS).is_some_and(|found| found == steps)
            })
    }

    /// Its last value in a record.
    fn value(&self, record: &Record, metric: &str) -> Option<f64> {
        record
            .metric_values(metric)
            .filter(|(at, value)| value.is_finite() && self.is_at(at))
            .map(|(_, value)| value)
            .last()
    }

    /// Half of the sampling interval of a Frechet distance on a logarithmic
    /// scale, the wider half; 0 without one. One that reaches 0 has no
    /// logarithm: it is as good as none.
    fn sampling(&self, record: &Record) -> f64 {
        let ends = [FRECHET_LOW, FRECHET, FRECHET_HIGH]
            .map(|metric| self.value(record, metric));
        let [Some(low), Some(point), Some(high)] = ends else { return 0.0 };
        let below = if low > 0.0 { (point / low).ln() } else { WIDE };
        (high / point).ln().max(below).max(0.0)
    }

    /// For a reader of an estimate.
    fn label(&self) -> String {
        match self.steps {
            None => self.method.to_owned(),
            Some("1") => format!("{} in 1 step", self.method),
            Some(steps) => format!("{} in {steps} steps", self.method),
        }
    }
}

impl OfStudies {
    /// Its value for a study; `None` where no seed has what it takes.
    pub(super) fn of(&self, study: &Study<'_>) -> Option<Estimate> {
        let (estimate, what) = match self {
            Self::Ratio { metric, of, over } => (
                ratio(study, metric, of, over)?,
                format!("{} over {}", of.label(), over.label()),
            ),
            Self::Difference { metric, of, less } => {
                let what = format!("{} less {}", of.label(), less.label());
                (difference(study, metric, of, less)?, what)
            }
            Self::BestGuidance { of } => {
                (best_guidance(study, of)?, of.label())
            }
        };
        Some(study.labelled(estimate, &what))
    }
}

fn ratio(
    study: &Study<'_>,
    metric: &str,
    of: &Setting,
    over: &Setting,
) -> Option<Estimate> {
    let is_sampled = metric == FRECHET;
    let each = study.over_seeds(|record| {
        let ratio = of.value(record, metric)? / over.value(record, metric)?;
        let half = if is_sampled {
            of.sampling(record).hypot(over.sampling(record))
        } else {
            0.0
        };
        (ratio.is_finite() && ratio > 0.0).then_some((ratio, half))
    });
    let ratios: Vec<f64> = each.iter().map(|(ratio, _)| *ratio).collect();
    let mean = ratio_over_seeds(&ratios, CONFIDENCE).ok()?;
    if !is_sampled {
        return Some(mean);
    }
    let squares: f64 = each.iter().map(|(_, half)| half * half).sum();
    let half = squares.sqrt() / each.len() as f64;
    let (low, high) = (mean.point * (-half).exp(), mean.point * half.exp());
    Some(widened(mean, low, high, PICTURES))
}

/// A share of so many pictures has an interval of its own (normal, 95 %): over
/// seeds the difference's is never narrower than theirs together.
fn difference(
    study: &Study<'_>,
    metric: &str,
    of: &Setting,
    less: &Setting,
) -> Option<Estimate> {
    let each = study.over_seeds(|record| {
        let [a, b] = [of, less].map(|one| one.value(record, metric));
        let (a, b) = (a?, b?);
        let count = record.case.axis(EVALUATED).and_then(|n| n.parse().ok());
        let variance = match count {
            Some(count) if metric == AGREEMENT => {
                (a * (1.0 - a) + b * (1.0 - b)) / f64::max(count, 1.0)
            }
            _ => 0.0,
        };
        Some((a - b, variance))
    });
    let differences: Vec<f64> = each.iter().map(|(value, _)| *value).collect();
    let mean = mean_over_seeds(&differences, CONFIDENCE).ok()?;
    let variance: f64 = each.iter().map(|(_, variance)| variance).sum();
    let half = 1.96 * variance.max(0.0).sqrt() / each.len() as f64;
    if half == 0.0 {
        return Some(mean);
    }
    let (low, high) = (mean.point - half, mean.point + half);
    Some(widened(mean, low, high, PICTURES))
}

/// The best of the scales that were tried lies between its neighbours.
fn best_guidance(study: &Study<'_>, of: &Setting) -> Option<Estimate> {
    let each = study.over_seeds(|record| {
        let mut tried: Vec<(f64, f64)> = record
            .metric_values(FRECHET)
            .filter(|(at, value)| value.is_finite() && of.fits(at))
            .filter_map(|(at, value)| {
                Some((at.get(GUIDANCE)?.parse().ok()?, value))
            })
            .collect();
        tried.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        // Fewer have no neighbours to lie between.
        if tried.len() < 3 {
            return None;
        }
        let best = tried
            .iter()
            .enumerate()
            .min_by(|(_, (_, a)), (_, (_, b))| a.total_cmp(b))
            .map(|(place, _)| place)?;
        let next = (best + 1).min(tried.len() - 1);
        let places = [best.saturating_sub(1), best, next];
        Some(places.map(|place| tried[place].0))
    });
    let column = |i: usize| -> Vec<f64> {
        each.iter().map(|scales| scales[i]).collect()
    };
    let average = |values: &[f64]| {
        values.iter().sum::<f64>() / values.len().max(1) as f64
    };
    let best = mean_over_seeds(&column(1), CONFIDENCE).ok()?;
    let (low, high) = (average(&column(0)), average(&column(2)));
    Some(widened(best, low, high, "to the next scales"))
}
