//! Products of `q8_0` and `q4_0` by integer dot products (AVX-512 VNNI).
//!
//! One instruction multiplies four codes of each of 16 rows of `W` by four
//! codes of `x` and adds them up. Codes of `W` are taken as unsigned, counted
//! from -128 or -8; what that adds, the sum of `x`'s codes, is known before
//! (`Activations`) and is what the integer sums start from. A block's sums are
//! multiplied by both scales and added in `f32`.

#![allow(
    clippy::needless_range_loop,
    reason = "an index names a register, as in `micro.rs`"
)]

use std::arch::x86_64::{
    __m512i, _mm256_loadu_si256, _mm512_and_si512, _mm512_cvtepi32_ps,
    _mm512_cvtph_ps, _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_loadu_si512,
    _mm512_mul_ps, _mm512_set1_epi8, _mm512_set1_epi32, _mm512_set1_ps,
    _mm512_setzero_ps, _mm512_setzero_si512, _mm512_srli_epi16,
    _mm512_storeu_ps, _mm512_xor_si512,
};

use super::activations::Cell;
use super::format::{BLOCK, LANES, SCALES, WeightFormat};

/// Rows of `x` at most that are multiplied while a block of `W` is in
/// registers: 8 sums, 8 sums of a block and 8 of codes are 24 of 32.
pub(super) const TILE: usize = 8;

/// Whether this processor can.
pub(super) fn is_served() -> bool {
    std::is_x86_feature_detected!("avx512f")
        && std::is_x86_feature_detected!("avx512bw")
        && std::is_x86_feature_detected!("avx512vnni")
}

macro_rules! pick {
    ($rows:expr, $nibbles:expr, [$($m:literal)*], $args:tt) => {
        match $rows {
            $($m if $nibbles => vnni::<$m, true> $args,
            $m => vnni::<$m, false> $args,)*
            _ => unreachable!("a tile has 1 to 8 rows"),
        }
    };
}

/// `sums[m][r]`: row `r` of a group times row `m` of a tile of `x`.
///
/// # Safety
/// [`is_served`] must have said so.
#[expect(unsafe_code, reason = "SIMD instructions")]
pub(super) unsafe fn dots(
    format: WeightFormat,
    group: &[i32],
    x: &[Cell],
    sums: &mut [[f32; LANES]],
) {
    let nibbles = match format {
        WeightFormat::Q4_0 => true,
        WeightFormat::Q8_0 => false,
        WeightFormat::F16 | WeightFormat::Bf16 => {
            unreachable!("these have no codes")
        }
    };
    let blocks = group.len() / format.tile_words();
    assert!(group.len() == blocks * format.tile_words());
    assert!(x.len() == blocks * sums.len());
    // SAFETY: the lengths were checked, the instructions are the caller's
    // promise.
    unsafe {
        pick!(sums.len(), nibbles, [1 2 3 4 5 6 7 8], (group.as_ptr(), x.as_ptr(), blocks, sums));
    }
}

/// One tile of `M` rows.
#[expect(unsafe_code, reason = "SIMD instructions")]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn vnni<const M: usize, const NIBBLES: bool>(
    group: *const i32,
    x: *const Cell,
    blocks: usize,
    sums: &mut [[f32; LANES]],
) {
    let words = if NIBBLES {
        SCALES + LANES * BLOCK / 8
    } else {
        SCALES + LANES * BLOCK / 4
    };
    // SAFETY: `group` has `blocks` tiles of `words` words, `x` has `blocks`
    // times `M` cells, `sums` has `M` rows.
    unsafe {
        let low = _mm512_set1_epi8(0x0f);
        let sign = _mm512_set1_epi8(i8::MIN);
        let mut total = [_mm512_setzero_ps(); M];
        for block in 0..blocks {
            let tile = group.add(block * words);
            let scales = _mm512_cvtph_ps(_mm256_loadu_si256(tile.cast()));
            let packed = tile.add(SCALES).cast::<__m512i>();
            let mut codes = [_mm512_setzero_si512(); BLOCK / 4];
            if NIBBLES {
                for i in 0..4 {
                    let both = _mm512_loadu_si512(packed.add(i));
                    let high = _mm512_srli_epi16::<4>(both);
                    codes[i] = _mm512_and_si512(both, low);
                    codes[i + 4] = _mm512_and_si512(high, low);
                }
            } else {
                for i in 0..8 {
                    let signed = _mm512_loadu_si512(packed.add(i));
                    codes[i] = _mm512_xor_si512(signed, sign);
                }
            }
            let x = x.add(block * M);
            let mut dots = [_mm512_setzero_si512(); M];
            for m in 0..M {
                dots[m] = _mm512_set1_epi32((*x.add(m)).offset);
            }
            for i in 0..8 {
                for m in 0..M {
                    let four = x.add(m).cast::<i32>().add(i).read();
                    let four = _mm512_set1_epi32(four);
                    dots[m] = _mm512_dpbusd_epi32(dots[m], codes[i], four);
                }
            }
            for m in 0..M {
                let scale = _mm512_set1_ps((*x.add(m)).scale);
                let scale = _mm512_mul_ps(scales, scale);
                let dot = _mm512_cvtepi32_ps(dots[m]);
                total[m] = _mm512_fmadd_ps(dot, scale, total[m]);
            }
        }
        for m in 0..M {
            _mm512_storeu_ps(sums[m].as_mut_ptr(), total[m]);
        }
    }
}
