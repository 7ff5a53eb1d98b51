//! Rows of a table picked by index: `y_t = table[id_t]`; the gradient of the
//! table is zero but for `dtable[id_t] += dy_t`.
//!
//! The ladder, table [32000, 256] `f32`, 128 tokens, milliseconds
//! (`examples/row_kernels_ladder.rs`; 2026-11-24, EPYC with AVX-512, one
//! worker thread, allocator set to keep its memory):
//! forward stock 0.0030, one copy a row 0.0028: no gain, and threads lose.
//! Forward and backward: stock 3.9, which zeroes the gradient and copies it
//! whole; 1. zeroed once, rows added 1.05. With memory fresh from the system
//! 31.6 and 0.54: its zero pages are touched only where a row is hit.

use burn::Tensor;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ir::{CustomOpIr, ScalarIr};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{
    Autodiff, Backend, Dispatch, TensorMetadata, backend_extension,
};
use burn::tensor::{Int, Shape};
use burn_capture::CaptureBackend;
use burn_flex::Flex;

use assay_trace::{CustomCost, OperatorKind};

use crate::classes::{Class, timed};
use crate::door::{
    contiguous, places, record, second_order, serves, tensor, values,
};
use crate::rows::fill;

/// Rows of `table`, `[V, D]`, for `ids`, `[B, T]`: `[B, T, D]`.
///
/// # Panics
/// When an index is no row, as indexing does.
pub fn embedding(table: Tensor<2>, ids: Tensor<2, Int>) -> Tensor<3> {
    if !serves(&table) {
        return embedding_plain(table, ids);
    }
    Tensor::from_dispatch(<Dispatch as EmbeddingOps>::embedding_rows(
        table.into_dispatch(),
        ids.into_dispatch(),
    ))
}

/// The plain twin, of Burn's own operators.
pub fn embedding_plain(table: Tensor<2>, ids: Tensor<2, Int>) -> Tensor<3> {
    burn::tensor::module::embedding(table, ids)
}

/// Embedding as a backend operator: use [`embedding`].
#[backend_extension(Flex, Capture, Autodiff)]
pub trait EmbeddingOps: Backend {
    /// The rows.
    fn embedding_rows(
        table: FloatTensor<Self>,
        ids: IntTensor<Self>,
    ) -> FloatTensor<Self>;
    /// The gradient of a table of `vocab` rows.
    fn embedding_rows_backward(
        grad: FloatTensor<Self>,
        ids: IntTensor<Self>,
        vocab: usize,
    ) -> FloatTensor<Self>;
}

impl EmbeddingOps for Flex {
    fn embedding_rows(
        table: FloatTensor<Self>,
        ids: IntTensor<Self>,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Copy);
        let table = contiguous(table);
        let [vocab, width] = table.shape().dims();
        let [batch, tokens] = ids.shape().dims();
        let (ids, rows) = (places(ids, vocab), values(&table));
        let out = fill(ids.len() * width, |out| {
            for (&id, out) in ids.iter().zip(out.chunks_exact_mut(width.max(1)))
            {
                out.write_copy_of_slice(&rows[id * width..(id + 1) * width]);
            }
        });
        tensor(out, Shape::new([batch, tokens, width]))
    }

    fn embedding_rows_backward(
        grad: FloatTensor<Self>,
        ids: IntTensor<Self>,
        vocab: usize,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Copy);
        let grad = contiguous(grad);
        let [_, _, width] = grad.shape().dims();
        // Zero pages of the system: only the rows that are hit are touched.
        let mut table = vec![0.0; vocab * width];
        let rows = values(&grad).chunks_exact(width.max(1));
        for (id, grad) in places(ids, vocab).into_iter().zip(rows) {
            let row = &mut table[id * width..(id + 1) * width];
            for (sum, grad) in row.iter_mut().zip(grad) {
                *sum += grad;
            }
        }
        tensor(table, Shape::new([vocab, width]))
    }
}

impl EmbeddingOps for CaptureBackend {
    fn embedding_rows(
        table: FloatTensor<Self>,
        ids: IntTensor<Self>,
    ) -> FloatTensor<Self> {
        let [batch, tokens] = ids.shape().dims();
        let width = table.shape()[1];
        let shape = Shape::new([batch, tokens, width]);
        let [y] = record("embedding", vec![table, ids], [shape], vec![]);
        y
    }

