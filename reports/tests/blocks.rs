//! Steps apart by class of kernel, and memory against size.

#![allow(
    clippy::unwrap_used,
    reason = "test code outside of the test functions themselves"
)]

mod synthetic;

use std::collections::BTreeMap;

use assay_reports::{Format, Kind, RunData, render};
use assay_schema::{Outcome, Record, Seconds};
use synthetic::blocks::{block, parted, small_blocks};

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

/// Lines of a CSV file by the words of the header.
fn rows(csv: &str) -> Vec<BTreeMap<&str, &str>> {
    let mut lines = csv.lines().map(|line| line.split(','));
    let header: Vec<&str> = lines.next().unwrap().collect();
    lines.map(|line| header.iter().copied().zip(line).collect()).collect()
}

/// A run of these records and nothing else.
fn run_of(records: Vec<Record>) -> RunData {
    RunData { records, ..synthetic::empty_run("bench-1") }
}

#[test]
fn where_time_goes_reads_like_this() {
    let files = files(&[small_blocks()]);
    insta::assert_snapshot!(section(&files["report.md"], "Where time goes"));
}

#[test]
fn memory_against_size_reads_like_this() {
    let files = files(&[small_blocks()]);
    let report = &files["report.md"];
    insta::assert_snapshot!(section(report, "Memory against size"));
}

