//! The transformer of a level (Rombach et al., *High-Resolution Image
//! Synthesis with Latent Diffusion Models*, 2022, section 3.3): the places of
//! a picture are tokens that look at each other and at the text.
//!
//! `B` batch, `H`, `W` height and width, `C` channels, `T = H W` places, `S`
//! tokens of the text, `D` their width.

use assay_kernels::{Activation, gated};
use assay_kit::{Linear, Parameters};
use assay_trace::{span, span_at};
use burn::Tensor;
use burn::module::Module;

use crate::config::UNetConfig;
use crate::layers::{
    Attention, GroupNorm, Heads, LayerNorm, new_linear, rows_of,
};

/// Of the norm in front of a transformer, whatever the U-Net's own is.
const GROUP_EPSILON: f64 = 1e-6;
/// Of the norms within.
const LAYER_EPSILON: f64 = 1e-5;
/// Width within the feed-forward layers, in widths of their input.
const WIDER: usize = 4;

/// `out(a * gelu(b))` of `[a, b] = proj(x)` (Shazeer, *GLU Variants Improve
/// Transformer*, 2020). The halves of `proj` are two products, so that
/// neither has to be cut out of a wider one.
#[derive(Module, Debug)]
pub(crate) struct FeedForward {
    proj: Linear,
    out: Linear,
}

impl FeedForward {
    fn new(p: &mut Parameters, width: usize) -> Self {
        let inner = WIDER * width;
        Self {
            proj: new_linear(p, width, 2 * inner, true),
            out: new_linear(p, inner, width, true),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [_, _, width] = x.dims();
        let inner = WIDER * width;
        let up = rows_of(&self.proj, x.clone(), 0, inner); // [B, T, 4 C]
        let gate = rows_of(&self.proj, x, inner, inner); // [B, T, 4 C]
        self.out.forward(gated(gate, up, Activation::Gelu)) // [B, T, C]
    }
}

/// Attention to the places, to the text, and a feed-forward layer, each after
/// its norm and beside the residual.
#[derive(Module, Debug)]
pub(crate) struct TransformerBlock {
    norm1: LayerNorm,
    attn1: Attention,
    norm2: LayerNorm,
    attn2: Attention,
    norm3: LayerNorm,
    ff: FeedForward,
}

impl TransformerBlock {
    fn new(p: &mut Parameters, width: usize, config: &UNetConfig) -> Self {
        let heads = Heads {
            width,
            context: width,
            heads: config.attention_head_dim,
            bias: false,
            causal: false,
        };
        let text = Heads { context: config.cross_attention_dim, ..heads };
        Self {
            norm1: LayerNorm::new(p, width, LAYER_EPSILON),
            attn1: Attention::new(p, heads),
            norm2: LayerNorm::new(p, width, LAYER_EPSILON),
            attn2: Attention::new(p, text),
            norm3: LayerNorm::new(p, width, LAYER_EPSILON),
            ff: FeedForward::new(p, width),
        }
    }

    /// `x` `[B, T, C]`, `text` `[B, S, D]`.
    fn forward(&self, x: Tensor<3>, text: &Tensor<3>) -> Tensor<3> {
        let update = span("self_attention", || {
            let normed = self.norm1.forward(x.clone());
            self.attn1.forward(normed.clone(), normed)
        });
        let x = x + update; // [B, T, C]
        let update = span("cross_attention", || {
            let normed = self.norm2.forward(x.clone());
            self.attn2.forward(normed, text.clone())
        });
        let x = x + update; // [B, T, C]
        let update = span("feed_forward", || {
            self.ff.forward(self.norm3.forward(x.clone()))
        });
        x + update // [B, T, C]
    }
}

/// A picture through transformer blocks, beside the residual.
#[derive(Module, Debug)]
pub(crate) struct Transformer {
    norm: GroupNorm,
    proj_in: Linear,
    transformer_blocks: Vec<TransformerBlock>,
    proj_out: Linear,
}

impl Transformer {
    pub(super) fn new(
        p: &mut Parameters,
        width: usize,
        config: &UNetConfig,
    ) -> Self {
        let groups = config.norm_num_groups;
        Self {
            norm: GroupNorm::new(p, width, groups, GROUP_EPSILON),
            proj_in: new_linear(p, width, width, true),
            transformer_blocks: (0..config.transformer_layers_per_block)
                .map(|_| TransformerBlock::new(p, width, config))
                .collect(),
            proj_out: new_linear(p, width, width, true),
        }
    }

    /// `x` `[B, H, W, C]`, `text` `[B, S, D]`.
    pub(super) fn forward(&self, x: Tensor<4>, text: &Tensor<3>) -> Tensor<4> {
        let [b, height, width, c] = x.dims();
        let normed = self.norm.forward(x.clone());
        let tokens = normed.reshape([b, height * width, c]); // [B, T, C]
        let mut tokens = self.proj_in.forward(tokens);
        for (i, block) in self.transformer_blocks.iter().enumerate() {
            tokens = span_at("block", i, || block.forward(tokens, text));
        }
        let tokens = self.proj_out.forward(tokens); // [B, T, C]
        x + tokens.reshape([b, height, width, c]) // [B, H, W, C]
    }
}
