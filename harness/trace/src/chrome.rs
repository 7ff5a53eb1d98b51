//! A graph as trace events (the JSON that chrome://tracing, Perfetto and
//! Speedscope read).
//!
//! A trace without a device has no time: `seconds` gives each operator's
//! duration when a prediction is at hand; else each lasts one microsecond and
//! the page shows order, not time. Modules nest as slices; memory is a
//! counter.

use assay_schema::{Bytes, Precision, Seconds};
use serde_json::{Value, json};

use crate::modules::ancestors;
use crate::{Graph, memory};

/// The trace-event document of a graph. `seconds`: one duration an operator,
/// in operator order.
pub fn chrome_trace(
    graph: &Graph,
    precision: Precision,
    title: &str,
    seconds: Option<&[Seconds]>,
) -> Value {
    let live = memory(graph, precision).over_time;
    let mut events = vec![
        json!({"ph": "M", "name": "process_name", "pid": 1, "tid": 0,
               "args": {"name": title}}),
        json!({"ph": "M", "name": "thread_name", "pid": 1, "tid": 1,
               "args": {"name": "operators"}}),
        json!({"ph": "M", "name": "thread_name", "pid": 1, "tid": 2,
               "args": {"name": "modules"}}),
    ];
    let mut now = 0.0; // microseconds
    // Modules that the current operator is in, outermost first, each with
    // when it began.
    let mut open: Vec<(&str, f64)> = Vec::new();
    let close_to = |depth: usize,
                    open: &mut Vec<(&str, f64)>,
                    events: &mut Vec<_>,
                    end| {
        for (path, start) in open.drain(depth..).rev() {
            let name = if path.is_empty() { "model" } else { path };
            events.push(json!({"ph": "X", "name": name, "cat": "module",
                "pid": 1, "tid": 2, "ts": start, "dur": end - start}));
        }
    };
    for (i, op) in graph.operators.iter().enumerate() {
        let duration =
            seconds.and_then(|all| all.get(i)).map_or(1.0, |s| s.value() * 1e6);
        let (read, written) = graph.traffic(op, precision);
        let path = ancestors(&graph.modules[op.module]);
        let shared = open
            .iter()
            .zip(&path)
            .take_while(|((name, _), part)| name == *part)
            .count();
        close_to(shared, &mut open, &mut events, now);
        open.extend(path[shared..].iter().map(|part| (*part, now)));
        events.push(json!({
            "ph": "X", "name": op.kind.name(), "cat": op.pass,
            "pid": 1, "tid": 1, "ts": now, "dur": duration,
            "args": {
                "module": graph.modules[op.module],
                "shape": op.kind,
                "flops": op.kind.flops(),
                "bytes_read": read,
                "bytes_written": written,
            },
        }));
        let bytes = live.get(i).copied().unwrap_or(Bytes::ZERO);
        events.push(json!({"ph": "C", "name": "memory", "pid": 1, "tid": 0,
            "ts": now, "args": {"bytes": bytes}}));
        now += duration;
    }
    close_to(0, &mut open, &mut events, now);
    json!({
        "traceEvents": events,
        "displayTimeUnit": "ns",
        "otherData": {
            "time": if seconds.is_some() { "predicted" }
                    else { "order only: one microsecond an operator" },
        },
    })
}
