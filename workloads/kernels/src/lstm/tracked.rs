//! The recurrence under autodiff: one node for all steps.

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;

use super::LstmOps;
use crate::door::second_order;

#[derive(Debug)]
struct LstmBackward;

/// What the forward pass keeps.
#[derive(Clone, Debug)]
struct Kept<F> {
    w_hh: F,
    activated: F,
    cells: F,
    /// Only for the gradient of the weight.
    hidden: Option<F>,
}

impl<B: LstmOps> Backward<B, 2> for LstmBackward {
    type State = Kept<FloatTensor<B>>;

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let Kept { w_hh, activated, cells, hidden } = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let dx = B::lstm_steps_backward(grad, w_hh, activated, cells);
        let [gates, weight] = ops.parents;
        if let (Some(weight), Some(hidden)) = (weight, hidden) {
            let dw = B::lstm_weight_backward(dx.clone(), hidden);
            grads.register::<B>(weight.id, dw);
        }
        if let Some(gates) = gates {
            grads.register::<B>(gates.id, dx);
        }
    }
}

impl<B: LstmOps, C: CheckpointStrategy> LstmOps for Autodiff<B, C> {
    fn lstm_steps(
        gates: FloatTensor<Self>,
        w_hh: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let weight_is_tracked = w_hh.is_tracked();
        let prep = LstmBackward
            .prepare::<C>([gates.node(), w_hh.node()])
            .compute_bound()
            .stateful();
        let (gates, w_hh) = (gates.into_primitive(), w_hh.into_primitive());
        match prep {
            OpsKind::Tracked(prep) => {
                let (y, activated, cells) =
                    B::lstm_steps_kept(gates, w_hh.clone());
                let hidden = weight_is_tracked.then(|| y.clone());
                prep.finish(Kept { w_hh, activated, cells, hidden }, y)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::lstm_steps(gates, w_hh)),
        }
    }

    fn lstm_steps_kept(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        second_order("lstm")
    }

    fn lstm_steps_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        second_order("lstm")
    }

    fn lstm_weight_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        second_order("lstm")
    }
}
