//! The text encoder of Stable Diffusion 1 (Radford et al., *Learning
//! Transferable Visual Models From Natural Language Supervision*, 2021;
//! `CLIPTextModel` of transformers), up to its last norm. Left out: dropout,
//! the projection that compares text with pictures.
//!
//! `B` batch, `T` tokens, `D` width. `weights.rs` has the published names.

use assay_kernels::{Activation, activate, embedding};
use assay_kit::{Linear, Parameters};
use assay_trace::{span, span_at};
use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor};

use crate::config::TextConfig;
use crate::layers::{Attention, Heads, LayerNorm, new_linear};

/// Deviation of new rows of the tables, as CLIP starts its tokens.
const DEVIATION: f32 = 0.02;

/// `fc2(act(fc1(x)))`.
#[derive(Module, Debug)]
pub struct Mlp {
    fc1: Linear,
    fc2: Linear,
    #[module(skip)]
    activation: Activation,
}

/// Attention and feed-forward, each after its norm and beside the residual.
#[derive(Module, Debug)]
pub struct Layer {
    layer_norm1: LayerNorm,
    self_attn: Attention,
    layer_norm2: LayerNorm,
    mlp: Mlp,
}

impl Layer {
    fn new(p: &mut Parameters, config: &TextConfig) -> Self {
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        let heads = Heads {
            width,
            context: width,
            heads: config.num_attention_heads,
            bias: true,
            causal: true,
        };
        Self {
            layer_norm1: LayerNorm::new(p, width, config.layer_norm_eps),
            self_attn: Attention::new(p, heads),
            layer_norm2: LayerNorm::new(p, width, config.layer_norm_eps),
            mlp: Mlp {
                fc1: new_linear(p, width, inner, true),
                fc2: new_linear(p, inner, width, true),
                activation: config.hidden_act,
            },
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let update = span("attention", || {
            let normed = self.layer_norm1.forward(x.clone());
            self.self_attn.forward(normed.clone(), normed)
        });
        let x = x + update; // [B, T, D]
        let update = span("mlp", || {
            let normed = self.layer_norm2.forward(x.clone());
            let inner = self.mlp.fc1.forward(normed);
            self.mlp.fc2.forward(activate(inner, self.mlp.activation))
        });
        x + update // [B, T, D]
    }
}

/// The whole encoder.
#[derive(Module, Debug)]
pub struct TextEncoder {
    token_embedding: Param<Tensor<2>>,
    position_embedding: Param<Tensor<2>>,
    layers: Vec<Layer>,
    final_layer_norm: LayerNorm,
}

impl TextEncoder {
    /// An encoder of that shape.
    pub fn new(p: &mut Parameters, config: &TextConfig) -> Self {
        let width = config.hidden_size;
        let positions = config.max_position_embeddings;
        Self {
            token_embedding: p.weight([config.vocab_size, width], DEVIATION),
            position_embedding: p.weight([positions, width], DEVIATION),
            layers: (0..config.num_hidden_layers)
                .map(|_| Layer::new(p, config))
                .collect(),
            final_layer_norm: LayerNorm::new(p, width, config.layer_norm_eps),
        }
    }

    /// Tokens `[B, T]` to `[B, T, D]`; each sees those before it.
    ///
    /// # Panics
    /// When there are more tokens than positions, or one is not known.
    pub fn forward(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let [_, t] = ids.dims();
        let mut x = span("embedding", || {
            let tokens = embedding(self.token_embedding.val(), ids);
            let places = self.position_embedding.val().narrow(0, 0, t);
            tokens + places.unsqueeze() // [B, T, D]
        });
        for (i, layer) in self.layers.iter().enumerate() {
            x = span_at("layers", i, || layer.forward(x));
        }
        span("norm", || self.final_layer_norm.forward(x)) // [B, T, D]
    }
}
