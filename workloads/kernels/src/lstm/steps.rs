//! The recurrence on Flex: steps forward, steps backward, and the weight's
//! gradient.

use std::mem::MaybeUninit;

use burn::backend::TensorMetadata;
use burn::tensor::Shape;
use burn_flex::FlexTensor;
use gemm::Parallelism;

use super::hidden_shape;
use crate::door::{contiguous, tensor, values};
use crate::math::{madd, multiversion, sigmoid, tanh};
use crate::product::{Matrix, Output, product_at};
use crate::rows::{fill, written};
use crate::share::{Parts, share, share_parts};

/// Rows of the batch that a task runs at most: so few that `gemm` does not
/// pack the weight again in each step (it does above 48 on AVX-512).
const ROWS: usize = 48;

/// Columns of a panel: so few that `gemm` does not pack the states (it does
/// above 128 on AVX-512).
const PANEL: usize = 128;

/// The right factor of each step's product as panels of a few columns. `gemm`
/// reads each from one end to the other; rows of the whole matrix would lie
/// pages apart.
struct Panels {
    values: Vec<f32>,
    rows: usize,
    cols: usize,
}

impl Panels {
    fn new([rows, cols]: [usize; 2], at: impl Fn(usize, usize) -> f32) -> Self {
        let mut values = Vec::with_capacity(rows * cols);
        for first in (0..cols).step_by(PANEL) {
            let end = (first + PANEL).min(cols);
            for row in 0..rows {
                values.extend((first..end).map(|col| at(row, col)));
            }
        }
        Self { values, rows, cols }
    }

    /// `out = a self`, or `out += a self`; rows of `out` begin every `row`
    /// elements.
    fn product(
        &self,
        out: &mut [f32],
        row: usize,
        a: Matrix<'_>,
        output: Output,
    ) {
        assert!((a.rows - 1) * row + self.cols <= out.len());
        let panels = self.values.chunks(PANEL * self.rows);
        for (number, panel) in panels.enumerate() {
            let cols = panel.len() / self.rows;
            let out = cells_of(&mut out[number * PANEL..]);
            #[expect(unsafe_code, reason = "see product_at")]
            // SAFETY: `out` holds values, is borrowed mutably and, as was just
            // asserted, long enough.
            unsafe {
                product_at(
                    out.as_mut_ptr(),
                    row,
                    a,
                    Matrix::dense(panel, self.rows, cols),
                    1.0,
                    output,
                    Parallelism::None,
                );
            }
        }
    }
}

/// Sizes of a recurrence.
#[derive(Clone, Copy)]
struct Sizes {
    steps: usize,
    units: usize,
}

impl Sizes {
    /// Elements of a sequence's gates, and of its hidden states.
    fn sequence(self) -> [usize; 2] {
        [self.steps * 4 * self.units, self.steps * self.units]
    }
}

/// Rows of a task: as many tasks as threads, or a multiple.
fn rows_a_task(batch: usize) -> usize {
    let threads = rayon::current_num_threads();
    let tasks = batch.div_ceil(ROWS).next_multiple_of(threads);
    batch.div_ceil(tasks.min(batch))
}

/// The tensor in storage that is its own alone.
fn own(x: FlexTensor) -> FlexTensor {
    let x = contiguous(x);
    let len = x.shape().num_elements();
    if x.is_unique() && x.bytes().len() == len * size_of::<f32>() {
        return x;
    }
    let from = values(&x);
    let copy = fill(len, |out| {
        share_parts(out, 64 * 1024, |first, out| {
            out.write_copy_of_slice(&from[first..first + out.len()]);
        });
    });
    tensor(copy, x.shape())
}

/// The same memory, to be shared by tasks.
fn cells_of(values: &mut [f32]) -> &mut [MaybeUninit<f32>] {
    #[expect(unsafe_code, reason = "one way to share for both kinds")]
    // SAFETY: layouts are equal, and only values are ever written to it.
    unsafe {
        &mut *(std::ptr::from_mut(values) as *mut [MaybeUninit<f32>])
    }
}

