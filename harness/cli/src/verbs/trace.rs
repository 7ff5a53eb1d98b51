//! `assay trace`: what a case does, without doing it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use assay_schema::{Case, Precision};
use assay_trace::{Graph, Pass, by_module, chrome_trace, memory, summary};
use serde_json::json;

use crate::arguments::{TraceArgs, TraceFormat};
use crate::exit::{Ending, Verdict, print};
use crate::registry;
use crate::table::{aligned, si};

pub(crate) fn run(args: &TraceArgs) -> Verdict {
    registry::check_model(args.model.as_deref())?;
    let typed = registry::read_case(&args.case, &args.axes)?;
    let case =
        registry::complete(&typed, args.model.as_deref(), Precision::F32)?;
    let precision = registry::precision(&case)?;
    let graph = registry::trace(&case, args.model.as_ref())?;
    let text = match args.format {
        TraceFormat::Text => text(&case, &graph, precision),
        TraceFormat::Json => {
            let document = document(&case, &graph, precision);
            serde_json::to_string_pretty(&document)? + "\n"
        }
        TraceFormat::Chrome => {
            let title = case.to_string();
            let document = chrome_trace(&graph, precision, &title, None);
            serde_json::to_string(&document)? + "\n"
        }
    };
    print(&text);
    Ok(Ending::Done)
}

fn pass_name(pass: Pass) -> &'static str {
    match pass {
        Pass::Forward => "forward",
        Pass::Backward => "backward",
        Pass::Optimizer => "optimizer",
    }
}

fn document(
    case: &Case,
    graph: &Graph,
    precision: Precision,
) -> serde_json::Value {
    let totals = summary(graph, precision);
    let profile = memory(graph, precision);
    let modules: Vec<_> = by_module(graph, precision)
        .into_iter()
        .map(|((module, pass), work)| {
            json!({"module": module, "pass": pass, "work": work})
        })
        .collect();
    let operators: Vec<_> = graph
        .operators
        .iter()
        .zip(&profile.over_time)
        .map(|(op, live)| {
            let (read, written) = graph.traffic(op, precision);
            json!({
                "operator": op.kind,
                "module": graph.modules[op.module],
                "pass": op.pass,
                "flops": op.kind.flops(),
                "bytes_read": read,
                "bytes_written": written,
                "live_bytes": live,
            })
        })
        .collect();
    json!({
        "case": case.path(),
        "axes": case.axes,
        "flops": totals.flops,
        "flops_by_kind": totals.flops_by_kind,
        "bytes": totals.bytes,
        "parameters": totals.parameters,
        "memory_peak_bytes": totals.memory_peak.total(),
        "memory_peak": totals.memory_peak,
        "modules": modules,
        "operators": operators,
    })
}

fn text(case: &Case, graph: &Graph, precision: Precision) -> String {
    let totals = summary(graph, precision);
    let peak = totals.memory_peak;
    let mut text = format!("{case}\n\n");
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<18}{value}");
    };
    line("parameters", format!("{}", totals.parameters));
    line("arithmetic", si(totals.flops.value(), "FLOP"));
    line("traffic", si(totals.bytes.value(), "B") + ", nothing fused");
    line("operators", format!("{}", totals.operators));
    line("memory at peak", si(peak.total().value(), "B"));
    for (name, part) in [
        ("  weights", peak.weights_bytes),
        ("  KV cache", peak.kv_cache_bytes),
        ("  gradients", peak.gradients_bytes),
        ("  optimizer", peak.optimizer_bytes),
        ("  activations", peak.activations_bytes),
    ] {
        if part.value() > 0.0 {
            line(name, si(part.value(), "B"));
        }
    }
    text.push('\n');
    text.push_str(&by_kind(graph, precision));
    let modules = top_modules(graph, precision);
    if !modules.is_empty() {
        text.push('\n');
        text.push_str(&modules);
    }
    text
}

fn by_kind(graph: &Graph, precision: Precision) -> String {
    let mut kinds: BTreeMap<(Pass, &str), (u64, f64, f64)> = BTreeMap::new();
    for op in &graph.operators {
        let (read, written) = graph.traffic(op, precision);
        let row = kinds.entry((op.pass, op.kind.name())).or_default();
        row.0 += 1;
        row.1 += op.kind.flops();
        row.2 += (read + written).value();
    }
    let mut rows = vec![
        ["pass", "operator", "count", "arithmetic", "traffic"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let mut sorted: Vec<_> = kinds.into_iter().collect();
    sorted.sort_by(|a, b| (a.0.0).cmp(&b.0.0).then(b.1.1.total_cmp(&a.1.1)));
    for ((pass, kind), (count, flops, bytes)) in sorted {
        rows.push(vec![
            pass_name(pass).to_owned(),
            kind.to_owned(),
            count.to_string(),
            si(flops, "FLOP"),
            si(bytes, "B"),
        ]);
    }
    aligned(&rows)
}

/// Modules of the first two levels, layers folded into one row.
fn top_modules(graph: &Graph, precision: Precision) -> String {
    let mut folded: BTreeMap<(Pass, String), (f64, f64)> = BTreeMap::new();
    for ((path, pass), work) in by_module(graph, precision) {
        let parts: Vec<&str> = path.split('.').collect();
        let name = match parts[..] {
            [""] => continue,
            [one] if one != "layers" => one.to_owned(),
            ["layers", _, part] => format!("layers.*.{part}"),
            _ => continue,
        };
        let row = folded.entry((pass, name)).or_default();
        row.0 += work.flops.value();
        row.1 += work.bytes.value();
    }
    let mut rows = vec![
        ["pass", "module", "arithmetic", "traffic"].map(str::to_owned).to_vec(),
    ];
    for ((pass, name), (flops, bytes)) in folded {
        rows.push(vec![
            pass_name(pass).to_owned(),
            name,
            si(flops, "FLOP"),
            si(bytes, "B"),
        ]);
    }
    if rows.len() == 1 { String::new() } else { aligned(&rows) }
}
