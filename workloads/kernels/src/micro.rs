//! The one inner loop of convolutions, axial attention and outer products: a
//! tile of up to 12 x 32 sums of products in registers,
//! `out[m, n] = init[m, n] + sum_k a[m, k] b[k, n]`, where the rows of `a` lie
//! anywhere in memory and `k` runs over two nested strides. Kernels differ in
//! what they pass. [`Lanes`] serves other loops that hold sums in registers.

#![allow(
    clippy::needless_range_loop,
    reason = "an index names a register of the tile; iterators over three \
              arrays at once would hide that"
)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m256, __m512, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehdup_ps,
    _mm_movehl_ps, _mm256_castps256_ps128, _mm256_extractf128_ps,
    _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_set1_ps,
    _mm256_storeu_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_max_ps,
    _mm512_reduce_add_ps, _mm512_set1_ps, _mm512_storeu_ps,
};

/// Columns of a panel of `b` and of a tile.
pub(crate) const PANEL: usize = 32;

/// Rows of a tile at most.
pub(crate) const ROWS: usize = 12;

/// The instruction set that serves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Level {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl Level {
    /// All that this processor has, the fastest first.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if std::is_x86_feature_detected!("avx512f") {
                all.push(Self::Avx512);
            }
            if std::is_x86_feature_detected!("avx2")
                && std::is_x86_feature_detected!("fma")
            {
                all.push(Self::Avx2);
            }
        }
        all.push(Self::Portable);
        all
    }

    pub(crate) fn best() -> Self {
        Self::all()[0]
    }

    /// Rows of a tile: what leaves registers for `b`.
    pub(crate) fn rows(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => ROWS,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => 3,
            Self::Portable => 3,
        }
    }
}

/// How `k` runs: `outer` times `inner` steps, with the distances in `a` and
/// `b` of each.
#[derive(Clone, Copy)]
pub(crate) struct Walk {
    pub(crate) outer: usize,
    pub(crate) inner: usize,
    pub(crate) a: [usize; 2],
    pub(crate) b: [usize; 2],
}

/// Where a tile's sums start from and go to.
#[derive(Clone, Copy)]
pub(crate) struct Sums {
    pub(crate) init: *const f32,
    /// Distance of `init`'s rows, of which each has a whole panel.
    pub(crate) init_row: usize,
    pub(crate) out: *mut f32,
    pub(crate) out_row: usize,
    /// Columns of the tile that `out` has.
    pub(crate) cols: usize,
    pub(crate) relu: bool,
}

/// `N` numbers in one register.
#[expect(unsafe_code, reason = "as the instructions' interface")]
pub(crate) trait Lanes: Copy {
    const N: usize;
    unsafe fn splat(x: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    /// `self * b + c`
    unsafe fn madd(self, b: Self, c: Self) -> Self;
    /// NaN stays NaN.
    unsafe fn relu(self) -> Self;
    /// The larger of two, lane by lane; `other` where one is NaN.
    unsafe fn larger(self, other: Self) -> Self;
    /// The sum of the lanes, halves added until one is left.
    unsafe fn sum(self) -> f32;
}

/// The sum of the lanes of a vector of 8.
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "SIMD instructions")]
#[inline(always)]
unsafe fn sum_of_8(x: __m256) -> f32 {
    // SAFETY: only run where AVX2 was detected.
    unsafe {
        let high = _mm256_extractf128_ps::<1>(x);
        let four = _mm_add_ps(_mm256_castps256_ps128(x), high);
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
    }
}

macro_rules! lanes {
    ($lanes:ty, $n:literal, $set:ident, $load:ident, $store:ident, $madd:ident, $max:ident, $sum:ident) => {
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "SIMD instructions")]
        impl Lanes for $lanes {
            const N: usize = $n;
            #[inline(always)]
            unsafe fn splat(x: f32) -> Self {
                // SAFETY: only run where the instruction set was detected.
                unsafe { $set(x) }
            }
            #[inline(always)]
            unsafe fn load(from: *const f32) -> Self {
                // SAFETY: as above; the caller has `N` values there.
                unsafe { $load(from) }
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut f32) {
                // SAFETY: as above; the caller has `N` cells there.
                unsafe { $store(to, self) }
            }
            #[inline(always)]
            unsafe fn madd(self, b: Self, c: Self) -> Self {
                // SAFETY: as above.
                unsafe { $madd(self, b, c) }
            }
            #[inline(always)]
            unsafe fn relu(self) -> Self {
                // SAFETY: as above. The second operand is returned when one
                // is NaN.
                unsafe { $max($set(0.0), self) }
            }
            #[inline(always)]
            unsafe fn larger(self, other: Self) -> Self {
                // SAFETY: as above.
                unsafe { $max(self, other) }
            }
            #[inline(always)]
            unsafe fn sum(self) -> f32 {
                // SAFETY: as above.
                unsafe { $sum(self) }
            }
        }
    };
}

lanes!(
    __m512,
    16,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_fmadd_ps,
    _mm512_max_ps,
    _mm512_reduce_add_ps
);
lanes!(
    __m256,
    8,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_fmadd_ps,
    _mm256_max_ps,
    sum_of_8
);

