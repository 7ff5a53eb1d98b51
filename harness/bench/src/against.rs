//! A measured suite against a baseline: the verdicts' rule of
//! `assay-statistics`, on two runs that were not interleaved.

use assay_schema::{Better, Change, Verdict};
use assay_statistics::{
    Finding, Judged, MetricKind, VerdictRule, find, judge, units_of_series,
};

use crate::baseline::Kept;

/// One benchmark on both sides.
pub(crate) struct Pair {
    pub(crate) baseline: Kept,
    pub(crate) candidate: Kept,
}

/// What comes of a comparison.
pub(crate) struct Compared {
    /// Lines for a person, worst first.
    pub(crate) text: String,
    /// Benchmarks called slower.
    pub(crate) slower: usize,
}

/// Why two sides may not be compared unless forced, in words.
pub(crate) fn obstacle(pair: &Pair) -> Option<String> {
    let Pair { baseline, candidate } = pair;
    if baseline.machine != candidate.machine {
        return Some(format!(
            "the baseline is of another machine ({}); this is {}",
            baseline.machine, candidate.machine
        ));
    }
    (baseline.work != candidate.work).then(|| {
        format!(
            "an iteration did other work in the baseline ({}); now it does {}",
            listed(&baseline.work),
            listed(&candidate.work)
        )
    })
}

fn listed(work: &[String]) -> String {
    if work.is_empty() { "none stated".to_owned() } else { work.join(", ") }
}

/// Judges all pairs as one suite.
pub(crate) fn compare(
    name: &str,
    pairs: &[Pair],
    floor: f64,
    force: bool,
) -> Compared {
    let rule =
        VerdictRule { floor, equivalence: floor, ..VerdictRule::default() };
    let (mut rows, mut refused) = (Vec::new(), Vec::new());
    for pair in pairs {
        match finding(pair, &rule, force) {
            Ok(finding) => rows.push((pair, finding)),
            Err(why) => refused.push((pair, why)),
        }
    }
    let findings: Vec<Finding> =
        rows.iter().map(|(_, finding)| finding.clone()).collect();
    let judged = judge(&findings, &rule);
    let mut rows: Vec<(&Pair, Finding, Judged)> = rows
        .into_iter()
        .zip(judged)
        .map(|((pair, finding), judged)| (pair, finding, judged))
        .collect();
    rows.sort_by(|(_, a, x), (_, b, y)| {
        let order = |verdict| match verdict {
            Verdict::Slower => 0,
            Verdict::Unclear => 1,
            Verdict::Faster => 2,
            Verdict::Same => 3,
        };
        order(x.verdict)
            .cmp(&order(y.verdict))
            .then(b.change.point.total_cmp(&a.change.point))
    });
    let mut text = format!(
        "\nAgainst the baseline `{name}`, which was not measured at the same \
         time: what differs from run to run\n(layout, the hour) is not seen. \
         `assay compare --bench OLD NEW` takes turns.\n\n"
    );
    for (pair, finding, judged) in &rows {
        text.push_str(&row(pair, finding, judged));
        if let (true, Some(why)) = (force, obstacle(pair)) {
            text.push_str(&format!("    forced: {why}\n"));
        }
    }
    for (pair, why) in &refused {
        text.push_str(&format!(
            "{}: not compared\n    {why}\n",
            pair.candidate.name
        ));
    }
    let slower = rows
        .iter()
        .filter(|(_, _, judged)| judged.verdict == Verdict::Slower)
        .count();
    Compared { text, slower }
}

fn finding(
    pair: &Pair,
    rule: &VerdictRule,
    force: bool,
) -> Result<Finding, String> {
    if let (false, Some(why)) = (force, obstacle(pair)) {
        return Err(format!("{why}; --force compares all the same"));
    }
    units_of_series(&pair.baseline.seconds, &pair.candidate.seconds)
        .and_then(|units| find(&units, MetricKind::Timed, Better::Lower, rule))
        .map_err(|error| error.to_string())
}

fn row(pair: &Pair, finding: &Finding, judged: &Judged) -> String {
    let name = &pair.candidate.name;
    let Change { point, low, high, confidence } = finding.change;
    let mut text =
        format!("{name}: {} {}", judged.verdict.name(), signed(point));
    if high.is_finite() {
        text.push_str(&format!(
            " ({} to {}, {:.0} %)",
            signed(low),
            signed(high),
            confidence * 100.0
        ));
    }
    text.push('\n');
    for why in &judged.why {
        text.push_str(&format!("    {why}\n"));
    }
    for change in moved(pair) {
        text.push_str(&format!("    {change}\n"));
    }
    text
}

/// What else is not as it was: counts and answers, which need no statistics.
fn moved(Pair { baseline, candidate }: &Pair) -> Vec<String> {
    let mut all = Vec::new();
    if baseline.fingerprint != candidate.fingerprint {
        all.push("the output's fingerprint differs: another answer".to_owned());
    }
    for (name, now) in &candidate.metrics {
        let counted = name == "allocations" || name.starts_with("quality/");
        let Some(then) = baseline.metrics.get(name).filter(|_| counted) else {
            continue;
        };
        let change = now.value / then.value - 1.0;
        if now.value.total_cmp(&then.value).is_ne() {
            let by = if change.is_finite() {
                format!(" ({})", signed(change))
            } else {
                String::new()
            };
            all.push(format!("{name}: {} -> {}{by}", then.value, now.value));
        }
    }
    all
}

fn signed(change: f64) -> String {
    format!("{:+.1} %", change * 100.0)
}
