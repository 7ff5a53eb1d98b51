//! A made-up survey: eight models of one workload on three profiles, with
//! what is published and measured of some. Every number comes from a formula
//! here, so that tests can compute what a report must say.

use assay_reports::{ModuleTimes, RunData};
use assay_schema::{
    Better, Bound, Bytes, Case, Flops, MemoryPart, Metric, Prediction,
    Provenance, PublishedPoint, Record, Runtime, Seconds,
};

use super::{band, empty_run, model_work, record};

/// Models, by size.
pub(crate) const MODELS: [&str; 8] =
    ["m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8"];
/// Profile, unit, and how much slower than the board.
const PROFILES: [(&str, &str, f64); 3] =
    [("board", "gpu", 1.0), ("phone-a", "cpu", 10.0), ("phone-b", "cpu", 20.0)];
/// Shares of a predicted pass by kernel, and by module.
const KERNELS: [(&str, f64); 4] =
    [("matmul", 0.6), ("attention", 0.2), ("norm", 0.1), ("overhead", 0.1)];
const MODULES: [(&str, f64); 3] =
    [("attention", 0.3), ("mlp", 0.5), ("head", 0.1)];
/// Published scores, per cent: all models but the fourth gain with size.
pub(crate) const SCORES: [f64; 8] =
    [30.0, 35.0, 40.0, 38.0, 50.0, 55.0, 60.0, 65.0];

/// Billions of parameters of the n-th model.
pub(crate) fn billions(index: usize) -> f64 {
    0.1 * (index + 1) as f64
}

/// Seconds of a pass on the board.
pub(crate) fn latency(index: usize, phase: &str) -> f64 {
    match phase {
        "prefill" => 0.01 + 0.1 * billions(index),
        _ => 0.002 + 0.03 * billions(index),
    }
}

/// The setting of a phase.
fn text(model: &str, phase: &str, setting: &str, precision: &str) -> String {
    format!("toy/{model}/{phase} batch=1 precision={precision} {setting}")
}

/// A prediction on the n-th profile.
fn prediction(
    case: &str,
    index: usize,
    profile: usize,
    seconds: f64,
) -> Prediction {
    let case: Case = case.parse().unwrap();
    let (name, unit, slower) = PROFILES[profile];
    let seconds = seconds * slower;
    let parameters = 1e9 * billions(index);
    let parts: Vec<MemoryPart> = [
        ("weights", 0.5 * parameters),
        ("kv cache", 1e8),
        ("compute buffer", 5e7),
    ]
    .into_iter()
    .map(|(name, bytes)| MemoryPart { name: name.into(), bytes: Bytes(bytes) })
    .collect();
    Prediction {
        case: case.path(),
        axes: case.axes.clone(),
        profile: name.into(),
        unit: unit.into(),
        runtime: Runtime::LlamaCpp,
        latency_s: band(seconds, 0.25),
        time_by_class: KERNELS
            .into_iter()
            .map(|(class, share)| (class.into(), Seconds(share * seconds)))
            .collect(),
        flops: Flops(2.0 * parameters),
        bytes: Bytes(0.5 * parameters),
        parameters: parameters as u64,
        memory_peak_bytes: Bytes(0.5 * parameters + 1.5e8),
        memory_parts: parts,
        fits: Some(true),
        energy_j: None,
        bound: Bound::Memory,
        provenance: Provenance::Predicted,
    }
}

fn modules(prediction: &Prediction) -> ModuleTimes {
    let seconds = prediction.latency_s.point;
    ModuleTimes {
        case: prediction.full_case().unwrap(),
        profile: prediction.profile.clone(),
        unit: prediction.unit.clone(),
        runtime: prediction.runtime,
        seconds: MODULES
            .into_iter()
            .map(|(module, share)| (module.into(), Seconds(share * seconds)))
            .collect(),
    }
}

fn published(
    case: &str,
    profile: &str,
    metric: &str,
    value: f64,
    unit: &str,
) -> PublishedPoint {
    PublishedPoint {
        case: case.into(),
        profile: profile.into(),
        metric: metric.into(),
        value,
        unit: unit.into(),
        source: "a survey that was made up".into(),
        trust: "table".into(),
    }
}

