//! The formats of a packed weight: how 32 values become codes and a scale, and
//! where they lie.
//!
//! `q8_0` and `q4_0` are ggml's (`ggml-quants.c`), number for number: 32
//! values of a row share a scale `d` in `f16`. `q8_0`: `d = max |x| / 127`,
//! codes `round(x / d)`, `x = d c`, 34 bytes. `q4_0`: `d = m / -8` where `m` is
//! the value of largest magnitude with its sign, codes
//! `min(15, floor(x / d + 8.5))`, `x = d (c - 8)`, 18 bytes; code `i` and code
//! `i + 16` share a byte.
//!
//! Only the order of the bytes is ours. Sixteen rows of `W` make a group, so
//! that one vector register holds one value of each row and no sum across a
//! register is needed:
//!
//! ```text
//! f16, bf16   for each k: 16 halves, one a row
//! q8_0, q4_0  for each 32 values: 16 scales, then 16 words (4 bytes) of
//!             codes, one a row, 8 times (q8_0) or 4 times (q4_0)
//! ```
//!
//! Rows that the last group lacks, and values that the last block of a row
//! lacks, are zeros: where `out` is a multiple of 16 and `in` of 32, as in
//! nearly all language models, the bytes are exactly ggml's.

use burn::backend::ir::ScalarIr;
use burn::tensor::{bf16, f16};

use crate::math::multiversion;

/// Rows of `W` that are packed together.
pub(super) const LANES: usize = 16;

/// Values that share a scale.
pub(super) const BLOCK: usize = 32;

/// Words of the scales of a tile: a block of each row of a group.
pub(super) const SCALES: usize = LANES / 2;

/// What the codes of `q4_0` count from.
const HALF_OF_Q4: i32 = 8;

/// A number format of packed weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WeightFormat {
    /// IEEE half precision, 16 bits.
    F16,
    /// The upper half of an `f32`, 16 bits.
    Bf16,
    /// ggml's `q8_0`: blocks of 32, 8.5 bits a weight.
    Q8_0,
    /// ggml's `q4_0`: blocks of 32, 4.5 bits a weight.
    Q4_0,
}

impl WeightFormat {
    /// All of them, widest first.
    pub const ALL: [Self; 4] = [Self::F16, Self::Bf16, Self::Q8_0, Self::Q4_0];

    /// The name that commands, files and tables use.
    pub fn name(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Q8_0 => "q8_0",
            Self::Q4_0 => "q4_0",
        }
    }

    /// The format of a name; `None` where no kernel multiplies it.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Bits of one weight, its share of the scale with it.
    pub fn bits(self) -> f64 {
        match self {
            Self::F16 | Self::Bf16 => 16.0,
            Self::Q8_0 => 8.5,
            Self::Q4_0 => 4.5,
        }
    }

    /// Words of a block of each row of a group.
    pub(super) fn tile_words(self) -> usize {
        match self {
            Self::F16 | Self::Bf16 => BLOCK * LANES / 2,
            Self::Q8_0 => SCALES + LANES * BLOCK / 4,
            Self::Q4_0 => SCALES + LANES * BLOCK / 8,
        }
    }

    /// Words of a group of rows of `inner` values.
    pub(super) fn group_words(self, inner: usize) -> usize {
        match self {
            Self::F16 | Self::Bf16 => inner * LANES / 2,
            Self::Q8_0 | Self::Q4_0 => {
                inner.div_ceil(BLOCK) * self.tile_words()
            }
        }
    }

    /// What an unsigned code of the integer product counts from: a code of
    /// `q8_0` is taken with its sign bit turned, as `c + 128`.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn shift(self) -> i32 {
        match self {
            Self::F16 | Self::Bf16 => 0,
            Self::Q8_0 => 128,
            Self::Q4_0 => HALF_OF_Q4,
        }
    }

    /// Its place in the scalars of a recorded operator.
    pub(super) fn scalar(self) -> ScalarIr {
        ScalarIr::UInt(self as u64)
    }

    /// The reverse of [`scalar`](Self::scalar).
    pub(super) fn of_scalar(scalar: &ScalarIr) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.scalar() == *scalar)
    }
}

