//! Rows of metrics beside time: which are judged, and by what.

use assay_schema::{Better, Change, Verdict};
use assay_statistics::{
    Block, Finding, MetricKind, VerdictRule, find, median, units_of,
};

use super::rows::Row;
use super::{ArmSample, PairedRun, Side};

/// What a row is judged by.
#[derive(Clone, Debug, PartialEq)]
pub enum Evidence {
    /// Units of ratios.
    Units(Box<Finding>),
    /// Counts that agree in every turn of a side, or one count a side that
    /// repeats by its nature: the two typical values are the whole truth.
    Exact,
    /// Nothing; `reasons` says why.
    None,
    /// It could not be read on this machine; `reasons` says why.
    Unread,
}

/// Explains time, but is no result of its own: what the machine did, not
/// what the code did, or what a benchmark cannot count without its set-up.
const EXPLAINS: [&str; 14] = [
    "cpu_frequency",
    "cycles",
    "cache_misses",
    "branch_misses",
    "page_faults",
    "steal",
    "throttled",
    "context_switches",
    "context_switches_voluntary",
    "context_switches_involuntary",
    "prepare_time",
    "resident_peak",
    "cpu_time_user",
    "cpu_time_system",
];

/// Of the counters' instructions, which see more than the clock does.
const WITH_SET_UP: &str = "instructions include the set-up of each input";

/// Whether a metric gets a row.
pub(crate) fn is_judged(name: &str, better: Better) -> bool {
    better != Better::Neither && !EXPLAINS.contains(&name)
}

/// Sampled like time, or counted.
pub(crate) fn kind(name: &str) -> MetricKind {
    let timed = [
        "time",
        "cpu_time",
        "energy",
        "energy_dram",
        "energy_gpu",
        "power",
        "cpu_frequency",
    ];
    let base = name.split('/').next().unwrap_or(name);
    if timed.contains(&base) { MetricKind::Timed } else { MetricKind::Counted }
}

/// The row of one metric; none where it is 0 nearly always on both sides.
pub(crate) fn metric_row(
    run: &PairedRun,
    name: &str,
    unit: &str,
    better: Better,
    rule: &VerdictRule,
) -> Option<Row> {
    let value = |sample: &ArmSample| sample.metrics.get(name).map(|m| m.value);
    let mut row = Row::new(&run.name, name, unit, better);
    row.raw_samples = run.blocks().flatten().filter_map(value).count() as u64;
    let blocks = || run.blocks().flatten();
    if blocks().any(|sample| value(sample).is_none()) {
        row.reasons.push(
            "some turns have it and some have not: not compared".to_owned(),
        );
        return Some(row);
    }
    if blocks()
        .flat_map(|sample| sample.metrics.get(name))
        .any(|m| m.unit != unit)
    {
        row.reasons.push(
            "its unit differs from turn to turn: not compared".to_owned(),
        );
        return Some(row);
    }
    let of = |sample: &ArmSample| value(sample).unwrap_or(f64::NAN);
    let groups = run.blocks_of(of);
    let arm = |side: Side| -> Vec<f64> {
        run.blocks().map(|block| of(&block[side.index()])).collect()
    };
    let [a, b, again] = Side::ALL.map(arm);
    let baseline = [a, again].concat();
    row.baseline = median(&baseline).ok();
    row.candidate = median(&b).ok();
    (row.evidence, row.reasons) =
        match evidence(&groups, &baseline, &b, kind(name), better, rule) {
            Ok(evidence) => (evidence, Vec::new()),
            Err(NoEvidence::Rare) => return None,
            Err(NoEvidence::Said(why)) => (Evidence::None, vec![why]),
        };
    if name == "instructions" {
        row.reasons.push(WITH_SET_UP.to_owned());
    }
    Some(row)
}

/// Why there is nothing to judge by.
enum NoEvidence {
    /// Too rare on both sides to be of interest.
    Rare,
    /// In words.
    Said(String),
}

