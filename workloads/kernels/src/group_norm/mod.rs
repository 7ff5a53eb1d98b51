//! Group normalisation (Wu and He, *Group Normalization*, 2018), channels
//! last: `z = (x - mean) r * gain + offset`, `r = 1 / sqrt(variance +
//! epsilon)`, mean and biased variance of each sample over all positions and
//! the neighbouring channels of a group; then, where asked, `y = z s(z)` (SiLU),
//! as every residual block of a diffusion network has it.
//!
//! With `dz = dy` or `dy y'(z)`, `n = (x - mean) r`, `h = dz gain`:
//! `doffset = sum dz`, `dgain = sum dz n`, `dx = r (h - mean(h) - n mean(h n))`,
//! means over the group. Kept are `x`, gain, offset, means and `r`.
//!
//! The steps of the kernel:
//! 1. statistics by channel, a block read twice while it is in cache, blocks
//!    joined in `f64` ([`crate::columns`]), then groups of channels: the rows
//!    of channels are whole vectors, however narrow a group is;
//! 2. a task does whole small samples, from statistics to result, in cache;
//!    a large sample is cut into pieces of rows, in two rounds. Pieces follow
//!    from the shape alone: the same result on any number of threads;
//! 3. SiLU in the same touch; its gradient is put over the incoming one before
//!    the sums are formed, so it is computed once.
//!
//! `examples/group_norm_ladder.rs` prints the figures.

mod captured;
#[cfg(test)]
mod tests;
mod tracked;

pub(crate) use captured::cost;

use std::mem::MaybeUninit;

use burn::Tensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::Shape;
use burn::tensor::activation::silu as plain_silu;
use burn_flex::{Flex, FlexTensor};

use crate::activation::silu_parts;
use crate::classes::{Class, timed};
use crate::columns::{Moments, centred_sums, moments, tiled_to};
use crate::door::{contiguous, serves, tensor, values};
use crate::math::{madd, multiversion};
use crate::rows::{Span, Target, written};
use crate::share::share_pieces;

/// Normalises `groups` of the channels of `x` [B, H, W, C], with gain and
/// offset [C], and applies SiLU where `silu` says so; in place when nobody
/// else holds `x`.
///
/// # Panics
/// When the groups do not divide the channels, or widths differ.
pub fn group_norm(
    x: Tensor<4>,
    gain: Tensor<1>,
    offset: Tensor<1>,
    groups: usize,
    epsilon: f32,
    silu: bool,
) -> Tensor<4> {
    check(&x, &gain, &offset, groups);
    if !(serves(&x) && serves(&gain) && serves(&offset)) {
        return group_norm_plain(x, gain, offset, groups, epsilon, silu);
    }
    let (y, _) = <Dispatch as GroupNormOps>::group_norm_all(
        x.into_dispatch(),
        gain.into_dispatch(),
        offset.into_dispatch(),
        groups,
        epsilon,
        silu,
    );
    Tensor::from_dispatch(y)
}

/// The plain twin, of Burn's own operators.
///
/// # Panics
/// As [`group_norm`].
pub fn group_norm_plain(
    x: Tensor<4>,
    gain: Tensor<1>,
    offset: Tensor<1>,
    groups: usize,
    epsilon: f32,
    silu: bool,
) -> Tensor<4> {
    check(&x, &gain, &offset, groups);
    let shape = x.dims();
    let [batch, height, width, channels] = shape;
    let x = x.reshape([batch, height * width, groups, channels / groups]);
    let mean = |x: Tensor<4>| x.mean_dim(1).mean_dim(3);
    let centred = x.clone() - mean(x);
    let variance = mean(centred.clone().powi_scalar(2));
    let n = (centred / (variance + epsilon).sqrt()).reshape(shape);
    let z = n * gain.unsqueeze() + offset.unsqueeze();
    if silu { plain_silu(z) } else { z }
}

fn check(x: &Tensor<4>, gain: &Tensor<1>, offset: &Tensor<1>, groups: usize) {
    let channels = x.dims()[3];
    assert!(
        groups > 0 && channels.is_multiple_of(groups),
        "group_norm: {groups} groups of {channels} channels"
    );
    assert_eq!(gain.dims(), [channels], "group_norm: gain's width");
    assert_eq!(offset.dims(), [channels], "group_norm: offset's width");
}