/// Packs up to 16 rows, dense, of `inner` values into a group of zeros.
pub(super) fn pack_group(
    format: WeightFormat,
    rows: &[f32],
    inner: usize,
    words: &mut [i32],
) {
    let rows = rows.chunks_exact(inner.max(1)).enumerate();
    match format {
        WeightFormat::F16 | WeightFormat::Bf16 => {
            let cells: &mut [u16] = bytemuck::cast_slice_mut(words);
            for (r, row) in rows {
                for (k, &x) in row.iter().enumerate() {
                    cells[k * LANES + r] = if format == WeightFormat::F16 {
                        f16::from_f32(x).to_bits()
                    } else {
                        bf16::from_f32(x).to_bits()
                    };
                }
            }
        }
        WeightFormat::Q8_0 | WeightFormat::Q4_0 => {
            for (r, row) in rows {
                let tiles = words.chunks_exact_mut(format.tile_words());
                for (tile, values) in tiles.zip(row.chunks(BLOCK)) {
                    let mut block = [0.0; BLOCK];
                    block[..values.len()].copy_from_slice(values);
                    if format == WeightFormat::Q8_0 {
                        let (scale, codes) = q8_0(&block);
                        put(tile, r, scale, &codes);
                    } else {
                        let (scale, codes) = q4_0(&block);
                        put(tile, r, scale, &codes);
                    }
                }
            }
        }
    }
}

/// Writes a row's scale and codes into a tile.
fn put(tile: &mut [i32], r: usize, scale: f16, codes: &[u8]) {
    let (scales, words) = tile.split_at_mut(SCALES);
    bytemuck::cast_slice_mut::<i32, u16>(scales)[r] = scale.to_bits();
    let (codes, _) = codes.as_chunks::<4>();
    for (word, &code) in words.chunks_exact_mut(LANES).zip(codes) {
        word[r] = i32::from_le_bytes(code);
    }
}

/// The scale of a block that is meant to be `scale`: no number where the block
/// holds one that is not, so that it is not lost.
fn scale_of(block: &[f32; BLOCK], scale: f32) -> f16 {
    if block.iter().any(|x| x.is_nan()) {
        f16::NAN
    } else {
        f16::from_f32(scale)
    }
}

fn inverse(scale: f32) -> f32 {
    if scale == 0.0 { 0.0 } else { 1.0 / scale }
}

/// A block's scale and codes. As in ggml, codes are of the scale before it is
/// rounded to `f16`.
pub(super) fn q8_0(block: &[f32; BLOCK]) -> (f16, [u8; BLOCK]) {
    let largest = block.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    let scale = largest / 127.0;
    let by = inverse(scale);
    let codes = block.map(|x| ((x * by).round() as i8).cast_unsigned());
    (scale_of(block, scale), codes)
}

/// A block's scale and pairs of codes.
pub(super) fn q4_0(block: &[f32; BLOCK]) -> (f16, [u8; BLOCK / 2]) {
    let mut most = 0.0_f32;
    for &x in block {
        if x.abs() > most.abs() {
            most = x;
        }
    }
    let scale = most / -8.0;
    let by = inverse(scale);
    let code = |x: f32| ((x * by + 8.5) as u8).min(15);
    let mut codes = [0; BLOCK / 2];
    let (low, high) = block.split_at(BLOCK / 2);
    for ((codes, &low), &high) in codes.iter_mut().zip(low).zip(high) {
        *codes = code(low) | (code(high) << 4);
    }
    (scale_of(block, scale), codes)
}

/// Unpacks row `r` of a group.
pub(super) fn unpack_row(
    format: WeightFormat,
    group: &[i32],
    r: usize,
    out: &mut [f32],
) {
    match format {
        WeightFormat::F16 | WeightFormat::Bf16 => {
            let cells: &[u16] = bytemuck::cast_slice(group);
            let rows = cells.chunks_exact(LANES);
            for (out, cells) in out.iter_mut().zip(rows) {
                *out = if format == WeightFormat::F16 {
                    half(cells[r])
                } else {
                    brain(cells[r])
                };
            }
        }
        WeightFormat::Q8_0 | WeightFormat::Q4_0 => {
            let tiles = group.chunks_exact(format.tile_words());
            for (out, tile) in out.chunks_mut(BLOCK).zip(tiles) {
                let scales: &[u16] = bytemuck::cast_slice(&tile[..SCALES]);
                let scale = half(scales[r]);
                for (k, out) in out.iter_mut().enumerate() {
                    *out = scale * code(format, &tile[SCALES..], r, k) as f32;
                }
            }
        }
    }
}

