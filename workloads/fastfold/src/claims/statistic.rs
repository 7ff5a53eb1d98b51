//! The statistics that judge the claims, with their intervals.
//!
//! A prediction brings its band. A peak of memory is counted by the trace and
//! has none; where a source leaves open whether it counts GB or GiB, the
//! interval goes from the one to the other. A number over several lengths has
//! their range.

use std::collections::BTreeMap;

use assay_schema::{Case, ClaimData, Estimate, PublishedPoint};
use assay_statistics::{Term, geometric_mean, ratio_estimate, recomputed};

use super::runs::{Like, Run, Shared};

/// What two runs are compared by.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    Time,
    Memory,
}

/// What a published amount of memory counts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unit {
    /// GiB.
    Gibibytes,
    /// The source says GB, and may mean GiB.
    GbOrGib,
}

/// Of savings at several lengths.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pick {
    /// Their median, with their range.
    Typical,
    /// The largest.
    Largest,
}

/// What is computed of runs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Statistic {
    /// Latency over each published one of a source; geometric mean. The
    /// profile is the published one's.
    Latency {
        source: &'static str,
        path: &'static str,
        precision: &'static str,
    },
    /// A case with one value of an axis over the same case with another, at
    /// the largest size.
    Ratio {
        of: Like,
        axis: &'static str,
        /// The value above, and the one below the line.
        over: [&'static str; 2],
        what: What,
    },
    /// The smallest peak, times a factor.
    Memory { of: Like, chunked: bool, factor: f64, unit: Unit },
    /// The share of memory that chunks save, percent.
    Saving { of: Like, pick: Pick },
    /// What saving 80 % costs in time, percent.
    Slowing { of: Like },
    /// The longest length that fits with chunks over that without.
    Lengthening { of: Like },
    /// The longest length that fits, once so many residues were tried.
    Longest { of: Like, tried: f64 },
    /// Parameters, times a factor.
    Parameters { of: Like, factor: f64 },
    /// TFLOP/s.
    Rate { of: Like },
    /// A sum of published numbers over another; over 1 where that is empty.
    Recomputed { of: &'static [Term], over: &'static [Term] },
}

impl Statistic {
    /// Its value, where the runs have what it takes.
    pub(super) fn of(
        &self,
        runs: &[&Run],
        points: &[PublishedPoint],
    ) -> Option<Estimate> {
        let those = |like: &Like| -> Vec<&Run> {
            runs.iter().copied().filter(|run| run.is(like)).collect()
        };
        match self {
            Self::Latency { source, path, precision } => {
                latency(runs, &rows(points, source, path, precision))
            }
            Self::Ratio { of, axis, over, what } => {
                ratio(&those(of), axis, *over, *what)
            }
            Self::Memory { of, chunked, factor, unit } => {
                memory(&those(of), *chunked, *factor, *unit)
            }
            Self::Saving { of, pick } => saving(&those(of), *pick),
            Self::Slowing { of } => slowing(&those(of)),
            Self::Lengthening { of } => lengthening(&those(of)),
            Self::Longest { of, tried } => longest(&those(of), *tried),
            Self::Parameters { of, factor } => {
                let run = *those(of).first()?;
                Some(exact(factor * run.parameters?, run.label()))
            }
            Self::Rate { of } => {
                let run = *those(of).first()?;
                Some(run.time.as_ref()?.inverted(1e-12 * run.flops?))
            }
            Self::Recomputed { of, over } => recomputed(points, of, over),
        }
    }
}

fn exact(point: f64, method: String) -> Estimate {
    let (low, high) = (point, point);
    Estimate { point, low, high, confidence: 1.0, n: 0, method }
}

/// Published latencies of a source with their cases.
pub(super) fn rows<'p>(
    points: &'p [PublishedPoint],
    source: &str,
    path: &str,
    precision: &str,
) -> Vec<(Case, &'p PublishedPoint)> {
    points
        .iter()
        .filter(|point| point.metric == "time" && point.source == source)
        .filter_map(|point| Some((point.case.parse::<Case>().ok()?, point)))
        .filter(|(case, _)| {
            case.path() == path && case.axis("precision") == Some(precision)
        })
        .collect()
}

