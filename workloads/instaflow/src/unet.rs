//! The velocity network: the U-Net of Stable Diffusion 1 (Rombach et al.,
//! *High-Resolution Image Synthesis with Latent Diffusion Models*, 2022;
//! `UNet2DConditionModel` of diffusers), alone or two in series.
//!
//! Changed: where all times are equal their embedding is computed once, and
//! is then part of a bias. Left out: dropout, which is 0 there.
//!
//! `B` batch, `H`, `W` sides of the latents, `C` channels, `C0` those of the
//! first level, `S` tokens of the text, `D` their width. Fields carry the
//! names that diffusers publishes; `weights.rs` says where they differ.

mod blocks;
mod time;
mod transformer;

use assay_kit::Parameters;
use assay_trace::{span, span_at};
use burn::Tensor;
use burn::module::{Module, ModuleMapper, Param};

use crate::config::UNetConfig;
use crate::layers::{Conv, GroupNorm};
use blocks::{DownBlock, Given, MidBlock, UpBlock};
use time::TimeEmbedding;

/// A U-Net, or a half of two in series, which lacks an end.
#[derive(Module, Debug)]
pub struct UNet {
    pub(crate) conv_in: Option<Conv>,
    time_embedding: TimeEmbedding,
    down_blocks: Vec<DownBlock>,
    mid_block: MidBlock,
    up_blocks: Vec<UpBlock>,
    pub(crate) conv_norm_out: Option<GroupNorm>,
    pub(crate) conv_out: Option<Conv>,
}

impl UNet {
    /// A whole U-Net.
    pub fn new(p: &mut Parameters, config: &UNetConfig) -> Self {
        Self::part(p, config, true, true)
    }

    /// With its input convolution, and its output block, or without.
    fn part(
        p: &mut Parameters,
        config: &UNetConfig,
        input: bool,
        output: bool,
    ) -> Self {
        let channels = &config.block_out_channels;
        let (first, count) = (channels[0], channels.len());
        let mut skips = vec![first];
        for (level, &width) in channels.iter().enumerate() {
            let halved = usize::from(level + 1 < count);
            let more = config.layers_per_block + halved;
            skips.extend(std::iter::repeat_n(width, more));
        }
        let conv_in = input.then(|| Conv::new(p, config.in_channels, first));
        let time_embedding = TimeEmbedding::new(p, first);
        let down_blocks =
            (0..count).map(|level| DownBlock::new(p, level, config)).collect();
        let mid_block = MidBlock::new(p, config);
        let mut below = channels[count - 1];
        let mut up_blocks = Vec::new();
        for level in (0..count).rev() {
            let block = UpBlock::new(p, level, below, &mut skips, config);
            up_blocks.push(block);
            below = channels[level];
        }
        let (groups, epsilon) = (config.norm_num_groups, config.norm_eps);
        Self {
            conv_in,
            time_embedding,
            down_blocks,
            mid_block,
            up_blocks,
            conv_norm_out: output
                .then(|| GroupNorm::new(p, first, groups, epsilon)),
            conv_out: output.then(|| Conv::new(p, first, config.out_channels)),
        }
    }

