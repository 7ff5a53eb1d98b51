//! The real outputs against `docs/schemas/`.

use serde_json::Value;

use crate::json_schema::faults;
use crate::place::Place;

pub(crate) fn schema(name: &str) -> Value {
    let root = env!("CARGO_MANIFEST_DIR");
    let path = format!("{root}/../../docs/schemas/{name}.schema.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let schema: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    schema
}

fn holds(name: &str, words: &str) {
    let found = faults(&schema(name), &Place::new().json(words));
    assert!(found.is_empty(), "assay {words}\n{}", found.join("\n"));
}

#[test]
fn workloads_is_as_its_schema_says() {
    holds("workloads", "workloads --format json");
}

#[test]
fn profiles_is_as_its_schema_says() {
    holds("profiles", "profiles --format json");
    holds("profiles", "profiles snapdragon-8-gen-3 --format json");
}

#[test]
fn predict_is_as_its_schema_says() {
    for case in
        ["slm/tiny/generate", "slm/phonelm-1.5b/train-step", "operators/conv2d"]
    {
        holds("predict", &format!("predict {case} --on all --format json"));
    }
    holds(
        "predict",
        "predict operators/all_reduce --on nvidia-h100-sxm5-80gb --format \
         json",
    );
}

#[test]
fn doctor_is_as_its_schema_says() {
    holds("doctor", "doctor --format json");
}

#[test]
fn trace_is_as_its_schema_says() {
    for case in
        ["slm/tiny/train-step", "slm/opt-125m/decode", "operators/elementwise"]
    {
        holds("trace", &format!("trace {case} --format json"));
    }
}

#[test]
fn a_document_that_is_bent_is_found_out() {
    let place = Place::new();
    let words = "predict slm/tiny/decode --on nvidia-l4 --format json";
    let good = place.json(words);
    let schema = schema("predict");
    for bend in [
        |p: &mut Value| p["bound"] = "luck".into(),
        |p: &mut Value| p["flops"] = "many".into(),
        |p: &mut Value| p["extra"] = 1.into(),
        |p: &mut Value| p["latency_s"]["low"] = Value::Null,
        |p: &mut Value| {
            p.as_object_mut().unwrap().remove("axes");
        },
    ] {
        let mut bent = good.clone();
        bend(&mut bent[0]);
        assert!(!faults(&schema, &bent).is_empty(), "{bent}");
    }
}
