//! Two run directories, case by case.
//!
//! One run a side cannot see what differs between runs (memory layout, the
//! hour, the neighbours): its null arm is the later half of the baseline
//! against the earlier, the drift inside a run. That is said once, in the
//! suite's notes.

use std::collections::BTreeMap;

use assay_schema::{
    Better, Case, Comparison, Metric, Outcome, Reading, Record, RunHeader,
    Verification,
};
use assay_statistics::{
    MetricKind, VerdictRule, find, median, units_of_series,
};

use super::metric_rows::{Evidence, is_judged};
use super::reasons::{Ceiling, Moved, Pair};
use super::rows::{Row, modes_of, percentiles};
use super::{SuiteFacts, failed_row, suite};

/// One run.
#[derive(Clone, Copy, Debug)]
pub struct RunSide<'a> {
    /// Its directory, as typed.
    pub name: &'a str,
    /// Its header.
    pub header: &'a RunHeader,
    /// Its cases.
    pub records: &'a [Record],
}

/// How two runs are compared.
pub struct RunOptions<'a> {
    /// The rule.
    pub rule: VerdictRule,
    /// Compare in spite of [`differences`]; each row then says so.
    pub forced: Vec<String>,
    /// The ceiling that this machine has for a case, where it was probed.
    pub ceiling: &'a dyn Fn(&Case) -> Option<Ceiling>,
}

/// Two runs, compared.
#[derive(Clone, Debug, PartialEq)]
pub struct RunComparison {
    /// The rows and the whole.
    pub comparison: Comparison,
    /// Cases that were well in the baseline and are not in the candidate.
    pub failed: Vec<String>,
}

/// What makes two runs incomparable, unless forced: another machine, device,
/// seed, unit; cases of the baseline that the candidate has not.
pub fn differences(
    baseline: &RunSide<'_>,
    candidate: &RunSide<'_>,
) -> Vec<String> {
    let (a, b) = (baseline.header, candidate.header);
    let mut found = Vec::new();
    let mut differ = |what: &str, a: &str, b: &str| {
        if a != b {
            found.push(format!(
                "other {what}: `{a}` in the baseline, `{b}` in the candidate"
            ));
        }
    };
    differ("host", &a.host.name, &b.host.name);
    differ("processor", &a.host.cpu, &b.host.cpu);
    let cores = [a.host.cores, b.host.cores].map(|n| n.to_string());
    differ("number of cores", &cores[0], &cores[1]);
    differ("device", &a.device, &b.device);
    let seeds = [a.plan.seed, b.plan.seed].map(|n| n.to_string());
    differ("seed", &seeds[0], &seeds[1]);
    let lost: Vec<String> = only_in(baseline.records, candidate.records);
    if !lost.is_empty() {
        found.push(format!(
            "other cases: the candidate has not {}",
            listed(&lost)
        ));
    }
    for (a, b) in pairs(baseline.records, candidate.records) {
        let units = last_metrics(b);
        for (name, metric) in last_metrics(a) {
            let other = units.get(name).map(|m| m.unit.as_str());
            if let Some(other) = other.filter(|other| *other != metric.unit) {
                found.push(format!(
                    "other unit: {name} of {} is in `{}` in the baseline, \
                     in `{other}` in the candidate",
                    a.case, metric.unit
                ));
            }
        }
    }
    found
}

