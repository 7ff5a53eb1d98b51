//! Where the values of one head lie, and the copies of them that the products
//! read: in `[X, Y, 4 H d]` one head's rows are `4 H d` apart, or `Y` times
//! that, too far for caches and address translation to follow.

use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use burn::backend::TensorMetadata;
use burn::tensor::Shape;
use burn_flex::FlexTensor;

use super::Along;
use super::tile::HALF;
use crate::micro::PANEL;
use crate::rows::fill;
use crate::share::{Parts, share, share_parts};

/// The parts of a packed row, in order.
pub(super) const QUERY: usize = 0;
pub(super) const KEY: usize = 1;
pub(super) const VALUE: usize = 2;
pub(super) const GATE: usize = 3;
pub(super) const PARTS: usize = 4;

/// What the mask takes from a hidden key's score.
const HIDDEN: f32 = 1e9;

/// The axes by their roles: `len` positions attend to each other, in each of
/// `others`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) others: usize,
    pub(super) len: usize,
    pub(super) heads: usize,
    /// Of a head.
    pub(super) width: usize,
    pub(super) along: Along,
}

impl Sizes {
    /// Of a packed tensor.
    pub(super) fn new(packed: &Shape, heads: usize, along: Along) -> Self {
        let (others, len) = match along {
            Along::Rows => (packed[0], packed[1]),
            Along::Columns => (packed[1], packed[0]),
        };
        Self { others, len, heads, width: packed[2] / (PARTS * heads), along }
    }

    pub(super) fn shape(&self, channels: usize) -> Shape {
        let [x, y] = match self.along {
            Along::Rows => [self.others, self.len],
            Along::Columns => [self.len, self.others],
        };
        Shape::new([x, y, channels])
    }

    /// Of all heads.
    pub(super) fn channels(&self) -> usize {
        self.heads * self.width
    }

    /// The width in whole halves of a panel.
    pub(super) fn wide(&self) -> usize {
        self.width.next_multiple_of(HALF)
    }

    /// Keys in whole panels.
    pub(super) fn keys(&self) -> usize {
        self.len.next_multiple_of(PANEL)
    }

    /// Distance of two rows of scores: an odd number of cache lines, so that
    /// the rows of a block do not share places of the cache.
    pub(super) fn score_row(&self) -> usize {
        self.keys() + HALF
    }

    /// Values of one head's bias: [N, keys].
    pub(super) fn bias(&self) -> usize {
        self.len * self.keys()
    }

    /// Products of a query and a key in all.
    pub(super) fn pairs(&self) -> usize {
        self.others * self.heads * self.len * self.len
    }

    /// Where a cell of the plane comes in row-major order.
    pub(super) fn cell(&self, other: usize, position: usize) -> usize {
        match self.along {
            Along::Rows => other * self.len + position,
            Along::Columns => position * self.others + other,
        }
    }
}

/// The tensor itself when its last dimension lies dense, else a copy.
pub(super) fn dense(x: FlexTensor) -> FlexTensor {
    let strides = x.layout().strides();
    let dense = strides.last() == Some(&1) && strides.iter().all(|&s| s >= 0);
    if dense { x } else { x.to_contiguous() }
}

/// A [`dense`] tensor [X, Y, C], or [N, N, H] along its rows.
pub(super) struct Plane<'a> {
    values: &'a [f32],
    channels: usize,
    of_other: usize,
    of_position: usize,
}

impl<'a> Plane<'a> {
    pub(super) fn new(x: &'a FlexTensor, along: Along) -> Self {
        let strides = x.layout().strides();
        let [of_x, of_y] = [0, 1].map(|i| strides[i].unsigned_abs());
        let (of_other, of_position) = match along {
            Along::Rows => (of_x, of_y),
            Along::Columns => (of_y, of_x),
        };
        let values = &x.storage::<f32>()[x.layout().start_offset()..];
        Self { values, channels: x.shape()[2], of_other, of_position }
    }

    /// The channels of one cell.
    fn at(&self, other: usize, position: usize) -> &'a [f32] {
        let at = other * self.of_other + position * self.of_position;
        &self.values[at..][..self.channels]
    }
}

/// One head of one of the others.
#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) sizes: &'a Sizes,
    pub(super) packed: &'a Plane<'a>,
    pub(super) other: usize,
    pub(super) head: usize,
}

