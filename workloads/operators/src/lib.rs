//! Single operators: the alphabet of the models, used by the probe and by
//! calibration.
//!
//! [`Operator`] reads a case, [`Inputs`] makes its tensors and runs it,
//! [`Operators`] is the workload, [`trace()`] its graph. Right answers come
//! from the definition in `f64` (`reference.rs`) and, in the tests, from
//! PyTorch (`goldens/`).

mod inputs;
mod operator;
mod reference;
mod session;
mod trace;
mod workload;

pub use inputs::{Inputs, Source};
pub use operator::{
    ElementwiseKind, NAMES, Operator, OperatorError, precision,
};
pub use trace::trace;
pub use workload::Operators;
