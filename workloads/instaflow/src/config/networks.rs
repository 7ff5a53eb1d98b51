//! The shapes of the three networks, under the keys that `diffusers` and
//! `transformers` publish them by.

use assay_kernels::Activation;
use serde::{Deserialize, Deserializer, de};

use super::keys::Only;

/// What a level of the U-Net has after each of its residual blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum BlockKind {
    /// Nothing.
    #[serde(rename = "DownBlock2D", alias = "UpBlock2D")]
    Plain,
    /// A transformer that sees the text.
    #[serde(rename = "CrossAttnDownBlock2D", alias = "CrossAttnUpBlock2D")]
    CrossAttention,
}

/// The shape of a U-Net (`UNet2DConditionModel` of diffusers).
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct UNetConfig {
    /// Side of the latents that it is made for, places.
    #[serde(default = "side")]
    pub sample_size: usize,
    /// Channels of the latents.
    pub in_channels: usize,
    /// Channels of its answer.
    pub out_channels: usize,
    /// Channels of each level, the finest first.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks of a level on the way down; one more on the way up.
    pub layers_per_block: usize,
    /// The levels on the way down, the finest first.
    pub down_block_types: Vec<BlockKind>,
    /// The levels on the way up, the coarsest first.
    pub up_block_types: Vec<BlockKind>,
    /// Heads of attention, whatever the published key says (facts, section
    /// 1: `attention_head_dim: 8` means 8 heads).
    #[serde(default = "heads")]
    pub attention_head_dim: usize,
    /// Width of the text that it sees.
    pub cross_attention_dim: usize,
    /// Groups of every GroupNorm.
    #[serde(default = "groups")]
    pub norm_num_groups: usize,
    /// Added to the variances of GroupNorms of residual blocks and output.
    #[serde(default = "epsilon")]
    pub norm_eps: f64,
    /// Blocks of a transformer.
    #[serde(default = "one")]
    pub transformer_layers_per_block: usize,
}

/// The shape of a variational autoencoder (`AutoencoderKL` of diffusers).
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct VaeConfig {
    /// Channels of the pictures that are encoded.
    pub in_channels: usize,
    /// Channels of the pictures that are decoded.
    pub out_channels: usize,
    /// Channels of the latents.
    pub latent_channels: usize,
    /// Channels of each level, the finest first.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks of a level of the encoder; the decoder has one more.
    pub layers_per_block: usize,
    /// Levels of the encoder, by their published kind.
    pub down_block_types: Vec<String>,
    /// Levels of the decoder, by their published kind.
    pub up_block_types: Vec<String>,
    /// Groups of every GroupNorm.
    #[serde(default = "groups")]
    pub norm_num_groups: usize,
    /// What latents are multiplied with before the U-Net sees them, and
    /// divided by before they are decoded.
    #[serde(default = "scaling")]
    pub scaling_factor: f64,
}

/// The shape of a text encoder (`CLIPTextModel` of transformers). A key that
/// is left out has the default of `CLIPTextConfig`, as the library writes
/// only what differs from it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct TextConfig {
    /// Tokens that are known.
    pub vocab_size: usize,
    /// Tokens of the longest text.
    pub max_position_embeddings: usize,
    /// Width.
    pub hidden_size: usize,
    /// Width within the feed-forward layers.
    pub intermediate_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Heads of attention.
    pub num_attention_heads: usize,
    /// Activation of the feed-forward layers.
    #[serde(deserialize_with = "activation")]
    pub hidden_act: Activation,
    /// Added to the variances of LayerNorms.
    pub layer_norm_eps: f64,
}

impl Default for TextConfig {
    fn default() -> Self {
        Self {
            vocab_size: 49_408,
            max_position_embeddings: 77,
            hidden_size: 512,
            intermediate_size: 2048,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            hidden_act: Activation::QuickGelu,
            layer_norm_eps: 1e-5,
        }
    }
}

