//! The validation of a table of measurements: what it counts, how it judges,
//! what it leaves out, and that long tables stay light on the page.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use assay_reports::{
    Fold, Format, LeftOut, LeftOutBy, Observed, OutputFile, Validation,
    ValidationRow, render_validation,
};
use assay_schema::Estimate;

fn texts(files: Vec<OutputFile>) -> BTreeMap<String, String> {
    files
        .into_iter()
        .map(|file| (file.name, String::from_utf8(file.bytes).unwrap()))
        .collect()
}

fn estimate(point: f64) -> Estimate {
    Estimate {
        point,
        low: point * 0.8,
        high: point * 1.2,
        confidence: 0.8,
        n: 0,
        method: "band".into(),
    }
}

/// A row that took 1 ms, of a class, on a device; the rooflines are 40 % and
/// 60 % short of it.
fn row(case: &str, class: &str, device: &str, predicted: f64) -> ValidationRow {
    ValidationRow {
        class: class.into(),
        roofline: Some(0.4e-3),
        three_constants: Some(0.6e-3),
        ..ValidationRow::new(
            case.parse().unwrap(),
            device.into(),
            estimate(predicted * 1e-3),
            Observed::Published(1e-3),
            "github:someone/tables@1234567:gemm.csv [engine 2]".into(),
        )
    }
}

fn matmul(m: usize, device: &str, predicted: f64) -> ValidationRow {
    row(&format!("operators/matmul k=8 m={m} n=8"), "matmul", device, predicted)
}

fn held(mut row: ValidationRow, folds: &[(Fold, f64)]) -> ValidationRow {
    row.held_out = folds.iter().map(|(f, s)| (*f, s * 1e-3)).collect();
    row
}

fn table(rows: Vec<ValidationRow>) -> Validation {
    Validation { rows, table: "published.csv".into(), ..Validation::default() }
}

fn held_out_table() -> Validation {
    let folds = |new, family| [(Fold::New, new), (Fold::Family, family)];
    let mut decode = row(
        "slm/tiny/decode batch=1 context=64 precision=f16",
        "llama-cpp-decode",
        "apple-m1-8-core-gpu",
        1.02,
    );
    decode.peers.insert("GenZ".into(), 0.5e-3);
    let mut found = table(vec![
        held(matmul(1, "nvidia-t4", 1.0), &folds(1.3, 1.05)),
        held(matmul(2, "nvidia-t4", 1.1), &folds(0.7, 0.85)),
        held(matmul(3, "nvidia-l4", 1.5), &folds(1.9, 1.10)),
        held(decode, &[(Fold::New, 1.05)]),
    ]);
    found.held_out = Some("held.csv".into());
    found.left_out = vec![
        LeftOut {
            line: 7,
            case: "operators/matmul k=1 m=1 n=1".into(),
            profile: "nvidia-t4".into(),
            source: "a <b>paper</b>".into(),
            by: LeftOutBy::Note,
            why: "outlier: marked so".into(),
        },
        LeftOut {
            line: 9,
            case: String::new(),
            profile: String::new(),
            source: String::new(),
            by: LeftOutBy::Predictor,
            why: "no profile".into(),
        },
    ];
    found
}

#[test]
fn held_out_rows_are_judged_by_class_and_fold() {
    let files =
        texts(render_validation(&held_out_table(), &Format::ALL).unwrap());
    insta::assert_snapshot!(files["report.md"]);
}

#[test]
fn every_number_is_in_the_csv() {
    let files =
        texts(render_validation(&held_out_table(), &[Format::Csv]).unwrap());
    let rows = &files["data/validation.csv"];
    assert_eq!(rows.lines().count(), 5, "{rows}");
    for column in ["new_family_s", "known_family_s", "genz_s", "roofline_s"] {
        assert!(rows.lines().next().unwrap().contains(column), "{column}");
    }
    let left = &files["data/left-out.csv"];
    assert!(left.contains("7,set aside,outlier: marked so"), "{left}");
    assert!(left.contains("9,no prediction,no profile"), "{left}");
    let classes = &files["data/error-by-class.csv"];
    assert!(classes.contains("known family,3,"), "{classes}");
}

#[test]
fn the_order_of_the_rows_does_not_matter() {
    let forward = held_out_table();
    let mut backward = forward.clone();
    backward.rows.reverse();
    backward.left_out.reverse();
    assert_eq!(
        render_validation(&forward, &Format::ALL).unwrap(),
        render_validation(&backward, &Format::ALL).unwrap()
    );
}

#[test]
fn without_held_out_rows_it_says_that_it_is_no_test() {
    let rows = vec![
        matmul(1, "nvidia-t4", 1.1),
        matmul(2, "nvidia-t4", 2.0),
        matmul(3, "nvidia-t4", f64::NAN),
    ];
    let files = texts(render_validation(&table(rows), &Format::ALL).unwrap());
    let text = &files["report.md"];
    assert!(text.contains("is no test"), "{text}");
    assert!(text.contains("1 row left out"), "{text}");
    assert!(
        text.contains("shipped constants, 2 rows are off by 55 %"),
        "{text}"
    );
    assert!(!text.contains("Aim"), "nothing to judge: {text}");
    // Of two rows, each 0.1 and 1.0 off, one lies inside its band.
    let bands = &files["data/bands.csv"];
    assert!(bands.contains("\"Matmul, matrix unit\",2,50,"), "{bands}");
}

#[test]
fn a_table_without_a_usable_row_is_still_a_report() {
    let mut found = held_out_table();
    found.rows.clear();
    let files = texts(render_validation(&found, &Format::ALL).unwrap());
    assert!(files["report.md"].contains("No row of the table was predicted"));
    assert!(files["index.html"].contains("outlier: marked so"));
}

#[test]
fn thousands_of_rows_make_a_light_page() {
    let rows = (0..3000)
        .map(|i| {
            let off = 0.5 + f64::from(i % 97) / 97.0;
            let mut row = held(
                matmul(i as usize + 1, "nvidia-t4", off),
                &[(Fold::New, off), (Fold::Family, 1.5 - off / 2.0)],
            );
            let scale = 10_f64.powf(f64::from(i) / 1000.0);
            row.observed = Observed::Published(scale * 1e-3);
            row
        })
        .collect();
    let files = texts(render_validation(&table(rows), &Format::ALL).unwrap());
    assert_eq!(files["data/validation.csv"].lines().count(), 3001);
    let page = files["index.html"].len();
    assert!(page < 900_000, "{page} bytes");
    assert!(files.contains_key("figures/scatter-matmul.svg"));
}
