//! The loops of the biased softmax, and the order in which its rows come.

use std::mem::MaybeUninit;

use burn::backend::TensorMetadata;
use burn::tensor::Shape;
use burn_flex::FlexTensor;

use crate::door::{contiguous, tensor, values};
use crate::math::{LANES, dot, exp, multiversion};
use crate::rows::{fill, written};
use crate::share::{Parts, share};

/// A tensor [X, H, Q, K] as `outer` times `rows` rows of `keys`.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    outer: usize,
    pub(super) rows: usize,
    pub(super) keys: usize,
}

/// Elements of the rows that a task takes from each `x`: 16 KB.
const BLOCK: usize = 4 * 1024;

impl Rows {
    pub(super) fn of(x: &Shape) -> Self {
        Self { outer: x[0], rows: x[1] * x[2], keys: x[3] }
    }

    /// Updates `x`: `work(outer index, first row, rows)`, a task being some
    /// rows of all outer indices, in order. In place where the storage is
    /// `x`'s own, else in a copy, of which a block is made just before it is
    /// updated.
    pub(super) fn update(
        self,
        x: FlexTensor,
        work: impl Fn(usize, usize, &mut [f32]) + Sync,
    ) -> FlexTensor {
        let mut x = contiguous(x);
        let shape = x.shape();
        let len = shape.num_elements();
        if x.bytes().len() == len * size_of::<f32>() && x.is_unique() {
            let cells = x.storage_mut::<f32>();
            #[expect(unsafe_code, reason = "one slice type for both cases")]
            // SAFETY: layouts are equal, and `run` gives the cells out as
            // values only: nothing uninitialised is ever written.
            let cells = unsafe {
                &mut *(std::ptr::from_mut(cells) as *mut [MaybeUninit<f32>])
            };
            self.run(None, cells, &work);
            return x;
        }
        let source = values(&x);
        let out = fill(len, |out| self.run(Some(source), out, &work));
        tensor(out, shape)
    }

    fn run(
        self,
        source: Option<&[f32]>,
        cells: &mut [MaybeUninit<f32>],
        work: &(impl Fn(usize, usize, &mut [f32]) + Sync),
    ) {
        let Self { outer, rows, keys } = self;
        if cells.is_empty() {
            return;
        }
        let block = (BLOCK / keys).max(1);
        let parts = Parts::new(cells);
        share(rows.div_ceil(block), &|task| {
            let first = task * block;
            let len = block.min(rows - first) * keys;
            for index in 0..outer {
                let at = (index * rows + first) * keys;
                #[expect(unsafe_code, reason = "each task has its own rows")]
                // SAFETY: rows of different tasks do not overlap.
                let part = unsafe { parts.part(at, len) };
                if let Some(source) = source {
                    part.write_copy_of_slice(&source[at..at + len]);
                }
                work(index, first, written(part));
            }
        });
    }
}

multiversion! {
    /// Rows of one outer index, `hidden` for each, with a bias of their own.
    pub(super) fn biased(
        x: &mut [f32],
        hidden: &[f32],
        bias: &[f32],
        scale: f32,
    ) {
        let keys = hidden.len();
        let rows = x.chunks_exact_mut(keys).zip(bias.chunks_exact(keys));
        for (x, bias) in rows {
            let mut lanes = [f32::NEG_INFINITY; LANES];
            let (chunks, rest) = x.as_chunks_mut::<LANES>();
            let (hidden, hidden_rest) = hidden.as_chunks::<LANES>();
            let (bias, bias_rest) = bias.as_chunks::<LANES>();
            for ((x, hidden), bias) in chunks.iter_mut().zip(hidden).zip(bias) {
                for i in 0..LANES {
                    let score = x[i] * scale + hidden[i] + bias[i];
                    x[i] = score;
                    lanes[i] = if score > lanes[i] { score } else { lanes[i] };
                }
            }
            let ends = rest.iter_mut().zip(hidden_rest).zip(bias_rest);
            for (((x, hidden), bias), lane) in ends.zip(&mut lanes) {
                *x = *x * scale + hidden + bias;
                *lane = if *x > *lane { *x } else { *lane };
            }
            let most = lanes.into_iter().fold(f32::NEG_INFINITY, f32::max);
            weigh::<FMA>(x, most);
        }
    }
}

multiversion! {
    /// Rows of one outer index, `hidden` for each.
    pub(super) fn masked(x: &mut [f32], hidden: &[f32], scale: f32) {
        for x in x.chunks_exact_mut(hidden.len()) {
            let mut lanes = [f32::NEG_INFINITY; LANES];
            let (chunks, rest) = x.as_chunks_mut::<LANES>();
            let (hidden, hidden_rest) = hidden.as_chunks::<LANES>();
            for (x, hidden) in chunks.iter_mut().zip(hidden) {
                for i in 0..LANES {
                    let score = x[i] * scale + hidden[i];
                    x[i] = score;
                    lanes[i] = if score > lanes[i] { score } else { lanes[i] };
                }
            }
            let ends = rest.iter_mut().zip(hidden_rest);
            for ((x, hidden), lane) in ends.zip(&mut lanes) {
                *x = *x * scale + hidden;
                *lane = if *x > *lane { *x } else { *lane };
            }
            let most = lanes.into_iter().fold(f32::NEG_INFINITY, f32::max);
            weigh::<FMA>(x, most);
        }
    }
}

/// Turns a row of scores into its softmax.
#[inline(always)]
fn weigh<const FMA: bool>(x: &mut [f32], largest: f32) {
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = x.as_chunks_mut::<LANES>();
    for chunk in chunks {
        for i in 0..LANES {
            let e = exp::<FMA>(chunk[i] - largest);
            chunk[i] = e;
            lanes[i] += e;
        }
    }
    if !rest.is_empty() {
        // One whole vector: a lane without a key weighs nothing.
        let mut end = [f32::NEG_INFINITY; LANES];
        end[..rest.len()].copy_from_slice(rest);
        for i in 0..LANES {
            end[i] = exp::<FMA>(end[i] - largest);
            lanes[i] += end[i];
        }
        rest.copy_from_slice(&end[..rest.len()]);
    }
    let inverse = 1.0 / lanes.into_iter().sum::<f32>();
    for x in x {
        *x *= inverse;
    }
}

multiversion! {
    /// Turns `grad` into the gradient of `x`.
    pub(super) fn backward(
        y: &[f32],
        grad: &mut [f32],
        keys: usize,
        scale: f32,
    ) {
        let rows = y.chunks_exact(keys).zip(grad.chunks_exact_mut(keys));
        for (y, grad) in rows {
            let mean = dot::<FMA>(y, grad);
            for (y, grad) in y.iter().zip(grad) {
                *grad = scale * (y * (*grad - mean));
            }
        }
    }
}

multiversion! {
    /// As `backward`; adds the gradient of the bias to `sums`.
    pub(super) fn backward_biased(
        y: &[f32],
        grad: &mut [f32],
        sums: &mut [f32],
        keys: usize,
        scale: f32,
    ) {
        let rows = y.chunks_exact(keys).zip(grad.chunks_exact_mut(keys));
        for ((y, grad), sums) in rows.zip(sums.chunks_exact_mut(keys)) {
            let mean = dot::<FMA>(y, grad);
            for ((y, grad), sum) in y.iter().zip(grad).zip(sums) {
                let centred = y * (*grad - mean);
                *sum += centred;
                *grad = scale * centred;
            }
        }
    }
}