fn evidence(
    groups: &[Vec<Block>],
    baseline: &[f64],
    candidate: &[f64],
    kind: MetricKind,
    better: Better,
    rule: &VerdictRule,
) -> Result<Evidence, NoEvidence> {
    let said = |why: &str| Err(NoEvidence::Said(why.to_owned()));
    let all = || baseline.iter().chain(candidate);
    if let Some(odd) = all().find(|value| !value.is_finite()) {
        return said(&format!("a value is {odd}: not judged"));
    }
    if all().all(|&value| value > 0.0) {
        return ratios(groups, kind, better, rule);
    }
    let constant = |values: &[f64]| {
        values.windows(2).all(|w| w[0].total_cmp(&w[1]).is_eq())
    };
    if constant(baseline) && constant(candidate) && candidate.len() > 1 {
        return if baseline[0] == 0.0 && candidate[0] == 0.0 {
            Err(NoEvidence::Rare)
        } else {
            Ok(Evidence::Exact)
        };
    }
    if all().any(|&value| value < 0.0) {
        return said("negative values have no ratio: not judged");
    }
    // Rare counts: what a round had in all.
    let sums: Vec<Vec<Block>> = groups.iter().map(|g| vec![sum(g)]).collect();
    let has_none = |block: &Block| {
        block.baseline <= 0.0 || block.candidate <= 0.0 || block.repeat <= 0.0
    };
    if !sums.iter().flatten().any(has_none) {
        return ratios(&sums, kind, better, rule);
    }
    let mostly_none = |values: &[f64]| {
        2 * values.iter().filter(|&&value| value == 0.0).count() >= values.len()
    };
    if mostly_none(baseline) && mostly_none(candidate) {
        return Err(NoEvidence::Rare);
    }
    said("0 in some rounds: too rare for a ratio")
}

fn ratios(
    groups: &[Vec<Block>],
    kind: MetricKind,
    better: Better,
    rule: &VerdictRule,
) -> Result<Evidence, NoEvidence> {
    units_of(groups)
        .and_then(|units| find(&units, kind, better, rule))
        .map(|finding| Evidence::Units(Box::new(finding)))
        .map_err(|error| NoEvidence::Said(error.to_string()))
}

fn sum(blocks: &[Block]) -> Block {
    let start = Block { baseline: 0.0, candidate: 0.0, repeat: 0.0 };
    blocks.iter().fold(start, |sum, block| Block {
        baseline: sum.baseline + block.baseline,
        candidate: sum.candidate + block.candidate,
        repeat: sum.repeat + block.repeat,
    })
}

