//! Tensors of channels in their two orders, rows `[X, Y, C]` and planes
//! `[C, X, Y]`, wherever their memory lies, and the way from one to the other.
//!
//! A tile of rows, which stays in L2, is turned in blocks of 16 times 16: four
//! interleavings of sixteen vector registers. Both sides move whole cache
//! lines, those of the planes a channel's run of [`TILE`] at a time. Such runs,
//! and rows of which a part is read, are too short for the processor to
//! foresee: what comes next is asked for ahead of time.
//!
//! Tried and refused: a strip between tile and planes, so that each plane is
//! touched in one copy (slower by a tenth to a quarter); stores past the cache
//! (no faster without the strip).

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    _MM_HINT_T0, _mm_prefetch, _mm512_loadu_ps, _mm512_permutex2var_ps,
    _mm512_setr_epi32, _mm512_setzero_ps, _mm512_storeu_ps,
};
use std::mem::MaybeUninit;
use std::ops::Range;

use burn_flex::FlexTensor;

use crate::rows::{TASKS, task_size, written};
use crate::share::{Parts, share};

/// Rows that are turned at a time: a run of 256 bytes in each plane.
pub(crate) const TILE: usize = 64;

/// Rows and columns of a block: a vector, which is a cache line too.
const SIDE: usize = 16;

/// How many rows ahead the next are asked for.
const AHEAD: usize = 8;

/// A tensor [X, Y, C] whose rows of channels are dense.
pub(crate) struct ChannelRows(FlexTensor);

impl ChannelRows {
    /// Copies only what has another last stride than one, or a negative one.
    pub(crate) fn new(x: FlexTensor) -> Self {
        let (shape, strides) = (x.layout().shape(), x.layout().strides());
        let dense = shape[2] == 1 || strides[2] == 1;
        let dense = dense && strides.iter().all(|&s| s >= 0);
        Self(if dense { x } else { x.to_contiguous() })
    }

    pub(crate) fn view(&self) -> RowView<'_> {
        let layout = self.0.layout();
        let (shape, strides) = (layout.shape(), layout.strides());
        let (inner, width) = (shape[1], shape[2]);
        let [outer, step] = [0, 1].map(|i| strides[i].unsigned_abs());
        let values = &self.0.storage::<f32>()[layout.start_offset()..];
        let step = if inner == 1 { outer } else { step };
        // Rows as far apart from one `x` to the next as within one.
        let even = shape[0] == 1 || outer == inner * step;
        let outer = if even { None } else { Some((inner, outer)) };
        RowView { values, width, step, outer }
    }
}

/// The rows of [`ChannelRows`].
#[derive(Clone, Copy)]
pub(crate) struct RowView<'a> {
    values: &'a [f32],
    width: usize,
    step: usize,
    /// Rows of one `x` and the distance to the next, where that is not `step`
    /// for each.
    outer: Option<(usize, usize)>,
}

impl<'a> RowView<'a> {
    /// The first `width` channels of row `n = x Y + y`; where others lie
    /// between, those of a later row are asked for.
    pub(crate) fn row(self, n: usize, width: usize) -> &'a [f32] {
        assert!(width <= self.width);
        if self.step > width {
            let start = self.start(n + AHEAD);
            if let Some(later) = self.values.get(start..start + width) {
                prefetch(later);
            }
        }
        &self.values[self.start(n)..][..width]
    }

    fn start(self, n: usize) -> usize {
        match self.outer {
            None => n * self.step,
            Some((inner, outer)) => n / inner * outer + n % inner * self.step,
        }
    }
}

/// A tensor [C, X, Y] whose planes are dense.
pub(crate) struct Planes {
    x: FlexTensor,
    channels: usize,
    /// Numbers of a plane, and from one to the next.
    len: usize,
    stride: usize,
}

impl Planes {
    /// Copies only what has other planes than dense ones.
    pub(crate) fn new(x: FlexTensor) -> Self {
        let (shape, strides) = (x.layout().shape(), x.layout().strides());
        let [rows, cols] = [shape[1], shape[2]];
        let dense = (cols == 1 || strides[2] == 1)
            && (rows == 1 || strides[1] == cols as isize)
            && strides.iter().all(|&s| s >= 0);
        let x = if dense { x } else { x.to_contiguous() };
        let stride = x.layout().strides()[0].unsigned_abs();
        let shape = x.layout().shape();
        let (channels, len) = (shape[0], shape[1] * shape[2]);
        Self { x, channels, len, stride }
    }