/// Compares; `Err` where no case is in both, or none could be judged because
/// it is at fault on both sides.
///
/// # Errors
/// A sentence that names a case of each side, or the cases at fault.
pub fn compare_runs(
    baseline: &RunSide<'_>,
    candidate: &RunSide<'_>,
    options: &RunOptions<'_>,
) -> Result<RunComparison, String> {
    let pairs = pairs(baseline.records, candidate.records);
    if pairs.is_empty() {
        let first = |side: &RunSide<'_>| match side.records.first() {
            Some(record) => format!("{} has `{}`", side.name, record.case),
            None => format!("{} has none", side.name),
        };
        return Err(format!(
            "no case is in both runs: {}, {}",
            first(baseline),
            first(candidate)
        ));
    }
    let mut rows = Vec::new();
    let mut failed = Vec::new();
    let mut notes = notes(baseline, candidate, options);
    if pairs.iter().any(|(a, b)| is_unchecked(a) || is_unchecked(b)) {
        notes.push(
            "imported results: nobody here checked their answers".to_owned(),
        );
    }
    let mut at_fault = Vec::new();
    for (a, b) in pairs {
        let case = a.case.to_string();
        match (fault(a), fault(b)) {
            (None, Some(why)) => {
                let why = format!("{why}; it was well in the baseline");
                rows.push(failed_row(&case, why));
                failed.push(case);
                continue;
            }
            (Some(why), None) => {
                notes.push(format!("{case}: in the baseline {why}"));
                continue;
            }
            (Some(why), Some(_)) => {
                at_fault.push(format!("{case}: on both sides {why}"));
                continue;
            }
            (None, None) => {}
        }
        let mut of_case = case_rows(a, b, options);
        if let (Some(changed), Some(row)) =
            (answer_change(a, b), of_case.first_mut())
        {
            row.answer_changed = Some(changed.is_some());
            row.reasons.extend(changed);
        }
        rows.extend(of_case);
    }
    if rows.is_empty() && !at_fault.is_empty() {
        return Err(format!("no case could be judged: {}", listed(&at_fault)));
    }
    notes.extend(at_fault);
    for row in &mut rows {
        row.forced = !options.forced.is_empty();
        row.reasons.extend(
            options
                .forced
                .iter()
                .map(|why| format!("forced in spite of this: {why}")),
        );
    }
    let facts = SuiteFacts {
        kind: "run directories".to_owned(),
        baseline: baseline.name.to_owned(),
        candidate: candidate.name.to_owned(),
        notes,
    };
    let comparison = suite(rows, &options.rule, facts);
    Ok(RunComparison { comparison, failed })
}

fn notes(
    baseline: &RunSide<'_>,
    candidate: &RunSide<'_>,
    options: &RunOptions<'_>,
) -> Vec<String> {
    let mut notes = vec![
        "one run a side cannot see what differs between runs (memory layout, \
         the hour, the neighbours); the null here is drift inside the \
         baseline. For a verdict that sees more, compare in blocks: \
         `assay compare --bench` or `--exec`"
            .to_owned(),
    ];
    notes.extend(options.forced.iter().map(|why| format!("forced: {why}")));
    let (a, b) = (baseline.header, candidate.header);
    for (what, a, b) in [
        ("kernel", &a.host.kernel, &b.host.kernel),
        ("toolchain", &a.toolchain, &b.toolchain),
        ("version of assay", &a.assay_version, &b.assay_version),
    ] {
        if a != b {
            notes.push(format!("other {what}: `{a}`, then `{b}`"));
        }
    }
    for (side, header) in [("baseline", a), ("candidate", b)] {
        if header.dirty == Some(true) {
            notes.push(format!(
                "the {side}'s tree differed from commit {}",
                header.commit
            ));
        }
    }
    let new = only_in(candidate.records, baseline.records);
    if !new.is_empty() {
        notes.push(format!("only in the candidate: {}", listed(&new)));
    }
    notes
}

/// Records of the same case; the baseline's order.
fn pairs<'a>(
    baseline: &'a [Record],
    candidate: &'a [Record],
) -> Vec<(&'a Record, &'a Record)> {
    baseline
        .iter()
        .filter_map(|a| Some((a, candidate.iter().find(|b| b.case == a.case)?)))
        .collect()
}

fn only_in(these: &[Record], those: &[Record]) -> Vec<String> {
    these
        .iter()
        .filter(|record| !those.iter().any(|other| other.case == record.case))
        .map(|record| format!("`{}`", record.case))
        .collect()
}

/// The first few of a list, and how many more.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let mut text = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}

/// Whether a record is another tool's, which gives times and no answer.
fn is_unchecked(record: &Record) -> bool {
    record.verification.is_none()
        && record.warnings.iter().any(|warning| warning.kind == "imported")
}