/// `None` unless every row has its prediction: a mean over fewer sizes would
/// be another number.
fn latency(
    runs: &[&Run],
    rows: &[(Case, &PublishedPoint)],
) -> Option<Estimate> {
    let ratios = rows
        .iter()
        .map(|(case, point)| {
            let run = runs.iter().find(|run| {
                run.path == case.path()
                    && run.place == point.profile
                    && run.has(&case.axes)
            })?;
            Some(run.time.as_ref()?.scaled(1.0 / point.value))
        })
        .collect::<Option<Vec<Estimate>>>()?;
    let all = |end: fn(&Estimate) -> f64| -> Vec<f64> {
        ratios.iter().map(end).collect()
    };
    let points = all(|ratio| ratio.point);
    let each: Vec<String> =
        points.iter().map(|ratio| format!("{ratio:.2}")).collect();
    Some(Estimate {
        point: geometric_mean(&points).ok()?,
        low: geometric_mean(&all(|ratio| ratio.low)).ok()?,
        high: geometric_mean(&all(|ratio| ratio.high)).ok()?,
        confidence: ratios.first()?.confidence,
        n: 0,
        method: format!(
            "geometric mean of {}; ends are the bands' own",
            each.join(", ")
        ),
    })
}

/// The time of one run over that of another on the same place.
fn time_ratio(above: &Run, below: &Run) -> Option<Estimate> {
    let (a, b) = (above.time.as_ref()?, below.time.as_ref()?);
    match above.data {
        // One machine, one model of it: the errors of the two share their
        // sign, so the band of the ratio is not the bands' ratio. Half of one
        // band, on a logarithmic scale.
        ClaimData::Predicted => {
            let point = a.point / b.point;
            Some(Estimate {
                point,
                low: point * (a.low / a.point).sqrt(),
                high: point * (a.high / a.point).sqrt(),
                method: "ratio of predictions, half of the band".to_owned(),
                ..a.clone()
            })
        }
        ClaimData::Generated | ClaimData::Real | ClaimData::Published => {
            ratio_estimate(a, b).ok()
        }
    }
}

fn ratio(
    runs: &[&Run],
    axis: &str,
    [above, below]: [&str; 2],
    what: What,
) -> Option<Estimate> {
    let with = |value: &str| {
        let value = value.to_owned();
        let has = move |run: &&&Run| run.axis(axis) == Some(value.as_str());
        runs.iter().filter(has)
    };
    let pair = |top: &Run| {
        let shared = top.without(&[axis]);
        let bottom = with(below).find(|run| run.without(&[axis]) == shared)?;
        match what {
            What::Time => time_ratio(top, bottom),
            What::Memory => {
                let ratio = top.peak? / bottom.peak?;
                Some(exact(ratio, "ratio of traced peaks".to_owned()))
            }
        }
    };
    let (top, mut estimate) = with(above)
        .filter_map(|top| Some((top, pair(top)?)))
        .max_by(|(a, _), (b, _)| a.size().total_cmp(&b.size()))?;
    estimate.method =
        format!("{}; {} over {below}", estimate.method, top.label());
    Some(estimate)
}

fn memory(
    runs: &[&Run],
    chunked: bool,
    factor: f64,
    unit: Unit,
) -> Option<Estimate> {
    let (run, peak) = runs
        .iter()
        .filter(|run| run.is_limited() == chunked)
        .filter_map(|run| Some((run, run.peak?)))
        .min_by(|(_, a), (_, b)| a.total_cmp(b))?;
    let bytes = factor * peak;
    let gib = exact(bytes / f64::from(1 << 30), run.label());
    Some(match unit {
        Unit::Gibibytes => gib,
        Unit::GbOrGib => {
            Estimate { point: bytes / 1e9, high: bytes / 1e9, ..gib }
        }
    })
}

/// A case without a memory limit, and the same with one or several.
struct Chunked<'r> {
    free: &'r Run,
    limited: Vec<&'r Run>,
}

impl Chunked<'_> {
    /// Percent of memory that a limited run saves.
    fn saving(&self, limited: &Run) -> Option<f64> {
        Some(100.0 * (1.0 - limited.peak? / self.free.peak?))
    }
}