#[test]
fn the_csv_of_both_holds_what_is_shown() {
    let files = files(&[small_blocks()]);
    let mut text = String::new();
    for name in ["time-by-class", "memory-blocks-length", "memory-growth"] {
        let csv = &files[&format!("data/{name}.csv")];
        text.push_str(&format!("## {name}\n"));
        // Of the steps, those of one case.
        let lines = csv.lines().enumerate().filter(|(index, line)| {
            *index == 0 || name != "time-by-class" || line.contains("/train ")
        });
        for (_, line) in lines {
            text.push_str(&format!("{line}\n"));
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn the_order_of_records_and_predictions_does_not_matter() {
    let run = small_blocks();
    let mut shuffled = run.clone();
    shuffled.records.reverse();
    shuffled.predictions.rotate_left(5);
    assert_eq!(files(&[run]), files(&[shuffled]));
}

#[test]
fn the_shares_of_a_step_add_up_to_it() {
    let files = files(&[small_blocks()]);
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    for row in rows(&files["data/time-by-class.csv"]) {
        let key = format!("{} {}", row["case"], row["where"]);
        *sums.entry(key).or_default() += row["share"].parse::<f64>().unwrap();
    }
    // Seven measured, each predicted here; two drawn with two GPUs each.
    assert_eq!(sums.len(), 7 + 7 + 2 * 2);
    for (key, sum) in sums {
        assert!((sum - 1.0).abs() < 1e-9, "{key}: {sum}");
    }
}

#[test]
fn classes_that_took_longer_than_the_step_leave_no_rest() {
    let whole = [("matmul", 0.7), ("softmax", 0.4)];
    let run = run_of(vec![parted(&block("forward", 64, "a"), &whole)]);
    let csv = files(&[run])["data/time-by-class.csv"].clone();
    let classes: Vec<&str> =
        rows(&csv).iter().map(|row| row["class"]).collect();
    assert_eq!(classes, ["matmul", "softmax"]);
}

#[test]
fn predictions_are_of_the_first_profiles_of_the_plan_that_fit() {
    let mut run = small_blocks();
    let places = |run: &RunData| -> Vec<String> {
        let files = files(std::slice::from_ref(run));
        let csv = &files["data/time-by-class.csv"];
        let mut met: Vec<String> = Vec::new();
        for row in rows(csv) {
            let place = row["where"].to_owned();
            if row["status"] == "predicted" && !met.contains(&place) {
                met.push(place);
            }
        }
        met
    };
    let host = "bench-1 (host)";
    let (t4, a100) = ("nvidia-t4", "nvidia-a100-sxm4-80gb");
    assert_eq!(places(&run), [host, t4, a100]);
    for one in &mut run.predictions {
        if one.profile == t4 {
            one.fits = Some(false);
        }
    }
    assert_eq!(places(&run), [host, a100, "nvidia-h100-sxm5-80gb"]);
}

#[test]
fn a_case_that_was_not_predicted_stands_beside_the_nearest_that_was() {
    let mut run = small_blocks();
    let drawn = "blocks/wide/forward length=128 precision=f32 way=stored";
    assert!(files(&[run.clone()])["data/time-by-class.csv"].contains(drawn));
    run.predictions.retain(|one| {
        one.axes["length"] != "128" && one.axes["way"] != "streamed"
    });
    let csv = files(&[run])["data/time-by-class.csv"].clone();
    let near: Vec<String> = rows(&csv)
        .iter()
        .filter(|row| row["where"] == "nvidia-t4")
        .map(|row| row["case"].to_owned())
        .collect();
    // Of 32 and 64, both as far, the first by name.
    let nearest = "blocks/wide/forward length=32 precision=f16 way=stored";
    assert!(!near.is_empty());
    assert!(near.iter().all(|case| case == nearest), "{near:?}");
}

#[test]
fn a_step_with_parts_of_other_kinds_is_not_taken_apart() {
    let shares = [("rollout", 0.5), ("optimizer", 0.1)];
    let run = run_of(vec![parted(&block("train", 64, "a"), &shares)]);
    let files = files(&[run]);
    assert!(!files.contains_key("data/time-by-class.csv"));
    assert!(!files["report.md"].contains("## Where time goes"));
}

#[test]
fn nothing_to_show_is_no_section() {
    for run in [synthetic::small_run(), synthetic::tour("host")] {
        let report = &files(&[run])["report.md"];
        for heading in ["Where time goes", "Memory against size"] {
            assert!(!report.contains(&format!("## {heading}")), "{heading}");
        }
    }
}

#[test]
fn a_wrong_answer_is_in_neither_section() {
    let mut run = small_blocks();
    for record in &mut run.records {
        if record.case.axis("way") == Some("stored") {
            record.outcome = Outcome::Failed("boom".into());
        }
    }
    let files = files(&[run]);
    for name in ["memory-blocks-length", "memory-growth"] {
        let csv = &files[&format!("data/{name}.csv")];
        assert!(csv.contains("way=streamed") && !csv.contains("way=stored"));
    }
    let measured = rows(&files["data/time-by-class.csv"])
        .iter()
        .filter(|row| row["status"] == "measured")
        .any(|row| row["case"].contains("way=stored"));
    assert!(!measured);
}

#[test]
fn more_classes_than_colours_are_gathered() {
    let names = [
        "matmul",
        "attention",
        "softmax",
        "norm",
        "elementwise",
        "convolution",
        "recurrence",
        "copy",
        "optimizer",
    ];
    let draw = |count: usize| {
        let shares: Vec<(&str, f64)> =
            names[..count].iter().map(|name| (*name, 0.1)).collect();
        let record = parted(&block("train", 64, "a"), &shares);
        files(&[run_of(vec![record])])["figures/time-by-class.svg"].clone()
    };
    assert!(!draw(8).contains("other classes"));
    assert!(draw(9).contains("other classes"));
}

#[test]
fn curves_need_three_sizes_and_sizes_are_whole_numbers_above_zero() {
    let sizes = |cases: &[&str]| {
        let records = cases.iter().map(|case| parted(case, &[])).collect();
        files(&[run_of(records)])
            .get("data/memory-growth.csv")
            .map(|csv| rows(csv).len())
    };
    let two = ["blocks/a/forward length=8", "blocks/a/forward length=16"];
    assert_eq!(sizes(&two), None);
    assert_eq!(sizes(&[two[0], two[1], "blocks/a/forward length=32"]), Some(1));
    let limit = |value| format!("blocks/a/forward length=8 limit={value}");
    let cases = ["0", "64", "128", "none"].map(limit);
    assert_eq!(sizes(&cases.each_ref().map(String::as_str)), None);
    let seed = |value| format!("blocks/a/forward length=8 seed={value}");
    let cases = [1, 2, 3].map(seed);
    assert_eq!(sizes(&cases.each_ref().map(String::as_str)), None);
}

#[test]
fn a_workload_has_at_most_the_six_groups_with_the_most_sizes() {
    let mut records = Vec::new();
    for way in 0..9 {
        // The last three ways have a size more.
        let lengths: &[u64] =
            if way < 6 { &[8, 16, 32] } else { &[8, 16, 32, 64] };
        for length in lengths {
            let way = format!("w{way}");
            records.push(parted(&block("forward", *length, &way), &[]));
        }
    }
    let files = files(&[run_of(records)]);
    let csv = &files["data/memory-growth.csv"];
    let ways: Vec<&str> = rows(csv)
        .iter()
        .map(|row| row["cases"].rsplit('=').next().unwrap())
        .collect();
    assert_eq!(ways, ["w0", "w1", "w2", "w6", "w7", "w8"]);
}

#[test]
fn two_machines_stand_apart() {
    let mut other = small_blocks();
    other.header.host.name = "bench-2".into();
    let files = files(&[small_blocks(), other]);
    let names: Vec<&str> = files
        .keys()
        .filter_map(|name| name.strip_prefix("figures/memory-blocks-"))
        .collect();
    assert_eq!(names, ["length-2.svg", "length.svg"]);
    let growth = &files["data/memory-growth.csv"];
    let machines: Vec<&str> =
        rows(growth).iter().map(|row| row["machine"]).collect();
    assert_eq!(machines, ["bench-1", "bench-1", "bench-2", "bench-2"]);
}

#[test]
fn numbers_that_are_not_finite_reach_no_file() {
    let mut run = small_blocks();
    for (index, one) in run.predictions.iter_mut().enumerate() {
        let odd = [f64::NAN, f64::INFINITY, -1.0, 0.0][index % 4];
        one.time_by_class.insert("matmul".into(), Seconds(odd));
    }
    for (index, record) in run.records.iter_mut().enumerate() {
        if let (Some(work), true) = (&mut record.work, index % 3 == 0) {
            work.memory_peak.activations_bytes.0 = f64::NAN;
        }
        let odd = record.samples.iter_mut().find(|one| one.part == "norm");
        if let Some(batch) = odd {
            batch.seconds = vec![f64::NAN; 31];
        }
    }
    for (name, text) in files(&[run]) {
        let bare = |c: char| !c.is_ascii_alphanumeric();
        for word in text.split(bare) {
            assert!(!matches!(word, "NaN" | "inf" | "Infinity"), "{name}");
        }
    }
}

#[test]
fn hostile_names_stay_in_their_place() {
    let mut run = small_blocks();
    let hostile = "<img src=x>`../..\u{202e}";
    run.header.host.name = hostile.into();
    for record in &mut run.records {
        record.case.workload = hostile.into();
        let length = record.case.axes.remove("length").unwrap();
        record.case.axes.insert(hostile.into(), length);
    }
    let files = files(&[run]);
    assert!(files.keys().any(|name| name.starts_with("figures/memory--img")));
    for (name, text) in &files {
        assert!(!name.contains(".."), "{name}");
        assert!(!text.contains('\u{202e}'), "{name}");
        assert!(name.starts_with("data/") || !text.contains("<img"), "{name}");
    }
}

#[test]
fn no_text_of_these_figures_starts_outside_of_them() {
    let mut drawn = 0;
    for (name, text) in files(&[small_blocks()]) {
        if !name.ends_with(".svg") {
            continue;
        }
        drawn += 1;
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
    assert!(drawn >= 3, "{drawn}");
}
