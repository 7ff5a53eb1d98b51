//! The CLDNN of *Deep Learning for Interference Identification* (arXiv
//! 1905.08054), Table II: the CNN's convolutions, a dense layer whose output
//! is cut into two steps, an LSTM over the steps, two dense layers.
//!
//! `B` batch, `L` bins, `F` filters, `T` steps, `I` width of a step, `H`
//! hidden, `U` units, `K` classes.

use assay_kernels::{Activation, activate};
use assay_kit::{Conv, Linear, Lstm, Mode, Parameters};
use assay_trace::span;
use burn::module::Module;
use burn::tensor::Tensor;
use serde::Deserialize;

use super::flatten;

/// Sizes of a [`Cldnn`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CldnnConfig {
    /// Of the two convolutions.
    pub filters: [usize; 2],
    /// Of the LSTM, `T`.
    pub steps: usize,
    /// Width of a step, `I`, and of the LSTM, `H`.
    pub hidden: [usize; 2],
    /// Of the second dense layer, `U`.
    pub units: usize,
    /// After each convolution and the second dense layer.
    pub dropout: f32,
    /// Adam's step size.
    pub learning_rate: f64,
}

/// The network.
#[derive(Module, Debug)]
pub struct Cldnn {
    /// 3x1.
    pub conv1: Conv,
    /// 3x2.
    pub conv2: Conv,
    /// `F2 (L - 4)` to `T I`, without activation.
    pub fc1: Linear,
    /// `I` to `H`.
    pub lstm: Lstm,
    /// `T H` to `U`.
    pub fc2: Linear,
    /// `U` to `K`.
    pub fc3: Linear,
    steps: usize,
    dropout: f32,
}

impl Cldnn {
    /// For examples of `length` bins, at least 5.
    pub fn new(
        parameters: &mut Parameters,
        config: &CldnnConfig,
        length: usize,
        classes: usize,
    ) -> Self {
        let p = parameters;
        let ([first, second], [width, hidden]) =
            (config.filters, config.hidden);
        let (steps, units) = (config.steps, config.units);
        let flat = second * (length - 4);
        Self {
            conv1: Conv::new(p, [1, first], [3, 1], [0, 0], true),
            conv2: Conv::new(p, [first, second], [3, 2], [0, 0], true),
            fc1: Linear::to_be_trained(p, flat, steps * width),
            lstm: Lstm::new(p, width, hidden),
            fc2: Linear::to_be_trained(p, steps * hidden, units),
            fc3: Linear::to_be_trained(p, units, classes),
            steps,
            dropout: config.dropout,
        }
    }

    /// `[B, L, 2]` to scores `[B, K]`.
    pub fn forward(&self, x: Tensor<3>, mode: &mut Mode<'_>) -> Tensor<2> {
        let [b, _, _] = x.dims();
        let x = x.unsqueeze_dim(3); // [B, L, 2, 1]
        let x = span("conv1", || self.conv1.forward(x)); // [B, L-2, 2, F1]
        let x = mode.dropout(x, self.dropout);
        let x = span("conv2", || self.conv2.forward(x)); // [B, L-4, 1, F2]
        let x = mode.dropout(x, self.dropout);
        let x = span("fc1", || self.fc1.forward(flatten(x))); // [B, T I]
        let width = x.dims()[1] / self.steps;
        let x = x.reshape([b, self.steps, width]); // [B, T, I]
        let x = span("lstm", || self.lstm.forward(x)); // [B, T, H]
        let x: Tensor<2> = x.flatten(1, 2); // [B, T H]
        let x = span("fc2", || self.fc2.forward(x)); // [B, U]
        let x = mode.dropout(activate(x, Activation::Relu), self.dropout);
        span("fc3", || self.fc3.forward(x)) // [B, K]
    }
}