/// The verdict on two exact values, its change and its sentence: a call
/// beyond the floor, else the same within the equivalence, else unclear.
pub(crate) fn exact(
    baseline: f64,
    candidate: f64,
    better: Better,
    rule: &VerdictRule,
) -> (Verdict, Option<Change>, String) {
    let relative = (candidate - baseline) / baseline.abs();
    let change = relative.is_finite().then_some(Change {
        point: relative,
        low: relative,
        high: relative,
        confidence: 1.0,
    });
    let rises = candidate > baseline;
    let beyond = |size: f64| relative.abs() > size + 1e-12; // NaN: 0 to 0
    let called = beyond(rule.floor);
    let verdict = match better {
        Better::Lower if called && rises => Verdict::Slower,
        Better::Higher if called && !rises => Verdict::Slower,
        Better::Lower | Better::Higher if called => Verdict::Faster,
        Better::Neither => Verdict::Unclear,
        Better::Lower | Better::Higher if beyond(rule.equivalence) => {
            Verdict::Unclear
        }
        Better::Lower | Better::Higher => Verdict::Same,
    };
    let sentence = if candidate.total_cmp(&baseline).is_eq() {
        format!("{baseline} on both sides")
    } else {
        let size = match change {
            Some(_) => format!("{:+.2} %", relative * 100.0),
            None => "no ratio".to_owned(),
        };
        let setting = |size: f64| (size * 1e6).round() / 1e4;
        let mut sentence = format!(
            "exactly {baseline} and {candidate} ({size}), the floor is {} %",
            setting(rule.floor)
        );
        if !called {
            let within = setting(rule.equivalence);
            let same = format!("; `same` is within {within} % to either side");
            sentence.push_str(&same);
        }
        sentence
    };
    (verdict, change, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_values_are_judged_by_floor_and_equivalence_alone() {
        let rule = VerdictRule::default();
        let verdict = |a, b, better| exact(a, b, better, &rule).0;
        for (a, b, lower, higher) in [
            (100.0, 100.0, Verdict::Same, Verdict::Same),
            (100.0, 101.0, Verdict::Same, Verdict::Same),
            (100.0, 102.0, Verdict::Slower, Verdict::Faster),
            (100.0, 90.0, Verdict::Faster, Verdict::Slower),
            (0.0, 0.0, Verdict::Same, Verdict::Same),
            (0.0, 3.0, Verdict::Slower, Verdict::Faster),
            (-2.0, -1.0, Verdict::Slower, Verdict::Faster),
        ] {
            assert_eq!(verdict(a, b, Better::Lower), lower, "{a} {b}");
            assert_eq!(verdict(a, b, Better::Higher), higher, "{a} {b}");
            assert_eq!(verdict(a, b, Better::Neither), Verdict::Unclear);
        }
        let (_, change, sentence) = exact(0.0, 3.0, Better::Lower, &rule);
        assert_eq!(change, None);
        assert_eq!(sentence, "exactly 0 and 3 (no ratio), the floor is 1 %");
    }

    #[test]
    fn an_exact_value_between_equivalence_and_floor_is_unclear() {
        let rule = VerdictRule {
            floor: 0.05,
            equivalence: 0.01,
            ..VerdictRule::default()
        };
        let of = |candidate| exact(100.0, candidate, Better::Lower, &rule);
        assert_eq!(of(101.0).0, Verdict::Same);
        assert_eq!(of(106.0).0, Verdict::Slower);
        let (verdict, change, sentence) = of(103.0);
        assert_eq!(verdict, Verdict::Unclear);
        assert!((change.unwrap().point - 0.03).abs() < 1e-12);
        assert_eq!(
            sentence,
            "exactly 100 and 103 (+3.00 %), the floor is 5 %; `same` is \
             within 1 % to either side"
        );
        // A call wins over a wide equivalence.
        let wide = VerdictRule { equivalence: 0.1, ..VerdictRule::default() };
        let found = exact(100.0, 103.0, Better::Lower, &wide);
        assert_eq!(found.0, Verdict::Slower);
    }

    #[test]
    fn what_explains_gets_no_verdict() {
        assert!(!is_judged("steal", Better::Lower));
        assert!(!is_judged("cpu_frequency", Better::Neither));
        assert!(!is_judged("shown", Better::Neither));
        assert!(!is_judged("cycles", Better::Lower));
        assert!(!is_judged("page_faults", Better::Lower));
        assert!(!is_judged("cache_misses", Better::Lower));
        assert!(!is_judged("branch_misses", Better::Lower));
        assert!(!is_judged("throttled", Better::Lower));
        assert!(is_judged("energy_dram", Better::Lower));
        assert!(is_judged("instructions", Better::Lower));
        assert!(is_judged("quality/loss", Better::Lower));
        assert!(is_judged("anything/else", Better::Higher));
    }

    #[test]
    fn times_are_sampled_and_counts_are_counted() {
        assert_eq!(kind("time/first-token"), MetricKind::Timed);
        assert_eq!(kind("cpu_time"), MetricKind::Timed);
        assert_eq!(kind("allocations"), MetricKind::Counted);
        assert_eq!(kind("quality/time"), MetricKind::Counted);
    }
}
