//! Attention of one query a sequence: a step of decoding.
//!
//! The ladder stands in the header of `mod.rs`.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m256, __m512};
use std::mem::MaybeUninit;

use super::{Heads, Task};
use crate::math::{dot, exp, madd};
use crate::micro::{Lanes, Level};
use crate::rows::written;
use crate::share::{Parts, share};

/// Keys that one query weighs at a time: their scores are on the stack.
const STEP: usize = 64;

/// Products of a query and a key, times the width, from which a second thread
/// pays: about 10 us of one.
const WORTH_THREADS: usize = 128 * 1024;

/// The same of a task: some microseconds, so that its claim is cheap beside it.
const WORTH_CLAIM: usize = 64 * 1024;

/// Values of keys beyond which a step finds none in a core's second cache: half
/// of 1 MB for keys and values each. So much of the next sequence is called
/// ahead, too: more would drive out the one at work.
const NEAR: usize = 128 * 1024;

/// Query heads that are weighed together; groups are small, and larger ones
/// come in rounds.
const ROUND: usize = 16;

/// One query a sequence. A key-value head is done at a time: the query heads
/// that share it read its keys and values from cache after the first has. A
/// task is as many of these as are worth its claim: with a short cache and many
/// sequences one head takes less than a microsecond, and two threads that claim
/// hundreds of those wait for the counter that they share.
pub(super) fn decode(
    q: &Heads,
    k: &Heads,
    v: &Heads,
    task: Task,
    out: &mut [MaybeUninit<f32>],
) {
    let [batch, _, heads, width] = q.dims;
    let kv_heads = k.dims[2];
    let group = heads / kv_heads;
    let parts = Parts::new(out);
    let level = Level::best();
    let one_sequence = kv_heads * task.keys * width;
    // Where the heads of a position lie side by side, and one call serves all.
    let beside = [k, v].iter().all(|x| x.strides[1] >= kv_heads * width);
    let ahead = kv_heads > 1
        && beside
        && one_sequence <= NEAR
        && batch * one_sequence > NEAR;
    let one = |index: usize| {
        let (b, kv) = (index / kv_heads, index % kv_heads);
        if kv == 0 && ahead && b + 1 < batch {
            call(k.values_at(b + 1, 0, 0), k.strides[1] * task.keys);
            call(v.values_at(b + 1, 0, 0), v.strides[1] * task.keys);
        }
        let first = b * heads + kv * group;
        #[expect(unsafe_code, reason = "each task has its own heads")]
        // SAFETY: the heads of different tasks do not overlap.
        let out = unsafe { parts.part(first * width, group * width) };
        out.fill(MaybeUninit::new(0.0));
        let seen = Seen {
            queries: q.values_at(b, 0, kv * group),
            keys: k.values_at(b, 0, kv),
            values: v.values_at(b, 0, kv),
            stride: [q.strides[2], k.strides[1], v.strides[1]],
            width,
            count: task.keys,
            scale: task.scale,
        };
        seen.weigh(level, written(out));
    };
    let all = batch * kv_heads;
    let each = group * task.keys * width;
    if all * each < WORTH_THREADS {
        (0..all).for_each(one);
        return;
    }
    let most = all.div_ceil(rayon::current_num_threads());
    let piece = (WORTH_CLAIM / each.max(1)).clamp(1, most.max(1));
    share(all.div_ceil(piece), &|index| {
        let first = index * piece;
        (first..all.min(first + piece)).for_each(one);
    });
}

/// Calls the first `count` values into the cache, line after line: a head reads
/// some lines of each position and leaves out others, which no prefetcher
/// follows.
fn call(values: &[f32], count: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in values[..count.min(values.len())].chunks(16) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        #[expect(unsafe_code, reason = "SIMD instructions")]
        // SAFETY: part of every x86-64, and it reads nothing.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, count);
}

