//! Products with few rows, at the speed of memory.
//!
//! With one row every weight is used once, so the time is that of reading the
//! weights. Rows of `W` are read one after the other, in pieces that threads
//! claim: one sequential stream a thread is what the prefetchers follow best.
//!
//! The ladder is in the header of `linear.rs`.

use std::mem::MaybeUninit;

use crate::math::{madd, multiversion};
use crate::rows::written;
use crate::share::{Parts, share, share_values};

/// Rows of `x` up to which this is faster than `gemm`: of 9 rows in nearly every
/// pair of runs, of 12 in most, of 16 as often as not.
pub(crate) const THIN: usize = 12;

/// Elements of `W` that a task reads: 256 KB. With 64 KB the stream breaks too
/// often and a quarter of the speed is lost.
const PIECE: usize = 64 * 1024;

/// Elements of `W` below which one thread is faster.
const WORTH_THREADS: usize = 16 * 1024;

/// `out[m, o] = x[m] . w[o] + bias[o]` for up to [`THIN`] rows of `x`.
pub(crate) fn dots(
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    [rows, inner, outer]: [usize; 3],
    out: &mut [MaybeUninit<f32>],
) {
    assert!(rows <= THIN && x.len() == rows * inner);
    assert!(w.len() == inner * outer && out.len() == rows * outer);
    let piece = if w.len() < WORTH_THREADS {
        outer
    } else {
        let even = outer.div_ceil(rayon::current_num_threads());
        (PIECE / inner.max(1)).clamp(1, even.max(1))
    };
    let out = Parts::new(out);
    share(outer.div_ceil(piece.max(1)), &|task| {
        let first = task * piece;
        let count = piece.min(outer - first);
        let mut parts: [&mut [MaybeUninit<f32>]; THIN] = Default::default();
        for (row, part) in parts.iter_mut().enumerate().take(rows) {
            #[expect(unsafe_code, reason = "each task has its own columns")]
            // SAFETY: parts of different tasks and rows do not overlap.
            let cells = unsafe { out.part(row * outer + first, count) };
            *part = cells;
        }
        let bias = bias.map(|bias| &bias[first..first + count]);
        let w = &w[first * inner..(first + count) * inner];
        dot_rows(x, w, bias, inner, &mut parts[..rows]);
    });
}

multiversion! {
    fn dot_rows(x: &[f32], w: &[f32], bias: Option<&[f32]>, inner: usize, out: &mut [&mut [MaybeUninit<f32>]]) {
        let count = out[0].len();
        for o in 0..count {
            let w = &w[o * inner..(o + 1) * inner];
            let bias = bias.map_or(0.0, |bias| bias[o]);
            let mut row = 0;
            // The row of W comes from L1 after its first use.
            while row < out.len() {
                let x = &x[row * inner..];
                if out.len() - row == 1 {
                    out[row][o].write(one_dot::<FMA>(x, w) + bias);
                    row += 1;
                } else {
                    let [first, second] = two_dots::<FMA>(x, w);
                    out[row][o].write(first + bias);
                    out[row + 1][o].write(second + bias);
                    row += 2;
                }
            }
        }
    }
}

/// Lanes of one vector: one AVX-512 register, or two of AVX2.
const VECTOR: usize = 16;

type Vector = [f32; VECTOR];

#[inline(always)]
fn add_product<const FMA: bool>(sum: &mut Vector, a: &Vector, b: &Vector) {
    for i in 0..VECTOR {
        sum[i] = madd::<FMA>(a[i], b[i], sum[i]);
    }
}

