//! Products of `f16` and `bf16` weights with few rows of `x`, by AVX-512: 16
//! halves, one of each row of a group, become one register of `f32`, and are
//! multiplied by one value of `x`. The sums are in `f32`.

#![allow(
    clippy::needless_range_loop,
    reason = "an index names a register, as in `micro.rs`"
)]

use std::arch::x86_64::{
    __m512, _mm256_loadu_si256, _mm512_add_ps, _mm512_castsi512_ps,
    _mm512_cvtepu16_epi32, _mm512_cvtph_ps, _mm512_fmadd_ps, _mm512_set1_ps,
    _mm512_setzero_ps, _mm512_slli_epi32, _mm512_storeu_ps,
};

use super::format::{LANES, WeightFormat};

/// Rows of `x` at most that are multiplied by one register of weights.
pub(super) const TILE: usize = 4;

/// Whether this processor can.
pub(super) fn is_served() -> bool {
    std::is_x86_feature_detected!("avx512f")
}

macro_rules! pick {
    ($rows:expr, $brain:expr, [$($m:literal)*], $args:tt) => {
        match $rows {
            $($m if $brain => wide::<$m, true> $args,
            $m => wide::<$m, false> $args,)*
            _ => unreachable!("a tile has 1 to 4 rows"),
        }
    };
}

/// `sums[m][r]`: row `r` of a group times row `m` of `x`, dense, of `inner`
/// values each.
///
/// # Safety
/// [`is_served`] must have said so.
#[expect(unsafe_code, reason = "SIMD instructions")]
pub(super) unsafe fn dots(
    format: WeightFormat,
    group: &[i32],
    inner: usize,
    x: &[f32],
    sums: &mut [[f32; LANES]],
) {
    let brain = match format {
        WeightFormat::Bf16 => true,
        WeightFormat::F16 => false,
        WeightFormat::Q8_0 | WeightFormat::Q4_0 => {
            unreachable!("these have codes")
        }
    };
    assert!(group.len() == format.group_words(inner));
    assert!(x.len() == inner * sums.len());
    // SAFETY: the lengths were checked, the instructions are the caller's
    // promise.
    unsafe {
        pick!(sums.len(), brain, [1 2 3 4], (group.as_ptr(), inner, x.as_ptr(), sums));
    }
}

/// One tile of `M` rows. Values of even and odd `k` have sums of their own: two
/// chains hide the latency of an addition behind the stream of weights.
#[expect(unsafe_code, reason = "SIMD instructions")]
#[target_feature(enable = "avx512f")]
unsafe fn wide<const M: usize, const BRAIN: bool>(
    group: *const i32,
    inner: usize,
    x: *const f32,
    sums: &mut [[f32; LANES]],
) {
    // SAFETY: `group` has `inner` times 16 halves, `x` has `M` rows of `inner`
    // values, `sums` has `M` rows.
    unsafe {
        let mut even = [_mm512_setzero_ps(); M];
        let mut odd = [_mm512_setzero_ps(); M];
        for k in (0..inner / 2 * 2).step_by(2) {
            let w = widened::<BRAIN>(group.add(k * LANES / 2));
            for m in 0..M {
                let x = _mm512_set1_ps(*x.add(m * inner + k));
                even[m] = _mm512_fmadd_ps(w, x, even[m]);
            }
            let w = widened::<BRAIN>(group.add((k + 1) * LANES / 2));
            for m in 0..M {
                let x = _mm512_set1_ps(*x.add(m * inner + k + 1));
                odd[m] = _mm512_fmadd_ps(w, x, odd[m]);
            }
        }
        if inner % 2 == 1 {
            let k = inner - 1;
            let w = widened::<BRAIN>(group.add(k * LANES / 2));
            for m in 0..M {
                let x = _mm512_set1_ps(*x.add(m * inner + k));
                even[m] = _mm512_fmadd_ps(w, x, even[m]);
            }
        }
        for m in 0..M {
            let sum = _mm512_add_ps(even[m], odd[m]);
            _mm512_storeu_ps(sums[m].as_mut_ptr(), sum);
        }
    }
}

/// Sixteen halves as `f32`.
#[expect(unsafe_code, reason = "SIMD instructions")]
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn widened<const BRAIN: bool>(at: *const i32) -> __m512 {
    // SAFETY: the caller has 16 halves there.
    let halves = unsafe { _mm256_loadu_si256(at.cast()) };
    if BRAIN {
        let words = _mm512_cvtepu16_epi32(halves);
        _mm512_castsi512_ps(_mm512_slli_epi32::<16>(words))
    } else {
        _mm512_cvtph_ps(halves)
    }
}