/// Group normalisation as a backend operator: use [`group_norm`].
#[backend_extension(Flex, Capture, Autodiff)]
pub trait GroupNormOps: Backend {
    /// `y`, and the statistics [B, 2, G]: means, then inverse deviations.
    fn group_norm_all(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        offset: FloatTensor<Self>,
        groups: usize,
        epsilon: f32,
        silu: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
    /// Gradients of `x`, gain and offset.
    fn group_norm_all_backward(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        offset: FloatTensor<Self>,
        statistics: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        silu: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

/// Elements of a sample from which it is cut, 256 KB of `f32`.
const LARGE: usize = 64 * 1024;

/// Elements of a piece, about: 128 KB of `f32`.
const PIECE: usize = 32 * 1024;

/// Elements that the vectors of channels are repeated to.
const WIDTH: usize = 256;

/// The sizes of the tensor.
#[derive(Clone, Copy)]
struct Layout {
    batch: usize,
    cols: usize,
    groups: usize,
    /// Elements of a sample.
    sample: usize,
}

impl Layout {
    fn new(shape: &Shape, groups: usize) -> Self {
        let sample = shape[1] * shape[2] * shape[3];
        Self { batch: shape[0], cols: shape[3], groups, sample }
    }

    fn is_cut(self) -> bool {
        self.sample > LARGE
    }

    /// Elements of a piece: rows of a sample, or whole samples.
    fn piece(self) -> usize {
        let unit = if self.is_cut() { self.cols } else { self.sample }.max(1);
        (PIECE / unit).max(1) * unit
    }

    fn piece_count(self) -> usize {
        if self.is_cut() {
            self.batch * self.sample.div_ceil(self.piece())
        } else {
            (self.batch * self.sample).div_ceil(self.piece())
        }
    }

    fn pieces<'a>(self, mut span: Span<'a>) -> Vec<Piece<'a>> {
        let len = self.batch * self.sample;
        let mut pieces = Vec::with_capacity(self.piece_count());
        let mut first = 0;
        while first < len {
            let rest = if self.is_cut() {
                self.sample - first % self.sample
            } else {
                len - first
            };
            let count = self.piece().min(rest);
            pieces.push(Piece { first, span: span.take(count) });
            first += count;
        }
        pieces
    }
}

/// A stretch of a tensor that one task works on.
struct Piece<'a> {
    first: usize,
    span: Span<'a>,
}

impl Piece<'_> {
    fn len(&self) -> usize {
        self.span.cells.len()
    }

    /// What was there before.
    fn values(&mut self) -> &[f32] {
        match self.span.source {
            Some(source) => source,
            None => written(self.span.cells),
        }
    }
}

/// A group's mean and inverse deviation, for each group of a sample.
fn statistics(moments: &Moments, groups: usize, epsilon: f32) -> Vec<[f32; 2]> {
    let deviations = moments.of_groups(groups).into_iter();
    deviations
        .map(|[mean, variance]| {
            let r = 1.0 / (variance + f64::from(epsilon)).sqrt();
            [mean as f32, r as f32]
        })
        .collect()
}

/// `z = (x - mean) scale + offset` for one sample's channels, repeated to
/// [`WIDTH`].
struct Affine {
    mean: Vec<f32>,
    scale: Vec<f32>,
}

impl Affine {
    fn new(statistics: &[[f32; 2]], gain: &[f32]) -> Self {
        let width = (gain.len() / statistics.len().max(1)).max(1);
        let (mut mean, mut scale) = (Vec::new(), Vec::new());
        for (&[m, r], gain) in statistics.iter().zip(gain.chunks(width)) {
            mean.extend(gain.iter().map(|_| m));
            scale.extend(gain.iter().map(|gain| gain * r));
        }
        Self { mean: tiled_to(WIDTH, &mean), scale: tiled_to(WIDTH, &scale) }
    }
}

