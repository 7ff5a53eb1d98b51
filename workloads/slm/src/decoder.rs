//! A decoder-only language model whose variation is data.
//!
//! *Small Language Models: Survey, Measurements, and Insights* (arXiv
//! 2409.15790), section 2: the models that it measures are one architecture
//! with a few switches. This file is that architecture: LLaMA (RMSNorm,
//! rotary, gated), Qwen2 (biases on q, k, v), GPT-NeoX (LayerNorm, partial
//! rotary, parallel residual), OPT (learned positions, plain feed-forward).
//!
//! Left out: dropout (off at inference, and none of these trains with it
//! here), and PhoneLM's rounding of rotary tables to INT8.
//!
//! Legend: `B` batch, `T` new tokens, `S` tokens attended, `D` width,
//! `H` heads, `K` key-value heads, `d` head width, `F` feed-forward width,
//! `V` vocabulary.

use assay_kernels::{
    Activation, Rotary, activate, attention, embedding, gated, rotary,
};
use assay_kit::{LayerNorm, Linear, Parameters, RmsNorm};
use assay_trace::{span, span_at};
use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor};

use crate::cache::{Cache, KeyValues};
use crate::config::{AttentionBias, Config, NormKind, Positions};

/// RMSNorm or LayerNorm.
#[derive(Module, Debug)]
pub enum Norm {
    /// Root-mean-square.
    Rms(RmsNorm),
    /// With mean and offset.
    Layer(LayerNorm),
}

impl Norm {
    fn new(parameters: &mut Parameters, config: &Config) -> Self {
        let (width, epsilon) = (config.width, config.norm_epsilon);
        match config.norm {
            NormKind::RmsNorm => {
                Self::Rms(RmsNorm::new(parameters, width, epsilon))
            }
            NormKind::LayerNorm => {
                Self::Layer(LayerNorm::new(parameters, width, epsilon, true))
            }
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        span("norm", || match self {
            Self::Rms(norm) => norm.forward(x),
            Self::Layer(norm) => norm.forward(x),
        })
    }
}

/// Grouped-query attention: `H` query heads share `K` key-value heads.
#[derive(Module, Debug)]
pub struct Attention {
    q: Linear,
    k: Linear,
    v: Linear,
    output: Linear,
    #[module(skip)]
    rotary: Option<Rotary>,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
}

impl Attention {
    fn new(
        parameters: &mut Parameters,
        config: &Config,
        rotary: Option<Rotary>,
    ) -> Self {
        let (width, d) = (config.width, config.head_dim);
        let (heads, kv_heads) = (config.heads, config.kv_heads);
        let bias = config.attention_bias != AttentionBias::None;
        let output_bias = config.attention_bias == AttentionBias::All;
        Self {
            q: Linear::new(parameters, width, heads * d, bias),
            k: Linear::new(parameters, width, kv_heads * d, bias),
            v: Linear::new(parameters, width, kv_heads * d, bias),
            output: Linear::new(parameters, heads * d, width, output_bias),
            rotary,
            heads,
            kv_heads,
            head_dim: d,
        }
    }

    fn forward(
        &self,
        x: Tensor<3>,
        first: usize,
        cache: Option<&mut KeyValues>,
    ) -> Tensor<3> {
        let [b, t, _] = x.dims();
        let (h, kv, d) = (self.heads, self.kv_heads, self.head_dim);
        let q = self.q.forward(x.clone()).reshape([b, t, h, d]); // [B, T, H, d]
        let k = self.k.forward(x.clone()).reshape([b, t, kv, d]); // [B, T, K, d]
        let v = self.v.forward(x).reshape([b, t, kv, d]); // [B, T, K, d]
        let (q, k) = match &self.rotary {
            Some(table) => (rotary(q, table, first), rotary(k, table, first)),
            None => (q, k),
        };
        let (k, v) = match cache {
            Some(cache) => cache.append(k, v, first), // [B, S.., K, d]
            None => (k, v),
        };
        let scale = (d as f32).powf(-0.5);
        let mixed = attention(q, k, v, first + t, scale, true); // [B, T, H, d]
        self.output.forward(mixed.reshape([b, t, h * d])) // [B, T, D]
    }
}

/// `down(act(gate x) * up x)`, or `down(act(up x))` without a gate.
#[derive(Module, Debug)]
pub struct Mlp {
    gate: Option<Linear>,
    up: Linear,
    down: Linear,
    #[module(skip)]
    activation: Activation,
}

impl Mlp {
    fn new(parameters: &mut Parameters, config: &Config) -> Self {
        let (width, ffn, bias) = (config.width, config.ffn, config.mlp_bias);
        Self {
            gate: config
                .gated
                .then(|| Linear::new(parameters, width, ffn, bias)),
            up: Linear::new(parameters, width, ffn, bias),
            down: Linear::new(parameters, ffn, width, bias),
            activation: config.activation,
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let hidden = match &self.gate {
            Some(gate) => {
                let open = gate.forward(x.clone()); // [B, T, F]
                gated(open, self.up.forward(x), self.activation)
            }
            None => activate(self.up.forward(x), self.activation),
        };
        self.down.forward(hidden) // [B, T, D]
    }
}

/// Attention and feed-forward, each after its norm and beside the residual.
#[derive(Module, Debug)]
pub struct Block {
    attention_norm: Norm,
    attention: Attention,
    mlp_norm: Norm,
    mlp: Mlp,
    parallel: bool,
}

impl Block {
    fn new(
        parameters: &mut Parameters,
        config: &Config,
        rotary: Option<Rotary>,
    ) -> Self {
        Self {
            attention_norm: Norm::new(parameters, config),
            attention: Attention::new(parameters, config, rotary),
            mlp_norm: Norm::new(parameters, config),
            mlp: Mlp::new(parameters, config),
            parallel: config.parallel_residual,
        }
    }

