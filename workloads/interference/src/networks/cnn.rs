//! The CNN of *Deep Learning for Interference Identification* (Zhang, Seyfi,
//! Ju, Ramjee, El Gamal, Eldar, 2019; arXiv 1905.08054), Table II; with other
//! widths Schmidt, Block and Meier's (arXiv 1703.00737).
//!
//! Convolutions of 3x1 and 3x2 without padding over `[L, 2]`, two dense
//! layers. Softmax is left to the loss.
//!
//! `B` batch, `L` bins, `F` filters, `U` units, `K` classes.

use assay_kernels::Activation;
use assay_kit::{Conv, Linear, Mode, Parameters};
use assay_trace::span;
use burn::module::Module;
use burn::tensor::Tensor;
use serde::Deserialize;

use super::flatten;

/// Sizes of a [`Cnn`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CnnConfig {
    /// Of the two convolutions.
    pub filters: [usize; 2],
    /// Of the first dense layer, `U`.
    pub units: usize,
    /// Rates after the first convolution, the second, the dense layer.
    pub dropout: [f32; 3],
    /// Adam's step size.
    pub learning_rate: f64,
}

/// The network.
#[derive(Module, Debug)]
pub struct Cnn {
    /// 3x1.
    pub conv1: Conv,
    /// 3x2.
    pub conv2: Conv,
    /// `F2 (L - 4)` to `U`.
    pub fc1: Linear,
    /// `U` to `K`.
    pub fc2: Linear,
    dropout: [f32; 3],
}

impl Cnn {
    /// For examples of `length` bins, at least 5.
    pub fn new(
        parameters: &mut Parameters,
        config: &CnnConfig,
        length: usize,
        classes: usize,
    ) -> Self {
        let [first, second] = config.filters;
        let p = parameters;
        Self {
            conv1: Conv::new(p, [1, first], [3, 1], [0, 0], true),
            conv2: Conv::new(p, [first, second], [3, 2], [0, 0], true),
            fc1: Linear::to_be_trained(p, second * (length - 4), config.units),
            fc2: Linear::to_be_trained(p, config.units, classes),
            dropout: config.dropout,
        }
    }

    /// `[B, L, 2]` to scores `[B, K]`.
    pub fn forward(&self, x: Tensor<3>, mode: &mut Mode<'_>) -> Tensor<2> {
        let [after_conv1, after_conv2, after_fc1] = self.dropout;
        let x = x.unsqueeze_dim(3); // [B, L, 2, 1]
        let x = span("conv1", || self.conv1.forward(x)); // [B, L-2, 2, F1]
        let x = mode.dropout(x, after_conv1);
        let x = span("conv2", || self.conv2.forward(x)); // [B, L-4, 1, F2]
        let x = mode.dropout(x, after_conv2);
        let x = flatten(x); // [B, F2 (L-4)]
        let x = span("fc1", || self.fc1.forward(x)); // [B, U]
        let x = assay_kernels::activate(x, Activation::Relu);
        let x = mode.dropout(x, after_fc1);
        span("fc2", || self.fc2.forward(x)) // [B, K]
    }
}
