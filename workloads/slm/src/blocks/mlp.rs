//! The feed-forward layer.

use assay_kernels::{Activation, activate, gated};
use assay_kit::Parameters;
use burn::module::Module;
use burn::tensor::Tensor;

use super::projection::{Change, Projection};
use crate::config::Config;

/// `down(act(gate x) * up x)`, or `down(act(up x))` without a gate.
#[derive(Module, Debug)]
pub struct Mlp {
    gate: Option<Projection>,
    up: Projection,
    down: Projection,
    #[module(skip)]
    activation: Activation,
    squared: bool,
}

impl Mlp {
    /// The feed-forward layer of layer `layer`.
    pub(crate) fn new(
        parameters: &mut Parameters,
        config: &Config,
        layer: usize,
    ) -> Self {
        let (width, ffn) = (config.width, config.ffn_of(layer));
        let bias = config.mlp_bias;
        Self {
            gate: config
                .gated
                .then(|| Projection::new(parameters, width, ffn, bias)),
            up: Projection::new(parameters, width, ffn, bias),
            down: Projection::new(parameters, ffn, width, bias),
            activation: config.activation,
            squared: config.variation.squared_activation,
        }
    }

    /// The same with its linear layers changed.
    pub(crate) fn changed(self, change: &mut Change<'_>) -> Self {
        Self {
            gate: self.gate.map(&mut *change),
            up: change(self.up),
            down: change(self.down),
            ..self
        }
    }

    /// `[B, T, D]` to the same.
    pub(crate) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let hidden = match &self.gate {
            Some(gate) if self.squared => {
                let open = activate(gate.forward(x.clone()), self.activation);
                open.clone() * open * self.up.forward(x) // [B, T, F]
            }
            Some(gate) => {
                let open = gate.forward(x.clone()); // [B, T, F]
                gated(open, self.up.forward(x), self.activation)
            }
            None => {
                let bent = activate(self.up.forward(x), self.activation);
                if self.squared { bent.clone() * bent } else { bent }
            }
        };
        self.down.forward(hidden) // [B, T, D]
    }
}
