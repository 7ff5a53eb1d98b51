//! A survey's sections: what is fitted, taken apart and compared is what can
//! be computed by hand from the made-up numbers.

#![allow(
    clippy::unwrap_used,
    reason = "test code outside of the test functions themselves"
)]

mod synthetic;

use std::collections::BTreeMap;

use assay_reports::{Format, Kind, RunData, render, taken_apart};
use assay_schema::{Better, Metric};
use synthetic::survey::{MODELS, SCORES, billions, latency, survey};

const HEADINGS: [&str; 6] = [
    "Against parameters, with fits",
    "Where predicted time goes, model by model",
    "Memory by part, model by model",
    "Number formats",
    "The same case on several machines",
    "Capability against cost",
];

type Row = BTreeMap<String, String>;

/// Name to text of every file.
fn files(runs: &[RunData]) -> BTreeMap<String, String> {
    render(runs, Kind::Run, &Format::ALL)
        .unwrap()
        .into_iter()
        .map(|file| (file.name, String::from_utf8(file.bytes).unwrap()))
        .collect()
}

/// The rows of a table by the words of its header.
fn table(files: &BTreeMap<String, String>, name: &str) -> Vec<Row> {
    let text = &files[&format!("data/{name}.csv")];
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.deserialize().map(|row| row.unwrap()).collect()
}

/// The rows whose cells have these words.
fn with<'a>(rows: &'a [Row], cells: &[(&str, &str)]) -> Vec<&'a Row> {
    let is_alike =
        |row: &&Row| cells.iter().all(|(column, word)| row[*column] == *word);
    rows.iter().filter(is_alike).collect()
}

fn number(row: &Row, column: &str) -> f64 {
    row[column].parse().unwrap()
}

fn near(found: f64, expected: f64) {
    let scale = expected.abs().max(1e-12);
    assert!((found - expected).abs() <= 1e-9 * scale, "{found} {expected}");
}

#[test]
fn nothing_to_survey_is_no_section() {
    for run in [synthetic::empty_run("host"), synthetic::small_run()] {
        let report = &files(&[run])["report.md"];
        for heading in HEADINGS {
            assert!(!report.contains(&format!("## {heading}")), "{heading}");
        }
    }
}

#[test]
fn fewer_than_six_models_are_no_survey() {
    let mut run = survey();
    run.predictions.retain(|one| {
        MODELS[..5].iter().any(|model| one.case.contains(&format!("/{model}/")))
    });
    run.records.clear();
    run.published.clear();
    let files = files(&[run]);
    let report = &files["report.md"];
    for heading in [HEADINGS[0], HEADINGS[1], HEADINGS[2], HEADINGS[5]] {
        assert!(!report.contains(&format!("## {heading}")), "{heading}");
    }
}

#[test]
fn a_survey_has_each_section_and_its_figures() {
    let files = files(&[survey()]);
    for heading in HEADINGS {
        assert!(
            files["report.md"].contains(&format!("## {heading}")),
            "{heading}"
        );
    }
    for figure in [
        "survey-latency",
        "survey-memory-peak",
        "breakdown-kernels-toy-prefill",
        "breakdown-kernels-toy-decode",
        "breakdown-modules-toy-prefill",
        "breakdown-modules-toy-decode",
        "memory-parts-toy",
        "precision-time",
        "survey-hardware",
        "capability-time",
        "capability-memory",
    ] {
        let name = format!("figures/{figure}.svg");
        assert!(files.contains_key(&name), "{name}");
    }
}