/// `y` over the piece's elements from `at` to `end`.
fn apply(
    piece: &mut Piece<'_>,
    at: usize,
    end: usize,
    affine: &Affine,
    offset: &[f32],
    silu: bool,
) {
    let Affine { mean, scale } = affine;
    let cells = &mut piece.span.cells[at..end];
    match piece.span.source {
        None => normalise(written(cells), mean, scale, offset, silu),
        Some(x) => {
            normalise_apart(&x[at..end], cells, mean, scale, offset, silu);
        }
    }
}

/// `y` and the statistics [B, 2, G].
fn forward(
    x: FlexTensor,
    gain: &[f32],
    offset: &[f32],
    layout: Layout,
    epsilon: f32,
    silu: bool,
) -> (FlexTensor, Vec<f32>) {
    let Layout { batch, cols, groups, sample } = layout;
    let offset = tiled_to(WIDTH, offset);
    let mut target = Target::new(x);
    let pieces = layout.pieces(target.span());
    let all: Vec<Vec<[f32; 2]>> = if layout.is_cut() {
        let parts = share_pieces(pieces, |mut piece| {
            let moments = moments(piece.values(), cols);
            (piece, moments)
        });
        let mut samples: Vec<_> =
            (0..batch).map(|_| Moments::new(cols)).collect();
        let mut pieces = Vec::with_capacity(parts.len());
        for (piece, moments) in parts {
            samples[piece.first / sample].join(&moments);
            pieces.push(piece);
        }
        let all: Vec<_> =
            samples.iter().map(|m| statistics(m, groups, epsilon)).collect();
        let affine: Vec<_> =
            all.iter().map(|of| Affine::new(of, gain)).collect();
        share_pieces(pieces, |mut piece| {
            let affine = &affine[piece.first / sample];
            let len = piece.len();
            apply(&mut piece, 0, len, affine, &offset, silu);
        });
        all
    } else {
        let parts = share_pieces(pieces, |mut piece| {
            let mut all = Vec::new();
            for at in (0..piece.len()).step_by(sample.max(1)) {
                let end = at + sample;
                let moments = moments(&piece.values()[at..end], cols);
                let of = statistics(&moments, groups, epsilon);
                let affine = Affine::new(&of, gain);
                apply(&mut piece, at, end, &affine, &offset, silu);
                all.push(of);
            }
            all
        });
        parts.into_iter().flatten().collect()
    };
    let mut flat = Vec::with_capacity(batch * 2 * groups);
    for of in &all {
        flat.extend(of.iter().map(|[mean, _]| *mean));
        flat.extend(of.iter().map(|[_, r]| *r));
    }
    // A tensor without elements has statistics too, of nothing.
    flat.resize(batch * 2 * groups, 0.0);
    (target.finish(), flat)
}

/// What a sample's gradient is formed with: the channels' vectors, and what
/// the sample adds to the gradients of gain and offset.
struct Slope {
    slope: Vec<f32>,
    back: Vec<f32>,
    gain: Vec<f64>,
}

impl Slope {
    /// From the sums of `dz`, then of `dz (x - mean)`, of each channel.
    fn new(
        sums: &[f64],
        statistics: &[[f32; 2]],
        gain: &[f32],
        sample: usize,
    ) -> Self {
        let width = (gain.len() / statistics.len().max(1)).max(1);
        let count = (sample / statistics.len().max(1)) as f64;
        let (plain, along) = sums.split_at(gain.len());
        let (mut slope, mut back) = (Vec::new(), Vec::new());
        let mut dgain = Vec::with_capacity(gain.len());
        for (g, (&[_, r], gain)) in
            statistics.iter().zip(gain.chunks(width)).enumerate()
        {
            let r = f64::from(r);
            let of_group = |sums: &[f64]| -> f64 {
                let sums = &sums[g * width..][..gain.len()];
                let terms = sums.iter().zip(gain);
                terms.map(|(sum, gain)| sum * f64::from(*gain)).sum()
            };
            let mean = of_group(plain) / count;
            let mean_along = of_group(along) * r / count;
            slope.extend(gain.iter().map(|_| (r * r * mean_along) as f32));
            back.extend(gain.iter().map(|_| (-r * mean) as f32));
            let along = &along[g * width..][..gain.len()];
            dgain.extend(along.iter().map(|sum| sum * r));
        }
        Self {
            slope: tiled_to(WIDTH, &slope),
            back: tiled_to(WIDTH, &back),
            gain: dgain,
        }
    }
}

