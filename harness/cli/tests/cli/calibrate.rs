//! `assay calibrate`: measurements of a device become an overlay on its
//! profile. Nothing is measured here.

use assay_hardware_profiles::{Overlay, UnitName, facts_digest, load_file};
use serde_json::Value;

use crate::place::Place;

const ON: &str = "nvidia-l4";
const HEADING: &str =
    "case,profile,runtime,precision,rows,cols,latency_s,source\n";

/// Layer norms on `profile`, 25 sizes, as they are predicted times 1.3: lines
/// 2 to 26 of a table, each with its end.
fn layer_norms(place: &Place, profile: &str, precision: &str) -> Vec<String> {
    let mut cases = "case,profile,runtime,precision,rows,cols\n".to_owned();
    for rows in [64, 256, 1024, 4096, 16384] {
        for cols in [512, 1024, 2048, 4096, 8192] {
            cases += &format!(
                "operators/layernorm,{profile},kernel,{precision},{rows},\
                 {cols}\n"
            );
        }
    }
    place.write("cases.csv", &cases);
    let predicted =
        place.ok("predict --from cases.csv --calibration none --format csv");
    let mut reader = csv::Reader::from_reader(predicted.as_bytes());
    let lines = reader.records().map(|row| {
        let row = row.unwrap();
        let seconds: f64 = row[6].parse().unwrap();
        let asked: Vec<&str> = row.iter().take(6).collect();
        format!("{},{:e},made up\n", asked.join(","), 1.3 * seconds)
    });
    lines.collect()
}

/// A profile of this machine, as if it had been probed.
fn probed(place: &Place) -> String {
    let shipped = place.ok("profiles amd-epyc-7763-milan");
    let name = "name = \"amd-epyc-7763-milan\"";
    assert!(shipped.contains(name));
    shipped.replace(name, "name = \"host\"")
}

/// A line with its time multiplied.
fn slower(line: &str, times: f64) -> String {
    let mut cells: Vec<String> = line.split(',').map(str::to_owned).collect();
    cells[6] = format!("{:e}", times * cells[6].parse::<f64>().unwrap());
    cells.join(",")
}

/// Point of a prediction of a size that was not among the 25.
fn predicted(place: &Place, calibration: &str) -> f64 {
    let list = place.json(&format!(
        "predict operators/layernorm rows=2048 cols=1536 --on {ON} --runtime \
         kernel --format json {calibration}"
    ));
    list[0]["latency_s"]["point"].as_f64().unwrap()
}

#[test]
fn an_overlay_says_its_error_on_rows_held_out_and_lists_its_outlier() {
    let place = Place::new();
    let mut lines = layer_norms(&place, ON, "f16");
    // 1024 x 2048.
    lines[12] = slower(&lines[12], 8.0);
    place.write("m.csv", &format!("{HEADING}{}", lines.concat()));
    let said = place.ok("calibrate --from m.csv --out o.toml");
    assert!(said.starts_with("overlay of nvidia-l4:gpu (25 rows)"), "{said}");
    assert!(said.ends_with("written o.toml\n"), "{said}");

    let heading = ["rows", "held out", "error before", "error after"];
    assert!(heading.iter().all(|column| said.contains(column)), "{said}");
    let class = said.lines().find(|l| l.starts_with("layernorm")).unwrap();
    let numbers: Vec<f64> =
        class.split_whitespace().filter_map(|w| w.parse().ok()).collect();
    let [rows, held_out, before, after, outliers] = numbers[..] else {
        panic!("{class}")
    };
    assert_eq!((rows, held_out, outliers), (25.0, 25.0, 1.0), "{class}");
    assert!(before > 20.0 && after < before / 2.0, "{class}");

    let outlier =
        said.lines().find(|line| line.starts_with("outlier")).unwrap();
    for part in ["layernorm", "rows=1024", "cols=2048"] {
        assert!(outlier.contains(part), "{outlier}");
    }
    let file = place.read("o.toml");
    for part in [
        "source = \"25 rows of m.csv\"",
        "profile = \"nvidia-l4\"",
        "[class.layernorm]",
        "n = 25",
    ] {
        assert!(file.contains(part), "{part}\n{file}");
    }
}

