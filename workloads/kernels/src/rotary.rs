//! Rotary position embedding (Su et al., *RoFormer*, 2021), in the half-split
//! pairing of Hugging Face's LLaMA and NeoX: for `i < w/2`, at position `p`,
//! `(x_i, x_{i+w/2})` turns by the angle `p theta^(-2i/w)`; elements from `w`
//! on stay. The gradient turns back by the same angle, so nothing is kept.
//!
//! The ladder, [1, 128, 16, 64] `f32`, microseconds
//! (`examples/row_kernels_ladder.rs`; 2026-11-24, EPYC with AVX-512, one
//! worker thread, allocator set to keep its memory):
//! stock slices and products 100; 1. one pass, in blocks copied to registers by
//! hand 84; 2. a plain loop, which vectorises better 51-82; 3. in place 35-62.
//! One token: stock 5.4, in place 0.3. Forward and backward: stock 370, fused
//! 150-170.

use std::sync::Arc;

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
use burn::tensor::TensorData;
use burn_capture::CaptureBackend;
use burn_flex::Flex;

use assay_trace::{CustomCost, Elementwise, OperatorKind};

use crate::classes::{Class, timed};
use crate::door::{record, serves};
use crate::math::{madd, multiversion};
use crate::rows::{TASKS, update};

/// The tables of one rotary embedding: plain data that a model holds beside
/// its parameters. A clone shares them.
#[derive(Clone, Debug)]
pub struct Rotary {
    theta: f64,
    width: usize,
    positions: usize,
    /// `[positions, width / 2]`.
    cos: Arc<Vec<f32>>,
    sin: Arc<Vec<f32>>,
}

impl Rotary {
    /// Tables for `positions` places, that turn the first `width` elements of
    /// a head (an even number) with base `theta`. Computed in `f64`.
    pub fn new(theta: f64, width: usize, positions: usize) -> Self {
        assert!(width.is_multiple_of(2), "rotary: odd width {width}");
        let frequencies: Vec<f64> = (0..width / 2)
            .map(|i| theta.powf(-2.0 * i as f64 / width as f64))
            .collect();
        Self::with_frequencies(theta, &frequencies, positions)
    }

    /// As [`Rotary::new`], with frequencies of a model's own: the angle of
    /// each pair of elements a place. `theta` is what a trace writes down.
    pub fn with_frequencies(
        theta: f64,
        frequencies: &[f64],
        positions: usize,
    ) -> Self {
        let half = frequencies.len();
        let (mut cos, mut sin) = (Vec::new(), Vec::new());
        cos.reserve_exact(positions * half);
        sin.reserve_exact(positions * half);
        for position in 0..positions {
            for frequency in frequencies {
                let (s, c) = (position as f64 * frequency).sin_cos();
                cos.push(c as f32);
                sin.push(s as f32);
            }
        }
        let (cos, sin) = (Arc::new(cos), Arc::new(sin));
        Self { theta, width: 2 * half, positions, cos, sin }
    }

    /// Places that the tables reach.
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// Elements of a head that turn.
    pub fn width(&self) -> usize {
        self.width
    }
}

/// Turns `x`, `[B, T, H, d]`, whose token `t` stands at position `first + t`;
/// in place when nobody else holds `x`.
///
/// # Panics
/// When a position lies past the tables, or a head is narrower than they are:
/// a model checks both against its configuration first.
pub fn rotary(x: Tensor<4>, tables: &Rotary, first: usize) -> Tensor<4> {
    check(&x, tables, first);
    if !serves(&x) {
        return rotary_plain(x, tables, first);
    }
    Tensor::from_dispatch(<Dispatch as RotaryOps>::rotary_turn(
        x.into_dispatch(),
        tables.clone(),
        first,
        false,
    ))
}