/// Hidden states, activated gates and, if they are to be kept, cells: else an
/// empty tensor.
pub(super) fn forward(
    gates: FlexTensor,
    w_hh: FlexTensor,
    keep: bool,
) -> (FlexTensor, FlexTensor, FlexTensor) {
    let mut gates = own(gates);
    let all = gates.shape();
    let sizes = Sizes { steps: all[1], units: all[2] / 4 };
    let shape = hidden_shape(&all);
    let len = shape.num_elements();
    let (w_hh, units) = (contiguous(w_hh), sizes.units);
    let w = values(&w_hh);
    let w = Panels::new([units, 4 * units], |k, i| w[i * units + k]);
    let rows = rows_a_task(all[0]);
    let [wide, narrow] = sizes.sequence();
    let mut hidden = Vec::new();
    let cells = fill(if keep { len } else { 0 }, |cells| {
        let cells = Parts::new(cells);
        let gates = Parts::new(cells_of(gates.storage_mut::<f32>()));
        hidden = fill(len, |hidden| {
            let hidden = Parts::new(hidden);
            share(all[0].div_ceil(rows), &|task| {
                let first = task * rows;
                let count = rows.min(all[0] - first);
                #[expect(unsafe_code, reason = "each task has its own rows")]
                // SAFETY: parts of different tasks do not overlap.
                let (gates, hidden, cells) = unsafe {
                    (
                        gates.part(first * wide, count * wide),
                        hidden.part(first * narrow, count * narrow),
                        keep.then(|| {
                            cells.part(first * narrow, count * narrow)
                        }),
                    )
                };
                run(written(gates), &w, hidden, cells, sizes);
            });
        });
    });
    let kept = if keep { shape.clone() } else { Shape::new([0]) };
    (tensor(hidden, shape), gates, tensor(cells, kept))
}

/// All steps of some sequences.
fn run(
    gates: &mut [f32],
    w: &Panels,
    hidden: &mut [MaybeUninit<f32>],
    mut cells: Option<&mut [MaybeUninit<f32>]>,
    sizes: Sizes,
) {
    let Sizes { steps, units } = sizes;
    let [wide, narrow] = sizes.sequence();
    let rows = gates.len() / wide;
    let (mut h, mut c) = (vec![0.0; rows * units], vec![0.0; rows * units]);
    for t in 0..steps {
        let at = t * 4 * units;
        if t > 0 {
            let state = Matrix::dense(&h, rows, units);
            w.product(&mut gates[at..], wide, state, Output::Added);
        }
        step(&mut gates[at..], wide, &mut h, &mut c, units);
        let place = |row: usize| {
            let first = row * narrow + t * units;
            first..first + units
        };
        for (row, h) in h.chunks_exact(units).enumerate() {
            hidden[place(row)].write_copy_of_slice(h);
        }
        if let Some(cells) = &mut cells {
            for (row, c) in c.chunks_exact(units).enumerate() {
                cells[place(row)].write_copy_of_slice(c);
            }
        }
    }
}

/// Units that are computed at a time. Arrays of them are loaded before any is
/// stored, so the compiler needs no proof that the slices do not overlap.
const LANES: usize = 16;

/// Copies the lanes from `at` on, the rest zero.
#[inline(always)]
fn load(x: &[f32], at: usize) -> [f32; LANES] {
    match x[at..].first_chunk() {
        Some(lanes) => *lanes,
        None => {
            let mut lanes = [0.0; LANES];
            lanes[..x.len() - at].copy_from_slice(&x[at..]);
            lanes
        }
    }
}

#[inline(always)]
fn store(lanes: [f32; LANES], x: &mut [f32], at: usize) {
    match x[at..].first_chunk_mut() {
        Some(out) => *out = lanes,
        None => {
            let count = x.len() - at;
            x[at..].copy_from_slice(&lanes[..count]);
        }
    }
}

/// The four gates of a row.
#[inline(always)]
fn split(row: &mut [f32], units: usize) -> [&mut [f32]; 4] {
    let (i, rest) = row.split_at_mut(units);
    let (f, rest) = rest.split_at_mut(units);
    let (g, rest) = rest.split_at_mut(units);
    [i, f, g, &mut rest[..units]]
}

