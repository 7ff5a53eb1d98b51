//! What each phase does: the same code measured and traced.

use burn::Tensor;

use crate::evoformer::{EvoformerBlock, Masks};
use crate::pass::Pass;

/// The scalar whose gradients `block-train` takes: the means of both outputs,
/// so that the loss itself costs next to nothing. Inputs are tracked: in a
/// stack their gradients go on to the block below.
pub(crate) fn block_loss(
    block: &EvoformerBlock,
    m: Tensor<3>,
    z: Tensor<3>,
    masks: &Masks,
    pass: &mut Pass,
) -> Tensor<1> {
    let (m, z) = block.forward(m, z, masks, pass, &mut |_, _| {});
    m.mean() + z.mean()
}
