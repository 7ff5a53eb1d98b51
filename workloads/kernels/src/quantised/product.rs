//! `y = x W^T + b` of a packed `W`: who multiplies, and who shares the work.
//!
//! | | codes (`q8_0`, `q4_0`) | halves (`f16`, `bf16`) |
//! |---|---|---|
//! | with VNNI | integer products, any number of rows | |
//! | with AVX-512 | as without | up to 12 rows: registers |
//! | without | up to 12 rows: a block unpacked in L1 | the same |
//! | more rows | panels unpacked, register tiles | the same |

use std::mem::MaybeUninit;

#[cfg(target_arch = "x86_64")]
use super::activations::Activations;
use super::format::{BLOCK, LANES, WeightFormat, unpack_block, unpack_blocks};
use super::packed::Packed;
#[cfg(target_arch = "x86_64")]
use super::{halves, integer};
use crate::math::{madd, multiversion};
use crate::micro::{self, Level, PANEL, Sums, Walk, tile, tiles};
use crate::share::{Parts, share};
use crate::thin::THIN;

/// Who multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Integer dot products; activations are quantised first.
    #[cfg(target_arch = "x86_64")]
    Integer,
    /// Halves widened in AVX-512 registers.
    #[cfg(target_arch = "x86_64")]
    Halves,
    /// Loops that the compiler vectorises.
    Portable,
}

impl Way {
    /// The fastest that this processor has for a format.
    pub(super) fn best(format: WeightFormat) -> Self {
        match format {
            #[cfg(target_arch = "x86_64")]
            WeightFormat::F16 | WeightFormat::Bf16 if halves::is_served() => {
                Self::Halves
            }
            #[cfg(target_arch = "x86_64")]
            WeightFormat::Q8_0 | WeightFormat::Q4_0 if integer::is_served() => {
                Self::Integer
            }
            _ => Self::Portable,
        }
    }
}

/// Writes `x W^T + b` to `out`, `rows` rows of `x`, all dense.
pub(super) fn product(
    way: Way,
    x: &[f32],
    weight: Packed<'_>,
    bias: Option<&[f32]>,
    rows: usize,
    out: &mut [MaybeUninit<f32>],
) {
    let (inner, outer) = (weight.shape.inner, weight.shape.outer);
    assert_eq!(x.len(), rows * inner);
    assert_eq!(out.len(), rows * outer);
    assert!(bias.is_none_or(|bias| bias.len() == outer));
    match way {
        #[cfg(target_arch = "x86_64")]
        Way::Integer => integer_rows(x, weight, rows, &Target::new(out, bias)),
        _ if rows > THIN && inner > 0 => panels(x, weight, bias, rows, out),
        #[cfg(target_arch = "x86_64")]
        Way::Halves => halves_rows(x, weight, rows, &Target::new(out, bias)),
        Way::Portable => {
            portable_rows(x, weight, rows, &Target::new(out, bias));
        }
    }
}

/// Where sums go, with the bias that is added.
struct Target<'a> {
    parts: Parts<'a>,
    bias: Option<&'a [f32]>,
}

impl<'a> Target<'a> {
    fn new(out: &'a mut [MaybeUninit<f32>], bias: Option<&'a [f32]>) -> Self {
        Self { parts: Parts::new(out), bias }
    }

    /// Writes row `row` of the outputs of group `group`.
    ///
    /// # Safety
    /// No other thread may write this row of this group.
    #[expect(unsafe_code, reason = "tasks on several threads write one output")]
    unsafe fn write(
        &self,
        row: usize,
        group: usize,
        outer: usize,
        sums: &[f32; LANES],
    ) {
        let first = group * LANES;
        let count = LANES.min(outer - first);
        // SAFETY: parts of different groups and rows do not overlap.
        let cells = unsafe { self.parts.part(row * outer + first, count) };
        match self.bias {
            Some(bias) => {
                let sums = sums.iter().zip(&bias[first..]);
                for (cell, (sum, bias)) in cells.iter_mut().zip(sums) {
                    cell.write(sum + bias);
                }
            }
            None => {
                cells.write_copy_of_slice(&sums[..count]);
            }
        }
    }
}

/// Bytes of `W` below which one thread is faster.
const WORTH_THREADS: usize = 64 * 1024;

/// Bytes of `W` that a task reads: the stream of a thread must not break too
/// often (see `thin.rs`).
const PIECE: usize = 256 * 1024;