fn side() -> usize {
    64
}

fn heads() -> usize {
    8
}

fn groups() -> usize {
    32
}

fn one() -> usize {
    1
}

fn epsilon() -> f64 {
    1e-5
}

fn scaling() -> f64 {
    0.18215
}

fn activation<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Activation, D::Error> {
    let name = String::deserialize(from)?;
    name.parse()
        .map_err(|error| de::Error::custom(format!("`hidden_act`: {error}")))
}

const SILU: Only = Only::Word(&["silu", "swish"]);

/// What a U-Net's keys may say.
pub(super) const UNET: [(&str, Only); 40] = [
    ("sample_size", Only::WholeOrNone),
    ("in_channels", Only::Whole),
    ("out_channels", Only::Whole),
    ("layers_per_block", Only::Whole),
    ("attention_head_dim", Only::Whole),
    ("cross_attention_dim", Only::Whole),
    ("norm_num_groups", Only::Whole),
    ("transformer_layers_per_block", Only::Whole),
    ("down_block_types", Only::Words(&["DownBlock2D", "CrossAttnDownBlock2D"])),
    ("up_block_types", Only::Words(&["UpBlock2D", "CrossAttnUpBlock2D"])),
    ("mid_block_type", Only::Word(&["UNetMidBlock2DCrossAttn"])),
    ("act_fn", SILU),
    ("resnet_time_scale_shift", Only::Word(&["default"])),
    ("time_embedding_type", Only::Word(&["positional"])),
    ("attention_type", Only::Word(&["default"])),
    ("freq_shift", Only::Number(0.0)),
    ("dropout", Only::Number(0.0)),
    ("downsample_padding", Only::Number(1.0)),
    ("mid_block_scale_factor", Only::Number(1.0)),
    ("resnet_out_scale_factor", Only::Number(1.0)),
    ("conv_in_kernel", Only::Number(3.0)),
    ("conv_out_kernel", Only::Number(3.0)),
    ("flip_sin_to_cos", Only::Flag(true)),
    ("center_input_sample", Only::Flag(false)),
    ("only_cross_attention", Only::Flag(false)),
    ("mid_block_only_cross_attention", Only::Flag(false)),
    ("dual_cross_attention", Only::Flag(false)),
    ("use_linear_projection", Only::Flag(false)),
    ("resnet_skip_time_act", Only::Flag(false)),
    ("class_embeddings_concat", Only::Flag(false)),
    ("num_attention_heads", Only::None),
    ("reverse_transformer_layers_per_block", Only::None),
    ("encoder_hid_dim", Only::None),
    ("class_embed_type", Only::None),
    ("num_class_embeds", Only::None),
    ("addition_embed_type", Only::None),
    ("time_embedding_dim", Only::None),
    ("time_embedding_act_fn", Only::None),
    ("time_cond_proj_dim", Only::None),
    ("cross_attention_norm", Only::None),
];

/// What a VAE's keys may say.
pub(super) const VAE: [(&str, Only); 14] = [
    ("in_channels", Only::Whole),
    ("out_channels", Only::Whole),
    ("latent_channels", Only::Whole),
    ("layers_per_block", Only::Whole),
    ("norm_num_groups", Only::Whole),
    ("down_block_types", Only::Words(&["DownEncoderBlock2D"])),
    ("up_block_types", Only::Words(&["UpDecoderBlock2D"])),
    ("act_fn", SILU),
    ("use_quant_conv", Only::Flag(true)),
    ("use_post_quant_conv", Only::Flag(true)),
    ("mid_block_add_attention", Only::Flag(true)),
    ("shift_factor", Only::None),
    ("latents_mean", Only::None),
    ("latents_std", Only::None),
];