#[inline(always)]
fn total(mut lanes: Vector) -> f32 {
    let mut half = VECTOR / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// What lies beyond the last whole vector.
#[inline(always)]
fn rest(x: &[f32], w: &[f32]) -> f32 {
    let (_, w_rest) = w.as_chunks::<VECTOR>();
    let x = &x[w.len() - w_rest.len()..w.len()];
    x.iter().zip(w_rest).map(|(x, w)| x * w).sum()
}

// The two below are written out, not generic over the number of rows: the
// compiler keeps named sums in registers. With an array of four rows of sums it
// gave a tenth of the speed, and four named ones were slower than two passes.

/// One row of `x`: four chains hide the latency of the additions.
#[inline(always)]
fn one_dot<const FMA: bool>(x: &[f32], w: &[f32]) -> f32 {
    let (wv, _) = w.as_chunks::<VECTOR>();
    let (xv, _) = x[..w.len()].as_chunks::<VECTOR>();
    let [mut a, mut b, mut c, mut d] = [[0.0; VECTOR]; 4];
    let (w4, w_last) = wv.as_chunks::<4>();
    let (x4, x_last) = xv.as_chunks::<4>();
    for (w, x) in w4.iter().zip(x4) {
        add_product::<FMA>(&mut a, &w[0], &x[0]);
        add_product::<FMA>(&mut b, &w[1], &x[1]);
        add_product::<FMA>(&mut c, &w[2], &x[2]);
        add_product::<FMA>(&mut d, &w[3], &x[3]);
    }
    for (w, x) in w_last.iter().zip(x_last) {
        add_product::<FMA>(&mut a, w, x);
    }
    for i in 0..VECTOR {
        a[i] = (a[i] + b[i]) + (c[i] + d[i]);
    }
    total(a) + rest(x, w)
}

/// Two rows of `x`, two chains each.
#[inline(always)]
fn two_dots<const FMA: bool>(x: &[f32], w: &[f32]) -> [f32; 2] {
    let (x0, x1) = (&x[..w.len()], &x[w.len()..2 * w.len()]);
    let (wv, _) = w.as_chunks::<VECTOR>();
    let (x0v, _) = x0.as_chunks::<VECTOR>();
    let (x1v, _) = x1.as_chunks::<VECTOR>();
    let [mut a, mut b, mut c, mut d] = [[0.0; VECTOR]; 4];
    let (w2, w_last) = wv.as_chunks::<2>();
    let (x02, x0_last) = x0v.as_chunks::<2>();
    let (x12, x1_last) = x1v.as_chunks::<2>();
    for ((w, x0), x1) in w2.iter().zip(x02).zip(x12) {
        add_product::<FMA>(&mut a, &w[0], &x0[0]);
        add_product::<FMA>(&mut b, &w[1], &x0[1]);
        add_product::<FMA>(&mut c, &w[0], &x1[0]);
        add_product::<FMA>(&mut d, &w[1], &x1[1]);
    }
    for ((w, x0), x1) in w_last.iter().zip(x0_last).zip(x1_last) {
        add_product::<FMA>(&mut a, w, x0);
        add_product::<FMA>(&mut c, w, x1);
    }
    for i in 0..VECTOR {
        a[i] += b[i];
        c[i] += d[i];
    }
    [total(a) + rest(x0, w), total(c) + rest(x1, w)]
}

/// `out[j] = sum_k a[k] b[k, j]` for rows of `b` that lie one after the other:
/// each thread streams its own rows and adds them up, then the sums are added.
pub(crate) fn combine(a: &[f32], b: &[f32], out: &mut [MaybeUninit<f32>]) {
    let cols = out.len();
    assert!(b.len() == a.len() * cols);
    let tasks = combine_tasks(a.len(), cols);
    if tasks < 2 {
        out.fill(MaybeUninit::new(0.0));
        add_rows(a, b, written(out));
        return;
    }
    let each = a.len().div_ceil(tasks);
    let mut partial = vec![0.0f32; tasks * cols];
    share_values(&mut partial, cols, |task, sums| {
        let rows = (task * each).min(a.len())..((task + 1) * each).min(a.len());
        add_rows(
            &a[rows.clone()],
            &b[rows.start * cols..rows.end * cols],
            sums,
        );
    });
    for (j, out) in out.iter_mut().enumerate() {
        out.write((0..tasks).map(|task| partial[task * cols + j]).sum());
    }
}

/// Tasks of [`combine`], each with sums of its own.
pub(crate) fn combine_tasks(inner: usize, cols: usize) -> usize {
    if inner * cols < WORTH_THREADS {
        1
    } else {
        rayon::current_num_threads().min(inner)
    }
}

multiversion! {
    /// Adds `a[k]` times row `k` of `b` to `sums`.
    fn add_rows(a: &[f32], b: &[f32], sums: &mut [f32]) {
        if sums.is_empty() {
            return;
        }
        for (a, b) in a.iter().zip(b.chunks_exact(sums.len())) {
            for (sum, b) in sums.iter_mut().zip(b) {
                *sum = madd::<FMA>(*a, *b, *sum);
            }
        }
    }
}
