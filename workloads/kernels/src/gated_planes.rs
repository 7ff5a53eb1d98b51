//! The two factors of AlphaFold's triangle multiplication, from one merged
//! projection to gated planes of channels (Jumper et al., *Highly accurate
//! protein structure prediction with AlphaFold*, 2021, supplement, algorithms
//! 11 and 12, line 2; merged as in Cheng et al., *FastFold*, 2022):
//! `out[s c + k, i, j] = mask[i, j] sigmoid(g) p`, where `p` is channel
//! `2 s c + k` of `packed[i, j]` and `g` channel `(2 s + 1) c + k`.
//!
//! Planes are what the products over `k` of `a[i, k] b[j, k]`, one a channel,
//! need. With `w = mask dout`: `dp = w sigmoid(g)`,
//! `dg = w p sigmoid(g) (1 - sigmoid(g))`.
//!
//! The steps of the kernel:
//! 1. projection, gate and mask in one pass over the packed rows, whose other
//!    channels are not touched; rows to come are asked for ahead of time;
//! 2. a tile of gated rows stays in L2 and is turned from there to planes
//!    ([`crate::channels`]);
//! 3. backward: a tile of the planes' gradient is turned to rows first, then
//!    every packed row is written once, the channels of others as zeros.
//!
//! [256, 256, 640] `f32` with 128 channels, milliseconds, twin and kernel
//! (`examples/evoformer_ladder.rs`; 2026-11-28, 2 cores of an EPYC with
//! AVX-512, shared with other programs, load 3 to 4: to be measured again):
//! 206 and 33, where a pass of an engine's operator over as many bytes took 9;
//! forward and backward 1065 and 100, of which 43 are not the kernel's.

use std::mem::MaybeUninit;

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
use burn::tensor::Shape;
use burn::tensor::activation::sigmoid as plain_sigmoid;
use burn_capture::CaptureBackend;
use burn_flex::Flex;

use assay_trace::{CustomCost, Elementwise, OperatorKind};

use crate::channels::{
    ChannelRows, Planes, TILE, rows_a_task, share_rows, tile_bytes, tiles,
    to_planes,
};
use crate::classes::{Class, timed};
use crate::door::{contiguous, record, second_order, serves, tensor, values};
use crate::math::{multiversion, sigmoid};
use crate::rows::{fill, written};
use crate::share::{Parts, share_parts};

/// `mask * sigmoid(gate) * projection` with channels outermost,
/// [sides c, I, J]: `packed` [I, J, P], whose first `2 sides c` channels are
/// each side's projection and its gate, `c = channels` wide; `mask` [I, J].
///
/// With two `sides` both planes, the left side's first; with one its own.
/// `packed` may be a view with a dense last dimension. `mask` gets no
/// gradient; that of `packed` is zero in the channels beyond.
pub fn gated_planes(
    packed: Tensor<3>,
    mask: Tensor<2>,
    channels: usize,
    sides: usize,
) -> Tensor<3> {
    let [i, j, width] = packed.dims();
    assert_eq!(mask.dims(), [i, j], "gated_planes: mask's shape");
    let planes = sides * channels;
    assert!(planes > 0, "gated_planes: no channels");
    assert!(2 * planes <= width, "gated_planes: {width} channels packed");
    if !(serves(&packed) && serves(&mask)) {
        return gated_planes_plain(packed, mask, channels, sides);
    }
    Tensor::from_dispatch(<Dispatch as GatedPlanesOps>::gated_planes_all(
        packed.into_dispatch(),
        mask.into_dispatch(),
        channels,
        sides,
    ))
}

/// The plain twin, of Burn's own operators.
pub fn gated_planes_plain(
    packed: Tensor<3>,
    mask: Tensor<2>,
    channels: usize,
    sides: usize,
) -> Tensor<3> {
    let part = |at| packed.clone().narrow(2, at * channels, channels);
    let mask = mask.unsqueeze_dim::<3>(2); // [I, J, 1]
    let side = |s| mask.clone() * plain_sigmoid(part(2 * s + 1)) * part(2 * s);
    let rows = Tensor::cat((0..sides).map(side).collect(), 2);
    rows.permute([2, 0, 1])
}

