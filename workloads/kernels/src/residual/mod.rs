//! The end of every module of AlphaFold's Evoformer in one pass: gate, dropout
//! and addition (Jumper et al., *Highly accurate protein structure prediction
//! with AlphaFold*, 2021, supplement, algorithms 6 and 11 to 14; fused as in
//! Cheng et al., *FastFold*, 2022, `bias_dropout_add` and
//! `bias_ele_dropout_residual`):
//! `out = residual + f sigmoid(gate) update`, where `f` is `1 / (1 - rate)` for
//! kept elements and 0 for dropped ones. Backward, with `h = f dout`:
//! `dresidual = dout`, `dupdate = h sigmoid(gate)`,
//! `dgate = h update sigmoid(gate) (1 - sigmoid(gate))`.
//!
//! Elements of one place along an axis share their fate (section 1.11.6,
//! `DropoutRowwise` and `DropoutColumnwise`). Which are dropped is the hash of
//! [`crate::dropout`] at a place of the shared mask, so nothing is stored, and
//! the mask is the same on any number of threads.
//!
//! The steps of the kernel:
//! 1. all in one pass, over `residual` when nobody else holds it;
//! 2. the gate is read where it lies, in the rows of a merged projection;
//! 3. backward: both gradients in one pass, over the saved update and, where
//!    the residual needs none, over the gradient.

#[cfg(test)]
mod tests;
mod tracked;

use burn::Tensor;
use burn::backend::ir::{CustomOpIr, ScalarIr};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::activation::sigmoid as plain_sigmoid;
use burn_capture::CaptureBackend;
use burn_flex::{Flex, FlexTensor};

use assay_trace::{CustomCost, Elementwise, OperatorKind};

use crate::channels::ChannelRows;
use crate::classes::{Class, timed};
use crate::door::{record, serves};
use crate::dropout::{Keys, dropout_plain, kept_scale};
use crate::math::{madd, multiversion, sigmoid};
use crate::rows::{TASKS, update};

/// What happens to an update before it is added.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropped {
    /// The probability that an element is dropped.
    pub rate: f32,
    /// The mask follows from it, and from the place in the shared mask.
    pub seed: u64,
    /// Which elements share their fate.
    pub shared: Shared,
}

/// Which elements of an update [X, Y, C] share their fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shared {
    /// One mask [Y, C] for all x: AlphaFold's `DropoutRowwise`.
    Rows,
    /// One mask [X, C] for all y: `DropoutColumnwise`.
    Columns,
}

/// `residual + drop(sigmoid(gate) * update)`, [X, Y, C] each; over `residual`
/// when nobody else holds it. Without a gate its factor is 1, without
/// `dropped`, at inference, all is kept. Update and gate may be views with a
/// dense last dimension.
///
/// # Panics
/// When the rate is not in `[0, 1)`, or a mask has more than 2^32 elements.
pub fn residual_add(
    residual: Tensor<3>,
    update: Tensor<3>,
    gate: Option<Tensor<3>>,
    dropped: Option<Dropped>,
) -> Tensor<3> {
    let dropped = check(&residual, &update, gate.as_ref(), dropped);
    let served = serves(&residual) && serves(&update);
    if !(served && gate.as_ref().is_none_or(serves)) {
        return residual_add_plain(residual, update, gate, dropped);
    }
    let (residual, update) = (residual.into_dispatch(), update.into_dispatch());
    Tensor::from_dispatch(match gate {
        Some(gate) => <Dispatch as ResidualOps>::residual_add_gated(
            residual,
            update,
            gate.into_dispatch(),
            dropped,
        ),
        None => <Dispatch as ResidualOps>::residual_add_all(
            residual, update, dropped,
        ),
    })
}