    /// The rows of channels from `first` on, as many as `out` holds; those
    /// after them are asked for.
    pub(crate) fn rows<'a>(
        &self,
        first: usize,
        out: &'a mut [MaybeUninit<f32>],
    ) -> &'a mut [f32] {
        let (width, count) = (self.channels, out.len() / self.channels);
        assert!(first + count <= self.len);
        let start = self.x.layout().start_offset() + first;
        let x = &self.x.storage::<f32>()[start..];
        let later = count..(2 * count).min(self.len - first);
        for from in (0..width).step_by(SIDE) {
            let size = [SIDE.min(width - from), count];
            let x = &x[from * self.stride..];
            for c in 0..size[0] {
                prefetch(&x[c * self.stride..][later.clone()]);
            }
            let out = &mut out[from..];
            #[expect(unsafe_code, reason = "one writer for slices and parts")]
            // SAFETY: `out` holds `count` rows of what is left of `width`.
            unsafe {
                turn(x, self.stride, out.as_mut_ptr(), width, size);
            }
        }
        written(out)
    }
}

/// Writes rows of `width` channels, from number `first` on, to planes of `len`
/// numbers.
///
/// # Safety
/// No one else may use these rows' numbers of the planes at the time.
#[expect(unsafe_code, reason = "tasks write rows of the same planes")]
pub(crate) unsafe fn to_planes(
    rows: &[f32],
    width: usize,
    planes: &Parts<'_>,
    len: usize,
    first: usize,
) {
    let count = rows.len() / width;
    for from in (0..width).step_by(SIDE) {
        let size = [count, SIDE.min(width - from)];
        let span = (size[1] - 1) * len + count;
        let to = planes.place(from * len + first, span);
        // SAFETY: the span is the planes', its cells the caller's promise.
        unsafe {
            turn(&rows[from..], width, to, len, size);
        }
    }
}

/// Asks for the lines of a slice, which will soon be read.
#[inline(always)]
fn prefetch(x: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for line in x.chunks(SIDE) {
        #[expect(unsafe_code, reason = "an instruction without effect")]
        // SAFETY: it reads nothing that a program could see.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = x;
}

/// Rows of `width` numbers that one task gets of `count`.
pub(crate) fn rows_a_task(count: usize, width: usize) -> usize {
    task_size(count * width, width, TASKS) / width.max(1)
}

/// Runs `work` on ranges of `count` rows of `width` numbers, in parallel.
pub(crate) fn share_rows(
    count: usize,
    width: usize,
    work: impl Fn(Range<usize>) + Sync,
) {
    let size = rows_a_task(count, width);
    share(count.div_ceil(size), &|task| {
        work(task * size..count.min((task + 1) * size));
    });
}

/// A range in pieces of [`TILE`].
pub(crate) fn tiles(range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range.step_by(TILE).map(move |from| from..end.min(from + TILE))
}

/// Bytes that tasks hold, one a worker, each a tile of rows of `width`.
pub(crate) fn tile_bytes(count: usize, width: usize) -> u64 {
    let tasks = count.div_ceil(rows_a_task(count, width));
    let workers = rayon::current_num_threads().min(tasks);
    (workers * count.min(TILE) * width * size_of::<f32>()) as u64
}

/// `to[j to_row + i] = from[i from_row + j]` for `i` below `rows` and `j` below
/// `cols`, in blocks of 16 times 16 where the processor has such vectors.
///
/// # Safety
/// The cells written are there, and no one else uses them at the time.
#[expect(unsafe_code, reason = "cells may be strewn among others' cells")]
pub(crate) unsafe fn turn(
    from: &[f32],
    from_row: usize,
    to: *mut MaybeUninit<f32>,
    to_row: usize,
    [rows, cols]: [usize; 2],
) {
    if rows == 0 || cols == 0 {
        return;
    }
    assert!((rows - 1) * from_row + cols <= from.len());
    let mut done = [0; 2];
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx512f") {
        let blocks = [rows / SIDE, cols / SIDE];
        // SAFETY: the feature was detected; whole blocks lie within `rows` and
        // `cols`, which `from` holds and the caller promises of `to`.
        unsafe {
            turn_blocks(from.as_ptr(), from_row, to.cast(), to_row, blocks);
        }
        done = blocks.map(|count| count * SIDE);
    }
    // SAFETY: as above.
    unsafe {
        turn_rest(from, from_row, to, to_row, [rows, cols], done);
    }
}