/// The signed code `k` of row `r` of a tile's words.
fn code(format: WeightFormat, words: &[i32], r: usize, k: usize) -> i32 {
    if format == WeightFormat::Q8_0 {
        let word = words[k / 4 * LANES + r];
        i32::from(word.to_le_bytes()[k % 4].cast_signed())
    } else {
        let at = k % (BLOCK / 2);
        let pair = words[at / 4 * LANES + r].to_le_bytes()[at % 4];
        let code = if k == at { pair & 15 } else { pair >> 4 };
        i32::from(code) - HALF_OF_Q4
    }
}

/// The value of the bits of an `f16`: the exponent is moved by a product,
/// which makes subnormal numbers right too. A loop over it vectorises.
#[inline(always)]
pub(super) fn half(bits: u16) -> f32 {
    /// 2^112: 127 - 15 steps of the exponent.
    const MOVED: f32 = f32::from_bits(0x7780_0000);
    let bits = u32::from(bits);
    let magnitude = (bits & 0x7fff) << 13;
    let moved = (f32::from_bits(magnitude) * MOVED).to_bits();
    // Infinity and what is no number keep the exponent of all ones.
    let special = magnitude | 0x7f80_0000;
    let value = if magnitude >= 0x0f80_0000 { special } else { moved };
    f32::from_bits(value | ((bits & 0x8000) << 16))
}

/// The value of the bits of a `bf16`.
#[inline(always)]
pub(super) fn brain(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// Unpacks block `block` of a group, its first `count` values, to `f32`: those
/// of value `k` to `out[k * step]`.
#[inline(always)]
pub(super) fn unpack_block(
    format: WeightFormat,
    group: &[i32],
    block: usize,
    count: usize,
    out: &mut [[f32; LANES]],
    step: usize,
) {
    let tile = &group[block * format.tile_words()..];
    match format {
        WeightFormat::F16 => unpack_halves(tile, count, out, step, half),
        WeightFormat::Bf16 => unpack_halves(tile, count, out, step, brain),
        WeightFormat::Q8_0 => {
            // The byte to the top, and down again with its sign.
            let value = |word: i32, j: usize| (word << (24 - 8 * j)) >> 24;
            let (scales, words) = scales_and_words(tile);
            for (w, word) in words.iter().enumerate().take(BLOCK / 4) {
                for j in 0..4 {
                    let k = 4 * w + j;
                    if k < count {
                        let out = &mut out[k * step];
                        for r in 0..LANES {
                            out[r] = scales[r] * value(word[r], j) as f32;
                        }
                    }
                }
            }
        }
        WeightFormat::Q4_0 => {
            let (scales, words) = scales_and_words(tile);
            for (w, word) in words.iter().enumerate().take(BLOCK / 8) {
                for nibble in 0..8 {
                    let k = 4 * w + nibble / 2 + nibble % 2 * (BLOCK / 2);
                    if k < count {
                        let out = &mut out[k * step];
                        for r in 0..LANES {
                            let code = (word[r] >> (4 * nibble)) & 15;
                            out[r] = scales[r] * (code - HALF_OF_Q4) as f32;
                        }
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn unpack_halves(
    tile: &[i32],
    count: usize,
    out: &mut [[f32; LANES]],
    step: usize,
    value: impl Fn(u16) -> f32,
) {
    let cells: &[u16] = bytemuck::cast_slice(&tile[..count * LANES / 2]);
    let (rows, _) = cells.as_chunks::<LANES>();
    for (k, cells) in rows.iter().enumerate() {
        let out = &mut out[k * step];
        for r in 0..LANES {
            out[r] = value(cells[r]);
        }
    }
}

/// The scales of a tile in front of `words`, and the words that follow.
#[inline(always)]
fn scales_and_words(tile: &[i32]) -> ([f32; LANES], &[[i32; LANES]]) {
    let (scales, words) = tile.split_at(SCALES);
    let bits: &[u16] = bytemuck::cast_slice(scales);
    let mut scales = [0.0; LANES];
    for (scale, &bits) in scales.iter_mut().zip(bits) {
        *scale = half(bits);
    }
    (scales, words.as_chunks().0)
}

multiversion! {
    /// Unpacks the `count` values from block `first` on, as [`unpack_block`].
    pub(super) fn unpack_blocks(format: WeightFormat, group: &[i32], first: usize, count: usize, out: &mut [[f32; LANES]], step: usize) {
        for (i, at) in (0..count).step_by(BLOCK).enumerate() {
            let part = BLOCK.min(count - at);
            let out = &mut out[at * step..];
            unpack_block(format, group, first + i, part, out, step);
        }
    }
}
