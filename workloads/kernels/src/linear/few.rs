//! Products of some tens of rows, as a step of batched decoding makes them.
//!
//! `gemm` packs its factors anew at each call, and of 16 rows packing all of
//! `W` takes as long as multiplying it. Here `W` is read where it lies, each
//! value once for up to 32 rows; what is turned is `x`, which is small, and the
//! output, 16 columns at a time:
//!
//! ```text
//!            x^T [in, 32], zeros behind the last row
//! W [16, in] x           = out^T [16, 32], turned back as it is written
//! ```
//!
//! The tile is [`micro`](crate::micro)'s, with rows of `W` on its left. Sums
//! run over `in` in order and the bias comes last, as with `gemm` up to 512
//! deep: the bits are the same there (tested). `gemm` cuts a deeper product and
//! adds the parts, and the last digits may differ.
//!
//! Weights packed once for a session were left out: they would have to be told
//! of each training step, and save what is a tenth of the time here.

use std::mem::MaybeUninit;

use crate::channels::turn;
use crate::micro::{Level, PANEL, ROWS, Sums, Walk, tile, tiles};
use crate::product::WORTH_THREADS;
use crate::share::{Parts, share};
use crate::thin::THIN;

/// Rows of `x` up to which it serves: beyond, a packed `W` is used often
/// enough.
const FEW: usize = 64;

/// Values of `W` up to which it serves: those of a core's second cache, 1 MB.
/// Of larger ones nothing was measured.
const LARGEST: usize = 256 * 1024;

/// How deep a product may be: a panel of `x` is 32 times that, 256 kB, and stays
/// in the second cache beside the rows of `W`.
const DEEPEST: usize = 2048;

/// Rows of `W` that a task multiplies, and that are turned together.
const SIDE: usize = 16;

/// What all sums start from.
static ZEROS: [f32; PANEL] = [0.0; PANEL];

/// Whether [`few`] serves the product of `x` [rows, inner] and `W` [outer,
/// inner]. Without vectors `gemm` has the better tile, its own for the CPU.
pub(super) fn serves(rows: usize, inner: usize, outer: usize) -> bool {
    let weights = inner * outer;
    rows > THIN
        && rows <= FEW
        && inner <= DEEPEST
        && weights > 0
        && weights <= LARGEST
        && Level::best() != Level::Portable
}

/// Bytes of the turned rows.
pub(super) fn scratch_bytes(rows: usize, inner: usize) -> u64 {
    (padded(rows) * inner * size_of::<f32>()) as u64
}

/// Rows in panels of 32, the last of which may be a half.
fn padded(rows: usize) -> usize {
    rows.next_multiple_of(PANEL / 2)
}

/// `out[m, o] = x[m] . w[o] + bias[o]`.
pub(super) fn few(
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    sizes: [usize; 3],
    out: &mut [MaybeUninit<f32>],
) {
    multiply(Level::best(), x, w, bias, sizes, out);
}

fn multiply(
    level: Level,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    [rows, inner, outer]: [usize; 3],
    out: &mut [MaybeUninit<f32>],
) {
    assert!(x.len() == rows * inner && w.len() == outer * inner);
    assert!(out.len() == rows * outer);
    assert!(bias.is_none_or(|bias| bias.len() == outer));
    let turned = turned(x, rows, inner);
    let out = Parts::new(out);
    let task = |index: usize| {
        let first = index * SIDE;
        let count = SIDE.min(outer - first);
        let w = &w[first * inner..(first + count) * inner];
        let bias = bias.map(|bias| &bias[first..first + count]);
        let mut sums = [0.0; SIDE * PANEL];
        for from in (0..rows).step_by(PANEL) {
            let here = PANEL.min(rows - from);
            let width = padded(here);
            let panel = &turned[from * inner..][..width * inner];
            panel_sums(level, w, inner, panel, &mut sums);
            if let Some(bias) = bias {
                for (row, bias) in sums.chunks_exact_mut(PANEL).zip(bias) {
                    row.iter_mut().for_each(|sum| *sum += bias);
                }
            }
            let len = (here - 1) * outer + count;
            let cells = out.place(from * outer + first, len);
            #[expect(unsafe_code, reason = "each task has its own columns")]
            // SAFETY: the cells are within the output, as `place` checks, and
            // in columns of this task alone.
            unsafe {
                turn(&sums, PANEL, cells, outer, [count, here]);
            }
        }
    };
    let tasks = outer.div_ceil(SIDE);
    if rows * inner * outer < WORTH_THREADS {
        (0..tasks).for_each(task);
    } else {
        share(tasks, &task);
    }
}

