//! The cells of a row, the closing lines: what both formats share.

use assay_schema::{Change, Comparison, ComparisonRow, Verdict};

use crate::table::si;

/// Headings of the table.
pub(super) const HEADINGS: [&str; 8] = [
    "verdict",
    "case",
    "metric",
    "change",
    "baseline to itself",
    "would catch",
    "baseline",
    "candidate",
];

/// The cells of a row, unescaped. With `any_time` the interval is the one
/// that holds at any stopping time; the baseline's change to itself has none
/// of that kind, and no other decided.
pub(super) fn cells(row: &ComparisonRow, any_time: bool) -> [String; 8] {
    let shown = if any_time { row.change_any_time } else { row.change };
    let value = |value: Option<f64>| {
        value.map_or(String::new(), |value| amount(value, &row.unit))
    };
    [
        row.verdict.name().to_owned(),
        row.case.clone(),
        row.metric.clone(),
        shown.as_ref().map_or(String::new(), change),
        row.null_change.as_ref().map_or(String::new(), |null| {
            if any_time { percent(null.point, true) } else { change(null) }
        }),
        row.minimum_detectable_change
            .map_or(String::new(), |caught| percent(caught.power_80, false)),
        value(row.baseline),
        value(row.candidate),
    ]
}

/// A quantity with its unit; a bare count or ratio has none.
fn amount(value: f64, unit: &str) -> String {
    let magnitude = value.abs();
    match unit {
        "1" if value.fract() == 0.0 && magnitude < 1e6 => format!("{value}"),
        "1" if (1e-3..1e6).contains(&magnitude) => {
            // Four significant digits.
            let digits = (3.0 - magnitude.log10().floor()).clamp(0.0, 6.0);
            format!("{value:.*}", digits as usize)
        }
        "1" => si(value, "").trim_end().to_owned(),
        unit => si(value, unit),
    }
}

/// `+4.0 % [+3.1, +4.9]`; without an interval `+4.0 % [no interval]`.
fn change(change: &Change) -> String {
    let point = percent(change.point, true);
    if change.high.is_infinite() {
        return format!("{point} [no interval]");
    }
    format!("{point} [{}, {}]", bare(change.low, true), bare(change.high, true))
}

fn percent(share: f64, signed: bool) -> String {
    if share.is_infinite() {
        return "nothing".to_owned();
    }
    format!("{} %", bare(share, signed))
}

/// Per cent to two significant digits, at least to tenths.
fn bare(share: f64, signed: bool) -> String {
    let percent = share * 100.0;
    let digits = match percent.abs() {
        p if p >= 9.95 => 0,
        p if p >= 0.095 => 1,
        _ => 2,
    };
    let text = if signed {
        format!("{percent:+.digits$}")
    } else {
        format!("{percent:.digits$}")
    };
    // No sign on nothing.
    let is_zero = text
        .trim_start_matches(['+', '-'])
        .chars()
        .all(|c| c == '0' || c == '.');
    if is_zero { "0.0".to_owned() } else { text }
}

/// The line of counts.
pub(super) fn summary(comparison: &Comparison) -> String {
    let suite = &comparison.suite;
    let percent = |share: f64| format!("{} %", bare(share, false));
    format!(
        "time: {} slower, {} unclear, {} same, {} faster; floor {}, same \
         within {}; {} of {} null arms would have been called{}",
        suite.slower,
        suite.unclear,
        suite.same,
        suite.faster,
        percent(suite.floor),
        percent(suite.equivalence),
        suite.null_calls,
        suite.null_arms,
        match suite.output_changed {
            Some(true) => "; the answer CHANGED",
            Some(false) => "; answers are the same",
            None => "",
        }
    )
}

/// What to do next; nothing where all is clear.
pub(super) fn advice(comparison: &Comparison) -> Option<&'static str> {
    let suite = &comparison.suite;
    let open = |row: &ComparisonRow| {
        row.verdict == Verdict::Unclear && row.change.is_some()
    };
    if !comparison.rows.iter().any(open) {
        return None;
    }
    Some(if suite.kind == "run directories" {
        "Unclear is not same. Longer runs (assay run --budget) narrow the \
         interval; comparing in blocks (--bench, --exec) removes what differs \
         between runs; assay doctor says what disturbs this machine."
    } else {
        "Unclear is not same. A longer --budget narrows the interval, --prove \
         1% goes on until it is decided, assay doctor says what disturbs this \
         machine."
    })
}

/// The rows that could be read here.
pub(super) fn read(
    comparison: &Comparison,
) -> impl Iterator<Item = &ComparisonRow> {
    comparison.rows.iter().filter(|row| !row.unread)
}