#[test]
fn a_known_line_is_found_and_explains_everything() {
    let files = files(&[survey()]);
    let rows = table(&files, "survey-fits");
    let of = |setting: &str, place: &str, status: &str| -> Row {
        let cells = [
            ("quantity", "time"),
            ("setting", setting),
            ("where", place),
            ("status", status),
        ];
        let found = with(&rows, &cells);
        assert_eq!(found.len(), 1, "{setting} {place} {status}");
        found[0].clone()
    };
    let prefill = "toy prefill, batch 1, prompt 50";
    let decode = "toy decode, batch 1, context 75";
    for (setting, place, status, n, slope, intercept) in [
        (prefill, "board:gpu", "predicted", "8", 0.1, 0.01),
        (prefill, "phone-a:cpu", "predicted", "8", 1.0, 0.1),
        (prefill, "phone-b:cpu", "predicted", "8", 2.0, 0.2),
        (decode, "board:gpu", "predicted", "8", 0.03, 0.002),
        // The published line is the published models' own, in seconds.
        (prefill, "board", "published", "6", 0.11, 0.012),
    ] {
        let row = of(setting, place, status);
        assert_eq!(row["n"], n, "{setting} {place}");
        near(number(&row, "slope_per_billion"), slope);
        assert!((number(&row, "intercept") - intercept).abs() < 1e-9);
        near(number(&row, "r_squared"), 1.0);
    }
    // Measured times scatter: a line of their own, which explains less.
    let measured = of(prefill, "bench-1", "measured");
    let r_squared = number(&measured, "r_squared");
    assert!(r_squared > 0.9 && r_squared < 1.0, "{r_squared}");
}

#[test]
fn memory_is_fitted_where_it_is_published_too() {
    let files = files(&[survey()]);
    let rows = table(&files, "survey-fits");
    let setting = "toy decode, batch 1, context 2047";
    let memory = [("quantity", "memory"), ("setting", setting)];
    let found = with(&rows, &memory);
    let statuses: Vec<&str> =
        found.iter().map(|row| row["status"].as_str()).collect();
    assert_eq!(statuses, ["predicted", "predicted", "predicted", "published"]);
    // Half a byte a parameter, and four tenths of one.
    near(number(found[0], "slope_per_billion"), 5e8);
    near(number(found[3], "slope_per_billion"), 4e8);
    for row in found {
        near(number(row, "intercept"), 1.5e8);
    }
}

#[test]
fn a_pass_is_taken_apart_on_the_first_profile_of_the_plan() {
    let files = files(&[survey()]);
    let kernels = table(&files, "breakdown-kernels-toy-prefill");
    assert_eq!(kernels.len(), MODELS.len());
    for row in &kernels {
        assert_eq!(row["where"], "board:gpu, llama-cpp");
        near(number(row, "matmul"), 60.0);
        near(number(row, "attention"), 20.0);
        near(number(row, "overhead"), 10.0);
    }
    let modules = table(&files, "breakdown-modules-toy-prefill");
    let m2 = with(&modules, &[("model", "m2")]);
    let shares =
        |row: &Row| ["attention", "mlp", "head"].map(|part| number(row, part));
    assert_eq!(m2.len(), 2);
    let alike = |row: &Row, expected: [f64; 3]| {
        for (found, expected) in shares(row).into_iter().zip(expected) {
            near(found, expected);
        }
    };
    alike(m2[0], [30.0, 50.0, 10.0]);
    // What a paper calls by other names is published of the same parts.
    assert_eq!(m2[1]["status"], "published");
    alike(m2[1], [40.0, 35.0, 25.0]);
    assert_eq!(m2[1]["overhead"], "");
}

#[test]
fn modules_that_nobody_handed_over_are_not_drawn() {
    let mut run = survey();
    run.modules.clear();
    let files = files(&[run]);
    assert!(!files.keys().any(|name| name.contains("breakdown-modules")));
    assert!(files.keys().any(|name| name.contains("breakdown-kernels")));
}

#[test]
fn what_is_taken_apart_is_one_unit_setting_and_precision_a_phase() {
    let mut run = survey();
    let wanted = |run: &RunData| -> Vec<String> {
        let plan = &run.header.plan.predict_on;
        taken_apart(plan, &run.predictions)
            .into_iter()
            .map(|one| format!("{} {}", one.full_case().unwrap(), one.profile))
            .collect()
    };
    let found = wanted(&run);
    assert_eq!(found.len(), 2 * MODELS.len());
    assert!(found.iter().all(|one| one.ends_with(" board")));
    assert!(found.iter().all(|one| one.contains("precision=q4_k_m")));
    assert!(!found.iter().any(|one| one.contains("context=2047")));
    run.header.plan.predict_on.reverse();
    assert!(wanted(&run).iter().all(|one| one.ends_with(" phone-b")));
    run.predictions.truncate(9);
    assert!(wanted(&run).is_empty());
}