/// The query heads of one key-value head, and what they see.
struct Seen<'a> {
    queries: &'a [f32],
    keys: &'a [f32],
    values: &'a [f32],
    /// Distances of queries, of keys and of values.
    stride: [usize; 3],
    width: usize,
    count: usize,
    scale: f32,
}

impl Seen<'_> {
    /// What all heads see, weighed; `out` zeroed before.
    fn weigh(&self, level: Level, out: &mut [f32]) {
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "needs CPU features")]
        #[target_feature(enable = "avx512f")]
        unsafe fn avx512(seen: &Seen<'_>, out: &mut [f32]) {
            // SAFETY: the caller has detected the feature.
            unsafe { seen.pick_width::<__m512, true>(out) }
        }
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "needs CPU features")]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn avx2(seen: &Seen<'_>, out: &mut [f32]) {
            // SAFETY: the caller has detected the features.
            unsafe { seen.pick_width::<__m256, true>(out) }
        }
        #[expect(unsafe_code, reason = "calls functions with CPU features")]
        // SAFETY: `Level` names what was detected.
        unsafe {
            match level {
                #[cfg(target_arch = "x86_64")]
                Level::Avx512 => avx512(self, out),
                #[cfg(target_arch = "x86_64")]
                Level::Avx2 => avx2(self, out),
                Level::Portable => self.pick_width::<[f32; 8], false>(out),
            }
        }
    }

    /// Common widths as that many registers; others (`V` = 0) by slices.
    ///
    /// # Safety
    /// The processor has the instructions of `L`.
    #[expect(unsafe_code, reason = "SIMD instructions")]
    #[inline(always)]
    unsafe fn pick_width<L: Lanes, const FMA: bool>(&self, out: &mut [f32]) {
        let whole = self.width.is_multiple_of(L::N);
        // SAFETY: the caller's promise.
        unsafe {
            match self.width / L::N {
                1 if whole => self.rounds::<L, FMA, 1>(out),
                2 if whole => self.rounds::<L, FMA, 2>(out),
                4 if whole => self.rounds::<L, FMA, 4>(out),
                6 if whole => self.rounds::<L, FMA, 6>(out),
                8 if whole => self.rounds::<L, FMA, 8>(out),
                _ => self.rounds::<L, FMA, 0>(out),
            }
        }
    }

    /// # Safety
    /// As [`pick_width`](Self::pick_width).
    #[expect(unsafe_code, reason = "SIMD instructions")]
    #[inline(always)]
    unsafe fn rounds<L: Lanes, const FMA: bool, const V: usize>(
        &self,
        out: &mut [f32],
    ) {
        let width = self.width;
        let [of_query, of_key, of_value] = self.stride;
        for (round, out) in out.chunks_mut(ROUND * width).enumerate() {
            // The running maximum and sum of each head.
            let mut largest = [f32::NEG_INFINITY; ROUND];
            let mut sum = [0.0f32; ROUND];
            for first in (0..self.count).step_by(STEP) {
                let step = STEP.min(self.count - first);
                let keys = &self.keys[first * of_key..];
                let values = &self.values[first * of_value..];
                for (g, out) in out.chunks_exact_mut(width).enumerate() {
                    let q = &self.queries[(round * ROUND + g) * of_query..];
                    let mut scores = [f32::NEG_INFINITY; STEP];
                    // SAFETY: the caller's promise.
                    let most = unsafe {
                        let (q, scores) = (&q[..width], &mut scores[..step]);
                        score::<L, FMA, V>(q, keys, of_key, self.scale, scores);
                        most::<L>(scores, largest[g])
                    };
                    if most > largest[g] {
                        let shrink = exp::<FMA>(largest[g] - most);
                        sum[g] *= shrink;
                        for out in out.iter_mut() {
                            *out *= shrink;
                        }
                        largest[g] = most;
                    }
                    for score in &mut scores {
                        *score = exp::<FMA>(*score - most);
                    }
                    // SAFETY: the caller's promise.
                    unsafe {
                        // What lies beyond `step` weighs nothing.
                        sum[g] += total::<L>(&scores);
                        let weights = &scores[..step];
                        add::<L, FMA, V>(weights, values, of_value, out);
                    }
                }
            }
            for (g, out) in out.chunks_exact_mut(width).enumerate() {
                let inverse = 1.0 / sum[g];
                for out in out {
                    *out *= inverse;
                }
            }
        }
    }
}