    fn embedding_rows_backward(
        grad: FloatTensor<Self>,
        ids: IntTensor<Self>,
        vocab: usize,
    ) -> FloatTensor<Self> {
        let shape = Shape::new([vocab, grad.shape()[2]]);
        let scalars = vec![ScalarIr::UInt(vocab as u64)];
        let inputs = vec![grad, ids];
        let [table] = record("embedding_backward", inputs, [shape], scalars);
        table
    }
}

/// The cost of this file's operators. Of the table only the picked rows are
/// read; its gradient is written in full.
pub(crate) fn cost(op: &CustomOpIr) -> Option<CustomCost> {
    let (backward, table, rows) = match op.id.as_str() {
        "embedding" => (false, &op.inputs[0], &op.outputs[0]),
        "embedding_backward" => (true, &op.outputs[0], &op.inputs[0]),
        _ => return None,
    };
    let (vocab, width) = (table.shape[0] as u64, table.shape[1] as u64);
    let tokens = (rows.shape[0] * rows.shape[1]) as u64;
    let kind = OperatorKind::Embedding { vocab, width, tokens, backward };
    let plain = CustomCost::plain(kind, op);
    Some(if backward {
        plain
    } else {
        CustomCost { reads: vec![Some(tokens * width), None], ..plain }
    })
}

#[derive(Debug)]
struct EmbeddingBackward;

impl<B: EmbeddingOps> Backward<B, 1> for EmbeddingBackward {
    /// Indices and rows of the table: not the table.
    type State = (IntTensor<B>, usize);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let (ids, vocab) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        if let [Some(parent)] = ops.parents {
            let table = B::embedding_rows_backward(grad, ids, vocab);
            grads.register::<B>(parent.id, table);
        }
    }
}

impl<B: EmbeddingOps, C: CheckpointStrategy> EmbeddingOps for Autodiff<B, C> {
    fn embedding_rows(
        table: FloatTensor<Self>,
        ids: IntTensor<Self>,
    ) -> FloatTensor<Self> {
        let prep = EmbeddingBackward
            .prepare::<C>([table.node()])
            .compute_bound()
            .stateful();
        let table = table.into_primitive();
        match prep {
            OpsKind::Tracked(prep) => {
                let vocab = table.shape()[0];
                let y = B::embedding_rows(table, ids.clone());
                prep.finish((ids, vocab), y)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::embedding_rows(table, ids))
            }
        }
    }

    fn embedding_rows_backward(
        _: FloatTensor<Self>,
        _: IntTensor<Self>,
        _: usize,
    ) -> FloatTensor<Self> {
        second_order("embedding")
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, TensorData};

    use super::*;
    use crate::door::recorded;

    #[test]
    fn it_equals_its_plain_twin_forward_and_backward() {
        let device = Device::flex().autodiff();
        for (vocab, width, [batch, tokens]) in
            [(7, 5, [2, 9]), (1, 1, [1, 1]), (50, 333, [3, 40])]
        {
            let range = Distribution::Default;
            let table = Tensor::<2>::random([width, vocab], range, &device)
                .require_grad();
            let ids: Vec<i64> =
                (0..batch * tokens).map(|i| (i * i % vocab) as i64).collect();
            let ids = TensorData::new(ids, [tokens, batch]);
            let ids = Tensor::<2, Int>::from_data(ids, &device).transpose();
            let rows = || table.clone().transpose();
            let fast = embedding(rows(), ids.clone());
            let plain = embedding_plain(rows(), ids);
            fast.to_data().assert_eq(&plain.to_data(), true);
            let weight = Tensor::random([batch, tokens, width], range, &device);
            let gradient = |y: Tensor<3>| {
                let grads = (y * weight.clone()).sum().backward();
                table.grad(&grads).unwrap().to_data()
            };
            gradient(fast).assert_eq(&gradient(plain), true);
        }
    }

    #[test]
    fn it_is_recorded_with_its_cost() {
        let ops = recorded(|device| {
            let table = Tensor::<2>::zeros([9, 4], device).require_grad();
            let ids = Tensor::<2, Int>::from_ints([[1, 1, 8]], device);
            Some(embedding(table, ids).sum())
        });
        let costs: Vec<_> = ops.iter().filter_map(cost).collect();
        let kind = |backward| OperatorKind::Embedding {
            vocab: 9,
            width: 4,
            tokens: 3,
            backward,
        };
        assert_eq!(costs[0].kind, kind(false));
        assert_eq!(costs[0].reads, [Some(12), None]);
        assert_eq!(costs[1].kind, kind(true));
    }
}
