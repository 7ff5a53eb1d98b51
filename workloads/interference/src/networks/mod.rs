//! The networks of the two wireless papers that work on the interference set.
//!
//! All take `[B, L, 2]`, frequency bins with two values each, and give scores
//! `[B, K]`. Weights have the names of `goldens/README.md`.

mod cldnn;
mod cnn;
mod lstm;
mod resnet;

pub use cldnn::{Cldnn, CldnnConfig};
pub use cnn::{Cnn, CnnConfig};
pub use lstm::{LstmConfig, LstmNetwork};
pub use resnet::{ResNet, ResNetConfig};

use assay_kit::classification::Classifier;
use assay_kit::{Mode, Parameters};
use burn::module::Module;
use burn::tensor::Tensor;

use crate::{Config, InterferenceError};

/// One of the networks.
#[derive(Module, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a run holds one network, whose weights dwarf the enum"
)]
pub enum Network {
    /// Two convolutions and two dense layers.
    Cnn(Cnn),
    /// Residual stacks.
    ResNet(ResNet),
    /// Convolutions, then an LSTM.
    Cldnn(Cldnn),
    /// Two LSTM layers.
    Lstm(LstmNetwork),
}

impl Network {
    /// A network for examples of `length` pairs and `classes` classes.
    ///
    /// # Errors
    /// Examples too short for the network.
    pub fn new(
        parameters: &mut Parameters,
        config: &Config,
        length: usize,
        classes: usize,
    ) -> Result<Self, InterferenceError> {
        let least = config.shortest();
        if length < least {
            return Err(InterferenceError::TooShort { length, least });
        }
        Ok(match config {
            Config::Cnn(c) => {
                Self::Cnn(Cnn::new(parameters, c, length, classes))
            }
            Config::ResNet(c) => {
                Self::ResNet(ResNet::new(parameters, c, length, classes))
            }
            Config::Cldnn(c) => {
                Self::Cldnn(Cldnn::new(parameters, c, length, classes))
            }
            Config::Lstm(c) => {
                Self::Lstm(LstmNetwork::new(parameters, c, length, classes))
            }
        })
    }
}

impl Classifier for Network {
    fn logits(&self, x: Tensor<3>, mode: &mut Mode<'_>) -> Tensor<2> {
        match self {
            Self::Cnn(network) => network.forward(x, mode),
            Self::ResNet(network) => network.forward(x, mode),
            Self::Cldnn(network) => network.forward(x, mode),
            Self::Lstm(network) => network.forward(x),
        }
    }
}

/// Channel-last activations `[B, H, W, C]` as rows in PyTorch's order,
/// channels first: `[B, C H W]`, which the dense layer's published weights
/// expect.
pub fn flatten(x: Tensor<4>) -> Tensor<2> {
    let [b, h, w, c] = x.dims();
    x.reshape([b, h * w, c]).swap_dims(1, 2).reshape([b, c * h * w])
}