/// The products of a query with keys that begin every `stride` values. A key's
/// lanes are added by halves: one after the other they took longer than all
/// else.
///
/// # Safety
/// The processor has the instructions of `L`.
#[expect(unsafe_code, reason = "SIMD instructions")]
#[inline(always)]
unsafe fn score<L: Lanes, const FMA: bool, const V: usize>(
    q: &[f32],
    keys: &[f32],
    stride: usize,
    scale: f32,
    scores: &mut [f32],
) {
    if V == 0 {
        for (j, score) in scores.iter_mut().enumerate() {
            let key = &keys[j * stride..][..q.len()];
            *score = dot::<FMA>(q, key) * scale;
        }
        return;
    }
    assert!(q.len() == V * L::N);
    assert!((scores.len() - 1) * stride + V * L::N <= keys.len());
    // SAFETY: within `q` and `keys`, as was just asserted.
    unsafe {
        let mut query = [L::splat(0.0); V];
        for (v, query) in query.iter_mut().enumerate() {
            *query = L::load(q.as_ptr().add(v * L::N));
        }
        for (j, score) in scores.iter_mut().enumerate() {
            let key = keys.as_ptr().add(j * stride);
            let mut sum = L::splat(0.0);
            for (v, query) in query.iter().enumerate() {
                sum = query.madd(L::load(key.add(v * L::N)), sum);
            }
            *score = sum.sum() * scale;
        }
    }
}

/// The largest of `before` and all scores; NaN may be passed over.
///
/// # Safety
/// The processor has the instructions of `L`.
#[expect(unsafe_code, reason = "SIMD instructions")]
#[inline(always)]
unsafe fn most<L: Lanes>(scores: &[f32], before: f32) -> f32 {
    let whole = scores.len() / L::N * L::N;
    let mut lanes = [before; STEP];
    // SAFETY: whole vectors of `scores`, and one at the front of `lanes`, which
    // is longer than any vector.
    unsafe {
        let mut most = L::splat(before);
        for at in (0..whole).step_by(L::N) {
            most = L::load(scores.as_ptr().add(at)).larger(most);
        }
        most.store(lanes.as_mut_ptr());
    }
    let mut half = L::N / 2;
    while half > 0 {
        for i in 0..half {
            let other = lanes[i + half];
            lanes[i] = if other > lanes[i] { other } else { lanes[i] };
        }
        half /= 2;
    }
    let larger = |most: f32, x: &f32| if *x > most { *x } else { most };
    scores[whole..].iter().fold(lanes[0], larger)
}

/// The sum of a step's weights.
///
/// # Safety
/// The processor has the instructions of `L`.
#[expect(unsafe_code, reason = "SIMD instructions")]
#[inline(always)]
unsafe fn total<L: Lanes>(weights: &[f32; STEP]) -> f32 {
    // SAFETY: a step is whole vectors.
    unsafe {
        let (one, mut sum) = (L::splat(1.0), L::splat(0.0));
        for at in (0..STEP).step_by(L::N) {
            sum = one.madd(L::load(weights.as_ptr().add(at)), sum);
        }
        sum.sum()
    }
}

