//! The shape of a candidate: all that the search varies, as axes spell it out,
//! and the decoder that comes of it.

use assay_kernels::Activation;
use assay_kit::{named, parsed};
use assay_schema::Case;
use assay_slm::{
    AttentionBias, Config, Family, NormKind, Positions, Variation,
};

use crate::PhoneLmError;

/// Most of anything that an axis of a shape counts.
pub(crate) const LARGEST: usize = 1 << 20;
/// Blocks at most.
pub(crate) const DEEPEST: usize = 512;

/// Activations that a feed-forward layer may have.
pub(crate) const ACTIVATIONS: [(&str, Activation); 4] = [
    ("silu", Activation::Silu),
    ("relu", Activation::Relu),
    ("gelu", Activation::Gelu),
    ("tanh", Activation::Tanh),
];

/// Kinds of feed-forward layers: whether they have a gate.
pub(crate) const FFN_KINDS: [(&str, bool); 2] =
    [("gated", true), ("plain", false)];

/// Ways in which positions enter.
pub(crate) const POSITIONS: [(&str, Positions); 3] = [
    ("rotary", Positions::Rotary { theta: 10_000.0, fraction: 1.0 }),
    ("learned", Positions::Learned { offset: 0 }),
    ("alibi", Positions::Alibi),
];

/// The shape of a candidate, all that the search varies. The default is the
/// 100M candidate of the authors' own repository (`config.yaml`,
/// `phonelm-100M`), with the vocabulary and the context of what they shipped.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Blocks.
    pub layers: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Query heads; they divide the width.
    pub heads: usize,
    /// Key and value heads; they divide the query heads.
    pub kv_heads: usize,
    /// Width of the feed-forward layer.
    pub ffn: usize,
    /// Vocabulary.
    pub vocab: usize,
    /// Longest context that it is made for, tokens.
    pub context: usize,
    /// Whether the feed-forward layer has a gate.
    pub gated: bool,
    /// Its activation.
    pub activation: Activation,
    /// How positions enter.
    pub positions: Positions,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            layers: 12,
            width: 768,
            heads: 32,
            kv_heads: 4,
            ffn: 2046,
            vocab: 49_152,
            context: 2048,
            gated: true,
            activation: Activation::Silu,
            positions: POSITIONS[0].1,
        }
    }
}

impl Shape {
    /// The shape that the axes of a case spell out.
    ///
    /// # Errors
    /// An axis without a lawful value.
    pub fn of_case(case: &Case) -> Result<Self, PhoneLmError> {
        let base = Self::default();
        let count = |axis, default: usize, most: usize| {
            let expected = format!("a whole number from 1 to {most}");
            parsed(case, axis, default, &expected, |n| (1..=most).contains(n))
        };
        Ok(Self {
            layers: count("layers", base.layers, DEEPEST)?,
            width: count("width", base.width, LARGEST)?,
            heads: count("heads", base.heads, LARGEST)?,
            kv_heads: count("kv_heads", base.kv_heads, LARGEST)?,
            ffn: count("ffn", base.ffn, LARGEST)?,
            vocab: count("vocab", base.vocab, LARGEST)?,
            context: count("longest", base.context, LARGEST)?,
            gated: named(case, "ffn_kind", &FFN_KINDS)?,
            activation: named(case, "activation", &ACTIVATIONS)?,
            positions: named(case, "positions", &POSITIONS)?,
        })
    }

    /// The decoder of that shape, with all that the search leaves alone as
    /// PhoneLM has it: RMSNorm before each branch, no bias, one table for
    /// embedding and head.
    ///
    /// # Errors
    /// Axes that exclude each other: heads that do not divide the width, key
    /// and value heads that do not divide the heads, a head of odd width with
    /// rotary positions.
    pub fn config(&self, name: &str) -> Result<Config, PhoneLmError> {
        let (width, heads) = (self.width, self.heads);
        if heads == 0 || !width.is_multiple_of(heads) {
            return Err(PhoneLmError::Excluded(format!(
                "heads={heads} does not divide width={width}"
            )));
        }
        let config = Config {
            format_version: 1,
            name: name.to_owned(),
            title: name.to_owned(),
            source: "a candidate of the search".to_owned(),
            family: Family::Llama,
            layers: self.layers,
            width,
            heads,
            kv_heads: self.kv_heads,
            head_dim: width / heads,
            ffn: self.ffn,
            vocab: self.vocab,
            context: self.context,
            activation: self.activation,
            gated: self.gated,
            norm: NormKind::RmsNorm,
            norm_epsilon: 1e-6,
            positions: self.positions,
            attention_bias: AttentionBias::None,
            mlp_bias: false,
            parallel_residual: false,
            tied_embeddings: true,
            published_params_m: None,
            variation: Variation::default(),
        };
        if config.kv_heads == 0 {
            let zero = "kv_heads=0 leaves nothing to attend to";
            return Err(PhoneLmError::Excluded(zero.to_owned()));
        }
        config.check().map_err(PhoneLmError::Excluded)?;
        Ok(config)
    }
}
