//! Attention, `softmax(q k^T * scale + mask) v` for each head, fused (Vaswani
//! et al., *Attention Is All You Need*, 2017; tiles and running maximum after
//! Dao et al., *FlashAttention*, 2022; grouped heads after Ainslie et al.,
//! *GQA*, 2023).
//!
//! `B` batch, `T` queries, `S` positions that the cache has room for, `H`
//! query heads, `K` key-value heads, `d` width of a head. Query head `h` uses
//! key-value head `h / (H / K)`. Causal: query `i` sees the keys up to
//! `keys - T + i`.
//!
//! The ladder, 2 cores of an EPYC with AVX-512, `d` = 64, 2026-11-24, medians
//! of interleaved runs, three programs on a shared machine, times the speed of
//! the plain twin and, where said, of the engine's own attention function:
//! 1. tiles, running maximum, causal blocks skipped: scores stay in cache and
//!    the heads need no transposed copy;
//! 2. scores key by key, so that `gemm` packs no operand and the softmax runs
//!    over 64 queries at once: about 1.25 to 1.5 of rung 1 (T = 512, 1024).
//!    Together 1.3 to 7 times the twin; 1.1 to 3 times the engine's function;
//! 3. one query: one pass over keys and values, heads of a group reading them
//!    from cache: 1.6 to 3.5 times the twin;
//! 4. forward and backward: 2.2 to 4.2 times the twin;
//! 5. one query, `d` = 32, 65 keys, three layers in turn, one thread of a busy
//!    machine, fastest of many, us (2026-11-28): lanes of a product added by
//!    halves, sums of values in registers, 16 rows of 3 heads 173 to 67, of 4
//!    heads in 2 groups 208 to 66, one row 12.0 to 5.3; 64 rows, which lie
//!    beyond the second cache, 1456 to about 750; the next row's keys and
//!    values called ahead, line after line, 354;
//! 6. backward, of long sequences a tile of queries at a time: a worker holds
//!    2 MB of scores, not all pairs. To be measured.
//!
//! Not reached: PyTorch's CPU attention. Best of six medians each, ours against
//! PyTorch's in ms: 8 heads, causal, T = 128 0.33 and 0.31, 512 5.7 and 3.8,
//! 1024 10.5 and 10.6; 16 heads, causal, 512 12.5 and 8.3, 1024 36 and 22; not
//! causal, 16 heads, 512 20 and 8.5. The products of a tile are calls of
//! `gemm`; a micro-kernel of our own is the next rung.

mod backward;
mod decode;
mod forward;

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
use burn::tensor::Int;
use burn_capture::CaptureBackend;
use burn_flex::{Flex, FlexTensor};

use assay_trace::{CustomCost, OperatorKind};

use crate::classes::{Class, timed};
use crate::door::{record, second_order, serves};
use crate::product::Matrix;

/// Attention of `q` [B, T, H, d] to the first `keys` positions of `k` and `v`
/// [B, S, K, d]; gives [B, T, H, d].
pub fn attention(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    keys: usize,
    scale: f32,
    causal: bool,
) -> Tensor<4> {
    let ([b, t, h, d], [kb, s, kv, kd]) = (q.dims(), k.dims());
    assert_eq!(k.dims(), v.dims(), "attention: k and v differ in shape");
    assert!(b == kb && d == kd, "attention: q and k differ");
    assert!(kv > 0 && h % kv == 0, "attention: {h} heads for {kv}");
    assert!(0 < keys && keys <= s, "attention: {keys} keys of {s}");
    assert!(!causal || t <= keys, "attention: {t} queries, {keys} keys");
    if !(serves(&q) && serves(&k) && serves(&v)) {
        return attention_plain(q, k, v, keys, scale, causal);
    }
    Tensor::from_dispatch(<Dispatch as AttentionOps>::attention_heads(
        q.into_dispatch(),
        k.into_dispatch(),
        v.into_dispatch(),
        keys,
        scale,
        causal,
    ))
}

