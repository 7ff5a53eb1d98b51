//! What single models have beside the common decoder, as data: every field
//! left out means that the model does not have it.

use serde::Deserialize;

/// The gain of a norm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gain {
    /// Learned, as it is.
    #[default]
    Plain,
    /// One more than what is learned (Gemma, Nemotron's LayerNorm1P).
    PlusOne,
    /// None, and no offset (OLMo).
    None,
}

/// How queries and keys are normed before they meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QkNorm {
    /// They are not.
    #[default]
    None,
    /// Each head by itself, with one learned gain for all of them (OpenELM).
    Head,
    /// All heads of a token as one row, with nothing learned (DCLM).
    Row,
}

/// In which layers attention sees a window only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WindowLayers {
    /// All.
    All,
    /// Layers 0, 2, 4, ... (Gemma-2).
    Even,
}

/// Attention to the latest tokens only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Tokens that a query sees, its own included.
    pub tokens: usize,
    /// Which layers.
    pub layers: WindowLayers,
}

/// Sizes that differ from layer to layer (OpenELM), one number a layer. The
/// sizes above them in the file are the largest.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerLayer {
    /// Query heads.
    pub heads: Vec<usize>,
    /// Key and value heads.
    pub kv_heads: Vec<usize>,
    /// Width of the feed-forward layer.
    pub ffn: Vec<usize>,
}

/// Multi-head latent attention (DeepSeek-V2, 2024; MiniCPM3): queries, and
/// keys with values, pass through a narrow layer each; a part of each head
/// carries the position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latent {
    /// Width of the narrow layer of queries.
    pub query_rank: usize,
    /// Width of the narrow layer of keys and values.
    pub kv_rank: usize,
    /// Elements at the end of a head that are rotated; keys share them.
    pub rotated: usize,
    /// Width of a head of values.
    pub value_dim: usize,
}

/// Gated linear recurrence in place of attention (Griffin, 2024): every
/// `attention_every`-th layer attends, the others recur.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recurrence {
    /// Width of the recurrent state.
    pub width: usize,
    /// Blocks of the gates' block-diagonal matrices.
    pub heads: usize,
    /// Tokens that the convolution before it sees.
    pub convolution: usize,
    /// Layers `attention_every - 1`, `2 attention_every - 1`, ... attend.
    pub attention_every: usize,
}

/// Slower rotation for texts longer than those of the first training
/// (LLaMA-3.1's): pairs that turn less than `low` times over `context` tokens
/// turn `factor` times slower, those that turn more than `high` times as
/// before, those between in proportion.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotaryScaling {
    /// How much slower.
    pub factor: f64,
    /// Turns below which a pair is slowed in full.
    pub low: f64,
    /// Turns above which it is not slowed.
    pub high: f64,
    /// Tokens over which turns are counted.
    pub context: usize,
}

impl RotaryScaling {
    /// The frequency of a pair, radians a token, that had `frequency` before.
    pub fn scaled(&self, frequency: f64) -> f64 {
        let turns = self.context as f64 * frequency / std::f64::consts::TAU;
        let kept = (turns - self.low) / (self.high - self.low);
        let kept = kept.clamp(0.0, 1.0);
        frequency * (kept + (1.0 - kept) / self.factor)
    }
}

/// Everything that single models have. The default is none of it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Variation {
    /// The gain of every norm.
    pub norm_gain: Gain,
    /// LayerNorm has no offset.
    pub norm_without_offset: bool,
    /// Each branch is normed after it too (Gemma-2).
    pub output_norms: bool,
    /// The norm stands behind the sum with the residual, and there is none at
    /// the end (OPT-350M).
    pub norm_after: bool,
    /// One norm for both branches of a parallel residual (Phi).
    pub single_norm: bool,
    /// A norm behind the embedding (BLOOM).
    pub embedding_norm: bool,
    /// Width of the embedding, where it is not that of the residual stream:
    /// a projection stands between them, and one before the head (OPT-350M).
    pub embedding_width: Option<usize>,
    /// What embeddings are multiplied by (Gemma, MiniCPM).
    pub embedding_scale: Option<f64>,
    /// What a branch is multiplied by before it joins the residual (MiniCPM).
    pub residual_scale: Option<f64>,
    /// What hidden states are multiplied by before the head (MiniCPM).
    pub head_scale: Option<f64>,
    /// The head has a bias (Phi).
    pub head_bias: bool,
    /// Logits `l` become `cap tanh(l / cap)` (Gemma-2).
    pub logit_cap: Option<f64>,
    /// So do scores of attention.
    pub attention_cap: Option<f64>,
    /// Queries are divided by the root of this, not of the head's width.
    pub query_scalar: Option<f64>,
    /// Attention to the latest tokens only.
    pub window: Option<Window>,
    /// Slower rotation for long texts (LLaMA-3.2).
    pub rotary_scaling: Option<RotaryScaling>,
    /// Norms of queries and keys.
    pub qk_norm: QkNorm,
    /// The activation is squared (Nemotron).
    pub squared_activation: bool,
    /// All layers share one feed-forward layer (MobiLlama).
    pub shared_ffn: bool,
    /// Sizes a layer.
    pub per_layer: Option<PerLayer>,
    /// Latent attention.
    pub latent: Option<Latent>,
    /// Recurrence.
    pub recurrence: Option<Recurrence>,
    /// What the published model has and this shape does not: costs nothing in
    /// a trace, but its weights would give other answers and are refused.
    pub left_out: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_pairs_are_slowed_in_full_and_fast_ones_not_at_all() {
        let scaling =
            RotaryScaling { factor: 32.0, low: 1.0, high: 4.0, context: 8192 };
        let turning = |turns: f64| turns * std::f64::consts::TAU / 8192.0;
        for (turns, share) in [
            (0.1, 1.0 / 32.0),
            (1.0, 1.0 / 32.0),
            (2.5, 0.5 + 0.5 / 32.0),
            (4.0, 1.0),
            (900.0, 1.0),
        ] {
            let found = scaling.scaled(turning(turns));
            let right = share * turning(turns);
            assert!((found / right - 1.0).abs() < 1e-12, "{turns}");
        }
    }
}
