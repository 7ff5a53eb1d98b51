//! The norm of a layer: root-mean-square or LayerNorm, with what single models
//! change about their gain and offset.

use assay_kernels::{layer_norm, rms_norm};
use assay_kit::Parameters;
use assay_trace::span;
use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::config::{Config, NormKind};
use crate::variation::Gain;

/// `y = (x - m) / sqrt(v + epsilon) * gain + offset` over the last dimension:
/// `m` and `v` are mean and variance for LayerNorm, 0 and the mean square for
/// RMSNorm.
#[derive(Module, Debug)]
pub struct Norm {
    weight: Option<Param<Tensor<1>>>,
    bias: Option<Param<Tensor<1>>>,
    width: usize,
    epsilon: f64,
    plus_one: bool,
    mean: bool,
}

impl Norm {
    /// The model's norm, over rows of `width`.
    pub(crate) fn new(
        parameters: &mut Parameters,
        config: &Config,
        width: usize,
    ) -> Self {
        let v = &config.variation;
        let mean = config.norm == NormKind::LayerNorm;
        let learned = v.norm_gain != Gain::None;
        let offset = mean && learned && !v.norm_without_offset;
        Self {
            weight: learned.then(|| parameters.gain(width)),
            bias: offset.then(|| parameters.offset(width)),
            width,
            epsilon: config.norm_epsilon,
            plus_one: v.norm_gain == Gain::PlusOne,
            mean,
        }
    }

    /// As [`Norm::new`], with nothing learned.
    pub(crate) fn bare(config: &Config, width: usize) -> Self {
        Self {
            weight: None,
            bias: None,
            width,
            epsilon: config.norm_epsilon,
            plus_one: false,
            mean: config.norm == NormKind::LayerNorm,
        }
    }

    /// `[.., width]` to the same.
    pub(crate) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        span("norm", || {
            let gain = match &self.weight {
                Some(weight) if self.plus_one => weight.val().add_scalar(1.0),
                Some(weight) => weight.val(),
                None => Tensor::ones([self.width], &x.device()),
            };
            let epsilon = self.epsilon as f32;
            if self.mean {
                let bias = self.bias.as_ref().map(Param::val);
                layer_norm(x, gain, bias, epsilon)
            } else {
                rms_norm(x, gain, epsilon)
            }
        })
    }
}