/// The plain twin, of Burn's own operators.
pub fn attention_plain(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    keys: usize,
    scale: f32,
    causal: bool,
) -> Tensor<4> {
    let ([b, t, h, d], [_, _, kv, _]) = (q.dims(), k.dims());
    let device = q.device();
    let expand = |x: Tensor<4>| -> Tensor<4> {
        let x = x.slice([0..b, 0..keys, 0..kv, 0..d]).swap_dims(1, 2);
        let x = x.reshape([b, kv, 1, keys, d]);
        x.expand([b, kv, h / kv, keys, d]).reshape([b, h, keys, d])
    };
    let scores = q.swap_dims(1, 2).matmul(expand(k).swap_dims(2, 3)) * scale;
    let scores = if causal {
        // Query i may see key j if j <= keys - t + i.
        let first = (keys - t) as i64;
        let query = Tensor::<1, Int>::arange(first..keys as i64, &device);
        let key = Tensor::<1, Int>::arange(0..keys as i64, &device);
        let hidden = key
            .reshape([1, 1, 1, keys])
            .expand([1, 1, t, keys])
            .greater(query.reshape([1, 1, t, 1]).expand([1, 1, t, keys]));
        scores.mask_fill(hidden.expand([b, h, t, keys]), f32::NEG_INFINITY)
    } else {
        scores
    };
    let weights = burn::tensor::activation::softmax(scores, 3);
    weights.matmul(expand(v)).swap_dims(1, 2)
}

/// Attention as a backend operator: use [`attention`].
#[backend_extension(Flex, Capture, Autodiff)]
pub trait AttentionOps: Backend {
    /// See [`attention`].
    fn attention_heads(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        keys: usize,
        scale: f32,
        causal: bool,
    ) -> FloatTensor<Self>;
    /// Gradients of `q`, `k` and `v`; the probabilities are computed again.
    fn attention_heads_backward(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        keys: usize,
        scale: f32,
        causal: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

/// What attention is asked for, beside the tensors.
#[derive(Clone, Copy, Debug)]
struct Task {
    keys: usize,
    scale: f32,
    causal: bool,
}

impl Task {
    /// Keys that query `i` of `queries` sees.
    fn visible(self, i: usize, queries: usize) -> usize {
        if self.causal { self.keys - queries + i + 1 } else { self.keys }
    }

    fn scalars(self) -> Vec<ScalarIr> {
        vec![
            ScalarIr::UInt(self.keys as u64),
            ScalarIr::Float(f64::from(self.scale)),
            ScalarIr::Bool(self.causal),
        ]
    }
}

/// A tensor [batch, positions, heads, width] whose last dimension lies dense.
struct Heads {
    x: FlexTensor,
    dims: [usize; 4],
    strides: [usize; 4],
}

impl Heads {
    /// Copies only what has another last stride than one, or a negative one.
    fn new(x: FlexTensor) -> Self {
        let strides = x.layout().strides();
        let dense = strides[3] == 1 && strides.iter().all(|&s| s >= 0);
        let x = if dense { x } else { x.to_contiguous() };
        let (shape, strides) = (x.shape(), x.layout().strides());
        let dims = std::array::from_fn(|i| shape[i]);
        let strides = std::array::from_fn(|i| strides[i].unsigned_abs());
        Self { x, dims, strides }
    }

    fn values_at(&self, b: usize, t: usize, h: usize) -> &[f32] {
        let [of_b, of_t, of_h, _] = self.strides;
        let start = self.x.layout().start_offset();
        &self.x.storage::<f32>()[start + b * of_b + t * of_t + h * of_h..]
    }

    /// One head's rows from position `first` on, `count` of them.
    fn matrix(
        &self,
        [b, h]: [usize; 2],
        first: usize,
        count: usize,
    ) -> Matrix<'_> {
        Matrix::new(
            self.values_at(b, first, h),
            [count, self.dims[3]],
            [self.strides[1], 1],
        )
    }
}

impl AttentionOps for Flex {
    fn attention_heads(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        keys: usize,
        scale: f32,
        causal: bool,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Attention);
        let [q, k, v] = [q, k, v].map(Heads::new);
        forward::attend(&q, &k, &v, Task { keys, scale, causal })
    }

