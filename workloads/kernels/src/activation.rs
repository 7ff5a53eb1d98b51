//! Activation functions, exact and fused: `y = f(x)`, and `dx = f'(x) dy`.
//!
//! `relu` is `max(x, 0)`; `gelu` is `x P(X <= x)` of the normal distribution;
//! its tanh form is `x s(2u)`, `u = sqrt(2/pi) (x + 0.044715 x^3)`, `s` the
//! sigmoid, since `(1 + tanh u) / 2 = s(2u)`; `silu` is `x s(x)`; `quick_gelu`,
//! as CLIP has it, is `x s(1.702 x)`.
//!
//! The ladder, [128, 4096] `f32`, milliseconds
//! (`examples/row_kernels_ladder.rs`; 2026-11-24, EPYC with AVX-512, one
//! worker thread, allocator set to keep its memory):
//!
//! | | gelu | gelu tanh | silu | tanh |
//! |---|---|---|---|---|
//! | stock operators | 6.5 | 13.6 | 2.9 | 8.5 |
//! | 1. one pass, vectorised ([`crate::math`]), in place | 0.79 | 0.70 | 0.61 | 0.63 |
//! | 2. the exponential's integer from its bits, not by a cast | 0.41 | 0.27 | 0.21 | 0.24 |
//! | the same, out of place | 0.54 | 0.41 | 0.27 | 0.37 |
//!
//! The last two move by half from run to run. Forward and backward together:
//! stock 15, 23, 6.4, 18; fused 1.2, 0.83, 0.67, 0.75.

use std::str::FromStr;

use burn::Tensor;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ir::{CustomOpIr, ScalarIr};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, Backend, Dispatch, TensorMetadata, backend_extension,
};
use burn::tensor::activation::{gelu, relu, sigmoid, silu, tanh};
use burn_capture::CaptureBackend;
use burn_flex::Flex;

use assay_trace::{CustomCost, Elementwise, OperatorKind};

use crate::classes::{Class, timed};
use crate::door::{contiguous, record, second_order, serves, values};
use crate::math::{self, multiversion};
use crate::rows::{TASKS, update};

/// What `quick_gelu` stretches its sigmoid by.
const QUICK: f32 = 1.702;

/// An activation function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `x P(X <= x)`, exact.
    Gelu,
    /// The tanh form of `gelu`.
    GeluTanh,
    /// `x / (1 + exp(-x))`, also called swish.
    Silu,
    /// The hyperbolic tangent.
    Tanh,
    /// `exp(x)`: no network's, but as a gate it is an operator's
    /// ([`crate::exp`] is it alone).
    Exp,
    /// `x / (1 + exp(-1.702 x))`, which is near `gelu`.
    QuickGelu,
    /// `1 / (1 + exp(-x))`: the gate of AlphaFold's attention.
    Sigmoid,
}

impl Activation {
    const ALL: [Self; 8] = [
        Self::Relu,
        Self::Gelu,
        Self::GeluTanh,
        Self::Silu,
        Self::Tanh,
        Self::Exp,
        Self::QuickGelu,
        Self::Sigmoid,
    ];

    /// Its place in the scalars of a recorded operator.
    pub(crate) fn scalar(self) -> ScalarIr {
        ScalarIr::UInt(self as u64)
    }

    /// The reverse of [`scalar`](Self::scalar).
    fn of_scalar(scalar: &ScalarIr) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.scalar() == *scalar)
    }

    fn kind(self) -> Elementwise {
        match self {
            Self::Relu => Elementwise::Relu,
            // `quick_gelu` has silu's four operations and one more.
            Self::Gelu | Self::GeluTanh | Self::QuickGelu => Elementwise::Gelu,
            Self::Silu => Elementwise::Silu,
            Self::Tanh => Elementwise::Tanh,
            Self::Exp => Elementwise::Exp,
            Self::Sigmoid => Elementwise::Sigmoid,
        }
    }
}

/// The name of no activation that this crate has.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownActivation(String);