/// Gated planes as a backend operator: use [`gated_planes`].
#[backend_extension(Flex, Capture, Autodiff)]
pub trait GatedPlanesOps: Backend {
    /// See [`gated_planes`].
    fn gated_planes_all(
        packed: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        channels: usize,
        sides: usize,
    ) -> FloatTensor<Self>;
    /// The gradient of `packed`, from that of the planes.
    fn gated_planes_all_backward(
        packed: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        channels: usize,
    ) -> FloatTensor<Self>;
}

impl GatedPlanesOps for Flex {
    fn gated_planes_all(
        packed: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        channels: usize,
        sides: usize,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Elementwise);
        let mask = contiguous(mask);
        let (shape, seen) = (mask.shape(), values(&mask));
        let (count, width) = (seen.len(), sides * channels);
        let packed = ChannelRows::new(packed);
        let packed = packed.view();
        let out = fill(width * count, |out| {
            let parts = Parts::new(out);
            share_rows(count, width, |rows| {
                let mut tile = Vec::with_capacity(TILE * width);
                for rows in tiles(rows) {
                    let (first, len) = (rows.start, rows.len());
                    let cells = &mut tile.spare_capacity_mut()[..len * width];
                    for (n, cells) in rows.zip(cells.chunks_exact_mut(width)) {
                        let row = packed.row(n, 2 * width);
                        gate_row(row, seen[n], channels, cells);
                    }
                    let gated = written(cells);
                    #[expect(unsafe_code, reason = "rows are shared out")]
                    // SAFETY: each task has its own rows of every plane.
                    unsafe {
                        to_planes(gated, width, &parts, count, first);
                    }
                }
            });
        });
        tensor(out, Shape::new([width, shape[0], shape[1]]))
    }

    fn gated_planes_all_backward(
        packed: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        channels: usize,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Elementwise);
        let mask = contiguous(mask);
        let (shape, seen) = (packed.shape(), values(&mask));
        let (count, width) = (seen.len(), grad.shape()[0]);
        let (packed, grad) = (ChannelRows::new(packed), Planes::new(grad));
        let (packed, row) = (packed.view(), shape[2]);
        let out = fill(count * row, |out| {
            share_parts(out, rows_a_task(count, row) * row, |first, out| {
                let mut tile = Vec::with_capacity(TILE * width);
                let mut first = first / row;
                for out in out.chunks_mut(TILE * row) {
                    let len = out.len() / row;
                    let cells = &mut tile.spare_capacity_mut()[..len * width];
                    let grad = grad.rows(first, cells).chunks_exact(width);
                    let rows = grad.zip(out.chunks_exact_mut(row));
                    for (n, (grad, out)) in (first..).zip(rows) {
                        let row = packed.row(n, 2 * width);
                        gate_row_backward(row, grad, seen[n], channels, out);
                    }
                    first += len;
                }
            });
        });
        tensor(out, shape)
    }
}

impl GatedPlanesOps for CaptureBackend {
    fn gated_planes_all(
        packed: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        channels: usize,
        sides: usize,
    ) -> FloatTensor<Self> {
        let shape = mask.shape();
        let shape = Shape::new([sides * channels, shape[0], shape[1]]);
        let scalars = vec![ScalarIr::UInt(channels as u64)];
        let inputs = vec![packed, mask];
        let [planes] = record("gated_planes", inputs, [shape], scalars);
        planes
    }

    fn gated_planes_all_backward(
        packed: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        channels: usize,
    ) -> FloatTensor<Self> {
        let shape = packed.shape();
        let scalars = vec![ScalarIr::UInt(channels as u64)];
        let inputs = vec![packed, mask, grad];
        let [dpacked] =
            record("gated_planes_backward", inputs, [shape], scalars);
        dpacked
    }
}