/// Adds values that begin every `stride` values, each times its weight. The
/// sums stay in registers, of every other value in a set of their own: an
/// addition need not wait for the one before.
///
/// # Safety
/// The processor has the instructions of `L`.
#[expect(unsafe_code, reason = "SIMD instructions")]
#[inline(always)]
unsafe fn add<L: Lanes, const FMA: bool, const V: usize>(
    weights: &[f32],
    values: &[f32],
    stride: usize,
    out: &mut [f32],
) {
    if V == 0 {
        for (j, weight) in weights.iter().enumerate() {
            let value = &values[j * stride..][..out.len()];
            for (out, value) in out.iter_mut().zip(value) {
                *out = madd::<FMA>(*weight, *value, *out);
            }
        }
        return;
    }
    assert!(out.len() == V * L::N);
    assert!((weights.len() - 1) * stride + V * L::N <= values.len());
    // SAFETY: within `values` and `out`, as was just asserted.
    unsafe {
        let (mut even, mut odd) = ([L::splat(0.0); V], [L::splat(0.0); V]);
        for (v, even) in even.iter_mut().enumerate() {
            *even = L::load(out.as_ptr().add(v * L::N));
        }
        let (pairs, last) = weights.as_chunks::<2>();
        let mut at = values.as_ptr();
        for [a, b] in pairs {
            let (a, b, next) = (L::splat(*a), L::splat(*b), at.add(stride));
            for v in 0..V {
                even[v] = a.madd(L::load(at.add(v * L::N)), even[v]);
                odd[v] = b.madd(L::load(next.add(v * L::N)), odd[v]);
            }
            at = at.wrapping_add(2 * stride);
        }
        if let [a] = last {
            let a = L::splat(*a);
            for (v, even) in even.iter_mut().enumerate() {
                *even = a.madd(L::load(at.add(v * L::N)), *even);
            }
        }
        let one = L::splat(1.0);
        for v in 0..V {
            let sum = one.madd(even[v], odd[v]);
            sum.store(out.as_mut_ptr().add(v * L::N));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_weighs_alike_at_any_width_and_length() {
        let made = |count: usize, seed: usize| -> Vec<f32> {
            let value = |i: usize| (i * 7919 + seed) % 1009;
            (0..count).map(|i| value(i) as f32 / 504.0 - 1.0).collect()
        };
        for width in [5, 8, 16, 32, 48, 64, 80, 96, 128, 256] {
            for count in [1, 2, 63, 64, 65, 131] {
                let (heads, stride) = (3, width + 3);
                let (q, k) = (made(heads * width, 1), made(count * stride, 2));
                let v = made(count * stride, 3);
                let seen = Seen {
                    queries: &q,
                    keys: &k,
                    values: &v,
                    stride: [width, stride, stride],
                    width,
                    count,
                    scale: 0.3,
                };
                let right = plainly(&seen);
                for level in Level::all() {
                    let mut found = vec![0.0; heads * width];
                    seen.weigh(level, &mut found);
                    for (found, right) in found.iter().zip(&right) {
                        let off = (f64::from(*found) - right).abs();
                        assert!(off < 2e-5, "{level:?} {width} {count} {off}");
                    }
                }
            }
        }
    }

    /// In `f64`, as the formula stands.
    fn plainly(seen: &Seen<'_>) -> Vec<f64> {
        let (width, [of_query, of_key, of_value]) = (seen.width, seen.stride);
        let mut out = Vec::new();
        for head in 0..seen.queries.len() / of_query {
            let row = |of: &[f32], at: usize| -> Vec<f64> {
                of[at..][..width].iter().map(|x| f64::from(*x)).collect()
            };
            let q = row(seen.queries, head * of_query);
            let weight = |j: usize| {
                let k = row(seen.keys, j * of_key);
                let dot: f64 = q.iter().zip(&k).map(|(q, k)| q * k).sum();
                (dot * f64::from(seen.scale)).exp()
            };
            let weights: Vec<f64> = (0..seen.count).map(weight).collect();
            let sum: f64 = weights.iter().sum();
            let mut mixed = vec![0.0; width];
            for (j, weight) in weights.iter().enumerate() {
                let v = row(seen.values, j * of_value);
                for (mixed, v) in mixed.iter_mut().zip(v) {
                    *mixed += weight / sum * v;
                }
            }
            out.extend(mixed);
        }
        out
    }
}
