//! What the public sees: the files of a report, from made-up runs.

#![allow(
    clippy::unwrap_used,
    reason = "test code outside of the test functions themselves"
)]

mod synthetic;

use std::collections::BTreeMap;

use assay_reports::{Format, Kind, OutputFile, ReportError, RunData, render};
use assay_schema::Outcome;
use proptest::prelude::*;

/// Name to text of every file.
fn files(runs: &[RunData]) -> BTreeMap<String, String> {
    texts(render(runs, Kind::Run, &Format::ALL).unwrap())
}

fn texts(files: Vec<OutputFile>) -> BTreeMap<String, String> {
    files
        .into_iter()
        .map(|file| (file.name, String::from_utf8(file.bytes).unwrap()))
        .collect()
}

#[test]
fn the_markdown_of_a_small_run_reads_like_this() {
    let files = files(&[synthetic::small_run()]);
    insta::assert_snapshot!(files["report.md"]);
}

#[test]
fn the_csv_of_a_small_run_holds_what_is_shown() {
    let files = files(&[synthetic::small_run()]);
    let data: String = files
        .iter()
        .filter(|(name, _)| name.starts_with("data/"))
        .map(|(name, text)| format!("## {name}\n{text}\n"))
        .collect();
    insta::assert_snapshot!(data);
}

#[test]
fn the_latex_of_a_small_run_reads_like_this() {
    let files = files(&[synthetic::small_run()]);
    insta::assert_snapshot!(files["tables.tex"]);
}

#[test]
fn the_same_run_gives_the_same_bytes_whatever_its_order() {
    let run = synthetic::tour("one");
    let mut shuffled = run.clone();
    shuffled.records.reverse();
    shuffled.predictions.rotate_left(17);
    shuffled.profiles.reverse();
    shuffled.claims.reverse();
    let other = synthetic::tour("two");
    assert_eq!(files(&[run, other.clone()]), files(&[other, shuffled]));
}

#[test]
fn the_page_needs_no_network() {
    let page = &files(&[synthetic::tour("host")])["index.html"];
    for attribute in ["src=\"", "href=\""] {
        for value in page.split(attribute).skip(1) {
            assert!(value.starts_with('#'), "{attribute}{value:.60}");
        }
    }
    for word in ["://", "@import", "url("] {
        assert!(!page.contains(word), "{word}");
    }
}

