//! Readings from what is published, what is predicted and what was measured.

use std::collections::BTreeMap;

use assay_schema::{
    Case, ClaimData, Estimate, Prediction, PublishedPoint, Record, Runtime,
};
use assay_statistics::median_estimate;

use super::memory_parts::MIB;
use super::readings::{
    FORMAT, JETSON, NEAR, Quantity, Reading, Readings, exact,
};
use super::{PartTimes, SurveyPoint, figure_7};
use crate::{LlamaCpp, Phase, Shape, models, published_memory};

/// The name under which the curves of Figure 9 stand: which model drew them is
/// one of the questions.
pub(super) const FIGURE_9: &str = "figure-9";

/// The models of the survey's breakdown.
pub(super) const BROKEN_DOWN: [&str; 2] = ["qwen1.5-0.5b", "qwen2-0.5b"];

const PUBLISHED: &str = "recomputed from what is published; no repetitions are";

/// The phases that claims are about.
fn phase(name: &str) -> Option<Phase> {
    match name {
        "prefill" => Some(Phase::Prefill),
        "decode" => Some(Phase::Decode),
        _ => None,
    }
}

fn axis(axes: &BTreeMap<String, String>, name: &str) -> Option<u32> {
    axes.get(name)?.parse().ok()
}

/// Tokens of the prompt or in the cache.
fn length(phase: Phase, axes: &BTreeMap<String, String>) -> u32 {
    let name = if phase == Phase::Decode {
        "context"
    } else if phase == Phase::Generate {
        "tokens"
    } else {
        "prompt"
    };
    axis(axes, name).unwrap_or_default()
}

/// What the survey and its authors published. Figure 8 stands behind Figure 7:
/// a curve keeps to the later, all else to the earlier.
pub(super) fn published(points: &[PublishedPoint]) -> Readings {
    let mut all: Vec<Reading> =
        figure_7().iter().flat_map(survey_point).collect();
    all.extend(points.iter().filter_map(published_point));
    // A test reads the table.
    for row in published_memory().unwrap_or_default() {
        for (quantity, mib) in [
            (Quantity::ComputeBuffer, row.compute_buffer),
            (Quantity::KvCache, row.kv_cache),
        ] {
            all.push(Reading {
                model: row.model.clone(),
                phase: Phase::Decode,
                precision: FORMAT.to_owned(),
                length: 2048,
                machine: JETSON.to_owned(),
                quantity,
                value: exact(mib, PUBLISHED),
            });
        }
    }
    Readings { data: ClaimData::Published, all }
}

fn published_point(point: &PublishedPoint) -> Option<Reading> {
    let case: Case = point.case.parse().ok()?;
    let written = case.phase.as_deref()?;
    let is_figure_9 = point.metric.starts_with("figure_9");
    let (quantity, unit) = match point.metric.as_str() {
        "time"
        | "time_per_output_token"
        | "figure_9_time"
        | "figure_9_time_per_output_token" => (Quantity::Time, "s"),
        "kernel_mul_mat_vec_q" => (Quantity::Products, "%"),
        "part_attention" => (Quantity::Attention, "%"),
        "part_ffn" => (Quantity::FeedForward, "%"),
        _ => return None,
    };
    // Milliseconds would be read as seconds.
    if point.unit != unit {
        return None;
    }
    // Time a token of a generation is decode's, by tokens generated.
    let (phase, length) = if written == "generate" {
        (Phase::Decode, length(Phase::Generate, &case.axes))
    } else {
        let phase = phase(written)?;
        (phase, length(phase, &case.axes))
    };
    let model = if is_figure_9 { FIGURE_9.to_owned() } else { case.model };
    Some(Reading {
        model,
        phase,
        precision: case.axes.get("precision").cloned().unwrap_or_default(),
        length,
        machine: point.profile.clone(),
        quantity,
        value: exact(point.value, PUBLISHED),
    })
}

/// Parameters are plotted to three figures, which is their interval.
fn survey_point(point: &SurveyPoint) -> Vec<Reading> {
    let of = |phase, length, quantity, value: Estimate| Reading {
        model: point.model.to_lowercase(),
        phase,
        precision: FORMAT.to_owned(),
        length,
        machine: JETSON.to_owned(),
        quantity,
        value,
    };
    let millions = point.parameters_m;
    let half = if millions < 1000.0 { 0.5 } else { 5.0 };
    let counted = Estimate {
        low: 1e6 * (millions - half),
        high: 1e6 * (millions + half),
        ..exact(1e6 * millions, PUBLISHED)
    };
    let time = |ms: f64| exact(ms / 1e3, PUBLISHED);
    let mut all = vec![of(Phase::Decode, 0, Quantity::Parameters, counted)];
    if let Some(ms) = point.first_token_ms {
        all.push(of(Phase::Prefill, 50, Quantity::Time, time(ms)));
    }
    if let Some(ms) = point.decode_ms {
        all.push(of(Phase::Decode, 75, Quantity::Time, time(ms)));
    }
    if let Some(mib) = point.memory_mib {
        let value = exact(mib, PUBLISHED);
        all.push(of(Phase::Decode, 2048, Quantity::Memory, value));
    }
    all
}