    /// Latents `[B, H, W, C]` at `times` `[B]` (0 to 1000, 1000 is noise) and
    /// text `[B, S, D]` to a velocity, or to noise: `[B, H, W, C]`.
    ///
    /// # Panics
    /// When latents, times and text differ in `B`, or a side is no multiple of
    /// [`UNetConfig::multiple`].
    pub fn forward(
        &self,
        latents: Tensor<4>,
        times: &[f32],
        text: Tensor<3>,
    ) -> Tensor<4> {
        let [b, height, width, _] = latents.dims();
        assert_eq!(times.len(), b, "unet: a time for each latent");
        assert_eq!(text.dims()[0], b, "unet: a text for each latent");
        let multiple = 1 << (self.down_blocks.len() - 1);
        assert!(
            height.is_multiple_of(multiple) && width.is_multiple_of(multiple),
            "unet: sides must be multiples of {multiple}"
        );
        let device = latents.device();
        let time = span("time_embedding", || {
            self.time_embedding.forward(times, &device)
        }); // [B, 4 C0]
        let given = Given { time: &time, text: &text };
        let mut x = match &self.conv_in {
            Some(conv) => span("conv_in", || conv.forward(latents)),
            None => latents,
        }; // [B, H, W, C0]
        let mut skips = vec![x.clone()];
        for (i, block) in self.down_blocks.iter().enumerate() {
            x = span_at("down", i, || block.forward(x, given, &mut skips));
        } // [B, H/m, W/m, C]
        x = span("mid", || self.mid_block.forward(x, given));
        for (i, block) in self.up_blocks.iter().enumerate() {
            x = span_at("up", i, || block.forward(x, given, &mut skips));
        } // [B, H, W, C0]
        match (&self.conv_norm_out, &self.conv_out) {
            (Some(norm), Some(conv)) => {
                span("out", || conv.forward(norm.forward_silu(x)))
            }
            _ => x,
        }
    }
}

/// Two U-Nets in series without shared weights (InstaFlow-1.7B). Between them
/// the output block of the first (norm, SiLU, convolution) and the input
/// convolution of the second are left out; each half embeds the time itself
/// and sees the text.
///
/// Uncertain: the weights were never released. Two notes on the paper's
/// ablation agree that only this removal ("Structure 3") keeps the quality;
/// one says that the first down block and up block of the first U-Net went
/// too. What the first hands to the second beside its last picture is not
/// known: nothing here.
#[derive(Module, Debug)]
pub struct StackedUNet {
    pub(crate) first: UNet,
    pub(crate) second: UNet,
}

/// Copies parameters into ones of their own.
struct Fresh;

impl ModuleMapper for Fresh {
    fn map_float<const D: usize>(
        &mut self,
        param: Param<Tensor<D>>,
    ) -> Param<Tensor<D>> {
        let old = param.val();
        let device = old.device();
        Param::from_tensor(Tensor::from_data(old.into_data(), &device))
    }
}

impl StackedUNet {
    /// Two halves of one shape.
    pub fn new(p: &mut Parameters, config: &UNetConfig) -> Self {
        Self {
            first: UNet::part(p, config, true, false),
            second: UNet::part(p, config, false, true),
        }
    }

    /// Both halves with the weights of `single`, each its own from then on.
    /// Not on the capture device: values are copied.
    pub fn twice(single: &UNet) -> Self {
        let first = single.clone().map(&mut Fresh);
        let second = single.clone().map(&mut Fresh);
        Self {
            first: UNet { conv_norm_out: None, conv_out: None, ..first },
            second: UNet { conv_in: None, ..second },
        }
    }

    /// As [`UNet::forward`].
    ///
    /// # Panics
    /// As [`UNet::forward`].
    pub fn forward(
        &self,
        latents: Tensor<4>,
        times: &[f32],
        text: Tensor<3>,
    ) -> Tensor<4> {
        let between =
            span("first", || self.first.forward(latents, times, text.clone())); // [B, H, W, C0]
        span("second", || self.second.forward(between, times, text))
    }
}

/// The network that says where a latent is going.
#[derive(Module, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one of it, and modules cannot be boxed"
)]
pub enum Velocity {
    /// One U-Net.
    Single(UNet),
    /// Two in series.
    Stacked(StackedUNet),
}

impl Velocity {
    /// A network of that shape.
    pub fn new(p: &mut Parameters, config: &UNetConfig, stacked: bool) -> Self {
        if stacked {
            Self::Stacked(StackedUNet::new(p, config))
        } else {
            Self::Single(UNet::new(p, config))
        }
    }

    /// As [`UNet::forward`].
    ///
    /// # Panics
    /// As [`UNet::forward`].
    pub fn forward(
        &self,
        latents: Tensor<4>,
        times: &[f32],
        text: Tensor<3>,
    ) -> Tensor<4> {
        match self {
            Self::Single(unet) => unet.forward(latents, times, text),
            Self::Stacked(unets) => unets.forward(latents, times, text),
        }
    }
}
