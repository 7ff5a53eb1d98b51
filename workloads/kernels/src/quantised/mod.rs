//! Linear layers and embeddings over packed weights, for inference:
//! `y = x W^T + b` with `W` in `f16`, `bf16`, `q8_0` or `q4_0`.
//!
//! With one row of `x` the time is that of reading `W`, so fewer bits a weight
//! are as many times less time; the weight is never expanded in memory. What a
//! kernel does with a block once it is in registers:
//!
//! - `f16`, `bf16`: widened to `f32`, multiplied by `x` in `f32`: the result is
//!   that of the plain twin but for the order of the additions;
//! - `q8_0`, `q4_0` with AVX-512 VNNI: integer dot products with **quantised
//!   activations**, blocks of 32 to 8 bits as llama.cpp does it. Beside the
//!   error of the format, which the twin has too, this adds an error of at most
//!   `d / 2` a value of `x`, `d` its block's largest over 127;
//! - without VNNI: unpacked to `f32` in L1, exact as the first.
//!
//! From 13 rows on, where there are no integer products, panels of 32 columns
//! are unpacked and multiplied by the register tiles of `micro.rs`; integer
//! products serve any number of rows, 8 at a time.
//!
//! The ladder is printed by `examples/quantised_ladder.rs`. By instructions for
//! 16 rows of `W` and 32 values of `k`, which set the layout (`format.rs`):
//! 1. ggml's own order, a row at a time: a conversion of the scale, a product
//!    and a sum across a register for each row and block, about 10 a row: 160;
//! 2. sixteen rows together, codes to `f32`: shift, mask, convert, multiply for
//!    each `k`: 128;
//! 3. sixteen rows together, integer products: 4 loads, 12 to unpack, 8
//!    products, 5 for scales: 29. A 288-byte tile takes 60 to 70 cycles to come
//!    from memory at 15 GB/s, so only this leaves the memory to set the pace.

#[cfg(target_arch = "x86_64")]
mod activations;
mod format;
#[cfg(target_arch = "x86_64")]
mod halves;
#[cfg(target_arch = "x86_64")]
mod integer;
mod packed;
mod product;
#[cfg(test)]
mod tests;
mod tracked;

pub use format::WeightFormat;
pub use packed::{PackedShape, PackedWeight};

use burn::Tensor;
use burn::backend::ir::{CustomOpIr, ScalarIr};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::{DType, Int, Shape};
use burn_capture::CaptureBackend;
use burn_flex::{Flex, FlexTensor};

use assay_trace::{CustomCost, OperatorKind};

use crate::classes::{Class, timed};
use crate::door::{
    contiguous, places, record, record_as, serves, serves_integers, tensor,
    values,
};
use crate::embedding::embedding_plain;
use crate::linear::linear_plain;
use crate::rows::fill;

use packed::Packed;
use product::{Way, product, scratch_bytes};

/// `x W^T + b` of a packed `W` `[out, in]`: `x` [.., in], `bias` [out], both in
/// `f32`. For inference: its gradient is refused, that of the plain twin is
/// right for `x` and `bias`.
///
/// # Panics
/// When the widths differ; in a backward pass.
pub fn quantised_linear<const D: usize>(
    x: Tensor<D>,
    weight: &PackedWeight,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    let [outer, inner] = weight.dims();
    assert_eq!(
        x.dims()[D - 1],
        inner,
        "quantised_linear: x and weight differ in width"
    );
    if let Some(bias) = &bias {
        assert_eq!(
            bias.dims(),
            [outer],
            "quantised_linear: bias and weight differ"
        );
    }
    if !(serves(&x) && bias.as_ref().is_none_or(serves)) {
        return quantised_linear_plain(x, weight, bias);
    }
    let (x, words) = (x.into_dispatch(), weight.words().into_dispatch());
    let shape = weight.shape();
    Tensor::from_dispatch(match bias {
        None => <Dispatch as QuantisedOps>::quantised_rows(x, words, shape),
        Some(bias) => <Dispatch as QuantisedOps>::quantised_rows_bias(
            x,
            words,
            bias.into_dispatch(),
            shape,
        ),
    })
}

