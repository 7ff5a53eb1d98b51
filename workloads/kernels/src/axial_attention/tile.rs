//! Products of rows with panels of columns: the register tiles of
//! [`crate::micro`] behind slices whose bounds are checked.

use crate::micro::{Level, PANEL, ROWS, Sums, Walk, tile, tiles};

/// Half a panel: what columns are padded to a multiple of.
pub(super) const HALF: usize = PANEL / 2;

static ZERO: [f32; PANEL] = [0.0; PANEL];

/// What a product is added to.
#[derive(Clone, Copy)]
pub(super) enum Start<'a> {
    /// Nothing.
    Zero,
    /// These values, of which row `i` begins at `i` times the distance.
    From(&'a [f32], usize),
    /// The output's own.
    Output,
}

/// `sum_k left[i, k] right[k, j]`.
#[derive(Clone, Copy)]
pub(super) struct Product<'a> {
    pub(super) level: Level,
    pub(super) left: &'a [f32],
    /// Distances of `left`'s rows and steps.
    pub(super) strides: [usize; 2],
    pub(super) rows: usize,
    pub(super) steps: usize,
    pub(super) right: &'a [f32],
    /// Distance of `right`'s steps, whose columns lie side by side.
    pub(super) right_row: usize,
}

impl Product<'_> {
    /// One panel of columns or half of one, `cols`; rows of `out` every
    /// `out_row` values.
    pub(super) fn run(
        &self,
        cols: usize,
        start: Start<'_>,
        out: &mut [f32],
        out_row: usize,
    ) {
        assert!(cols == PANEL || cols == HALF, "columns come in panels");
        assert!(self.rows > 0 && self.steps > 0, "nothing to multiply");
        let (row, step) = (self.rows - 1, self.steps - 1);
        let [left_row, left_step] = self.strides;
        assert!(row * left_row + step * left_step < self.left.len());
        assert!(step * self.right_row + cols <= self.right.len());
        assert!(row * out_row + cols <= out.len());
        let out = out.as_mut_ptr();
        let (init, init_row) = match start {
            Start::Zero => (ZERO.as_ptr(), 0),
            Start::From(values, distance) => {
                assert!(row * distance + cols <= values.len());
                (values.as_ptr(), distance)
            }
            Start::Output => (out.cast_const(), out_row),
        };
        let walk = Walk {
            outer: 1,
            inner: self.steps,
            a: [0, left_step],
            b: [0, self.right_row],
        };
        for rows in tiles(self.rows, self.level.rows()) {
            let mut a = [self.left.as_ptr(); ROWS];
            for (a, row) in a.iter_mut().zip(rows.clone()) {
                *a = a.wrapping_add(row * left_row);
            }
            let sums = Sums {
                init: init.wrapping_add(rows.start * init_row),
                init_row,
                out: out.wrapping_add(rows.start * out_row),
                out_row,
                cols,
                relu: false,
            };
            #[expect(unsafe_code, reason = "register tiles take pointers")]
            // SAFETY: both factors, the start and the output were checked to
            // hold all rows, steps and columns; a tile reads its start before
            // it writes, and `out` is borrowed mutably.
            unsafe {
                let right = self.right.as_ptr();
                tile(self.level, &a[..rows.len()], right, &walk, &sums);
            }
        }
    }

    /// All of `width` columns, a multiple of [`HALF`], panel by panel.
    pub(super) fn across(
        &self,
        width: usize,
        start: Start<'_>,
        out: &mut [f32],
        out_row: usize,
    ) {
        for first in (0..width).step_by(PANEL) {
            let start = match start {
                Start::From(values, distance) => {
                    Start::From(&values[first..], distance)
                }
                Start::Zero | Start::Output => start,
            };
            let panel = Product { right: &self.right[first..], ..*self };
            let cols = PANEL.min(width - first);
            panel.run(cols, start, &mut out[first..], out_row);
        }
    }
}
