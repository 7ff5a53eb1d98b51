//! Studies: training runs by experiment, over seeds.

#![allow(
    clippy::unwrap_used,
    reason = "test code outside of the test functions themselves"
)]

mod synthetic;

use std::collections::BTreeMap;

use assay_reports::{Format, Kind, RunData, render};
use assay_schema::{Outcome, Reading};
use synthetic::studies::{large_study, small_study};

/// Name to text of every file.
fn files(runs: &[RunData]) -> BTreeMap<String, String> {
    render(runs, Kind::Run, &Format::ALL)
        .unwrap()
        .into_iter()
        .map(|file| (file.name, String::from_utf8(file.bytes).unwrap()))
        .collect()
}

/// The part of a Markdown report under a heading.
fn section<'a>(report: &'a str, heading: &str) -> &'a str {
    let start = report.find(&format!("\n## {heading}")).unwrap();
    let rest = &report[start + 1..];
    rest.find("\n## ").map_or(rest, |end| &rest[..end])
}

#[test]
fn the_markdown_of_a_small_study_reads_like_this() {
    let files = files(&[small_study()]);
    insta::assert_snapshot!(files["report.md"]);
}

#[test]
fn the_csv_of_a_small_study_holds_what_is_shown() {
    let data: String = files(&[small_study()])
        .iter()
        .filter(|(name, _)| name.starts_with("data/study-"))
        .map(|(name, text)| format!("## {name}\n{text}\n"))
        .collect();
    insta::assert_snapshot!(data);
}

#[test]
fn the_table_of_a_small_study_is_this_in_latex() {
    let tables = files(&[small_study()])["tables.tex"].clone();
    let start = tables.find("\\caption{Settings").unwrap();
    let end = tables[start..].find("\\end{table}").unwrap();
    insta::assert_snapshot!(tables[start..start + end]);
}

#[test]
fn the_order_of_the_records_does_not_matter() {
    let run = large_study();
    let mut shuffled = run.clone();
    shuffled.records.reverse();
    shuffled.published.reverse();
    assert_eq!(files(&[run]), files(&[shuffled]));
}

#[test]
fn numbers_that_are_not_finite_reach_no_file() {
    let mut run = small_study();
    for (index, record) in run.records.iter_mut().enumerate() {
        let metrics = &mut record.metrics;
        for (place, (_, metric)) in metrics.iter_mut().enumerate() {
            if let Reading::Value(value) = &mut metric.reading {
                match (index + place) % 5 {
                    0 => *value = f64::NAN,
                    1 => *value = f64::INFINITY,
                    2 => *value = 0.0,
                    _ => {}
                }
            }
        }
    }
    run.published[0].value = f64::NAN;
    for (name, text) in files(&[run]) {
        let bare = |c: char| !c.is_ascii_alphanumeric();
        for word in text.split(bare) {
            assert!(!matches!(word, "NaN" | "inf" | "Infinity"), "{name}");
        }
    }
}

#[test]
fn one_seed_has_no_spread_and_says_that_it_is_one() {
    let mut run = small_study();
    run.header.plan.cases.retain(|one| one.case.axis("seed") == Some("1"));
    run.records.retain(|one| one.case.axis("seed") == Some("1"));
    let files = files(&[run]);
    let settings = &files["data/study-architecture-settings.csv"];
    for line in settings.lines().skip(1) {
        // Accuracy: a value, no range, n = 1.
        let fields: Vec<&str> =
            line.rsplit('"').next().unwrap().split(',').collect();
        assert_eq!(fields[1], "1", "{line}");
        assert!(!fields[2].is_empty(), "{line}");
        assert_eq!(fields[3..7], ["", "", "", "1"], "{line}");
    }
    let figure = &files["figures/study-architecture-snr.svg"];
    assert!(figure.contains("· 1 seed"));
}