    fn attention_heads_backward(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        keys: usize,
        scale: f32,
        causal: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let _timed = timed(Class::Attention);
        let [q, k, v, grad] = [q, k, v, grad].map(Heads::new);
        backward::differentiate(&q, &k, &v, &grad, Task { keys, scale, causal })
    }
}

impl AttentionOps for CaptureBackend {
    fn attention_heads(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        keys: usize,
        scale: f32,
        causal: bool,
    ) -> FloatTensor<Self> {
        let shape = q.shape();
        let scalars = Task { keys, scale, causal }.scalars();
        let [y] = record("attention", vec![q, k, v], [shape], scalars);
        y
    }

    fn attention_heads_backward(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        keys: usize,
        scale: f32,
        causal: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let shapes = [q.shape(), k.shape(), v.shape()];
        let scalars = Task { keys, scale, causal }.scalars();
        let inputs = vec![q, k, v, grad];
        let [q, k, v] = record("attention_backward", inputs, shapes, scalars);
        (q, k, v)
    }
}

/// The cost of this file's operators: of keys and values only `keys` positions
/// are read. The scratch is that of as many workers as this machine has.
pub(crate) fn cost(op: &CustomOpIr) -> Option<CustomCost> {
    let backward = match op.id.as_str() {
        "attention" => false,
        "attention_backward" => true,
        _ => return None,
    };
    let &[ScalarIr::UInt(keys), _, ScalarIr::Bool(causal)] =
        op.scalars.as_slice()
    else {
        return None;
    };
    let (q, k) = (&op.inputs[0].shape, &op.inputs[1].shape);
    let [batch, query, heads, head_dim] = [q[0], q[1], q[2], q[3]];
    let kv_heads = k[2];
    let read = Some((batch * kv_heads * head_dim) as u64 * keys);
    let keys_size = keys as usize;
    let scratch = if backward {
        backward::scratch(batch * kv_heads, query, keys_size)
    } else {
        forward::scratch(batch * heads, query, keys_size)
    };
    let kind = OperatorKind::Attention {
        batch: batch as u64,
        heads: heads as u64,
        kv_heads: kv_heads as u64,
        head_dim: head_dim as u64,
        query: query as u64,
        keys,
        causal,
        backward,
    };
    let mut cost = CustomCost::plain(kind, op);
    cost.reads[1] = read;
    cost.reads[2] = read;
    cost.scratch_bytes = 4 * scratch as u64;
    Some(cost)
}

#[derive(Debug)]
struct AttentionBackward;

impl<B: AttentionOps> Backward<B, 3> for AttentionBackward {
    type State = ([FloatTensor<B>; 3], Task);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let ([q, k, v], Task { keys, scale, causal }) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let (dq, dk, dv) =
            B::attention_heads_backward(q, k, v, grad, keys, scale, causal);
        for (parent, grad) in ops.parents.into_iter().zip([dq, dk, dv]) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, grad);
            }
        }
    }
}

