//! Activations as the integer product takes them: blocks of 32 values, a code
//! of 8 bits each and a scale, as llama.cpp's `q8_0`, but with the scale in
//! `f32`.
//!
//! `d = max |x| / 127`, codes `round(x / d)`, to the nearest, halves to even:
//! the error of a value is at most `d / 2`, 0.4 % of the block's largest.

use std::ops::Range;

use super::format::BLOCK;
use super::integer::TILE;
use crate::math::multiversion;
use crate::micro::tiles;
use crate::share::share_pieces;

/// Rows of codes. Tiles of up to [`TILE`] rows lie one after the other; in a
/// tile, first all rows' first block, then all rows' second.
pub(super) struct Activations {
    cells: Vec<Cell>,
    blocks: usize,
}

/// A block of a row.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Cell {
    /// From -127 to 127.
    pub(super) codes: [i8; BLOCK],
    /// What a code is multiplied by.
    pub(super) scale: f32,
    /// The sum of the codes times what the weights' codes count from, with its
    /// sign turned.
    pub(super) offset: i32,
}

impl Activations {
    /// Codes of the rows of `x`, dense, of `inner` values each; `shift` is what
    /// the weights' codes count from.
    pub(super) fn new(
        x: &[f32],
        rows: usize,
        inner: usize,
        shift: i32,
    ) -> Self {
        assert_eq!(x.len(), rows * inner);
        let blocks = inner.div_ceil(BLOCK);
        let empty = Cell { codes: [0; BLOCK], scale: 0.0, offset: 0 };
        let mut cells = vec![empty; rows * blocks];
        let mut rest = cells.as_mut_slice();
        let mut pieces = Vec::new();
        for tile in tiles(rows, TILE) {
            let (own, others) = rest.split_at_mut(tile.len() * blocks);
            pieces.push((&x[tile.start * inner..tile.end * inner], own));
            rest = others;
        }
        share_pieces(pieces, |(x, cells)| encode(x, inner, shift, cells));
        Self { cells, blocks }
    }

    /// The cells of a tile of [`tiles`]: block by block, row by row.
    pub(super) fn tile(&self, rows: Range<usize>) -> &[Cell] {
        &self.cells[rows.start * self.blocks..rows.end * self.blocks]
    }
}

multiversion! {
    /// Codes of a tile's rows.
    fn encode(x: &[f32], inner: usize, shift: i32, cells: &mut [Cell]) {
        let rows = x.len() / inner.max(1);
        for (m, row) in x.chunks_exact(inner.max(1)).enumerate() {
            for (b, values) in row.chunks(BLOCK).enumerate() {
                let cell = &mut cells[b * rows + m];
                match <&[f32; BLOCK]>::try_from(values) {
                    Ok(block) => encode_block(block, shift, cell),
                    Err(_) => {
                        let mut block = [0.0; BLOCK];
                        block[..values.len()].copy_from_slice(values);
                        encode_block(&block, shift, cell);
                    }
                }
            }
        }
    }
}

/// Below it a block counts as zero: `127 / x` would not be finite.
const LEAST: f32 = 1e-30;

#[inline(always)]
fn encode_block(block: &[f32; BLOCK], shift: i32, cell: &mut Cell) {
    /// Added to a small number, it leaves its nearest integer in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let (low, high) = block.split_at(BLOCK / 2);
    let mut largest = [0.0_f32; BLOCK / 2];
    // Zero, or no number where a value is infinite or none: the scale takes it
    // over, so that it is not lost in the codes.
    let mut taint = [0.0_f32; BLOCK / 2];
    for i in 0..BLOCK / 2 {
        let (a, b) = (low[i].abs(), high[i].abs());
        largest[i] = if a > b { a } else { b };
        taint[i] = low[i] * 0.0 + high[i] * 0.0;
    }
    let mut half = BLOCK / 4;
    while half > 0 {
        for i in 0..half {
            let other = largest[i + half];
            largest[i] = if other > largest[i] { other } else { largest[i] };
            taint[i] += taint[i + half];
        }
        half /= 2;
    }
    let largest = largest[0];
    let by = if largest > LEAST { 127.0 / largest } else { 0.0 };
    let mut sum = 0_i32;
    for (code, x) in cell.codes.iter_mut().zip(block) {
        let shifted = x * by + ROUND;
        *code = shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i8;
        sum += i32::from(*code);
    }
    cell.scale = largest / 127.0 + taint[0];
    cell.offset = -shift * sum;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_its_code_times_the_scale_to_half_a_step() {
        let (rows, inner) = (11, 70);
        let x: Vec<f32> =
            (0..rows * inner).map(|i| (i as f32).sin() * 3.0).collect();
        let codes = Activations::new(&x, rows, inner, 8);
        for tile in tiles(rows, TILE) {
            let cells = codes.tile(tile.clone());
            for (m, row) in tile.clone().enumerate() {
                let row = &x[row * inner..(row + 1) * inner];
                for (b, values) in row.chunks(BLOCK).enumerate() {
                    let cell = &cells[b * tile.len() + m];
                    let sum: i32 =
                        cell.codes.iter().map(|&c| i32::from(c)).sum();
                    assert_eq!(cell.offset, -8 * sum);
                    let steps = cell.codes.iter().zip(values);
                    for (&code, x) in steps {
                        let error = x - cell.scale * f32::from(code);
                        assert!(error.abs() <= 0.501 * cell.scale);
                    }
                    let padding = &cell.codes[values.len()..];
                    assert!(padding.iter().all(|&code| code == 0));
                }
            }
        }
    }

    #[test]
    fn what_is_no_number_stays_none() {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut x = [1.0; BLOCK];
            x[7] = bad;
            let codes = Activations::new(&x, 1, BLOCK, 8);
            assert!(!codes.tile(0..1)[0].scale.is_finite());
        }
        let tiny = Activations::new(&[1e-38; BLOCK], 1, BLOCK, 8);
        assert_eq!(tiny.tile(0..1)[0].codes, [0; BLOCK]);
    }
}
