//! What a training step does: the same code measured and traced.

use assay_kernels::AdamW;
use assay_kit::Optimizer;
use assay_trace::{Tape, inner};
use burn::tensor::Tensor;

use crate::examples::Examples;
use crate::model::VisionLanguage;

/// The optimizer of `train-step`: the paper's learning rate (facts: 1e-6,
/// constant), PyTorch's other constants, no decay: the paper states none.
pub const ADAMW: AdamW = AdamW {
    learning_rate: 1e-6,
    beta_1: 0.9,
    beta_2: 0.999,
    epsilon: 1e-8,
    weight_decay: 0.0,
};

/// One training step on replies: the loss `[1]`, off the tape, and the model
/// after it.
pub fn train(
    model: VisionLanguage,
    optimizer: &mut Optimizer,
    examples: &Examples,
) -> (Tensor<1>, VisionLanguage) {
    let loss = model.loss(examples);
    let gradients = Tape::of(loss.clone());
    (inner(loss), optimizer.step(model, gradients))
}
