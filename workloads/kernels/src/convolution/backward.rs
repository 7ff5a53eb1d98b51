//! The gradients of weights and bias: `dW = sum over rows of window^T dy`, the
//! rows shared out, each task with sums of its own.

use std::ops::Range;

use super::forward::{packed_len, turned_channels};
use super::plan::{Geometry, Plan, Source};
use crate::math::multiversion;
use crate::micro::{Level, PANEL, ROWS, Sums, Walk, tile, tiles};
use crate::rows::fill;
use crate::share::{share_parts, share_values};

/// Rows that one visit of the sums adds: these are read and written once a
/// visit.
const BLOCK: usize = 512;

/// Rows from which sums of its own pay for a task.
const LEAST: usize = 2048;

/// Tasks at most.
const TASKS: usize = 16;

/// Samples and lines of a visit, visits, visits of a task.
fn split(plan: &Plan) -> (usize, usize, usize, usize) {
    let lines = (BLOCK / plan.positions.max(1)).clamp(1, plan.lines.max(1));
    let samples = if plan.lines > 1 {
        1
    } else {
        (BLOCK / plan.positions.max(1)).clamp(1, plan.batch.max(1))
    };
    let visits = plan.batch.div_ceil(samples) * plan.lines.div_ceil(lines);
    let rows = plan.batch * plan.lines * plan.positions;
    let tasks = (rows / LEAST).clamp(1, TASKS);
    (samples, lines, visits, visits.div_ceil(tasks))
}

/// Values that the tasks' sums take, those of the bias aside.
pub(super) fn partial_len(plan: &Plan) -> usize {
    let (_, _, visits, visits_a_task) = split(plan);
    visits.div_ceil(visits_a_task.max(1))
        * packed_len(plan.depth(), plan.outputs)
}

/// `(dW [O, C, kh, kw], db [O])` of the rows of `grad`; `plan` is the forward
/// one.
pub(super) fn weight_gradient(
    plan: &Plan,
    geometry: &Geometry,
    x: &[f32],
    grad: &Source<'_>,
) -> (Vec<f32>, Vec<f32>) {
    let (depth, cols) = (plan.depth(), plan.outputs);
    let (samples, lines, visits, visits_a_task) = split(plan);
    if visits == 0 || cols == 0 {
        return (vec![0.0; depth * cols], vec![0.0; cols]);
    }
    let blocks = plan.lines.div_ceil(lines);
    let tasks = visits.div_ceil(visits_a_task);
    // The bias's sums behind the weights'.
    let len = packed_len(depth, cols) + cols.next_multiple_of(PANEL);
    let mut sums = vec![0.0; tasks * len];
    share_values(&mut sums, len, |task, sums| {
        let (sums, bias) = sums.split_at_mut(packed_len(depth, cols));
        let (mut buffer, mut panels) = (Vec::new(), Vec::new());
        let first = task * visits_a_task;
        for visit in first..visits.min(first + visits_a_task) {
            let sample = visit / blocks * samples;
            let line = visit % blocks * lines;
            Visit {
                level: Level::best(),
                plan,
                samples: sample..plan.batch.min(sample + samples),
                lines: line..plan.lines.min(line + lines),
            }
            .run(x, grad, &mut buffer, &mut panels, sums, bias);
        }
    });
    let (sum, others) = sums.split_at_mut(len);
    share_values(sum, 4096, |part, sum| {
        for other in others.chunks_exact(len) {
            add(sum, &other[part * 4096..][..sum.len()]);
        }
    });
    let bias = sum[packed_len(depth, cols)..][..cols].to_vec();
    (unpack(sum, geometry), bias)
}

multiversion! {
    fn add(sum: &mut [f32], other: &[f32]) {
        for (sum, other) in sum.iter_mut().zip(other) {
            *sum += other;
        }
    }
}

/// The weights' own layout, from panels: the way back of `pack_weight`.
fn unpack(sums: &[f32], g: &Geometry) -> Vec<f32> {
    let (depth, window) = (g.taps(), g.kernel[0] * g.kernel[1]);
    let together = turned_channels(window);
    let room = together * window;
    fill(g.outputs * depth, |out| {
        share_parts(out, depth * PANEL, |first, out| {
            let (panel, _) = sums[first..].as_chunks::<PANEL>();
            let outputs = out.len() / depth;
            let mut buffer = vec![0.0; outputs * room];
            for first in (0..g.channels).step_by(together) {
                let channels = first..g.channels.min(first + together);
                let len = channels.len() * window;
                for (i, c) in channels.enumerate() {
                    for at in 0..window {
                        let cells = panel[at * g.channels + c].iter();
                        let values = buffer[i * window + at..].iter_mut();
                        for (value, sum) in values.step_by(room).zip(cells) {
                            *value = *sum;
                        }
                    }
                }
                let rows = out.chunks_exact_mut(depth);
                for (out, row) in rows.zip(buffer.chunks_exact(room)) {
                    let out = &mut out[first * window..][..len];
                    for (out, value) in out.iter_mut().zip(row) {
                        out.write(*value);
                    }
                }
            }
        });
    })
}

/// Samples with all lines, or lines of one sample, whose rows are added
/// together.
struct Visit<'a> {
    level: Level,
    plan: &'a Plan,
    samples: Range<usize>,
    lines: Range<usize>,
}

