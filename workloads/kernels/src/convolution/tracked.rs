//! Convolution under automatic differentiation: what each gradient keeps.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, TensorMetadata};

use super::{Convolution, ConvolutionOps};
use crate::door::second_order;

/// Backward of a convolution with `N - 2` biases.
#[derive(Debug)]
struct ConvolutionBackward;

/// What the backward pass keeps: `x` for the weights' gradient, the weights for
/// the input's, `y` for the ReLU's.
#[derive(Clone, Debug)]
struct State<B: Backend> {
    x: Option<FloatTensor<B>>,
    weight: Option<FloatTensor<B>>,
    y: Option<FloatTensor<B>>,
    input: [usize; 2],
    kernel: [usize; 2],
    convolution: Convolution,
}

impl<B: ConvolutionOps, const N: usize> Backward<B, N> for ConvolutionBackward {
    type State = State<B>;

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        grads: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let state = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let y = state.y.unwrap_or_else(|| grad.clone());
        if let (Some(parent), Some(weight)) = (&ops.parents[0], state.weight) {
            let dx = B::conv_windows_backward_input(
                grad.clone(),
                y.clone(),
                weight,
                state.input,
                state.convolution,
            );
            grads.register::<B>(parent.id, dx);
        }
        let Some(x) = state.x else { return };
        let (dw, db) = B::conv_windows_backward_weight(
            grad,
            y,
            x,
            state.kernel,
            state.convolution,
        );
        if let Some(parent) = &ops.parents[1] {
            grads.register::<B>(parent.id, dw);
        }
        if let Some(Some(parent)) = ops.parents.get(2) {
            grads.register::<B>(parent.id, db);
        }
    }
}

/// `tracked`: the input, and the weights or the bias.
fn tracked_conv<B: ConvolutionOps>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: Option<FloatTensor<B>>,
    tracked: [bool; 2],
    convolution: Convolution,
) -> (State<B>, FloatTensor<B>) {
    let (x_shape, w_shape) = (x.shape(), weight.shape());
    let kept = tracked[1].then(|| x.clone());
    let kept_weight = tracked[0].then(|| weight.clone());
    let y = match bias {
        None => B::conv_windows(x, weight, convolution),
        Some(bias) => B::conv_windows_bias(x, weight, bias, convolution),
    };
    let state = State {
        x: kept,
        weight: kept_weight,
        y: convolution.relu.then(|| y.clone()),
        input: [x_shape[1], x_shape[2]],
        kernel: [w_shape[2], w_shape[3]],
        convolution,
    };
    (state, y)
}

impl<B: ConvolutionOps, C: CheckpointStrategy> ConvolutionOps
    for Autodiff<B, C>
{
    fn conv_windows(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        convolution: Convolution,
    ) -> FloatTensor<Self> {
        let tracked = [x.is_tracked(), weight.is_tracked()];
        let prep = Backward::<B, 2>::prepare::<C>(
            ConvolutionBackward,
            [x.node(), weight.node()],
        )
        .compute_bound()
        .stateful();
        let (x, weight) = (x.into_primitive(), weight.into_primitive());
        match prep {
            OpsKind::Tracked(prep) => {
                let (state, y) =
                    tracked_conv::<B>(x, weight, None, tracked, convolution);
                prep.finish(state, y)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::conv_windows(x, weight, convolution))
            }
        }
    }

    fn conv_windows_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        convolution: Convolution,
    ) -> FloatTensor<Self> {
        let tracked =
            [x.is_tracked(), weight.is_tracked() || bias.is_tracked()];
        let prep = Backward::<B, 3>::prepare::<C>(
            ConvolutionBackward,
            [x.node(), weight.node(), bias.node()],
        )
        .compute_bound()
        .stateful();
        let (x, weight) = (x.into_primitive(), weight.into_primitive());
        let bias = bias.into_primitive();
        match prep {
            OpsKind::Tracked(prep) => {
                let bias = Some(bias);
                let (state, y) =
                    tracked_conv::<B>(x, weight, bias, tracked, convolution);
                prep.finish(state, y)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::conv_windows_bias(x, weight, bias, convolution))
            }
        }
    }

    fn conv_windows_backward_input(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: [usize; 2],
        _: Convolution,
    ) -> FloatTensor<Self> {
        second_order("conv")
    }

    fn conv_windows_backward_weight(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: [usize; 2],
        _: Convolution,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        second_order("conv")
    }
}