/// The gradient of `x`, and those of gain and offset in one.
fn backward(
    x: &[f32],
    gain: &[f32],
    offset: &[f32],
    flat: &[f32],
    grad: FlexTensor,
    layout: Layout,
    silu: bool,
) -> (FlexTensor, Vec<f64>) {
    let Layout { cols, groups, sample, .. } = layout;
    let offset = tiled_to(WIDTH, offset);
    let all: Vec<Vec<[f32; 2]>> = flat
        .chunks_exact(2 * groups)
        .map(|of| {
            let (mean, r) = of.split_at(groups);
            mean.iter().zip(r).map(|(mean, r)| [*mean, *r]).collect()
        })
        .collect();
    // Turns the gradient into `dz` and forms its sums.
    let bend = |x: &[f32], grad: &mut [f32], affine: &Affine| {
        let Affine { mean, scale } = affine;
        if silu {
            soften(x, grad, mean, scale, &offset);
        }
        centred_sums(grad, x, &mean[..cols])
    };
    let mut target = Target::new(grad);
    let pieces = layout.pieces(target.span());
    let mut total = vec![0.0; 2 * cols];
    let mut add = |gain: &[f64], offset: &[f64]| {
        let sums = gain.iter().chain(offset);
        total.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
    };
    if layout.is_cut() {
        let affine: Vec<_> =
            all.iter().map(|of| Affine::new(of, gain)).collect();
        let parts = share_pieces(pieces, |mut piece| {
            let len = piece.len();
            let x = &x[piece.first..][..len];
            let affine = &affine[piece.first / sample];
            let sums = bend(x, piece.span.ready(0..len), affine);
            (piece, sums)
        });
        let mut sums = vec![vec![0.0; 2 * cols]; all.len()];
        let mut pieces = Vec::with_capacity(parts.len());
        for (piece, part) in parts {
            let sums = &mut sums[piece.first / sample];
            sums.iter_mut().zip(&part).for_each(|(sum, x)| *sum += x);
            pieces.push(piece);
        }
        let of_samples = sums.iter().zip(&all);
        let slopes: Vec<_> = of_samples
            .map(|(sums, of)| Slope::new(sums, of, gain, sample))
            .collect();
        for (slope, sums) in slopes.iter().zip(&sums) {
            add(&slope.gain, &sums[..cols]);
        }
        share_pieces(pieces, |piece| {
            let s = piece.first / sample;
            let x = &x[piece.first..][..piece.len()];
            let grad = written(piece.span.cells);
            let Affine { mean, scale } = &affine[s];
            gradient(x, grad, mean, scale, &slopes[s].slope, &slopes[s].back);
        });
    } else {
        let parts = share_pieces(pieces, |mut piece| {
            let mut part = vec![0.0; 2 * cols];
            for at in (0..piece.len()).step_by(sample.max(1)) {
                let first = piece.first + at;
                let (of, x) = (&all[first / sample], &x[first..][..sample]);
                let affine = Affine::new(of, gain);
                let grad = piece.span.ready(at..at + sample);
                let sums = bend(x, grad, &affine);
                let slope = Slope::new(&sums, of, gain, sample);
                let Affine { mean, scale } = &affine;
                gradient(x, grad, mean, scale, &slope.slope, &slope.back);
                let own = slope.gain.iter().chain(&sums[..cols]);
                part.iter_mut().zip(own).for_each(|(sum, x)| *sum += x);
            }
            part
        });
        for part in parts {
            let (gain, offset) = part.split_at(cols);
            add(gain, offset);
        }
    }
    (target.finish(), total)
}