/// The plain twin, of Burn's own operators.
pub fn residual_add_plain(
    residual: Tensor<3>,
    update: Tensor<3>,
    gate: Option<Tensor<3>>,
    dropped: Option<Dropped>,
) -> Tensor<3> {
    let dropped = check(&residual, &update, gate.as_ref(), dropped);
    let [x, y, channels] = update.dims();
    let mut update = match gate {
        Some(gate) => update * plain_sigmoid(gate),
        None => update,
    };
    if let Some(Dropped { rate, seed, shared }) = dropped {
        let shape = match shared {
            Shared::Rows => [1, y, channels],
            Shared::Columns => [x, 1, channels],
        };
        let ones = Tensor::ones(shape, (&update.device(), update.dtype()));
        update = update * dropout_plain(ones, rate, seed);
    }
    residual + update
}

/// None where nothing is dropped.
fn check(
    residual: &Tensor<3>,
    update: &Tensor<3>,
    gate: Option<&Tensor<3>>,
    dropped: Option<Dropped>,
) -> Option<Dropped> {
    let shape = residual.dims();
    assert_eq!(shape, update.dims(), "residual_add: the update's shape");
    if let Some(gate) = gate {
        assert_eq!(shape, gate.dims(), "residual_add: the gate's shape");
    }
    let dropped = dropped?;
    let rate = dropped.rate;
    assert!((0.0..1.0).contains(&rate), "residual_add: a rate of {rate}");
    let mask = shape[0].max(shape[1]) as u64 * shape[2] as u64;
    assert!(mask <= 1 << 32, "residual_add: a mask of {mask} elements");
    (rate > 0.0).then_some(dropped)
}

/// The sum as a backend operator: use [`residual_add`].
#[backend_extension(Flex, Capture, Autodiff)]
pub trait ResidualOps: Backend {
    /// Without a gate.
    fn residual_add_all(
        residual: FloatTensor<Self>,
        update: FloatTensor<Self>,
        dropped: Option<Dropped>,
    ) -> FloatTensor<Self>;
    /// With a gate.
    fn residual_add_gated(
        residual: FloatTensor<Self>,
        update: FloatTensor<Self>,
        gate: FloatTensor<Self>,
        dropped: Option<Dropped>,
    ) -> FloatTensor<Self>;
    /// The gradient of `update`, without a gate.
    fn residual_add_all_backward(
        grad: FloatTensor<Self>,
        dropped: Dropped,
    ) -> FloatTensor<Self>;
    /// Gradients of `update` and `gate`.
    fn residual_add_gated_backward(
        update: FloatTensor<Self>,
        gate: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        dropped: Option<Dropped>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

/// The mask of one tensor: what the elements of a row are multiplied by.
#[derive(Clone, Copy)]
struct Mask {
    keys: Keys,
    scale: f32,
    shared: Shared,
    inner: usize,
    width: usize,
}

impl Mask {
    /// Of a tensor [X, Y, C].
    fn new(dropped: Dropped, x: &FlexTensor) -> Self {
        let Dropped { rate, seed, shared } = dropped;
        let shape = x.layout().shape();
        Self {
            keys: Keys::new(seed, rate),
            scale: kept_scale(rate),
            shared,
            inner: shape[1],
            width: shape[2],
        }
    }

    /// That of row `n = x Y + y`.
    fn row(self, n: usize) -> Fates {
        let row = match self.shared {
            Shared::Rows => n % self.inner,
            Shared::Columns => n / self.inner,
        };
        let first = (row * self.width) as u32;
        Fates { keys: self.keys, scale: self.scale, first }
    }
}

/// The mask of one row, which begins at place `first` of the shared one.
#[derive(Clone, Copy)]
struct Fates {
    keys: Keys,
    scale: f32,
    first: u32,
}

impl Fates {
    /// What element `i` of the row is multiplied by.
    #[inline(always)]
    fn factor(self, i: usize) -> f32 {
        let kept = self.keys.keeps(self.first.wrapping_add(i as u32));
        if kept { self.scale } else { 0.0 }
    }
}

/// Rows of `width` elements with their numbers, the first of which begins at
/// element `first`.
fn numbered(
    block: &mut [f32],
    first: usize,
    width: usize,
) -> impl Iterator<Item = (usize, &mut [f32])> {
    (first / width..).zip(block.chunks_exact_mut(width))
}

fn add_on_flex(
    residual: FlexTensor,
    added: FlexTensor,
    gate: Option<FlexTensor>,
    dropped: Option<Dropped>,
) -> FlexTensor {
    let width = residual.shape()[2].max(1);
    let mask = dropped.map(|dropped| Mask::new(dropped, &residual));
    let (added, gate) = (ChannelRows::new(added), gate.map(ChannelRows::new));
    let (added, gate) = (added.view(), gate.as_ref().map(ChannelRows::view));
    let ([sum], _) =
        update([residual], width, TASKS, |(): &mut (), first, [x]| {
            for (n, x) in numbered(x, first, width) {
                let gate = gate.map(|gate| gate.row(n, x.len()));
                let fates = mask.map(|mask| mask.row(n));
                add_row(x, added.row(n, x.len()), gate, fates);
            }
        });
    sum
}

impl ResidualOps for Flex {
    fn residual_add_all(
        residual: FloatTensor<Self>,
        update: FloatTensor<Self>,
        dropped: Option<Dropped>,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Elementwise);
        add_on_flex(residual, update, None, dropped)
    }

    fn residual_add_gated(
        residual: FloatTensor<Self>,
        update: FloatTensor<Self>,
        gate: FloatTensor<Self>,
        dropped: Option<Dropped>,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Elementwise);
        add_on_flex(residual, update, Some(gate), dropped)
    }

