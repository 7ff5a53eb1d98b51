//! The search for shapes and the intents from the command line.

use crate::place::Place;

const SEARCH: &str = "phonelm/candidate/search target=snapdragon-8-gen-3:cpu \
                      budget=3000000 candidates=40 precision=q4_0";

#[test]
fn a_search_for_a_phone_ends_in_a_front() {
    let place = Place::new();
    place.ok(&format!("run {SEARCH} --out r"));
    let record = &place.run("r").records().unwrap()[0];
    assert_eq!(record.metric("quality/candidates"), Some(40.0));
    let of_front = |metric: &'static str| {
        record
            .metric_values(metric)
            .filter(|(at, _)| at.get("set").is_some_and(|set| set == "front"))
            .map(|(_, value)| value)
            .collect::<Vec<f64>>()
    };
    let size = record.metric("quality/front_size").unwrap();
    for metric in ["quality/prefill", "quality/decode", "quality/memory"] {
        let values = of_front(metric);
        assert_eq!(values.len() as f64, size, "{metric}");
        assert!(values.iter().all(|value| *value > 0.0), "{metric}");
    }
    let page = place.read("r/report/index.html");
    for part in ["Decode against prefill", "2411.05046", "shape-decode"] {
        assert!(page.contains(part), "no {part}");
    }
    // The same seed finds the same shapes.
    place.ok(&format!("run {SEARCH} --out again"));
    let again = &place.run("again").records().unwrap()[0];
    let front = |record: &assay_schema::Record| {
        let values = record.metric_values("quality/decode");
        values.map(|(at, value)| (at.clone(), value)).collect::<Vec<_>>()
    };
    assert_eq!(front(record), front(again));
}

#[test]
fn a_shipped_shape_is_predicted_as_the_language_model_that_it_is() {
    let place = Place::new();
    let latency = |workload: &str| {
        let said = place.json(&format!(
            "predict {workload}/phonelm-1.5b/decode context=64 \
             precision=q4_0 --on snapdragon-8-gen-3:cpu --format json"
        ));
        said[0]["latency_s"]["point"].as_f64().unwrap()
    };
    assert_eq!(latency("phonelm"), latency("slm"));
}

#[test]
fn the_targets_are_the_profiles_and_their_units() {
    let place = Place::new();
    let list = place.json("workloads --format json");
    let own = list
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["workload"] == "phonelm");
    let targets = own.unwrap()["axes"]["target"].as_array().unwrap();
    assert_eq!(targets[0], "host");
    assert!(targets.iter().any(|one| one == "snapdragon-8-gen-3:npu"));
    place.refused(
        2,
        "run phonelm/candidate/search target=snapdragon-8-gen-3:tpu --out r",
        &["snapdragon-8-gen-3:tpu", "snapdragon-8-gen-3:"],
    );
    assert!(!place.path("r").exists());
}

#[test]
fn axes_that_exclude_each_other_and_unknown_models_are_refused() {
    let place = Place::new();
    for (words, parts) in [
        (
            "trace phonelm/candidate/decode width=100 heads=3",
            ["heads=3", "width=100"],
        ),
        (
            "trace phonelm/candidate/decode heads=16 kv_heads=3",
            ["`kv_heads` 3", "`heads` 16"],
        ),
        (
            "trace phonelm/candidate/search measured=40 precision=f16",
            ["measured=40", "precision=f32"],
        ),
        ("trace phonelm/candidate/decode layers=0", ["`layers`", "1 or more"]),
        (
            "trace phonelm/intents/decode",
            ["unknown phase `decode`", "phonelm/intents"],
        ),
    ] {
        place.refused(2, words, &parts);
    }
}

#[test]
fn a_budget_that_no_candidate_meets_is_a_failed_case_that_says_so() {
    let place = Place::new();
    let words = "run phonelm/candidate/search \
                 target=snapdragon-8-gen-3:cpu budget=900 candidates=9 \
                 precision=q4_0 --out r";
    let said = place.assay(words);
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    let record = &place.run("r").records().unwrap()[0];
    let assay_schema::Outcome::Failed(why) = &record.outcome else {
        panic!("not failed: {:?}", record.outcome)
    };
    assert!(why.contains("a budget of 900 parameters"), "{why}");
}
