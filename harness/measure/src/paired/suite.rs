//! Rows put together: judged as one suite, ordered, counted.

use assay_schema::{
    Better, Change, Comparison, ComparisonRow, ComparisonSuite,
    DetectableChange, Verdict,
};
use assay_statistics::{Finding, Judged, VerdictRule, judge};

use super::metric_rows::{Evidence, exact};
use super::rows::{Row, row_count, time_finding};
use super::{Moved, PairedRun, reasons};

/// What is known of the whole before any row is judged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SuiteFacts {
    /// `run directories`, `commands in blocks` or `benchmarks in lockstep`.
    pub kind: String,
    /// What stands as the baseline.
    pub baseline: String,
    /// What stands as the candidate.
    pub candidate: String,
    /// What a reader must know.
    pub notes: Vec<String>,
}

/// The row of a case that could not be compared.
pub fn failed_row(case: impl Into<String>, why: impl Into<String>) -> Row {
    Row { reasons: vec![why.into()], ..Row::of_time(case) }
}

/// Whether a run's time already has a verdict that will stand in a suite of
/// so many benchmarks like it: the question that `--prove` asks after each round.
///
/// A call counts only once its p is small enough to pass the suite's
/// adjustment whatever the other rows say; `same` needs no adjustment.
pub fn is_decided(
    run: &PairedRun,
    rule: &VerdictRule,
    benchmarks: usize,
) -> bool {
    let rows = benchmarks.max(1) * row_count(run);
    let needed = rule.false_discovery_rate / rows as f64;
    time_finding(run, rule).is_ok_and(|finding| {
        judge(&[finding], rule).iter().all(|judged| match judged.verdict {
            Verdict::Faster | Verdict::Slower => {
                judged.p.is_some_and(|p| p <= needed)
            }
            Verdict::Same => true,
            Verdict::Unclear => false,
        })
    })
}

/// Judges rows as one suite; worst first.
pub fn suite(
    rows: Vec<Row>,
    rule: &VerdictRule,
    facts: SuiteFacts,
) -> Comparison {
    let findings: Vec<Finding> = rows
        .iter()
        .filter_map(|row| match &row.evidence {
            Evidence::Units(finding) => Some(Finding::clone(finding)),
            Evidence::Exact | Evidence::None | Evidence::Unread => None,
        })
        .collect();
    let mut judged = judge(&findings, rule).into_iter();
    let mut nulls = (0, 0);
    let mut finished: Vec<ComparisonRow> = rows
        .into_iter()
        .map(|row| match row.evidence.clone() {
            Evidence::Units(finding) => match judged.next() {
                Some(judged) => {
                    nulls.0 += u64::from(judged.null_called);
                    nulls.1 += u64::from(finding.null_change.is_some());
                    of_units(row, &finding, judged)
                }
                None => blank(row), // Not while judge gives one for one.
            },
            Evidence::Exact => of_values(row, rule),
            Evidence::None => blank(row),
            Evidence::Unread => ComparisonRow { unread: true, ..blank(row) },
        })
        .collect();
    finished.sort_by(|a, b| {
        key(a).partial_cmp(&key(b)).unwrap_or_else(|| a.case.cmp(&b.case))
    });
    let count = |verdict: Verdict| {
        let is_time = |row: &&ComparisonRow| {
            row.metric == "time" || row.metric.starts_with("time/")
        };
        let found = |row: &&ComparisonRow| row.verdict == verdict;
        finished.iter().filter(is_time).filter(found).count() as u64
    };
    Comparison {
        suite: ComparisonSuite {
            kind: facts.kind,
            baseline: facts.baseline,
            candidate: facts.candidate,
            faster: count(Verdict::Faster),
            slower: count(Verdict::Slower),
            same: count(Verdict::Same),
            unclear: count(Verdict::Unclear),
            floor: rule.floor,
            equivalence: rule.equivalence,
            any_time: rule.any_time,
            false_discovery_rate: rule.false_discovery_rate,
            null_calls: nulls.0,
            null_arms: nulls.1,
            output_changed: output_changed(&finished),
            notes: facts.notes,
        },
        rows: finished,
    }
}

/// Whether any answer changed: `None` where none was compared.
fn output_changed(rows: &[ComparisonRow]) -> Option<bool> {
    let answers = rows.iter().filter_map(|row| row.answer_changed);
    answers.reduce(|any, changed| any || changed)
}