#[test]
fn parts_of_memory_stand_beside_what_is_published() {
    let rows = table(&files(&[survey()]), "memory-parts-toy");
    // Seven models, three parts and their sum.
    assert_eq!(rows.len(), 7 * 4);
    let weights = with(&rows, &[("model", "m1"), ("part", "weights")]);
    near(number(weights[0], "predicted"), 5e7);
    near(number(weights[0], "published"), 4e7);
    near(number(weights[0], "error"), 0.25);
    let sum = with(&rows, &[("model", "m3"), ("part", "all parts")]);
    near(number(sum[0], "predicted"), 3e8);
    near(number(sum[0], "published"), 2.7e8);
    let alone = with(&rows, &[("model", "m7"), ("part", "kv cache")]);
    near(number(alone[0], "predicted"), 1e8);
    assert_eq!((&*alone[0]["published"], &*alone[0]["error"]), ("", ""));
}

#[test]
fn formats_are_relative_to_f16_at_the_same_length() {
    let rows = table(&files(&[survey()]), "precision-time");
    for (precision, ratio) in [("f16", 1.0), ("q8_0", 0.6), ("q4_0", 0.4)] {
        let cells = [
            ("status", "predicted"),
            ("where", "board:gpu"),
            ("precision", precision),
        ];
        let found = with(&rows, &cells);
        let sizes: Vec<&str> =
            found.iter().map(|row| row["size"].as_str()).collect();
        assert_eq!(sizes, ["8", "25", "50"], "{precision}");
        for row in found {
            near(number(row, "ratio"), ratio);
            assert_eq!(row["ratio_low"], "");
        }
    }
    let cells = [("status", "published"), ("precision", "q4_0")];
    let published = with(&rows, &cells);
    assert_eq!(published.len(), 1);
    assert_eq!(published[0]["of"], "a token");
    near(number(published[0], "ratio"), 0.5);
    let cells = [("status", "measured"), ("precision", "q8_0")];
    let measured = with(&rows, &cells);
    assert_eq!(measured.len(), 1);
    let [low, point, high] = ["ratio_low", "ratio", "ratio_high"]
        .map(|column| number(measured[0], column));
    assert!(low < point && point < high, "{low} {point} {high}");
    assert!((point - 0.75).abs() < 0.05, "{point}");
}

#[test]
fn answers_by_format_are_relative_to_the_base() {
    let rows = table(&files(&[survey()]), "precision-quality");
    let formats: Vec<&str> =
        rows.iter().map(|row| row["precision"].as_str()).collect();
    // Only the model that ran in several formats.
    assert_eq!(formats, ["f32", "f16", "q8_0"]);
    near(number(&rows[2], "value"), 20.5);
    near(number(&rows[2], "change"), 20.5 / 20.1 - 1.0);
    near(number(&rows[0], "change"), 20.0 / 20.1 - 1.0);
    assert_eq!(rows[1]["change"], "");
    assert_eq!(rows[1]["base"], "f16");
}

#[test]
fn an_error_of_answers_has_no_change_relative_to_another_error() {
    let mut run = survey();
    for record in &mut run.records {
        let value = if record.case.axis("precision") == Some("f16") {
            1e-5
        } else {
            0.2
        };
        let lower = Better::Lower;
        let metric = Metric::value("quality/logit-error", "1", lower, value);
        record.metrics.push((None, metric));
    }
    let rows = table(&files(&[run]), "precision-quality");
    let errors = with(&rows, &[("metric", "logit-error")]);
    assert_eq!(errors.len(), 3);
    for row in errors {
        assert_eq!(row["change"], "", "{row:?}");
    }
    let other = with(&rows, &[("metric", "perplexity")]);
    assert!(other.iter().any(|row| !row["change"].is_empty()));
}

