//! The outer product mean forward: a task is one residue of `left`.

use std::ops::Range;

use super::Sizes;
use super::pack::{Residues, padded, panels, weight_by_output};
use super::tile::{Product, ZERO};
use crate::micro::{Level, PANEL, Walk, tiles};
use crate::rows::{fill, written};
use crate::share::share_parts;

/// Residues `j` whose outer products are held at a time: two tiles of rows.
const BLOCK: usize = 24;

/// Distance of two pairs' outer products in scratch: a panel of columns may
/// reach beyond `c c`, and rows a power of two apart share too few places of
/// the cache.
pub(super) fn pair_row(sizes: &Sizes) -> usize {
    sizes.square() + PANEL
}

/// `f32` values of scratch: the packed factors and weights, and a block of
/// outer products a worker.
pub(super) fn scratch(sizes: &Sizes) -> usize {
    let workers = rayon::current_num_threads().min(sizes.rows);
    let c = sizes.width;
    let left = sizes.rows * panels(c) * PANEL * sizes.sequences;
    let right = sizes.residues * sizes.sequences * c;
    let weight = panels(sizes.outer) * PANEL * (sizes.square() + 1);
    let block = BLOCK.min(sizes.residues) * pair_row(sizes);
    left + right + weight + workers * block
}

/// [n, R, C], from `weight` [C, c c], `bias` [C] and `norm` [n, R].
pub(super) fn mean(
    left: &Residues,
    right: &Residues,
    weight: &[f32],
    bias: &[f32],
    norm: &[f32],
    sizes: &Sizes,
) -> Vec<f32> {
    let &Sizes { sequences, rows, residues, width, outer } = sizes;
    let left = left.channel_panels();
    let right = right.by_residue();
    let weight = weight_by_output(weight, sizes);
    let start = padded(bias);
    let level = Level::best();
    let (square, row) = (sizes.square(), pair_row(sizes));
    let left_size = panels(width) * sequences * PANEL;
    fill(rows * residues * outer, |out| {
        share_parts(out, residues * outer, |first, out| {
            let i = first / (residues * outer);
            let left = &left[i * left_size..][..left_size];
            let norm = &norm[i * residues..][..residues];
            let mut pairs = vec![0.0; BLOCK.min(residues) * row];
            for js in tiles(residues, BLOCK) {
                outer_products(
                    level,
                    left,
                    &right,
                    js.clone(),
                    sizes,
                    &mut pairs,
                );
                let out = &mut out[js.start * outer..js.end * outer];
                for (p, start) in start.chunks_exact(PANEL).enumerate() {
                    Product {
                        level,
                        a: &pairs,
                        row,
                        rows: js.len(),
                        b: &weight[p * square * PANEL..][..square * PANEL],
                        walk: Walk {
                            outer: 1,
                            inner: square,
                            a: [0, 1],
                            b: [0, PANEL],
                        },
                        cols: PANEL.min(outer - p * PANEL),
                    }
                    .write(
                        &mut out[p * PANEL..],
                        outer,
                        start,
                    );
                }
                let out = written(out).chunks_exact_mut(outer);
                for (out, norm) in out.zip(&norm[js]) {
                    let inverse = 1.0 / norm;
                    for out in out {
                        *out *= inverse;
                    }
                }
            }
        });
    })
}

/// `t` of one `i` and some `j`: `pairs[j, b c + a]`, rows every
/// [`pair_row`], from `left` [panels of c, S, panel] and `right` [R, S, c].
pub(super) fn outer_products(
    level: Level,
    left: &[f32],
    right: &[f32],
    js: Range<usize>,
    sizes: &Sizes,
    pairs: &mut [f32],
) {
    let &Sizes { sequences, width, .. } = sizes;
    let size = sequences * width;
    for (j, pair) in js.zip(pairs.chunks_exact_mut(pair_row(sizes))) {
        for p in 0..panels(width) {
            Product {
                level,
                a: &right[j * size..][..size],
                row: 1,
                rows: width,
                b: &left[p * sequences * PANEL..][..sequences * PANEL],
                walk: Walk {
                    outer: 1,
                    inner: sequences,
                    a: [0, width],
                    b: [0, PANEL],
                },
                cols: PANEL.min(width - p * PANEL),
            }
            .set(&mut pair[p * PANEL..], width, &ZERO);
        }
    }
}