/// The plain twin: the weight unpacked to `f32`, then Burn's own product.
pub fn quantised_linear_plain<const D: usize>(
    x: Tensor<D>,
    weight: &PackedWeight,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    let unpacked = weight.unpack_on(&x.device());
    linear_plain(x, unpacked, bias)
}

/// Rows of a packed table `[V, D]`, for `ids` `[B, T]`: `[B, T, D]` in `f32`.
/// A model whose head is its embedding keeps the table once.
///
/// # Panics
/// When an index is no row, as indexing does.
pub fn quantised_embedding(
    table: &PackedWeight,
    ids: Tensor<2, Int>,
) -> Tensor<3> {
    if !serves_integers(&ids) {
        return quantised_embedding_plain(table, ids);
    }
    Tensor::from_dispatch(<Dispatch as QuantisedOps>::quantised_picked(
        table.words().into_dispatch(),
        ids.into_dispatch(),
        table.shape(),
    ))
}

/// The plain twin: the table unpacked to `f32`, then Burn's own operator.
pub fn quantised_embedding_plain(
    table: &PackedWeight,
    ids: Tensor<2, Int>,
) -> Tensor<3> {
    embedding_plain(table.unpack_on(&ids.device()), ids)
}

/// The operators of this file for a backend: use [`quantised_linear`] and
/// [`quantised_embedding`].
#[backend_extension(Flex, Capture, Autodiff)]
pub trait QuantisedOps: Backend {
    /// `x W^T`.
    fn quantised_rows(
        x: FloatTensor<Self>,
        words: IntTensor<Self>,
        shape: PackedShape,
    ) -> FloatTensor<Self>;
    /// `x W^T + b`.
    fn quantised_rows_bias(
        x: FloatTensor<Self>,
        words: IntTensor<Self>,
        bias: FloatTensor<Self>,
        shape: PackedShape,
    ) -> FloatTensor<Self>;
    /// Rows of `W`.
    fn quantised_picked(
        words: IntTensor<Self>,
        ids: IntTensor<Self>,
        shape: PackedShape,
    ) -> FloatTensor<Self>;
}

/// The words of a packed weight.
fn words_of(words: &FlexTensor) -> &[i32] {
    match words.as_slice::<i32>() {
        Some(words) => words,
        None => unreachable!("a packed weight is made of i32, and contiguous"),
    }
}

/// The shape of what a linear layer gives, and its rows.
fn with_last(shape: &Shape, last: usize) -> (Shape, usize) {
    let mut dims = shape.to_vec();
    dims.pop();
    let rows = dims.iter().product();
    dims.push(last);
    (Shape::from(dims), rows)
}

/// `x W^T + b` on Flex.
fn forward(
    x: FlexTensor,
    words: FlexTensor,
    bias: Option<FlexTensor>,
    shape: PackedShape,
) -> FlexTensor {
    let (x, words) = (contiguous(x), contiguous(words));
    let bias = bias.map(contiguous);
    let bias = bias.as_ref().map(values);
    let weight = Packed::new(words_of(&words), shape);
    let (out_shape, rows) = with_last(&x.shape(), shape.outer);
    let way = Way::best(shape.format);
    let out = fill(rows * shape.outer, |out| {
        product(way, values(&x), weight, bias, rows, out);
    });
    tensor(out, out_shape)
}

impl QuantisedOps for Flex {
    fn quantised_rows(
        x: FloatTensor<Self>,
        words: IntTensor<Self>,
        shape: PackedShape,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Matmul);
        forward(x, words, None, shape)
    }

    fn quantised_rows_bias(
        x: FloatTensor<Self>,
        words: IntTensor<Self>,
        bias: FloatTensor<Self>,
        shape: PackedShape,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Matmul);
        forward(x, words, Some(bias), shape)
    }

    fn quantised_picked(
        words: IntTensor<Self>,
        ids: IntTensor<Self>,
        shape: PackedShape,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Copy);
        let words = contiguous(words);
        let table = Packed::new(words_of(&words), shape);
        let [batch, tokens] = ids.shape().dims();
        let ids = places(ids, shape.outer);
        let width = shape.inner;
        let mut out = vec![0.0; ids.len() * width];
        let rows = out.chunks_exact_mut(width.max(1));
        for (&id, row) in ids.iter().zip(rows) {
            table.unpack_row(id, row);
        }
        tensor(out, Shape::new([batch, tokens, width]))
    }
}

