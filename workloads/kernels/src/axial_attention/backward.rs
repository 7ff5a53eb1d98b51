//! Backward, with the weights computed again.
//!
//! With `P` the probabilities of one head, `O = P V`, `s = sigmoid(gate)` and
//! `g = s dout`: `dgate = dout O s (1 - s)`, `dV = P^T g`,
//! `dS = P (g V^T - sum_j g O)`, `dbias = sum dS` over the others,
//! `dQ = dS K / sqrt(d)`, `dK = dS^T Q / sqrt(d)`. `P` is never divided by its
//! sums: `g` is, once for all products.
//!
//! A task that adds to the gradient of a bias owns it: it is one head, of
//! which it takes the others in order, a round at a time, so that the tasks
//! read the same cache lines at about the same time.

use std::ops::Range;

use super::forward::run;
use super::pack::{
    GATE, Head, KEY, PARTS, Plane, Pool, QUERY, Sizes, VALUE, bias_of_planes,
    bias_planes,
};
use super::scores::{Keys, QUERIES, spread, ungate};
use super::tile::{Product, Start};
use crate::micro::{Level, PANEL, tiles};
use crate::rows::fill;
use crate::share::{Parts, share_values};

/// Queries of a block, whose weights and their gradients stay in L2 until the
/// keys and values have had their share.
const BLOCK: usize = 4 * QUERIES;

/// Values of a block's weights at most, unless one tile has more.
const WEIGHTS: usize = 32 * 1024;

/// Others that a head takes before the threads meet.
const ROUND: usize = 8;

/// Tasks that the sum of a bias's gradient is split into at least: fewer heads
/// than this are shared by several, each with sums of its own.
const OWNERS: usize = 4;

fn block(sizes: &Sizes) -> usize {
    let tiles = WEIGHTS / (QUERIES * sizes.score_row());
    (tiles * QUERIES).clamp(QUERIES, BLOCK)
}

/// Sums of a bias's gradient that each head has.
fn groups(sizes: &Sizes) -> usize {
    OWNERS.div_ceil(sizes.heads)
}

struct Scratch {
    key_panels: Vec<f32>,
    value_panels: Vec<f32>,
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    hidden: Vec<f32>,
    weights: Vec<f32>,
    /// Of the scores.
    grads: Vec<f32>,
    /// Of the mixed values, a block.
    mixed_grads: Vec<f32>,
    mixed: Vec<f32>,
    gates: Vec<f32>,
    centres: Vec<f32>,
    key_grads: Vec<f32>,
    value_grads: Vec<f32>,
}

impl Scratch {
    fn sizes(sizes: &Sizes) -> [usize; 14] {
        let (rows, tile) = (sizes.len * sizes.wide(), QUERIES * sizes.wide());
        let panels = sizes.keys() * sizes.width;
        let weights = block(sizes) * sizes.score_row();
        [
            panels,
            panels,
            rows,
            rows,
            rows,
            sizes.keys(),
            weights,
            weights,
            block(sizes) * sizes.wide(),
            tile,
            tile,
            QUERIES * PANEL,
            rows,
            rows,
        ]
    }

    fn new(sizes: &Sizes) -> Self {
        let [
            key_panels,
            value_panels,
            queries,
            keys,
            values,
            hidden,
            weights,
            grads,
            mixed_grads,
            mixed,
            gates,
            centres,
            key_grads,
            value_grads,
        ] = Self::sizes(sizes).map(|len| vec![0.0; len]);
        Self {
            key_panels,
            value_panels,
            queries,
            keys,
            values,
            hidden,
            weights,
            grads,
            mixed_grads,
            mixed,
            gates,
            centres,
            key_grads,
            value_grads,
        }
    }
}

/// `f32` values of scratch: a copy of the bias, the sums of its gradient, and
/// one head a worker.
pub(super) fn scratch(sizes: &Sizes, biased: bool) -> usize {
    let (bias, tasks) = if biased {
        let planes = sizes.heads * groups(sizes);
        ((sizes.heads + planes) * sizes.bias(), planes)
    } else {
        (0, sizes.others * sizes.heads)
    };
    let workers = rayon::current_num_threads().min(tasks);
    bias + workers * Scratch::sizes(sizes).iter().sum::<usize>()
}

