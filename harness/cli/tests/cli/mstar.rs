//! The workload of self-evolving training from the command line.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use assay_schema::Reading;

use crate::place::Place;

const STUDY: &str = "mstar/tiny/study arms=own batch=4 warm_up=6 prompts=8 \
                     passes=1 updates=4 rollouts=4 rows=16 labelled=4 tested=8";

/// The names of the files that a study has kept.
fn kept(place: &Place) -> Vec<String> {
    let Ok(cases) = std::fs::read_dir(place.path("r/state")) else {
        return Vec::new();
    };
    let files = cases.flatten().flat_map(|case| {
        std::fs::read_dir(case.path()).into_iter().flatten().flatten()
    });
    files.map(|file| file.file_name().to_string_lossy().into_owned()).collect()
}

/// What a study found, but for times and what depends on them: the last bits
/// of each number by name and place.
fn found(place: &Place, run: &str) -> BTreeMap<String, u64> {
    let record = &place.run(run).records().unwrap()[0];
    record
        .metrics
        .iter()
        .filter(|(_, metric)| {
            metric.name.starts_with("quality/")
                && ["1", "nat"].contains(&metric.unit.as_str())
        })
        .filter_map(|(_, metric)| match metric.reading {
            Reading::Value(value) => {
                let name = format!("{} {:?}", metric.name, metric.at);
                Some((name, value.to_bits()))
            }
            Reading::Unavailable(_) => None,
        })
        .collect()
}

#[test]
fn a_killed_study_goes_on_to_what_an_unbroken_one_finds() {
    let place = Place::new();
    let mut child = place
        .command(&format!("run {STUDY} --out r"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Killed once it has kept a stage, wherever it then is.
    while kept(&place).is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    place.ok("run --resume r");
    place.ok(&format!("run {STUDY} --out whole"));

    let (resumed, whole) = (found(&place, "r"), found(&place, "whole"));
    assert_eq!(resumed, whole);
    let record = &place.run("r").records().unwrap()[0];
    for arm in ["warm-up", "blanked", "most-frequent", "own"] {
        for set in ["in-domain", "out-of-domain"] {
            let at = [("arm", arm), ("set", set)];
            let right = record.metric_at("quality/test_accuracy", &at);
            assert!(right.is_some(), "{arm} {set}");
        }
    }
    let at = [("arm", "own"), ("iteration", "1")];
    assert!(record.metric_at("quality/pass_at_k", &at).is_some());
    // One update an iteration, unless nothing was right.
    let made = record.metric_at("quality/updates_made", &at).unwrap();
    assert!(made <= 1.0, "{made}");
    assert!(!record.pictures.is_empty());
    let page = place.read("r/report/index.html");
    assert!(page.contains("data:image/png;base64,"), "no pictures");
    assert!(page.contains("2412.17451"), "no claims");
}

#[test]
fn an_iteration_that_fits_here_is_measured() {
    let place = Place::new();
    place.ok(
        "run mstar/tiny/iteration prompts=2 rollouts=4 rows=8 kept=2 batch=4 \
         --budget 50ms --out r",
    );
    let record = &place.run("r").records().unwrap()[0];
    assert!(record.is_sound());
    for rate in ["quality/prefill_rate", "quality/decode_rate"] {
        assert!(record.metric(rate).unwrap() > 0.0, "{rate}");
    }
}

#[test]
fn an_iteration_of_the_papers_size_is_the_sum_of_its_parts() {
    let place = Place::new();
    let said = place.json(
        "predict mstar/internvl2-2b/iteration precision=bf16 --on \
         nvidia-a100-sxm4-80gb,nvidia-h100-sxm5-80gb --format json",
    );
    let number = |place: usize, key: &str| said[place][key].as_f64().unwrap();
    let seconds = |place: usize| said[place]["latency_s"]["point"].as_f64();
    assert!(seconds(0).unwrap() > seconds(1).unwrap());
    // 720,000 rollouts of 256 words by 1.9 billion parameters, and more.
    assert!(number(0, "flops") > 720e3 * 256.0 * 2.0 * 1.8e9);
    assert!(number(0, "parameters") > 2.1e9);
    place.refused(
        2,
        "trace mstar/internvl2-2b/iteration",
        &["45000 prompts", "predict its parts"],
    );
}

#[test]
fn what_cannot_be_run_is_refused() {
    let place = Place::new();
    for (words, parts) in [
        ("trace mstar/tiny/prefill prompt=1000", ["1016 tokens", "96"]),
        ("trace mstar/internvl2-2b/study", ["`study`", "internvl2-2b"]),
        ("trace mstar/tiny/decode tiles=2", ["`tiles`", "tiny"]),
        ("trace mstar/tny-vision/encode", ["`tny-vision`", "`tiny-vision`"]),
        ("trace mstar/tiny/study arms=none", ["`arms`", "headline"]),
    ] {
        place.refused(2, words, &parts);
    }
}

#[test]
fn a_model_that_sees_is_read_from_a_file() {
    let place = Place::new();
    let shape = include_str!("../../../../workloads/mstar/models/tiny.toml");
    place.write("mine.toml", shape);
    let words = "trace mstar/mine/prefill --model mine.toml prompt=7 \
                 --format json";
    let mine = place.json(words)["parameters"].clone();
    let tiny = place.json("trace mstar/tiny/prefill --format json");
    assert_eq!(mine, tiny["parameters"]);
    place.write("mine.toml", &shape.replace("mlp = 192", "mpl = 192"));
    place.refused(2, words, &["mine.toml:", "`mpl`", "`mlp`"]);
}