/// A weight's shape as a recorded operator tells it.
fn scalars(shape: PackedShape) -> Vec<ScalarIr> {
    let number = |n: usize| ScalarIr::UInt(n as u64);
    vec![shape.format.scalar(), number(shape.outer), number(shape.inner)]
}

/// The reverse of [`scalars`].
fn shape_of(scalars: &[ScalarIr]) -> Option<PackedShape> {
    let [format, ScalarIr::UInt(outer), ScalarIr::UInt(inner)] = scalars else {
        return None;
    };
    Some(PackedShape {
        format: WeightFormat::of_scalar(format)?,
        outer: *outer as usize,
        inner: *inner as usize,
    })
}

impl QuantisedOps for CaptureBackend {
    fn quantised_rows(
        x: FloatTensor<Self>,
        words: IntTensor<Self>,
        shape: PackedShape,
    ) -> FloatTensor<Self> {
        let (out, _) = with_last(&x.shape(), shape.outer);
        let inputs = vec![x, words];
        let [y] = record("quantised_linear", inputs, [out], scalars(shape));
        y
    }

    fn quantised_rows_bias(
        x: FloatTensor<Self>,
        words: IntTensor<Self>,
        bias: FloatTensor<Self>,
        shape: PackedShape,
    ) -> FloatTensor<Self> {
        let (out, _) = with_last(&x.shape(), shape.outer);
        let (inputs, scalars) = (vec![x, words, bias], scalars(shape));
        let [y] = record("quantised_linear_bias", inputs, [out], scalars);
        y
    }

    fn quantised_picked(
        words: IntTensor<Self>,
        ids: IntTensor<Self>,
        shape: PackedShape,
    ) -> FloatTensor<Self> {
        let [batch, tokens] = ids.shape().dims();
        let out = Shape::new([batch, tokens, shape.inner]);
        let [y] = record_as(
            "quantised_embedding",
            DType::F32,
            vec![words, ids],
            [out],
            scalars(shape),
        );
        y
    }
}

/// The cost of this file's operators. All words of a weight are read by a
/// product, those of the picked rows by an embedding; words are integers of 4
/// bytes, so the traffic of a weight is its packed bytes at any precision. The
/// work of unpacking is not counted, as that of a cast is not.
pub(crate) fn cost(op: &CustomOpIr) -> Option<CustomCost> {
    let picked = match op.id.as_str() {
        "quantised_linear" | "quantised_linear_bias" => false,
        "quantised_embedding" => true,
        _ => return None,
    };
    let shape = shape_of(&op.scalars)?;
    let (outer, inner) = (shape.outer as u64, shape.inner as u64);
    if picked {
        let tokens = op.inputs[1].shape.num_elements() as u64;
        let kind = OperatorKind::Embedding {
            vocab: outer,
            width: inner,
            tokens,
            backward: false,
        };
        // A row's share of its group.
        let words = shape.format.group_words(shape.inner) as u64 * tokens;
        let words = words.div_ceil(format::LANES as u64);
        return Some(CustomCost {
            reads: vec![Some(words), None],
            ..CustomCost::plain(kind, op)
        });
    }
    let (_, rows) = with_last(&op.inputs[0].shape, shape.outer);
    let kind =
        OperatorKind::Matmul { batch: 1, m: rows as u64, n: outer, k: inner };
    let size = [shape.outer, shape.inner];
    Some(CustomCost {
        scratch_bytes: scratch_bytes(shape.format, rows, size),
        ..CustomCost::plain(kind, op)
    })
}
