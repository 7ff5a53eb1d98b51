//! Layers over the kernels. Weights lie as in published files: `[out, in]`.

use burn::Tensor;
use burn::module::{Module, Param};

use crate::Parameters;

/// `y = x W^T + b`, `W` `[out, in]`.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[out, in]`.
    pub weight: Param<Tensor<2>>,
    /// `[out]`.
    pub bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// A layer from `inputs` to `outputs`, its weights of deviation
    /// `1 / sqrt(inputs)`.
    pub fn new(
        parameters: &mut Parameters,
        inputs: usize,
        outputs: usize,
        bias: bool,
    ) -> Self {
        let deviation = (inputs as f32).powf(-0.5);
        Self {
            weight: parameters.weight([outputs, inputs], deviation),
            bias: bias.then(|| parameters.offset(outputs)),
        }
    }

    /// A layer with bias as PyTorch starts it: both uniform within
    /// `1 / sqrt(inputs)`.
    pub fn to_be_trained(
        parameters: &mut Parameters,
        inputs: usize,
        outputs: usize,
    ) -> Self {
        let bound = (inputs as f32).powf(-0.5);
        Self {
            weight: parameters.within([outputs, inputs], bound),
            bias: Some(parameters.within([outputs], bound)),
        }
    }

    /// `[.., in]` to `[.., out]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let bias = self.bias.as_ref().map(Param::val);
        assay_kernels::linear(x, self.weight.val(), bias)
    }
}

/// `x / sqrt(mean(x^2) + epsilon) * gamma` over the last dimension.
#[derive(Module, Debug)]
pub struct RmsNorm {
    /// Gain, `[width]`.
    pub weight: Param<Tensor<1>>,
    epsilon: f64,
}

impl RmsNorm {
    /// A norm of rows of `width`.
    pub fn new(
        parameters: &mut Parameters,
        width: usize,
        epsilon: f64,
    ) -> Self {
        Self { weight: parameters.gain(width), epsilon }
    }

    /// `[.., width]` to the same.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        assay_kernels::rms_norm(x, self.weight.val(), self.epsilon as f32)
    }
}

/// `(x - mean) / sqrt(variance + epsilon) * gamma + beta` over the last
/// dimension.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// Gain, `[width]`.
    pub weight: Param<Tensor<1>>,
    /// Offset, `[width]`.
    pub bias: Option<Param<Tensor<1>>>,
    epsilon: f64,
}

impl LayerNorm {
    /// A norm of rows of `width`.
    pub fn new(
        parameters: &mut Parameters,
        width: usize,
        epsilon: f64,
        bias: bool,
    ) -> Self {
        Self {
            weight: parameters.gain(width),
            bias: bias.then(|| parameters.offset(width)),
            epsilon,
        }
    }

    /// `[.., width]` to the same.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let bias = self.bias.as_ref().map(Param::val);
        assay_kernels::layer_norm(
            x,
            self.weight.val(),
            bias,
            self.epsilon as f32,
        )
    }
}