multiversion! {
    /// One step of all rows: activates the gates, moves the cells `c` on,
    /// writes the states `h`. Rows of `gates` begin every `stride` elements.
    fn step(gates: &mut [f32], stride: usize, h: &mut [f32], c: &mut [f32], units: usize) {
        let states = h.chunks_exact_mut(units).zip(c.chunks_exact_mut(units));
        for (row, (h, c)) in gates.chunks_mut(stride).zip(states) {
            let [i, f, g, o] = split(row, units);
            for at in (0..units).step_by(LANES) {
                let mut i_lanes = load(i, at);
                let mut f_lanes = load(f, at);
                let mut g_lanes = load(g, at);
                let mut o_lanes = load(o, at);
                let mut c_lanes = load(c, at);
                let mut h_lanes = [0.0; LANES];
                for k in 0..LANES {
                    i_lanes[k] = sigmoid::<FMA>(i_lanes[k]).0;
                    f_lanes[k] = sigmoid::<FMA>(f_lanes[k]).0;
                    g_lanes[k] = tanh::<FMA>(g_lanes[k]);
                    o_lanes[k] = sigmoid::<FMA>(o_lanes[k]).0;
                    let new = i_lanes[k] * g_lanes[k];
                    c_lanes[k] = madd::<FMA>(f_lanes[k], c_lanes[k], new);
                    h_lanes[k] = o_lanes[k] * tanh::<FMA>(c_lanes[k]);
                }
                store(i_lanes, i, at);
                store(f_lanes, f, at);
                store(g_lanes, g, at);
                store(o_lanes, o, at);
                store(c_lanes, c, at);
                store(h_lanes, h, at);
            }
        }
    }
}

/// The gradient of the sums, over the activated gates.
pub(super) fn backward(
    grad: FlexTensor,
    w_hh: FlexTensor,
    activated: FlexTensor,
    cells: FlexTensor,
) -> FlexTensor {
    let (grad, w_hh, cells) =
        (contiguous(grad), contiguous(w_hh), contiguous(cells));
    let mut gates = own(activated);
    let all = gates.shape();
    let sizes = Sizes { steps: all[1], units: all[2] / 4 };
    let (grad, cells) = (values(&grad), values(&cells));
    let (w, units) = (values(&w_hh), sizes.units);
    let w = Panels::new([4 * units, units], |i, k| w[i * units + k]);
    let [wide, narrow] = sizes.sequence();
    let parts = cells_of(gates.storage_mut::<f32>());
    share_parts(parts, rows_a_task(all[0]) * wide, |first, gates| {
        let rows = gates.len() / wide;
        let first = first / wide * narrow;
        let own = first..first + rows * narrow;
        run_back(written(gates), &w, &grad[own.clone()], &cells[own], sizes);
    });
    gates
}

/// All steps of some sequences, from the last to the first.
fn run_back(
    gates: &mut [f32],
    w: &Panels,
    grad: &[f32],
    cells: &[f32],
    sizes: Sizes,
) {
    let Sizes { steps, units } = sizes;
    let [wide, _] = sizes.sequence();
    let rows = gates.len() / wide;
    let (mut dh, mut dc) = (vec![0.0; rows * units], vec![0.0; rows * units]);
    for t in (0..steps).rev() {
        let at = t * 4 * units;
        step_back(&mut gates[at..], grad, cells, &dh, &mut dc, t, sizes);
        if t > 0 {
            let sums = Matrix::new(&gates[at..], [rows, 4 * units], [wide, 1]);
            w.product(&mut dh, units, sums, Output::Written);
        }
    }
}

