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

    /// A number by its usual name, or by the first other one that is there.
    fn integer_of(
        &self,
        usual: &str,
        others: &[&str],
    ) -> Result<usize, SlmError> {
        let mut names = std::iter::once(usual).chain(others.iter().copied());
        let there = names.find(|name| self.optional(name).is_some());
        self.integer(there.unwrap_or(usual))
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

    /// The value of a key, or what it is where the file leaves it out.
    fn value_or<'b, T>(
        &'b self,
        key: &str,
        default: T,
        expected: &str,
        read: fn(&'b Value) -> Option<T>,
    ) -> Result<T, SlmError> {
        let Some(value) = self.optional(key) else { return Ok(default) };
        read(value).ok_or_else(|| {
            self.error(format!("`{key}` is {value}, expected {expected}"))
        })
    }

    fn number_or(&self, key: &str, default: f64) -> Result<f64, SlmError> {
        self.value_or(key, default, "a number", Value::as_f64)
    }

    fn flag_or(&self, key: &str, default: bool) -> Result<bool, SlmError> {
        self.value_or(key, default, "true or false", Value::as_bool)
    }

    fn word_or<'b>(
        &'b self,
        key: &str,
        default: &'b str,
    ) -> Result<&'b str, SlmError> {
        self.value_or(key, default, "a word", Value::as_str)
    }

    /// A number that `null` takes away, and that has a value where the file
    /// leaves it out.
    fn cap_or(&self, key: &str, default: f64) -> Result<Option<f64>, SlmError> {
        if self.json.get(key).is_some_and(Value::is_null) {
            return Ok(None);
        }
        self.number_or(key, default).map(Some)
    }

    fn activation(
        &self,
        key: &str,
        default: &str,
    ) -> Result<Activation, SlmError> {
        let word = self.word_or(key, default)?;
        word.parse().map_err(|error| self.error(format!("`{key}`: {error}")))
    }

    /// What stands of rotary positions beside their base, and under which
    /// key: transformers 5 has it all in `rope_parameters`.
    fn rope(&self) -> Option<(&'static str, &Value)> {
        ["rope_parameters", "rope_scaling"]
            .into_iter()
            .find_map(|key| Some((key, self.optional(key)?)))
    }

    /// How rotary positions are scaled; `default` where they are not.
    fn rope_type(&self) -> Option<&str> {
        let Some((_, rope)) = self.rope() else { return Some("default") };
        let kind = rope.get("rope_type").or_else(|| rope.get("type"));
        kind.and_then(Value::as_str)
    }

    /// A number of rotary positions by transformers 5's name within
    /// `rope_parameters`, or else by that of the file itself.
    fn rope_number_or(
        &self,
        inner: &str,
        key: &str,
        default: f64,
    ) -> Result<f64, SlmError> {
        let rope = self.optional("rope_parameters");
        let value = rope.and_then(|rope| rope.get(inner));
        match value.filter(|value| !value.is_null()) {
            None => self.number_or(key, default),
            Some(value) => value.as_f64().ok_or_else(|| {
                self.error(format!(
                    "`rope_parameters`: `{inner}` is {value}, expected a \
                     number"
                ))
            }),
        }
    }

    /// LLaMA-3.1's scaled rotary positions, where they stand.
    fn llama3_scaling(&self) -> Result<Option<RotaryScaling>, SlmError> {
        let Some((key, rope)) = self.rope() else { return Ok(None) };
        if self.rope_type() != Some("llama3") {
            return Ok(None);
        }
        let number = |inner: &str| {
            rope.get(inner).and_then(Value::as_f64).ok_or_else(|| {
                self.error(format!("`{key}` has no number `{inner}`"))
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
        if self.flag_or(key, default)? == refused {
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
    let kind = keys.word_or("model_type", "")?;
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
    if let Some((key, _)) = keys.rope() {
        let both = ["rope_parameters", "rope_scaling"];
        let is_one = !both.iter().all(|key| keys.optional(key).is_some());
        let is_read = match keys.rope_type() {
            Some("default") => is_one,
            Some("llama3") => is_one && family == Family::Llama,
            Some(_) | None => false,
        };
        if !is_read {
            return Err(keys.error(format!(
                "`{key}` is set; this decoder has plain rotary positions \
                 (`rope_type` default) and, for llama, those of `rope_type` \
                 llama3, in one of `{}`",
                both.join("` and `")
            )));
        }
    }
    // BLOOM's published files have `n_embed`.
    let heads = keys.integer_of("num_attention_heads", &["n_head"])?;
    let width = keys.integer_of("hidden_size", &["n_embd", "n_embed"])?;
    let context = ["max_position_embeddings", "n_positions", "seq_length"]
        .into_iter()
        .find(|key| keys.optional(key).is_some());
    Ok(Config {
        format_version: 1,
        name: name_of(keys.file),
        title: keys.word_or("_name_or_path", "")?.to_owned(),
        source: keys.file.to_owned(),
        family,
        layers: keys.integer_of("num_hidden_layers", &["n_layer"])?,
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
        tied_embeddings: keys.flag_or("tie_word_embeddings", false)?,
        published_params_m: None,
        variation: Variation::default(),
    })
}