/// Why a record is not to be compared.
fn fault(record: &Record) -> Option<String> {
    match &record.outcome {
        Outcome::Finished(_) => {}
        Outcome::Failed(why) => return Some(format!("it failed: {why}")),
        Outcome::Skipped(why) => return Some(format!("it was skipped: {why}")),
        Outcome::Unfinished => return Some("it has no end".to_owned()),
    }
    match &record.verification {
        Some(v) if v.passed() => None,
        Some(v) => Some(format!(
            "its answer is wrong: {:.1e} off {}, {:.0e} is allowed",
            v.relative_difference, v.against, v.tolerance
        )),
        None if is_unchecked(record) => None,
        None => Some("its answer was not verified".to_owned()),
    }
}

/// `None`: no answer on one side; `Some(None)`: the same; else how it
/// differs.
fn answer_change(a: &Record, b: &Record) -> Option<Option<String>> {
    let same = |a: f64, b: f64| a.to_bits() == b.to_bits();
    let (v, w) = (a.verification.as_ref()?, b.verification.as_ref()?);
    let kept = |v: &Verification, w: &Verification| {
        same(v.largest_difference, w.largest_difference)
            && same(v.relative_difference, w.relative_difference)
    };
    if v.against == w.against && !kept(v, w) {
        return Some(Some(format!(
            "the answer changed: it was {:.3e} off {}, now {:.3e}",
            v.largest_difference, v.against, w.largest_difference
        )));
    }
    let others = last_metrics(b);
    let moved = last_metrics(a).into_iter().find_map(|(name, metric)| {
        let (Reading::Value(was), Reading::Value(is)) =
            (&metric.reading, &others.get(name)?.reading)
        else {
            return None;
        };
        (name.starts_with("quality/") && !same(*was, *is))
            .then(|| format!("the answer changed: {name} was {was}, is {is}"))
    });
    Some(moved)
}

/// The last reading of each metric; those with axes of their own (an accuracy
/// at each signal-to-noise ratio) are for figures, their sum stands beside.
fn last_metrics(record: &Record) -> BTreeMap<&str, &Metric> {
    record
        .metrics
        .iter()
        .filter(|(_, metric)| metric.at.is_empty())
        .map(|(_, metric)| (metric.name.as_str(), metric))
        .collect()
}

fn case_rows(a: &Record, b: &Record, options: &RunOptions<'_>) -> Vec<Row> {
    let (parts, others) = (a.parts(), b.parts());
    let mut rows: Vec<Row> = parts
        .into_iter()
        .filter(|part| others.contains(part))
        .map(|part| time_row(a, b, part, options))
        .collect();
    if rows.is_empty() {
        let why = "no part of it was sampled on both sides";
        rows.push(failed_row(a.case.to_string(), why));
    }
    let readings = last_metrics(b);
    for (name, metric) in last_metrics(a) {
        if let Some(other) = readings.get(name)
            && is_judged(name, metric.better)
        {
            rows.extend(reading_row(&a.case, metric, other));
        }
    }
    rows
}

fn time_row(
    a: &Record,
    b: &Record,
    part: &str,
    options: &RunOptions<'_>,
) -> Row {
    let (before, after) = (a.steady_samples(part), b.steady_samples(part));
    let mut row = Row::of_time(a.case.to_string());
    if part != "step" {
        row.metric = format!("time/{part}");
    }
    row.raw_samples = (before.len() + after.len()) as u64;
    let bad = [("baseline", &before), ("candidate", &after)]
        .iter()
        .find_map(|(side, samples)| bad_sample(side, samples));
    if let Some(why) = bad {
        row.reasons.push(why);
        return row;
    }
    let (typical, now) = (median(&before).ok(), median(&after).ok());
    (row.baseline, row.candidate) = (typical, now);
    row.percentiles = percentiles(&before, &after);
    let impossible = [("baseline", a, typical), ("candidate", b, now)]
        .into_iter()
        .find_map(|(side, record, seconds)| {
            let work = record.work.as_ref().filter(|_| part == "step")?;
            let ceiling = (options.ceiling)(&record.case)?;
            let why = ceiling.refuses(work.flops.0, seconds?)?;
            Some(format!("{side} {why}; not judged"))
        });
    if let Some(why) = impossible {
        row.reasons.push(why);
        return row;
    }
    if before == after && before.len() > 1 {
        let why = "both sides hold the very same samples";
        row.reasons.push(why.to_owned());
    }
    let found = units_of_series(&before, &after).and_then(|units| {
        find(&units, MetricKind::Timed, Better::Lower, &options.rule)
    });
    match found {
        Ok(finding) => {
            row.moved = Some(Moved {
                time: finding.change.point,
                seconds: typical,
                beside: beside(a, b),
                modes: modes_of(&before, &after),
                shared_steal: None,
            });
            row.evidence = Evidence::Units(Box::new(finding));
        }
        Err(error) => row.reasons.push(error.to_string()),
    }
    row
}

