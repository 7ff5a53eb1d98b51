//! The LSTM of *Deep Learning for Interference Identification* (arXiv
//! 1905.08054), Table II: two layers over the sequence of frequency bins, so
//! that "time" is frequency; all hidden states of the second are classified.
//!
//! `B` batch, `L` bins, `H` hidden, `K` classes.

use assay_kit::{Linear, Lstm, Parameters};
use assay_trace::span;
use burn::module::Module;
use burn::tensor::Tensor;
use serde::Deserialize;

/// Sizes of a [`LstmNetwork`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LstmConfig {
    /// Of the two layers.
    pub hidden: [usize; 2],
    /// Adam's step size.
    pub learning_rate: f64,
}

/// The network.
#[derive(Module, Debug)]
pub struct LstmNetwork {
    /// 2 to `H1`.
    pub lstm1: Lstm,
    /// `H1` to `H2`.
    pub lstm2: Lstm,
    /// `L H2` to `K`.
    pub fc: Linear,
}

impl LstmNetwork {
    /// For examples of `length` bins.
    pub fn new(
        parameters: &mut Parameters,
        config: &LstmConfig,
        length: usize,
        classes: usize,
    ) -> Self {
        let (p, [first, second]) = (parameters, config.hidden);
        Self {
            lstm1: Lstm::new(p, 2, first),
            lstm2: Lstm::new(p, first, second),
            fc: Linear::to_be_trained(p, second * length, classes),
        }
    }

    /// `[B, L, 2]` to scores `[B, K]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<2> {
        let x = span("lstm1", || self.lstm1.forward(x)); // [B, L, H1]
        let x = span("lstm2", || self.lstm2.forward(x)); // [B, L, H2]
        span("fc", || self.fc.forward(x.flatten(1, 2))) // [B, K]
    }
}