    fn residual_add_all_backward(
        grad: FloatTensor<Self>,
        dropped: Dropped,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Elementwise);
        let width = grad.shape()[2].max(1);
        let mask = Mask::new(dropped, &grad);
        let ([grad], _) =
            update([grad], width, TASKS, |(): &mut (), first, [grad]| {
                for (n, grad) in numbered(grad, first, width) {
                    drop_row(grad, mask.row(n));
                }
            });
        grad
    }

    fn residual_add_gated_backward(
        added: FloatTensor<Self>,
        gate: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        dropped: Option<Dropped>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let _timed = timed(Class::Elementwise);
        let width = grad.shape()[2].max(1);
        let mask = dropped.map(|dropped| Mask::new(dropped, &grad));
        let gate = ChannelRows::new(gate);
        let gate = gate.view();
        let both = [grad, added];
        let ([dupdate, dgate], _) =
            update(both, width, TASKS, |(): &mut (), first, [grad, added]| {
                let rows = added.chunks_exact_mut(width);
                for ((n, grad), added) in numbered(grad, first, width).zip(rows)
                {
                    let fates = mask.map(|mask| mask.row(n));
                    let gate = gate.row(n, grad.len());
                    gate_row_backward(grad, added, gate, fates);
                }
            });
        (dupdate, dgate)
    }
}

/// The seed is not recorded: it changes nothing that a trace tells.
fn scalars(dropped: Option<Dropped>) -> Vec<ScalarIr> {
    let rate = dropped.map_or(0.0, |dropped| dropped.rate);
    vec![ScalarIr::Float(f64::from(rate))]
}

impl ResidualOps for CaptureBackend {
    fn residual_add_all(
        residual: FloatTensor<Self>,
        update: FloatTensor<Self>,
        dropped: Option<Dropped>,
    ) -> FloatTensor<Self> {
        let shape = residual.shape();
        let (inputs, scalars) = (vec![residual, update], scalars(dropped));
        let [sum] = record("residual_add", inputs, [shape], scalars);
        sum
    }

    fn residual_add_gated(
        residual: FloatTensor<Self>,
        update: FloatTensor<Self>,
        gate: FloatTensor<Self>,
        dropped: Option<Dropped>,
    ) -> FloatTensor<Self> {
        let shape = residual.shape();
        let inputs = vec![residual, update, gate];
        let [sum] = record("residual_add", inputs, [shape], scalars(dropped));
        sum
    }