/// What is wrong with a side's samples, in words.
fn bad_sample(side: &str, samples: &[f64]) -> Option<String> {
    if samples.is_empty() {
        return Some(format!("the {side} has no steady sample: not judged"));
    }
    let is_time = |value: &f64| value.is_finite() && *value > 0.0;
    if let Some(index) = samples.iter().position(|value| !is_time(value)) {
        return Some(format!(
            "steady sample {index} of the {side} is {} s; expected a time \
             above 0: not judged",
            samples[index]
        ));
    }
    let first = samples[0].to_bits();
    let equal = samples.iter().all(|value| value.to_bits() == first);
    (samples.len() > 1 && equal).then(|| {
        format!(
            "all {} samples of the {side} are equal: the clock is too \
             coarse; measure more iterations at a time",
            samples.len()
        )
    })
}

/// All readings that both sides have.
fn beside(a: &Record, b: &Record) -> BTreeMap<String, Pair> {
    let others = last_metrics(b);
    last_metrics(a)
        .into_iter()
        .filter_map(|(name, metric)| {
            let (Reading::Value(baseline), Reading::Value(candidate)) =
                (&metric.reading, &others.get(name)?.reading)
            else {
                return None;
            };
            let pair = Pair { baseline: *baseline, candidate: *candidate };
            Some((name.to_owned(), pair))
        })
        .collect()
}

/// A metric with one reading a side; none where neither has a value.
fn reading_row(case: &Case, a: &Metric, b: &Metric) -> Option<Row> {
    let mut row = Row::new(case.to_string(), &a.name, &a.unit, a.better);
    row.raw_samples = 2;
    let (Reading::Value(before), Reading::Value(after)) =
        (&a.reading, &b.reading)
    else {
        let (side, why) = match (&a.reading, &b.reading) {
            (Reading::Unavailable(why), Reading::Value(_)) => ("baseline", why),
            (Reading::Value(_), Reading::Unavailable(why)) => {
                ("candidate", why)
            }
            _ => return None,
        };
        row.reasons.push(format!("the {side} has none: {why}"));
        return Some(row);
    };
    (row.baseline, row.candidate) = (Some(*before), Some(*after));
    if a.unit != b.unit {
        row.reasons.push(format!(
            "in `{}` in the baseline and in `{}` in the candidate: not judged",
            a.unit, b.unit
        ));
    } else if !before.is_finite() || !after.is_finite() {
        row.reasons.push(format!(
            "{before} in the baseline, {after} in the candidate: not judged"
        ));
    } else if repeats(&a.name, *before, *after) {
        row.evidence = Evidence::Exact;
    } else {
        row.reasons.push(format!(
            "one reading a side ({before} and {after}) has no interval: shown, \
             not judged"
        ));
    }
    Some(row)
}

/// Whether one reading is enough because it repeats by its nature: quality
/// with the same seed, the peak of a counting allocator, whole counts.
fn repeats(name: &str, a: f64, b: f64) -> bool {
    let whole = a.fract() == 0.0 && b.fract() == 0.0;
    name.starts_with("quality/")
        || name == "memory_peak"
        || (name == "allocations" && whole)
}

#[cfg(test)]
mod tests;
