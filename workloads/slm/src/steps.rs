//! What each phase does: the same code measured and traced.

use assay_kernels::AdamW;
use assay_kit::Optimizer;
use assay_trace::Tape;
use burn::tensor::{Int, Tensor};

use crate::{Cache, Config, Decoder};

/// The optimizer of `train-step`: AdamW as the golden files have it.
pub const ADAMW: AdamW = AdamW {
    learning_rate: 1e-3,
    beta_1: 0.9,
    beta_2: 0.95,
    epsilon: 1e-8,
    weight_decay: 0.1,
};

/// Prefill: logits of the last position `[B, 1, V]`, and the cache that the
/// prompt left.
pub fn prefill(
    model: &Decoder,
    config: &Config,
    tokens: Tensor<2, Int>,
) -> (Tensor<3>, Cache) {
    let [b, t] = tokens.dims();
    let mut cache = Cache::of_prompt(config);
    let hidden = model.hidden(tokens, 0, Some(&mut cache)); // [B, T, D]
    let last = hidden.slice([0..b, t - 1..t]); // [B, 1, D]
    (model.logits(last), cache)
}

/// One decode step: `tokens` `[B, 1]` at position `context`, logits
/// `[B, 1, V]`.
pub fn decode(
    model: &Decoder,
    tokens: Tensor<2, Int>,
    context: usize,
    cache: &mut Cache,
) -> Tensor<3> {
    model.logits(model.hidden(tokens, context, Some(cache)))
}

/// A cache with room for `capacity` tokens that has seen `tokens` `[B, T]`,
/// and the logits of the last of them.
pub fn seen(
    model: &Decoder,
    config: &Config,
    tokens: Tensor<2, Int>,
    capacity: usize,
) -> (Tensor<3>, Cache) {
    let [b, t] = tokens.dims();
    let mut cache = Cache::with_capacity(config, b, capacity, &tokens.device());
    let hidden = model.hidden(tokens, 0, Some(&mut cache));
    (model.logits(hidden.slice([0..b, t - 1..t])), cache)
}

/// One training step: the loss, and the model after it.
pub fn train(
    model: Decoder,
    optimizer: &mut Optimizer,
    tokens: Tensor<2, Int>,
) -> (Tensor<1>, Decoder) {
    let loss = model.loss(tokens);
    let gradients = Tape::of(loss.clone());
    (assay_trace::inner(loss), optimizer.step(model, gradients))
}
