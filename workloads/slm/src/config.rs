//! The shape of a decoder as data: our model files, and Hugging Face's
//! `config.json`.

use std::path::Path;

use assay_kernels::Activation;
use assay_schema::TextError;
use serde::Deserialize;

use crate::SlmError;
use crate::variation::{QkNorm, Variation, WindowLayers};

/// Blocks at most. With the other bounds here, far past any model, a wrong
/// number is refused before products of sizes pass 64 bits.
const MOST_LAYERS: usize = 1 << 12;
/// Heads of a block at most.
const MOST_HEADS: usize = 1 << 12;
/// Width of anything at most.
const WIDEST: usize = 1 << 20;
/// Tokens at most, of a vocabulary and of a context.
const MOST_TOKENS: usize = 1 << 24;

/// A size that is no size, or past all reason.
fn within(name: &str, found: usize, most: usize) -> Result<(), String> {
    if (1..=most).contains(&found) {
        Ok(())
    } else {
        Err(format!(
            "`{name}` is {found}, expected at least 1 and at most {most}"
        ))
    }
}

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
    /// OPT and Galactica.
    Opt,
    /// BLOOM: packed per head.
    Bloom,
    /// GPT-2, Cerebras-GPT, LaMini-GPT: packed, and turned.
    Gpt2,
    /// Phi-1 to Phi-2.
    Phi,
    /// Phi-3: queries, keys, values packed; gate and up packed.
    Phi3,
    /// StableLM: named like LLaMA.
    Stablelm,
    /// The first Qwen: packed.
    Qwen,
    /// Gemma: named like LLaMA.
    Gemma,
    /// Gemma-2: four norms a layer.
    Gemma2,
    /// RecurrentGemma.
    RecurrentGemma,
    /// MiniCPM: named like LLaMA.
    Minicpm,
    /// MiniCPM3: latent attention.
    Minicpm3,
    /// OpenELM: packed.
    Openelm,
    /// OpenLM (DCLM): packed.
    OpenLm,
    /// OLMo: named like LLaMA, norms without weights.
    Olmo,
    /// Nemotron (Minitron): named like LLaMA, no gate.
    Nemotron,
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
    /// Scores fall with the distance, by a slope of each head (Press et al.,
    /// *ALiBi*, 2022).
    Alibi,
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
    /// The output alone.
    Output,
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
    /// What this model has beside all that.
    #[serde(default)]
    pub variation: Variation,
}