/// What is published: six models' prefill in milliseconds and memory with its
/// parts, one breakdown, all scores, one model's time a token in two formats.
fn points() -> Vec<PublishedPoint> {
    let mut points = Vec::new();
    for (index, model) in MODELS.into_iter().enumerate() {
        points.push(published(
            &format!("toy/{model}"),
            "none",
            "commonsense",
            SCORES[index],
            "%",
        ));
        if index >= 6 {
            continue;
        }
        let case = text(model, "prefill", "prompt=50", "q4_k_m");
        let ms = 12.0 + 110.0 * billions(index);
        points.push(published(&case, "board", "time", ms, "ms"));
        let case = text(model, "decode", "context=2047", "q4_k_m");
        let megabytes = 400.0 * billions(index);
        for (metric, value) in [
            ("memory_peak", megabytes + 150.0),
            ("memory_part/weights", megabytes),
            ("memory_part/kv cache", 100.0),
            ("memory_part/compute buffer", 50.0),
        ] {
            points.push(published(&case, "board", metric, value, "MB"));
        }
    }
    let case = text("m2", "prefill", "prompt=50", "q4_k_m");
    for (metric, share) in
        [("part_attention", 40.0), ("part_ffn", 35.0), ("part_lm_head", 25.0)]
    {
        points.push(published(&case, "board", metric, share, "%"));
    }
    for (precision, seconds) in [("f16", 0.06), ("q4_0", 0.03)] {
        let case = text("m3", "generate", "tokens=8", precision);
        let metric = "time_per_output_token";
        points.push(published(&case, "board", metric, seconds, "s"));
    }
    points
}

/// A measured prefill with its perplexity.
fn measured(
    index: usize,
    precision: &str,
    seconds: f64,
    perplexity: f64,
) -> Record {
    let case = text(MODELS[index], "prefill", "prompt=50", precision);
    let work = model_work(1e9 * billions(index), "prefill");
    let mut record = record(&case, seconds, Some(work));
    let metric =
        Metric::value("quality/perplexity", "1", Better::Lower, perplexity);
    record.metrics.push((None, metric));
    record
}

/// The survey.
pub(crate) fn survey() -> RunData {
    let mut run = empty_run("bench-1");
    run.header.plan.name = "synthetic survey".into();
    run.header.plan.predict_on =
        ["board", "phone-a", "phone-b"].map(str::to_owned).to_vec();
    for (index, model) in MODELS.into_iter().enumerate() {
        for profile in 0..PROFILES.len() {
            let mut add = |phase: &str, setting: &str| {
                let case = text(model, phase, setting, "q4_k_m");
                let seconds = latency(index, phase);
                run.predictions
                    .push(prediction(&case, index, profile, seconds));
            };
            add("prefill", "prompt=50");
            add("decode", "context=75");
            // The largest has a shorter context.
            if index < 7 {
                add("decode", "context=2047");
            }
        }
        if index < 6 {
            let seconds = 2.0 * latency(index, "prefill");
            run.records.push(measured(index, "f32", seconds, 20.0));
        }
    }
    let wanted = ["prompt", "context"];
    run.modules = run
        .predictions
        .iter()
        .filter(|one| one.profile == "board")
        .filter(|one| wanted.iter().any(|axis| one.axes.contains_key(*axis)))
        .map(modules)
        .collect();
    // Formats of the third model, at three lengths.
    for (precision, factor) in [("f16", 1.0), ("q8_0", 0.6), ("q4_0", 0.4)] {
        for prompt in [8, 25, 50] {
            let setting = format!("prompt={prompt}");
            let case = text("m3", "prefill", &setting, precision);
            let seconds = factor * (0.02 + 1e-3 * f64::from(prompt));
            run.predictions.push(prediction(&case, 2, 0, seconds));
        }
    }
    run.records.push(measured(2, "f16", 0.04, 20.1));
    run.records.push(measured(2, "q8_0", 0.03, 20.5));
    run.published = points();
    run
}
