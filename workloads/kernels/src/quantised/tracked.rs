//! Packed weights under automatic differentiation: forward as everywhere, a
//! backward pass is refused by name.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, AutodiffBackend};

use super::{PackedShape, QuantisedOps};

/// The backward pass that there is not.
#[derive(Debug)]
struct Refused;

impl<B: QuantisedOps, const N: usize> Backward<B, N> for Refused {
    type State = ();

    fn backward(
        self,
        _: Ops<Self::State, N>,
        _: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        inference_only()
    }
}

#[expect(clippy::panic, reason = "as the engine's own fused operators do")]
fn inference_only() {
    panic!(
        "quantised_linear: packed weights serve inference only; a gradient is \
         taken on the plain twin"
    )
}

impl<B: QuantisedOps, C: CheckpointStrategy> QuantisedOps for Autodiff<B, C> {
    fn quantised_rows(
        x: FloatTensor<Self>,
        words: IntTensor<Self>,
        shape: PackedShape,
    ) -> FloatTensor<Self> {
        let prep = Backward::<B, 1>::prepare::<C>(Refused, [x.node()])
            .compute_bound()
            .stateful();
        let y = B::quantised_rows(x.into_primitive(), words, shape);
        match prep {
            OpsKind::Tracked(prep) => prep.finish((), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn quantised_rows_bias(
        x: FloatTensor<Self>,
        words: IntTensor<Self>,
        bias: FloatTensor<Self>,
        shape: PackedShape,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), bias.node()];
        let prep = Backward::<B, 2>::prepare::<C>(Refused, nodes)
            .compute_bound()
            .stateful();
        let (x, bias) = (x.into_primitive(), bias.into_primitive());
        let y = B::quantised_rows_bias(x, words, bias, shape);
        match prep {
            OpsKind::Tracked(prep) => prep.finish((), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn quantised_picked(
        words: IntTensor<Self>,
        ids: IntTensor<Self>,
        shape: PackedShape,
    ) -> FloatTensor<Self> {
        <Self as AutodiffBackend>::from_inner(B::quantised_picked(
            words, ids, shape,
        ))
    }
}