/// What lies beyond the first `done` rows or columns.
///
/// # Safety
/// As [`turn`].
#[expect(unsafe_code, reason = "as `turn`")]
unsafe fn turn_rest(
    from: &[f32],
    from_row: usize,
    to: *mut MaybeUninit<f32>,
    to_row: usize,
    [rows, cols]: [usize; 2],
    done: [usize; 2],
) {
    for j in 0..cols {
        let first = if j < done[1] { done[0] } else { 0 };
        for i in first..rows {
            let x = MaybeUninit::new(from[i * from_row + j]);
            // SAFETY: the caller's promise.
            unsafe {
                to.add(j * to_row + i).write(x);
            }
        }
    }
}

/// Blocks turned in registers. Interleaving vector `k` with `k + 8`, for all
/// `k`, turns the eight bits of a number's place `(row, column)` by one; four
/// times exchanges row and column.
///
/// # Safety
/// The processor has AVX-512, and all blocks lie in memory of their own.
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "SIMD instructions")]
#[target_feature(enable = "avx512f")]
unsafe fn turn_blocks(
    from: *const f32,
    from_row: usize,
    to: *mut f32,
    to_row: usize,
    blocks: [usize; 2],
) {
    let low = _mm512_setr_epi32(
        0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23,
    );
    let high = _mm512_setr_epi32(
        8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31,
    );
    for i in 0..blocks[0] {
        for j in 0..blocks[1] {
            let mut x = [_mm512_setzero_ps(); SIDE];
            for (k, x) in x.iter_mut().enumerate() {
                let at = (i * SIDE + k) * from_row + j * SIDE;
                // SAFETY: within the caller's memory.
                *x = unsafe { _mm512_loadu_ps(from.add(at)) };
            }
            for _ in 0..4 {
                let before = x;
                for k in 0..SIDE / 2 {
                    let (a, b) = (before[k], before[k + SIDE / 2]);
                    x[2 * k] = _mm512_permutex2var_ps(a, low, b);
                    x[2 * k + 1] = _mm512_permutex2var_ps(a, high, b);
                }
            }
            for (k, x) in x.into_iter().enumerate() {
                let at = (j * SIDE + k) * to_row + i * SIDE;
                // SAFETY: as above.
                unsafe { _mm512_storeu_ps(to.add(at), x) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turning_exchanges_rows_and_columns_of_any_size() {
        for [rows, cols] in
            [[1, 1], [16, 16], [48, 16], [5, 40], [33, 17], [15, 64]]
        {
            let (from_row, to_row) = (cols + 3, rows + 2);
            let from: Vec<f32> =
                (0..rows * from_row).map(|i| i as f32).collect();
            let run = |blocks: bool| {
                let mut to = vec![MaybeUninit::new(-1.0); cols * to_row];
                let (cells, size) = (to.as_mut_ptr(), [rows, cols]);
                #[expect(unsafe_code, reason = "turns take pointers")]
                // SAFETY: `to` has as many rows as `from` has columns.
                unsafe {
                    if blocks {
                        turn(&from, from_row, cells, to_row, size);
                    } else {
                        turn_rest(&from, from_row, cells, to_row, size, [0; 2]);
                    }
                }
                written(&mut to).to_vec()
            };
            let turned = run(true);
            assert_eq!(turned, run(false));
            for j in 0..cols {
                for i in 0..to_row {
                    let of =
                        if i < rows { (i * from_row + j) as f32 } else { -1.0 };
                    assert_eq!(turned[j * to_row + i], of);
                }
            }
        }
    }

    #[test]
    fn tiles_cover_a_range_in_order() {
        let all: Vec<_> = tiles(10..10 + 2 * TILE + 1).flatten().collect();
        assert_eq!(all, (10..10 + 2 * TILE + 1).collect::<Vec<_>>());
        assert!(tiles(3..3).next().is_none());
    }
}
