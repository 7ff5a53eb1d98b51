//! The survey's memory breakdown, carried to longer contexts, and what its
//! compute buffer follows.
//!
//! The numbers and the formulas that give them are in `memory.rs`.

use assay_schema::{ClaimData, Estimate};

use super::readings::{Readings, exact};
use super::statistic::{over_models, r_squared};
use crate::{LlamaCpp, PublishedMemory, Shape, models, published_memory};

/// Bytes of a MiB.
pub(super) const MIB: f64 = 1_048_576.0;
/// Bytes of `f32` values for each token of a micro-batch.
const MICRO_BATCH_BYTES: f64 = 4.0 * 512.0;
/// The context of the survey's figure.
const CONTEXT: f64 = 2048.0;

/// The share of a model's memory at a longer context, percent: of its KV
/// cache, with the compute buffer or alone.
///
/// As published: the figure's KV cache in proportion to the context, its
/// weights and the rest as they are, the buffer by its formula. As predicted:
/// what llama.cpp allocates for the model's shape.
pub(super) fn share_at(
    readings: &Readings,
    model: &str,
    context: u32,
    with_buffer: bool,
) -> Option<Estimate> {
    let engine = LlamaCpp { context: context as usize, ..LlamaCpp::SURVEY };
    let (kv_cache, buffer, rest, method) = match readings.data {
        ClaimData::Published => {
            let rows = published_memory().ok()?;
            let row = rows.into_iter().find(|row| row.model == model)?;
            let memory = engine.memory(&row.shape).ok()?;
            (
                row.kv_cache * f64::from(context) / CONTEXT,
                memory.compute_buffer.value() / MIB,
                row.weights + row.other,
                "published parts at 2,048 tokens, carried to this context",
            )
        }
        ClaimData::Predicted => {
            // Only of what the run is about.
            if !readings.models().contains(model) {
                return None;
            }
            let shape = Shape::of(&models::config(model).ok()?).ok()?;
            let memory = engine.memory(&shape).ok()?;
            (
                memory.kv_cache.value() / MIB,
                memory.compute_buffer.value() / MIB,
                (memory.weights + memory.other()).value() / MIB,
                "what llama.cpp allocates for the model's shape",
            )
        }
        ClaimData::Generated | ClaimData::Real => return None,
    };
    let part = if with_buffer { kv_cache + buffer } else { kv_cache };
    let share = 100.0 * part / (kv_cache + buffer + rest);
    Some(exact(share, method))
}

/// The compute buffer that the vocabulary asks for, MiB.
fn vocabulary_bound(row: &PublishedMemory) -> f64 {
    let values = (row.shape.vocab + row.shape.width) as f64;
    MICRO_BATCH_BYTES * values / MIB
}

/// How much closer the compute buffer follows width times vocabulary than the
/// vocabulary alone, over the models whose buffer the vocabulary sets.
pub(super) fn mechanism() -> Option<Estimate> {
    let bound: Vec<PublishedMemory> = published_memory()
        .ok()?
        .into_iter()
        .filter(|row| (row.compute_buffer - vocabulary_bound(row)).abs() < 5.0)
        .collect();
    over_models(
        "R² on width times vocabulary less R² on vocabulary, bootstrap over \
         models",
        bound.len(),
        |picked| {
            let column = |of: fn(&PublishedMemory) -> f64| -> Vec<f64> {
                picked.iter().map(|&i| of(&bound[i])).collect()
            };
            let buffer = column(|row| row.compute_buffer);
            let product =
                column(|row| row.shape.width as f64 * row.shape.vocab as f64);
            let vocabulary = column(|row| row.shape.vocab as f64);
            r_squared(&product, &buffer) - r_squared(&vocabulary, &buffer)
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_parts_carried_on_give_the_shares_of_the_notes() {
        let readings = Readings { data: ClaimData::Published, all: Vec::new() };
        for (model, context, with_buffer, expected) in [
            ("qwen2-0.5b", 131_072, true, 91.0),
            ("qwen2-1.5b", 131_072, true, 86.0),
            ("qwen1.5-0.5b", 32_768, true, 91.0),
            ("qwen1.5-1.8b", 32_768, true, 86.0),
            ("qwen1.5-0.5b", 32_768, false, 68.0),
            ("qwen1.5-1.8b", 32_768, false, 74.0),
        ] {
            let found = share_at(&readings, model, context, with_buffer);
            let share = found.unwrap().point;
            // The notes leave mask and residuals out of the buffer.
            assert!((share - expected).abs() < 1.5, "{model}: {share}");
        }
        assert!(mechanism().unwrap().high < 0.0);
    }
}