impl std::fmt::Display for UnknownActivation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "unknown activation `{}`: expected relu, gelu, gelu_new, \
             gelu_fast, gelu_pytorch_tanh, quick_gelu, silu, swish or tanh",
            self.0
        )
    }
}

impl std::error::Error for UnknownActivation {}

impl FromStr for Activation {
    type Err = UnknownActivation;

    /// Reads a name as Hugging Face's configs write it.
    fn from_str(name: &str) -> Result<Self, UnknownActivation> {
        match name {
            "relu" => Ok(Self::Relu),
            "gelu" => Ok(Self::Gelu),
            "gelu_new" | "gelu_fast" | "gelu_pytorch_tanh" => {
                Ok(Self::GeluTanh)
            }
            "quick_gelu" => Ok(Self::QuickGelu),
            "silu" | "swish" => Ok(Self::Silu),
            "tanh" => Ok(Self::Tanh),
            _ => Err(UnknownActivation(name.to_owned())),
        }
    }
}

/// `activation(x)`, in place when nobody else holds `x`. `relu` alone is the
/// engine's own, which streams as fast.
pub fn activate<const D: usize>(
    x: Tensor<D>,
    activation: Activation,
) -> Tensor<D> {
    if activation == Activation::Relu || !serves(&x) {
        return activate_plain(x, activation);
    }
    Tensor::from_dispatch(<Dispatch as ActivationOps>::activate_all(
        x.into_dispatch(),
        activation,
    ))
}

/// The plain twin, of Burn's own operators.
pub fn activate_plain<const D: usize>(
    x: Tensor<D>,
    activation: Activation,
) -> Tensor<D> {
    match activation {
        Activation::Relu => relu(x),
        Activation::Gelu => gelu(x),
        Activation::GeluTanh => {
            let cube = x.clone().powi_scalar(3) * 0.044_715;
            let u = (x.clone() + cube) * (2.0 / std::f64::consts::PI).sqrt();
            x * 0.5 * (tanh(u) + 1.0)
        }
        Activation::Silu => silu(x),
        Activation::Tanh => tanh(x),
        Activation::Exp => x.exp(),
        Activation::QuickGelu => x.clone() * sigmoid(x * QUICK),
        Activation::Sigmoid => sigmoid(x),
    }
}

/// Activations as a backend operator: use [`activate`].
#[backend_extension(Flex, Capture, Autodiff)]
pub trait ActivationOps: Backend {
    /// `f(x)`.
    fn activate_all(
        x: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self>;
    /// `f'(x) * grad`.
    fn activate_all_backward(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self>;
}

impl ActivationOps for Flex {
    fn activate_all(
        x: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Elementwise);
        let ([y], _) = update([x], 1, TASKS, |(): &mut (), _, [x]| {
            forward(x, activation);
        });
        y
    }

    fn activate_all_backward(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Elementwise);
        let x = contiguous(x);
        let x = values(&x);
        let ([dx], _) = update([grad], 1, TASKS, |(): &mut (), first, [g]| {
            backward(&x[first..first + g.len()], g, activation);
        });
        dx
    }
}

impl ActivationOps for CaptureBackend {
    fn activate_all(
        x: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        let shape = x.shape();
        let scalars = vec![activation.scalar()];
        let [y] = record("activation", vec![x], [shape], scalars);
        y
    }

    fn activate_all_backward(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        let shape = x.shape();
        let scalars = vec![activation.scalar()];
        let inputs = vec![x, grad];
        let [dx] = record("activation_backward", inputs, [shape], scalars);
        dx
    }
}

/// The cost of this file's operators.
pub(crate) fn cost(op: &CustomOpIr) -> Option<CustomCost> {
    let (operands, reused) = match op.id.as_str() {
        "activation" => (1, 0),
        "activation_backward" => (2, 1),
        _ => return None,
    };
    let kind = OperatorKind::Elementwise {
        op: Activation::of_scalar(op.scalars.first()?)?.kind(),
        elements: op.outputs[0].shape.num_elements() as u64,
        operands,
    };
    let in_place = vec![Some(reused)];
    Some(CustomCost { in_place, ..CustomCost::plain(kind, op) })
}

