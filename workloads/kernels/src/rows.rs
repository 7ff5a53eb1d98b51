//! Rows in parallel, into memory that is written once.
//!
//! A kernel gets whole rows of its inputs and the matching uninitialised rows
//! of its output, in pieces large enough to pay for a second thread.

use std::mem::MaybeUninit;
use std::ops::Range;

use burn::backend::TensorMetadata;
use burn::tensor::Shape;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use crate::door::{contiguous, tensor, values};

/// Elements that one task gets where each costs an exponential: about 16
/// thousand, 64 KB of `f32`.
pub(crate) const TASK: usize = 16 * 1024;

fn rows_a_task(task: usize, cols: usize) -> usize {
    (task / cols.max(1)).max(1) * cols
}

/// Runs `kernel(input rows, output rows)` over all rows, about `task` elements
/// at a time; the kernel must write every output element.
pub(crate) fn by_rows(
    input: &[f32],
    cols: usize,
    task: usize,
    kernel: impl Fn(&[f32], &mut [MaybeUninit<f32>]) + Sync,
) -> Vec<f32> {
    fill(input.len(), |output| {
        let size = rows_a_task(task, cols);
        if input.len() <= size {
            kernel(input, output);
        } else {
            input
                .par_chunks(size)
                .zip(output.par_chunks_mut(size))
                .for_each(|(input, output)| kernel(input, output));
        }
    })
}

/// As [`by_rows`], with two inputs of one shape.
pub(crate) fn by_rows2(
    a: &[f32],
    b: &[f32],
    cols: usize,
    kernel: impl Fn(&[f32], &[f32], &mut [MaybeUninit<f32>]) + Sync,
) -> Vec<f32> {
    fill(a.len(), |output| {
        let size = rows_a_task(TASK, cols);
        if a.len() <= size {
            kernel(a, b, output);
        } else {
            a.par_chunks(size)
                .zip(b.par_chunks(size))
                .zip(output.par_chunks_mut(size))
                .for_each(|((a, b), output)| kernel(a, b, output));
        }
    })
}

/// A vector of `len` values that `write` fills.
pub(crate) fn fill(
    len: usize,
    write: impl FnOnce(&mut [MaybeUninit<f32>]),
) -> Vec<f32> {
    let mut out = Vec::with_capacity(len);
    write(&mut out.spare_capacity_mut()[..len]);
    #[expect(unsafe_code, reason = "the output is written once, not zeroed")]
    // SAFETY: `write` was given exactly the first `len` slots and its contract
    // is to write each; every bit pattern is an `f32`.
    unsafe {
        out.set_len(len);
    }
    out
}

/// The same memory as values, once each has been written.
#[inline(always)]
pub(crate) fn written(out: &mut [MaybeUninit<f32>]) -> &mut [f32] {
    #[expect(unsafe_code, reason = "the slice was just written in full")]
    // SAFETY: callers write every slot before they ask; layouts are equal.
    unsafe {
        &mut *(std::ptr::from_mut(out) as *mut [f32])
    }
}

/// Elements of a block, the piece that a kernel of [`update`] works on: 4 KB a
/// tensor, so that a copied block is still in L1 when the kernel reads it.
const BLOCK: usize = 1024;

/// Tasks that an element-wise kernel is split into at most.
pub(crate) const TASKS: usize = 64;

/// Tasks of the backward pass of a norm at most: each holds sums of its own.
pub(crate) const NORM_TASKS: usize = 16;

/// How many tasks [`update`] makes of `len` elements in rows of `cols`, at
/// most `most`.
pub(crate) fn tasks(len: usize, cols: usize, most: usize) -> usize {
    len.div_ceil(task_size(len, cols, most)).max(1)
}

/// Elements of one task of [`update`], or of a norm, at least. Handing work to another core
/// costs about 10 us here, cold caches included: below this a norm is done
/// sooner than that.
pub(crate) const LEAST: usize = 64 * 1024;

/// Elements of one task, in whole rows.
pub(crate) fn task_size(len: usize, cols: usize, most: usize) -> usize {
    let cols = cols.max(1);
    let least = (LEAST / cols).max(1);
    len.div_ceil(cols).div_ceil(most).max(least) * cols
}