/// The cost of this file's operators: of the packed channels, only the sides'
/// are read. The mask's product is not counted. Each worker holds one tile of
/// rows.
pub(crate) fn cost(op: &CustomOpIr) -> Option<CustomCost> {
    // The planes, results for each of their numbers, and operands.
    let (planes, results, operands) = match op.id.as_str() {
        "gated_planes" => (&op.outputs[0].shape, 1, 2),
        "gated_planes_backward" => (&op.inputs[2].shape, 2, 3),
        _ => return None,
    };
    let elements = planes.num_elements() as u64;
    let kind = OperatorKind::Elementwise {
        op: Elementwise::Gated,
        elements: results * elements,
        operands,
    };
    let mut cost = CustomCost::plain(kind, op);
    cost.reads[0] = Some(2 * elements);
    cost.scratch_bytes = tile_bytes(planes[1] * planes[2], planes[0]);
    Some(cost)
}

#[derive(Debug)]
struct GatedPlanesBackward;

impl<B: GatedPlanesOps> Backward<B, 1> for GatedPlanesBackward {
    /// `packed`, `mask`, `channels`.
    type State = (FloatTensor<B>, FloatTensor<B>, usize);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let (packed, mask, channels) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        if let [Some(parent)] = ops.parents {
            let dpacked =
                B::gated_planes_all_backward(packed, mask, grad, channels);
            grads.register::<B>(parent.id, dpacked);
        }
    }
}

impl<B: GatedPlanesOps, C: CheckpointStrategy> GatedPlanesOps
    for Autodiff<B, C>
{
    fn gated_planes_all(
        packed: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        channels: usize,
        sides: usize,
    ) -> FloatTensor<Self> {
        let prep = GatedPlanesBackward
            .prepare::<C>([packed.node()])
            .compute_bound()
            .stateful();
        let (packed, mask) = (packed.into_primitive(), mask.into_primitive());
        match prep {
            OpsKind::Tracked(prep) => {
                let state = (packed.clone(), mask.clone(), channels);
                let y = B::gated_planes_all(packed, mask, channels, sides);
                prep.finish(state, y)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::gated_planes_all(packed, mask, channels, sides))
            }
        }
    }

    fn gated_planes_all_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: usize,
    ) -> FloatTensor<Self> {
        second_order("gated_planes")
    }
}

multiversion! {
    /// All sides of one row, as many as `out` holds.
    fn gate_row(row: &[f32], seen: f32, channels: usize, out: &mut [MaybeUninit<f32>]) {
        let sides = out.chunks_exact_mut(channels);
        for (out, row) in sides.zip(row.chunks_exact(2 * channels)) {
            let (value, gate) = row.split_at(channels);
            for ((value, gate), out) in value.iter().zip(gate).zip(out) {
                out.write(seen * value * sigmoid::<FMA>(*gate).0);
            }
        }
    }
}

