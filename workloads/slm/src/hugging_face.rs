//! Hugging Face's `config.json` read into a [`Config`], and the published
//! names of the weights.
//!
//! Keys that a family's published files leave out take the defaults of
//! `transformers` 4.57 (seen in the golden configurations), or, of families
//! that it does not have, of the code beside the weights.

mod families;
mod names;
#[cfg(test)]
mod tests;

use assay_kernels::Activation;
use assay_schema::TextError;
use serde_json::Value;

use crate::config::{AttentionBias, Family, NormKind, Positions};
use crate::variation::{RotaryScaling, Variation};
use crate::{Config, SlmError};

pub(crate) use names::{bindings, bindings_in, is_ignored};

/// Values of `model_type` that are read, and by what.
const READERS: [(&str, Reader); 21] = [
    ("llama", |keys| families::llama(keys, Family::Llama)),
    ("qwen2", |keys| families::llama(keys, Family::Qwen2)),
    ("gpt_neox", families::gpt_neox),
    ("opt", families::opt),
    ("mistral", |keys| families::llama(keys, Family::Llama)),
    ("phonelm", |keys| families::llama(keys, Family::Llama)),
    ("mobilellm", |keys| families::llama(keys, Family::Llama)),
    ("bloom", families::bloom),
    ("gpt2", families::gpt2),
    ("phi", families::phi),
    ("phi3", |keys| families::llama(keys, Family::Phi3)),
    ("stablelm", families::stablelm),
    ("qwen", families::qwen),
    ("gemma", families::gemma),
    ("gemma2", families::gemma2),
    ("recurrent_gemma", families::recurrent_gemma),
    ("minicpm", families::minicpm),
    ("minicpm3", families::minicpm3),
    ("openelm", families::openelm),
    ("olmo", families::olmo),
    ("nemotron", families::nemotron),
];

type Reader = fn(&Keys<'_>) -> Result<Config, SlmError>;

/// The keys of a file.
struct Keys<'a> {
    json: &'a Value,
    file: &'a str,
}

impl Keys<'_> {
    fn error(&self, message: String) -> SlmError {
        TextError { file: self.file.to_owned(), line: 1, message }.into()
    }

    fn optional(&self, key: &str) -> Option<&Value> {
        self.json.get(key).filter(|value| !value.is_null())
    }

    fn integer(&self, key: &str) -> Result<usize, SlmError> {
        self.optional(key)
            .and_then(Value::as_u64)
            .map(|n| n as usize)
            .ok_or_else(|| {
                self.error(format!("`{key}` is missing or no whole number"))
            })
    }

    /// The first of several names of one number that is there.
    fn integer_of(&self, names: [&str; 2]) -> Result<usize, SlmError> {
        let there = names.into_iter().find(|k| self.optional(k).is_some());
        self.integer(there.unwrap_or(names[0]))
    }

    fn integer_or(&self, key: &str, default: usize) -> Result<usize, SlmError> {
        if self.optional(key).is_some() {
            self.integer(key)
        } else {
            Ok(default)
        }
    }

    /// A list of whole numbers, `count` of them.
    fn integers(
        &self,
        key: &str,
        count: usize,
    ) -> Result<Vec<usize>, SlmError> {
        let list = self.numbers(key, count)?;
        let whole = |n: &f64| n.fract() == 0.0 && *n >= 1.0;
        if !list.iter().all(whole) {
            return Err(self.error(format!(
                "`{key}` has a number that is no whole one above 0"
            )));
        }
        Ok(list.into_iter().map(|n| n as usize).collect())
    }

    /// A list of numbers, `count` of them.
    fn numbers(&self, key: &str, count: usize) -> Result<Vec<f64>, SlmError> {
        let list: Option<Vec<f64>> = self
            .optional(key)
            .and_then(Value::as_array)
            .and_then(|list| list.iter().map(Value::as_f64).collect());
        match list {
            Some(list) if list.len() == count => Ok(list),
            Some(list) => Err(self.error(format!(
                "`{key}` has {} numbers, expected {count}, one a layer",
                list.len()
            ))),
            None => {
                Err(self
                    .error(format!("`{key}` is missing or no list of numbers")))
            }
        }
    }

    fn number_or(&self, key: &str, default: f64) -> f64 {
        self.optional(key).and_then(Value::as_f64).unwrap_or(default)
    }

    fn flag_or(&self, key: &str, default: bool) -> bool {
        self.optional(key).and_then(Value::as_bool).unwrap_or(default)
    }

    fn word_or<'b>(&'b self, key: &str, default: &'b str) -> &'b str {
        self.optional(key).and_then(Value::as_str).unwrap_or(default)
    }

    fn activation(
        &self,
        key: &str,
        default: &str,
    ) -> Result<Activation, SlmError> {
        let word = self.word_or(key, default);
        word.parse().map_err(|error| self.error(format!("`{key}`: {error}")))
    }

    /// Whether `rope_scaling` is LLaMA-3.1's.
    fn is_llama3_scaling(&self) -> bool {
        let scaling = self.optional("rope_scaling");
        let kind = scaling.and_then(|scaling| {
            scaling.get("rope_type").or_else(|| scaling.get("type"))
        });
        kind.and_then(Value::as_str) == Some("llama3")
    }

    /// LLaMA-3.1's `rope_scaling`, where it stands.
    fn llama3_scaling(&self) -> Result<Option<RotaryScaling>, SlmError> {
        if !self.is_llama3_scaling() {
            return Ok(None);
        }
        let number = |key: &str| {
            let scaling = self.optional("rope_scaling");
            let value = scaling.and_then(|scaling| scaling.get(key));
            value.and_then(Value::as_f64).ok_or_else(|| {
                self.error(format!("`rope_scaling` has no number `{key}`"))
            })
        };
        Ok(Some(RotaryScaling {
            factor: number("factor")?,
            low: number("low_freq_factor")?,
            high: number("high_freq_factor")?,
            context: number("original_max_position_embeddings")? as usize,
        }))
    }

    /// Refuses a flag that stands as this decoder does not have it.
    fn refuse(
        &self,
        key: &str,
        default: bool,
        refused: bool,
        what: &str,
    ) -> Result<(), SlmError> {
        if self.flag_or(key, default) == refused {
            Err(self.error(format!("`{key}` is {refused}: {what}")))
        } else {
            Ok(())
        }
    }
}

