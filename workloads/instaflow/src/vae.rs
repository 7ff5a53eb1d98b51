//! The variational autoencoder between pictures and latents (Kingma and
//! Welling, 2014; Rombach et al., 2022; `AutoencoderKL` of diffusers).
//!
//! `B` batch, `H`, `W` sides of a picture, `h`, `w` those of a latent, `C`
//! channels, `Z` those of latents. `weights.rs` has the published names.

use assay_kernels::upsample;
use assay_kit::{Linear, Parameters};
use assay_trace::{span, span_at};
use burn::Tensor;
use burn::module::Module;
use burn::tensor::ops::PadMode;

use crate::config::VaeConfig;
use crate::layers::{
    Attention, Blocks, Conv, GroupNorm, Heads, ResnetBlock, new_linear,
};

/// Of every norm.
const EPSILON: f64 = 1e-6;
/// Bounds of the logarithm of a variance, as diffusers has them.
const LOG_VARIANCE: [f32; 2] = [-30.0, 20.0];

fn norm(p: &mut Parameters, channels: usize, config: &VaeConfig) -> GroupNorm {
    GroupNorm::new(p, channels, config.norm_num_groups, EPSILON)
}

/// Residual blocks, the first from `inputs` channels.
fn resnets(
    p: &mut Parameters,
    inputs: usize,
    outputs: usize,
    count: usize,
    config: &VaeConfig,
) -> Vec<ResnetBlock> {
    let groups = config.norm_num_groups;
    let blocks = Blocks { groups, epsilon: EPSILON, time: None };
    (0..count)
        .map(|i| {
            let inputs = if i == 0 { inputs } else { outputs };
            ResnetBlock::new(p, inputs, outputs, blocks)
        })
        .collect()
}

fn each(resnets: &[ResnetBlock], mut x: Tensor<4>) -> Tensor<4> {
    for (i, resnet) in resnets.iter().enumerate() {
        x = span_at("resnet", i, || resnet.forward(x, None));
    }
    x
}

/// Attention of the places of a picture to each other, one head.
#[derive(Module, Debug)]
pub struct PlaceAttention {
    group_norm: GroupNorm,
    attention: Attention,
}

impl PlaceAttention {
    fn new(p: &mut Parameters, width: usize, config: &VaeConfig) -> Self {
        let (heads, bias, causal) = (1, true, false);
        let shape = Heads { width, context: width, heads, bias, causal };
        Self {
            group_norm: norm(p, width, config),
            attention: Attention::new(p, shape),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [b, height, width, c] = x.dims();
        let normed = self.group_norm.forward(x.clone());
        let tokens = normed.reshape([b, height * width, c]);
        let mixed = self.attention.forward(tokens.clone(), tokens);
        x + mixed.reshape([b, height, width, c])
    }
}

/// The coarsest level's middle: two residual blocks, attention between them.
#[derive(Module, Debug)]
pub struct Middle {
    resnets: Vec<ResnetBlock>,
    attentions: Vec<PlaceAttention>,
}

impl Middle {
    fn new(p: &mut Parameters, channels: usize, config: &VaeConfig) -> Self {
        Self {
            resnets: resnets(p, channels, channels, 2, config),
            attentions: vec![PlaceAttention::new(p, channels, config)],
        }
    }

    fn forward(&self, mut x: Tensor<4>) -> Tensor<4> {
        for (i, resnet) in self.resnets.iter().enumerate() {
            x = span_at("resnet", i, || resnet.forward(x, None));
            if let Some(attention) = self.attentions.get(i) {
                x = span_at("attention", i, || attention.forward(x));
            }
        }
        x
    }
}

/// A level of the encoder; all but the last halve the picture.
#[derive(Module, Debug)]
pub struct DownLevel {
    resnets: Vec<ResnetBlock>,
    downsampler: Option<Conv>,
}

impl DownLevel {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = each(&self.resnets, x);
        match &self.downsampler {
            // Zeros below and to the right only, as the published weights
            // were trained.
            Some(conv) => span("downsample", || {
                let rim = [(0_usize, 1_usize), (0, 1), (0, 0)];
                conv.forward(x.pad(rim, PadMode::Constant(0.0)))
            }),
            None => x,
        }
    }
}

/// A level of the decoder; all but the finest double the picture.
#[derive(Module, Debug)]
pub struct UpLevel {
    resnets: Vec<ResnetBlock>,
    upsampler: Option<Conv>,
}

impl UpLevel {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = each(&self.resnets, x);
        match &self.upsampler {
            Some(conv) => span("upsample", || conv.forward(upsample(x))),
            None => x,
        }
    }
}

/// Pictures to means and log-variances, before `quant_conv`.
#[derive(Module, Debug)]
pub struct Encoder {
    conv_in: Conv,
    down_blocks: Vec<DownLevel>,
    mid_block: Middle,
    conv_norm_out: GroupNorm,
    conv_out: Conv,
}

