//! Attention forward, of many queries (prefill); one is `decode.rs`.

use std::mem::MaybeUninit;

use burn::tensor::Shape;
use burn_flex::FlexTensor;
use gemm::Parallelism;

use super::decode::decode;
use super::{Heads, Task};
use crate::door::tensor;
use crate::math::{LANES, exp, multiversion};
use crate::product::{Matrix, Output, product, product_at};
use crate::rows::{fill, written};
use crate::share::{Parts, share};

/// Queries of a tile, and keys of one: the scores stay in L2.
const QUERIES: usize = 64;
const KEYS: usize = 512;

/// `f32` values of scratch: one tile of scores a worker.
pub(super) fn scratch(heads: usize, queries: usize, keys: usize) -> usize {
    if queries == 1 {
        return 0;
    }
    let tasks = heads * queries.div_ceil(QUERIES);
    let workers = rayon::current_num_threads().min(tasks);
    workers * queries.min(QUERIES) * keys.min(KEYS)
}

pub(super) fn attend(
    q: &Heads,
    k: &Heads,
    v: &Heads,
    task: Task,
) -> FlexTensor {
    let [batch, queries, heads, width] = q.dims;
    let out = fill(batch * queries * heads * width, |out| {
        if out.is_empty() {
            return;
        }
        if queries == 1 {
            decode(q, k, v, task, out);
        } else {
            prefill(q, k, v, task, out);
        }
    });
    tensor(out, Shape::from(q.dims.to_vec()))
}

/// Many queries: a task is a tile of queries of one head, the late ones first,
/// as they see the most keys.
fn prefill(
    q: &Heads,
    k: &Heads,
    v: &Heads,
    task: Task,
    out: &mut [MaybeUninit<f32>],
) {
    let [batch, queries, heads, _] = q.dims;
    let tiles = queries.div_ceil(QUERIES);
    let parts = Parts::new(out);
    let one = |index: usize| {
        let tile = tiles - 1 - index / (batch * heads);
        let head = index % (batch * heads);
        attend_tile(q, k, v, task, [head / heads, head % heads], tile, &parts);
    };
    share(batch * heads * tiles, &one);
}

fn attend_tile(
    q: &Heads,
    k: &Heads,
    v: &Heads,
    task: Task,
    [b, h]: [usize; 2],
    tile: usize,
    parts: &Parts<'_>,
) {
    let [_, queries, heads, width] = q.dims;
    let kv = h / (heads / k.dims[2]);
    let first = tile * QUERIES;
    let count = QUERIES.min(queries - first);
    let seen = task.visible(first + count - 1, queries);
    let place = |i: usize| ((b * queries + first + i) * heads + h) * width;
    // Scores lie key by key: no product packs an operand, and the softmax runs
    // over all queries of the tile at once.
    let mut scores = Vec::with_capacity(count * seen.min(KEYS));
    let mut running = Running {
        largest: [f32::NEG_INFINITY; QUERIES],
        sum: [0.0; QUERIES],
        shrink: [0.0; QUERIES],
    };
    for from in (0..seen).step_by(KEYS) {
        let keys = KEYS.min(seen - from);
        let scores = &mut scores.spare_capacity_mut()[..count * keys];
        product(
            scores,
            count,
            k.matrix([b, kv], from, keys),
            q.matrix([b, h], first, count).transposed(),
            task.scale,
            Parallelism::None,
        );
        let scores = written(scores);
        if task.causal {
            // Query i of the tile sees key j if j + ahead - none <= i.
            let ahead = (from + queries).saturating_sub(task.keys + first);
            let none = (task.keys + first).saturating_sub(from + queries);
            for (j, row) in scores.chunks_exact_mut(count).enumerate() {
                let hidden = (j + ahead).saturating_sub(none).min(count);
                row[..hidden].fill(f32::NEG_INFINITY);
            }
        }
        weigh_columns(scores, count, &mut running);
        if from > 0 {
            for (i, &shrink) in running.shrink[..count].iter().enumerate() {
                if shrink < 1.0 {
                    #[expect(unsafe_code, reason = "each task has its rows")]
                    // SAFETY: rows of different tasks do not overlap, and the
                    // first product wrote this one.
                    let row = unsafe { parts.part(place(i), width) };
                    multiply(written(row), shrink);
                }
            }
        }
        #[expect(unsafe_code, reason = "each task has its own rows")]
        // SAFETY: the product touches this head's rows of this tile alone;
        // from the second tile of keys on they have been written.
        unsafe {
            let len = (count - 1) * heads * width + width;
            product_at(
                parts.place(place(0), len),
                heads * width,
                Matrix::dense(scores, keys, count).transposed(),
                v.matrix([b, kv], from, keys),
                1.0,
                if from > 0 { Output::Added } else { Output::Written },
                Parallelism::None,
            );
        }
    }
    for (i, sum) in running.sum[..count].iter().enumerate() {
        #[expect(unsafe_code, reason = "each task has its own rows")]
        // SAFETY: as above.
        let row = unsafe { parts.part(place(i), width) };
        multiply(written(row), 1.0 / sum);
    }
}

/// What a tile's queries have seen so far: the maximum score, the sum of
/// `exp(score - maximum)`, and the factor that the last keys put on what came
/// before them.
struct Running {
    largest: [f32; QUERIES],
    sum: [f32; QUERIES],
    shrink: [f32; QUERIES],
}

multiversion! {
    /// Turns scores, `count` queries a key, into `exp(score - maximum)`.
    fn weigh_columns(scores: &mut [f32], count: usize, running: &mut Running) {
        let before = running.largest;
        let most = &mut running.largest[..count];
        for row in scores.chunks_exact(count) {
            for (most, score) in most.iter_mut().zip(row) {
                *most = if *score > *most { *score } else { *most };
            }
        }
        for i in 0..count {
            running.shrink[i] = exp::<FMA>(before[i] - most[i]);
            running.sum[i] *= running.shrink[i];
        }
        let sum = &mut running.sum[..count];
        for row in scores.chunks_exact_mut(count) {
            for ((score, most), sum) in
                row.iter_mut().zip(most.iter()).zip(sum.iter_mut())
            {
                *score = exp::<FMA>(*score - *most);
                *sum += *score;
            }
        }
    }
}

multiversion! {
    /// Turns scores into `exp(score - m)`, `m` the maximum of `before` and all
    /// scores; gives `m` and their sum.
    pub(super) fn weigh(scores: &mut [f32], before: f32) -> [f32; 2] {
        let (chunks, rest) = scores.as_chunks_mut::<LANES>();
        let mut lanes = [before; LANES];
        for chunk in chunks.iter() {
            for i in 0..LANES {
                lanes[i] = if chunk[i] > lanes[i] { chunk[i] } else { lanes[i] };
            }
        }
        let most = lanes.into_iter().chain(rest.iter().copied());
        let most = most.fold(before, f32::max);
        let mut lanes = [0.0; LANES];
        for chunk in chunks {
            for i in 0..LANES {
                chunk[i] = exp::<FMA>(chunk[i] - most);
                lanes[i] += chunk[i];
            }
        }
        let mut sum: f32 = lanes.into_iter().sum();
        for score in rest {
            *score = exp::<FMA>(*score - most);
            sum += *score;
        }
        [most, sum]
    }
}

multiversion! {
    pub(super) fn multiply(row: &mut [f32], factor: f32) {
        for x in row {
            *x *= factor;
        }
    }
}
