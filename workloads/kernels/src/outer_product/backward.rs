//! The outer product mean backward, [`CHUNK`] residues `i` at a time, in two
//! steps: first `g` and `u`, and `dleft` with them, some `i` a task; then the
//! sums over `i`, `dW` for each `b` by itself and `dright` for each `j`. The
//! names are those of the folder's header.

use std::ops::Range;

use super::Sizes;
use super::forward::pair_row;
use super::pack::{Residues, panels, weight_by_pair, weight_from_channels};
use super::tile::{Product, ZERO};
use crate::micro::{Level, PANEL, Walk, tiles};
use crate::rows::fill;
use crate::share::{Parts, share_parts, share_values};

/// Residues `i` of a chunk. Their `u` is 17 MB at the published sizes: with
/// fewer, the sums of the second step are read and written more often.
const CHUNK: usize = 16;

/// Residues `i` of a task of the first step: they find `right`, 4 MB, in the
/// second cache three times of four.
const GROUP: usize = 4;

/// Residues `j` of a block of that step, one tile of rows: what it needs of
/// `right` stays in the second cache beside `W`.
const BLOCK: usize = 12;

/// Residues `j` of a block of `dW`: as many rows of `t` and `g` lie in the
/// first cache.
const SUMMED: usize = 64;

/// Residues `j` of a task of the second step.
const COLUMNS: usize = 8;

/// Sequences that a task of the last step turns round.
const LINES: usize = 16;

/// The gradients, as their tensors lie.
pub(super) struct Gradients {
    pub(super) left: Vec<f32>,
    pub(super) right: Vec<f32>,
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

/// `f32` values of scratch: packed factors and weights, `g` and `u` of a
/// chunk, sums, and what a worker holds.
pub(super) fn scratch(sizes: &Sizes) -> usize {
    let &Sizes { sequences, rows, residues, width, outer } = sizes;
    let left = rows * panels(width) * PANEL * sequences;
    let turned = rows * panels(sequences) * PANEL * width;
    let right = 2 * residues * sequences * width;
    let weight = panels(sizes.square()) * PANEL * outer;
    let weight_sums = width * panels(width) * PANEL * outer;
    let sums = residues * width * panels(sequences) * PANEL;
    let chunk = CHUNK.min(rows) * residues * (outer + pair_row(sizes));
    let each =
        (CHUNK * sizes.square()).max(GROUP * sequences * panels(width) * PANEL);
    let held = rayon::current_num_threads() * each;
    left + turned + right + weight + weight_sums + sums + chunk + held
}

/// The packed inputs of one call.
struct Inputs<'a> {
    level: Level,
    sizes: &'a Sizes,
    /// [n, panels of c, S, panel].
    left: Vec<f32>,
    /// [n, panels of S, c, panel].
    turned: Vec<f32>,
    /// [R, S, c].
    right: Vec<f32>,
    /// [c, R, S].
    right_turned: Vec<f32>,
    /// [panels of (b, a), C, panel].
    weight: Vec<f32>,
    norm: &'a [f32],
    grad: &'a [f32],
}

