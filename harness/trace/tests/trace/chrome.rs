//! The trace-event document against a validator written for it: the fields
//! that each phase (`ph`) must have, times, and how slices of a thread lie.

use assay_schema::{Precision, Seconds};
use assay_trace::{Graph, Role, capture, chrome_trace, span, span_at};
use burn::tensor::Tensor;
use serde_json::Value;

fn graph() -> Graph {
    capture(
        |_| None,
        |recorder| {
            let x = Tensor::<2>::zeros([4, 4], &recorder.device());
            recorder.role(&x, Role::Input);
            let mut x = x;
            for i in 0..2 {
                x = span_at("layers", i, || {
                    let y = span("mlp", || x.clone().matmul(x).exp());
                    y + 1.0
                });
            }
            recorder.output(&x.sum());
        },
    )
    .unwrap()
}

/// Problems of a document; none when it is valid.
fn problems(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let Some(events) = document["traceEvents"].as_array() else {
        return vec!["`traceEvents` is no array".to_owned()];
    };
    let unit = &document["displayTimeUnit"];
    if unit != "ms" && unit != "ns" {
        found.push(format!("displayTimeUnit {unit}"));
    }
    // Per thread, the slices that are open, by their ends.
    let mut slices: Vec<(u64, u64, f64, f64)> = Vec::new();
    for event in events {
        let mut require = |ok: bool, what: &str| {
            if !ok {
                found.push(format!("{what}: {event}"));
            }
        };
        require(event["name"].is_string(), "`name` is a text");
        require(event["pid"].is_u64(), "`pid` is a whole number");
        require(event["tid"].is_u64(), "`tid` is a whole number");
        let time = |key: &str| {
            event[key].as_f64().filter(|t| t.is_finite() && *t >= 0.0)
        };
        match event["ph"].as_str() {
            Some("M") => {
                let known = ["process_name", "thread_name"];
                let name = event["name"].as_str().unwrap_or_default();
                require(known.contains(&name), "a known metadata name");
                require(event["args"]["name"].is_string(), "`args.name`");
            }
            Some("X") => {
                require(event["cat"].is_string(), "`cat` is a text");
                match (time("ts"), time("dur")) {
                    (Some(start), Some(length)) => slices.push((
                        event["pid"].as_u64().unwrap_or_default(),
                        event["tid"].as_u64().unwrap_or_default(),
                        start,
                        start + length,
                    )),
                    _ => require(false, "`ts` and `dur` are times"),
                }
            }
            Some("C") => {
                require(time("ts").is_some(), "`ts` is a time");
                let series = event["args"].as_object();
                require(
                    series.is_some_and(|s| {
                        !s.is_empty() && s.values().all(Value::is_number)
                    }),
                    "a counter's `args` are numbers",
                );
            }
            _ => require(false, "`ph` is M, X or C"),
        }
    }
    slices.sort_by(|a, b| {
        (a.0, a.1)
            .cmp(&(b.0, b.1))
            .then(a.2.total_cmp(&b.2))
            .then(b.3.total_cmp(&a.3))
    });
    let mut open: Vec<(u64, u64, f64, f64)> = Vec::new();
    for slice in slices {
        let slack = 1e-9 * slice.3;
        while open.last().is_some_and(|outer| {
            (outer.0, outer.1) != (slice.0, slice.1)
                || outer.3 <= slice.2 + slack
        }) {
            open.pop();
        }
        if open.last().is_some_and(|outer| outer.3 + slack < slice.3) {
            found.push(format!("{slice:?} overlaps {:?}", open.last()));
        }
        open.push(slice);
    }
    found
}

#[test]
fn the_validator_sees_what_is_wrong() {
    let good = chrome_trace(&graph(), Precision::F32, "t", None);
    let slice = |document: &Value| {
        let events = document["traceEvents"].as_array().unwrap();
        events.iter().position(|e| e["ph"] == "X").unwrap()
    };
    for (key, value) in [
        ("ph", Value::from("Q")),
        ("ts", Value::from(-1.0)),
        ("dur", Value::Null),
        ("name", Value::Null),
        ("dur", Value::from(1.5)), // into the next slice of the thread
    ] {
        let mut bad = good.clone();
        let at = slice(&bad);
        bad["traceEvents"][at][key] = value.clone();
        assert!(!problems(&bad).is_empty(), "{key} = {value}");
    }
}

#[test]
fn the_document_is_valid_with_and_without_times() {
    let graph = graph();
    let order = chrome_trace(&graph, Precision::F32, "tiny \"x\"", None);
    assert_eq!(problems(&order), [""; 0]);
    let seconds: Vec<Seconds> = (0..graph.operators.len())
        .map(|i| Seconds(1e-6 / 3.0 * (i * i) as f64))
        .collect();
    let timed = chrome_trace(&graph, Precision::F32, "t", Some(&seconds));
    assert_eq!(problems(&timed), [""; 0]);
    let text = serde_json::to_string(&timed).unwrap();
    let back: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(problems(&back), [""; 0]);
    assert_ne!(order["otherData"]["time"], timed["otherData"]["time"]);
}

#[test]
fn each_operator_is_one_slice_of_its_own_length_with_its_work() {
    let graph = graph();
    let seconds = vec![Seconds(2e-6); graph.operators.len()];
    let document = chrome_trace(&graph, Precision::F32, "t", Some(&seconds));
    let events = document["traceEvents"].as_array().unwrap();
    let slices: Vec<&Value> =
        events.iter().filter(|e| e["ph"] == "X" && e["tid"] == 1).collect();
    assert_eq!(slices.len(), graph.operators.len());
    for (i, (slice, op)) in slices.iter().zip(&graph.operators).enumerate() {
        assert!((slice["ts"].as_f64().unwrap() - 2.0 * i as f64).abs() < 1e-9);
        assert!((slice["dur"].as_f64().unwrap() - 2.0).abs() < 1e-9);
        assert_eq!(slice["args"]["flops"], op.kind.flops());
        assert_eq!(slice["args"]["module"], graph.modules[op.module]);
    }
    let counters = events.iter().filter(|e| e["ph"] == "C").count();
    assert_eq!(counters, graph.operators.len());
}

#[test]
fn modules_are_slices_round_those_of_their_parts() {
    let document = chrome_trace(&graph(), Precision::F32, "t", None);
    let events = document["traceEvents"].as_array().unwrap();
    let mut modules: Vec<(&str, f64, f64)> = events
        .iter()
        .filter(|e| e["ph"] == "X" && e["cat"] == "module")
        .map(|e| {
            let time = |key: &str| e[key].as_f64().unwrap();
            (e["name"].as_str().unwrap(), time("ts"), time("dur"))
        })
        .collect();
    modules.sort_by(|a, b| a.1.total_cmp(&b.1).then(b.2.total_cmp(&a.2)));
    assert_eq!(
        modules,
        [
            ("model", 0.0, 7.0),
            ("layers", 0.0, 6.0),
            ("layers.0", 0.0, 3.0),
            ("layers.0.mlp", 0.0, 2.0),
            ("layers.1", 3.0, 3.0),
            ("layers.1.mlp", 3.0, 2.0),
        ]
    );
}