impl Encoder {
    /// An encoder of that shape.
    pub fn new(p: &mut Parameters, config: &VaeConfig) -> Self {
        let channels = &config.block_out_channels;
        let mut last = channels[0];
        let conv_in = Conv::new(p, config.in_channels, last);
        let mut down_blocks = Vec::new();
        for (level, &width) in channels.iter().enumerate() {
            let count = config.layers_per_block;
            let halves = level + 1 < channels.len();
            down_blocks.push(DownLevel {
                resnets: resnets(p, last, width, count, config),
                downsampler: halves.then(|| Conv::halving(p, width, 0)),
            });
            last = width;
        }
        Self {
            conv_in,
            down_blocks,
            mid_block: Middle::new(p, last, config),
            conv_norm_out: norm(p, last, config),
            conv_out: Conv::new(p, last, 2 * config.latent_channels),
        }
    }

    /// `[B, H, W, 3]` to `[B, h, w, 2 Z]`.
    pub fn forward(&self, pictures: Tensor<4>) -> Tensor<4> {
        let mut x = span("conv_in", || self.conv_in.forward(pictures));
        for (i, block) in self.down_blocks.iter().enumerate() {
            x = span_at("down", i, || block.forward(x));
        }
        x = span("mid", || self.mid_block.forward(x));
        span("out", || {
            self.conv_out.forward(self.conv_norm_out.forward_silu(x))
        })
    }
}

/// Latents past `post_quant_conv` to pictures.
#[derive(Module, Debug)]
pub struct Decoder {
    conv_in: Conv,
    mid_block: Middle,
    up_blocks: Vec<UpLevel>,
    conv_norm_out: GroupNorm,
    conv_out: Conv,
}

impl Decoder {
    /// A decoder of that shape.
    pub fn new(p: &mut Parameters, config: &VaeConfig) -> Self {
        let channels = &config.block_out_channels;
        let mut last = channels[channels.len() - 1];
        let conv_in = Conv::new(p, config.latent_channels, last);
        let mid_block = Middle::new(p, last, config);
        let mut up_blocks = Vec::new();
        for (level, &width) in channels.iter().enumerate().rev() {
            let count = config.layers_per_block + 1;
            up_blocks.push(UpLevel {
                resnets: resnets(p, last, width, count, config),
                upsampler: (level > 0).then(|| Conv::new(p, width, width)),
            });
            last = width;
        }
        Self {
            conv_in,
            mid_block,
            up_blocks,
            conv_norm_out: norm(p, last, config),
            conv_out: Conv::new(p, last, config.out_channels),
        }
    }

    /// `[B, h, w, Z]` to `[B, H, W, 3]`.
    pub fn forward(&self, latents: Tensor<4>) -> Tensor<4> {
        let mut x = span("conv_in", || self.conv_in.forward(latents));
        x = span("mid", || self.mid_block.forward(x));
        for (i, block) in self.up_blocks.iter().enumerate() {
            x = span_at("up", i, || block.forward(x));
        }
        span("out", || {
            self.conv_out.forward(self.conv_norm_out.forward_silu(x))
        })
    }
}

/// Both ways.
#[derive(Module, Debug)]
pub struct Vae {
    /// Pictures to moments.
    pub encoder: Encoder,
    /// Moments, mixed.
    pub quant_conv: Linear,
    /// Latents to pictures.
    pub decoder: Decoder,
    /// Latents, mixed.
    pub post_quant_conv: Linear,
}

impl Vae {
    /// An autoencoder of that shape.
    pub fn new(p: &mut Parameters, config: &VaeConfig) -> Self {
        let z = config.latent_channels;
        Self {
            encoder: Encoder::new(p, config),
            quant_conv: new_linear(p, 2 * z, 2 * z, true),
            decoder: Decoder::new(p, config),
            post_quant_conv: new_linear(p, z, z, true),
        }
    }

    /// Pictures `[B, H, W, 3]` of values in [-1, 1] to mean and log-variance
    /// of their latents, `[B, h, w, Z]` each, not scaled.
    pub fn encode(&self, pictures: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        span("encoder", || {
            let moments = self.encoder.forward(pictures);
            let moments = self.quant_conv.forward(moments); // [B, h, w, 2 Z]
            let z = moments.dims()[3] / 2;
            let mean = moments.clone().narrow(3, 0, z);
            let [least, most] = LOG_VARIANCE;
            (mean, moments.narrow(3, z, z).clamp(least, most))
        })
    }

    /// Latents `[B, h, w, Z]` as [`encode`](Self::encode) gives them (those
    /// of a U-Net divided by the scaling factor) to pictures `[B, H, W, 3]`.
    pub fn decode(&self, latents: Tensor<4>) -> Tensor<4> {
        span("decoder", || {
            self.decoder.forward(self.post_quant_conv.forward(latents))
        })
    }
}