#[test]
fn a_case_stands_on_every_machine_with_its_provenance() {
    let rows = table(&files(&[survey()]), "survey-hardware");
    let case = "toy/m1/prefill batch=1 precision=q4_k_m prompt=50";
    let own = with(&rows, &[("case", case)]);
    let places: Vec<(&str, &str)> = own
        .iter()
        .map(|row| (row["where"].as_str(), row["status"].as_str()))
        .collect();
    assert_eq!(
        places,
        [
            ("board:gpu", "predicted"),
            ("board", "published"),
            ("phone-a:cpu", "predicted"),
            ("phone-b:cpu", "predicted"),
        ]
    );
    near(number(own[0], "time_s"), latency(0, "prefill"));
    near(number(own[1], "time_s"), 0.012 + 0.11 * billions(0));
    near(number(own[3], "time_s"), 20.0 * latency(0, "prefill"));
    assert_eq!(own[1]["time_s_low"], "");
}

#[test]
fn the_front_is_what_nothing_beats_in_score_and_cost() {
    let rows = table(&files(&[survey()]), "survey-capability");
    let setting = "decode, batch 1, context 75";
    let decode =
        with(&rows, &[("setting", setting), ("cost", "time of one pass")]);
    assert_eq!(decode.len(), MODELS.len());
    for (index, row) in decode.iter().enumerate() {
        assert_eq!(row["model"], MODELS[index]);
        assert_eq!(row["where"], "board:gpu");
        near(number(row, "score"), SCORES[index]);
        near(number(row, "value"), latency(index, "decode"));
        assert_eq!(row["score_provenance"], "published");
        assert_eq!(row["value_provenance"], "predicted");
        // The fourth costs more than the third and scores less.
        let on_front = if index == 3 { "" } else { "yes" };
        assert_eq!(row["on_front"], on_front, "{}", row["model"]);
    }
}

#[test]
fn the_order_of_what_is_handed_over_does_not_matter() {
    let run = survey();
    let mut shuffled = run.clone();
    shuffled.records.reverse();
    shuffled.predictions.rotate_left(7);
    shuffled.published.reverse();
    shuffled.modules.reverse();
    assert_eq!(files(&[run]), files(&[shuffled]));
}

#[test]
fn numbers_that_are_not_finite_reach_no_file() {
    let mut run = survey();
    for (index, one) in run.predictions.iter_mut().enumerate() {
        let odd = [f64::NAN, f64::INFINITY, -1.0, 0.0][index % 4];
        match index % 3 {
            0 => one.memory_parts[0].bytes.0 = odd,
            1 => one.memory_peak_bytes.0 = odd,
            _ => one.latency_s.low = odd,
        }
    }
    for (index, point) in run.published.iter_mut().enumerate() {
        if index % 5 == 0 {
            point.value = f64::NAN;
        }
    }
    for (index, modules) in run.modules.iter_mut().enumerate() {
        if index % 2 == 0 {
            modules.seconds.insert("mlp".into(), odd_seconds(index));
        }
    }
    for (name, text) in files(&[run]) {
        let bare = |c: char| !c.is_ascii_alphanumeric();
        for word in text.split(bare) {
            assert!(!matches!(word, "NaN" | "inf" | "Infinity"), "{name}");
        }
    }
}

fn odd_seconds(index: usize) -> assay_schema::Seconds {
    assay_schema::Seconds([f64::NAN, f64::INFINITY][index / 2 % 2])
}

#[test]
fn hostile_names_stay_in_their_place() {
    let mut run = survey();
    let hostile = "<img-src=x>`..\u{202e}";
    for one in &mut run.predictions {
        one.case = one.case.replace("toy/", &format!("{hostile}/"));
        if one.profile == "phone-a" {
            one.profile = hostile.into();
        }
        one.memory_parts[1].name = hostile.into();
        let matmul = one.time_by_class.remove("matmul").unwrap();
        one.time_by_class.insert(hostile.into(), matmul);
    }
    for point in &mut run.published {
        point.case = point.case.replace("toy/", &format!("{hostile}/"));
    }
    let files = files(&[run]);
    assert!(files.keys().any(|name| name.contains("memory-parts")));
    for (name, text) in &files {
        assert!(!name.contains(".."), "{name}");
        assert!(!text.contains('\u{202e}'), "{name}");
        assert!(name.starts_with("data/") || !text.contains("<img"), "{name}");
    }
}

#[test]
fn no_text_of_these_figures_starts_outside_of_them() {
    let mut drawn = 0;
    for (name, text) in files(&[survey()]) {
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
    assert!(drawn >= 11, "{drawn}");
}