/// What a gradient is taken of.
pub(super) struct Inputs<'a> {
    pub(super) sizes: &'a Sizes,
    pub(super) packed: &'a Plane<'a>,
    /// [X, Y], in order.
    pub(super) mask: &'a [f32],
    /// Of the output.
    pub(super) grad: &'a Plane<'a>,
}

/// The gradient of packed [X, Y, 4 H d].
pub(super) fn differentiate(inputs: &Inputs<'_>) -> Vec<f32> {
    let sizes = inputs.sizes;
    let pool = Pool::new();
    fill(sizes.others * sizes.len * PARTS * sizes.channels(), |out| {
        let parts = Parts::new(out);
        run(sizes, sizes.others * sizes.heads, &|task| {
            let place = [task / sizes.heads, task % sizes.heads];
            pool.lend(
                || Scratch::new(sizes),
                |scratch| one_head(inputs, place, None, scratch, &parts),
            );
        });
    })
}

/// The gradients of packed and of the bias [N, N, H].
pub(super) fn differentiate_biased(
    inputs: &Inputs<'_>,
    bias: &Plane<'_>,
) -> [Vec<f32>; 2] {
    let sizes = inputs.sizes;
    let planes = bias_planes(bias, sizes);
    let (size, groups) = (sizes.bias(), groups(sizes));
    let mut sums = vec![0.0; groups * sizes.heads * size];
    let pool = Pool::new();
    let len = sizes.others * sizes.len * PARTS * sizes.channels();
    let packed = fill(len, |out| {
        let parts = Parts::new(out);
        for first in (0..sizes.others).step_by(ROUND) {
            let last = sizes.others.min(first + ROUND);
            share_values(&mut sums, size, |task, sums| {
                let (group, head) = (task / sizes.heads, task % sizes.heads);
                let bias = &planes[head * size..][..size];
                pool.lend(
                    || Scratch::new(sizes),
                    |scratch| {
                        for other in (first + group..last).step_by(groups) {
                            let bias = Some((bias, &mut *sums));
                            let place = [other, head];
                            one_head(inputs, place, bias, scratch, &parts);
                        }
                    },
                );
            });
        }
    });
    [packed, bias_of_planes(&sums, sizes)]
}

/// Writes the packed gradient of one head of one of the others; with the bias
/// [N, keys] comes the sum of its gradients.
fn one_head(
    inputs: &Inputs<'_>,
    [other, head]: [usize; 2],
    bias: Option<(&[f32], &mut [f32])>,
    scratch: &mut Scratch,
    out: &Parts<'_>,
) {
    let &Inputs { sizes, packed, mask, grad } = inputs;
    let all = 0..sizes.len;
    let scale = (sizes.width as f32).powf(-0.5);
    let grad = Head { sizes, packed: grad, other, head };
    let head = Head { sizes, packed, other, head };
    head.hide(mask, &mut scratch.hidden);
    head.panels(KEY, &mut scratch.key_panels);
    head.panels(VALUE, &mut scratch.value_panels);
    head.rows(QUERY, all.clone(), scale, &mut scratch.queries);
    head.rows(KEY, all.clone(), 1.0, &mut scratch.keys);
    head.rows(VALUE, all.clone(), 1.0, &mut scratch.values);
    let (bias, mut sums) = bias.unzip();
    let level = Level::best();
    for block in tiles(sizes.len, block(sizes)) {
        for tile in tiles(block.len(), QUERIES) {
            let queries = block.start + tile.start..block.start + tile.end;
            let row = queries.start * sizes.keys();
            let sums = sums.as_deref_mut().map(|sums| &mut sums[row..]);
            let part = Tile { head, grad, level, bias, queries, first: tile };
            part.run(scratch, sums, out);
        }
        gather(sizes, level, block, scratch);
    }
    head.put([PARTS, KEY], all.clone(), 1.0, &scratch.key_grads, out);
    head.put([PARTS, VALUE], all, 1.0, &scratch.value_grads, out);
}