#[test]
fn hostile_names_are_escaped_in_every_format() {
    let mut run = synthetic::small_run();
    let hostile = "<img src=x onerror=alert(1)>&\"'|`\u{202e}é";
    run.header.host.name = hostile.into();
    run.header.host.cpu = hostile.into();
    run.header.plan.name = "../../etc/passwd".into();
    for record in &mut run.records {
        record.case.model = hostile.into();
        record.device = hostile.into();
    }
    run.records[2].outcome = Outcome::Failed("</table><script>".into());
    run.claims[0].claim.statement = "\\input{/etc/passwd} <b>".into();
    run.published[0].source = hostile.into();
    let files = files(&[run]);
    assert!(files.keys().all(|name| !name.contains("..")));
    for (name, text) in &files {
        assert!(!text.contains('\u{202e}'), "{name}");
        if !name.starts_with("data/") {
            assert!(!text.contains("<img"), "{name}");
        }
    }
    assert!(!files["tables.tex"].contains("\\input{"));
    let page = &files["index.html"];
    assert_eq!(page.matches("<script").count(), 1);
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;&amp;"));
    assert!(page.contains("&lt;/table&gt;&lt;script&gt;"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_name_adds_a_tag_to_the_page(name in r#"[<>&"'/a-z\-!\[\]`|\\ é]{1,40}"#) {
        let tags = |name: &str| {
            let mut run = synthetic::small_run();
            run.records[0].case.model = name.into();
            run.records[2].outcome = Outcome::Failed(name.into());
            let formats = [Format::Html];
            let file = render(&[run], Kind::Run, &formats).unwrap().remove(0);
            String::from_utf8(file.bytes).unwrap().matches('<').count()
        };
        prop_assert_eq!(tags(&name), tags("plain"));
    }
}

#[test]
fn a_case_without_a_right_answer_is_listed_and_never_charted() {
    let mut run = synthetic::tour("host");
    let victim = run
        .records
        .iter()
        .position(|r| r.case.path() == "slm/qwen2-0.5b/decode")
        .unwrap();
    let told = |run: &RunData, word: &str| {
        let files = files(std::slice::from_ref(run));
        let listed = files["data/not-charted.csv"].lines().any(|l| {
            l.starts_with("slm/qwen2-0.5b/decode") && l.contains(word)
        });
        assert!(listed, "{word}");
        for name in ["measured-and-predicted", "memory"] {
            let figure = &files[&format!("figures/{name}.svg")];
            assert!(!figure.contains("qwen2-0.5b decode"), "{name} {word}");
        }
        let pairs = &files["data/measured-and-predicted.csv"];
        assert!(!pairs.contains("slm/qwen2-0.5b/decode"));
    };
    let before = files(std::slice::from_ref(&run));
    assert!(before["figures/memory.svg"].contains("qwen2-0.5b decode"));
    run.records[victim].verification = None;
    told(&run, "unverified");
    run.records[victim].verification =
        synthetic::small_run().records[0].verification.clone();
    if let Some(check) = &mut run.records[victim].verification {
        check.relative_difference = f64::NAN;
    }
    told(&run, "wrong answer");
    run.records[victim].outcome = Outcome::Failed("boom".into());
    told(&run, "boom");
}

#[test]
fn a_run_with_nothing_in_it_still_has_a_first_screen() {
    let files = files(&[synthetic::empty_run("host")]);
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(names, ["index.html", "report.md", "tables.tex"]);
    assert!(files["report.md"].contains("nothing finished"));
}

#[test]
fn a_run_of_predictions_alone_is_reported() {
    let mut run = synthetic::tour("host");
    run.records.clear();
    let files = files(&[run]);
    assert!(files["report.md"].contains("is predicted to decode fastest"));
    assert!(!files.contains_key("data/measured-and-predicted.csv"));
    assert!(files.contains_key("figures/latency-against-parameters.svg"));
}

#[test]
fn numbers_that_are_not_finite_reach_no_file() {
    let mut run = synthetic::tour("host");
    for (index, prediction) in run.predictions.iter_mut().enumerate() {
        match index % 4 {
            0 => prediction.latency_s.point = f64::NAN,
            1 => prediction.bytes.0 = 0.0,
            2 => prediction.latency_s.high = f64::INFINITY,
            _ => prediction.memory_peak_bytes.0 = f64::NAN,
        }
    }
    run.profiles[0].memory_bandwidth.0 = 0.0;
    run.profiles[1].memory_bandwidth.0 = f64::NAN;
    run.profiles[2].peaks.clear();
    run.records.retain(|record| record.is_sound());
    if let Some(work) = &mut run.records[0].work {
        work.memory_peak.activations_bytes.0 = f64::NAN;
        work.flops.0 = f64::INFINITY;
    }
    for batch in &mut run.records[1].samples {
        batch.seconds = vec![f64::NAN; 9];
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
fn no_text_of_a_figure_starts_outside_of_it() {
    for (name, text) in files(&[synthetic::tour("host")]) {
        if !name.ends_with(".svg") {
            continue;
        }
        let number = |text: &str| -> f64 {
            text.split('"').next().unwrap().parse().unwrap()
        };
        let width = number(text.split("width=\"").nth(1).unwrap());
        let height = number(text.split("height=\"").nth(1).unwrap());
        assert!(text.trim_end().ends_with("</svg>"), "{name}");
        let texts: Vec<&str> = text.split("<text x=\"").skip(1).collect();
        assert!(texts.len() > 10, "{name}");
        for element in texts {
            let x = number(element);
            let y = number(element.split("y=\"").nth(1).unwrap());
            assert!((0.0..=width).contains(&x), "{name}: {element:.80}");
            assert!((0.0..=height).contains(&y), "{name}: {element:.80}");
        }
    }
}

#[test]
fn runs_are_validated_by_their_pairs_and_published_numbers() {
    let files = texts(
        render(&[synthetic::small_run()], Kind::Validation, &[Format::Csv])
            .unwrap(),
    );
    let rows: Vec<&str> =
        files["data/validation.csv"].lines().skip(1).collect();
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(rows.iter().any(|row| row.contains("published")));
    assert!(rows.iter().any(|row| row.contains("measured")));
}

#[test]
fn what_cannot_be_made_is_refused_by_name() {
    let run = synthetic::small_run();
    let error = render(&[run], Kind::Comparison, &Format::ALL).unwrap_err();
    assert_eq!(error, ReportError::KindNotAvailable { kind: "comparison" });
    assert!(error.to_string().contains("run, validation"));
    let error = render(&[], Kind::Run, &Format::ALL).unwrap_err();
    assert_eq!(error, ReportError::NothingToReport);
}
