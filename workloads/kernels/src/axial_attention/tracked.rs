//! The gradients: packed, mask and bias are kept, nothing else.

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;

use super::{Along, AxialAttentionOps};
use crate::door::second_order;

#[derive(Debug)]
struct Gated;

impl<B: AxialAttentionOps> Backward<B, 1> for Gated {
    /// `packed` and `mask`.
    type State = ([FloatTensor<B>; 2], usize, Along);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let ([packed, mask], heads, along) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        if let [Some(parent)] = ops.parents {
            let packed = B::axial_attention_gated_backward(
                packed, mask, grad, heads, along,
            );
            grads.register::<B>(parent.id, packed);
        }
    }
}

#[derive(Debug)]
struct Biased;

impl<B: AxialAttentionOps> Backward<B, 2> for Biased {
    /// `packed`, `mask` and `bias`.
    type State = ([FloatTensor<B>; 3], usize, Along);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let ([packed, mask, bias], heads, along) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let (packed, bias) = B::axial_attention_biased_backward(
            packed, mask, bias, grad, heads, along,
        );
        for (parent, grad) in ops.parents.into_iter().zip([packed, bias]) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, grad);
            }
        }
    }
}

impl<B: AxialAttentionOps, C: CheckpointStrategy> AxialAttentionOps
    for Autodiff<B, C>
{
    fn axial_attention_gated(
        packed: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        heads: usize,
        along: Along,
    ) -> FloatTensor<Self> {
        let prep =
            Gated.prepare::<C>([packed.node()]).compute_bound().stateful();
        let [packed, mask] = [packed, mask].map(|x| x.into_primitive());
        match prep {
            OpsKind::Tracked(prep) => {
                let state = [packed.clone(), mask.clone()];
                let y = B::axial_attention_gated(packed, mask, heads, along);
                prep.finish((state, heads, along), y)
            }
            OpsKind::UnTracked(prep) => prep
                .finish(B::axial_attention_gated(packed, mask, heads, along)),
        }
    }

    fn axial_attention_biased(
        packed: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        heads: usize,
        along: Along,
    ) -> FloatTensor<Self> {
        let prep = Biased
            .prepare::<C>([packed.node(), bias.node()])
            .compute_bound()
            .stateful();
        let [packed, mask, bias] =
            [packed, mask, bias].map(|x| x.into_primitive());
        match prep {
            OpsKind::Tracked(prep) => {
                let state = [packed.clone(), mask.clone(), bias.clone()];
                let y =
                    B::axial_attention_biased(packed, mask, bias, heads, along);
                prep.finish((state, heads, along), y)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::axial_attention_biased(
                packed, mask, bias, heads, along,
            )),
        }
    }

    fn axial_attention_gated_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: usize,
        _: Along,
    ) -> FloatTensor<Self> {
        second_order("axial_attention")
    }

    fn axial_attention_biased_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: usize,
        _: Along,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        second_order("axial_attention")
    }
}