    fn residual_add_all_backward(
        grad: FloatTensor<Self>,
        dropped: Dropped,
    ) -> FloatTensor<Self> {
        let (shape, scalars) = (grad.shape(), scalars(Some(dropped)));
        let [dupdate] =
            record("residual_add_backward", vec![grad], [shape], scalars);
        dupdate
    }

    fn residual_add_gated_backward(
        update: FloatTensor<Self>,
        gate: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        dropped: Option<Dropped>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let shapes = [update.shape(), update.shape()];
        let inputs = vec![update, gate, grad];
        let [dupdate, dgate] =
            record("residual_add_backward", inputs, shapes, scalars(dropped));
        (dupdate, dgate)
    }
}

/// The cost of this file's operators. One kind says one operation: with a gate
/// it is that of a gated unit, without one the addition or, backward, the
/// product with the mask. What comes on top, one operation an element, and the
/// hash, integer arithmetic, are not counted.
pub(crate) fn cost(op: &CustomOpIr) -> Option<CustomCost> {
    let backward = match op.id.as_str() {
        "residual_add" => false,
        "residual_add_backward" => true,
        _ => return None,
    };
    let operands = op.inputs.len() as u64;
    let (gated, in_place) = match (backward, operands) {
        (false, operands) => (operands == 3, vec![Some(0)]),
        (true, 1) => (false, vec![Some(0)]),
        (true, _) => (true, vec![Some(2), Some(0)]),
    };
    let elements = op.outputs[0].shape.num_elements() as u64;
    let kind = OperatorKind::Elementwise {
        op: match (gated, backward) {
            (true, _) => Elementwise::Gated,
            (false, false) => Elementwise::Add,
            (false, true) => Elementwise::Mul,
        },
        elements: op.outputs.len() as u64 * elements,
        operands,
    };
    Some(CustomCost { in_place, ..CustomCost::plain(kind, op) })
}

multiversion! {
    /// `x += f sigmoid(gate) update` of one row.
    fn add_row(x: &mut [f32], update: &[f32], gate: Option<&[f32]>, fates: Option<Fates>) {
        let rows = x.iter_mut().zip(update);
        match (gate, fates) {
            (None, None) => {
                for (x, update) in rows {
                    *x += update;
                }
            }
            (None, Some(fates)) => {
                for (i, (x, update)) in rows.enumerate() {
                    *x = madd::<FMA>(fates.factor(i), *update, *x);
                }
            }
            (Some(gate), None) => {
                for ((x, update), gate) in rows.zip(gate) {
                    *x = madd::<FMA>(sigmoid::<FMA>(*gate).0, *update, *x);
                }
            }
            (Some(gate), Some(fates)) => {
                for (i, ((x, update), gate)) in rows.zip(gate).enumerate() {
                    let open = fates.factor(i) * sigmoid::<FMA>(*gate).0;
                    *x = madd::<FMA>(open, *update, *x);
                }
            }
        }
    }
}

multiversion! {
    /// `x *= f` of one row.
    fn drop_row(x: &mut [f32], fates: Fates) {
        for (i, x) in x.iter_mut().enumerate() {
            *x *= fates.factor(i);
        }
    }
}

multiversion! {
    /// Turns one row of the gradient into that of the update, and the update
    /// into the gradient of the gate.
    fn gate_row_backward(grad: &mut [f32], update: &mut [f32], gate: &[f32], fates: Option<Fates>) {
        if let Some(fates) = fates {
            for (i, grad) in grad.iter_mut().enumerate() {
                *grad *= fates.factor(i);
            }
        }
        for ((grad, update), gate) in grad.iter_mut().zip(update).zip(gate) {
            let (open, closed) = sigmoid::<FMA>(*gate);
            *grad *= open;
            *update *= *grad * closed;
        }
    }
}