impl Visit<'_> {
    fn run(
        &self,
        x: &[f32],
        grad: &Source<'_>,
        buffer: &mut Vec<f32>,
        panels: &mut Vec<f32>,
        sums: &mut [f32],
        bias: &mut [f32],
    ) {
        let plan = self.plan;
        let first = (self.samples.start * plan.lines + self.lines.start)
            * plan.positions;
        let rows = self.samples.len() * self.lines.len() * plan.positions;
        let cols = plan.outputs;
        let grad = grad.part(first * cols..(first + rows) * cols);
        panels.resize(cols.next_multiple_of(PANEL) * rows, 0.0);
        let from = Source { values: x, mask: None };
        let staged =
            plan.stage(&from, self.samples.clone(), self.lines.clone(), buffer);
        let each = plan.depth() * PANEL;
        for (i, panel) in panels.chunks_exact_mut(rows * PANEL).enumerate() {
            let first = i * PANEL;
            let cols = first..cols.min(first + PANEL);
            let bias = &mut bias[first..first + PANEL];
            take(grad.values, grad.mask, plan.outputs, &cols, panel, bias);
            let sums = &mut sums[i * each..(i + 1) * each];
            self.panel(staged, panel, cols.len(), sums);
        }
    }

    /// Adds all taps of a panel.
    fn panel(
        &self,
        (staged, sample): (&[f32], usize),
        panel: &[f32],
        cols: usize,
        sums: &mut [f32],
    ) {
        let plan = self.plan;
        let most = self.level.rows();
        if plan.lines == 1 {
            // Taps of several segments make a tile: each has all rows.
            let (segments, at) = plan.window(0, 0);
            for taps in tiles(segments.len() * plan.taps, most) {
                let first = segments.start * plan.taps + taps.start;
                let place = |tap: usize| {
                    at + tap / plan.taps * plan.step + tap % plan.taps
                };
                let outer = (self.samples.len(), sample);
                self.tile(
                    staged,
                    place,
                    taps,
                    outer,
                    panel,
                    cols,
                    &mut sums[first * PANEL..],
                );
            }
            return;
        }
        for segment in 0..plan.segments {
            // The lines whose window has this segment.
            let has = |&line: &usize| {
                plan.window(line, self.lines.start).0.contains(&segment)
            };
            let Some(low) = self.lines.clone().find(has) else { continue };
            let count = (low..self.lines.end).take_while(has).count();
            let (segments, at) = plan.window(low, self.lines.start);
            let at = at + (segment - segments.start) * plan.step;
            let skipped = (low - self.lines.start) * plan.positions * PANEL;
            for taps in tiles(plan.taps, most) {
                let first = segment * plan.taps + taps.start;
                let outer = (count, plan.line_step());
                self.tile(
                    staged,
                    |tap| at + tap,
                    taps,
                    outer,
                    &panel[skipped..],
                    cols,
                    &mut sums[first * PANEL..],
                );
            }
        }
    }

    /// Adds a tile of taps, whose first value lies at `place(tap)`.
    #[expect(clippy::too_many_arguments, reason = "a tile's whole state")]
    fn tile(
        &self,
        staged: &[f32],
        place: impl Fn(usize) -> usize,
        taps: Range<usize>,
        (outer, distance): (usize, usize),
        panel: &[f32],
        cols: usize,
        sums: &mut [f32],
    ) {
        let plan = self.plan;
        let walk = Walk {
            outer,
            inner: plan.positions,
            a: [distance, plan.row],
            b: [plan.positions * PANEL, PANEL],
        };
        let reach = (outer - 1) * distance + (plan.positions - 1) * plan.row;
        assert!(outer * walk.b[0] <= panel.len());
        assert!(taps.len() * PANEL <= sums.len());
        let mut a = [staged.as_ptr(); ROWS];
        for (a, tap) in a.iter_mut().zip(taps.clone()) {
            let at = place(tap);
            assert!(at + reach < staged.len(), "a window leaves its source");
            *a = staged[at..].as_ptr();
        }
        let out = sums.as_mut_ptr();
        let sums = Sums {
            init: out,
            init_row: PANEL,
            out,
            out_row: PANEL,
            cols: if cols <= PANEL / 2 { PANEL / 2 } else { PANEL },
            relu: false,
        };
        #[expect(unsafe_code, reason = "the inner loop takes pointers")]
        // SAFETY: the asserts above; sums are read before they are written.
        unsafe {
            tile(self.level, &a[..taps.len()], panel.as_ptr(), &walk, &sums);
        }
    }
}

multiversion! {
    /// Copies `cols` of all rows into a panel, and adds them to the bias.
    fn take(values: &[f32], mask: Option<&[f32]>, width: usize, cols: &Range<usize>, panel: &mut [f32], bias: &mut [f32]) {
        let count = cols.len();
        for (row, to) in panel.chunks_exact_mut(PANEL).enumerate() {
            let first = row * width + cols.start;
            let from = &values[first..first + count];
            match mask {
                None => to[..count].copy_from_slice(from),
                Some(mask) => {
                    let mask = &mask[first..first + count];
                    for ((to, value), mask) in to.iter_mut().zip(from).zip(mask) {
                        *to = if *mask > 0.0 { *value } else { 0.0 };
                    }
                }
            }
            for (bias, x) in bias[..count].iter_mut().zip(to.iter()) {
                *bias += x;
            }
        }
    }
}
