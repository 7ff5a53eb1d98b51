//! The output of a convolution, and the gradient of its input, which is one
//! too: both run over a [`Plan`] with weights packed for it.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::plan::{Geometry, Plan, Source};
use crate::micro::{Level, PANEL, Sums, Walk, tile, tiles};
use crate::rows::{fill, written};
use crate::share::{Parts, share, share_parts};

/// Values of a packed matrix of `depth` rows.
pub(super) fn packed_len(depth: usize, cols: usize) -> usize {
    cols.div_ceil(PANEL) * depth * PANEL
}

/// Panels of [`PANEL`] columns; `write(columns, panel)` gets the rows of a
/// panel, [`PANEL`] values each, all zero.
fn pack(
    depth: usize,
    cols: usize,
    write: impl Fn(Range<usize>, &mut [[f32; PANEL]]) + Sync,
) -> Vec<f32> {
    fill(packed_len(depth, cols), |out| {
        share_parts(out, depth * PANEL, |first, panel| {
            panel.fill(MaybeUninit::new(0.0));
            let (panel, _) = written(panel).as_chunks_mut();
            let first = first / depth;
            write(first..cols.min(first + PANEL), panel);
        });
    })
}

/// Values of one output that are turned at a time: 32 outputs' are 16 KiB, so
/// that they stay in the first cache.
const TURNED: usize = 128;

/// Channels whose weights are turned together, for windows of that size.
pub(super) fn turned_channels(window: usize) -> usize {
    (TURNED / window).max(1)
}

/// Weights [O, C, kh, kw] as rows (height, width, channel), columns `o`.
///
/// A few channels of all outputs of a panel are brought together first: then
/// memory is read and written in order, and only the small buffer is not.
pub(super) fn pack_weight(weight: &[f32], g: &Geometry) -> Vec<f32> {
    let (depth, window) = (g.taps(), g.kernel[0] * g.kernel[1]);
    let together = turned_channels(window);
    let room = together * window;
    pack(depth, g.outputs, |outputs, panel| {
        let mut buffer = vec![0.0; outputs.len() * room];
        for first in (0..g.channels).step_by(together) {
            let channels = first..g.channels.min(first + together);
            let len = channels.len() * window;
            for (o, row) in outputs.clone().zip(buffer.chunks_exact_mut(room)) {
                let from = o * depth + first * window;
                row[..len].copy_from_slice(&weight[from..from + len]);
            }
            for (i, c) in channels.enumerate() {
                for at in 0..window {
                    let cells = &mut panel[at * g.channels + c];
                    let values = buffer[i * window + at..].iter();
                    for (cell, w) in cells.iter_mut().zip(values.step_by(room))
                    {
                        *cell = *w;
                    }
                }
            }
        }
    })
}

/// The same turned about: rows (height, width, output) from the last place of
/// the window to the first, columns the channels of the folded geometry.
pub(super) fn pack_turned(
    weight: &[f32],
    g: &Geometry,
    folded: &Geometry,
) -> Vec<f32> {
    let window = g.kernel[0] * g.kernel[1];
    let places = folded.kernel[0] * folded.kernel[1];
    pack(places * g.outputs, folded.channels, |columns, panel| {
        // The taps as the unfolded weights count them, from the last place.
        let taps: Vec<usize> = (0..places)
            .rev()
            .flat_map(|place| {
                let first = place * folded.channels;
                columns.clone().map(move |col| first + col)
            })
            .map(|tap| tap % g.channels * window + tap / g.channels)
            .collect();
        let wide = columns.len().max(1);
        for (o, weight) in weight.chunks_exact(g.taps().max(1)).enumerate() {
            for (place, taps) in taps.chunks_exact(wide).enumerate() {
                let cells = panel[place * g.outputs + o].iter_mut();
                for (cell, &tap) in cells.zip(taps) {
                    *cell = weight[tap];
                }
            }
        }
    })
}

/// Rows of output that a task works on together: its part of the input and one
/// panel of weights stay in the second cache.
const BLOCK: usize = 256;

/// Multiply-adds that are worth a task of their own, about 20 us.
const WORTH: usize = 2 << 20;

