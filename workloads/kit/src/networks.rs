//! Layers of networks that are trained here: convolution, batch norm,
//! dropout, LSTM. Activations are channel-last, weights lie as PyTorch
//! publishes them, and start as PyTorch starts them.
//!
//! `B` batch, `H`, `W` height and width, `C` channels in, `O` out, `T` steps.

use std::collections::HashMap;

use assay_kernels::Convolution;
use burn::Tensor;
use burn::module::{Module, ModuleMapper, Param, ParamId};

use crate::Parameters;

/// Whether a forward pass trains: then units are dropped and batch norms use
/// the batch's own statistics.
pub enum Mode<'a> {
    /// Nothing is dropped, norms use their running statistics.
    Inference,
    /// Training, with its random numbers and what it saw.
    Training(&'a mut Training),
}

/// The state of a training run beside its weights.
#[derive(Debug)]
pub struct Training {
    seed: u64,
    draws: u64,
    running: HashMap<ParamId, Tensor<1>>,
}

impl Training {
    /// Before the first step; `seed` decides what is dropped.
    pub fn new(seed: u64) -> Self {
        Self { seed, draws: 0, running: HashMap::new() }
    }

    /// Moves what the last step saw into the module's running statistics.
    pub fn observe<M: Module>(&mut self, module: M) -> M {
        if self.running.is_empty() {
            return module;
        }
        module.map(&mut Replace(&mut self.running))
    }

    /// A seed that no other draw of this run has (splitmix64's increment).
    fn draw(&mut self) -> u64 {
        self.draws += 1;
        self.seed.wrapping_add(self.draws.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }
}

struct Replace<'a>(&'a mut HashMap<ParamId, Tensor<1>>);

impl ModuleMapper for Replace<'_> {
    fn map_float<const D: usize>(
        &mut self,
        param: Param<Tensor<D>>,
    ) -> Param<Tensor<D>> {
        let Some(new) = self.0.remove(&param.id) else { return param };
        param.map(|old| {
            let shape = old.shape();
            assay_trace::tracked(new.reshape(shape))
        })
    }
}

impl Mode<'_> {
    /// Drops units at `rate`, scaling the rest (Srivastava et al., 2014).
    pub fn dropout<const D: usize>(
        &mut self,
        x: Tensor<D>,
        rate: f32,
    ) -> Tensor<D> {
        match self {
            Self::Training(training) if rate > 0.0 => {
                assay_kernels::dropout(x, rate, training.draw())
            }
            Self::Training(_) | Self::Inference => x,
        }
    }

    /// Dropout for SELU units, which keeps mean and variance (Klambauer et
    /// al., 2017).
    pub fn alpha_dropout<const D: usize>(
        &mut self,
        x: Tensor<D>,
        rate: f32,
    ) -> Tensor<D> {
        match self {
            Self::Training(training) if rate > 0.0 => {
                assay_kernels::alpha_dropout(x, rate, training.draw())
            }
            Self::Training(_) | Self::Inference => x,
        }
    }
}

/// A convolution of stride 1, with bias, and with ReLU where asked.
#[derive(Module, Debug)]
pub struct Conv {
    /// `[O, C, kh, kw]`.
    pub weight: Param<Tensor<4>>,
    /// `[O]`.
    pub bias: Param<Tensor<1>>,
    padding: [usize; 2],
    relu: bool,
}

impl Conv {
    /// From `channels[0]` to `channels[1]` with a window of `kernel`.
    pub fn new(
        parameters: &mut Parameters,
        channels: [usize; 2],
        kernel: [usize; 2],
        padding: [usize; 2],
        relu: bool,
    ) -> Self {
        let [inputs, outputs] = channels;
        let [height, width] = kernel;
        let bound = ((inputs * height * width) as f32).powf(-0.5);
        Self {
            weight: parameters.within([outputs, inputs, height, width], bound),
            bias: parameters.within([outputs], bound),
            padding,
            relu,
        }
    }

