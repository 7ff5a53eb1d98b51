//! A classifier, and one step of its training: measured and traced.

use assay_trace::Tape;
use burn::module::Module;
use burn::tensor::{Int, Tensor};

use crate::{Mode, Optimizer, Training};

/// A network that classifies sequences of pairs.
pub trait Classifier: Module {
    /// `[B, L, 2]` to scores, `[B, classes]`.
    fn logits(&self, x: Tensor<3>, mode: &mut Mode<'_>) -> Tensor<2>;
}

/// Forward, cross entropy, backward, optimizer: the loss and the model after
/// it. `x` `[B, L, 2]`, `class` `[B]`.
///
/// The papers say categorical cross-entropy; the first one's code takes
/// binary cross-entropy of the softmax, which is not followed.
pub fn training_step<M: Classifier>(
    model: M,
    optimizer: &mut Optimizer,
    training: &mut Training,
    x: Tensor<3>,
    class: Tensor<1, Int>,
) -> (Tensor<1>, M) {
    let logits = model.logits(x, &mut Mode::Training(training));
    let loss = assay_kernels::cross_entropy(logits, class);
    let gradients = Tape::of(loss.clone());
    let model = optimizer.step(model, gradients);
    (assay_trace::inner(loss), training.observe(model))
}
