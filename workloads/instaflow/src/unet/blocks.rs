//! The levels of the U-Net: on the way down, in the middle, on the way up.

use assay_kernels::upsample;
use assay_kit::Parameters;
use assay_trace::{span, span_at};
use burn::Tensor;
use burn::module::Module;

use super::transformer::Transformer;
use crate::config::{BlockKind, UNetConfig};
use crate::layers::{Blocks, Conv, ResnetBlock};

/// What every block is given beside the picture.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    /// The embedded time, `[B, 4 C0]` or `[1, 4 C0]`.
    pub(super) time: &'a Tensor<2>,
    /// The text, `[B, S, D]`.
    pub(super) text: &'a Tensor<3>,
}

fn blocks(config: &UNetConfig) -> Blocks {
    Blocks {
        groups: config.norm_num_groups,
        epsilon: config.norm_eps,
        time: config.block_out_channels.first().map(|first| 4 * first),
    }
}

/// Residual blocks, each with a transformer after it where the level has them.
fn pairs(
    p: &mut Parameters,
    inputs: &[usize],
    outputs: usize,
    kind: BlockKind,
    config: &UNetConfig,
) -> (Vec<ResnetBlock>, Vec<Transformer>) {
    let made = |p: &mut Parameters, &inputs: &usize| {
        ResnetBlock::new(p, inputs, outputs, blocks(config))
    };
    let resnets = inputs.iter().map(|inputs| made(p, inputs)).collect();
    let attentions = match kind {
        BlockKind::Plain => Vec::new(),
        BlockKind::CrossAttention => inputs
            .iter()
            .map(|_| Transformer::new(p, outputs, config))
            .collect(),
    };
    (resnets, attentions)
}

/// The `i`-th residual block and its transformer.
fn pair(
    i: usize,
    resnets: &[ResnetBlock],
    attentions: &[Transformer],
    x: Tensor<4>,
    given: Given<'_>,
) -> Tensor<4> {
    let x = span_at("resnet", i, || resnets[i].forward(x, Some(given.time)));
    match attentions.get(i) {
        Some(transformer) => {
            span_at("attention", i, || transformer.forward(x, given.text))
        }
        None => x,
    }
}

/// A level on the way down; all but the last halve the picture.
#[derive(Module, Debug)]
pub(crate) struct DownBlock {
    resnets: Vec<ResnetBlock>,
    attentions: Vec<Transformer>,
    downsampler: Option<Conv>,
}

impl DownBlock {
    pub(super) fn new(
        p: &mut Parameters,
        level: usize,
        config: &UNetConfig,
    ) -> Self {
        let channels = &config.block_out_channels;
        let outputs = channels[level];
        let mut inputs = vec![outputs; config.layers_per_block];
        inputs[0] = channels[level.saturating_sub(1)];
        let kind = config.down_block_types[level];
        let (resnets, attentions) = pairs(p, &inputs, outputs, kind, config);
        let is_last = level + 1 == channels.len();
        let downsampler = (!is_last).then(|| Conv::halving(p, outputs, 1));
        Self { resnets, attentions, downsampler }
    }

    /// `[B, H, W, C]` to `[B, H/2, W/2, O]`; each picture on the way is laid
    /// on `skips`.
    pub(super) fn forward(
        &self,
        mut x: Tensor<4>,
        given: Given<'_>,
        skips: &mut Vec<Tensor<4>>,
    ) -> Tensor<4> {
        for i in 0..self.resnets.len() {
            x = pair(i, &self.resnets, &self.attentions, x, given);
            skips.push(x.clone());
        }
        if let Some(conv) = &self.downsampler {
            x = span("downsample", || conv.forward(x));
            skips.push(x.clone());
        }
        x
    }
}

/// The middle: two residual blocks, a transformer between them.
#[derive(Module, Debug)]
pub(crate) struct MidBlock {
    resnets: Vec<ResnetBlock>,
    attentions: Vec<Transformer>,
}

impl MidBlock {
    pub(super) fn new(p: &mut Parameters, config: &UNetConfig) -> Self {
        let channels = config.block_out_channels[config.levels() - 1];
        let blocks = blocks(config);
        Self {
            resnets: (0..2)
                .map(|_| ResnetBlock::new(p, channels, channels, blocks))
                .collect(),
            attentions: vec![Transformer::new(p, channels, config)],
        }
    }

    /// `[B, H, W, C]` to the same.
    pub(super) fn forward(
        &self,
        mut x: Tensor<4>,
        given: Given<'_>,
    ) -> Tensor<4> {
        for i in 0..self.resnets.len() {
            x = pair(i, &self.resnets, &self.attentions, x, given);
        }
        x
    }
}

/// A level on the way up; all but the finest double the picture.
#[derive(Module, Debug)]
pub(crate) struct UpBlock {
    resnets: Vec<ResnetBlock>,
    attentions: Vec<Transformer>,
    upsampler: Option<Conv>,
}

impl UpBlock {
    /// The block at `level`, 0 the finest. `skips` holds the channels of what
    /// the way down laid aside, and `channels` those that come from below.
    pub(super) fn new(
        p: &mut Parameters,
        level: usize,
        channels: usize,
        skips: &mut Vec<usize>,
        config: &UNetConfig,
    ) -> Self {
        let outputs = config.block_out_channels[level];
        let inputs: Vec<usize> = (0..=config.layers_per_block)
            .map(|i| if i == 0 { channels } else { outputs })
            .map(|below| below + skips.pop().unwrap_or_default())
            .collect();
        let kind = config.up_block_types[config.levels() - 1 - level];
        let (resnets, attentions) = pairs(p, &inputs, outputs, kind, config);
        let upsampler = (level > 0).then(|| Conv::new(p, outputs, outputs));
        Self { resnets, attentions, upsampler }
    }

    /// `[B, H, W, C]` to `[B, 2 H, 2 W, O]`; each residual block takes a
    /// picture from `skips`.
    pub(super) fn forward(
        &self,
        mut x: Tensor<4>,
        given: Given<'_>,
        skips: &mut Vec<Tensor<4>>,
    ) -> Tensor<4> {
        for i in 0..self.resnets.len() {
            if let Some(skip) = skips.pop() {
                x = Tensor::cat(vec![x, skip], 3); // [B, H, W, C + skip]
            }
            x = pair(i, &self.resnets, &self.attentions, x, given);
        }
        match &self.upsampler {
            Some(conv) => span("upsample", || conv.forward(upsample(x))),
            None => x,
        }
    }
}