/// The plain twin, of Burn's own operators.
pub fn rotary_plain(x: Tensor<4>, tables: &Rotary, first: usize) -> Tensor<4> {
    check(&x, tables, first);
    let ([batch, tokens, heads, width], half) = (x.dims(), tables.width / 2);
    let table = |values: &[f32]| {
        let values = values[first * half..(first + tokens) * half].to_vec();
        let data = TensorData::new(values, [1, tokens, 1, half]);
        Tensor::<4>::from_data(data, &x.device())
    };
    let (cos, sin) = (table(&tables.cos), table(&tables.sin));
    let part =
        |from, to| x.clone().slice([0..batch, 0..tokens, 0..heads, from..to]);
    let (a, b) = (part(0, half), part(half, 2 * half));
    let mut parts = vec![
        a.clone() * cos.clone() - b.clone() * sin.clone(),
        b * cos + a * sin,
    ];
    if tables.width < width {
        parts.push(part(tables.width, width));
    }
    Tensor::cat(parts, 3)
}

fn check(x: &Tensor<4>, tables: &Rotary, first: usize) {
    let [_, tokens, _, width] = x.dims();
    assert!(
        first + tokens <= tables.positions,
        "rotary: {tokens} tokens from position {first} do not fit tables of \
         {} positions",
        tables.positions
    );
    assert!(
        tables.width <= width,
        "rotary: heads of {width} are narrower than the tables' {}",
        tables.width
    );
}

/// Rotary embedding as a backend operator: use [`rotary`].
#[backend_extension(Flex, Capture, Autodiff)]
pub trait RotaryOps: Backend {
    /// Turns each token by its angles, or `back` by them.
    fn rotary_turn(
        x: FloatTensor<Self>,
        tables: Rotary,
        first: usize,
        back: bool,
    ) -> FloatTensor<Self>;
}

impl RotaryOps for Flex {
    fn rotary_turn(
        x: FloatTensor<Self>,
        tables: Rotary,
        first: usize,
        back: bool,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Elementwise);
        let shape = x.shape();
        let (tokens, width) = (shape[1], shape[3]);
        let (row, half) = (shape[2] * width, tables.width / 2);
        let ([y], _) = update([x], row, TASKS, |(): &mut (), start, [x]| {
            for (i, x) in x.chunks_exact_mut(row).enumerate() {
                let position = first + (start / row + i) % tokens;
                let angles = position * half..(position + 1) * half;
                let cos = &tables.cos[angles.clone()];
                turn(x, width, cos, &tables.sin[angles], back);
            }
        });
        y
    }
}

impl RotaryOps for CaptureBackend {
    fn rotary_turn(
        x: FloatTensor<Self>,
        tables: Rotary,
        first: usize,
        back: bool,
    ) -> FloatTensor<Self> {
        let shape = x.shape();
        let id = if back { "rotary_backward" } else { "rotary" };
        let scalars = vec![
            ScalarIr::UInt(tables.width as u64),
            ScalarIr::Float(tables.theta),
            ScalarIr::UInt(first as u64),
        ];
        let [y] = record(id, vec![x], [shape], scalars);
        y
    }
}

/// The cost of this file's operators: in place, only the elements that turn
/// are read, written and counted. The tables are shared by all heads and
/// layers, stay in cache, and are left out of the traffic.
pub(crate) fn cost(op: &CustomOpIr) -> Option<CustomCost> {
    if !matches!(op.id.as_str(), "rotary" | "rotary_backward") {
        return None;
    }
    let shape = &op.outputs[0].shape;
    let width = op.scalars.first()?.elem::<u64>();
    let heads = shape.num_elements() / shape[shape.num_dims() - 1].max(1);
    let elements = heads as u64 * width;
    let kind = OperatorKind::Elementwise {
        op: Elementwise::Rotary,
        elements,
        operands: 1,
    };
    Some(CustomCost {
        kind,
        reads: vec![Some(elements)],
        writes: vec![Some(elements)],
        in_place: vec![Some(0)],
        scratch_bytes: 0,
    })
}

#[derive(Debug)]
struct RotaryBackward;

impl<B: RotaryOps> Backward<B, 1> for RotaryBackward {
    type State = (Rotary, usize, bool);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let (tables, first, back) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        if let [Some(parent)] = ops.parents {
            let dx = B::rotary_turn(grad, tables, first, !back);
            grads.register::<B>(parent.id, dx);
        }
    }
}