#[test]
fn an_overlay_moves_predictions_towards_what_was_measured() {
    let place = Place::new();
    let lines = layer_norms(&place, ON, "f16");
    place.write("m.csv", &format!("{HEADING}{}", lines.concat()));
    place.ok("calibrate --from m.csv --out o.toml");
    let bare = predicted(&place, "--calibration none");
    let own = predicted(&place, "--calibration o.toml");
    let ratio = own / bare;
    assert!((1.15..1.45).contains(&ratio), "{ratio}");
    assert_eq!(predicted(&place, "--calibration none"), bare);
}

#[test]
fn an_overlay_is_refused_on_another_profile() {
    let place = Place::new();
    let lines = layer_norms(&place, ON, "f16");
    place.write("m.csv", &format!("{HEADING}{}", lines.concat()));
    place.ok("calibrate --from m.csv --out o.toml");
    place.refused(
        2,
        "predict operators/layernorm --on nvidia-a100-sxm4-80gb,\
         snapdragon-8-gen-3:npu --calibration o.toml",
        &[
            "--calibration",
            "nvidia-l4:gpu",
            "none of nvidia-a100-sxm4-80gb:gpu, snapdragon-8-gen-3:npu",
        ],
    );
    // Beside a device that it is of, others are predicted without it.
    let list: Value = place.json(&format!(
        "predict operators/layernorm --on {ON},nvidia-a100-sxm4-80gb \
         --calibration o.toml --format json"
    ));
    let method = |at: usize| list[at]["latency_s"]["method"].as_str().unwrap();
    assert!(method(0).contains("m.csv"), "{}", method(0));
    assert!(!method(1).contains("m.csv"), "{}", method(1));
}

#[test]
fn an_overlay_of_this_machine_applies_until_it_is_probed_anew() {
    let place = Place::new();
    let host = probed(&place);
    place.write("host.toml", &host);
    // Points as a calibration writes them, but of this machine, and moved.
    let lines = layer_norms(&place, ON, "f32");
    place.write("m.csv", &format!("{HEADING}{}", lines.concat()));
    place.ok("calibrate --from m.csv --out o.toml");
    let mut overlay = Overlay::load_file(&place.path("o.toml")).unwrap();
    let profile = load_file(&place.path("host.toml")).unwrap();
    overlay.profile = "host".to_owned();
    overlay.unit = UnitName::Cpu;
    overlay.facts = facts_digest(&profile, UnitName::Cpu);
    for class in overlay.classes.values_mut() {
        for point in &mut class.points {
            point.residual = 0.5;
        }
    }
    overlay.save(&place.path("o.toml")).unwrap();
    let words = "predict operators/layernorm rows=1024 cols=8192 --on host \
                 --format json --calibration";
    let point = |calibration: &str| {
        let list = place.json(&format!("{words} {calibration}"));
        list[0]["latency_s"]["point"].as_f64().unwrap()
    };
    let ratio = point("o.toml") / point("none");
    assert!((1.1..1.7).contains(&ratio), "{ratio}");

    let anew = host.replace("f32 = { value = ", "f32 = { value = 1");
    assert_ne!(anew, host);
    place.write("host.toml", &anew);
    place.refused(
        2,
        &format!("{words} o.toml"),
        &["the overlay is of host:cpu", "none of host:cpu has those facts"],
    );
}

#[test]
fn rows_of_two_devices_are_refused_by_the_names_of_both() {
    let place = Place::new();
    let mut lines = layer_norms(&place, ON, "f16");
    lines.extend(layer_norms(&place, "nvidia-a100-sxm4-80gb", "f16"));
    place.write("m.csv", &format!("{HEADING}{}", lines.concat()));
    place.refused(
        2,
        "calibrate --from m.csv --out o.toml",
        &["nvidia-l4:gpu", "nvidia-a100-sxm4-80gb:gpu", "one device"],
    );
    assert!(!place.path("o.toml").exists());
}