#[derive(Debug)]
struct ActivationBackward;

impl<B: ActivationOps> Backward<B, 1> for ActivationBackward {
    type State = (FloatTensor<B>, Activation);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let (x, activation) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        if let [Some(parent)] = ops.parents {
            let dx = B::activate_all_backward(x, grad, activation);
            grads.register::<B>(parent.id, dx);
        }
    }
}

impl<B: ActivationOps, C: CheckpointStrategy> ActivationOps for Autodiff<B, C> {
    fn activate_all(
        x: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        match ActivationBackward
            .prepare::<C>([x.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => {
                let x = x.into_primitive();
                let y = B::activate_all(x.clone(), activation);
                prep.finish((x, activation), y)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::activate_all(x.into_primitive(), activation))
            }
        }
    }

    fn activate_all_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: Activation,
    ) -> FloatTensor<Self> {
        second_order("activation")
    }
}

/// Runs `$run` with `$f` bound to the activation as a function from `x` to
/// `(value, slope)`. One loop an activation: the choice stays outside of it.
/// What of the two is not used is not computed.
macro_rules! with_activation {
    ($activation:expr, $FMA:ident, $f:ident => $run:expr) => {
        match $activation {
            $crate::activation::Activation::Relu => {
                let $f = |x: f32| $crate::activation::relu_parts(x);
                $run
            }
            $crate::activation::Activation::Gelu => {
                let $f = |x: f32| $crate::activation::gelu_parts::<$FMA>(x);
                $run
            }
            $crate::activation::Activation::GeluTanh => {
                let $f =
                    |x: f32| $crate::activation::gelu_tanh_parts::<$FMA>(x);
                $run
            }
            $crate::activation::Activation::Silu => {
                let $f = |x: f32| $crate::activation::silu_parts::<$FMA>(x);
                $run
            }
            $crate::activation::Activation::Tanh => {
                let $f = |x: f32| $crate::activation::tanh_parts::<$FMA>(x);
                $run
            }
            $crate::activation::Activation::Exp => {
                let $f = |x: f32| $crate::activation::exp_parts::<$FMA>(x);
                $run
            }
            $crate::activation::Activation::QuickGelu => {
                let $f =
                    |x: f32| $crate::activation::quick_gelu_parts::<$FMA>(x);
                $run
            }
            $crate::activation::Activation::Sigmoid => {
                let $f = |x: f32| $crate::activation::sigmoid_parts::<$FMA>(x);
                $run
            }
        }
    };
}
pub(crate) use with_activation;

#[inline(always)]
pub(crate) fn relu_parts(x: f32) -> (f32, f32) {
    // The comparison lets NaN through, as the twin does.
    (if x < 0.0 { 0.0 } else { x }, if x > 0.0 { 1.0 } else { 0.0 })
}

#[inline(always)]
pub(crate) fn gelu_parts<const FMA: bool>(x: f32) -> (f32, f32) {
    let (below, density) = math::normal::<FMA>(x);
    (x * below, math::madd::<FMA>(x, density, below))
}

#[inline(always)]
pub(crate) fn gelu_tanh_parts<const FMA: bool>(x: f32) -> (f32, f32) {
    // 2u = 2 sqrt(2/pi) x (1 + 0.044715 x^2), and its derivative.
    const SCALE: f32 = 1.595_769;
    const CUBE: f32 = 0.044_715;
    let square = x * x;
    let (s, rest) = math::sigmoid::<FMA>(SCALE * x * (1.0 + CUBE * square));
    let slope = SCALE * (1.0 + 3.0 * CUBE * square);
    (x * s, s + x * s * rest * slope)
}

#[inline(always)]
pub(crate) fn silu_parts<const FMA: bool>(x: f32) -> (f32, f32) {
    let (s, rest) = math::sigmoid::<FMA>(x);
    (x * s, s + x * s * rest)
}

#[inline(always)]
pub(crate) fn quick_gelu_parts<const FMA: bool>(x: f32) -> (f32, f32) {
    let (s, rest) = math::sigmoid::<FMA>(QUICK * x);
    (x * s, s + QUICK * x * s * rest)
}

