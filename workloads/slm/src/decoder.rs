//! A decoder-only language model whose variation is data.
//!
//! *Small Language Models: Survey, Measurements, and Insights* (arXiv
//! 2409.15790), section 2: the models that it measures are one architecture
//! with a few switches. This file is that architecture: LLaMA (RMSNorm,
//! rotary, gated), Qwen2 (biases on q, k, v), GPT-NeoX (LayerNorm, partial
//! rotary, parallel residual), OPT and GPT-2 (learned positions, plain
//! feed-forward). What stands inside a layer is in `blocks/`; what single
//! models have beside all that is [`crate::Variation`].
//!
//! Not here: the forms of a model other than the one that it is loaded and
//! trained in, packed and adapted (`packing.rs`, `adapting.rs`).
//!
//! Left out: dropout (off at inference, and none of these trains with it
//! here), PhoneLM's rounding of rotary tables to INT8, and what a model file
//! names in `left_out`.
//!
//! Legend: `B` batch, `T` new tokens, `S` tokens attended, `D` width,
//! `H` heads, `K` key-value heads, `d` head width, `F` feed-forward width,
//! `V` vocabulary, `E` width of the embedding (`D` but for OPT-350M).

use assay_kernels::{Activation, Rotary, activate};
use assay_kit::Parameters;
use assay_trace::{span, span_at};
use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor};

use crate::blocks::{
    Attention, Change, LatentAttention, Mlp, Norm, Projection, Recurrent, Table,
};
use crate::cache::{Cache, Kept};
use crate::config::{Config, Mixing, Positions};

/// What mixes the tokens of a layer.
#[derive(Module, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a layer has one, and a model has few layers"
)]
pub enum Mixer {
    /// Grouped-query attention.
    Attention(Attention),
    /// Latent attention.
    Latent(LatentAttention),
    /// A gated linear recurrence.
    Recurrent(Recurrent),
}

impl Mixer {
    fn new(
        parameters: &mut Parameters,
        config: &Config,
        layer: usize,
        rotary: Option<Rotary>,
    ) -> Self {
        let v = &config.variation;
        match (config.mixing(layer), v.latent, v.recurrence) {
            (Mixing::Recurrence, _, Some(size)) => {
                Self::Recurrent(Recurrent::new(parameters, config, size))
            }
            (Mixing::Latent, Some(size), _) => {
                let latent =
                    LatentAttention::new(parameters, config, size, rotary);
                Self::Latent(latent)
            }
            _ => Self::Attention(Attention::new(
                parameters, config, layer, rotary,
            )),
        }
    }

    fn changed(self, change: &mut Change<'_>) -> Self {
        match self {
            Self::Attention(mixer) => Self::Attention(mixer.changed(change)),
            Self::Latent(mixer) => Self::Latent(mixer.changed(change)),
            Self::Recurrent(mixer) => Self::Recurrent(mixer.changed(change)),
        }
    }

    fn forward(
        &self,
        x: Tensor<3>,
        first: usize,
        cache: Option<&mut Kept>,
    ) -> Tensor<3> {
        match self {
            Self::Attention(mixer) => mixer.forward(x, first, cache),
            Self::Latent(mixer) => mixer.forward(x, first, cache),
            Self::Recurrent(mixer) => mixer.forward(x, first, cache),
        }
    }
}

/// Where the norms and the residual stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// Attention, then feed-forward, each after its norm.
    Sequential,
    /// Both read the block's input, each through a norm of its own.
    Parallel,
    /// Both read the block's input through one norm.
    ParallelSingleNorm,
    /// Attention, then feed-forward, each with its norm behind the sum.
    NormAfter,
}

impl Order {
    fn of(config: &Config) -> Self {
        let v = &config.variation;
        match (config.parallel_residual, v.single_norm, v.norm_after) {
            (_, _, true) => Self::NormAfter,
            (true, true, false) => Self::ParallelSingleNorm,
            (true, false, false) => Self::Parallel,
            (false, _, false) => Self::Sequential,
        }
    }
}

