//! Group normalisation under autodiff: what is kept, and who gets a gradient.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend};

use super::GroupNormOps;
use crate::door::second_order;

#[derive(Debug)]
struct GroupNormBackward;

impl<B: GroupNormOps> Backward<B, 3> for GroupNormBackward {
    /// `x`, gain, offset, statistics; whether SiLU follows.
    type State = ([FloatTensor<B>; 4], bool);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let ([x, gain, offset, statistics], silu) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let (dx, dgain, doffset) =
            B::group_norm_all_backward(x, gain, offset, statistics, grad, silu);
        for (parent, grad) in ops.parents.into_iter().zip([dx, dgain, doffset])
        {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, grad);
            }
        }
    }
}

impl<B: GroupNormOps, C: CheckpointStrategy> GroupNormOps for Autodiff<B, C> {
    fn group_norm_all(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        offset: FloatTensor<Self>,
        groups: usize,
        epsilon: f32,
        silu: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let prep = GroupNormBackward
            .prepare::<C>([x.node(), gain.node(), offset.node()])
            .compute_bound()
            .stateful();
        let [x, gain, offset] = [x, gain, offset].map(|x| x.into_primitive());
        let (y, statistics) = match prep {
            OpsKind::Tracked(prep) => {
                let kept = [x.clone(), gain.clone(), offset.clone()];
                let (y, statistics) =
                    B::group_norm_all(x, gain, offset, groups, epsilon, silu);
                let [x, gain, offset] = kept;
                let state = [x, gain, offset, statistics.clone()];
                (prep.finish((state, silu), y), statistics)
            }
            OpsKind::UnTracked(prep) => {
                let (y, statistics) =
                    B::group_norm_all(x, gain, offset, groups, epsilon, silu);
                (prep.finish(y), statistics)
            }
        };
        (y, Self::from_inner(statistics))
    }

    fn group_norm_all_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        second_order("group_norm")
    }
}
