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
fn a_bad_row_of_a_validation_table_is_listed_with_its_line() {
    let place = Place::new();
    place.write(
        "v.csv",
        "case,profile,runtime,prompt,latency_s,source,note\n\
         slm/tiny/prefill,nvidia-l4,graph,32,0.001,x,\n\
         slm/tiny/prefil,nvidia-l4,graph,32,1,x,\n\
         slm/tiny/prefill,nvidia-l44,graph,32,1,x,\n\
         slm/tiny/prefill,nvidia-l4,graph,32,fast,x,\n\
         slm/tiny/prefill,nvidia-l4,graph,32,9,x,outlier: a typo\n",
    );
    let said = place.assay("report --kind validation v.csv --out v");
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.out.contains(
            "rows: 1 scored, 1 set aside by a note, 3 without a prediction"
        ),
        "{}",
        said.out
    );
    for part in ["v.csv:3", "`prefill`", "v.csv:4", "`nvidia-l4`", "`fast`"] {
        assert!(said.err.contains(part), "{part}: {}", said.err);
    }
    let left = place.read("v/data/left-out.csv");
    assert!(left.contains("6,set aside,outlier: a typo"), "{left}");
    assert!(left.contains("5,no prediction,"), "{left}");
}

#[test]
fn a_validation_table_without_a_column_is_refused() {
    let place = Place::new();
    place.write("v.csv", "case,profile,source\n");
    place.refused(
        2,
        "report --kind validation v.csv --out v",
        &["v.csv:1: no column `latency_s`"],
    );
    place.refused(
        2,
        "report --kind validation none.csv --out v",
        &["none.csv: cannot be read"],
    );
    assert!(!place.path("v").exists(), "nothing half written");
}

const TABLE: &str = "case,profile,runtime,precision,m,n,k,context,latency_s,source\n\
     operators/matmul,nvidia-l4,kernel,f16,1024,1024,1024,,4e-5,x\n\
     operators/matmul,nvidia-l4,kernel,f32,1024,1024,1024,,2e-4,x\n\
     slm/llama-3-8b/decode,nvidia-a40,llama-cpp,f16,,,,512,3e-2,x\n";

#[test]
fn held_out_predictions_and_a_peer_stand_beside_the_rooflines() {
    let place = Place::new();
    place.write("v.csv", TABLE);
    place.write(
        "held.csv",
        "line,class,new,family,calibrated,overlay\n\
         2,matmul,5e-5,4.1e-5,,\n\
         3,matmul-vector,3e-4,2.1e-4,,\n\
         4,llama-cpp,3.3e-2,,,\n",
    );
    place.write(
        "genz.csv",
        "case,profile,runtime,precision,context,genz_latency_s,genz_note\n\
         slm/llama-3-8b/decode,nvidia-a40,llama-cpp,f16,512,2e-2,a remark\n",
    );
    place.ok("report --kind validation v.csv --held-out held.csv \
              --peer GenZ=genz.csv --out v");
    let classes = place.read("v/data/error-by-class.csv");
    assert!(classes.contains("known family,1,5.0000"), "{classes}");
    let rows = place.read("v/data/validation.csv");
    for class in ["matmul,", "matmul-vector,", "llama-cpp-decode,"] {
        assert!(rows.contains(&format!(",{class}")), "{class}: {rows}");
    }
    let header: Vec<&str> = rows.lines().next().unwrap().split(',').collect();
    let cell = |class: &str, column: &str| -> f64 {
        let line = rows.lines().find(|l| l.contains(class)).unwrap();
        let at = header.iter().position(|name| *name == column).unwrap();
        line.split(',').nth(at).unwrap().parse().unwrap()
    };
    // L4: 30.3 TFLOP/s of f32 on vector lanes.
    let plain = cell(",matmul-vector,", "roofline_s");
    assert!((plain - 2.0_f64.powi(31) / 30.3e12).abs() < 0.02 * plain);
    let three = cell(",matmul-vector,", "three_constants_s");
    assert!((three - (plain / 0.8 + 3e-6)).abs() < 1e-9);
    assert_eq!(cell(",llama-cpp-decode,", "genz_s"), 2e-2);
}

#[test]
fn held_out_predictions_of_another_table_are_refused() {
    let place = Place::new();
    place.write("v.csv", TABLE);
    let command = "report --kind validation v.csv --held-out h.csv --out v";
    for (text, part) in [
        ("line,class\n2,matmul\n", "h.csv:1: no fold"),
        ("class,new\nmatmul,1\n", "h.csv:1: no column `line`"),
        ("line,class,new\n9,matmul,1\n", "line 9 is not in v.csv"),
        ("line,class,new\n2,softmax,1\n", "another version of the table"),
        ("line,class,new\n2,matmul,soon\n", "h.csv:2"),
    ] {
        place.write("h.csv", text);
        place.refused(2, command, &[part]);
    }
    place.refused(
        2,
        "report --kind validation v.csv --peer v.csv --out v",
        &["expected NAME=CSV"],
    );
    place.refused(
        2,
        "report a --held-out h.csv --out v",
        &["one CSV of measurements"],
    );
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