    /// `[B, H, W, C]` to `[B, H', W', O]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let how = Convolution {
            padding: self.padding,
            stride: [1, 1],
            relu: self.relu,
        };
        let bias = Some(self.bias.val());
        assay_kernels::conv(x, self.weight.val(), bias, how)
    }
}

/// Batch norm over all but the last dimension (Ioffe and Szegedy, 2015), with
/// PyTorch's epsilon (1e-5) and momentum (0.1).
#[derive(Module, Debug)]
pub struct BatchNorm {
    /// Gain, `[C]`.
    pub weight: Param<Tensor<1>>,
    /// Offset, `[C]`.
    pub bias: Param<Tensor<1>>,
    /// `[C]`.
    pub running_mean: Param<Tensor<1>>,
    /// `[C]`, of the unbiased variance.
    pub running_var: Param<Tensor<1>>,
}

const EPSILON: f32 = 1e-5;
const MOMENTUM: f64 = 0.1;

impl BatchNorm {
    /// Of `channels`: gain 1, offset 0.
    pub fn new(parameters: &mut Parameters, channels: usize) -> Self {
        Self {
            weight: parameters.constant(channels, 1.0),
            bias: parameters.constant(channels, 0.0),
            running_mean: parameters.constant(channels, 0.0),
            running_var: parameters.constant(channels, 1.0),
        }
    }

    /// `[.., C]` to the same.
    pub fn forward<const D: usize>(
        &self,
        x: Tensor<D>,
        mode: &mut Mode<'_>,
    ) -> Tensor<D> {
        let (gain, offset) = (self.weight.val(), self.bias.val());
        let Mode::Training(training) = mode else {
            return assay_kernels::batch_norm_inference(
                x,
                self.running_mean.val(),
                self.running_var.val(),
                gain,
                offset,
                EPSILON,
            );
        };
        let dims = x.dims();
        let count = dims.iter().product::<usize>() / dims[D - 1].max(1);
        let unbiased = count as f64 / (count.max(2) - 1) as f64;
        let (y, mean, variance) =
            assay_kernels::batch_norm(x, gain, offset, EPSILON);
        let mut remember = |param: &Param<Tensor<1>>, seen: Tensor<1>| {
            let old = assay_trace::inner(param.val());
            let seen = assay_trace::inner(seen);
            let new = old * (1.0 - MOMENTUM) + seen * MOMENTUM;
            training.running.insert(param.id, new);
        };
        remember(&self.running_mean, mean);
        remember(&self.running_var, variance * unbiased);
        y
    }
}

/// One LSTM layer over a sequence (Hochreiter and Schmidhuber, 1997), gates in
/// PyTorch's order: input, forget, cell, output. It starts from zeros.
#[derive(Module, Debug)]
pub struct Lstm {
    /// `[4 H, I]`.
    pub weight_ih: Param<Tensor<2>>,
    /// `[4 H, H]`.
    pub weight_hh: Param<Tensor<2>>,
    /// `[4 H]`.
    pub bias_ih: Param<Tensor<1>>,
    /// `[4 H]`.
    pub bias_hh: Param<Tensor<1>>,
}

impl Lstm {
    /// From `inputs` to `hidden` units.
    pub fn new(
        parameters: &mut Parameters,
        inputs: usize,
        hidden: usize,
    ) -> Self {
        let bound = (hidden as f32).powf(-0.5);
        Self {
            weight_ih: parameters.within([4 * hidden, inputs], bound),
            weight_hh: parameters.within([4 * hidden, hidden], bound),
            bias_ih: parameters.within([4 * hidden], bound),
            bias_hh: parameters.within([4 * hidden], bound),
        }
    }

    /// `[B, T, I]` to the hidden state of every step, `[B, T, H]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let bias = self.bias_ih.val() + self.bias_hh.val();
        let gates = assay_kernels::linear(x, self.weight_ih.val(), Some(bias));
        assay_kernels::lstm(gates, self.weight_hh.val())
    }
}
