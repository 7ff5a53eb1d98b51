//! The factors and the weights as the products read them, one residue or one
//! panel of columns after the other, each packed once a call.

use std::mem::MaybeUninit;

use burn_flex::FlexTensor;

use super::Sizes;
use crate::micro::PANEL;
use crate::rows::fill;
use crate::share::{Parts, share, share_parts};

/// Panels that `cols` columns need.
pub(super) fn panels(cols: usize) -> usize {
    cols.div_ceil(PANEL)
}

/// A tensor [S, R, c] whose channels lie side by side.
pub(super) struct Residues {
    x: FlexTensor,
    dims: [usize; 3],
    strides: [usize; 2],
}

impl Residues {
    /// Copies only what has another last stride than one, or a negative one.
    pub(super) fn new(x: FlexTensor) -> Self {
        let strides = x.layout().strides();
        let dense = strides[2] == 1 && strides.iter().all(|&s| s >= 0);
        let x = if dense { x } else { x.to_contiguous() };
        let (shape, strides) = (x.layout().shape(), x.layout().strides());
        let dims = std::array::from_fn(|i| shape[i]);
        let strides = std::array::from_fn(|i| strides[i].unsigned_abs());
        Self { x, dims, strides }
    }

    fn channels(&self, s: usize, r: usize) -> &[f32] {
        let start = self.x.layout().start_offset();
        let at = start + s * self.strides[0] + r * self.strides[1];
        &self.x.storage::<f32>()[at..][..self.dims[2]]
    }

    /// [R, S, c].
    pub(super) fn by_residue(&self) -> Vec<f32> {
        let [s, r, c] = self.dims;
        fill(s * r * c, |out| {
            share_parts(out, s * c, |first, out| {
                let r = first / (s * c);
                for (s, out) in out.chunks_exact_mut(c).enumerate() {
                    out.write_copy_of_slice(self.channels(s, r));
                }
            });
        })
    }

    /// [c, R, S].
    pub(super) fn by_channel(&self) -> Vec<f32> {
        let [s, r, c] = self.dims;
        fill(s * r * c, |out| {
            let parts = Parts::new(out);
            share(r, &|r_of| {
                for c_of in 0..c {
                    let at = (c_of * r + r_of) * s;
                    #[expect(unsafe_code, reason = "each task has its residue")]
                    // SAFETY: sequences of different residues do not overlap.
                    let out = unsafe { parts.part(at, s) };
                    for (s, out) in out.iter_mut().enumerate() {
                        out.write(self.channels(s, r_of)[c_of]);
                    }
                }
            });
        })
    }

    /// [R, panels of c, S, panel], zero beyond `c`.
    pub(super) fn channel_panels(&self) -> Vec<f32> {
        let [s, r, c] = self.dims;
        let size = panels(c) * s * PANEL;
        fill(r * size, |out| {
            share_parts(out, size, |first, out| {
                for (p, out) in out.chunks_exact_mut(s * PANEL).enumerate() {
                    let (from, to) = (p * PANEL, c.min((p + 1) * PANEL));
                    for (s, out) in out.chunks_exact_mut(PANEL).enumerate() {
                        let (out, rest) = out.split_at_mut(to - from);
                        let x = self.channels(s, first / size);
                        out.write_copy_of_slice(&x[from..to]);
                        rest.fill(MaybeUninit::new(0.0));
                    }
                }
            });
        })
    }

    /// [R, panels of S, c, panel], zero beyond `S`.
    pub(super) fn sequence_panels(&self) -> Vec<f32> {
        let [s, r, c] = self.dims;
        let size = panels(s) * c * PANEL;
        fill(r * size, |out| {
            share_parts(out, size, |first, out| {
                for (p, out) in out.chunks_exact_mut(c * PANEL).enumerate() {
                    for lane in 0..PANEL {
                        let s_of = p * PANEL + lane;
                        let cells = out.iter_mut().skip(lane).step_by(PANEL);
                        if s_of < s {
                            let x = self.channels(s_of, first / size);
                            for (cell, x) in cells.zip(x) {
                                cell.write(*x);
                            }
                        } else {
                            cells.for_each(|cell| _ = cell.write(0.0));
                        }
                    }
                }
            });
        })
    }
}

/// Where column `(b, a)` of a row of the products lies in one of the weights.
fn column(q: usize, c: usize) -> usize {
    q % c * c + q / c
}

/// `W` for the product with `t`: [panels of C, (b, a), panel], zero beyond `C`.
pub(super) fn weight_by_output(weight: &[f32], sizes: &Sizes) -> Vec<f32> {
    let (outer, c, square) = (sizes.outer, sizes.width, sizes.square());
    let size = square * PANEL;
    fill(panels(outer) * size, |out| {
        share_parts(out, size, |first, out| {
            let o_first = first / size * PANEL;
            for (q, out) in out.chunks_exact_mut(PANEL).enumerate() {
                let column = column(q, c);
                for (o, out) in (o_first..).zip(out) {
                    let x = if o < outer {
                        weight[o * square + column]
                    } else {
                        0.0
                    };
                    out.write(x);
                }
            }
        });
    })
}

/// `W` for the gradient of `t`: [panels of (b, a), C, panel], zero beyond
/// `c c`.
pub(super) fn weight_by_pair(weight: &[f32], sizes: &Sizes) -> Vec<f32> {
    let (outer, c, square) = (sizes.outer, sizes.width, sizes.square());
    let size = outer * PANEL;
    fill(panels(square) * size, |out| {
        share_parts(out, size, |first, out| {
            let q_first = first / size * PANEL;
            for (o, out) in out.chunks_exact_mut(PANEL).enumerate() {
                let weight = &weight[o * square..][..square];
                for (q, out) in (q_first..).zip(out) {
                    let x = if q < square { weight[column(q, c)] } else { 0.0 };
                    out.write(x);
                }
            }
        });
    })
}

/// The gradient of `W` [C, a c + b] from [c (b), panels of c (a), C, panel].
pub(super) fn weight_from_channels(packed: &[f32], sizes: &Sizes) -> Vec<f32> {
    let (outer, c, square) = (sizes.outer, sizes.width, sizes.square());
    fill(outer * square, |out| {
        share_parts(out, square, |first, out| {
            let o = first / square;
            for (column, out) in out.iter_mut().enumerate() {
                let (a, b) = (column / c, column % c);
                let panel = b * panels(c) + a / PANEL;
                out.write(packed[(panel * outer + o) * PANEL + a % PANEL]);
            }
        });
    })
}

/// `bias` in whole panels.
pub(super) fn padded(bias: &[f32]) -> Vec<f32> {
    let mut out = bias.to_vec();
    out.resize(panels(bias.len()) * PANEL, 0.0);
    out
}