pub(super) fn differentiate(
    left: &Residues,
    right: &Residues,
    weight: &[f32],
    norm: &[f32],
    grad: &[f32],
    sizes: &Sizes,
) -> Gradients {
    let &Sizes { sequences, rows, residues, width, outer } = sizes;
    let inputs = Inputs {
        level: Level::best(),
        sizes,
        left: left.channel_panels(),
        turned: left.sequence_panels(),
        right: right.by_residue(),
        right_turned: right.by_channel(),
        weight: weight_by_pair(weight, sizes),
        norm,
        grad,
    };
    let chunk = CHUNK.min(rows);
    let mut g = vec![0.0; chunk * residues * outer];
    let u_size = residues * pair_row(sizes);
    let mut u = vec![0.0; chunk * u_size];
    let mut bias = vec![0.0; outer];
    // [c, panels of c, C, panel] and [R, c, panels of S, panel].
    let weight_size = panels(width) * outer * PANEL;
    let mut weight_sums = vec![0.0; width * weight_size];
    let right_size = width * panels(sequences) * PANEL;
    let mut right_sums = vec![0.0; residues * right_size];
    let dleft = fill(sequences * rows * width, |dleft| {
        let dleft = Parts::new(dleft);
        for first in (0..rows).step_by(CHUNK) {
            let is = first..(first + chunk).min(rows);
            let g = &mut g[..is.len() * residues * outer];
            share_values(g, residues * outer, |k, g| {
                inputs.scale(first + k, g);
            });
            let g = &*g;
            for g in g.chunks_exact(residues * outer) {
                let mut of_one = vec![0.0; outer];
                for g in g.chunks_exact(outer) {
                    add(&mut of_one, g);
                }
                add(&mut bias, &of_one);
            }
            let u = &mut u[..is.len() * u_size];
            share_values(u, GROUP * u_size, |task, u| {
                let g = g.chunks(GROUP * residues * outer).nth(task);
                let first = first + task * GROUP;
                inputs.some_rows(first, g.unwrap_or_default(), u, &dleft);
            });
            let u = &*u;
            share_values(&mut weight_sums, weight_size, |b, sums| {
                inputs.one_channel(b, is.clone(), g, sums);
            });
            share_values(
                &mut right_sums,
                COLUMNS * right_size,
                |task, sums| {
                    let js = task * COLUMNS..;
                    let mut near = vec![0.0; is.len() * sizes.square()];
                    for (j, sums) in js.zip(sums.chunks_exact_mut(right_size)) {
                        inputs.one_column(j, is.clone(), u, &mut near, sums);
                    }
                },
            );
        }
    });
    Gradients {
        left: dleft,
        right: turn(&right_sums, sizes),
        weight: weight_from_channels(&weight_sums, sizes),
        bias,
    }
}