impl<B: RotaryOps, C: CheckpointStrategy> RotaryOps for Autodiff<B, C> {
    fn rotary_turn(
        x: FloatTensor<Self>,
        tables: Rotary,
        first: usize,
        back: bool,
    ) -> FloatTensor<Self> {
        let prep =
            RotaryBackward.prepare::<C>([x.node()]).compute_bound().stateful();
        let x = x.into_primitive();
        match prep {
            OpsKind::Tracked(prep) => {
                let y = B::rotary_turn(x, tables.clone(), first, back);
                prep.finish((tables, first, back), y)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::rotary_turn(x, tables, first, back))
            }
        }
    }
}

multiversion! {
    /// Turns all heads of one token.
    fn turn(x: &mut [f32], width: usize, cos: &[f32], sin: &[f32], back: bool) {
        let half = cos.len();
        let sign = if back { -1.0 } else { 1.0 };
        for head in x.chunks_exact_mut(width) {
            let (a, b) = head[..2 * half].split_at_mut(half);
            let pairs = a.iter_mut().zip(b);
            for ((a, b), (cos, sin)) in pairs.zip(cos.iter().zip(sin)) {
                let (p, q, s) = (*a, *b, sign * sin);
                *a = madd::<FMA>(p, *cos, -q * s);
                *b = madd::<FMA>(q, *cos, p * s);
            }
        }
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
        let random =
            |shape| Tensor::<4>::random(shape, Distribution::Default, &device);
        for (shape, width) in [
            ([2, 5, 3, 8], 8),
            ([1, 1, 1, 2], 2),
            ([2, 70, 6, 80], 20),
            ([2, 90, 4, 128], 128),
            ([1, 3, 2, 6], 0),
        ] {
            let tables = Rotary::new(10_000.0, width, 300);
            let [batch, tokens, heads, size] = shape;
            let x = random([batch, heads, tokens, size]).require_grad();
            let token_major = || x.clone().swap_dims(1, 2);
            let fast = rotary(token_major(), &tables, 177);
            let plain = rotary_plain(token_major(), &tables, 177);
            fast.to_data().assert_approx_eq::<f32>(
                &plain.to_data(),
                Tolerance::absolute(1e-6),
            );
            let weight = random(shape);
            let gradient = |y: Tensor<4>| {
                let grads = (y * weight.clone()).sum().backward();
                x.grad(&grads).unwrap().to_data()
            };
            gradient(fast).assert_approx_eq::<f32>(
                &gradient(plain),
                Tolerance::absolute(1e-6),
            );
        }
    }

    #[test]
    fn a_product_of_query_and_key_depends_on_their_distance_alone() {
        let device = Device::flex();
        let tables = Rotary::new(10_000.0, 16, 64);
        let random = || {
            Tensor::<4>::random([1, 1, 1, 16], Distribution::Default, &device)
        };
        let (q, k) = (random(), random());
        let product = |at: usize, to: usize| {
            let q = rotary(q.clone(), &tables, at);
            let k = rotary(k.clone(), &tables, to);
            (q * k).sum().into_scalar::<f32>()
        };
        assert!((product(3, 9) - product(50, 56)).abs() < 1e-5);
        assert!((product(3, 9) - product(3, 10)).abs() > 1e-4);
    }

    #[test]
    fn it_is_recorded_with_its_cost() {
        let ops = recorded(|device| {
            let tables = Rotary::new(10_000.0, 4, 8);
            let x = Tensor::<4>::zeros([2, 3, 5, 16], device).require_grad();
            Some(rotary(x, &tables, 1).sum())
        });
        let costs: Vec<_> = ops.iter().filter_map(cost).collect();
        assert_eq!(costs.len(), 2);
        assert_eq!(costs[0].reads, [Some(2 * 3 * 5 * 4)]);
        assert_eq!(costs[0], costs[1]);
    }
}
