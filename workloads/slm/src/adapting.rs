//! A decoder with low-rank adapters (LoRA; Hu et al., arXiv 2106.09685): the
//! layers are in `blocks/projection.rs`, here is which of them are adapted.
//!
//! All linear layers of the blocks are: queries, keys, values and output of
//! attention, gate, up and down of the feed-forward layer (and their likes in
//! latent attention and in a recurrence). Table, head, norms, positions and
//! biases are frozen with the base. The paper adapts attention alone (section
//! 4.2); that all linear layers are needed to match full fine-tuning is found
//! by Dettmers et al., *QLoRA*, arXiv 2305.14314, section 4.

use assay_kit::Parameters;
use burn::module::Module;

use crate::Decoder;

impl Decoder {
    /// The model frozen, with adapters of `rank` in the linear layers of its
    /// blocks, `y = W x + b + (alpha / rank) B A x`. `parameters` makes the
    /// adapters, on the device that the model is on; its answers are the
    /// base's until they are trained. Adapters that it had are merged first. A
    /// rank of 0 adapts nothing: the model is frozen only.
    ///
    /// Their paths are those of the layer with `lora_a` and `lora_b` in place
    /// of `weight`; all others are as before.
    pub fn adapted(
        self,
        parameters: &mut Parameters,
        rank: usize,
        alpha: f64,
    ) -> Self {
        let frozen = self.no_grad();
        if rank == 0 {
            return frozen;
        }
        let scale = (alpha / rank as f64) as f32;
        frozen.with_blocks_changed(&mut |layer| {
            layer.adapted(parameters, rank, scale)
        })
    }

    /// The model with its adapters added to the weights: dense, as fast as the
    /// base, and with all of it trainable again.
    pub fn merged(self) -> Self {
        let dense = self.with_blocks_changed(&mut |layer| layer.merged());
        dense.set_require_grad(true)
    }
}