multiversion! {
    /// Step `t` of all rows: turns the activated gates into gradients of the
    /// sums, and the next step's part `dc` of the cells' gradient into this
    /// one's. `dh` is the next step's part of the states' gradient.
    fn step_back(gates: &mut [f32], grad: &[f32], cells: &[f32], dh: &[f32], dc: &mut [f32], t: usize, sizes: Sizes) {
        let units = sizes.units;
        let [_, narrow] = sizes.sequence();
        let zeros = [0.0; LANES];
        for row in 0..grad.len() / narrow {
            let from = row * narrow + t * units;
            let grad = &grad[from..from + units];
            let c = &cells[from..from + units];
            let before = (t > 0).then(|| &cells[from - units..from]);
            let dh = &dh[row * units..][..units];
            let dc = &mut dc[row * units..][..units];
            let gates = &mut gates[row * 4 * narrow..][..4 * units];
            let [i, f, g, o] = split(gates, units);
            for at in (0..units).step_by(LANES) {
                let mut i_lanes = load(i, at);
                let mut f_lanes = load(f, at);
                let mut g_lanes = load(g, at);
                let mut o_lanes = load(o, at);
                let (grad, dh) = (load(grad, at), load(dh, at));
                let c = load(c, at);
                let before = before.map_or(zeros, |c| load(c, at));
                let mut dc_lanes = load(dc, at);
                for k in 0..LANES {
                    let (i, f, g, o) = (i_lanes[k], f_lanes[k], g_lanes[k], o_lanes[k]);
                    let state = tanh::<FMA>(c[k]);
                    let dh = grad[k] + dh[k];
                    let slope = 1.0 - state * state;
                    let dc = madd::<FMA>(dh * o, slope, dc_lanes[k]);
                    i_lanes[k] = dc * g * i * (1.0 - i);
                    f_lanes[k] = dc * before[k] * f * (1.0 - f);
                    g_lanes[k] = dc * i * (1.0 - g * g);
                    o_lanes[k] = dh * state * o * (1.0 - o);
                    dc_lanes[k] = dc * f;
                }
                store(i_lanes, i, at);
                store(f_lanes, f, at);
                store(g_lanes, g, at);
                store(o_lanes, o, at);
                store(dc_lanes, dc, at);
            }
        }
    }
}

/// Rows of the weight that a product of its gradient has at most.
const BLOCK: usize = 256;

/// `dW = sum over b and t of d[b, t]^T h[b, t - 1]`: a product a sequence, or
/// a step where there are few.
pub(super) fn weight(grad: FlexTensor, hidden: FlexTensor) -> FlexTensor {
    let (grad, hidden) = (contiguous(grad), contiguous(hidden));
    let shape = hidden.shape();
    let [batch, steps, units] = [shape[0], shape[1], shape[2]];
    let outer = 4 * units;
    let (grad, hidden) = (values(&grad), values(&hidden));
    let by_step = steps <= 16 && steps < batch;
    let products = if by_step { steps - 1 } else { batch };
    // The factors of product `number`, rows of `W` from `first` on.
    let factors = |number: usize, first: usize, count: usize| {
        let (at, inner, stride) = if by_step {
            (number, batch, steps)
        } else {
            (number * steps, steps - 1, 1)
        };
        let d = &grad[(at + 1) * outer + first..];
        let h = &hidden[at * units..];
        (
            Matrix::new(d, [count, inner], [1, stride * outer]),
            Matrix::new(h, [inner, units], [stride * units, 1]),
        )
    };
    let dw = fill(outer * units, |dw| {
        if steps == 1 {
            dw.fill(MaybeUninit::new(0.0));
            return;
        }
        let rows = outer.div_ceil(rayon::current_num_threads());
        share_parts(dw, rows * units, |first, dw| {
            for number in 0..products {
                let output = match number {
                    0 => Output::Written,
                    _ => Output::Added,
                };
                for (block, dw) in dw.chunks_mut(BLOCK * units).enumerate() {
                    let first = first / units + block * BLOCK;
                    let (d, h) = factors(number, first, dw.len() / units);
                    #[expect(unsafe_code, reason = "see product_at")]
                    // SAFETY: all of the block is borrowed mutably; the first
                    // product has written it before others are added.
                    unsafe {
                        product_at(
                            dw.as_mut_ptr(),
                            units,
                            d,
                            h,
                            1.0,
                            output,
                            Parallelism::None,
                        );
                    }
                }
            }
        });
    });
    tensor(dw, Shape::from(vec![outer, units]))
}
