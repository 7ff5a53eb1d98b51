//! The sum under autodiff: what is kept, and who gets a gradient.

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;

use super::{Dropped, ResidualOps};
use crate::door::second_order;

#[derive(Debug)]
struct AddBackward;

impl<B: ResidualOps> Backward<B, 2> for AddBackward {
    type State = Option<Dropped>;

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let grad = grads.consume::<B>(&ops.node);
        let [residual, update] = ops.parents;
        if let Some(parent) = residual {
            grads.register::<B>(parent.id, grad.clone());
        }
        if let Some(parent) = update {
            let dupdate = match ops.state {
                Some(dropped) => B::residual_add_all_backward(grad, dropped),
                None => grad,
            };
            grads.register::<B>(parent.id, dupdate);
        }
    }
}

#[derive(Debug)]
struct GatedAddBackward;

impl<B: ResidualOps> Backward<B, 3> for GatedAddBackward {
    /// `update`, `gate`.
    type State = (FloatTensor<B>, FloatTensor<B>, Option<Dropped>);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let (added, gate, dropped) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let [residual, update, gate_parent] = ops.parents;
        if let Some(parent) = residual {
            grads.register::<B>(parent.id, grad.clone());
        }
        if update.is_none() && gate_parent.is_none() {
            return;
        }
        let (dupdate, dgate) =
            B::residual_add_gated_backward(added, gate, grad, dropped);
        for (parent, grad) in
            [update, gate_parent].into_iter().zip([dupdate, dgate])
        {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, grad);
            }
        }
    }
}

impl<B: ResidualOps, C: CheckpointStrategy> ResidualOps for Autodiff<B, C> {
    fn residual_add_all(
        residual: FloatTensor<Self>,
        update: FloatTensor<Self>,
        dropped: Option<Dropped>,
    ) -> FloatTensor<Self> {
        let prep = AddBackward
            .prepare::<C>([residual.node(), update.node()])
            .compute_bound()
            .stateful();
        let sum = B::residual_add_all(
            residual.into_primitive(),
            update.into_primitive(),
            dropped,
        );
        match prep {
            OpsKind::Tracked(prep) => prep.finish(dropped, sum),
            OpsKind::UnTracked(prep) => prep.finish(sum),
        }
    }

    fn residual_add_gated(
        residual: FloatTensor<Self>,
        update: FloatTensor<Self>,
        gate: FloatTensor<Self>,
        dropped: Option<Dropped>,
    ) -> FloatTensor<Self> {
        let prep = GatedAddBackward
            .prepare::<C>([residual.node(), update.node(), gate.node()])
            .compute_bound()
            .stateful();
        let [residual, update, gate] =
            [residual, update, gate].map(|x| x.into_primitive());
        match prep {
            OpsKind::Tracked(prep) => {
                let state = (update.clone(), gate.clone(), dropped);
                let sum =
                    B::residual_add_gated(residual, update, gate, dropped);
                prep.finish(state, sum)
            }
            OpsKind::UnTracked(prep) => prep
                .finish(B::residual_add_gated(residual, update, gate, dropped)),
        }
    }

    fn residual_add_all_backward(
        _: FloatTensor<Self>,
        _: Dropped,
    ) -> FloatTensor<Self> {
        second_order("residual_add")
    }

    fn residual_add_gated_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: Option<Dropped>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        second_order("residual_add")
    }
}