impl<B: AttentionOps, C: CheckpointStrategy> AttentionOps for Autodiff<B, C> {
    fn attention_heads(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        keys: usize,
        scale: f32,
        causal: bool,
    ) -> FloatTensor<Self> {
        let prep = AttentionBackward
            .prepare::<C>([q.node(), k.node(), v.node()])
            .compute_bound()
            .stateful();
        let [q, k, v] = [q, k, v].map(|x| x.into_primitive());
        match prep {
            OpsKind::Tracked(prep) => {
                let state = [q.clone(), k.clone(), v.clone()];
                let y = B::attention_heads(q, k, v, keys, scale, causal);
                prep.finish((state, Task { keys, scale, causal }), y)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::attention_heads(q, k, v, keys, scale, causal))
            }
        }
    }

    fn attention_heads_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: usize,
        _: f32,
        _: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        second_order("attention")
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tolerance};

    use super::*;
    use crate::door::recorded;

    fn random(shape: [usize; 4], device: &Device) -> Tensor<4> {
        Tensor::random(shape, Distribution::Uniform(-2.0, 2.0), device)
    }

    /// [B, T, H, K, d, S, keys].
    const CASES: [[usize; 7]; 12] = [
        [1, 1, 1, 1, 1, 1, 1],
        [1, 1, 9, 3, 64, 40, 33],
        // Several heads a task, and a last task of fewer.
        [40, 1, 4, 4, 16, 24, 20],
        [2, 1, 4, 4, 20, 90, 90],
        [1, 1, 4, 1, 64, 700, 650],
        [2, 7, 6, 2, 33, 12, 11],
        [1, 65, 2, 2, 64, 65, 65],
        [1, 130, 4, 2, 16, 200, 150],
        [1, 3, 2, 1, 64, 1100, 1090],
        [1, 70, 1, 1, 8, 1200, 1100],
        // More scores than a task of the backward pass holds.
        [1, 300, 2, 1, 8, 1100, 1090],
        [1, 70, 1, 1, 512, 77, 77],
    ];

    #[test]
    fn it_equals_its_plain_twin_forward_and_backward() {
        let device = Device::flex().autodiff();
        for [b, t, h, kv, d, s, keys] in CASES {
            for (causal, turned) in [(true, false), (false, true)] {
                let make = |n: usize, heads: usize| {
                    // Turned: head-major storage, seen through a view.
                    let x = if turned {
                        random([b, heads, n, d], &device)
                    } else {
                        random([b, n, heads, d], &device)
                    };
                    x.require_grad()
                };
                let (q, k, v) = (make(t, h), make(s, kv), make(s, kv));
                let weight = random([b, t, h, d], &device);
                let view = |x: &Tensor<4>| match turned {
                    true => x.clone().swap_dims(1, 2),
                    false => x.clone(),
                };
                let run = |fast: bool| {
                    let f = if fast { attention } else { attention_plain };
                    let y = f(view(&q), view(&k), view(&v), keys, 0.3, causal);
                    let value = y.to_data();
                    let grads = (y * weight.clone()).sum().backward();
                    [
                        value,
                        q.grad(&grads).unwrap().to_data(),
                        k.grad(&grads).unwrap().to_data(),
                        v.grad(&grads).unwrap().to_data(),
                    ]
                };
                for (fast, plain) in run(true).iter().zip(&run(false)) {
                    fast.assert_approx_eq::<f32>(
                        plain,
                        Tolerance::absolute(1e-4),
                    );
                }
            }
        }
    }

    #[test]
    fn it_is_recorded_with_its_cost() {
        let ops = recorded(|device| {
            let q = Tensor::<4>::zeros([2, 5, 6, 8], device).require_grad();
            let k = Tensor::<4>::zeros([2, 20, 3, 8], device);
            let y = attention(q, k.clone(), k, 9, 1.0, true);
            Some(y.sum())
        });
        let costs: Vec<_> = ops.iter().filter_map(cost).collect();
        assert_eq!(costs.len(), 2);
        for (cost, backward) in costs.iter().zip([false, true]) {
            let kind = OperatorKind::Attention {
                batch: 2,
                heads: 6,
                kv_heads: 3,
                head_dim: 8,
                query: 5,
                keys: 9,
                causal: true,
                backward,
            };
            assert_eq!(cost.kind, kind);
            let read = Some(2 * 3 * 8 * 9);
            assert_eq!(cost.reads[..3], [None, read, read]);
        }
    }
}