#[inline(always)]
pub(crate) fn sigmoid_parts<const FMA: bool>(x: f32) -> (f32, f32) {
    let (s, rest) = math::sigmoid::<FMA>(x);
    (s, s * rest)
}

#[inline(always)]
pub(crate) fn tanh_parts<const FMA: bool>(x: f32) -> (f32, f32) {
    let y = math::tanh::<FMA>(x);
    (y, 1.0 - y * y)
}

#[inline(always)]
pub(crate) fn exp_parts<const FMA: bool>(x: f32) -> (f32, f32) {
    let y = math::exp::<FMA>(x);
    (y, y)
}

multiversion! {
    fn forward(x: &mut [f32], activation: Activation) {
        with_activation!(activation, FMA, f => {
            for x in x {
                *x = f(*x).0;
            }
        });
    }
}

multiversion! {
    fn backward(x: &[f32], grad: &mut [f32], activation: Activation) {
        with_activation!(activation, FMA, f => {
            for (g, x) in grad.iter_mut().zip(x) {
                *g *= f(*x).1;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tolerance};

    use super::*;
    use crate::door::recorded;

    #[test]
    fn it_equals_its_plain_twin_forward_and_backward() {
        let device = Device::flex().autodiff();
        for activation in Activation::ALL {
            for shape in [[7, 33], [1, 1], [130, 1000]] {
                let x = Tensor::<2>::random(
                    shape,
                    Distribution::Uniform(-6.0, 6.0),
                    &device,
                )
                .require_grad();
                // Neither contiguous nor at the start of its storage.
                let part = |x: &Tensor<2>| x.clone().swap_dims(0, 1);
                let weight = Tensor::random(
                    [shape[1], shape[0]],
                    Distribution::Default,
                    &device,
                );
                let fast = activate(part(&x), activation);
                let plain = activate_plain(part(&x), activation);
                fast.to_data().assert_approx_eq::<f32>(
                    &plain.to_data(),
                    Tolerance::rel_abs(1e-6, 1e-6),
                );
                let gradient = |y: Tensor<2>| {
                    let grads = (y * weight.clone()).sum().backward();
                    x.grad(&grads).unwrap().to_data()
                };
                gradient(fast).assert_approx_eq::<f32>(
                    &gradient(plain),
                    Tolerance::rel_abs(2e-6, 2e-6),
                );
            }
        }
    }

    #[test]
    fn it_leaves_a_tensor_that_is_still_held_as_it_was() {
        let x = Tensor::<1>::from_floats([-1.0, 2.0], &Device::flex());
        let y = activate(x.clone(), Activation::Relu);
        assert_eq!(x.to_data().try_to_vec::<f32>().unwrap(), [-1.0, 2.0]);
        assert_eq!(y.to_data().try_to_vec::<f32>().unwrap(), [0.0, 2.0]);
    }

    #[test]
    fn hugging_face_names_are_read_and_others_named_in_the_error() {
        assert_eq!("gelu_new".parse(), Ok(Activation::GeluTanh));
        assert_eq!("swish".parse(), Ok(Activation::Silu));
        assert_eq!("quick_gelu".parse(), Ok(Activation::QuickGelu));
        let error = "mish".parse::<Activation>().unwrap_err().to_string();
        assert!(error.contains("`mish`") && error.contains("gelu_new"));
    }

    #[test]
    fn it_is_recorded_with_its_cost() {
        let ops = recorded(|device| {
            let x = Tensor::<2>::zeros([3, 5], device).require_grad();
            Some(activate(x, Activation::Silu).sum())
        });
        let costs: Vec<_> = ops.iter().filter_map(cost).collect();
        let kind = |operands| OperatorKind::Elementwise {
            op: Elementwise::Silu,
            elements: 15,
            operands,
        };
        assert_eq!(
            costs.iter().map(|cost| cost.kind.clone()).collect::<Vec<_>>(),
            [kind(1), kind(2)]
        );
    }
}