/// Worst first: failed, slower, unclear, same, faster, not read here; the
/// larger change first among the worse ones, last among the better.
fn key(row: &ComparisonRow) -> (u8, f64) {
    if row.unread {
        return (5, 0.0);
    }
    if row.raw_samples == 0 && row.change.is_none() {
        return (0, 0.0);
    }
    let change = row.change.map_or(0.0, |change| change.point);
    let worse = match row.better {
        Better::Higher => -change,
        Better::Lower | Better::Neither => change,
    };
    match row.verdict {
        Verdict::Slower => (1, -worse),
        Verdict::Unclear => (2, -change.abs()),
        Verdict::Same => (3, -worse),
        Verdict::Faster => (4, -worse),
    }
}

fn of_units(row: Row, finding: &Finding, judged: Judged) -> ComparisonRow {
    let moved = row.moved.clone();
    let mut made = blank(row);
    made.verdict = judged.verdict;
    made.change = Some(finding.change);
    made.change_any_time = Some(finding.change_any_time);
    made.null_change = finding.null_change;
    made.minimum_detectable_change = Some(judged.detectable);
    made.samples = finding.n;
    made.p = judged.p;
    made.p_adjusted = judged.p_adjusted;
    let known = std::mem::take(&mut made.reasons);
    made.reasons = judged.why;
    let flagged = matches!(judged.verdict, Verdict::Faster | Verdict::Slower);
    if let Some(moved) = moved
        && (flagged || moved.modes.is_some())
    {
        let shown = if flagged {
            moved
        } else {
            // What moved beside a time that did not is no reason.
            let beside = Default::default();
            Moved { beside, shared_steal: None, ..moved }
        };
        made.reasons.extend(reasons(&shown));
    }
    made.reasons.extend(known);
    made
}

fn of_values(row: Row, rule: &VerdictRule) -> ComparisonRow {
    let better = row.better;
    let mut made = blank(row);
    let (Some(baseline), Some(candidate)) = (made.baseline, made.candidate)
    else {
        return made;
    };
    let (verdict, change, sentence) = exact(baseline, candidate, better, rule);
    made.verdict = verdict;
    made.change = change;
    made.change_any_time = change;
    // Two readings alone have not been held against themselves.
    made.null_change = (made.raw_samples > 2).then_some(Change {
        point: 0.0,
        low: 0.0,
        high: 0.0,
        confidence: 1.0,
    });
    made.minimum_detectable_change =
        Some(DetectableChange { power_80: rule.floor, power_95: rule.floor });
    made.samples = 1;
    made.reasons.insert(0, sentence);
    made
}

/// A row without a number to judge.
fn blank(row: Row) -> ComparisonRow {
    let finite = |value: Option<f64>| value.filter(|v| v.is_finite());
    ComparisonRow {
        case: row.case,
        metric: row.metric,
        unit: row.unit,
        verdict: Verdict::Unclear,
        change: None,
        change_any_time: None,
        better: row.better,
        null_change: None,
        minimum_detectable_change: None,
        samples: 0,
        raw_samples: row.raw_samples,
        baseline: finite(row.baseline),
        candidate: finite(row.candidate),
        p: None,
        p_adjusted: None,
        percentiles: row.percentiles,
        modes: row.moved.and_then(|moved| moved.modes),
        answer_changed: row.answer_changed,
        forced: row.forced,
        unread: false,
        reasons: row.reasons,
    }
}

#[cfg(test)]
mod tests {
    use assay_schema::{Mode, ModesChange};
    use assay_statistics::{MetricKind, Units, find};

    use super::*;

    #[test]
    fn what_did_not_move_tells_its_modes_and_blames_nothing() {
        let rule = VerdictRule::default();
        let small: Vec<f64> =
            (0..20).map(|i| f64::from(i % 5) * 1e-4 - 2e-4).collect();
        let units = Units {
            candidate: small.clone(),
            again: small.clone(),
            null: small,
        };
        let finding =
            find(&units, MetricKind::Timed, Better::Lower, &rule).unwrap();
        let mode = |at| Mode { at, share: 0.5 };
        let two = vec![mode(0.01), mode(0.02)];
        let mut row = Row::of_time("x");
        row.evidence = Evidence::Units(Box::new(finding));
        row.moved = Some(Moved {
            modes: Some(ModesChange { baseline: two.clone(), candidate: two }),
            shared_steal: Some(0.08),
            ..Moved::default()
        });
        let rows = suite(vec![row], &rule, SuiteFacts::default()).rows;
        assert_eq!(rows[0].verdict, Verdict::Same);
        let said =
            |part: &str| rows[0].reasons.iter().any(|r| r.contains(part));
        assert!(said("modes"), "{:?}", rows[0].reasons);
        assert!(!said("hypervisor"), "{:?}", rows[0].reasons);
    }
}
