//! The ResNet of both wireless papers (arXiv 1905.08054, Table II, with the
//! authors' notebooks; arXiv 1912.11896, Table II).
//!
//! A stack is a convolution of 1 without activation, a batch norm, two
//! residual units and a max pooling of 2. A unit is two convolutions of 5
//! with a batch norm each, added to its input. On the interference set both
//! convolutions of a unit have a ReLU; on modulations the second is linear
//! and the head has SELU.
//!
//! `B` batch, `L` length, `C` width, `U` units, `K` classes.

use assay_kernels::{Activation, activate, max_pool};
use assay_kit::{BatchNorm, Conv, Linear, Mode, Parameters};
use assay_trace::{span, span_at};
use burn::module::Module;
use burn::tensor::Tensor;
use serde::Deserialize;

use super::flatten;

/// Sizes of a [`ResNet`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResNetConfig {
    /// How many stacks; each halves the length.
    pub stacks: usize,
    /// Channels, `C`.
    pub width: usize,
    /// Of the units' convolutions, odd.
    pub window: usize,
    /// Of the first two dense layers, `U`.
    pub units: usize,
    /// Whether the second convolution of a unit has a ReLU.
    pub second_relu: bool,
    /// SELU in the dense layers, in place of ReLU.
    pub selu: bool,
    /// Alpha dropout after each of the first two dense layers.
    pub dropout: f32,
    /// Adam's step size.
    pub learning_rate: f64,
}

/// Two convolutions that are added to their input.
#[derive(Module, Debug)]
pub struct Unit {
    /// `C` to `C`.
    pub conv1: Conv,
    /// After its ReLU.
    pub norm1: BatchNorm,
    /// `C` to `C`.
    pub conv2: Conv,
    /// Before the addition.
    pub norm2: BatchNorm,
}

impl Unit {
    fn new(p: &mut Parameters, config: &ResNetConfig) -> Self {
        let (c, window) = (config.width, config.window);
        let mut conv =
            |relu| Conv::new(p, [c, c], [window, 1], [window / 2, 0], relu);
        let (conv1, conv2) = (conv(true), conv(config.second_relu));
        Self {
            conv1,
            norm1: BatchNorm::new(p, c),
            conv2,
            norm2: BatchNorm::new(p, c),
        }
    }

    /// `[B, L, 1, C]` to the same.
    fn forward(&self, x: Tensor<4>, mode: &mut Mode<'_>) -> Tensor<4> {
        let y = self.norm1.forward(self.conv1.forward(x.clone()), mode);
        let y = self.norm2.forward(self.conv2.forward(y), mode);
        y + x
    }
}

/// A convolution of 1, a norm, two units, a pooling.
#[derive(Module, Debug)]
pub struct Stack {
    /// Of 1, to `C` channels.
    pub conv: Conv,
    /// After it.
    pub norm: BatchNorm,
    /// Two.
    pub units: Vec<Unit>,
}

impl Stack {
    fn new(p: &mut Parameters, config: &ResNetConfig, inputs: usize) -> Self {
        let channels = [inputs, config.width];
        Self {
            conv: Conv::new(p, channels, [1, 1], [0, 0], false),
            norm: BatchNorm::new(p, config.width),
            units: (0..2).map(|_| Unit::new(p, config)).collect(),
        }
    }

    /// `[B, L, 1, C']` to `[B, L/2, 1, C]`.
    fn forward(&self, x: Tensor<4>, mode: &mut Mode<'_>) -> Tensor<4> {
        let x = span("conv", || self.norm.forward(self.conv.forward(x), mode));
        let mut x = x; // [B, L, 1, C]
        for (index, unit) in self.units.iter().enumerate() {
            x = span_at("units", index, || unit.forward(x, mode));
        }
        max_pool(x, [2, 1]) // [B, L/2, 1, C]
    }
}

/// The network.
#[derive(Module, Debug)]
pub struct ResNet {
    /// From the input on.
    pub stacks: Vec<Stack>,
    /// `C (L / 2^stacks)` to `U`.
    pub fc1: Linear,
    /// `U` to `U`.
    pub fc2: Linear,
    /// `U` to `K`.
    pub fc3: Linear,
    selu: bool,
    dropout: f32,
}

impl ResNet {
    /// For examples of `length` pairs, at least `2^stacks`.
    pub fn new(
        parameters: &mut Parameters,
        config: &ResNetConfig,
        length: usize,
        classes: usize,
    ) -> Self {
        let (p, c, units) = (parameters, config.width, config.units);
        let stacks = (0..config.stacks)
            .map(|s| Stack::new(p, config, if s == 0 { 2 } else { c }))
            .collect();
        let left = (0..config.stacks).fold(length, |length, _| length / 2);
        Self {
            stacks,
            fc1: Linear::to_be_trained(p, c * left, units),
            fc2: Linear::to_be_trained(p, units, units),
            fc3: Linear::to_be_trained(p, units, classes),
            selu: config.selu,
            dropout: config.dropout,
        }
    }

    /// `[B, L, 2]` to scores `[B, K]`.
    pub fn forward(&self, x: Tensor<3>, mode: &mut Mode<'_>) -> Tensor<2> {
        let mut x = x.unsqueeze_dim(2); // [B, L, 1, 2]
        for (index, stack) in self.stacks.iter().enumerate() {
            x = span_at("stacks", index, || stack.forward(x, mode));
        }
        let mut x = flatten(x); // [B, C L']
        for (name, layer) in [("fc1", &self.fc1), ("fc2", &self.fc2)] {
            x = span(name, || self.activate(layer.forward(x))); // [B, U]
            x = mode.alpha_dropout(x, self.dropout);
        }
        span("fc3", || self.fc3.forward(x)) // [B, K]
    }

    fn activate(&self, x: Tensor<2>) -> Tensor<2> {
        if !self.selu {
            return activate(x, Activation::Relu);
        }
        // Klambauer et al., 2017; as PyTorch rounds its constants.
        const SCALE: f64 = 1.050_700_987_355_480_5;
        const ALPHA: f64 = 1.673_263_242_354_377_2;
        let positive = x.clone().clamp_min(0.0);
        let negative = (x.clamp_max(0.0).exp() - 1.0) * ALPHA;
        (positive + negative) * SCALE
    }
}
