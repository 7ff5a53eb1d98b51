//! Parts that the U-Net, the VAE and the text encoder share: convolutions,
//! norms, attention, and the residual block.
//!
//! `B` batch, `H`, `W` height and width, `C` channels in, `O` out, `T` tokens,
//! `D` width, `h` heads, `d` width of a head. Pictures are channel-last,
//! weights lie as PyTorch publishes them and start as PyTorch starts them; a
//! convolution of 1 x 1 is a linear layer. Fields carry the names that
//! diffusers publishes; `weights.rs` says where they differ.

use assay_kernels::{
    Convolution, attention, conv, group_norm, layer_norm, linear,
};
use assay_kit::{Linear, Parameters};
use burn::Tensor;
use burn::module::{Module, Param};

/// A linear layer as PyTorch starts it: uniform within `1 / sqrt(inputs)`.
pub(crate) fn new_linear(
    p: &mut Parameters,
    inputs: usize,
    outputs: usize,
    bias: bool,
) -> Linear {
    let bound = (inputs as f32).powf(-0.5);
    Linear {
        weight: p.within([outputs, inputs], bound),
        bias: bias.then(|| p.within([outputs], bound)),
    }
}

/// A convolution of 3 x 3.
#[derive(Module, Debug)]
pub struct Conv {
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
    padding: usize,
    stride: usize,
}

impl Conv {
    /// From `inputs` to `outputs` channels, each position as it is.
    pub(crate) fn new(
        p: &mut Parameters,
        inputs: usize,
        outputs: usize,
    ) -> Self {
        let bound = ((inputs * 9) as f32).powf(-0.5);
        Self {
            weight: p.within([outputs, inputs, 3, 3], bound),
            bias: p.within([outputs], bound),
            padding: 1,
            stride: 1,
        }
    }

    /// Of every second position, with zeros all round it, or with none: then
    /// the caller pads.
    pub(crate) fn halving(
        p: &mut Parameters,
        channels: usize,
        padding: usize,
    ) -> Self {
        let conv = Self::new(p, channels, channels);
        Self { padding, stride: 2, ..conv }
    }

    /// `[B, H, W, C]` to `[B, H', W', O]`.
    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.with_bias(x, self.bias.val())
    }

    /// The same, every position moved by `shift`: `[B, O]`, or `[1, O]` of the
    /// whole batch. That is a bias, and costs nothing.
    fn shifted(&self, x: Tensor<4>, shift: Tensor<2>) -> Tensor<4> {
        let [rows, channels] = shift.dims();
        if rows == 1 {
            let bias = self.bias.val() + shift.reshape([channels]);
            return self.with_bias(x, bias);
        }
        self.forward(x) + shift.reshape([rows, 1, 1, channels])
    }

    fn with_bias(&self, x: Tensor<4>, bias: Tensor<1>) -> Tensor<4> {
        let how = Convolution {
            padding: [self.padding; 2],
            stride: [self.stride; 2],
            relu: false,
        };
        conv(x, self.weight.val(), Some(bias), how)
    }
}

/// Norm over groups of channels of a picture (Wu and He, *Group
/// Normalization*, 2018).
#[derive(Module, Debug)]
pub struct GroupNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    groups: usize,
    epsilon: f64,
}

impl GroupNorm {
    pub(crate) fn new(
        p: &mut Parameters,
        channels: usize,
        groups: usize,
        epsilon: f64,
    ) -> Self {
        Self {
            weight: p.constant(channels, 1.0),
            bias: p.constant(channels, 0.0),
            groups,
            epsilon,
        }
    }

    /// `[B, H, W, C]` to the same.
    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.run(x, false)
    }

    /// The same with SiLU after it.
    pub(crate) fn forward_silu(&self, x: Tensor<4>) -> Tensor<4> {
        self.run(x, true)
    }

    fn run(&self, x: Tensor<4>, silu: bool) -> Tensor<4> {
        let (gain, offset) = (self.weight.val(), self.bias.val());
        group_norm(x, gain, offset, self.groups, self.epsilon as f32, silu)
    }
}

/// Norm of each token. It starts at gain 1 and offset 0, where the kit's
/// starts off them, so that a layer left out shows: this one is trained.
#[derive(Module, Debug)]
pub struct LayerNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    epsilon: f64,
}

impl LayerNorm {
    pub(crate) fn new(p: &mut Parameters, width: usize, epsilon: f64) -> Self {
        Self {
            weight: p.constant(width, 1.0),
            bias: p.constant(width, 0.0),
            epsilon,
        }
    }

    /// `[B, T, D]` to the same.
    pub(crate) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let (gain, offset) = (self.weight.val(), self.bias.val());
        layer_norm(x, gain, Some(offset), self.epsilon as f32)
    }
}

