//! `assay trace`.

use serde_json::Value;

use crate::place::Place;

#[test]
fn text_tells_work_memory_operators_and_modules() {
    let text = Place::new().ok("trace slm/tiny/train-step prompt=16");
    assert!(
        text.starts_with(
            "slm/tiny/train-step batch=1 precision=f32 prompt=16\n"
        )
    );
    for part in [
        "parameters        229696",
        "  weights         919 kB",
        "  optimizer       1.84 MB",
        "backward   attention ",
        "backward   layers.*.attention",
        "optimizer  layers.*.mlp",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn json_adds_up_by_operator_and_by_kind() {
    let graph = Place::new()
        .json("trace slm/tiny/prefill batch=2 prompt=16 --format json");
    let sum = |values: &mut dyn Iterator<Item = &Value>| -> f64 {
        values.map(|v| v.as_f64().unwrap()).sum()
    };
    let operators = graph["operators"].as_array().unwrap();
    let total = graph["flops"].as_f64().unwrap();
    assert!(total > 0.0);
    assert_eq!(sum(&mut operators.iter().map(|op| &op["flops"])), total);
    let kinds = graph["flops_by_kind"].as_object().unwrap();
    assert_eq!(sum(&mut kinds.values()), total);
    let memory = graph["memory_peak"].as_object().unwrap();
    assert_eq!(
        sum(&mut memory.values()),
        graph["memory_peak_bytes"].as_f64().unwrap()
    );
    assert_eq!(graph["modules"][0]["module"], "");
    assert_eq!(graph["modules"][0]["work"]["flops"], graph["flops"]);
}

#[test]
fn chrome_is_trace_event_json() {
    for case in ["slm/tiny/train-step", "operators/attention"] {
        let trace = Place::new().json(&format!("trace {case} --format chrome"));
        let events = trace["traceEvents"].as_array().unwrap();
        assert!(events.iter().any(|e| e["ph"] == "X"), "{case}");
        for event in events {
            assert!(event["name"].is_string() && event["pid"].is_u64());
            match event["ph"].as_str().unwrap() {
                "M" => assert!(event["args"]["name"].is_string(), "{event}"),
                "X" => {
                    assert!(event["ts"].as_f64().unwrap() >= 0.0, "{event}");
                    assert!(event["dur"].as_f64().unwrap() >= 0.0, "{event}");
                    assert!(event["tid"].is_u64(), "{event}");
                }
                "C" => {
                    assert!(event["ts"].as_f64().unwrap() >= 0.0, "{event}");
                    let counts = event["args"].as_object().unwrap();
                    assert!(counts.values().all(Value::is_number), "{event}");
                }
                other => panic!("{case}: phase {other} in {event}"),
            }
        }
    }
}

#[test]
fn a_large_model_is_traced_without_its_memory() {
    let graph = Place::new().json(
        "trace slm/phonelm-1.5b/train-step batch=64 prompt=2048 --format json",
    );
    assert!(graph["memory_peak_bytes"].as_f64().unwrap() > 100e9);
}