#[test]
fn an_snr_that_a_setting_lacks_is_a_gap_and_not_a_zero() {
    let mut run = small_study();
    for record in &mut run.records {
        if record.case.model == "lstm" {
            record.metrics.retain(|(_, metric)| {
                metric.at.get("snr_db").is_none_or(|snr| snr != "0")
            });
        }
    }
    let files = files(&[run]);
    let points = |name: &str| {
        files["data/study-architecture-snr.csv"]
            .lines()
            .filter(|line| line.contains(name))
            .map(|line| line.split(',').rev().nth(7).unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(points("lstm"), ["-20", "-10", "10", "20"]);
    assert_eq!(points("keep 0.5"), ["-20", "-10", "0", "10", "20"]);
}

#[test]
fn a_failed_seed_is_a_loss_and_its_setting_says_so() {
    let files = files(&[small_study()]);
    let lost = &files["data/not-charted.csv"];
    assert_eq!(lost.lines().count(), 2);
    assert!(lost.contains("radio/lstm/study keep=1 seed=3"));
    assert!(lost.contains("the loss grew without bound at epoch 4"));
    let report = &files["report.md"];
    assert!(report.contains("9 training runs planned, 8 finished"));
    let settings = section(report, "Study: architecture");
    assert!(settings.contains("| lstm, keep 1 | 2 | 1 |"));
}

#[test]
fn a_setting_without_a_seed_stays_in_the_table() {
    let mut run = small_study();
    for record in &mut run.records {
        if record.case.model == "lstm" {
            record.outcome = Outcome::Skipped("no room".into());
        }
    }
    let files = files(&[run]);
    let settings = section(&files["report.md"], "Study: architecture");
    assert!(settings.contains("| lstm, keep 1 | 0 | 3 | - (no seed finished)"));
}

#[test]
fn a_hundred_training_runs_leave_the_other_sections_alone() {
    let files = files(&[large_study()]);
    for table in ["measured-and-predicted", "not-charted", "memory"] {
        let name = format!("data/{table}.csv");
        assert!(!files.contains_key(&name), "{name}");
    }
    let report = &files["report.md"];
    for heading in ["Latency", "Tokens a second", "Roofline"] {
        assert!(!report.contains(&format!("\n## {heading}")), "{heading}");
    }
    // Folded by model and kind.
    assert!(files["data/warnings.csv"].lines().count() < 10);
    // What has axes of its own stands in its study only.
    let meters = &files["data/meters.csv"];
    assert!(!meters.contains("quality/confusion"));
    assert!(meters.contains("quality/accuracy_authors"));
    assert!(!report.contains("no interval"));
}

#[test]
fn tests_at_one_snr_each_make_one_line_a_setting() {
    let files = files(&[large_study()]);
    let data = &files["data/study-training-snr-snr.csv"];
    let lines: Vec<&str> = data.lines().skip(1).collect();
    // Four settings at five test SNRs.
    assert_eq!(lines.len(), 20);
    assert!(lines[0].starts_with("training SNR -10 dB,-20,"));
    let by_axis = &files["data/study-training-snr-by-train-snr-db.csv"];
    // `all` is no number.
    assert_eq!(by_axis.lines().count(), 1 + 3 * 5);
    assert!(files.contains_key("figures/study-band-by-band-mhz.svg"));
    assert!(files.contains_key("figures/study-sub-sampling-by-keep.svg"));
}

#[test]
fn no_text_of_a_study_figure_starts_outside_of_it() {
    for (name, text) in files(&[large_study(), small_study()]) {
        if !name.ends_with(".svg") {
            continue;
        }
        let number = |text: &str| -> f64 {
            text.split('"').next().unwrap().parse().unwrap()
        };
        let width = number(text.split("width=\"").nth(1).unwrap());
        let height = number(text.split("height=\"").nth(1).unwrap());
        for element in text.split("<text x=\"").skip(1) {
            let x = number(element);
            let y = number(element.split("y=\"").nth(1).unwrap());
            assert!((0.0..=width).contains(&x), "{name}: {element:.80}");
            assert!((0.0..=height).contains(&y), "{name}: {element:.80}");
        }
    }
}

#[test]
fn names_of_experiments_cannot_leave_the_folder_or_meet() {
    let mut run = small_study();
    for (index, one) in run.header.plan.cases.iter_mut().enumerate() {
        one.experiments = match index % 3 {
            0 => vec!["../../<b>".into()],
            1 => vec!["_______b_".into()],
            _ => Vec::new(),
        };
    }
    let files = files(&[run]);
    assert!(files.keys().all(|name| !name.contains("..")));
    assert!(!files["index.html"].contains("<b>"));
    for id in ["study--------b-", "study--------b--2", "study-other"] {
        let name = format!("data/{id}-settings.csv");
        assert!(files.contains_key(&name), "{name} {:?}", files.keys());
    }
}

#[test]
fn two_machines_have_a_section_each() {
    let mut other = small_study();
    other.header.host.name = "bench-2".into();
    let files = files(&[small_study(), other]);
    let report = &files["report.md"];
    assert!(report.contains("## Study: architecture, on bench-1\n"));
    assert!(report.contains("## Study: architecture, on bench-2\n"));
    assert!(files.contains_key("figures/study-architecture-2-snr.svg"));
}