impl<'a> Head<'a> {
    /// The head's channels of one part and position.
    fn row(&self, part: usize, position: usize) -> &'a [f32] {
        let at = part * self.sizes.channels() + self.head * self.sizes.width;
        &self.packed.at(self.other, position)[at..][..self.sizes.width]
    }

    /// Where they begin in a contiguous tensor that has `parts` of them.
    fn place(&self, parts: usize, part: usize, position: usize) -> usize {
        let cell = self.sizes.cell(self.other, position);
        let channels = self.sizes.channels();
        (cell * parts + part) * channels + self.head * self.sizes.width
    }

    /// Copies rows, times `scale`, to rows of [`Sizes::wide`] values.
    pub(super) fn rows(
        &self,
        part: usize,
        positions: Range<usize>,
        scale: f32,
        out: &mut [f32],
    ) {
        let out = out.chunks_exact_mut(self.sizes.wide());
        for (position, out) in positions.zip(out) {
            let (out, rest) = out.split_at_mut(self.sizes.width);
            for (out, x) in out.iter_mut().zip(self.row(part, position)) {
                *out = x * scale;
            }
            rest.fill(0.0);
        }
    }

    /// Copies all positions' rows, turned: [panels of N, d, panel], zero beyond
    /// `N`.
    pub(super) fn panels(&self, part: usize, out: &mut [f32]) {
        let panels = out.chunks_exact_mut(self.sizes.width * PANEL);
        for (panel, out) in panels.enumerate() {
            let first = panel * PANEL;
            let count = PANEL.min(self.sizes.len - first);
            let (out, _) = out.as_chunks_mut::<PANEL>();
            if count < PANEL {
                out.fill([0.0; PANEL]);
            }
            for lane in 0..count {
                let row = self.row(part, first + lane);
                for (out, x) in out.iter_mut().zip(row) {
                    out[lane] = *x;
                }
            }
        }
    }

    /// What is added to the scores of each key, the mask's share; keys beyond
    /// `N` are out of reach. `mask` [X, Y] lies in order.
    pub(super) fn hide(&self, mask: &[f32], out: &mut [f32]) {
        let (seen, beyond) = out.split_at_mut(self.sizes.len);
        for (position, out) in seen.iter_mut().enumerate() {
            let seen = mask[self.sizes.cell(self.other, position)];
            *out = (seen - 1.0) * HIDDEN;
        }
        beyond.fill(f32::NEG_INFINITY);
    }

    /// Puts rows of [`Sizes::wide`] values, times `scale`, where `parts` of
    /// them lie in a contiguous tensor.
    pub(super) fn put(
        &self,
        [parts, part]: [usize; 2],
        positions: Range<usize>,
        scale: f32,
        rows: &[f32],
        out: &Parts<'_>,
    ) {
        let rows = rows.chunks_exact(self.sizes.wide());
        for (position, row) in positions.zip(rows) {
            let start = self.place(parts, part, position);
            #[expect(unsafe_code, reason = "each task has its own rows")]
            // SAFETY: no two tasks write the same head of the same other, and
            // a part's row is borrowed here alone.
            let out = unsafe { out.part(start, self.sizes.width) };
            for (out, x) in out.iter_mut().zip(row) {
                out.write(x * scale);
            }
        }
    }
}

/// Queries whose bias a task turns: their rows share cache lines when query
/// and key are swapped.
const TURNED: usize = 16;

/// The bias of each head as the scores lie: [H, N, keys], zero beyond `N`.
pub(super) fn bias_planes(bias: &Plane<'_>, sizes: &Sizes) -> Vec<f32> {
    let (len, keys) = (sizes.len, sizes.keys());
    fill(sizes.heads * sizes.bias(), |out| {
        let parts = Parts::new(out);
        share(len.div_ceil(TURNED), &|task| {
            let first = task * TURNED;
            let queries = first..len.min(first + TURNED);
            let mut planes = Vec::with_capacity(sizes.heads);
            for head in 0..sizes.heads {
                let start = head * sizes.bias() + first * keys;
                #[expect(unsafe_code, reason = "each task has its own rows")]
                // SAFETY: rows of different queries and heads do not overlap.
                let plane = unsafe { parts.part(start, queries.len() * keys) };
                for row in plane.chunks_exact_mut(keys) {
                    row[len..].fill(MaybeUninit::new(0.0));
                }
                planes.push(plane);
            }
            let mut turn = |i: usize, key: usize| {
                let values = bias.at(first + i, key);
                for (plane, x) in planes.iter_mut().zip(values) {
                    plane[i * keys + key].write(*x);
                }
            };
            // The nearer neighbour first.
            if bias.of_position <= bias.of_other {
                for i in 0..queries.len() {
                    (0..len).for_each(|key| turn(i, key));
                }
            } else {
                for key in 0..len {
                    (0..queries.len()).for_each(|i| turn(i, key));
                }
            }
        });
    })
}

/// The way back, of sums: `planes` [groups, H, N, keys] added up in order,
/// [N, N, H].
pub(super) fn bias_of_planes(planes: &[f32], sizes: &Sizes) -> Vec<f32> {
    let (len, heads, keys) = (sizes.len, sizes.heads, sizes.keys());
    let size = sizes.bias();
    fill(len * len * heads, |out| {
        share_parts(out, len * heads, |first, out| {
            let query = first / (len * heads);
            for (key, out) in out.chunks_exact_mut(heads).enumerate() {
                for (head, out) in out.iter_mut().enumerate() {
                    let at = head * size + query * keys + key;
                    let groups = planes[at..].iter().step_by(heads * size);
                    out.write(groups.sum());
                }
            }
        });
    })
}

/// Scratch that tasks take turns with: fresh memory a task would be a page
/// fault every 4 KB.
pub(super) struct Pool<S> {
    free: Mutex<Vec<S>>,
}

impl<S> Pool<S> {
    pub(super) fn new() -> Self {
        Self { free: Mutex::new(Vec::new()) }
    }

    /// Runs `work` with scratch that nobody else uses meanwhile; what it holds
    /// is left from another task.
    pub(super) fn lend(
        &self,
        make: impl FnOnce() -> S,
        work: impl FnOnce(&mut S),
    ) {
        let free = || self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = free().pop();
        let mut scratch = taken.unwrap_or_else(make);
        work(&mut scratch);
        free().push(scratch);
    }
}