/// What mixes the tokens of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mixing {
    /// Grouped-query attention.
    Attention,
    /// Latent attention.
    Latent,
    /// Recurrence.
    Recurrence,
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
        for (name, found, most) in [
            ("layers", self.layers, MOST_LAYERS),
            ("width", self.width, WIDEST),
            ("heads", self.heads, MOST_HEADS),
            ("kv_heads", self.kv_heads, MOST_HEADS),
            ("head_dim", self.head_dim, WIDEST),
            ("ffn", self.ffn, WIDEST),
            ("vocab", self.vocab, MOST_TOKENS),
            ("context", self.context, MOST_TOKENS),
        ] {
            within(name, found, most)?;
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
        if let Positions::Learned { offset } = self.positions
            && offset > MOST_TOKENS
        {
            return Err(format!(
                "`positions`: an offset of {offset}, expected at most \
                 {MOST_TOKENS}"
            ));
        }
        if let Positions::Rotary { fraction, theta } = self.positions {
            // Latent attention says itself how much it rotates.
            let fraction =
                if self.variation.latent.is_some() { 1.0 } else { fraction };
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
        self.check_variation()
    }

    /// Dimensions of a head that are rotated; 0 where none is.
    pub fn rotated(&self) -> usize {
        match (self.positions, self.variation.latent) {
            (Positions::Rotary { .. }, Some(latent)) => latent.rotated,
            (Positions::Rotary { fraction, .. }, None) => {
                (self.head_dim as f64 * fraction) as usize
            }
            (Positions::Learned { .. } | Positions::Alibi, _) => 0,
        }
    }

    /// Query heads of a layer.
    pub fn heads_of(&self, layer: usize) -> usize {
        let list = self.variation.per_layer.as_ref();
        list.map_or(self.heads, |sizes| sizes.heads[layer])
    }

    /// Key and value heads of a layer.
    pub fn kv_heads_of(&self, layer: usize) -> usize {
        let list = self.variation.per_layer.as_ref();
        list.map_or(self.kv_heads, |sizes| sizes.kv_heads[layer])
    }

    /// Width of the feed-forward layer of a layer.
    pub fn ffn_of(&self, layer: usize) -> usize {
        let list = self.variation.per_layer.as_ref();
        list.map_or(self.ffn, |sizes| sizes.ffn[layer])
    }

    /// What mixes the tokens of a layer.
    pub fn mixing(&self, layer: usize) -> Mixing {
        match (self.variation.recurrence, self.variation.latent) {
            (Some(recurrence), _)
                if !(layer + 1).is_multiple_of(recurrence.attention_every) =>
            {
                Mixing::Recurrence
            }
            (_, Some(_)) => Mixing::Latent,
            (_, None) => Mixing::Attention,
        }
    }

    /// Tokens that a query of a layer sees at most, where it has a window.
    pub fn window_of(&self, layer: usize) -> Option<usize> {
        let window = self.variation.window?;
        let windowed = match window.layers {
            WindowLayers::All => true,
            WindowLayers::Even => layer.is_multiple_of(2),
        };
        windowed.then_some(window.tokens)
    }

    /// Shapes of what a layer keeps of `capacity` tokens of `batch` rows:
    /// keys and values `[B, S, K, d]`; or, of a recurrence, its state
    /// `[B, 1, 1, W]` and the last inputs of its convolution `[B, c, 1, W]`.
    pub fn cache_shapes(
        &self,
        layer: usize,
        batch: usize,
        capacity: usize,
    ) -> [[usize; 4]; 2] {
        let (heads, d) = (self.kv_heads_of(layer), self.head_dim);
        let keys = [batch, capacity, heads, d];
        match (self.mixing(layer), &self.variation) {
            (
                Mixing::Recurrence,
                Variation { recurrence: Some(recurrence), .. },
            ) => {
                let (width, past) =
                    (recurrence.width, recurrence.convolution - 1);
                [[batch, 1, 1, width], [batch, past, 1, width]]
            }
            (Mixing::Latent, Variation { latent: Some(latent), .. }) => {
                [keys, [batch, capacity, heads, latent.value_dim]]
            }
            _ => [keys, keys],
        }
    }

    /// Whether the parts that single models have go with the rest.
    fn check_variation(&self) -> Result<(), String> {
        let v = &self.variation;
        for (name, found, most) in [
            ("embedding_width", v.embedding_width, WIDEST),
            ("window", v.window.map(|window| window.tokens), MOST_TOKENS),
            ("query_rank", v.latent.map(|latent| latent.query_rank), WIDEST),
            ("kv_rank", v.latent.map(|latent| latent.kv_rank), WIDEST),
            ("value_dim", v.latent.map(|latent| latent.value_dim), WIDEST),
            ("recurrence", v.recurrence.map(|own| own.width), WIDEST),
            ("convolution", v.recurrence.map(|own| own.convolution), WIDEST),
        ] {
            if let Some(found) = found {
                within(name, found, most)?;
            }
        }
        for (name, number) in [
            ("embedding_scale", v.embedding_scale),
            ("residual_scale", v.residual_scale),
            ("head_scale", v.head_scale),
            ("logit_cap", v.logit_cap),
            ("attention_cap", v.attention_cap),
            ("query_scalar", v.query_scalar),
        ] {
            if let Some(number) = number
                && !(number > 0.0 && number.is_finite())
            {
                return Err(format!(
                    "`{name}` is {number}, expected a number above 0"
                ));
            }
        }
        if let Some(scaling) = v.rotary_scaling {
            let rising = 0.0 < scaling.low && scaling.low < scaling.high;
            let numbers = rising
                && scaling.high.is_finite()
                && scaling.factor >= 1.0
                && scaling.factor.is_finite()
                && scaling.context > 0;
            if !(numbers && matches!(self.positions, Positions::Rotary { .. }))
            {
                return Err(
                    "`rotary_scaling` needs rotary positions, a factor \
                            of at least 1 and 0 < low < high"
                        .to_owned(),
                );
            }
        }
        if v.single_norm && !self.parallel_residual {
            return Err("`single_norm` needs `parallel_residual`".to_owned());
        }
        if v.norm_after && (self.parallel_residual || v.output_norms) {
            return Err("`norm_after` goes neither with `parallel_residual` \
                        nor with `output_norms`"
                .to_owned());
        }
        if v.head_bias && self.tied_embeddings {
            return Err("`head_bias` needs a head of its own: \
                        `tied_embeddings` is true"
                .to_owned());
        }
        self.check_layers()?;
        if let Some(latent) = v.latent {
            let even = latent.rotated.is_multiple_of(2);
            let fits = latent.rotated < self.head_dim;
            let ranks = latent.query_rank > 0
                && latent.kv_rank > 0
                && latent.value_dim > 0;
            let rotary = matches!(self.positions, Positions::Rotary { .. });
            let all = self.heads == self.kv_heads;
            if !(even && fits && ranks && rotary && all) {
                return Err(format!(
                    "`latent` needs rotary positions, as many `kv_heads` as \
                     `heads`, widths above 0 and an even number of rotated \
                     elements below `head_dim` {}",
                    self.head_dim
                ));
            }
            if v.qk_norm != QkNorm::None || v.window.is_some() {
                return Err("`latent` goes neither with `qk_norm` nor with \
                            `window`"
                    .to_owned());
            }
        }
        if let Some(recurrence) = v.recurrence {
            let blocks = recurrence.heads > 0
                && recurrence.width > 0
                && recurrence.width.is_multiple_of(recurrence.heads);
            let sees = recurrence.convolution > 1;
            if !(blocks && sees && recurrence.attention_every > 0) {
                return Err(format!(
                    "`recurrence`: {} blocks must divide a width of {}, a \
                     convolution sees at least 2 tokens, and \
                     `attention_every` is at least 1",
                    recurrence.heads, recurrence.width
                ));
            }
        }
        Ok(())
    }

    /// Whether lists of sizes are one number a layer, and lawful.
    fn check_layers(&self) -> Result<(), String> {
        let Some(sizes) = &self.variation.per_layer else { return Ok(()) };
        for (name, list, largest) in [
            ("heads", &sizes.heads, self.heads),
            ("kv_heads", &sizes.kv_heads, self.kv_heads),
            ("ffn", &sizes.ffn, self.ffn),
        ] {
            if list.len() != self.layers || list.contains(&0) {
                return Err(format!(
                    "`per_layer` has {} numbers of `{name}`, expected {} above \
                     0, one a layer",
                    list.len(),
                    self.layers
                ));
            }
            if list.iter().max() != Some(&largest) {
                return Err(format!(
                    "`per_layer`: the largest of `{name}` is not the {largest} \
                     that the model states"
                ));
            }
        }
        let mut pairs = sizes.heads.iter().zip(&sizes.kv_heads);
        match pairs.find(|(heads, kv)| !heads.is_multiple_of(**kv)) {
            Some((heads, kv)) => Err(format!(
                "`per_layer`: {kv} key-value heads do not divide {heads} heads"
            )),
            None => Ok(()),
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
    fn sizes_past_all_reason_are_refused_with_their_bounds() {
        let tiny = models::config("tiny").unwrap();
        let huge = usize::MAX;
        let learned = Positions::Learned { offset: huge };
        for (config, words) in [
            (Config { layers: 0, ..tiny.clone() }, "`layers` is 0, expected"),
            (Config { layers: huge, ..tiny.clone() }, "at most 4096"),
            (Config { width: huge, ..tiny.clone() }, "at most 1048576"),
            (Config { vocab: huge, ..tiny.clone() }, "at most 16777216"),
            (Config { context: huge, ..tiny.clone() }, "`context` is"),
            (Config { positions: learned, ..tiny.clone() }, "an offset of"),
        ] {
            let message = config.check().unwrap_err();
            assert!(message.contains(words), "{words}: {message}");
        }
        assert!(tiny.check().is_ok());
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