/// Updates tensors of one length together, whole rows of `cols` at a time:
/// in place where a tensor's storage is its own, else in a copy.
///
/// `kernel(partial, first, blocks)` gets the blocks of all tensors that begin
/// at element `first`. There is no second kernel for the case that is not in
/// place: a block is copied just before it is updated, and stays in L1. Each
/// task starts from its own default `partial`; they come back in order, so a
/// sum over them is the same on every run.
pub(crate) fn update<const N: usize, R: Default + Send>(
    tensors: [FlexTensor; N],
    cols: usize,
    most_tasks: usize,
    kernel: impl Fn(&mut R, usize, [&mut [f32]; N]) + Sync,
) -> ([FlexTensor; N], Vec<R>) {
    let len = tensors[0].shape().num_elements();
    let mut targets = tensors.map(Target::new);
    let mut spans = targets.each_mut().map(Target::span);
    debug_assert!(spans.iter().all(|span| span.cells.len() == len));
    let block = (BLOCK / cols.max(1)).max(1) * cols.max(1);
    let run = |first: usize, mut spans: [Span<'_>; N]| {
        let (mut partial, mut at) = (R::default(), 0);
        let len = spans[0].cells.len();
        while at < len {
            let end = (at + block).min(len);
            let blocks = spans.each_mut().map(|span| span.ready(at..end));
            kernel(&mut partial, first + at, blocks);
            at = end;
        }
        partial
    };
    let size = task_size(len, cols, most_tasks);
    let partials = if len <= size {
        vec![run(0, spans)]
    } else {
        let mut split = Vec::with_capacity(len.div_ceil(size));
        for first in (0..len).step_by(size) {
            let count = size.min(len - first);
            split.push((first, spans.each_mut().map(|s| s.take(count))));
        }
        split.into_par_iter().map(|(first, spans)| run(first, spans)).collect()
    };
    (targets.map(Target::finish), partials)
}

/// Where an updated tensor comes to lie.
pub(crate) enum Target {
    /// Over its own values.
    Own(FlexTensor),
    /// In new memory: `out` has the capacity, not yet the length.
    Copy { source: FlexTensor, out: Vec<f32>, shape: Shape },
}

/// Whether nobody else holds a contiguous tensor's storage, and all of it is
/// the tensor's.
pub(crate) fn is_own(x: &FlexTensor) -> bool {
    let len = x.shape().num_elements();
    x.bytes().len() == len * size_of::<f32>() && x.is_unique()
}

impl Target {
    pub(crate) fn new(x: FlexTensor) -> Self {
        let x = contiguous(x);
        let shape = x.shape();
        let len = shape.num_elements();
        if is_own(&x) {
            Self::Own(x)
        } else {
            Self::Copy { source: x, out: Vec::with_capacity(len), shape }
        }
    }

    pub(crate) fn span(&mut self) -> Span<'_> {
        match self {
            Self::Own(x) => {
                let cells = x.storage_mut::<f32>();
                #[expect(unsafe_code, reason = "one slice type for both cases")]
                // SAFETY: layouts are equal, and `Span` gives the cells out as
                // values only: nothing uninitialised is ever written.
                let cells = unsafe {
                    &mut *(std::ptr::from_mut(cells)
                        as *mut [MaybeUninit<f32>])
                };
                Span { source: None, cells }
            }
            Self::Copy { source, out, shape } => Span {
                source: Some(values(source)),
                cells: &mut out.spare_capacity_mut()[..shape.num_elements()],
            },
        }
    }

    /// The tensor, once whoever worked on the span has made it ready or
    /// written it.
    pub(crate) fn finish(self) -> FlexTensor {
        match self {
            Self::Own(x) => x,
            Self::Copy { mut out, shape, .. } => {
                #[expect(unsafe_code, reason = "the copy is written once")]
                // SAFETY: every block was made ready, which copied the source
                // into its cells, or written by its kernel.
                unsafe {
                    out.set_len(shape.num_elements());
                }
                tensor(out, shape)
            }
        }
    }
}

/// A stretch of a target: its cells, and the values still to be copied there.
pub(crate) struct Span<'a> {
    pub(crate) source: Option<&'a [f32]>,
    pub(crate) cells: &'a mut [MaybeUninit<f32>],
}

impl<'a> Span<'a> {
    /// The first `count` elements, split off.
    pub(crate) fn take(&mut self, count: usize) -> Span<'a> {
        let (cells, rest) = std::mem::take(&mut self.cells).split_at_mut(count);
        self.cells = rest;
        let source = self.source.map(|source| {
            let (source, rest) = source.split_at(count);
            self.source = Some(rest);
            source
        });
        Span { source, cells }
    }

    /// The values in `range`, copied first if they have to be.
    pub(crate) fn ready(&mut self, range: Range<usize>) -> &mut [f32] {
        let cells = &mut self.cells[range.clone()];
        if let Some(source) = self.source {
            cells.write_copy_of_slice(&source[range]);
        }
        written(cells)
    }
}

/// Adds the tasks' partial rows up, in order.
pub(crate) fn sum_rows(partials: &[Vec<f32>], cols: usize) -> Vec<f32> {
    let mut sum = vec![0.0; cols];
    for partial in partials {
        for (sum, x) in sum.iter_mut().zip(partial) {
            *sum += x;
        }
    }
    sum
}
