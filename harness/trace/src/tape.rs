//! Gradients and the way in and out of autodiff, on any device.
//!
//! The engine's `backward()`, `inner()` and `from_inner()` refuse captured
//! tensors; its primitives do not. These functions take the primitive's road
//! on the capture device and the engine's own elsewhere, so that a training
//! step is one piece of code, measured and traced.

use burn::Tensor;
use burn::backend::autodiff::grads::Gradients as CapturedGradients;
use burn::backend::{Autodiff, AutodiffBackend, DispatchDevice};
use burn::tensor::Gradients as EngineGradients;
use burn_capture::CaptureBackend;

use crate::Role;
use crate::recorder::{backward_begins, mark};

/// The capture backend with gradients.
pub(crate) type Training = Autodiff<CaptureBackend>;

/// Gradients of one backward pass.
pub enum Tape {
    /// On a device that computes.
    Engine(EngineGradients),
    /// On the capture device.
    Captured(CapturedGradients),
}

fn is_captured(device: &DispatchDevice) -> bool {
    match device {
        DispatchDevice::Capture(_) => true,
        DispatchDevice::Autodiff(inner) => is_captured(inner),
        #[allow(
            unreachable_patterns,
            clippy::wildcard_enum_match_arm,
            reason = "the other devices depend on the engine's features"
        )]
        _ => false,
    }
}

impl Tape {
    /// Runs the backward pass of a scalar loss.
    pub fn of(loss: Tensor<1>) -> Self {
        if is_captured(loss.device().as_dispatch()) {
            backward_begins();
            if let Ok(loss) = loss.clone().try_into_primitive::<Training>() {
                return Self::Captured(
                    <Training as AutodiffBackend>::backward(loss),
                );
            }
        }
        Self::Engine(loss.backward())
    }

    /// Takes a parameter's gradient out; it lives on the device without
    /// autodiff. `None` when the loss does not depend on the parameter.
    pub fn remove<const D: usize>(
        &mut self,
        parameter: &Tensor<D>,
    ) -> Option<Tensor<D>> {
        match self {
            Self::Engine(gradients) => parameter.grad_remove(gradients),
            Self::Captured(gradients) => {
                let parameter =
                    parameter.clone().try_into_primitive::<Training>().ok()?;
                let gradient = <Training as AutodiffBackend>::grad_remove(
                    &parameter, gradients,
                )?;
                let gradient =
                    Tensor::from_primitive::<CaptureBackend>(gradient);
                mark(&gradient, Role::Gradient);
                Some(gradient)
            }
        }
    }
}

/// The tensor without autodiff.
pub fn inner<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    if is_captured(tensor.device().as_dispatch())
        && let Ok(tracked) = tensor.clone().try_into_primitive::<Training>()
    {
        let plain = <Training as AutodiffBackend>::inner(tracked);
        return Tensor::from_primitive::<CaptureBackend>(plain);
    }
    tensor.inner()
}

/// The tensor as a new leaf of autodiff that gets a gradient.
pub fn tracked<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    if is_captured(tensor.device().as_dispatch())
        && let Ok(plain) = tensor.clone().try_into_primitive::<CaptureBackend>()
    {
        let tracked = <Training as AutodiffBackend>::from_inner(plain);
        return Tensor::from_primitive::<Training>(tracked).require_grad();
    }
    Tensor::from_inner(tensor).require_grad()
}
