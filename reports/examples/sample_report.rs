//! Writes a report from made-up numbers, to look at the page:
//! `cargo run -p assay-reports --example sample_report -- OUT [run|two|validation|study|small-study|blocks|survey]`.

#![allow(
    clippy::unwrap_used,
    reason = "an example; a wrong argument or a full disk may panic"
)]

#[path = "../tests/synthetic/mod.rs"]
mod synthetic;

use assay_reports::{Format, Kind, render};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let out = arguments.next().unwrap();
    let what = arguments.next().unwrap_or_else(|| "run".into());
    let mut runs = vec![synthetic::tour("synthetic-host")];
    if what == "study" {
        runs = vec![synthetic::studies::large_study()];
    }
    if what == "small-study" {
        runs = vec![synthetic::studies::small_study()];
    }
    if what == "blocks" {
        runs = vec![synthetic::blocks::small_blocks()];
    }
    if what == "survey" {
        runs = vec![synthetic::survey::survey()];
    }
    if what == "two" {
        runs.push(synthetic::tour("another-synthetic-host"));
    }
    let kind = if what == "validation" { Kind::Validation } else { Kind::Run };
    for file in render(&runs, kind, &Format::ALL).unwrap() {
        let path = std::path::Path::new(&out).join(&file.name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, file.bytes).unwrap();
    }
}