/// What could not be read here, each said once however many cases lack it.
pub(super) fn unread(comparison: &Comparison) -> Vec<String> {
    let mut said = Vec::new();
    for row in comparison.rows.iter().filter(|row| row.unread) {
        let why = row.reasons.join("; ");
        let line = format!("{} {why}", row.metric);
        if !said.contains(&line) {
            said.push(line);
        }
    }
    said
}

/// The reasons of a row that are worth their space: of `same` rows only where
/// the comparison was forced or the answer differs.
pub(super) fn told(row: &ComparisonRow) -> &[String] {
    let matters = row.forced || row.answer_changed == Some(true);
    if row.verdict != Verdict::Same || matters { &row.reasons } else { &[] }
}

#[cfg(test)]
mod tests {
    use assay_schema::Better;

    use super::*;

    fn row(verdict: Verdict, reasons: &[&str]) -> ComparisonRow {
        let change =
            Change { point: 0.0, low: -0.1, high: 0.1, confidence: 0.95 };
        ComparisonRow {
            case: "x".to_owned(),
            metric: "time".to_owned(),
            unit: "s".to_owned(),
            verdict,
            change: Some(change),
            change_any_time: Some(Change { low: -0.2, high: 0.2, ..change }),
            better: Better::Lower,
            null_change: Some(change),
            minimum_detectable_change: None,
            samples: 2,
            raw_samples: 2,
            baseline: None,
            candidate: None,
            p: None,
            p_adjusted: None,
            percentiles: Vec::new(),
            modes: None,
            answer_changed: None,
            forced: false,
            unread: false,
            reasons: reasons.iter().map(|&why| why.to_owned()).collect(),
        }
    }

    #[test]
    fn a_same_row_tells_its_reasons_where_forced_or_answered_otherwise() {
        let same = row(Verdict::Same, &["within 1 %"]);
        assert!(told(&same).is_empty());
        let forced = ComparisonRow { forced: true, ..same.clone() };
        let other = ComparisonRow { answer_changed: Some(true), ..same };
        for row in [forced, other, row(Verdict::Unclear, &["within 1 %"])] {
            assert_eq!(told(&row), ["within 1 %"]);
        }
    }

    #[test]
    fn what_cannot_be_read_is_said_once_and_takes_no_row() {
        let why = "not read: /sys/class/powercap: No such file";
        let none = ComparisonRow {
            metric: "energy".to_owned(),
            unread: true,
            ..row(Verdict::Unclear, &[why])
        };
        let comparison = Comparison {
            rows: vec![row(Verdict::Same, &[]), none.clone(), none],
            suite: serde_json::from_value(serde_json::json!({
                "kind": "", "baseline": "", "candidate": "",
                "faster": 0, "slower": 0, "same": 1, "unclear": 0,
                "floor": 0.01, "equivalence": 0.01,
                "false_discovery_rate": 0.05, "null_calls": 0,
                "null_arms": 1, "output_changed": null, "notes": [],
            }))
            .unwrap(),
        };
        assert_eq!(read(&comparison).count(), 1);
        assert_eq!(unread(&comparison), [format!("energy {why}")]);
    }

    #[test]
    fn only_the_interval_that_judged_is_shown() {
        let row = row(Verdict::Same, &[]);
        let shown = |any_time| {
            let cells = cells(&row, any_time);
            (cells[3].clone(), cells[4].clone())
        };
        let fixed = "0.0 % [-10, +10]".to_owned();
        assert_eq!(shown(false), (fixed.clone(), fixed));
        let any_time = "0.0 % [-20, +20]".to_owned();
        assert_eq!(shown(true), (any_time, "0.0 %".to_owned()));
    }

    #[test]
    fn changes_keep_two_digits_and_no_sign_on_nothing() {
        for (share, text) in [
            (0.04, "+4.0 %"),
            (-0.123, "-12 %"),
            (0.0004, "+0.04 %"),
            (0.0, "0.0 %"),
            (-1e-9, "0.0 %"),
            (f64::INFINITY, "nothing"),
        ] {
            assert_eq!(percent(share, true), text);
        }
    }

    #[test]
    fn counts_have_no_unit() {
        assert_eq!(amount(4.0, "1"), "4");
        assert_eq!(amount(2.5e7, "1"), "25.0 M");
        assert_eq!(amount(0.9, "1"), "0.9000");
        assert_eq!(amount(123.456, "1"), "123.5");
        assert_eq!(amount(2e-3, "s"), "2.00 ms");
    }
}