/// The shape of an [`Attention`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heads {
    /// Width of the tokens that ask.
    pub(crate) width: usize,
    /// Width of the tokens that are looked at.
    pub(crate) context: usize,
    /// Heads.
    pub(crate) heads: usize,
    /// Whether queries, keys and values have a bias; the output has one.
    pub(crate) bias: bool,
    /// Whether a token sees only itself and those before it.
    pub(crate) causal: bool,
}

/// Attention of tokens to others, or to themselves (Vaswani et al., 2017).
#[derive(Module, Debug)]
pub struct Attention {
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Linear,
    heads: usize,
    causal: bool,
}

impl Attention {
    pub(crate) fn new(p: &mut Parameters, shape: Heads) -> Self {
        let Heads { width, context, heads, bias, causal } = shape;
        Self {
            to_q: new_linear(p, width, width, bias),
            to_k: new_linear(p, context, width, bias),
            to_v: new_linear(p, context, width, bias),
            to_out: new_linear(p, width, width, true),
            heads,
            causal,
        }
    }

    /// `x` `[B, T, D]` asks, `context` `[B, S, _]` answers: `[B, T, D]`.
    pub(crate) fn forward(
        &self,
        x: Tensor<3>,
        context: Tensor<3>,
    ) -> Tensor<3> {
        let ([b, t, width], [_, s, _]) = (x.dims(), context.dims());
        let (h, d) = (self.heads, width / self.heads);
        let q = self.to_q.forward(x).reshape([b, t, h, d]); // [B, T, h, d]
        let k = self.to_k.forward(context.clone()).reshape([b, s, h, d]);
        let v = self.to_v.forward(context).reshape([b, s, h, d]);
        let scale = (d as f32).powf(-0.5);
        let mixed = attention(q, k, v, s, scale, self.causal); // [B, T, h, d]
        self.to_out.forward(mixed.reshape([b, t, width])) // [B, T, D]
    }
}

/// Two convolutions beside a shortcut (He et al., 2016, with norms before
/// them), moved by the time in between where there is one.
#[derive(Module, Debug)]
pub struct ResnetBlock {
    norm1: GroupNorm,
    conv1: Conv,
    time_emb_proj: Option<Linear>,
    norm2: GroupNorm,
    conv2: Conv,
    conv_shortcut: Option<Linear>,
}

/// What the residual blocks of a network have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blocks {
    /// Groups of the norms.
    pub(crate) groups: usize,
    /// Added to their variances.
    pub(crate) epsilon: f64,
    /// Width of the embedded time, if the network has one.
    pub(crate) time: Option<usize>,
}

impl ResnetBlock {
    pub(crate) fn new(
        p: &mut Parameters,
        inputs: usize,
        outputs: usize,
        blocks: Blocks,
    ) -> Self {
        let Blocks { groups, epsilon, time } = blocks;
        Self {
            norm1: GroupNorm::new(p, inputs, groups, epsilon),
            conv1: Conv::new(p, inputs, outputs),
            time_emb_proj: time.map(|time| new_linear(p, time, outputs, true)),
            norm2: GroupNorm::new(p, outputs, groups, epsilon),
            conv2: Conv::new(p, outputs, outputs),
            conv_shortcut: (inputs != outputs)
                .then(|| new_linear(p, inputs, outputs, true)),
        }
    }

    /// `x` `[B, H, W, C]`; `time` `[B, 4 C0]`, or `[1, 4 C0]` of the whole
    /// batch, past its SiLU: `[B, H, W, O]`.
    pub(crate) fn forward(
        &self,
        x: Tensor<4>,
        time: Option<&Tensor<2>>,
    ) -> Tensor<4> {
        let changed = self.norm1.forward_silu(x.clone()); // [B, H, W, C]
        let changed = match (&self.time_emb_proj, time) {
            (Some(project), Some(time)) => {
                let shift = project.forward(time.clone()); // [B, O]
                self.conv1.shifted(changed, shift)
            }
            _ => self.conv1.forward(changed),
        }; // [B, H, W, O]
        let changed = self.norm2.forward_silu(changed);
        let changed = self.conv2.forward(changed); // [B, H, W, O]
        let kept = match &self.conv_shortcut {
            Some(shortcut) => shortcut.forward(x),
            None => x,
        }; // [B, H, W, O]
        kept + changed
    }
}

/// Rows `first..first + count` of a layer, as a layer of their own: views, so
/// that nothing is copied before the product or after it.
pub(crate) fn rows_of(
    layer: &Linear,
    x: Tensor<3>,
    first: usize,
    count: usize,
) -> Tensor<3> {
    let weight = layer.weight.val().narrow(0, first, count);
    let bias = layer.bias.as_ref().map(|b| b.val().narrow(0, first, count));
    linear(x, weight, bias)
}
