//! The shape of a decoder as data: our model files, and Hugging Face's
//! `config.json`.

use std::path::Path;

use assay_kernels::Activation;
use assay_schema::TextError;
use serde::Deserialize;

use crate::SlmError;

/// Whose published weight names a model has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// LLaMA and what is named like it (SmolLM, PhoneLM).
    Llama,
    /// Qwen1.5 and Qwen2.
    Qwen2,
    /// GPT-NeoX (Pythia): queries, keys, values packed per head.
    GptNeox,
    /// OPT.
    Opt,
}

/// Which norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NormKind {
    /// Root-mean-square norm.
    RmsNorm,
    /// LayerNorm with an offset.
    LayerNorm,
}

/// How positions enter.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum Positions {
    /// Queries and keys are rotated.
    Rotary {
        /// Base of the frequencies.
        theta: f64,
        /// Share of each head that is rotated.
        fraction: f64,
    },
    /// A learned table is added; position `p` reads row `p + offset`.
    Learned {
        /// Rows before position 0.
        offset: usize,
    },
}

/// Which attention projections have a bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttentionBias {
    /// None.
    None,
    /// Queries, keys and values.
    Qkv,
    /// The output too.
    All,
}

/// The shape of a decoder. Symbols in brackets are those of the model file's
/// legend.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Version of the file's format: 1.
    pub format_version: u32,
    /// Name in commands.
    pub name: String,
    /// Name as its authors write it.
    pub title: String,
    /// Where the numbers come from.
    pub source: String,
    /// Whose weight names.
    pub family: Family,
    /// Blocks.
    pub layers: usize,
    /// Width of the residual stream [D].
    pub width: usize,
    /// Query heads [H].
    pub heads: usize,
    /// Key and value heads [K].
    pub kv_heads: usize,
    /// Width of a head [d].
    pub head_dim: usize,
    /// Width of the feed-forward layer [F].
    pub ffn: usize,
    /// Vocabulary [V].
    pub vocab: usize,
    /// Longest context that it was made for.
    pub context: usize,
    /// Activation of the feed-forward layer.
    #[serde(deserialize_with = "activation")]
    pub activation: Activation,
    /// Whether the feed-forward layer has a gate.
    pub gated: bool,
    /// Norm.
    pub norm: NormKind,
    /// Added to the variance.
    pub norm_epsilon: f64,
    /// Positions.
    pub positions: Positions,
    /// Biases of attention.
    pub attention_bias: AttentionBias,
    /// Biases of the feed-forward layer.
    pub mlp_bias: bool,
    /// Attention and feed-forward both read the block's input.
    pub parallel_residual: bool,
    /// The head is the embedding table.
    pub tied_embeddings: bool,
    /// Parameters in millions as published, when they are.
    #[serde(default)]
    pub published_params_m: Option<f64>,
}

fn activation<'de, D: serde::Deserializer<'de>>(
    input: D,
) -> Result<Activation, D::Error> {
    let word = String::deserialize(input)?;
    word.parse().map_err(serde::de::Error::custom)
}

/// The line of a TOML text that sets the key which a message names first.
fn key_line(text: &str, message: &str) -> Option<std::ops::Range<usize>> {
    let key = message.split('`').nth(1)?;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let rest = line.trim_start().trim_start_matches('[');
        let sets = rest
            .strip_prefix(key)
            .is_some_and(|rest| rest.trim_start().starts_with(['=', ']', '.']));
        if sets {
            return Some(start..start + line.len());
        }
        start += line.len();
    }
    None
}

impl Config {
    /// Reads one of our model files.
    ///
    /// # Errors
    ///
    /// Bad TOML, an unknown or missing key, an unlawful combination: file and
    /// line.
    pub fn from_toml(text: &str, file: &str) -> Result<Self, SlmError> {
        let config: Self = toml::from_str(text).map_err(|error| {
            TextError::new(file, text, error.span(), error.message())
        })?;
        config.check().map_err(|message| {
            TextError::new(file, text, key_line(text, &message), &message)
        })?;
        Ok(config)
    }

    /// Reads a model file: our TOML, or a Hugging Face `config.json`.
    ///
    /// # Errors
    ///
    /// As [`Config::from_toml`]; a `model_type` that is not read here.
    pub fn from_file(path: &Path) -> Result<Self, SlmError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| SlmError::Read { path: path.to_owned(), error })?;
        let file = path.display().to_string();
        if path.extension().is_some_and(|e| e == "json") {
            crate::hugging_face::config(&text, &file)
        } else {
            Self::from_toml(&text, &file)
        }
    }

    /// Whether the numbers go together.
    ///
    /// # Errors
    ///
    /// A sentence: what was found, what was expected.
    pub fn check(&self) -> Result<(), String> {
        let positive = [
            ("layers", self.layers),
            ("width", self.width),
            ("heads", self.heads),
            ("kv_heads", self.kv_heads),
            ("head_dim", self.head_dim),
            ("ffn", self.ffn),
            ("vocab", self.vocab),
            ("context", self.context),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, n)| *n == 0) {
            return Err(format!("`{name}` is 0, expected at least 1"));
        }
        if self.format_version != 1 {
            return Err(format!(
                "`format_version` {} is not read by this build, expected 1",
                self.format_version
            ));
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            return Err(format!(
                "`kv_heads` {} does not divide `heads` {}",
                self.kv_heads, self.heads
            ));
        }
        if !(self.norm_epsilon >= 0.0 && self.norm_epsilon.is_finite()) {
            return Err(format!(
                "`norm_epsilon` is {}, expected a number of at least 0",
                self.norm_epsilon
            ));
        }
        if let Positions::Rotary { fraction, theta } = self.positions {
            let rotated = self.head_dim as f64 * fraction;
            let whole = rotated.fract() == 0.0;
            let even = (rotated as usize).is_multiple_of(2);
            let share = (0.0..=1.0).contains(&fraction);
            let base = theta > 0.0 && theta.is_finite();
            if !(share && whole && even && base) {
                return Err(format!(
                    "`positions`: rotary with fraction {fraction} and theta \
                     {theta} do not fit heads of {}: an even whole number of \
                     dimensions must be rotated",
                    self.head_dim
                ));
            }
        }
        Ok(())
    }

    /// Dimensions of a head that are rotated; 0 with learned positions.
    pub fn rotated(&self) -> usize {
        match self.positions {
            Positions::Rotary { fraction, .. } => {
                (self.head_dim as f64 * fraction) as usize
            }
            Positions::Learned { .. } => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models;

    #[test]
    fn an_unknown_key_is_refused_with_file_line_and_nearest_name() {
        let text = models::text("tiny").unwrap().replace("gated", "gatde");
        let error = Config::from_toml(&text, "my.toml").unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with("my.toml:"), "{message}");
        assert!(message.contains("`gated`"), "{message}");
    }

    #[test]
    fn numbers_that_do_not_go_together_are_refused() {
        let text = models::text("tiny")
            .unwrap()
            .replace("kv_heads = 2", "kv_heads = 3");
        let error = Config::from_toml(&text, "my.toml").unwrap_err();
        assert!(error.to_string().contains("does not divide"), "{error}");
    }
}
