//! Products of a few rows with one panel of columns, of any number of rows:
//! the register tiles of [`crate::micro`] behind slices whose bounds are
//! checked.

use std::mem::MaybeUninit;

use crate::micro::{Level, PANEL, ROWS, Sums, Walk, tile, tiles};

/// Sums that start from nothing.
pub(super) static ZERO: [f32; PANEL] = [0.0; PANEL];

/// `sum_k a[m, k] b[k, n]`, `k` running as `walk` says: `rows` rows of `a`,
/// each `row` after the one before, and `cols` columns, a panel at most.
pub(super) struct Product<'a> {
    pub(super) level: Level,
    pub(super) a: &'a [f32],
    pub(super) row: usize,
    pub(super) rows: usize,
    /// Each step of the walk finds a whole panel there, beyond `cols` too.
    pub(super) b: &'a [f32],
    pub(super) walk: Walk,
    pub(super) cols: usize,
}

impl Product<'_> {
    /// `out = start + product`, rows of `out` every `out_row` cells; `start` is
    /// a panel for all rows.
    pub(super) fn write(
        &self,
        out: &mut [MaybeUninit<f32>],
        out_row: usize,
        start: &[f32],
    ) {
        assert!(start.len() >= PANEL);
        assert!(self.fits(out.len(), out_row, self.cols));
        let to = out.as_mut_ptr().cast::<f32>();
        #[expect(unsafe_code, reason = "register tiles take pointers")]
        // SAFETY: `a`, `b`, `out` and `start` are as long as checked; `out` is
        // borrowed mutably.
        unsafe {
            self.run(start.as_ptr(), 0, to, out_row);
        }
    }

    /// As [`Self::write`], over values.
    pub(super) fn set(&self, out: &mut [f32], out_row: usize, start: &[f32]) {
        assert!(start.len() >= PANEL);
        assert!(self.fits(out.len(), out_row, self.cols));
        let to = out.as_mut_ptr();
        #[expect(unsafe_code, reason = "register tiles take pointers")]
        // SAFETY: as in `write`.
        unsafe {
            self.run(start.as_ptr(), 0, to, out_row);
        }
    }

    /// `out += product`; each row of `out` has a whole panel.
    pub(super) fn add(&self, out: &mut [f32], out_row: usize) {
        assert!(self.fits(out.len(), out_row, PANEL));
        let to = out.as_mut_ptr();
        #[expect(unsafe_code, reason = "register tiles take pointers")]
        // SAFETY: as in `write`; a tile reads its sums before it writes them.
        unsafe {
            self.run(to.cast_const(), out_row, to, out_row);
        }
    }

    /// Whether the factors hold all that the walk reaches, and an output of
    /// `len` cells `wide` of them a row.
    fn fits(&self, len: usize, out_row: usize, wide: usize) -> bool {
        let Walk { outer, inner, a, b } = self.walk;
        let (Some(rows), Some(outer), Some(inner)) = (
            self.rows.checked_sub(1),
            outer.checked_sub(1),
            inner.checked_sub(1),
        ) else {
            // Nothing of the factors is read.
            let rows = self.rows.saturating_sub(1);
            return self.cols <= PANEL && rows * out_row + wide <= len;
        };
        let a_last = rows * self.row + outer * a[0] + inner * a[1];
        let b_last = outer * b[0] + inner * b[1];
        self.cols <= PANEL
            && a_last < self.a.len()
            && b_last + PANEL <= self.b.len()
            && rows * out_row + wide <= len
    }

    /// # Safety
    /// [`Self::fits`] was asked, and `init` holds a panel a row.
    #[expect(unsafe_code, reason = "register tiles take pointers")]
    unsafe fn run(
        &self,
        init: *const f32,
        init_row: usize,
        out: *mut f32,
        out_row: usize,
    ) {
        for rows in tiles(self.rows, self.level.rows()) {
            let mut a = [self.a.as_ptr(); ROWS];
            for (a, row) in a.iter_mut().zip(rows.clone()) {
                *a = a.wrapping_add(row * self.row);
            }
            let sums = Sums {
                init: init.wrapping_add(rows.start * init_row),
                init_row,
                out: out.wrapping_add(rows.start * out_row),
                out_row,
                cols: self.cols,
                relu: false,
            };
            let (a, b) = (&a[..rows.len()], self.b.as_ptr());
            // SAFETY: the caller's promise.
            unsafe {
                tile(self.level, a, b, &self.walk, &sums);
            }
        }
    }
}