fn chunked<'r>(runs: &[&'r Run]) -> Vec<Chunked<'r>> {
    let dropped = ["memory_limit"];
    runs.iter()
        .filter(|run| !run.is_limited())
        .map(|&free| {
            let shared = free.without(&dropped);
            let limited = runs
                .iter()
                .copied()
                .filter(|run| run.is_limited())
                .filter(|run| run.without(&dropped) == shared)
                .collect();
            Chunked { free, limited }
        })
        .collect()
}

fn saving(runs: &[&Run], pick: Pick) -> Option<Estimate> {
    let mut savings: Vec<f64> = chunked(runs)
        .iter()
        .filter_map(|case| {
            let each = case.limited.iter().filter_map(|run| case.saving(run));
            each.reduce(f64::max)
        })
        .collect();
    savings.sort_by(f64::total_cmp);
    let (&low, &high) = (savings.first()?, savings.last()?);
    // Measured peaks are repetitions over lengths; predictions have none.
    let measured = runs.iter().all(|run| run.data == ClaimData::Generated);
    let n = if measured { savings.len() as u64 } else { 0 };
    let count = savings.len();
    let estimate = match pick {
        Pick::Largest => exact(high, format!("largest of {count} cases")),
        Pick::Typical => {
            let middle = (savings[(count - 1) / 2] + savings[count / 2]) / 2.0;
            let method = format!("median of {count} cases, their range");
            Estimate { low, high, ..exact(middle, method) }
        }
    };
    Some(Estimate { n, ..estimate })
}

/// The share of memory that chunks must save for their cost to count, percent.
const SAVED: f64 = 80.0;

fn slowing(runs: &[&Run]) -> Option<Estimate> {
    let by_point = |a: &Estimate, b: &Estimate| a.point.total_cmp(&b.point);
    let worst = chunked(runs)
        .iter()
        .filter_map(|case| {
            case.limited
                .iter()
                .filter(|run| case.saving(run).is_some_and(|s| s >= SAVED))
                .filter_map(|run| {
                    let ratio = time_ratio(run, case.free)?;
                    let method = format!("{}; {}", ratio.method, run.label());
                    Some(Estimate { method, ..ratio })
                })
                .min_by(by_point)
        })
        .max_by(by_point)?;
    let percent = |ratio: f64| 100.0 * (ratio - 1.0);
    Some(Estimate {
        point: percent(worst.point),
        low: percent(worst.low),
        high: percent(worst.high),
        ..worst
    })
}

/// Residues of the runs that fit, or that do not.
fn lengths<'a>(
    runs: &'a [&'a Run],
    fits: bool,
    limited: bool,
) -> impl Iterator<Item = f64> + 'a {
    runs.iter()
        .filter(move |run| run.is_limited() == limited)
        .filter(move |run| run.fits == Some(fits))
        .filter_map(|run| run.number("residues"))
}

fn lengthening(runs: &[&Run]) -> Option<Estimate> {
    let mut groups: BTreeMap<Shared, Vec<&Run>> = BTreeMap::new();
    for run in runs {
        let shared = run.without(&["residues", "memory_limit"]);
        groups.entry(shared).or_default().push(run);
    }
    groups.into_values().find_map(|group| {
        let without = lengths(&group, true, false).reduce(f64::max)?;
        let beyond = lengths(&group, false, false)
            .filter(|&length| length > without)
            .reduce(f64::min)?;
        let with = lengths(&group, true, true).reduce(f64::max)?.max(without);
        let method = format!(
            "{with} residues with chunks, {without} without; {beyond} do not \
             fit without"
        );
        let ratio = exact(with / without, method);
        Some(Estimate { low: with / beyond, ..ratio })
    })
}

fn longest(runs: &[&Run], tried: f64) -> Option<Estimate> {
    let fitting = runs
        .iter()
        .filter(|run| run.fits == Some(true))
        .filter_map(|run| Some((run.number("residues")?, run.label())))
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    let (fit, label) = fitting.unwrap_or((0.0, "nothing fits".to_owned()));
    let beyond = lengths(runs, false, true)
        .filter(|&length| length > fit)
        .reduce(f64::min);
    // Shorter lengths alone would contradict a claim that nobody tried.
    if fit.max(beyond.unwrap_or(0.0)) < tried {
        return None;
    }
    let estimate = exact(fit, label);
    Some(match beyond {
        None => estimate,
        Some(beyond) => Estimate { high: beyond - 1.0, ..estimate },
    })
}