/// Runs `work(group)` for each group, on several threads where that is worth
/// it. Each group is read `passes` times.
fn each_group(
    weight: Packed<'_>,
    passes: usize,
    work: &(dyn Fn(usize) + Sync),
) {
    let groups = weight.shape.groups();
    let words = weight.shape.format.group_words(weight.shape.inner);
    let bytes = (4 * words * passes).max(1);
    let piece = if bytes * groups < WORTH_THREADS {
        groups
    } else {
        let even = groups.div_ceil(rayon::current_num_threads());
        (PIECE / bytes).clamp(1, even)
    };
    share(groups.div_ceil(piece.max(1)), &|task| {
        let first = task * piece;
        (first..groups.min(first + piece)).for_each(work);
    });
}

/// Any number of rows, by integer products.
#[cfg(target_arch = "x86_64")]
fn integer_rows(
    x: &[f32],
    weight: Packed<'_>,
    rows: usize,
    target: &Target<'_>,
) {
    let shape = weight.shape;
    let codes = Activations::new(x, rows, shape.inner, shape.format.shift());
    let passes = rows.div_ceil(integer::TILE);
    each_group(weight, passes, &|group| {
        let words = weight.group(group);
        // Rows of W come from L1 or L2 after their first use.
        for rows in tiles(rows, integer::TILE) {
            let mut sums = [[0.0; LANES]; integer::TILE];
            let sums = &mut sums[..rows.len()];
            let x = codes.tile(rows.clone());
            #[expect(unsafe_code, reason = "SIMD instructions")]
            // SAFETY: `Way::best` asked for the instructions; each task has
            // groups of its own.
            unsafe {
                integer::dots(shape.format, words, x, sums);
                for (row, sums) in rows.zip(&*sums) {
                    target.write(row, group, shape.outer, sums);
                }
            }
        }
    });
}

/// Few rows of halves.
#[cfg(target_arch = "x86_64")]
fn halves_rows(
    x: &[f32],
    weight: Packed<'_>,
    rows: usize,
    target: &Target<'_>,
) {
    let (shape, inner) = (weight.shape, weight.shape.inner);
    let passes = rows.div_ceil(halves::TILE);
    each_group(weight, passes, &|group| {
        let words = weight.group(group);
        for rows in tiles(rows, halves::TILE) {
            let mut sums = [[0.0; LANES]; halves::TILE];
            let sums = &mut sums[..rows.len()];
            let x = &x[rows.start * inner..rows.end * inner];
            #[expect(unsafe_code, reason = "SIMD instructions")]
            // SAFETY: `Way::best` asked for the instructions; each task has
            // groups of its own.
            unsafe {
                halves::dots(shape.format, words, inner, x, sums);
                for (row, sums) in rows.zip(&*sums) {
                    target.write(row, group, shape.outer, sums);
                }
            }
        }
    });
}

/// Few rows, where no instruction serves the format.
fn portable_rows(
    x: &[f32],
    weight: Packed<'_>,
    rows: usize,
    target: &Target<'_>,
) {
    let shape = weight.shape;
    each_group(weight, rows.div_ceil(THIN), &|group| {
        let words = weight.group(group);
        for rows in tiles(rows, THIN) {
            let mut sums = [[0.0; LANES]; THIN];
            let sums = &mut sums[..rows.len()];
            let x = &x[rows.start * shape.inner..rows.end * shape.inner];
            portable_dots(shape.format, words, shape.inner, x, sums);
            for (row, sums) in rows.zip(&*sums) {
                #[expect(unsafe_code, reason = "each task has its own groups")]
                // SAFETY: each task has groups of its own.
                unsafe {
                    target.write(row, group, shape.outer, sums);
                }
            }
        }
    });
}

multiversion! {
    /// Adds the products of a group's rows and the rows of `x` to `sums`: a
    /// block is unpacked into L1 and used for each row.
    fn portable_dots(format: WeightFormat, group: &[i32], inner: usize, x: &[f32], sums: &mut [[f32; LANES]]) {
        let mut block = [[0.0; LANES]; BLOCK];
        for (i, first) in (0..inner).step_by(BLOCK).enumerate() {
            let count = BLOCK.min(inner - first);
            unpack_block(format, group, i, count, &mut block, 1);
            for (x, sums) in x.chunks_exact(inner).zip(sums.iter_mut()) {
                // Two chains hide the latency of the additions.
                let (mut even, mut odd) = (*sums, [0.0; LANES]);
                let (pairs, last) = x[first..first + count].as_chunks::<2>();
                let (weights, _) = block.as_chunks::<2>();
                for (x, w) in pairs.iter().zip(weights) {
                    for r in 0..LANES {
                        even[r] = madd::<FMA>(x[0], w[0][r], even[r]);
                        odd[r] = madd::<FMA>(x[1], w[1][r], odd[r]);
                    }
                }
                if let [x] = last {
                    let w = &block[count - 1];
                    for r in 0..LANES {
                        even[r] = madd::<FMA>(*x, w[r], even[r]);
                    }
                }
                for r in 0..LANES {
                    sums[r] = even[r] + odd[r];
                }
            }
        }
    }
}

