//! How a convolution lies in memory. Channels are last, so a window's row is
//! one contiguous segment: nothing is unfolded into columns. The gradient of
//! the input is a convolution too, of the output's gradient, and has a plan of
//! the same kind.

use std::ops::Range;

use burn::tensor::Shape;

use super::Convolution;
use crate::math::multiversion;

/// The sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Geometry {
    pub(super) batch: usize,
    /// Height and width.
    pub(super) input: [usize; 2],
    pub(super) channels: usize,
    pub(super) outputs: usize,
    pub(super) kernel: [usize; 2],
    pub(super) padding: [usize; 2],
    pub(super) stride: [usize; 2],
}

impl Geometry {
    /// Of an input [B, H, W, C] and weights [O, C, kh, kw].
    pub(super) fn new(
        x: &Shape,
        weight: &Shape,
        convolution: &Convolution,
    ) -> Self {
        Self {
            batch: x[0],
            input: [x[1], x[2]],
            channels: x[3],
            outputs: weight[0],
            kernel: [weight[2], weight[3]],
            padding: convolution.padding,
            stride: convolution.stride,
        }
    }

    /// Height and width of the output.
    pub(super) fn output(&self) -> [usize; 2] {
        [0, 1].map(|i| {
            (self.input[i] + 2 * self.padding[i] - self.kernel[i])
                / self.stride[i]
                + 1
        })
    }

    /// Inputs that one output sums.
    pub(super) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1] * self.channels
    }

    /// The same convolution as one over a sequence, where it is one: a kernel
    /// as wide as the input sees rows of `width * channels` channels; a kernel
    /// of one position sees positions alone. Input, output and the order of
    /// taps (height, width, channel) lie in memory as before.
    pub(super) fn folded(self) -> Self {
        let ([height, width], [tall, wide]) = (self.input, self.kernel);
        if wide == width && self.padding[1] == 0 {
            Self {
                input: [1, height],
                channels: width * self.channels,
                kernel: [1, tall],
                padding: [0, self.padding[0]],
                stride: [1, self.stride[0]],
                ..self
            }
        } else if self.kernel == [1, 1]
            && self.padding == [0, 0]
            && self.stride == [1, 1]
        {
            Self { input: [1, height * width], ..self }
        } else {
            self
        }
    }

    /// Whether columns do not mix: then output positions of all rows follow
    /// one another at one distance, as in a sequence.
    fn flat(&self) -> bool {
        self.kernel[1] == 1 && self.padding[1] == 0 && self.stride == [1, 1]
    }
}

/// Where the windows of a sample's outputs lie in its staged source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) batch: usize,
    /// The source of a sample: rows of pixels.
    rows: usize,
    width: usize,
    pixel: usize,
    /// Distances of rows and pixels once staged, with zeros between.
    dilation: [usize; 2],
    /// Pixels of zeros before each row; negative: pixels left out.
    left: isize,
    /// Pixels of a staged row.
    padded: usize,
    /// Output positions: `lines` of `positions`, at distance `row`.
    pub(super) lines: usize,
    pub(super) positions: usize,
    pub(super) row: usize,
    /// A window: `segments` of `taps` values each, at distance `step`.
    pub(super) segments: usize,
    pub(super) taps: usize,
    pub(super) step: usize,
    /// Where segments are source rows: the row of line 0's first segment, and
    /// rows from line to line. Rows outside of the source are passed over.
    by_row: Option<(isize, usize)>,
    pub(super) outputs: usize,
}

impl Plan {
    /// Of the output, from the input; `geometry` is folded.
    pub(super) fn forward(geometry: &Geometry) -> Self {
        let g = geometry;
        let ([height, width], [tall, wide]) = (g.input, g.kernel);
        let [lines, positions] = g.output();
        if g.flat() {
            let pixel = width * g.channels;
            return Self {
                batch: g.batch,
                rows: 1,
                width: height,
                pixel,
                dilation: [1, 1],
                left: g.padding[0] as isize,
                padded: height + 2 * g.padding[0],
                lines: 1,
                positions: lines * positions,
                row: g.channels,
                segments: tall,
                taps: g.channels,
                step: pixel,
                by_row: None,
                outputs: g.outputs,
            };
        }
        let padded = width + 2 * g.padding[1];
        Self {
            batch: g.batch,
            rows: height,
            width,
            pixel: g.channels,
            dilation: [1, 1],
            left: g.padding[1] as isize,
            padded,
            lines,
            positions,
            row: g.stride[1] * g.channels,
            segments: tall,
            taps: wide * g.channels,
            step: padded * g.channels,
            by_row: Some((-(g.padding[0] as isize), g.stride[0])),
            outputs: g.outputs,
        }
    }

    /// Of the input's gradient, from the output's: the kernel turned about,
    /// and its stride put between the gradients.
    pub(super) fn input_gradient(geometry: &Geometry) -> Self {
        let g = geometry;
        let ([height, width], [tall, wide]) = (g.input, g.kernel);
        let [rows, cols] = g.output();
        let before =
            [0, 1].map(|i| g.kernel[i] as isize - 1 - g.padding[i] as isize);
        if g.flat() {
            let pixel = width * g.outputs;
            return Self {
                batch: g.batch,
                rows: 1,
                width: rows,
                pixel,
                dilation: [1, 1],
                left: before[0],
                padded: height + tall - 1,
                lines: 1,
                positions: height * width,
                row: g.outputs,
                segments: tall,
                taps: g.outputs,
                step: pixel,
                by_row: None,
                outputs: g.channels,
            };
        }
        let padded = width + wide - 1;
        Self {
            batch: g.batch,
            rows,
            width: cols,
            pixel: g.outputs,
            dilation: g.stride,
            left: before[1],
            padded,
            lines: height,
            positions: width,
            row: g.outputs,
            segments: tall,
            taps: wide * g.outputs,
            step: padded * g.outputs,
            by_row: Some((-before[0], 1)),
            outputs: g.channels,
        }
    }

