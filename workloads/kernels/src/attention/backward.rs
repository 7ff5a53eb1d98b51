//! Attention backward, with `P` the probabilities, computed again:
//! `dV = P^T dO`, `dP = dO V^T`, `dS = P (dP - sum(dP P)) scale`,
//! `dQ = dS K`, `dK = dS^T Q`.

use std::mem::MaybeUninit;

use burn::tensor::Shape;
use burn_flex::FlexTensor;
use gemm::Parallelism;

use super::forward::{multiply, weigh};
use super::{Heads, Task};
use crate::door::tensor;
use crate::math::{dot, multiversion};
use crate::product::{Matrix, Output, product, product_at};
use crate::rows::{fill, written};
use crate::share::{Parts, share};

/// Scores that a task holds, about: 1 MB of `f32`, twice.
const SCORES: usize = 256 * 1024;

/// Queries whose scores a task holds, of a picture's thousands not all.
fn together(queries: usize, keys: usize) -> usize {
    (SCORES / keys.max(1)).max(64).min(queries).max(1)
}

/// `f32` values of scratch: `P` and `dP` of one head's queries, for each
/// worker.
pub(super) fn scratch(tasks: usize, queries: usize, keys: usize) -> usize {
    let held = together(queries, keys) * keys;
    rayon::current_num_threads().min(tasks) * 2 * held
}

/// The gradients of `q`, `k` and `v`. A task is one key-value head, so that the
/// query heads that share it add to its gradients in order.
pub(super) fn differentiate(
    q: &Heads,
    k: &Heads,
    v: &Heads,
    grad: &Heads,
    task: Task,
) -> (FlexTensor, FlexTensor, FlexTensor) {
    let [batch, kv_heads] = [k.dims[0], k.dims[2]];
    let (mut dk, mut dv) = (vec![], vec![]);
    let dq = fill(q.dims.iter().product(), |dq| {
        dk = fill(k.dims.iter().product(), |dk| {
            dv = fill(v.dims.iter().product(), |dv| {
                let parts = [dq, dk, dv].map(Parts::new);
                share(batch * kv_heads, &|index| {
                    let head = [index / kv_heads, index % kv_heads];
                    one_head(q, k, v, grad, task, head, &parts);
                });
            });
        });
    });
    let shaped = |x, dims: [usize; 4]| tensor(x, Shape::from(dims.to_vec()));
    (shaped(dq, q.dims), shaped(dk, k.dims), shaped(dv, v.dims))
}

fn one_head(
    q: &Heads,
    k: &Heads,
    v: &Heads,
    grad: &Heads,
    task: Task,
    [b, kv]: [usize; 2],
    [dq, dk, dv]: &[Parts<'_>; 3],
) {
    let [_, queries, heads, width] = q.dims;
    let [_, positions, kv_heads, _] = k.dims;
    let (keys, group) = (task.keys, heads / kv_heads);
    let tile = together(queries, keys);
    let len = tile * keys;
    let (mut p, mut ds) = (Vec::with_capacity(len), Vec::with_capacity(len));
    let (k_row, v_row) = (kv_heads * width, kv_heads * width);
    let kv_place = |s: usize| ((b * positions + s) * kv_heads + kv) * width;
    // Positions beyond the keys have no part in the result, nor has any
    // without queries.
    for s in (if queries == 0 { 0 } else { keys })..positions {
        for parts in [dk, dv] {
            #[expect(unsafe_code, reason = "each task has its own rows")]
            // SAFETY: rows of different tasks do not overlap.
            let row = unsafe { parts.part(kv_place(s), width) };
            row.fill(MaybeUninit::new(0.0));
        }
    }
    let (keys_of, values_of) =
        (k.matrix([b, kv], 0, keys), v.matrix([b, kv], 0, keys));
    let tiles = |h| (0..queries).step_by(tile).map(move |first| (h, first));
    let all = (kv * group..(kv + 1) * group).flat_map(tiles);
    for (i, (h, first)) in all.enumerate() {
        let count = tile.min(queries - first);
        let len = count * keys;
        let queries_of = q.matrix([b, h], first, count);
        let grad_of = grad.matrix([b, h], first, count);
        let p = &mut p.spare_capacity_mut()[..len];
        let none = Parallelism::None;
        product(p, keys, queries_of, keys_of.transposed(), task.scale, none);
        let p = written(p);
        for (t, row) in p.chunks_exact_mut(keys).enumerate() {
            let (seen, hidden) =
                row.split_at_mut(task.visible(first + t, queries));
            hidden.fill(0.0);
            let [_, sum] = weigh(seen, f32::NEG_INFINITY);
            multiply(seen, 1.0 / sum);
        }
        let ds = &mut ds.spare_capacity_mut()[..len];
        product(ds, keys, grad_of, values_of.transposed(), 1.0, none);
        let ds = written(ds);
        for (ds, p) in ds.chunks_exact_mut(keys).zip(p.chunks_exact(keys)) {
            soften(ds, p, task.scale);
        }
        let (p, ds) =
            (Matrix::dense(p, count, keys), Matrix::dense(ds, count, keys));
        let output = if i == 0 { Output::Written } else { Output::Added };
        let q_place = ((b * queries + first) * heads + h) * width;
        let q_len = (count - 1) * heads * width + width;
        let kv_len = (keys - 1) * k_row + width;
        #[expect(unsafe_code, reason = "each task has its own heads")]
        // SAFETY: the products touch the rows of this task's heads alone; the
        // first tile of the group's first head writes dk and dv, the others add.
        unsafe {
            let out = dv.place(kv_place(0), kv_len);
            let p = p.transposed();
            product_at(out, v_row, p, grad_of, 1.0, output, none);
            let out = dq.place(q_place, q_len);
            let new = Output::Written;
            product_at(out, heads * width, ds, keys_of, 1.0, new, none);
            let out = dk.place(kv_place(0), kv_len);
            let ds = ds.transposed();
            product_at(out, k_row, ds, queries_of, 1.0, output, none);
        }
    }
}

multiversion! {
    /// Turns `dP` into `dS` for one row.
    fn soften(dp: &mut [f32], p: &[f32], scale: f32) {
        let mean = dot::<FMA>(dp, p);
        for (dp, p) in dp.iter_mut().zip(p) {
            *dp = *p * (*dp - mean) * scale;
        }
    }
}