/// A tile of queries.
struct Tile<'a> {
    head: Head<'a>,
    /// Of the output.
    grad: Head<'a>,
    level: Level,
    bias: Option<&'a [f32]>,
    queries: Range<usize>,
    /// The same, counted from the block's first.
    first: Range<usize>,
}

impl Tile<'_> {
    /// Leaves weights, gradients of scores and of mixed values in the block,
    /// writes the gradients of gates and queries.
    fn run(
        self,
        scratch: &mut Scratch,
        sums_of_bias: Option<&mut [f32]>,
        out: &Parts<'_>,
    ) {
        let Self { head, grad, level, bias, queries, first } = self;
        let sizes = head.sizes;
        let (wide, row) = (sizes.wide(), sizes.score_row());
        let rows = queries.len();
        let scale = (sizes.width as f32).powf(-0.5);
        let weights = &mut scratch.weights[first.start * row..first.end * row];
        let grads = &mut scratch.grads[first.start * row..first.end * row];
        let mixed_grads =
            &mut scratch.mixed_grads[first.start * wide..first.end * wide];
        let (mixed, gates) = (&mut scratch.mixed, &mut scratch.gates);
        let mut sums = [0.0; QUERIES];
        let sums = &mut sums[..rows];
        let scores = Keys {
            sizes,
            level,
            panels: &scratch.key_panels,
            hidden: &scratch.hidden,
            bias,
        };
        let left = &scratch.queries[queries.start * wide..];
        scores.weigh(queries.start, left, weights, sums);
        let all_keys = |left, right| Product {
            level,
            left,
            strides: [row, 1],
            rows,
            steps: sizes.len,
            right,
            right_row: wide,
        };
        all_keys(&*weights, &scratch.values[..]).across(
            wide,
            Start::Zero,
            mixed,
            wide,
        );
        head.rows(GATE, queries.clone(), 1.0, gates);
        // The output's gradient has one part.
        grad.rows(0, queries.clone(), 1.0, mixed_grads);
        ungate(mixed, gates, mixed_grads, sums, &mut scratch.centres, wide);
        head.put([PARTS, GATE], queries.clone(), 1.0, gates, out);
        let panels = scratch.value_panels.chunks_exact(sizes.width * PANEL);
        for (panel, right) in panels.enumerate() {
            let start = Start::From(&scratch.centres, PANEL);
            Product {
                level,
                left: mixed_grads,
                strides: [wide, 1],
                rows,
                steps: sizes.width,
                right,
                right_row: PANEL,
            }
            .run(PANEL, start, &mut grads[panel * PANEL..], row);
        }
        spread(weights, grads, row, sums_of_bias, sizes.keys());
        all_keys(&*grads, &scratch.keys[..]).across(
            wide,
            Start::Zero,
            mixed,
            wide,
        );
        head.put([PARTS, QUERY], queries, scale, mixed, out);
    }
}

/// Adds a block's share to the gradients of all keys and values.
fn gather(
    sizes: &Sizes,
    level: Level,
    block: Range<usize>,
    scratch: &mut Scratch,
) {
    let (wide, row) = (sizes.wide(), sizes.score_row());
    let start = if block.start == 0 { Start::Zero } else { Start::Output };
    let all_queries = |left, right| Product {
        level,
        left,
        strides: [1, row],
        rows: sizes.len,
        steps: block.len(),
        right,
        right_row: wide,
    };
    all_queries(&scratch.weights[..], &scratch.mixed_grads[..]).across(
        wide,
        start,
        &mut scratch.value_grads,
        wide,
    );
    let queries = &scratch.queries[block.start * wide..];
    all_queries(&scratch.grads[..], queries).across(
        wide,
        start,
        &mut scratch.key_grads,
        wide,
    );
}