/// What was predicted of one row of tokens; the survey's engine first.
pub(super) fn predicted(
    predictions: &[Prediction],
    parts: &[PartTimes],
) -> Readings {
    let mut own: Vec<&Prediction> = predictions
        .iter()
        .filter(|one| one.case.starts_with("slm/"))
        .filter(|one| one.axes.get("batch").is_none_or(|b| b == "1"))
        .collect();
    own.sort_by_key(|one| one.runtime != Runtime::LlamaCpp);
    let all = own.into_iter().flat_map(|one| prediction(one, parts)).collect();
    Readings { data: ClaimData::Predicted, all }
}

fn prediction(one: &Prediction, parts: &[PartTimes]) -> Vec<Reading> {
    let Some(case) = one.full_case() else { return Vec::new() };
    let Some(phase) = case.phase.as_deref().and_then(phase) else {
        return Vec::new();
    };
    let method = format!("predicted: {case} on {}", one.profile);
    let of = |quantity, value: Estimate| Reading {
        model: case.model.clone(),
        phase,
        precision: case.axes.get("precision").cloned().unwrap_or_default(),
        length: length(phase, &case.axes),
        machine: one.profile.clone(),
        quantity,
        value,
    };
    let alone = |value: f64| Estimate { n: 0, ..exact(value, &method) };
    let time = Estimate {
        method: format!("{}; {method}", one.latency_s.method),
        ..one.latency_s.clone()
    };
    let mut all = vec![
        of(Quantity::Time, time),
        of(Quantity::Parameters, alone(one.parameters as f64)),
    ];
    if one.profile == JETSON {
        all.extend(
            allocated(&case, phase)
                .map(|(quantity, mib)| of(quantity, alone(mib))),
        );
    }
    if !BROKEN_DOWN.contains(&case.model.as_str()) || one.profile != JETSON {
        return all;
    }
    let total: f64 = one.time_by_class.values().map(|s| s.value()).sum();
    if let Some(products) = one.time_by_class.get("matmul") {
        let share = 100.0 * products.value() / total;
        all.push(of(Quantity::Products, alone(share)));
    }
    let is_surveys =
        case.axes.get("precision").is_none_or(|found| found == FORMAT);
    if is_surveys && let Some([attention, ffn]) = shares(one, &case, parts) {
        all.push(of(Quantity::Attention, alone(attention)));
        all.push(of(Quantity::FeedForward, alone(ffn)));
    }
    all
}

/// What llama.cpp allocates for a model as the survey ran it, MiB: of a decode
/// step of a context of about 2,048 in its format, and of nothing else.
fn allocated(
    case: &Case,
    phase: Phase,
) -> impl Iterator<Item = (Quantity, f64)> {
    let is_surveys = phase == Phase::Decode
        && case.axis("precision") == Some(FORMAT)
        && length(phase, &case.axes).abs_diff(2048) <= NEAR;
    let memory = is_surveys
        .then(|| models::config(&case.model).ok())
        .flatten()
        .and_then(|config| Shape::of(&config).ok())
        .and_then(|shape| LlamaCpp::SURVEY.memory(&shape).ok());
    memory.into_iter().flat_map(|memory| {
        [
            (Quantity::Memory, memory.total()),
            (Quantity::ComputeBuffer, memory.compute_buffer),
            (Quantity::KvCache, memory.kv_cache),
        ]
        .map(|(quantity, bytes)| (quantity, bytes.value() / MIB))
    })
}

/// Attention's and the feed-forward network's share of a predicted pass,
/// percent of all its time: as a report's breakdown by module has them.
fn shares(
    one: &Prediction,
    case: &Case,
    parts: &[PartTimes],
) -> Option<[f64; 2]> {
    let found = parts.iter().find(|of| {
        of.case == *case
            && of.profile == one.profile
            && of.unit == one.unit
            && of.runtime == one.runtime
    })?;
    let host = one.time_by_class.get("overhead").map_or(0.0, |s| s.value());
    let kernels: f64 = found.seconds.values().map(|s| s.value()).sum();
    let total = host + kernels;
    let share = |part: &str| -> Option<f64> {
        Some(100.0 * found.seconds.get(part)?.value() / total)
    };
    let both = [share("attention")?, share("mlp")?];
    both.iter().all(|share| share.is_finite()).then_some(both)
}

/// What was measured of one row of tokens, the latest first.
pub(super) fn measured(records: &[Record]) -> Readings {
    let mut own: Vec<&Record> = records
        .iter()
        .filter(|record| record.case.workload == "slm" && record.is_sound())
        .filter(|record| record.case.axis("batch").is_none_or(|b| b == "1"))
        .collect();
    own.sort_by_key(|record| std::cmp::Reverse(record.started));
    let all = own.into_iter().flat_map(record_readings).collect();
    Readings { data: ClaimData::Generated, all }
}

fn record_readings(record: &Record) -> Vec<Reading> {
    let case = &record.case;
    let Some(phase) = case.phase.as_deref().and_then(phase) else {
        return Vec::new();
    };
    let of = |quantity, value: Estimate| Reading {
        model: case.model.clone(),
        phase,
        precision: case.axis("precision").unwrap_or_default().to_owned(),
        length: length(phase, &case.axes),
        machine: record.device.clone(),
        quantity,
        value,
    };
    let mut all = Vec::new();
    if let Ok(time) = median_estimate(&record.steady_samples("step"), 0.95) {
        let method = format!("{}; {case}", time.method);
        all.push(of(Quantity::Time, Estimate { method, ..time }));
    }
    if let Some(work) = &record.work {
        let parameters = exact(work.parameters as f64, "counted by the trace");
        all.push(of(Quantity::Parameters, parameters));
    }
    all
}