impl Inputs<'_> {
    /// `g = dout / norm` of one `i`: [R, C].
    fn scale(&self, i: usize, g: &mut [f32]) {
        let &Sizes { residues, outer, .. } = self.sizes;
        let from = &self.grad[i * residues * outer..][..residues * outer];
        let norm = &self.norm[i * residues..][..residues];
        let rows = g.chunks_exact_mut(outer).zip(from.chunks_exact(outer));
        for ((g, from), norm) in rows.zip(norm) {
            let inverse = 1.0 / norm;
            for (g, from) in g.iter_mut().zip(from) {
                *g = from * inverse;
            }
        }
    }

    /// `u[j, b c + a]`, rows every [`pair_row`], and `dleft`, both of as many
    /// `i` from `first` on as `g` and `u` hold.
    fn some_rows(
        &self,
        first: usize,
        g: &[f32],
        u: &mut [f32],
        dleft: &Parts<'_>,
    ) {
        let &Sizes { sequences, rows, residues, width, outer } = self.sizes;
        let row = pair_row(self.sizes);
        let line = panels(width) * PANEL;
        let count = u.len() / (residues * row);
        let mut sums = vec![0.0; count * sequences * line];
        for js in tiles(residues, BLOCK) {
            let each = sums
                .chunks_exact_mut(sequences * line)
                .zip(u.chunks_exact_mut(residues * row))
                .zip(g.chunks_exact(residues * outer));
            for ((sums, u), g) in each {
                let g = &g[js.start * outer..js.end * outer];
                let u = &mut u[js.start * row..js.end * row];
                self.back_to_pairs(js.len(), g, u);
                self.add_left(js.clone(), u, sums);
            }
        }
        for (k, sums) in sums.chunks_exact(line).enumerate() {
            let (i, s) = (first + k / sequences, k % sequences);
            #[expect(unsafe_code, reason = "each task has its own residues")]
            // SAFETY: channels of different residues do not overlap.
            let out = unsafe { dleft.part((s * rows + i) * width, width) };
            out.write_copy_of_slice(&sums[..width]);
        }
    }

    /// `u[j, (b, a)] = sum_o g[j, o] W[o, (b, a)]`.
    fn back_to_pairs(&self, count: usize, g: &[f32], u: &mut [f32]) {
        let (outer, square) = (self.sizes.outer, self.sizes.square());
        let size = outer * PANEL;
        for p in 0..panels(square) {
            Product {
                level: self.level,
                a: g,
                row: outer,
                rows: count,
                b: &self.weight[p * size..][..size],
                walk: Walk { outer: 1, inner: outer, a: [0, 1], b: [0, PANEL] },
                cols: PANEL.min(square - p * PANEL),
            }
            .set(&mut u[p * PANEL..], pair_row(self.sizes), &ZERO);
        }
    }

    /// `dleft[s, a] += sum_{j, b} right[j, s, b] u[j, (b, a)]`.
    fn add_left(&self, js: Range<usize>, u: &[f32], sums: &mut [f32]) {
        let &Sizes { sequences, width, .. } = self.sizes;
        let size = sequences * width;
        for p in 0..panels(width) {
            Product {
                level: self.level,
                a: &self.right[js.start * size..js.end * size],
                row: width,
                rows: sequences,
                b: &u[p * PANEL..],
                walk: Walk {
                    outer: js.len(),
                    inner: width,
                    a: [size, 1],
                    b: [pair_row(self.sizes), width],
                },
                cols: PANEL.min(width - p * PANEL),
            }
            .add(&mut sums[p * PANEL..], panels(width) * PANEL);
        }
    }

    /// `dW[o, a] += sum_{i, j} g[i, j, o] t[i, j, b, a]` of one `b`, over a
    /// chunk; `sums` is [panels of c, C, panel].
    fn one_channel(
        &self,
        b: usize,
        is: Range<usize>,
        g: &[f32],
        sums: &mut [f32],
    ) {
        let &Sizes { sequences, residues, width, outer, .. } = self.sizes;
        let size = sequences * PANEL;
        let right = &self.right_turned[b * residues * sequences..];
        let mut t = [0.0; SUMMED * PANEL];
        for (i, g) in is.zip(g.chunks_exact(residues * outer)) {
            for (p, sums) in sums.chunks_exact_mut(outer * PANEL).enumerate() {
                let left = &self.left[(i * panels(width) + p) * size..][..size];
                for js in tiles(residues, SUMMED) {
                    Product {
                        level: self.level,
                        a: &right[js.start * sequences..js.end * sequences],
                        row: sequences,
                        rows: js.len(),
                        b: left,
                        walk: Walk {
                            outer: 1,
                            inner: sequences,
                            a: [0, 1],
                            b: [0, PANEL],
                        },
                        cols: PANEL,
                    }
                    .set(&mut t, PANEL, &ZERO);
                    Product {
                        level: self.level,
                        a: &g[js.start * outer..js.end * outer],
                        row: 1,
                        rows: outer,
                        b: &t,
                        walk: Walk {
                            outer: 1,
                            inner: js.len(),
                            a: [0, outer],
                            b: [0, PANEL],
                        },
                        cols: PANEL,
                    }
                    .add(sums, PANEL);
                }
            }
        }
    }

    /// `dright[b, s] += sum_{i, a} u[i, b, a] left[i, a, s]` of one `j`, over a
    /// chunk; `sums` is [c, panels of S, panel]. `near` takes the `u` of this
    /// `j`, [i, c c]: a copy reads ahead, the tiles' loads of single values do
    /// not.
    fn one_column(
        &self,
        j: usize,
        is: Range<usize>,
        u: &[f32],
        near: &mut [f32],
        sums: &mut [f32],
    ) {
        let &Sizes { sequences, residues, width, .. } = self.sizes;
        let (square, row) = (self.sizes.square(), pair_row(self.sizes));
        for (k, near) in near.chunks_exact_mut(square).enumerate() {
            let from = (k * residues + j) * row;
            near.copy_from_slice(&u[from..from + square]);
        }
        let size = panels(sequences) * width * PANEL;
        let turned = &self.turned[is.start * size..is.end * size];
        for p in 0..panels(sequences) {
            Product {
                level: self.level,
                a: near,
                row: width,
                rows: width,
                b: &turned[p * width * PANEL..],
                walk: Walk {
                    outer: is.len(),
                    inner: width,
                    a: [square, 1],
                    b: [size, PANEL],
                },
                cols: PANEL,
            }
            .add(&mut sums[p * PANEL..], panels(sequences) * PANEL);
        }
    }
}

fn add(sums: &mut [f32], x: &[f32]) {
    for (sum, x) in sums.iter_mut().zip(x) {
        *sum += x;
    }
}

/// [S, R, c] from [R, c, panels of S, panel].
fn turn(sums: &[f32], sizes: &Sizes) -> Vec<f32> {
    let line = sizes.residues * sizes.width;
    let from_row = panels(sizes.sequences) * PANEL;
    fill(sizes.sequences * line, |out| {
        share_parts(out, LINES * line, |first, out| {
            let s = first / line;
            for (k, from) in sums.chunks_exact(from_row).enumerate() {
                let lines = out.chunks_exact_mut(line);
                for (out, x) in lines.zip(&from[s..]) {
                    out[k].write(*x);
                }
            }
        });
    })
}