multiversion! {
    /// The gradient of one packed row, from that of its sides.
    fn gate_row_backward(
        row: &[f32],
        grad: &[f32],
        seen: f32,
        channels: usize,
        out: &mut [MaybeUninit<f32>],
    ) {
        let (out, others) = out.split_at_mut(2 * grad.len());
        others.fill(MaybeUninit::new(0.0));
        let sides = grad.chunks_exact(channels);
        let sides = sides.zip(row.chunks_exact(2 * channels));
        for ((grad, row), out) in sides.zip(out.chunks_exact_mut(2 * channels))
        {
            let (value, gate) = row.split_at(channels);
            let (dvalue, dgate) = out.split_at_mut(channels);
            let inputs = grad.iter().zip(value.iter().zip(gate));
            let outputs = dvalue.iter_mut().zip(dgate);
            for ((grad, (value, gate)), (dvalue, dgate)) in inputs.zip(outputs)
            {
                let (open, closed) = sigmoid::<FMA>(*gate);
                let grad = seen * grad * open;
                dvalue.write(grad);
                dgate.write(grad * value * closed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tolerance};

    use super::*;
    use crate::door::recorded;

    /// I, J, channels, sides, P.
    const CASES: [[usize; 5]; 7] = [
        [1, 1, 1, 2, 4],
        [1, 1, 3, 1, 9],
        [3, 70, 5, 2, 23],
        [40, 65, 33, 2, 140],
        [130, 17, 16, 1, 40],
        [2, 64, 16, 2, 64],
        [70, 33, 48, 2, 200],
    ];

    #[test]
    fn it_equals_its_plain_twin_forward_and_backward() {
        let device = Device::flex().autodiff();
        let range = Distribution::Uniform(-3.0, 3.0);
        for ([i, j, c, sides, width], form) in
            CASES.into_iter().flat_map(|case| (0..3).map(move |f| (case, f)))
        {
            let shape = match form {
                0 => [i, j, width],
                1 => [j, i, width],
                _ => [i + 1, j + 2, width + 3],
            };
            let packed =
                Tensor::<3>::random(shape, range, &device).require_grad();
            let view = || match form {
                0 => packed.clone(),
                1 => packed.clone().swap_dims(0, 1),
                _ => packed.clone().slice([1..i + 1, 2..j + 2, 3..width + 3]),
            };
            let mask = Tensor::<2>::random([i, j], range, &device);
            let weight = Tensor::<3>::random([sides * c, i, j], range, &device);
            let run = |fast: bool| {
                let f = if fast { gated_planes } else { gated_planes_plain };
                let y = f(view(), mask.clone(), c, sides);
                let value = y.to_data();
                let grads = (y * weight.clone()).sum().backward();
                [value, packed.grad(&grads).unwrap().to_data()]
            };
            for (fast, plain) in run(true).iter().zip(&run(false)) {
                fast.assert_approx_eq::<f32>(
                    plain,
                    Tolerance::rel_abs(1e-5, 1e-5),
                );
            }
        }
    }

    #[test]
    fn a_gradient_may_be_a_view() {
        let device = Device::flex().autodiff();
        let range = Distribution::Uniform(-1.0, 1.0);
        let packed =
            Tensor::<3>::random([9, 20, 70], range, &device).require_grad();
        let mask = Tensor::<2>::ones([9, 20], &device);
        let weight = Tensor::<3>::random([34, 20, 9], range, &device);
        let run = |fast: bool| {
            let f = if fast { gated_planes } else { gated_planes_plain };
            let y = f(packed.clone(), mask.clone(), 17, 2).swap_dims(1, 2);
            let grads = (y * weight.clone()).sum().backward();
            packed.grad(&grads).unwrap().to_data()
        };
        run(true)
            .assert_approx_eq::<f32>(&run(false), Tolerance::absolute(1e-5));
    }

    #[test]
    fn it_is_recorded_with_its_cost() {
        let ops = recorded(|device| {
            let packed = Tensor::<3>::zeros([3, 5, 30], device).require_grad();
            let mask = Tensor::<2>::zeros([3, 5], device);
            Some(gated_planes(packed, mask, 6, 2).sum())
        });
        let costs: Vec<_> = ops.iter().filter_map(cost).collect();
        let kind = |elements, operands| OperatorKind::Elementwise {
            op: Elementwise::Gated,
            elements,
            operands,
        };
        assert_eq!(costs[0].kind, kind(180, 2));
        assert_eq!(costs[0].reads, [Some(360), None]);
        assert_eq!(costs[1].kind, kind(360, 3));
        assert_eq!(costs[1].reads, [Some(360), None, None]);
        assert_eq!(costs[1].writes, [None]);
        assert_eq!(costs[1].scratch_bytes, 15 * 12 * 4);
    }
}
