//! A packed weight: a module that holds words, and what is asked of it.
//!
//! It lives as a parameter of 4-byte integers. An integer tensor is what Burn
//! passes on untouched: it saves, loads and moves it with the module, an
//! optimizer and a gradient do not see it, and a trace counts 4 bytes an
//! element at whatever precision it is asked: exactly the bytes of the format.
//! Burn's own quantised tensors were refused: they cannot be captured, and
//! their product expands the whole weight first (`../shared/facts/burn.md`).
//!
//! A trace of packed weights knows their bytes, not the number of learned
//! values: parameters are counted on the model with plain weights, whose trace
//! serves all precisions. Mark the words of a traced model with
//! `Recorder::input`, so that they count as there before the step.

use burn::Tensor;
use burn::module::{Module, Param, ParamId};
use burn::tensor::{DType, Device, Int, TensorData};
use rayon::prelude::*;

use super::format::{LANES, WeightFormat, pack_group, unpack_row};

/// A weight `[out, in]` packed in a [`WeightFormat`], for inference.
#[derive(Module, Debug)]
pub struct PackedWeight {
    /// All groups of 16 rows, one after the other.
    words: Param<Tensor<1, Int>>,
    #[module(skip)]
    format: WeightFormat,
    outer: usize,
    inner: usize,
}

impl PackedWeight {
    /// Packs a weight `[out, in]`, on its device.
    pub fn pack(weight: Tensor<2>, format: WeightFormat) -> Self {
        let (dims, device) = (weight.dims(), weight.device());
        let data = weight.into_data().convert::<f32>();
        let values = data.try_into_vec::<f32>().unwrap_or_default();
        Self::from_values(&values, dims, format, &device)
    }

    /// Packs the values of a weight `[out, in]`, in row-major order.
    ///
    /// # Panics
    /// When there are not `out * in` of them.
    pub fn from_values(
        values: &[f32],
        [outer, inner]: [usize; 2],
        format: WeightFormat,
        device: &Device,
    ) -> Self {
        assert_eq!(
            values.len(),
            outer * inner,
            "a weight [{outer}, {inner}] has {} values",
            outer * inner
        );
        let shape = PackedShape { format, outer, inner };
        let mut words = vec![0; shape.words()];
        words
            .par_chunks_mut(format.group_words(inner).max(1))
            .zip(values.par_chunks((LANES * inner).max(1)))
            .for_each(|(words, rows)| pack_group(format, rows, inner, words));
        let data = TensorData::new(words, [shape.words()]);
        let words = Tensor::from_data(data, (device, DType::I32));
        Self::of_words(words, shape)
    }

    /// A weight of zeros: on the capture device a shape that costs nothing.
    pub fn shapes(
        [outer, inner]: [usize; 2],
        format: WeightFormat,
        device: &Device,
    ) -> Self {
        let shape = PackedShape { format, outer, inner };
        let words = Tensor::zeros([shape.words()], (device, DType::I32));
        Self::of_words(words, shape)
    }

    fn of_words(words: Tensor<1, Int>, shape: PackedShape) -> Self {
        let PackedShape { format, outer, inner } = shape;
        let words = Param::initialized(ParamId::new(), words);
        Self { words, format, outer, inner }
    }

    /// Its number format.
    pub fn format(&self) -> WeightFormat {
        self.format
    }

    /// `[out, in]`.
    pub fn dims(&self) -> [usize; 2] {
        [self.outer, self.inner]
    }

    /// The packed words, 4 bytes each; for a trace to mark.
    pub fn words(&self) -> Tensor<1, Int> {
        self.words.val()
    }

    /// Bytes that it takes and that one product reads.
    pub fn bytes(&self) -> u64 {
        4 * self.shape().words() as u64
    }

    /// The weight that it stands for, `[out, in]` in `f32`.
    ///
    /// # Panics
    /// On a capture device, which has no values.
    pub fn unpack(&self) -> Tensor<2> {
        self.unpack_on(&self.words.val().device())
    }

    /// As [`unpack`](Self::unpack), on another device.
    pub(super) fn unpack_on(&self, device: &Device) -> Tensor<2> {
        let data = self.words().into_data().convert::<i32>();
        let words = data.try_into_vec::<i32>().unwrap_or_default();
        let packed = Packed::new(&words, self.shape());
        let mut values = vec![0.0; self.outer * self.inner];
        values
            .par_chunks_mut(self.inner.max(1))
            .enumerate()
            .for_each(|(row, values)| packed.unpack_row(row, values));
        Tensor::from_data(
            TensorData::new(values, [self.outer, self.inner]),
            (device, DType::F32),
        )
    }

    pub(super) fn shape(&self) -> PackedShape {
        let Self { format, outer, inner, .. } = *self;
        PackedShape { format, outer, inner }
    }
}

/// What words are to be read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackedShape {
    /// The number format.
    pub format: WeightFormat,
    /// Rows of the weight: outputs.
    pub outer: usize,
    /// Values of a row: inputs.
    pub inner: usize,
}

impl PackedShape {
    /// Groups of 16 rows.
    pub(super) fn groups(self) -> usize {
        self.outer.div_ceil(LANES)
    }

    /// Words in all.
    pub(super) fn words(self) -> usize {
        self.groups() * self.format.group_words(self.inner)
    }
}

/// A packed weight's words and their shape.
#[derive(Clone, Copy)]
pub(super) struct Packed<'a> {
    words: &'a [i32],
    pub(super) shape: PackedShape,
}

impl<'a> Packed<'a> {
    /// # Panics
    /// When the words are not those of the shape.
    pub(super) fn new(words: &'a [i32], shape: PackedShape) -> Self {
        assert_eq!(words.len(), shape.words(), "not a weight of {shape:?}");
        Self { words, shape }
    }

    /// Group `index` of 16 rows.
    pub(super) fn group(self, index: usize) -> &'a [i32] {
        let words = self.shape.format.group_words(self.shape.inner);
        &self.words[index * words..(index + 1) * words]
    }

    /// The values of a row.
    pub(super) fn unpack_row(self, row: usize, out: &mut [f32]) {
        let group = self.group(row / LANES);
        unpack_row(self.shape.format, group, row % LANES, out);
    }
}