#[test]
fn bad_rows_are_said_with_their_line_and_the_others_used() {
    let place = Place::new();
    let lines = layer_norms(&place, ON, "f16");
    let bad = [
        ("operators/layernrom,nvidia-l4,kernel,f16,9,9,1,x", "`layernrom`"),
        ("operators/layernorm,nvidia-l4:npu,kernel,f16,9,9,1,x", "`npu`"),
        ("operators/layernorm,nvidia-l44,kernel,f16,9,9,1,x", "`nvidia-l44`"),
        ("operators/layernorm,nvidia-l4,kernel,f17,9,9,1,x", "`f17`"),
        ("operators/layernorm,nvidia-l4,kernal,f16,9,9,1,x", "`kernal`"),
        ("operators/layernorm,nvidia-l4,kernel,f16,9,9,-1,x", "latency_s -1"),
        ("operators/layernorm,nvidia-l4,kernel,f16,9,9,NaN,x", "latency_s NaN"),
        ("operators/layernorm,nvidia-l4,kernel,f16,9,9,0,x", "latency_s 0"),
        ("operators/layernorm,nvidia-l4,kernel,f16,9,9,fast,x", "`fast`"),
        ("operators/layernorm,nvidia-l4,kernel,f16,9,9,,x", "no latency_s"),
        ("operators/layernorm,nvidia-l4,kernel,f16,9,9", "6 cells"),
    ];
    let rows = bad.map(|(row, _)| row).join("\n");
    place.write("m.csv", &format!("{HEADING}{}{rows}\n", lines.concat()));
    let said = place.assay("calibrate --from m.csv --out o.toml");
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("(25 rows)"), "{}", said.out);
    for (line, (_, part)) in (27..).zip(bad) {
        let start = format!("m.csv:{line}: ");
        let found = said.err.lines().find(|l| l.starts_with(&start));
        let found = found.unwrap_or_else(|| panic!("{start}{}", said.err));
        assert!(found.contains(part), "{found}");
    }
}

#[test]
fn a_table_that_cannot_be_fitted_is_refused() {
    let place = Place::new();
    let words = "calibrate --from m.csv --out o.toml";
    place.refused(2, words, &["m.csv: cannot be read"]);
    for column in ["case", "profile", "latency_s", "source"] {
        let heading: Vec<&str> =
            HEADING.trim().split(',').filter(|c| *c != column).collect();
        place.write("m.csv", &format!("{}\n", heading.join(",")));
        let wanted = format!("no column `{column}`");
        place.refused(2, words, &["m.csv:1: ", &wanted, "expected case"]);
    }
    place.write("m.csv", HEADING);
    place.refused(2, words, &["m.csv: no rows"]);
    let lines = layer_norms(&place, ON, "f16");
    place.write("m.csv", &format!("{HEADING}{}", lines[..3].concat()));
    place.refused(2, words, &["3 usable rows"]);
    assert!(!place.path("o.toml").exists());
}

#[test]
fn a_phones_table_with_too_few_rows_is_told_how_many_it_needs() {
    let place = Place::new();
    let rows = [8, 16, 32].map(|prompt| {
        format!("slm/tiny/prefill,snapdragon-888:cpu,llama-cpp,{prompt},1,x\n")
    });
    let heading = "case,profile,runtime,prompt,latency_s,source\n";
    place.write("m.csv", &format!("{heading}{}", rows.concat()));
    place.refused(
        2,
        "calibrate --from m.csv --out o.toml",
        &["3 usable rows of whole graphs under llama-cpp", "need 12"],
    );
    assert!(!place.path("o.toml").exists());
}

#[test]
fn this_machine_is_measured_only_when_it_was_probed() {
    let place = Place::new();
    let words = "calibrate --device cpu --out o.toml";
    place.refused(2, words, &["no profile yet: run `assay probe` first"]);
    place.refused(
        3,
        "calibrate --device cuda:0 --out o.toml",
        &["--device cuda:0", "`cpu`"],
    );
    assert!(!place.path("o.toml").exists());
}

#[test]
fn where_the_files_go_is_checked_before_anything_is_measured() {
    let place = Place::new();
    place.write("host.toml", &probed(&place));
    for files in ["--out no/o.toml", "--out o.toml --rows no/r.csv"] {
        let words = format!("calibrate --device cpu {files}");
        place.refused(2, &words, &["no such folder", "no/"]);
    }
    for (words, part) in [
        ("calibrate --out o.toml", "--from"),
        ("calibrate --from m.csv --device cpu --out o.toml", "--device"),
        ("calibrate --from m.csv --rows r.csv --out o.toml", "--rows"),
        ("calibrate --device cpu --joint --out o.toml", "--joint"),
    ] {
        place.refused(2, words, &[part]);
    }
    let left = std::fs::read_dir(place.path("")).unwrap().count();
    assert_eq!(left, 1, "host.toml alone");
}