/// `out[sample, line, position, o] = bias[o] + sum over the window`.
pub(super) fn run(
    plan: &Plan,
    source: &Source<'_>,
    packed: &[f32],
    bias: Option<&[f32]>,
    relu: bool,
    out: &mut [MaybeUninit<f32>],
) {
    if out.is_empty() {
        return;
    }
    let level = Level::best();
    let (depth, cols) = (plan.depth(), plan.outputs);
    let mut padded = vec![0.0; cols.next_multiple_of(PANEL)];
    if let Some(bias) = bias {
        padded[..cols].copy_from_slice(bias);
    }
    let block = (BLOCK / plan.positions).max(plan.segments).min(plan.lines);
    let blocks = plan.lines.div_ceil(block);
    let units = plan.batch * blocks;
    let work = block * plan.positions * depth.max(1) * cols;
    let wanted = 4 * rayon::current_num_threads();
    let group = (WORTH / work).clamp(1, units.div_ceil(wanted));
    // One small picture of many channels is a unit or two: then its outputs are
    // shared out too, and each task stages for itself.
    let panels = padded.len() / PANEL;
    let pieces = wanted.div_ceil(units).min(work / WORTH).clamp(1, panels);
    let each = panels.div_ceil(pieces);
    let pieces = panels.div_ceil(each);
    let parts = Parts::new(out);
    share(units.div_ceil(group) * pieces, &|task| {
        let (task, piece) = (task / pieces, task % pieces);
        let mut buffer = Vec::new();
        for unit in task * group..units.min((task + 1) * group) {
            let sample = unit / blocks;
            let first = unit % blocks * block;
            let lines = first..plan.lines.min(first + block);
            let (staged, _) = plan.stage(
                source,
                sample..sample + 1,
                lines.clone(),
                &mut buffer,
            );
            let biases = padded.chunks_exact(PANEL).enumerate();
            for (panel, bias) in biases.skip(piece * each).take(each) {
                let packed = &packed[panel * depth * PANEL..];
                for line in lines.clone() {
                    let row = (sample * plan.lines + line) * plan.positions;
                    let unit = Line {
                        level,
                        plan,
                        staged,
                        line,
                        first,
                        packed,
                        bias,
                        relu,
                    };
                    unit.run(&parts, row, panel * PANEL);
                }
            }
        }
    });
}

/// One line of positions and one panel of outputs.
struct Line<'a> {
    level: Level,
    plan: &'a Plan,
    staged: &'a [f32],
    line: usize,
    /// The first line that was staged.
    first: usize,
    packed: &'a [f32],
    bias: &'a [f32],
    relu: bool,
}

impl Line<'_> {
    /// Writes rows from `row` on, columns from `col`.
    fn run(&self, out: &Parts<'_>, row: usize, col: usize) {
        let plan = self.plan;
        let cols = PANEL.min(plan.outputs - col);
        let (segments, at) = plan.window(self.line, self.first);
        let walk = Walk {
            outer: segments.len(),
            inner: plan.taps,
            a: [plan.step, 1],
            b: [plan.taps * PANEL, PANEL],
        };
        if !segments.is_empty() {
            let last = at
                + (plan.positions - 1) * plan.row
                + (segments.len() - 1) * plan.step
                + plan.taps;
            assert!(last <= self.staged.len(), "a window leaves its source");
            assert!(segments.end * walk.b[0] <= self.packed.len());
        }
        let b = self.packed[segments.start * walk.b[0]..].as_ptr();
        let mut a = [self.staged.as_ptr(); crate::micro::ROWS];
        for rows in tiles(plan.positions, self.level.rows()) {
            for (a, position) in a.iter_mut().zip(rows.clone()) {
                *a =
                    self.staged.as_ptr().wrapping_add(at + position * plan.row);
            }
            let start = (row + rows.start) * plan.outputs + col;
            let len = (rows.len() - 1) * plan.outputs + cols;
            let sums = Sums {
                init: self.bias.as_ptr(),
                init_row: 0,
                out: out.place(start, len).cast::<f32>(),
                out_row: plan.outputs,
                cols,
                relu: self.relu,
            };
            #[expect(unsafe_code, reason = "the inner loop takes pointers")]
            // SAFETY: windows of all positions and the packed rows were checked
            // above, `bias` is a whole panel, `place` checks the output, and
            // each row and panel is written by one task.
            unsafe {
                tile(self.level, &a[..rows.len()], b, &walk, &sums);
            }
        }
    }
}