    /// Values that one output sums.
    pub(super) fn depth(&self) -> usize {
        self.segments * self.taps
    }

    /// Source rows, with the zeros between.
    fn tall(&self) -> usize {
        (self.rows - 1) * self.dilation[0] + 1
    }

    /// The segments of a line's windows that lie in the source, and where the
    /// first of them begins in what was staged for lines from `first` on.
    pub(super) fn window(
        &self,
        line: usize,
        first: usize,
    ) -> (Range<usize>, usize) {
        let Some((top, down)) = self.by_row else {
            return (0..self.segments, 0);
        };
        let begin = (line * down) as isize + top;
        let low = (-begin).clamp(0, self.segments as isize);
        let high =
            (self.tall() as isize - begin).clamp(low, self.segments as isize);
        let staged = self.source_rows(first..line + 1).start as isize;
        let at = if low < high { begin + low - staged } else { 0 };
        (low as usize..high as usize, at as usize * self.step)
    }

    /// The source rows, zeros between counted, that lines need.
    fn source_rows(&self, lines: Range<usize>) -> Range<usize> {
        let Some((top, down)) = self.by_row else {
            return 0..1;
        };
        let tall = self.tall() as isize;
        let first = ((lines.start * down) as isize + top).clamp(0, tall);
        let last = (lines.end as isize - 1) * down as isize
            + top
            + self.segments as isize;
        first as usize..last.clamp(first, tall) as usize
    }

    /// Whether the source serves as it lies.
    fn direct(&self, source: &Source<'_>) -> bool {
        source.mask.is_none()
            && self.dilation == [1, 1]
            && self.left == 0
            && self.padded == self.width
    }

    /// Elements of the source of one sample.
    fn sample(&self) -> usize {
        self.rows * self.width * self.pixel
    }

    /// Elements from one line's windows to the next line's.
    pub(super) fn line_step(&self) -> usize {
        self.by_row.map_or(0, |(_, down)| down * self.step)
    }

    /// What the windows of these lines read, of `samples`, and the distance
    /// from sample to sample: the source itself, or a copy in `buffer`, which
    /// is the same one for all calls of a task.
    pub(super) fn stage<'a>(
        &self,
        source: &Source<'a>,
        samples: Range<usize>,
        lines: Range<usize>,
        buffer: &'a mut Vec<f32>,
    ) -> (&'a [f32], usize) {
        let rows = self.source_rows(lines);
        let wide = self.width * self.pixel;
        if self.direct(source) {
            let first = samples.start * self.sample() + rows.start * wide;
            let last = (samples.end - 1) * self.sample() + rows.end * wide;
            return (&source.values[first..last], self.sample());
        }
        let staged = self.padded * self.pixel;
        let len = samples.len() * rows.len() * staged;
        if buffer.len() < len {
            buffer.resize(len, 0.0);
        }
        // Zeros at the sides and between pixels are never overwritten.
        let [down, across] = self.dilation;
        let mut to = buffer.chunks_exact_mut(staged.max(1));
        for sample in samples {
            for row in rows.clone() {
                let Some(to) = to.next() else { continue };
                if row % down != 0 {
                    to.fill(0.0);
                    continue;
                }
                let first = sample * self.sample() + row / down * wide;
                let from = source.part(first..first + wide);
                if across == 1 && self.left >= 0 {
                    let left = self.left as usize * self.pixel;
                    let count = wide.min(staged - left);
                    from.part(0..count).copy(&mut to[left..left + count]);
                    continue;
                }
                for pixel in 0..self.width {
                    let at = self.left + (pixel * across) as isize;
                    if at >= 0 && (at as usize) < self.padded {
                        let at = at as usize * self.pixel;
                        let first = pixel * self.pixel;
                        from.part(first..first + self.pixel)
                            .copy(&mut to[at..at + self.pixel]);
                    }
                }
            }
        }
        (&buffer[..len], rows.len() * staged)
    }
}

/// Values, and where `mask` is not positive, zero instead.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) values: &'a [f32],
    pub(super) mask: Option<&'a [f32]>,
}

impl Source<'_> {
    pub(super) fn part(&self, range: Range<usize>) -> Self {
        Self {
            values: &self.values[range.clone()],
            mask: self.mask.map(|mask| &mask[range]),
        }
    }

    #[inline]
    pub(super) fn copy(&self, to: &mut [f32]) {
        match self.mask {
            None => to.copy_from_slice(self.values),
            Some(mask) => masked(self.values, mask, to),
        }
    }
}

multiversion! {
    fn masked(values: &[f32], mask: &[f32], to: &mut [f32]) {
        for ((to, value), mask) in to.iter_mut().zip(values).zip(mask) {
            *to = if *mask > 0.0 { *value } else { 0.0 };
        }
    }
}