/// Attention and feed-forward, with their norms and beside the residual.
#[derive(Module, Debug)]
pub struct Block {
    attention_norm: Norm,
    attention: Mixer,
    attention_output_norm: Option<Norm>,
    mlp_norm: Option<Norm>,
    mlp: Option<Mlp>,
    mlp_output_norm: Option<Norm>,
    #[module(skip)]
    order: Order,
    residual_scale: Option<f32>,
}

impl Block {
    fn new(
        parameters: &mut Parameters,
        config: &Config,
        layer: usize,
        rotary: Option<Rotary>,
    ) -> Self {
        let (order, v) = (Order::of(config), &config.variation);
        let width = config.width;
        let attention_norm = Norm::new(parameters, config, width);
        let attention = Mixer::new(parameters, config, layer, rotary);
        let output_norm = |parameters: &mut Parameters| {
            v.output_norms.then(|| Norm::new(parameters, config, width))
        };
        let attention_output_norm = output_norm(parameters);
        let mlp_norm = (order != Order::ParallelSingleNorm)
            .then(|| Norm::new(parameters, config, width));
        Self {
            attention_norm,
            attention,
            attention_output_norm,
            mlp_norm,
            mlp: (!v.shared_ffn).then(|| Mlp::new(parameters, config, layer)),
            mlp_output_norm: output_norm(parameters),
            order,
            residual_scale: v.residual_scale.map(|scale| scale as f32),
        }
    }

    fn changed(self, change: &mut Change<'_>) -> Self {
        Self {
            attention: self.attention.changed(change),
            mlp: self.mlp.map(|mlp| mlp.changed(change)),
            ..self
        }
    }

    /// `[B, T, D]` to the same; `shared` is the feed-forward layer of a model
    /// whose layers have none of their own.
    fn forward(
        &self,
        x: Tensor<3>,
        first: usize,
        cache: Option<&mut Kept>,
        shared: Option<&Mlp>,
    ) -> Tensor<3> {
        let mlp = |x: Tensor<3>| match self.mlp.as_ref().or(shared) {
            Some(mlp) => mlp.forward(x),
            None => unreachable!("layers without their own share one"),
        };
        match self.order {
            Order::Sequential | Order::Parallel => {
                let mixed = span("attention", || {
                    let normed = self.attention_norm.forward(x.clone());
                    let mixed = self.attention.forward(normed, first, cache);
                    self.joining(mixed, self.attention_output_norm.as_ref())
                }); // [B, T, D]
                let after = x.clone() + mixed; // [B, T, D]
                let parallel = self.order == Order::Parallel;
                let input = if parallel { x } else { after.clone() };
                let transformed = span("mlp", || {
                    let normed = normed(self.mlp_norm.as_ref(), input);
                    self.joining(mlp(normed), self.mlp_output_norm.as_ref())
                }); // [B, T, D]
                after + transformed // [B, T, D]
            }
            Order::ParallelSingleNorm => {
                let (normed, mixed) = span("attention", || {
                    let normed = self.attention_norm.forward(x.clone());
                    let mixed =
                        self.attention.forward(normed.clone(), first, cache);
                    (normed, self.joining(mixed, None))
                }); // [B, T, D]
                let transformed = span("mlp", || {
                    self.joining(mlp(normed), None) // [B, T, D]
                });
                x + mixed + transformed // [B, T, D]
            }
            Order::NormAfter => {
                let x = span("attention", || {
                    let mixed = self.attention.forward(x.clone(), first, cache);
                    self.attention_norm.forward(x + self.joining(mixed, None))
                }); // [B, T, D]
                span("mlp", || {
                    let transformed = self.joining(mlp(x.clone()), None);
                    normed(self.mlp_norm.as_ref(), x + transformed)
                }) // [B, T, D]
            }
        }
    }

