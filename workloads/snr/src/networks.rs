//! The networks for modulations of *Efficient Training of Deep Classifiers for
//! Wireless Source Identification using Test SNR Estimates* (Wang, Ju, Zhang,
//! Ramjee, El Gamal, 2019; arXiv 1912.11896), Table I.
//!
//! The convolutions run along time over the two rows I and Q, with two zeros
//! at each end before each, so the length grows by two a layer. The ResNet is
//! the first paper's with other units (`assay-interference`).
//!
//! `B` batch, `L` samples, `F` filters, `U` units, `H` hidden, `K` classes.

use assay_interference::networks::{Network as Interference, ResNet, flatten};
use assay_kernels::{Activation, activate};
use assay_kit::classification::Classifier;
use assay_kit::{Conv, Linear, Lstm, Mode, Parameters};
use assay_trace::span;
use burn::module::Module;
use burn::tensor::Tensor;
use serde::Deserialize;

use crate::{Config, SnrError};

/// Sizes of a [`McCnn`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct McCnnConfig {
    /// Of the two convolutions.
    pub filters: [usize; 2],
    /// Of the first dense layer, `U`.
    pub units: usize,
    /// After each layer but the last.
    pub dropout: f32,
    /// Adam's step size.
    pub learning_rate: f64,
}

/// Sizes of a [`McCldnn`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct McCldnnConfig {
    /// Of the four convolutions.
    pub filters: [usize; 4],
    /// Of the LSTM, `H`.
    pub hidden: usize,
    /// Of the first dense layer, `U`.
    pub units: usize,
    /// After each layer but the LSTM and the last.
    pub dropout: f32,
    /// Adam's step size.
    pub learning_rate: f64,
}

/// I and Q as two rows: `[B, L, 2]` to `[B, 2, L, 1]`.
fn rows(x: Tensor<3>) -> Tensor<4> {
    x.swap_dims(1, 2).unsqueeze_dim(3)
}

/// The padding of each convolution: along time alone.
const PADDING: [usize; 2] = [0, 2];

/// Two convolutions, two dense layers.
#[derive(Module, Debug)]
pub struct McCnn {
    /// 1x3.
    pub conv1: Conv,
    /// 2x3.
    pub conv2: Conv,
    /// `F2 (L + 4)` to `U`.
    pub fc1: Linear,
    /// `U` to `K`.
    pub fc2: Linear,
    dropout: f32,
}

impl McCnn {
    fn new(
        p: &mut Parameters,
        config: &McCnnConfig,
        length: usize,
        classes: usize,
    ) -> Self {
        let [first, second] = config.filters;
        Self {
            conv1: Conv::new(p, [1, first], [1, 3], PADDING, true),
            conv2: Conv::new(p, [first, second], [2, 3], PADDING, true),
            fc1: Linear::to_be_trained(p, second * (length + 4), config.units),
            fc2: Linear::to_be_trained(p, config.units, classes),
            dropout: config.dropout,
        }
    }

    fn forward(&self, x: Tensor<3>, mode: &mut Mode<'_>) -> Tensor<2> {
        let x = rows(x); // [B, 2, L, 1]
        let x = span("conv1", || self.conv1.forward(x)); // [B, 2, L+2, F1]
        let x = mode.dropout(x, self.dropout);
        let x = span("conv2", || self.conv2.forward(x)); // [B, 1, L+4, F2]
        let x = mode.dropout(x, self.dropout);
        let x = span("fc1", || self.fc1.forward(flatten(x))); // [B, U]
        let x = mode.dropout(activate(x, Activation::Relu), self.dropout);
        span("fc2", || self.fc2.forward(x)) // [B, K]
    }
}

/// Four convolutions, an LSTM of one step, two dense layers.
#[derive(Module, Debug)]
pub struct McCldnn {
    /// 1x3.
    pub conv1: Conv,
    /// 2x3.
    pub conv2: Conv,
    /// 1x3.
    pub conv3: Conv,
    /// 1x3.
    pub conv4: Conv,
    /// `F4 (L + 12)` to `H`.
    pub lstm: Lstm,
    /// `H` to `U`.
    pub fc1: Linear,
    /// `U` to `K`.
    pub fc2: Linear,
    dropout: f32,
}