/// Values of a row that a panel of `W` is unpacked for at a time: 32 KB.
const DEPTH: usize = 8 * BLOCK;

/// Many rows: each task unpacks its own 32 columns, a stretch of `k` at a time,
/// and multiplies all rows of `x` by it in register tiles.
fn panels(
    x: &[f32],
    weight: Packed<'_>,
    bias: Option<&[f32]>,
    rows: usize,
    out: &mut [MaybeUninit<f32>],
) {
    let (format, inner) = (weight.shape.format, weight.shape.inner);
    let outer = weight.shape.outer;
    let level = Level::best();
    let parts = Parts::new(out);
    share(outer.div_ceil(PANEL), &|task| {
        let first = task * PANEL;
        let cols = PANEL.min(outer - first);
        let mut start = [0.0; PANEL];
        if let Some(bias) = bias {
            start[..cols].copy_from_slice(&bias[first..first + cols]);
        }
        // Row `k` of the panel is 32 values: 16 of each group.
        let mut panel = vec![[0.0; LANES]; 2 * DEPTH];
        let mut partial = vec![0.0_f32; partial_values(rows, inner)];
        for k in (0..inner).step_by(DEPTH) {
            let count = DEPTH.min(inner - k);
            for half in 0..cols.div_ceil(LANES) {
                let group = weight.group(2 * task + half);
                let half = &mut panel[half..];
                unpack_blocks(format, group, k / BLOCK, count, half, 2);
            }
            let walk =
                Walk { outer: 1, inner: count, a: [0, 1], b: [0, PANEL] };
            for rows in tiles(rows, level.rows()) {
                let mut a = [std::ptr::null(); micro::ROWS];
                for (a, row) in a.iter_mut().zip(rows.clone()) {
                    *a = x[row * inner + k..].as_ptr();
                }
                let between =
                    partial.as_mut_ptr().wrapping_add(rows.start * PANEL);
                let (init, init_row) = if k == 0 {
                    (start.as_ptr(), 0)
                } else {
                    (between.cast_const(), PANEL)
                };
                let len = (rows.len() - 1) * outer + cols;
                let end = parts.place(rows.start * outer + first, len);
                let (out, out_row, cols) = if k + count == inner {
                    (end.cast::<f32>(), outer, cols)
                } else {
                    (between, PANEL, PANEL)
                };
                let sums =
                    Sums { init, init_row, out, out_row, cols, relu: false };
                let panel = panel.as_ptr().cast::<f32>();
                #[expect(unsafe_code, reason = "register tiles take pointers")]
                // SAFETY: `a` has rows of at least `count` values, the panel
                // `count` rows of 32; `start` is a whole panel, `partial` has
                // one a row of `x`, and the columns are this task's alone.
                unsafe {
                    tile(level, &a[..rows.len()], panel, &walk, &sums);
                }
            }
        }
    });
}

/// Sums that a task of [`panels`] keeps between two stretches of `k`.
fn partial_values(rows: usize, inner: usize) -> usize {
    if inner > DEPTH { rows * PANEL } else { 0 }
}

/// Bytes that a product holds beside its operands while it runs: the codes of
/// the activations, or the panels of all threads. Which of the two follows from
/// the format and from this machine.
pub(super) fn scratch_bytes(
    format: WeightFormat,
    rows: usize,
    [outer, inner]: [usize; 2],
) -> u64 {
    let bytes = match Way::best(format) {
        #[cfg(target_arch = "x86_64")]
        Way::Integer => {
            rows * inner.div_ceil(BLOCK) * size_of::<super::activations::Cell>()
        }
        _ if rows > THIN && inner > 0 => {
            let threads =
                rayon::current_num_threads().min(outer.div_ceil(PANEL));
            4 * threads * (DEPTH * PANEL + partial_values(rows, inner))
        }
        _ => 0,
    };
    bytes as u64
}
