//! Forward: a task is one head of one of the others.

use super::pack::{
    GATE, Head, KEY, Plane, Pool, QUERY, Sizes, VALUE, bias_planes,
};
use super::scores::{Keys, QUERIES, gate};
use super::tile::{Product, Start};
use crate::micro::{Level, tiles};
use crate::rows::fill;
use crate::share::{Parts, share};

/// Products of a query and a key, times the width, from which a second thread
/// pays.
const WORTH_THREADS: usize = 256 * 1024;

/// Runs `work` for each of `tasks`, on the caller's thread alone where there is
/// too little of it.
pub(super) fn run(sizes: &Sizes, tasks: usize, work: &(dyn Fn(usize) + Sync)) {
    if sizes.pairs() * sizes.width < WORTH_THREADS {
        (0..tasks).for_each(work);
    } else {
        share(tasks, work);
    }
}

struct Scratch {
    keys: Vec<f32>,
    values: Vec<f32>,
    hidden: Vec<f32>,
    queries: Vec<f32>,
    gates: Vec<f32>,
    mixed: Vec<f32>,
    scores: Vec<f32>,
}

impl Scratch {
    fn sizes(sizes: &Sizes) -> [usize; 7] {
        let tile = QUERIES * sizes.wide();
        [
            sizes.keys() * sizes.width,
            sizes.len * sizes.wide(),
            sizes.keys(),
            tile,
            tile,
            tile,
            QUERIES * sizes.score_row(),
        ]
    }

    fn new(sizes: &Sizes) -> Self {
        let [keys, values, hidden, queries, gates, mixed, scores] =
            Self::sizes(sizes).map(|len| vec![0.0; len]);
        Self { keys, values, hidden, queries, gates, mixed, scores }
    }
}

/// `f32` values of scratch: a copy of the bias, and one head a worker.
pub(super) fn scratch(sizes: &Sizes, biased: bool) -> usize {
    let bias = if biased { sizes.heads * sizes.bias() } else { 0 };
    let workers = rayon::current_num_threads().min(sizes.others * sizes.heads);
    bias + workers * Scratch::sizes(sizes).iter().sum::<usize>()
}

/// [X, Y, H d] from packed [X, Y, 4 H d], the mask in order and the bias
/// [N, N, H].
pub(super) fn attend(
    packed: &Plane<'_>,
    mask: &[f32],
    bias: Option<&Plane<'_>>,
    sizes: &Sizes,
) -> Vec<f32> {
    let planes = bias.map(|bias| bias_planes(bias, sizes));
    let pool = Pool::new();
    let level = Level::best();
    fill(sizes.others * sizes.len * sizes.channels(), |out| {
        let parts = Parts::new(out);
        run(sizes, sizes.others * sizes.heads, &|task| {
            let (other, head) = (task / sizes.heads, task % sizes.heads);
            let bias = planes
                .as_ref()
                .map(|planes| &planes[head * sizes.bias()..][..sizes.bias()]);
            let head = Head { sizes, packed, other, head };
            pool.lend(
                || Scratch::new(sizes),
                |scratch| one_head(head, level, mask, bias, scratch, &parts),
            );
        });
    })
}

fn one_head(
    head: Head<'_>,
    level: Level,
    mask: &[f32],
    bias: Option<&[f32]>,
    scratch: &mut Scratch,
    out: &Parts<'_>,
) {
    let sizes = head.sizes;
    let wide = sizes.wide();
    let Scratch { keys, values, hidden, queries, gates, mixed, scores } =
        scratch;
    head.hide(mask, hidden);
    head.panels(KEY, keys);
    head.rows(VALUE, 0..sizes.len, 1.0, values);
    let keys = Keys { sizes, level, panels: keys, hidden, bias };
    let scale = (sizes.width as f32).powf(-0.5);
    for tile in tiles(sizes.len, QUERIES) {
        let mut sums = [0.0; QUERIES];
        let sums = &mut sums[..tile.len()];
        head.rows(QUERY, tile.clone(), scale, queries);
        head.rows(GATE, tile.clone(), 1.0, gates);
        keys.weigh(tile.start, queries, scores, sums);
        Product {
            level,
            left: scores,
            strides: [sizes.score_row(), 1],
            rows: tile.len(),
            steps: sizes.len,
            right: values,
            right_row: wide,
        }
        .across(wide, Start::Zero, mixed, wide);
        gate(mixed, gates, sums, wide);
        head.put([1, 0], tile, 1.0, mixed, out);
    }
}