multiversion! {
    /// In place. The vectors repeat over `x`.
    fn normalise(x: &mut [f32], mean: &[f32], scale: &[f32], offset: &[f32], silu: bool) {
        for x in x.chunks_mut(mean.len().max(1)) {
            let columns = mean.iter().zip(scale).zip(offset);
            if silu {
                for (x, ((mean, scale), offset)) in x.iter_mut().zip(columns) {
                    let z = madd::<FMA>(*x - mean, *scale, *offset);
                    *x = silu_parts::<FMA>(z).0;
                }
            } else {
                for (x, ((mean, scale), offset)) in x.iter_mut().zip(columns) {
                    *x = madd::<FMA>(*x - mean, *scale, *offset);
                }
            }
        }
    }
}

multiversion! {
    /// As [`normalise`], out of place, in one touch of either.
    fn normalise_apart(x: &[f32], y: &mut [MaybeUninit<f32>], mean: &[f32], scale: &[f32], offset: &[f32], silu: bool) {
        let width = mean.len().max(1);
        for (x, y) in x.chunks(width).zip(y.chunks_mut(width)) {
            let columns = mean.iter().zip(scale).zip(offset);
            let places = x.iter().zip(y.iter_mut()).zip(columns);
            if silu {
                for ((x, y), ((mean, scale), offset)) in places {
                    let z = madd::<FMA>(x - mean, *scale, *offset);
                    y.write(silu_parts::<FMA>(z).0);
                }
            } else {
                for ((x, y), ((mean, scale), offset)) in places {
                    y.write(madd::<FMA>(x - mean, *scale, *offset));
                }
            }
        }
    }
}

multiversion! {
    /// Multiplies the gradient by SiLU's slope.
    fn soften(x: &[f32], grad: &mut [f32], mean: &[f32], scale: &[f32], offset: &[f32]) {
        let width = mean.len().max(1);
        for (x, grad) in x.chunks(width).zip(grad.chunks_mut(width)) {
            let columns = mean.iter().zip(scale).zip(offset);
            for ((x, grad), ((mean, scale), offset)) in
                x.iter().zip(grad.iter_mut()).zip(columns)
            {
                let z = madd::<FMA>(x - mean, *scale, *offset);
                *grad *= silu_parts::<FMA>(z).1;
            }
        }
    }
}

multiversion! {
    /// Turns `dz` into the gradient of `x`.
    fn gradient(x: &[f32], grad: &mut [f32], mean: &[f32], scale: &[f32], slope: &[f32], back: &[f32]) {
        let width = mean.len().max(1);
        for (x, grad) in x.chunks(width).zip(grad.chunks_mut(width)) {
            let columns = mean.iter().zip(scale).zip(slope).zip(back);
            for ((x, grad), (((mean, scale), slope), back)) in
                x.iter().zip(grad.iter_mut()).zip(columns)
            {
                let rest = madd::<FMA>(*grad, *scale, *back);
                *grad = madd::<FMA>(mean - x, *slope, rest);
            }
        }
    }
}

impl GroupNormOps for Flex {
    fn group_norm_all(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        offset: FloatTensor<Self>,
        groups: usize,
        epsilon: f32,
        silu: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let _timed = timed(Class::Norm);
        let (gain, offset) = (contiguous(gain), contiguous(offset));
        let (gain, offset) = (values(&gain), values(&offset));
        let layout = Layout::new(&x.shape(), groups);
        let (y, all) = forward(x, gain, offset, layout, epsilon, silu);
        (y, tensor(all, Shape::new([layout.batch, 2, groups])))
    }

    fn group_norm_all_backward(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        offset: FloatTensor<Self>,
        statistics: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        silu: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let _timed = timed(Class::Norm);
        let [x, gain, offset, statistics] =
            [x, gain, offset, statistics].map(contiguous);
        let layout = Layout::new(&x.shape(), statistics.shape()[2]);
        let (dx, total) = backward(
            values(&x),
            values(&gain),
            values(&offset),
            values(&statistics),
            grad,
            layout,
            silu,
        );
        let (dgain, doffset) = total.split_at(layout.cols);
        let vector = |sums: &[f64]| {
            let sums = sums.iter().map(|sum| *sum as f32).collect();
            tensor(sums, Shape::new([layout.cols]))
        };
        (dx, vector(dgain), vector(doffset))
    }
}