/// What a text encoder's keys may say.
pub(super) const TEXT: [(&str, Only); 8] = [
    ("vocab_size", Only::Whole),
    ("max_position_embeddings", Only::Whole),
    ("hidden_size", Only::Whole),
    ("intermediate_size", Only::Whole),
    ("num_hidden_layers", Only::Whole),
    ("num_attention_heads", Only::Whole),
    ("attention_dropout", Only::Number(0.0)),
    ("dropout", Only::Number(0.0)),
];

/// That a size is at least 1.
fn positive(key: &str, size: usize) -> Result<(), String> {
    if size > 0 { Ok(()) } else { Err(format!("`{key}` is 0")) }
}

/// That each level's channels can be cut into `parts`.
fn divides(key: &str, parts: usize, channels: &[usize]) -> Result<(), String> {
    positive(key, parts)?;
    match channels.iter().find(|channels| !channels.is_multiple_of(parts)) {
        None => Ok(()),
        Some(channels) => Err(format!(
            "`{key}` is {parts}, which does not divide a level's {channels} \
             channels"
        )),
    }
}

/// That there are levels, none empty, and as many of each list.
fn levels(channels: &[usize], down: usize, up: usize) -> Result<(), String> {
    positive("block_out_channels", channels.len())?;
    positive(
        "block_out_channels",
        channels.iter().copied().min().unwrap_or_default(),
    )?;
    if [down, up] == [channels.len(); 2] {
        return Ok(());
    }
    Err(format!(
        "`block_out_channels` has {} levels, `down_block_types` {down} and \
         `up_block_types` {up}",
        channels.len()
    ))
}

impl UNetConfig {
    /// Levels.
    pub fn levels(&self) -> usize {
        self.block_out_channels.len()
    }

    /// What the sides of its latents must be multiples of: it halves them
    /// between two levels.
    pub fn multiple(&self) -> usize {
        1 << (self.levels() - 1)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let channels = &self.block_out_channels;
        levels(
            channels,
            self.down_block_types.len(),
            self.up_block_types.len(),
        )?;
        for (key, size) in [
            ("in_channels", self.in_channels),
            ("out_channels", self.out_channels),
            ("layers_per_block", self.layers_per_block),
            ("cross_attention_dim", self.cross_attention_dim),
            ("sample_size", self.sample_size),
            ("transformer_layers_per_block", self.transformer_layers_per_block),
        ] {
            positive(key, size)?;
        }
        divides("norm_num_groups", self.norm_num_groups, channels)?;
        divides("attention_head_dim", self.attention_head_dim, channels)?;
        // Half of the first level's channels are cosines of the time.
        if !channels[0].is_multiple_of(2) {
            return Err(format!(
                "`block_out_channels` begins with {}, an odd number",
                channels[0]
            ));
        }
        Ok(())
    }
}

impl VaeConfig {
    /// Pixels of a side of a picture that are one place of a latent.
    pub fn factor(&self) -> usize {
        1 << (self.block_out_channels.len() - 1)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let channels = &self.block_out_channels;
        levels(
            channels,
            self.down_block_types.len(),
            self.up_block_types.len(),
        )?;
        for (key, size) in [
            ("in_channels", self.in_channels),
            ("out_channels", self.out_channels),
            ("latent_channels", self.latent_channels),
            ("layers_per_block", self.layers_per_block),
        ] {
            positive(key, size)?;
        }
        if !(self.scaling_factor.is_finite() && self.scaling_factor > 0.0) {
            return Err(format!(
                "`scaling_factor` is {}, no positive number",
                self.scaling_factor
            ));
        }
        divides("norm_num_groups", self.norm_num_groups, channels)
    }
}

impl TextConfig {
    pub(super) fn check(&self) -> Result<(), String> {
        for (key, size) in [
            ("vocab_size", self.vocab_size),
            ("max_position_embeddings", self.max_position_embeddings),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
        ] {
            positive(key, size)?;
        }
        divides(
            "num_attention_heads",
            self.num_attention_heads,
            &[self.hidden_size],
        )
    }
}
