//! Sums down the columns of a matrix, of few columns or many, vectorised.
//!
//! A matrix of few columns is read as one of a few rows side by side, so that
//! its width is a whole number of vectors; the sums of a column's copies are
//! added up at the end of a block.

use crate::math::{LANES, madd, multiversion};

/// Rows that are read side by side.
fn together(cols: usize) -> usize {
    if cols == 0 || cols >= 256 {
        1
    } else {
        LANES >> cols.trailing_zeros().min(LANES.trailing_zeros())
    }
}

/// Elements of a block, whole rows: 16 KB of `f32`, or 16 groups of rows, so
/// that few sums are joined; then its second reading comes from L2.
pub(crate) fn block_len(cols: usize) -> usize {
    let group = together(cols) * cols.max(1);
    (4096 / group).max(16) * group
}

/// The columns' values over and over, to about a thousand elements.
pub(crate) fn tiled(columns: &[f32]) -> Vec<f32> {
    tiled_to(1024, columns)
}

/// The columns' values over and over, to about `len` elements.
pub(crate) fn tiled_to(len: usize, columns: &[f32]) -> Vec<f32> {
    columns.repeat((len / columns.len().max(1)).max(1))
}

/// Count, means and sums of squares round them, of each column.
pub(crate) struct Moments {
    rows: f64,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl Moments {
    pub(crate) fn new(cols: usize) -> Self {
        Self { rows: 0.0, mean: vec![0.0; cols], squares: vec![0.0; cols] }
    }

    /// Takes further rows in.
    pub(crate) fn join(&mut self, other: &Self) {
        let others = other.mean.iter().copied();
        self.add(other.rows, others.zip(other.squares.iter().copied()));
    }

    #[inline(always)]
    fn add(&mut self, rows: f64, columns: impl Iterator<Item = (f64, f64)>) {
        let total = self.rows + rows;
        if total == 0.0 {
            return;
        }
        let (share, both) = (rows / total, self.rows * rows / total);
        let own = self.mean.iter_mut().zip(&mut self.squares);
        for ((mean, squares), (other_mean, other_squares)) in own.zip(columns) {
            let apart = other_mean - *mean;
            *mean += apart * share;
            *squares += other_squares + apart * apart * both;
        }
        self.rows = total;
    }

    /// Mean and biased variance of each of `groups` of neighbouring columns.
    pub(crate) fn of_groups(&self, groups: usize) -> Vec<[f64; 2]> {
        let width = (self.mean.len() / groups.max(1)).max(1);
        let columns = self.mean.chunks(width).zip(self.squares.chunks(width));
        columns
            .map(|(means, squares)| {
                let count = means.len() as f64;
                let mean = means.iter().sum::<f64>() / count;
                let apart: f64 =
                    means.iter().map(|m| (m - mean) * (m - mean)).sum();
                let within: f64 = squares.iter().sum();
                [mean, (within / self.rows + apart) / count]
            })
            .collect()
    }

    /// Means and biased variances.
    pub(crate) fn finish(self) -> (Vec<f32>, Vec<f32>) {
        let rows = self.rows;
        (
            self.mean.iter().map(|&x| x as f32).collect(),
            self.squares.iter().map(|x| (x / rows) as f32).collect(),
        )
    }
}

/// Adds the copies of each column up, into the first.
#[inline(always)]
fn fold(sums: &mut [f32], cols: usize) {
    let (first, rest) = sums.split_at_mut(cols);
    for copy in rest.chunks_exact(cols) {
        first.iter_mut().zip(copy).for_each(|(sum, x)| *sum += x);
    }
}

/// Copies the first `cols` elements over the rest.
#[inline(always)]
fn spread(columns: &mut [f32], cols: usize) {
    let (first, rest) = columns.split_at_mut(cols);
    rest.chunks_exact_mut(cols).for_each(|copy| copy.copy_from_slice(first));
}

/// `out[c] = f(f(0, x, centre), ..)` down the columns of `x`, as wide as
/// `out`; the last row may be short.
#[inline(always)]
fn down(
    x: &[f32],
    centre: &[f32],
    out: &mut [f32],
    f: impl Fn(f32, f32, f32) -> f32,
) {
    let width = out.len();
    let (whole, short) = x.split_at(x.len() / width * width);
    let (out_chunks, out_rest) = out.as_chunks_mut::<LANES>();
    let (centres, centre_rest) = centre.as_chunks::<LANES>();
    for (at, (out, centre)) in out_chunks.iter_mut().zip(centres).enumerate() {
        let mut lanes = [0.0; LANES];
        for row in whole.chunks_exact(width) {
            let chunk = &row.as_chunks::<LANES>().0[at];
            for i in 0..LANES {
                lanes[i] = f(lanes[i], chunk[i], centre[i]);
            }
        }
        *out = lanes;
    }
    let first = width / LANES * LANES;
    out_rest.fill(0.0);
    for row in whole.chunks_exact(width) {
        for ((sum, x), centre) in
            out_rest.iter_mut().zip(&row[first..]).zip(centre_rest)
        {
            *sum = f(*sum, *x, *centre);
        }
    }
    for ((sum, x), centre) in out.iter_mut().zip(short).zip(centre) {
        *sum = f(*sum, *x, *centre);
    }
}

multiversion! {
    /// The moments of `x`, rows of `cols`.
    pub(crate) fn moments(x: &[f32], cols: usize) -> Moments {
        let mut all = Moments::new(cols);
        if cols == 0 {
            return all;
        }
        let width = together(cols) * cols;
        let (mut sums, mut centre) = (vec![0.0; width], vec![0.0; width]);
        for block in x.chunks(block_len(cols)) {
            let rows = (block.len() / cols) as f32;
            down(block, &centre, &mut sums, |sum, x, _| sum + x);
            fold(&mut sums, cols);
            for (centre, sum) in centre.iter_mut().zip(&sums[..cols]) {
                *centre = sum / rows;
            }
            spread(&mut centre, cols);
            down(block, &centre, &mut sums, |sum, x, centre| {
                let apart = x - centre;
                madd::<FMA>(apart, apart, sum)
            });
            fold(&mut sums, cols);
            let columns = centre[..cols].iter().zip(&sums[..cols]);
            all.add(
                f64::from(rows),
                columns.map(|(m, s)| (f64::from(*m), f64::from(*s))),
            );
        }
        all
    }
}

multiversion! {
    /// Sums of `grad`, then of `grad * (x - mean)`, down the columns.
    pub(crate) fn centred_sums(grad: &[f32], x: &[f32], mean: &[f32]) -> Vec<f64> {
        let cols = mean.len();
        let mut all = vec![0.0; 2 * cols];
        if cols == 0 {
            return all;
        }
        let width = together(cols) * cols;
        let centre = mean.repeat(together(cols));
        let (mut plain, mut along) = (vec![0.0; width], vec![0.0; width]);
        let size = block_len(cols);
        for (grad, x) in grad.chunks(size).zip(x.chunks(size)) {
            down(grad, &centre, &mut plain, |sum, g, _| sum + g);
            down_both::<FMA>(grad, x, &centre, &mut along);
            fold(&mut plain, cols);
            fold(&mut along, cols);
            let sums = plain[..cols].iter().chain(&along[..cols]);
            for (all, sum) in all.iter_mut().zip(sums) {
                *all += f64::from(*sum);
            }
        }
        all
    }
}

/// Sums of `grad * (x - centre)`, as [`down`] forms them.
#[inline(always)]
fn down_both<const FMA: bool>(
    grad: &[f32],
    x: &[f32],
    centre: &[f32],
    out: &mut [f32],
) {
    let width = out.len();
    let full = x.len() / width * width;
    let rows =
        || grad[..full].chunks_exact(width).zip(x[..full].chunks_exact(width));
    let f = |sum: f32, g: f32, x: f32, m: f32| madd::<FMA>(g, x - m, sum);
    let (out_chunks, out_rest) = out.as_chunks_mut::<LANES>();
    let (centres, centre_rest) = centre.as_chunks::<LANES>();
    for (at, (out, centre)) in out_chunks.iter_mut().zip(centres).enumerate() {
        let mut lanes = [0.0; LANES];
        for (grad, x) in rows() {
            let grad = &grad.as_chunks::<LANES>().0[at];
            let x = &x.as_chunks::<LANES>().0[at];
            for i in 0..LANES {
                lanes[i] = f(lanes[i], grad[i], x[i], centre[i]);
            }
        }
        *out = lanes;
    }
    let first = width / LANES * LANES;
    out_rest.fill(0.0);
    for (grad, x) in rows() {
        let row = grad[first..].iter().zip(&x[first..]);
        for ((sum, (g, x)), m) in out_rest.iter_mut().zip(row).zip(centre_rest)
        {
            *sum = f(*sum, *g, *x, *m);
        }
    }
    let short = grad[full..].iter().zip(&x[full..]);
    for ((sum, (g, x)), m) in out.iter_mut().zip(short).zip(centre) {
        *sum = f(*sum, *g, *x, *m);
    }
}
