//! `assay report`.

use crate::place::Place;

const RUN: &str = "run slm/tiny/prefill prompt=16 --budget 200ms --on \
                   nvidia-l4 --out";

#[test]
fn a_report_of_two_runs_is_written_where_asked_and_is_the_same_twice() {
    let place = Place::new();
    place.ok(&format!("{RUN} a"));
    place.ok(&format!("{RUN} b"));
    let said = place.ok("report a b --out first");
    assert!(said.contains("files in first"), "{said}");
    place.ok("report a b --out second");
    for file in ["index.html", "report.md", "tables.tex", "data/everything.csv"]
    {
        let first = place.read(&format!("first/{file}"));
        assert_eq!(first, place.read(&format!("second/{file}")), "{file}");
        assert!(!first.is_empty());
    }
    let html = place.read("first/index.html");
    assert!(html.contains("slm/tiny/prefill"));
    assert!(!html.contains("src=\"http"), "no network");
}

#[test]
fn formats_are_as_asked() {
    let place = Place::new();
    place.ok(&format!("{RUN} a"));
    place.ok("report a --out r --format markdown");
    assert!(place.path("r/report.md").exists());
    assert!(!place.path("r/index.html").exists());
    place.refused(
        2,
        "report a --out r --format htm",
        &["`htm`", "nearest valid: `html`"],
    );
}

#[test]
fn a_validation_report_takes_a_table_and_escapes_what_it_says() {
    let place = Place::new();
    place.write(
        "v.csv",
        "case,profile,runtime,prompt,latency_s,source\n\
         slm/tiny/prefill,nvidia-l4,graph,32,0.001,a <b>paper</b>\n",
    );
    place.ok("report --kind validation v.csv --out v");
    let html = place.read("v/index.html");
    assert!(html.contains("a &lt;b&gt;paper&lt;/b&gt;"));
    assert!(!html.contains("a <b>paper"));
    assert!(place.path("v/data/validation.csv").exists());
}

#[test]
fn a_bad_row_of_a_validation_table_is_named_by_its_line() {
    let place = Place::new();
    let heading = "case,profile,latency_s,source\n";
    for (row, parts) in [
        ("slm/tiny/prefil,nvidia-l4,1,x", ["v.csv:2", "`prefill`"]),
        ("slm/tiny/prefill,nvidia-l44,1,x", ["v.csv:2", "`nvidia-l4`"]),
        ("slm/tiny/prefill,nvidia-l4,fast,x", ["v.csv:2", "`fast`"]),
    ] {
        place.write("v.csv", &format!("{heading}{row}\n"));
        place.refused(2, "report --kind validation v.csv --out v", &parts);
    }
    place.write("v.csv", "case,profile,source\n");
    place.refused(
        2,
        "report --kind validation v.csv --out v",
        &["v.csv:1: no column `latency_s`"],
    );
    assert!(!place.path("v").exists(), "nothing half written");
}

#[test]
fn a_folder_that_is_no_run_or_cannot_be_written_is_named() {
    let place = Place::new();
    place.refused(2, "report no --out r", &["no is no run directory"]);
    place.refused(
        2,
        "report no --out r --kind rum",
        &["unknown kind of report `rum`", "nearest valid: `run`"],
    );
    place.ok(&format!("{RUN} a"));
    place.write("file", "");
    place.refused(2, "report a --out file/r", &["file/r: cannot be made"]);
}