    fn forward(
        &self,
        x: Tensor<3>,
        first: usize,
        cache: Option<&mut KeyValues>,
    ) -> Tensor<3> {
        let mixed = span("attention", || {
            let normed = self.attention_norm.forward(x.clone());
            self.attention.forward(normed, first, cache)
        }); // [B, T, D]
        let after = x.clone() + mixed; // [B, T, D]
        let input = if self.parallel { x } else { after.clone() };
        let transformed =
            span("mlp", || self.mlp.forward(self.mlp_norm.forward(input))); // [B, T, D]
        after + transformed // [B, T, D]
    }
}

/// The whole model.
#[derive(Module, Debug)]
pub struct Decoder {
    embedding: Param<Tensor<2>>,
    positions: Option<Param<Tensor<2>>>,
    blocks: Vec<Block>,
    norm: Norm,
    head: Option<Linear>,
    position_offset: usize,
}

impl Decoder {
    /// A model of that shape, its parameters made by `parameters`, for rows
    /// of at most `longest` tokens (rotary tables are made for as many).
    pub fn new(
        parameters: &mut Parameters,
        config: &Config,
        longest: usize,
    ) -> Self {
        let table = match config.positions {
            Positions::Rotary { theta, .. } => {
                Some(Rotary::new(theta, config.rotated(), longest))
            }
            Positions::Learned { .. } => None,
        };
        let (positions, position_offset) = match config.positions {
            Positions::Rotary { .. } => (None, 0),
            Positions::Learned { offset } => {
                let rows = config.context + offset;
                let table = parameters.weight([rows, config.width], 0.02);
                (Some(table), offset)
            }
        };
        Self {
            embedding: parameters.weight([config.vocab, config.width], 0.02),
            positions,
            blocks: (0..config.layers)
                .map(|_| Block::new(parameters, config, table.clone()))
                .collect(),
            norm: Norm::new(parameters, config),
            head: (!config.tied_embeddings).then(|| {
                Linear::new(parameters, config.width, config.vocab, false)
            }),
            position_offset,
        }
    }

    /// Tokens `[B, T]` at positions `first..first + T` to hidden states
    /// `[B, T, D]`, past the last norm. With a cache, earlier tokens are read
    /// from it and the new ones appended.
    pub fn hidden(
        &self,
        tokens: Tensor<2, Int>,
        first: usize,
        mut cache: Option<&mut Cache>,
    ) -> Tensor<3> {
        let [_, t] = tokens.dims();
        let mut x = span("embedding", || {
            let x = embedding(self.embedding.val(), tokens); // [B, T, D]
            match &self.positions {
                Some(table) => {
                    let start = first + self.position_offset;
                    let rows = table.val().narrow(0, start, t); // [T, D]
                    x + rows.unsqueeze()
                }
                None => x,
            }
        });
        for (i, block) in self.blocks.iter().enumerate() {
            let layer = cache.as_deref_mut().map(|cache| cache.layer(i));
            x = span_at("layers", i, || block.forward(x, first, layer));
        }
        self.norm.forward(x)
    }

    /// Hidden states `[B, T, D]` to logits `[B, T, V]`.
    pub fn logits(&self, hidden: Tensor<3>) -> Tensor<3> {
        span("head", || match &self.head {
            Some(head) => head.forward(hidden),
            None => assay_kernels::linear(hidden, self.embedding.val(), None),
        })
    }

    /// Mean cross entropy of each token `[B, T]` after the first, given those
    /// before it.
    pub fn loss(&self, tokens: Tensor<2, Int>) -> Tensor<1> {
        let [b, t] = tokens.dims();
        let inputs = tokens.clone().slice([0..b, 0..t - 1]); // [B, T-1]
        let targets = tokens.slice([0..b, 1..t]); // [B, T-1]
        let logits = self.logits(self.hidden(inputs, 0, None)); // [B, T-1, V]
        let [_, _, vocab] = logits.dims();
        let rows = b * (t - 1);
        span("loss", || {
            assay_kernels::cross_entropy(
                logits.reshape([rows, vocab]),
                targets.reshape([rows]),
            )
        })
    }
}