#[expect(unsafe_code, reason = "as the instructions' interface")]
impl Lanes for [f32; 8] {
    const N: usize = 8;
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        [x; 8]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller has eight values there.
        unsafe { from.cast::<Self>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller has eight cells there.
        unsafe { to.cast::<Self>().write_unaligned(self) }
    }
    #[inline(always)]
    unsafe fn madd(mut self, b: Self, c: Self) -> Self {
        for i in 0..8 {
            self[i] = self[i] * b[i] + c[i];
        }
        self
    }
    #[inline(always)]
    unsafe fn relu(mut self) -> Self {
        for x in &mut self {
            *x = if *x < 0.0 { 0.0 } else { *x };
        }
        self
    }
    #[inline(always)]
    unsafe fn larger(mut self, other: Self) -> Self {
        for i in 0..8 {
            self[i] = if self[i] > other[i] { self[i] } else { other[i] };
        }
        self
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let [a, b, c, d, e, f, g, h] = self;
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }
}

/// A tile of `M` rows and `V` registers a row.
#[expect(unsafe_code, reason = "loops over pointers")]
#[inline(always)]
unsafe fn body<L: Lanes, const M: usize, const V: usize>(
    a: &[*const f32],
    b: *const f32,
    walk: &Walk,
    sums: &Sums,
) {
    let mut rows = [std::ptr::null(); M];
    rows.copy_from_slice(&a[..M]);
    // SAFETY: `tile`'s promise.
    unsafe {
        let mut acc = [[L::splat(0.0); V]; M];
        for m in 0..M {
            for v in 0..V {
                let at = sums.init.add(m * sums.init_row + v * L::N);
                acc[m][v] = L::load(at);
            }
        }
        for outer in 0..walk.outer {
            let mut at = outer * walk.a[0];
            let mut b = b.add(outer * walk.b[0]);
            for _ in 0..walk.inner {
                let mut right = [L::splat(0.0); V];
                for v in 0..V {
                    right[v] = L::load(b.add(v * L::N));
                }
                for m in 0..M {
                    let left = L::splat(*rows[m].add(at));
                    for v in 0..V {
                        acc[m][v] = left.madd(right[v], acc[m][v]);
                    }
                }
                at += walk.a[1];
                b = b.wrapping_add(walk.b[1]);
            }
        }
        if sums.relu {
            for m in 0..M {
                for v in 0..V {
                    acc[m][v] = acc[m][v].relu();
                }
            }
        }
        for m in 0..M {
            let out = sums.out.add(m * sums.out_row);
            if sums.cols == V * L::N {
                for v in 0..V {
                    acc[m][v].store(out.add(v * L::N));
                }
            } else {
                let mut row = [0.0_f32; PANEL];
                for v in 0..V {
                    acc[m][v].store(row.as_mut_ptr().add(v * L::N));
                }
                out.copy_from_nonoverlapping(row.as_ptr(), sums.cols);
            }
        }
    }
}

macro_rules! pick {
    ($run:ident, $full:literal, $rows:expr, $half:expr, [$($m:literal)*], $args:tt) => {
        match $rows {
            $($m if $half => $run::<$m, { $full / 2 }> $args,
            $m => $run::<$m, $full> $args,)*
            _ => unreachable!("a tile has at most `Level::rows` rows"),
        }
    };
}

/// One tile of `a.len()` rows; only half a panel where `cols` is 16 or less.
///
/// # Safety
/// All that `walk` reaches from `a` and `b`, a whole panel (or its half) a
/// step of `b`, and `init`, must be readable, `out`'s `cols` columns writable
/// and no other thread's. `level` must have been detected.
#[expect(unsafe_code, reason = "loops over pointers")]
pub(crate) unsafe fn tile(
    level: Level,
    a: &[*const f32],
    b: *const f32,
    walk: &Walk,
    sums: &Sums,
) {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    unsafe fn avx512<const M: usize, const V: usize>(
        a: &[*const f32],
        b: *const f32,
        walk: &Walk,
        sums: &Sums,
    ) {
        // SAFETY: the caller's promise.
        unsafe { body::<__m512, M, V>(a, b, walk, sums) }
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2<const M: usize, const V: usize>(
        a: &[*const f32],
        b: *const f32,
        walk: &Walk,
        sums: &Sums,
    ) {
        // SAFETY: the caller's promise.
        unsafe { body::<__m256, M, V>(a, b, walk, sums) }
    }
    unsafe fn portable<const M: usize, const V: usize>(
        a: &[*const f32],
        b: *const f32,
        walk: &Walk,
        sums: &Sums,
    ) {
        // SAFETY: the caller's promise.
        unsafe { body::<[f32; 8], M, V>(a, b, walk, sums) }
    }
    let (rows, half) = (a.len(), sums.cols <= PANEL / 2);
    // SAFETY: the caller's promise.
    unsafe {
        match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => {
                pick!(avx512, 2, rows, half, [1 2 3 4 5 6 7 8 9 10 11 12], (a, b, walk, sums));
            }
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => {
                pick!(avx2, 4, rows, half, [1 2 3], (a, b, walk, sums));
            }
            Level::Portable => {
                pick!(portable, 4, rows, half, [1 2 3], (a, b, walk, sums));
            }
        }
    }
}

/// Splits `len` rows into tiles of at most `most`, as equal as can be, as a
/// small last tile would leave most of the multipliers idle.
pub(crate) fn tiles(
    len: usize,
    most: usize,
) -> impl Iterator<Item = std::ops::Range<usize>> {
    let count = len.div_ceil(most);
    (0..count).map(move |i| i * len / count..(i + 1) * len / count)
}
