//! Fast CPU kernels behind Burn's extension door, each with its plain twin,
//! its backward and its cost.
//!
//! One file a kernel. A kernel is a function on Burn tensors that serves `f32`
//! on Flex and the capture device, and falls back to its plain twin
//! everywhere else; equality with the twin is tested, forward and backward.
//! Under capture it is recorded as one custom operator whose cost [`cost`]
//! declares, so that a trace knows its arithmetic and traffic.

#![cfg_attr(
    test,
    allow(
        clippy::float_cmp,
        reason = "tests compare values that are exact by construction"
    )
)]

mod activation;
mod adamw;
mod attention;
mod axial_attention;
mod batch_norm;
mod biased_softmax;
mod cache;
mod channels;
mod classes;
mod columns;
mod convolution;
mod cross_entropy;
mod door;
mod dropout;
mod elementwise;
mod embedding;
mod gated;
mod gated_planes;
mod group_norm;
mod layer_norm;
mod linear;
mod lstm;
mod math;
mod matmul;
mod micro;
mod outer_product;
mod plane_norm;
mod pool;
mod product;
mod quantised;
mod residual;
mod rms_norm;
mod rotary;
mod rows;
mod share;
mod softmax;
mod stream;
mod thin;
mod upsample;

pub use activation::{
    Activation, ActivationOps, UnknownActivation, activate, activate_plain,
};
pub use adamw::{AdamW, AdamWOps, adamw, adamw_plain};
pub use attention::{AttentionOps, attention, attention_plain};
pub use axial_attention::{
    Along, AxialAttentionOps, axial_attention, axial_attention_plain,
};
pub use batch_norm::{
    BatchNormOps, batch_norm, batch_norm_inference, batch_norm_inference_plain,
    batch_norm_plain,
};
pub use biased_softmax::{
    BiasedSoftmaxOps, biased_softmax, biased_softmax_plain,
};
pub use cache::{CacheOps, cache_write, cache_write_plain};
pub use classes::{Class, ClassTimes, with_class_times};
pub use convolution::{Convolution, ConvolutionOps, conv, conv_plain};
pub use cross_entropy::{CrossEntropyOps, cross_entropy, cross_entropy_plain};
pub use door::with_plain_twins;
pub use dropout::{
    DropoutOps, alpha_dropout, alpha_dropout_plain, dropout, dropout_plain,
};
pub use elementwise::{
    ElementwiseOps, exp, exp_plain, pow, pow_plain, pow_scalar,
    pow_scalar_plain,
};
pub use embedding::{EmbeddingOps, embedding, embedding_plain};
pub use gated::{GatedOps, gated, gated_plain};
pub use gated_planes::{GatedPlanesOps, gated_planes, gated_planes_plain};
pub use group_norm::{GroupNormOps, group_norm, group_norm_plain};
pub use layer_norm::{LayerNormOps, layer_norm, layer_norm_plain};
pub use linear::{LinearOps, linear, linear_plain};
pub use lstm::{LstmOps, lstm, lstm_plain};
pub use matmul::{MatmulOps, matmul, matmul_plain};
pub use outer_product::{
    OuterProductOps, outer_product_mean, outer_product_mean_plain,
};
pub use plane_norm::{PlaneNormOps, plane_norm, plane_norm_plain};
pub use pool::{PoolOps, max_pool, max_pool_plain};
pub use quantised::{
    PackedShape, PackedWeight, QuantisedOps, WeightFormat, quantised_embedding,
    quantised_embedding_plain, quantised_linear, quantised_linear_plain,
};
pub use residual::{
    Dropped, ResidualOps, Shared, residual_add, residual_add_plain,
};
pub use rms_norm::{RmsNormOps, rms_norm, rms_norm_plain};
pub use rotary::{Rotary, RotaryOps, rotary, rotary_plain};
pub use softmax::{SoftmaxOps, softmax, softmax_plain};
pub use stream::{stream_sum, stream_sum_parallel};
pub use upsample::{UpsampleOps, upsample, upsample_plain};

use assay_trace::CustomCost;
use burn::backend::ir::CustomOpIr;

/// The cost of each operator that this crate records, `None` for others.
pub fn cost(op: &CustomOpIr) -> Option<CustomCost> {
    [
        activation::cost,
        adamw::cost,
        attention::cost,
        axial_attention::cost,
        batch_norm::cost,
        biased_softmax::cost,
        cache::cost,
        convolution::cost,
        cross_entropy::cost,
        dropout::cost,
        elementwise::cost,
        embedding::cost,
        gated::cost,
        gated_planes::cost,
        group_norm::cost,
        layer_norm::cost,
        linear::cost,
        lstm::cost,
        matmul::cost,
        outer_product::cost,
        plane_norm::cost,
        pool::cost,
        quantised::cost,
        residual::cost,
        rms_norm::cost,
        rotary::cost,
        softmax::cost,
        upsample::cost,
    ]
    .iter()
    .find_map(|cost| cost(op))
}
