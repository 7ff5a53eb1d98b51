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
    /// Benchmarks with an [`obstacle`] that nobody forced.
    pub(crate) refused: Vec<String>,
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
    if baseline.work != candidate.work {
        return Some(format!(
            "an iteration did other work in the baseline ({}); now it does {}",
            listed(&baseline.work),
            listed(&candidate.work)
        ));
    }
    candidate.metrics.iter().find_map(|(name, now)| {
        let then = baseline.metrics.get(name)?;
        (then.unit != now.unit).then(|| {
            format!(
                "{name} was in `{}` in the baseline; now it is in `{}`",
                then.unit, now.unit
            )
        })
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
    let (mut rows, mut others) = (Vec::new(), Vec::new());
    let mut refused = Vec::new();
    for pair in pairs {
        if let (false, Some(why)) = (force, obstacle(pair)) {
            refused.push(pair.candidate.name.clone());
            others
                .push((pair, format!("{why}; --force compares all the same")));
            continue;
        }
        match finding(pair, &rule) {
            Ok(finding) => rows.push((pair, finding)),
            Err(why) => others.push((pair, why)),
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
        let (x, y) = (key(x.verdict, a), key(y.verdict, b));
        x.0.cmp(&y.0).then(y.1.total_cmp(&x.1))
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
    for (pair, why) in &others {
        text.push_str(&format!(
            "{}: not compared\n    {why}\n",
            pair.candidate.name
        ));
    }
    let slower = rows
        .iter()
        .filter(|(_, _, judged)| judged.verdict == Verdict::Slower)
        .count();
    Compared { text, slower, refused }
}

/// Worst first, as `assay compare` orders its rows: by verdict, then the
/// larger change first, of `unclear` ones whichever way it goes.
fn key(verdict: Verdict, finding: &Finding) -> (u8, f64) {
    let change = finding.change.point;
    match verdict {
        Verdict::Slower => (0, change),
        Verdict::Unclear => (1, change.abs()),
        Verdict::Same => (2, change),
        Verdict::Faster => (3, change),
    }
}

fn finding(pair: &Pair, rule: &VerdictRule) -> Result<Finding, String> {
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
    match (baseline.fingerprint, candidate.fingerprint) {
        (Some(then), Some(now)) if then != now => all.push(
            "the output's fingerprint differs: another answer".to_owned(),
        ),
        (Some(_), None) | (None, Some(_)) => all.push(
            "only one side has a fingerprint of its output: answers are not \
             compared"
                .to_owned(),
        ),
        (Some(_), Some(_)) | (None, None) => {}
    }
    for (name, now) in &candidate.metrics {
        let counted = name == "allocations" || name.starts_with("quality/");
        let then = baseline.metrics.get(name);
        // Another unit is an obstacle, which is told where it was forced.
        let comparable = then.filter(|then| counted && then.unit == now.unit);
        let Some(then) = comparable else { continue };
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