    /// A branch as it joins the residual.
    fn joining(&self, x: Tensor<3>, norm: Option<&Norm>) -> Tensor<3> {
        scaled(normed(norm, x), self.residual_scale)
    }
}

/// The angles of `longest` positions.
fn rotary_tables(config: &Config, theta: f64, longest: usize) -> Rotary {
    let width = config.rotated();
    let Some(scaling) = config.variation.rotary_scaling else {
        return Rotary::new(theta, width, longest);
    };
    let frequencies: Vec<f64> = (0..width / 2)
        .map(|i| theta.powf(-2.0 * i as f64 / width as f64))
        .map(|frequency| scaling.scaled(frequency))
        .collect();
    Rotary::with_frequencies(theta, &frequencies, longest)
}

fn normed(norm: Option<&Norm>, x: Tensor<3>) -> Tensor<3> {
    match norm {
        Some(norm) => norm.forward(x),
        None => x,
    }
}

fn scaled(x: Tensor<3>, scale: Option<f32>) -> Tensor<3> {
    match scale {
        Some(scale) => x * scale,
        None => x,
    }
}

/// The whole model.
#[derive(Module, Debug)]
pub struct Decoder {
    embedding: Table,
    embedding_norm: Option<Norm>,
    project_in: Option<Projection>,
    positions: Option<Param<Tensor<2>>>,
    blocks: Vec<Block>,
    shared_mlp: Option<Mlp>,
    norm: Option<Norm>,
    project_out: Option<Projection>,
    head: Option<Projection>,
    position_offset: usize,
    embedding_scale: Option<f32>,
    head_scale: Option<f32>,
    logit_cap: Option<f32>,
}

impl Decoder {
    /// A model of that shape, its parameters made by `parameters`, for rows
    /// of at most `longest` tokens (rotary tables are made for as many).
    pub fn new(
        parameters: &mut Parameters,
        config: &Config,
        longest: usize,
    ) -> Self {
        let (v, width) = (&config.variation, config.width);
        let table = match config.positions {
            Positions::Rotary { theta, .. } => {
                Some(rotary_tables(config, theta, longest))
            }
            Positions::Learned { .. } | Positions::Alibi => None,
        };
        let (positions, position_offset) = match config.positions {
            Positions::Rotary { .. } | Positions::Alibi => (None, 0),
            Positions::Learned { offset } => {
                let rows = config.context + offset;
                let table = parameters.weight([rows, width], 0.02);
                (Some(table), offset)
            }
        };
        let inner = v.embedding_width.unwrap_or(width);
        let embedding = parameters.weight([config.vocab, inner], 0.02);
        let embedding_norm =
            v.embedding_norm.then(|| Norm::new(parameters, config, inner));
        let project_in = v
            .embedding_width
            .map(|_| Projection::new(parameters, inner, width, false));
        let blocks = (0..config.layers)
            .map(|i| Block::new(parameters, config, i, table.clone()))
            .collect();
        let shared_mlp = v.shared_ffn.then(|| Mlp::new(parameters, config, 0));
        let norm =
            (!v.norm_after).then(|| Norm::new(parameters, config, width));
        let project_out = v
            .embedding_width
            .map(|_| Projection::new(parameters, width, inner, false));
        let head = (!config.tied_embeddings).then(|| {
            Projection::new(parameters, inner, config.vocab, v.head_bias)
        });
        let number = |x: Option<f64>| x.map(|x| x as f32);
        Self {
            embedding: Table::Dense(embedding),
            embedding_norm,
            project_in,
            positions,
            blocks,
            shared_mlp,
            norm,
            project_out,
            head,
            position_offset,
            embedding_scale: number(v.embedding_scale),
            head_scale: number(v.head_scale),
            logit_cap: number(v.logit_cap),
        }
    }

