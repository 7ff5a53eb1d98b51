//! What the parts of the Evoformer share: its rates, its norm, and layers that
//! are one product.

use assay_kit::{LayerNorm, Linear, Parameters};
use burn::Tensor;

/// Dropout of the MSA and of the pair representation (algorithm 6).
pub(crate) const MSA_DROPOUT: f32 = 0.15;
pub(crate) const PAIR_DROPOUT: f32 = 0.25;
/// Of every LayerNorm.
pub(crate) const EPSILON: f64 = 1e-5;

pub(crate) fn layer_norm(p: &mut Parameters, width: usize) -> LayerNorm {
    LayerNorm::new(p, width, EPSILON, true)
}

/// Several layers of one input as one product: their weights and biases, one
/// under the other. A layer without bias gets one of zero.
pub(crate) fn merged(layers: &[&Linear]) -> (Tensor<2>, Tensor<1>) {
    let bias = |layer: &&Linear| match &layer.bias {
        Some(bias) => bias.val(),
        None => {
            let weight = layer.weight.val();
            Tensor::zeros([weight.dims()[0]], &weight.device())
        }
    };
    let weights = layers.iter().map(|layer| layer.weight.val()).collect();
    let biases = layers.iter().map(bias).collect();
    (Tensor::cat(weights, 0), Tensor::cat(biases, 0))
}