/// Reads a `config.json`.
///
/// # Errors
///
/// No JSON; a `model_type` that is not read here; a missing key; an option
/// that this decoder does not have.
pub(crate) fn config(text: &str, file: &str) -> Result<Config, SlmError> {
    let json: Value =
        serde_json::from_str(text).map_err(|error| TextError {
            file: file.to_owned(),
            line: error.line(),
            message: error.to_string(),
        })?;
    let keys = Keys { json: &json, file };
    let kind = keys.word_or("model_type", "");
    let known = READERS.map(|(name, _)| name);
    let reader = READERS.into_iter().find(|(name, _)| *name == kind);
    let Some((_, read)) = reader else {
        let nearest = assay_schema::nearest(kind, known);
        return Err(keys.error(format!(
            "model_type `{kind}` is not read here; nearest: `{}` (one of {})",
            nearest.unwrap_or_default(),
            known.join(", ")
        )));
    };
    let config = read(&keys)?;
    config.check().map_err(|message| keys.error(message))?;
    Ok(config)
}

/// The last part of the file's path, without `.json`.
fn name_of(file: &str) -> String {
    let last = file.rsplit('/').next().unwrap_or(file);
    last.trim_end_matches(".json").to_owned()
}

/// What all families have in common; the rest is LLaMA's.
fn base(keys: &Keys<'_>, family: Family) -> Result<Config, SlmError> {
    // `rope_parameters` is where transformers 5 puts what 4 calls `rope_theta`.
    for key in ["rope_scaling", "rope_parameters"] {
        let is_read = key == "rope_scaling"
            && family == Family::Llama
            && keys.is_llama3_scaling();
        if keys.optional(key).is_some() && !is_read {
            return Err(keys.error(format!(
                "`{key}` is set; this decoder has plain rotary positions, \
                 with their base in `rope_theta`, and, for llama, a \
                 `rope_scaling` of `rope_type` llama3"
            )));
        }
    }
    let heads = keys.integer_of(["num_attention_heads", "n_head"])?;
    let width = keys.integer_of(["hidden_size", "n_embd"])?;
    let context = ["max_position_embeddings", "n_positions", "seq_length"]
        .into_iter()
        .find(|key| keys.optional(key).is_some());
    Ok(Config {
        format_version: 1,
        name: name_of(keys.file),
        title: keys.word_or("_name_or_path", "").to_owned(),
        source: keys.file.to_owned(),
        family,
        layers: keys.integer_of(["num_hidden_layers", "n_layer"])?,
        width,
        heads,
        kv_heads: keys.integer_or("num_key_value_heads", heads)?,
        head_dim: keys.integer_or("head_dim", width / heads.max(1))?,
        ffn: 0,
        vocab: keys.integer("vocab_size")?,
        context: match context {
            Some(key) => keys.integer(key)?,
            None => 2048,
        },
        activation: Activation::Silu,
        gated: true,
        norm: NormKind::RmsNorm,
        norm_epsilon: 1e-5,
        positions: Positions::Rotary { theta: 10_000.0, fraction: 1.0 },
        attention_bias: AttentionBias::None,
        mlp_bias: false,
        parallel_residual: false,
        tied_embeddings: keys.flag_or("tie_word_embeddings", false),
        published_params_m: None,
        variation: Variation::default(),
    })
}