    /// Tokens `[B, T]` at positions `first..first + T` to hidden states
    /// `[B, T, D]`, past the last norm. With a cache, earlier tokens are read
    /// from it and the new ones appended.
    pub fn hidden(
        &self,
        tokens: Tensor<2, Int>,
        first: usize,
        cache: Option<&mut Cache>,
    ) -> Tensor<3> {
        self.transform(self.embed(tokens, first), first, cache)
    }

    /// Tokens `[B, T]` at positions `first..first + T` to the first layer's
    /// input `[B, T, D]`: the first half of [`hidden`](Self::hidden).
    pub fn embed(&self, tokens: Tensor<2, Int>, first: usize) -> Tensor<3> {
        span("embedding", || self.embedded(tokens, first))
    }

    /// Inputs of the first layer `[B, T, D]` at positions `first..first + T`,
    /// of tokens or of anything else that is as wide, to hidden states
    /// `[B, T, D]`, past the last norm: the second half of
    /// [`hidden`](Self::hidden).
    pub fn transform(
        &self,
        mut x: Tensor<3>,
        first: usize,
        mut cache: Option<&mut Cache>,
    ) -> Tensor<3> {
        for (i, block) in self.blocks.iter().enumerate() {
            let layer = cache.as_deref_mut().map(|cache| cache.layer(i));
            x = span_at("layers", i, || {
                block.forward(x, first, layer, self.shared_mlp.as_ref())
            });
        }
        normed(self.norm.as_ref(), x)
    }

    /// Tokens `[B, T]` to the first layer's input `[B, T, D]`.
    fn embedded(&self, tokens: Tensor<2, Int>, first: usize) -> Tensor<3> {
        let [_, t] = tokens.dims();
        let x = self.embedding.rows(tokens); // [B, T, E]
        let x = normed(
            self.embedding_norm.as_ref(),
            scaled(x, self.embedding_scale),
        );
        let x = match &self.project_in {
            Some(project) => project.forward(x), // [B, T, D]
            None => x,
        };
        match &self.positions {
            Some(table) => {
                let start = first + self.position_offset;
                let rows = table.val().narrow(0, start, t); // [T, D]
                x + rows.unsqueeze()
            }
            None => x,
        }
    }

    /// Hidden states `[B, T, D]` to logits `[B, T, V]`.
    pub fn logits(&self, hidden: Tensor<3>) -> Tensor<3> {
        span("head", || {
            let hidden = match &self.project_out {
                Some(project) => project.forward(hidden), // [B, T, E]
                None => hidden,
            };
            let hidden = scaled(hidden, self.head_scale);
            let logits = match &self.head {
                Some(head) => head.forward(hidden),
                None => self.embedding.products(hidden),
            }; // [B, T, V]
            match self.logit_cap {
                Some(cap) => activate(logits / cap, Activation::Tanh) * cap,
                None => logits,
            }
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

    /// The same with the linear layers of its blocks changed: one at a time,
    /// so that what a change frees is free before the next.
    pub(crate) fn with_blocks_changed(self, change: &mut Change<'_>) -> Self {
        let blocks = self.blocks.into_iter();
        Self {
            blocks: blocks.map(|block| block.changed(change)).collect(),
            shared_mlp: self.shared_mlp.map(|mlp| mlp.changed(change)),
            ..self
        }
    }

    /// As [`with_blocks_changed`](Self::with_blocks_changed), the linear layers
    /// around the blocks and the table with them.
    pub(crate) fn with_all_changed(
        self,
        change: &mut Change<'_>,
        table: impl FnOnce(Table) -> Table,
    ) -> Self {
        let whole = self.with_blocks_changed(change);
        Self {
            embedding: table(whole.embedding),
            project_in: whole.project_in.map(&mut *change),
            project_out: whole.project_out.map(&mut *change),
            head: whole.head.map(&mut *change),
            ..whole
        }
    }
}
