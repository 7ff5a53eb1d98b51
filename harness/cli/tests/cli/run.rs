//! `assay run`: what it writes, and how it goes on.

use assay_schema::{Outcome, StopReason};

use crate::place::Place;

#[test]
fn run_writes_the_run_directory_and_its_report() {
    let place = Place::new();
    let said = place.assay(
        "run slm/tiny/prefill prompt=16 --budget 300ms --on nvidia-l4 --out \
         out",
    );
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.out.starts_with(
            "1 case measured, 0 failed, 0 skipped; 1 prediction\n"
        )
    );
    assert!(said.err.contains("[1/1] slm/tiny/prefill"), "{}", said.err);
    for file in [
        "out/run.toml",
        "out/predictions.jsonl",
        "out/profiles.json",
        "out/claims.json",
        "out/report/index.html",
        "out/report/report.md",
        "out/report/tables.tex",
        "out/report/data/everything.csv",
    ] {
        assert!(place.path(file).is_file(), "{file}");
    }
    let header = place.read("out/run.toml");
    let version = format!("format_version = {}", assay_schema::FORMAT_VERSION);
    for part in [
        version.as_str(),
        "[host]",
        "toolchain = \"rustc ",
        "seed = 1",
        "device = \"cpu\"",
        "hardware_profile = \"none: this machine was never probed\"",
        "predict_on = [\"nvidia-l4\"]",
        "case = \"slm/tiny/prefill batch=1 precision=f32 prompt=16\"",
    ] {
        assert!(header.contains(part), "{part}\n{header}");
    }
    let [file] = &place.case_files("out")[..] else { panic!("one case") };
    let text = std::fs::read_to_string(file).unwrap();
    for event in ["started", "verified", "sample", "meter", "finished"] {
        assert!(text.contains(&format!("{{\"event\":\"{event}\"")), "{event}");
    }
    let records = place.run("out").records().unwrap();
    assert!(!records[0].steady_samples("step").is_empty());
}

#[test]
fn bare_words_expand_axes_and_patterns() {
    let place = Place::new();
    place.ok(
        "run slm/tiny/prefill prompt=8,16 batch=1,2 --budget 50ms --out out",
    );
    let cases: Vec<String> = place
        .run("out")
        .records()
        .unwrap()
        .iter()
        .map(|record| record.case.to_string())
        .collect();
    assert_eq!(cases.len(), 4, "{cases:?}");
}

#[test]
fn a_plan_file_is_run_as_written() {
    let place = Place::new();
    place.write(
        "mine.toml",
        "name = \"mine\"\npredict_on = [\"nvidia-l4\"]\nbudget_s = 0.05\n\
         [[case]]\ncase = \"operators/softmax\"\naxes = { rows = [8], cols = \
         [64] }\n[[case]]\ncase = \"slm/phonelm-1.5b/decode\"\nmeasure = \
         false\n",
    );
    let said = place.ok("run --plan mine.toml --out out");
    assert!(said.starts_with("1 case measured"), "{said}");
    assert!(said.contains("; 2 predictions"), "{said}");
}

#[test]
fn a_finished_run_resumed_measures_nothing_again() {
    let place = Place::new();
    place.ok("run slm/tiny/prefill prompt=16 --budget 50ms --out out");
    let before = std::fs::read(&place.case_files("out")[0]).unwrap();
    let said = place.assay("run --resume out");
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(!said.err.contains("[1/"), "{}", said.err);
    let after = std::fs::read(&place.case_files("out")[0]).unwrap();
    assert_eq!(before, after);
}

#[test]
fn a_resumed_run_keeps_the_model_file_of_its_first_command() {
    let place = Place::new();
    place.golden("llama");
    place.ok("run slm/mine/prefill prompt=16 --model llama-tiny.config.json \
         --budget 50ms --on nvidia-l4 --out out");
    for file in place.case_files("out") {
        std::fs::remove_file(file).unwrap();
    }
    let said = place.ok("run --resume out");
    assert!(said.starts_with("1 case measured"), "{said}");
    assert!(said.contains("; 1 prediction\n"), "{said}");
}

#[test]
fn a_case_that_does_not_fit_in_memory_is_skipped_with_its_size() {
    let place = Place::new();
    let said = place.assay(
        "run slm/phonelm-1.5b/train-step slm/tiny/train-step batch=64 \
         prompt=512 --budget 50ms --out out",
    );
    // On a machine that could hold it this says nothing.
    if !said.err.contains("skipped") && said.code == 0 {
        println!("skipped: this machine has memory for 64 x 512 tokens");
        return;
    }
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("GB of memory by its trace"), "{}", said.err);
    let records = place.run("out").records().unwrap();
    let of = |model: &str| {
        records.iter().find(|record| record.case.model == model).unwrap()
    };
    assert!(matches!(of("phonelm-1.5b").outcome, Outcome::Skipped(_)));
    let Outcome::Finished(stop) = &of("tiny").outcome else {
        panic!("the run went on: {:?}", of("tiny").outcome)
    };
    assert!(!matches!(stop, StopReason::Interrupted));
}

#[test]
fn what_this_engine_cannot_measure_is_skipped_and_predicted() {
    let place = Place::new();
    let said = place
        .ok("run operators/all_reduce --on nvidia-a100-sxm4-80gb --out out");
    assert!(said.starts_with("0 cases measured, 0 failed, 1 skipped"));
    assert!(said.contains("; 1 prediction\n"), "{said}");
}

#[test]
fn a_failed_case_is_a_record_and_exit_1() {
    let place = Place::new();
    let said = place.assay(
        "run slm/tiny/decode slm/smollm-135m/decode context=600 --budget \
         50ms --out out",
    );
    assert_eq!(said.code, 1);
    assert!(said.err.contains("at most the model's context of 512"));
    assert!(said.out.starts_with("1 case measured, 1 failed"), "{}", said.out);
}
