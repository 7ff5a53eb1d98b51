//! How a forward runs, beside its weights: whether it trains, whether large
//! intermediates are stored, and in chunks of how many rows.
//!
//! Chunking is the paper's own (section on AutoChunk; FastFold sets the size
//! by hand, `fastfold/model/fastnn/ops.py`): a part computes its update for a
//! few rows at a time and writes it into the residual stream in place, so that
//! only a chunk of its intermediates lives at a time.

use std::ops::Range;

use assay_kernels::{Dropped, Shared};
use burn::Tensor;

/// Whether scores of attention and outer products are whole tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Intermediates {
    /// They are, as in the paper; softmax is fused with scale, mask and bias.
    Stored,
    /// They never exist: attention and outer product are one kernel each.
    Streamed,
}

/// Parts that can work in chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each name is a part of the block")]
pub enum Part {
    MsaRow,
    MsaColumn,
    MsaTransition,
    OuterProduct,
    TriangleMultiplication,
    TriangleAttention,
    PairTransition,
}

impl Part {
    /// All, in the order of the block, with the name of each in a trace.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::MsaRow, "msa_att_row"),
        (Self::MsaColumn, "msa_att_col"),
        (Self::MsaTransition, "msa_transition"),
        (Self::OuterProduct, "outer_product_mean"),
        (Self::TriangleMultiplication, "tri_mul"),
        (Self::TriangleAttention, "tri_att"),
        (Self::PairTransition, "pair_transition"),
    ];
}

/// Rows that each part takes at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Chunks {
    rows: [Option<usize>; Part::ALL.len()],
}

impl Chunks {
    /// Of a part; `None`: all at once.
    pub fn of(&self, part: Part) -> Option<usize> {
        self.rows[part as usize]
    }

    /// With `rows` at a time in one part.
    #[must_use]
    pub fn with(mut self, part: Part, rows: usize) -> Self {
        self.rows[part as usize] = Some(rows.max(1));
        self
    }

    /// With `rows` at a time in every part.
    pub fn every(rows: usize) -> Self {
        Self { rows: [Some(rows.max(1)); Part::ALL.len()] }
    }
}

/// How a forward runs.
#[derive(Clone, Debug)]
pub struct Pass {
    /// Whether large intermediates are stored.
    pub intermediates: Intermediates,
    /// Chunks; none while training.
    pub chunks: Chunks,
    draws: Option<u64>,
    sampled: bool,
}

impl Pass {
    /// Inference: nothing is dropped.
    pub fn inference(intermediates: Intermediates, chunks: Chunks) -> Self {
        Self { intermediates, chunks, draws: None, sampled: false }
    }

    /// Training: `seed` decides what is dropped; nothing is chunked.
    pub fn training(intermediates: Intermediates, seed: u64) -> Self {
        let chunks = Chunks::default();
        Self { intermediates, chunks, draws: Some(seed), sampled: false }
    }

    /// The same for a planner's trace: of a loop over chunks the first two are
    /// run, of a stack of blocks too.
    #[must_use]
    pub(crate) fn sampled(self) -> Self {
        Self { sampled: true, ..self }
    }

    /// Whether only what decides the peak of memory is run.
    pub(crate) fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// The next dropout: its own seed each time (splitmix64's increment).
    pub(crate) fn dropped(
        &mut self,
        rate: f32,
        shared: Shared,
    ) -> Option<Dropped> {
        let seed = self.draws.as_mut()?;
        *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        Some(Dropped { rate, seed: *seed, shared })
    }

    /// Updates `x` `[X, Y, C]` in chunks along `axis`, each written back in
    /// place: `update` gets some rows (or columns) and where they lie, and
    /// returns them with the update added.
    pub(crate) fn in_chunks(
        &mut self,
        part: Part,
        x: Tensor<3>,
        axis: usize,
        mut update: impl FnMut(&mut Self, Tensor<3>, Range<usize>) -> Tensor<3>,
    ) -> Tensor<3> {
        let count = x.dims()[axis];
        let Some(size) = self.chunks.of(part).filter(|&size| size < count)
        else {
            return update(self, x, 0..count);
        };
        let mut x = x;
        for at in self.ranges(count, size) {
            let some = rows(&x, axis, &at);
            let new = update(self, some, at.clone());
            x = assign(x, axis, &at, new);
        }
        x
    }

    /// `0..count` in pieces of `size`.
    pub(crate) fn ranges(
        &self,
        count: usize,
        size: usize,
    ) -> impl Iterator<Item = Range<usize>> + use<> {
        let run = if self.sampled { 2 } else { usize::MAX };
        let starts = (0..count).step_by(size).take(run);
        starts.map(move |at| at..(at + size).min(count))
    }

    /// `map` of `x` `[X, Y, C]` to `[X, Y, width]`, a few rows at a time where
    /// the part is chunked.
    pub(crate) fn map_chunks(
        &self,
        part: Part,
        x: &Tensor<3>,
        width: usize,
        map: impl Fn(Tensor<3>) -> Tensor<3>,
    ) -> Tensor<3> {
        let [count, y, _] = x.dims();
        match self.chunks.of(part).filter(|&size| size < count) {
            None => map(x.clone()),
            Some(size) => {
                let all = Tensor::zeros([count, y, width], &x.device());
                self.ranges(count, size).fold(all, |all, at| {
                    assign(all, 0, &at, map(rows(x, 0, &at)))
                })
            }
        }
    }
}

/// Some rows (axis 0) or columns (axis 1): a view.
pub(crate) fn rows<const D: usize>(
    x: &Tensor<D>,
    axis: usize,
    at: &Range<usize>,
) -> Tensor<D> {
    x.clone().narrow(axis, at.start, at.len())
}

/// `x` with some rows or columns replaced, in place when nobody else holds it.
pub(crate) fn assign(
    x: Tensor<3>,
    axis: usize,
    at: &Range<usize>,
    new: Tensor<3>,
) -> Tensor<3> {
    let mut place = x.dims().map(|size| 0..size);
    place[axis] = at.clone();
    x.slice_assign(place, new)
}