/// `x` in panels, each `[in, 32]` or `[in, 16]`, one after the other.
fn turned(x: &[f32], rows: usize, inner: usize) -> Vec<f32> {
    let mut turned = vec![0.0; padded(rows) * inner];
    for from in (0..rows).step_by(PANEL) {
        let here = PANEL.min(rows - from);
        let width = padded(here);
        let panel = &mut turned[from * inner..][..width * inner];
        let cells = panel.as_mut_ptr().cast::<MaybeUninit<f32>>();
        #[expect(unsafe_code, reason = "turns take pointers")]
        // SAFETY: the panel has `in` rows of `width`, at least `here`, values.
        unsafe {
            turn(&x[from * inner..], inner, cells, width, [here, inner]);
        }
    }
    turned
}

/// The sums of up to 16 rows of `W` with a panel: rows of 32, of which as many
/// are written as the panel is wide.
fn panel_sums(
    level: Level,
    w: &[f32],
    inner: usize,
    panel: &[f32],
    sums: &mut [f32; SIDE * PANEL],
) {
    let (count, width) = (w.len() / inner, panel.len() / inner);
    let walk = Walk { outer: 1, inner, a: [0, 1], b: [0, width] };
    for part in tiles(count, level.rows()) {
        let mut left = [std::ptr::null(); ROWS];
        for (left, row) in left.iter_mut().zip(part.clone()) {
            *left = w[row * inner..].as_ptr();
        }
        let to = Sums {
            init: ZEROS.as_ptr(),
            init_row: 0,
            out: sums[part.start * PANEL..].as_mut_ptr(),
            out_row: PANEL,
            cols: width,
            relu: false,
        };
        #[expect(unsafe_code, reason = "the tile takes pointers")]
        // SAFETY: each row of `w` and the panel have `inner` steps, the sums
        // have a row for each of `part`, and `level` was detected.
        unsafe {
            tile(level, &left[..part.len()], panel.as_ptr(), &walk, &to);
        }
    }
}

#[cfg(test)]
mod tests {
    use gemm::Parallelism;

    use super::*;
    use crate::product::{Matrix, product};
    use crate::rows::fill;

    fn made(count: usize, seed: usize) -> Vec<f32> {
        let value = |i: usize| (i * 7919 + seed * 31) % 2003;
        (0..count).map(|i| value(i) as f32 / 1001.0 - 1.0).collect()
    }

    #[test]
    fn it_has_the_bits_of_the_packed_product_where_that_fuses_too() {
        for [rows, inner, outer] in [
            [13, 96, 96],
            [16, 96, 256],
            [16, 256, 96],
            [33, 128, 64],
            [64, 128, 320],
            [64, 320, 128],
            [50, 96, 40],
            [17, 31, 19],
            [16, 512, 96],
        ] {
            if !serves(rows, inner, outer) {
                continue;
            }
            let (x, w) = (made(rows * inner, 1), made(outer * inner, 2));
            let bias = made(outer, 3);
            let sizes = [rows, inner, outer];
            let found =
                fill(rows * outer, |out| few(&x, &w, Some(&bias), sizes, out));
            let mut right = fill(rows * outer, |out| {
                let x = Matrix::dense(&x, rows, inner);
                let w = Matrix::dense(&w, outer, inner).transposed();
                product(out, outer, x, w, 1.0, Parallelism::None);
            });
            for row in right.chunks_exact_mut(outer) {
                row.iter_mut().zip(&bias).for_each(|(sum, bias)| *sum += bias);
            }
            assert_eq!(found, right, "{sizes:?}");
        }
    }

    #[test]
    fn every_instruction_set_agrees_with_the_formula() {
        for [rows, inner, outer] in [
            [13, 1, 1],
            [14, 7, 33],
            [31, 40, 17],
            [48, 96, 50],
            [64, 130, 96],
            [20, 513, 9],
        ] {
            let (x, w) = (made(rows * inner, 3), made(outer * inner, 4));
            let bias = made(outer, 5);
            for level in Level::all() {
                let sizes = [rows, inner, outer];
                let found = fill(rows * outer, |out| {
                    multiply(level, &x, &w, Some(&bias), sizes, out);
                });
                for (i, found) in found.iter().enumerate() {
                    let (m, o) = (i / outer, i % outer);
                    let products = x[m * inner..][..inner]
                        .iter()
                        .zip(&w[o * inner..][..inner])
                        .map(|(x, w)| f64::from(*x) * f64::from(*w));
                    let right = products.sum::<f64>() + f64::from(bias[o]);
                    let off = (f64::from(*found) - right).abs();
                    assert!(off < 1e-4, "{level:?} {sizes:?} {m} {o}: {off}");
                }
            }
        }
    }
}
