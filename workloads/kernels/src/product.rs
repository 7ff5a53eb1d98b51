//! Matrix products through the `gemm` crate, on strided views, into memory
//! that is written once.
//!
//! The engine's product reaches the same crate, but zeroes its output first
//! and then copies it once (`../shared/facts/burn.md`).

use std::mem::MaybeUninit;

use gemm::Parallelism;

/// A view of a matrix: element `(i, j)` lies at `i * row + j * col`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    values: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    row: usize,
    col: usize,
}

impl<'a> Matrix<'a> {
    /// # Panics
    /// When the matrix reaches beyond `values`.
    pub(crate) fn new(
        values: &'a [f32],
        [rows, cols]: [usize; 2],
        [row, col]: [usize; 2],
    ) -> Self {
        assert!(fits(values.len(), [rows, cols], [row, col]));
        Self { values, rows, cols, row, col }
    }

    /// Rows that lie one after the other.
    pub(crate) fn dense(values: &'a [f32], rows: usize, cols: usize) -> Self {
        Self::new(values, [rows, cols], [cols, 1])
    }

    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row: self.col,
            col: self.row,
            ..self
        }
    }

    /// The rows from `first`, `count` of them.
    pub(crate) fn rows_from(self, first: usize, count: usize) -> Self {
        assert!(count > 0 && first + count <= self.rows);
        let values = &self.values[first * self.row..];
        Self { values, rows: count, ..self }
    }

    /// The values, where rows lie one after the other.
    pub(crate) fn dense_values(self) -> Option<&'a [f32]> {
        let dense = (self.col == 1 || self.cols == 1)
            && (self.row == self.cols || self.rows == 1);
        dense.then(|| &self.values[..self.rows * self.cols])
    }
}

fn fits(len: usize, size: [usize; 2], stride: [usize; 2]) -> bool {
    let [rows, cols] = size;
    rows == 0
        || cols == 0
        || (rows - 1) * stride[0] + (cols - 1) * stride[1] < len
}

/// What becomes of the output's old values.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Output {
    /// They are overwritten, and need not be there.
    Written,
    /// The product is added to them.
    Added,
}

/// `out[i, j] = scale * sum_k a[i, k] b[k, j]`, rows of `out` beginning every
/// `row` cells; on all of the pool's threads or on the caller's alone.
///
/// # Safety
/// With [`Output::Added`] the cells of `out` must have been written. Cells
/// between the rows are not touched; no other thread may use the written ones.
#[expect(unsafe_code, reason = "gemm takes pointers")]
pub(crate) unsafe fn product_at(
    out: *mut MaybeUninit<f32>,
    row: usize,
    a: Matrix<'_>,
    b: Matrix<'_>,
    scale: f32,
    output: Output,
    parallelism: Parallelism,
) {
    assert_eq!(a.cols, b.rows, "inner dimensions differ");
    // SAFETY: the views fit their slices (`Matrix::new`), the output is the
    // caller's promise.
    unsafe {
        gemm::gemm(
            a.rows,
            b.cols,
            a.cols,
            out.cast::<f32>(),
            1,
            row as isize,
            output == Output::Added,
            a.values.as_ptr(),
            a.col as isize,
            a.row as isize,
            b.values.as_ptr(),
            b.col as isize,
            b.row as isize,
            1.0,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// `out = scale * a b`, rows of `out` beginning every `row` cells.
pub(crate) fn product(
    out: &mut [MaybeUninit<f32>],
    row: usize,
    a: Matrix<'_>,
    b: Matrix<'_>,
    scale: f32,
    parallelism: Parallelism,
) {
    assert!(fits(out.len(), [a.rows, b.cols], [row, 1]));
    #[expect(unsafe_code, reason = "see product_at")]
    // SAFETY: `out` is borrowed mutably and long enough.
    unsafe {
        product_at(
            out.as_mut_ptr(),
            row,
            a,
            b,
            scale,
            Output::Written,
            parallelism,
        );
    }
}

/// Memory that a product packs its operands into while it runs: 0.1 to 0.4 MB
/// were seen in the allocation log for products of 16 to 512 rows, with no
/// simple rule in the shape (`gemm` chooses its blocks by the caches). A
/// middle value; it shows in models of a megabyte only.
pub(crate) fn packing_bytes(m: usize, n: usize, k: usize) -> u64 {
    if m <= crate::thin::THIN || m * n * k < WORTH_THREADS {
        0
    } else {
        160_000
    }
}

/// Multiply-adds from which a product is worth a second thread.
pub(crate) const WORTH_THREADS: usize = 64 * 64 * 64;

/// All of the pool's threads where the product is large enough.
pub(crate) fn threads(m: usize, n: usize, k: usize) -> Parallelism {
    if m * n * k < WORTH_THREADS {
        Parallelism::None
    } else {
        Parallelism::Rayon(0)
    }
}