impl McCldnn {
    fn new(
        p: &mut Parameters,
        config: &McCldnnConfig,
        length: usize,
        classes: usize,
    ) -> Self {
        let [a, b, c, d] = config.filters;
        Self {
            conv1: Conv::new(p, [1, a], [1, 3], PADDING, true),
            conv2: Conv::new(p, [a, b], [2, 3], PADDING, true),
            conv3: Conv::new(p, [b, c], [1, 3], PADDING, true),
            conv4: Conv::new(p, [c, d], [1, 3], PADDING, true),
            lstm: Lstm::new(p, d * (length + 12), config.hidden),
            fc1: Linear::to_be_trained(p, config.hidden, config.units),
            fc2: Linear::to_be_trained(p, config.units, classes),
            dropout: config.dropout,
        }
    }

    fn forward(&self, x: Tensor<3>, mode: &mut Mode<'_>) -> Tensor<2> {
        let mut x = rows(x); // [B, 2, L, 1]
        for (name, conv) in [
            ("conv1", &self.conv1), // [B, 2, L+2, F1]
            ("conv2", &self.conv2), // [B, 1, L+4, F2]
            ("conv3", &self.conv3), // [B, 1, L+6, F3]
            ("conv4", &self.conv4), // [B, 1, L+8, F4]
        ] {
            x = span(name, || conv.forward(x));
            x = mode.dropout(x, self.dropout);
        }
        // A last padding that nothing convolves makes the published 11200
        // inputs of the LSTM: 80 (128 + 12).
        let [b, h, _, c] = x.dims();
        let ends = Tensor::<4>::zeros([b, h, 2, c], &x.device());
        let x = Tensor::cat(vec![ends.clone(), x, ends], 2); // [B, 1, L+12, F4]
        let x = flatten(x).unsqueeze_dim(1); // [B, 1, F4 (L+12)]
        let x = span("lstm", || self.lstm.forward(x)); // [B, 1, H]
        let x: Tensor<2> = x.flatten(1, 2); // [B, H]
        let x = span("fc1", || self.fc1.forward(x)); // [B, U]
        let x = mode.dropout(activate(x, Activation::Relu), self.dropout);
        span("fc2", || self.fc2.forward(x)) // [B, K]
    }
}

/// One of the networks.
#[derive(Module, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a run holds one network, whose weights dwarf the enum"
)]
pub enum Network {
    /// For modulations.
    McCnn(McCnn),
    /// For modulations.
    McResNet(ResNet),
    /// For modulations.
    McCldnn(McCldnn),
    /// For channels: the first paper's.
    Ci(Interference),
}

impl Network {
    /// A network for examples of `length` pairs and `classes` classes.
    ///
    /// # Errors
    /// Examples too short for the network.
    pub fn new(
        p: &mut Parameters,
        config: &Config,
        length: usize,
        classes: usize,
    ) -> Result<Self, SnrError> {
        Ok(match config {
            Config::McCnn(c) => Self::McCnn(McCnn::new(p, c, length, classes)),
            Config::McCldnn(c) => {
                Self::McCldnn(McCldnn::new(p, c, length, classes))
            }
            Config::McResNet(c) if length >> c.stacks == 0 => {
                let least = 1 << c.stacks;
                return Err(SnrError::TooShort { length, least });
            }
            Config::McResNet(c) => {
                Self::McResNet(ResNet::new(p, c, length, classes))
            }
            Config::Ci(c) => {
                Self::Ci(Interference::new(p, c, length, classes)?)
            }
        })
    }
}

impl Classifier for Network {
    fn logits(&self, x: Tensor<3>, mode: &mut Mode<'_>) -> Tensor<2> {
        match self {
            Self::McCnn(network) => network.forward(x, mode),
            Self::McResNet(network) => network.forward(x, mode),
            Self::McCldnn(network) => network.forward(x, mode),
            Self::Ci(network) => network.logits(x, mode),
        }
    }
}
