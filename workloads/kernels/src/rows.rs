//! Rows in parallel, into memory that is written once.
//!
//! A kernel gets whole rows of its inputs and the matching uninitialised rows
//! of its output, in pieces large enough to pay for a second thread.

use std::mem::MaybeUninit;

use rayon::prelude::*;

/// Elements that one task gets: about 16 thousand, 64 KB of `f32`.
const TASK: usize = 16 * 1024;

fn rows_a_task(cols: usize) -> usize {
    (TASK / cols.max(1)).max(1) * cols
}

/// Runs `kernel(input rows, output rows)` over all rows; the kernel must write
/// every output element.
pub(crate) fn by_rows(
    input: &[f32],
    cols: usize,
    kernel: impl Fn(&[f32], &mut [MaybeUninit<f32>]) + Sync,
) -> Vec<f32> {
    fill(input.len(), |output| {
        let size = rows_a_task(cols);
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
        let size = rows_a_task(cols);
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
