//! Batch normalisation under autodiff: what is kept, and who gets a gradient.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, TensorMetadata};
use burn::tensor::Shape;

use super::BatchNormOps;
use crate::door::second_order;

#[derive(Debug)]
struct BatchNormBackward;

impl<B: BatchNormOps> Backward<B, 3> for BatchNormBackward {
    /// `x`, `gamma`, mean, variance; `epsilon`.
    type State = ([FloatTensor<B>; 4], f32);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let ([x, gamma, mean, variance], epsilon) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let (dx, dgamma, dbeta) = B::batch_norm_rows_backward(
            x, gamma, mean, variance, grad, epsilon,
        );
        for (parent, grad) in ops.parents.into_iter().zip([dx, dgamma, dbeta]) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, grad);
            }
        }
    }
}

impl<B: BatchNormOps, C: CheckpointStrategy> BatchNormOps for Autodiff<B, C> {
    fn batch_norm_rows(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let prep = BatchNormBackward
            .prepare::<C>([x.node(), gamma.node(), beta.node()])
            .compute_bound()
            .stateful();
        let [x, gamma, beta] = [x, gamma, beta].map(|x| x.into_primitive());
        let (y, mean, variance) = match prep {
            OpsKind::Tracked(prep) => {
                let (y, mean, variance) =
                    B::batch_norm_rows(x.clone(), gamma.clone(), beta, epsilon);
                let state = [x, gamma, mean.clone(), variance.clone()];
                (prep.finish((state, epsilon), y), mean, variance)
            }
            OpsKind::UnTracked(prep) => {
                let (y, mean, variance) =
                    B::batch_norm_rows(x, gamma, beta, epsilon);
                (prep.finish(y), mean, variance)
            }
        };
        (y, Self::from_inner(mean), Self::from_inner(variance))
    }

    fn batch_norm_rows_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        second_order("batch_norm")
    }

    fn batch_norm_apply(
        x: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        let vectors = [mean, variance, gamma, beta];
        if x.is_tracked() || vectors.iter().any(|v| v.is_tracked()) {
            let mut shape = vec![1; x.shape().num_dims()];
            shape[x.shape().num_dims() - 1] = vectors[0].shape()[0];
            let shape = Shape::from(shape);
            let [mean, variance, gamma, beta] =
                vectors.map(|v| Self::float_reshape(v, shape.clone()));
            let r = Self::float_add_scalar(variance, epsilon.into());
            let scale = Self::float_div(gamma, Self::float_sqrt(r));
            let y = Self::float_mul(Self::float_sub(x, mean), scale);
            return Self::float_add(y, beta);
        }
        let [mean, variance, gamma, beta] = vectors.map(|v| v.into_primitive());
        Self::from_inner(B::batch_norm_apply(
            x.into_primitive(),
            mean,
            variance,
            gamma,
            beta,
            epsilon,
        ))
    }
}
