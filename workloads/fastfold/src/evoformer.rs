//! The Evoformer block (Jumper et al., *Highly accurate protein structure
//! prediction with AlphaFold*, Nature 2021, supplement 1.6, algorithms 6-15,
//! 18 and 19), as FastFold (arXiv 2203.00854) runs it.
//!
//! Computed here: a block and its parts, each of which returns its input with
//! the update added; the five kinds of attention are in `attention.rs`. The
//! kernels are the paper's: merged projections, softmax fused with scale, mask
//! and bias, one-pass LayerNorm, fused gates, dropout and residual
//! ([`assay_kernels`]).
//!
//! Changed: transitions are not masked, as DeepMind's code has it. Left out:
//! the multimer's order of the parts.
//!
//! `S` sequences, `R` residues, `H` heads, `d` width of a head. `m` is the
//! MSA representation `[S, R, c_m]`, `z` the pair representation
//! `[R, R, c_z]`. Fields carry the names of OpenFold's published weights.

use assay_kernels::{
    Activation, Along, Shared, activate, gated_planes, linear, matmul,
    outer_product_mean, plane_norm, residual_add,
};
use assay_kit::{LayerNorm, Linear, Parameters};
use assay_trace::span;
use burn::Tensor;
use burn::module::{Module, Param};

use crate::attention::{
    GlobalColumnAttention, MsaColumnAttention, MsaRowAttention,
    TriangleAttention,
};
use crate::config::{Config, Stack};
use crate::layers::{EPSILON, PAIR_DROPOUT, layer_norm, merged};
use crate::pass::{Intermediates, Part, Pass, assign, rows};

/// Algorithms 9 and 15: two layers with ReLU, row by row.
#[derive(Module, Debug)]
pub struct Transition {
    layer_norm: LayerNorm,
    linear_1: Linear,
    linear_2: Linear,
    #[module(skip)]
    part: Part,
}

impl Transition {
    /// Of `channels`, `factor` times as wide within.
    pub(crate) fn new(
        p: &mut Parameters,
        channels: usize,
        factor: usize,
        part: Part,
    ) -> Self {
        Self {
            layer_norm: layer_norm(p, channels),
            linear_1: Linear::new(p, channels, factor * channels, true),
            linear_2: Linear::new(p, factor * channels, channels, true),
            part,
        }
    }

    pub(crate) fn forward(&self, x: Tensor<3>, pass: &mut Pass) -> Tensor<3> {
        pass.in_chunks(self.part, x, 0, |_, x, _| {
            let normed = self.layer_norm.forward(x.clone()); // [X, Y, C]
            let hidden = self.linear_1.forward(normed); // [X, Y, n C]
            let hidden = activate(hidden, Activation::Relu);
            let update = self.linear_2.forward(hidden); // [X, Y, C]
            residual_add(x, update, None, None)
        })
    }
}

/// Algorithm 10: the mean over sequences of outer products, MSA to pairs.
#[derive(Module, Debug)]
pub struct OuterProductMean {
    layer_norm: LayerNorm,
    linear_1: Linear,
    linear_2: Linear,
    linear_out: Linear,
}

/// Added to the count of sequences that two residues share.
const OUTER_EPSILON: f32 = 1e-3;

impl OuterProductMean {
    fn new(p: &mut Parameters, c_m: usize, c_z: usize, stack: &Stack) -> Self {
        let c = stack.outer_hidden;
        Self {
            layer_norm: layer_norm(p, c_m),
            linear_1: Linear::new(p, c_m, c, true),
            linear_2: Linear::new(p, c_m, c, true),
            linear_out: Linear::new(p, c * c, c_z, true),
        }
    }

    fn forward(
        &self,
        m: &Tensor<3>,
        z: Tensor<3>,
        mask: &Tensor<2>,
        pass: &mut Pass,
    ) -> Tensor<3> {
        let (weight, offset) = merged(&[&self.linear_1, &self.linear_2]);
        let c = weight.dims()[0] / 2;
        let both = pass.map_chunks(Part::OuterProduct, m, 2 * c, |m| {
            let x = self.layer_norm.forward(m); // [S, R, C]
            linear(x, weight.clone(), Some(offset.clone()))
        });
        let both = both * mask.clone().unsqueeze_dim(2); // [S, R, 2 c]
        let left = both.clone().narrow(2, 0, c); // [S, R, c]
        let right = both.narrow(2, c, c); // [S, R, c]
        let shared = matmul(mask.clone().swap_dims(0, 1), mask.clone());
        let norm = shared + OUTER_EPSILON; // [R, R]
        pass.in_chunks(Part::OuterProduct, z, 0, |pass, z, at| {
            let (left, norm) = (rows(&left, 1, &at), rows(&norm, 0, &at));
            let update = match pass.intermediates {
                Intermediates::Streamed => outer_product_mean(
                    left,
                    right.clone(),
                    self.linear_out.weight.val(),
                    self.offset(),
                    norm,
                ),
                Intermediates::Stored => self.stored(left, right.clone(), norm),
            }; // [R, R, C]
            residual_add(z, update, None, None)
        })
    }

    fn offset(&self) -> Tensor<1> {
        let [width, _] = self.linear_out.weight.val().dims();
        let device = self.linear_out.weight.val().device();
        let bias = self.linear_out.bias.as_ref().map(Param::val);
        bias.unwrap_or_else(|| Tensor::zeros([width], &device))
    }

    /// The paper's way: all outer products are stored.
    fn stored(
        &self,
        left: Tensor<3>,
        right: Tensor<3>,
        norm: Tensor<2>,
    ) -> Tensor<3> {
        let ([s, n, c], [_, r, _]) = (left.dims(), right.dims());
        let left = left.permute([1, 2, 0]).reshape([n * c, s]); // [R c, S]
        let outer = matmul(left, right.reshape([s, r * c])); // [R c, R c]
        let outer = outer.reshape([n, c, r, c]).permute([0, 2, 1, 3]);
        let update = self.linear_out.forward(outer.reshape([n, r, c * c]));
        update / norm.unsqueeze_dim(2) // [R, R, C]
    }
}

/// Which edges of a triangle are multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// `sum_k a_ik b_jk` (algorithm 11).
    Outgoing,
    /// `sum_k a_ki b_kj` (algorithm 12).
    Incoming,
}

/// Algorithms 11 and 12: two edges of a triangle update the third.
#[derive(Module, Debug)]
pub struct TriangleMultiplication {
    layer_norm_in: LayerNorm,
    layer_norm_out: LayerNorm,
    linear_a_p: Linear,
    linear_a_g: Linear,
    linear_b_p: Linear,
    linear_b_g: Linear,
    linear_g: Linear,
    linear_z: Linear,
    #[module(skip)]
    direction: Direction,
}

impl TriangleMultiplication {
    /// Of `channels`, with `hidden` channels of products.
    pub(crate) fn new(
        p: &mut Parameters,
        channels: usize,
        hidden: usize,
        direction: Direction,
    ) -> Self {
        let mut side = || Linear::new(p, channels, hidden, true);
        let [a_p, a_g, b_p, b_g] = [side(), side(), side(), side()];
        Self {
            layer_norm_in: layer_norm(p, channels),
            layer_norm_out: layer_norm(p, hidden),
            linear_a_p: a_p,
            linear_a_g: a_g,
            linear_b_p: b_p,
            linear_b_g: b_g,
            linear_g: Linear::new(p, channels, channels, true),
            linear_z: Linear::new(p, hidden, channels, true),
            direction,
        }
    }

    pub(crate) fn forward(
        &self,
        z: Tensor<3>,
        mask: &Tensor<2>,
        pass: &mut Pass,
    ) -> Tensor<3> {
        let chunk = pass.chunks.of(Part::TriangleMultiplication);
        match chunk.filter(|&size| size < z.dims()[0]) {
            None => self.whole(z, mask, pass),
            Some(size) => self.chunked(z, mask, pass, size),
        }
    }

    fn whole(
        &self,
        z: Tensor<3>,
        mask: &Tensor<2>,
        pass: &mut Pass,
    ) -> Tensor<3> {
        let layers = [
            &self.linear_a_p,
            &self.linear_a_g,
            &self.linear_b_p,
            &self.linear_b_g,
            &self.linear_g,
        ];
        let (packed, c) = self.project(z.clone(), &layers); // [R, R, 4 c + C]
        let planes = gated_planes(packed.clone(), mask.clone(), c, 2);
        let left = planes.clone().narrow(0, 0, c); // [c, R, R]
        let right = planes.narrow(0, c, c); // [c, R, R]
        self.add(z, left, right, gate(packed, 4 * c), pass)
    }

    /// The side that every chunk needs is computed first, as a whole; then
    /// the rows (outgoing) or columns (incoming) of the other.
    fn chunked(
        &self,
        z: Tensor<3>,
        mask: &Tensor<2>,
        pass: &mut Pass,
        size: usize,
    ) -> Tensor<3> {
        let [r, _, _] = z.dims();
        let a = [&self.linear_a_p, &self.linear_a_g];
        let b = [&self.linear_b_p, &self.linear_b_g];
        let (axis, own, other) = match self.direction {
            Direction::Outgoing => (0, a, b),
            Direction::Incoming => (1, b, a),
        };
        let c = other[0].weight.dims()[0];
        let mut planes = Tensor::zeros([c, r, r], &z.device());
        for at in pass.ranges(r, size) {
            let (packed, c) = self.project(rows(&z, 0, &at), &other);
            let some = gated_planes(packed, rows(mask, 0, &at), c, 1);
            planes = assign(planes, 1, &at, some);
        }
        let layers = [own[0], own[1], &self.linear_g];
        pass.in_chunks(Part::TriangleMultiplication, z, axis, |pass, z, at| {
            let (packed, c) = self.project(z.clone(), &layers);
            let mask = rows(mask, axis, &at);
            let own = gated_planes(packed.clone(), mask, c, 1);
            let (left, right) = match self.direction {
                Direction::Outgoing => (own, planes.clone()),
                Direction::Incoming => (planes.clone(), own),
            };
            self.add(z, left, right, gate(packed, 2 * c), pass)
        })
    }

    /// Some projections of `z` side by side, and the channels of a product.
    fn project(&self, z: Tensor<3>, layers: &[&Linear]) -> (Tensor<3>, usize) {
        let (weight, offset) = merged(layers);
        let c = self.linear_a_p.weight.dims()[0];
        (linear(self.layer_norm_in.forward(z), weight, Some(offset)), c)
    }

    /// Products of planes `[c, ., .]`, added to `z` through the gate.
    fn add(
        &self,
        z: Tensor<3>,
        left: Tensor<3>,
        right: Tensor<3>,
        gate: Tensor<3>,
        pass: &mut Pass,
    ) -> Tensor<3> {
        let product = match self.direction {
            Direction::Outgoing => matmul(left, right.swap_dims(1, 2)),
            Direction::Incoming => matmul(left.swap_dims(1, 2), right),
        }; // [c, R, R]
        let norm = &self.layer_norm_out;
        let normed = match &norm.bias {
            Some(bias) => plane_norm(
                product,
                norm.weight.val(),
                bias.val(),
                EPSILON as f32,
            ),
            None => norm.forward(product.permute([1, 2, 0])),
        }; // [R, R, c]
        let update = self.linear_z.forward(normed); // [R, R, C]
        let dropped = pass.dropped(PAIR_DROPOUT, Shared::Rows);
        residual_add(z, update, Some(gate), dropped) // [R, R, C]
    }
}

/// The channels of a merged projection from `first` on.
fn gate(packed: Tensor<3>, first: usize) -> Tensor<3> {
    let width = packed.dims()[2];
    packed.narrow(2, first, width - first)
}

/// Attention along sequences: of every sequence, or of their mean.
#[derive(Module, Debug)]
pub enum ColumnAttention {
    /// Algorithm 8, of the main stack.
    Full(MsaColumnAttention),
    /// Algorithm 19, of the extra stack.
    Global(GlobalColumnAttention),
}

/// What is there: 1, else 0.
#[derive(Clone, Debug)]
pub struct Masks {
    /// `[S, R]`.
    pub msa: Tensor<2>,
    /// `[R, R]`.
    pub pair: Tensor<2>,
}

/// A block of the main or of the extra stack (algorithms 6 and 18).
#[derive(Module, Debug)]
pub struct EvoformerBlock {
    msa_att_row: MsaRowAttention,
    msa_att_col: ColumnAttention,
    msa_transition: Transition,
    outer_product_mean: OuterProductMean,
    tri_mul_out: TriangleMultiplication,
    tri_mul_in: TriangleMultiplication,
    tri_att_start: TriangleAttention,
    tri_att_end: TriangleAttention,
    pair_transition: Transition,
}

impl EvoformerBlock {
    /// A block of the main stack.
    pub fn new(p: &mut Parameters, config: &Config) -> Self {
        let (c_m, stack) = (config.c_m, &config.evoformer);
        let column = MsaColumnAttention::new(p, c_m, stack);
        Self::with(p, c_m, config, stack, ColumnAttention::Full(column))
    }

    /// A block of the extra MSA stack.
    pub fn extra(p: &mut Parameters, config: &Config) -> Self {
        let (c_e, stack) = (config.c_e, &config.extra);
        let column = GlobalColumnAttention::new(p, c_e, stack);
        Self::with(p, c_e, config, stack, ColumnAttention::Global(column))
    }

    fn with(
        p: &mut Parameters,
        c_m: usize,
        config: &Config,
        stack: &Stack,
        msa_att_col: ColumnAttention,
    ) -> Self {
        let (c_z, factor) = (config.c_z, stack.transition_factor);
        let (hidden, heads) = (stack.triangle_hidden, stack.pair_heads);
        let (outgoing, incoming) = (Direction::Outgoing, Direction::Incoming);
        let d = stack.pair_head_width;
        Self {
            msa_att_row: MsaRowAttention::new(p, c_m, c_z, stack),
            msa_att_col,
            msa_transition: Transition::new(
                p,
                c_m,
                factor,
                Part::MsaTransition,
            ),
            outer_product_mean: OuterProductMean::new(p, c_m, c_z, stack),
            tri_mul_out: TriangleMultiplication::new(p, c_z, hidden, outgoing),
            tri_mul_in: TriangleMultiplication::new(p, c_z, hidden, incoming),
            tri_att_start: TriangleAttention::new(
                p,
                c_z,
                heads,
                d,
                Along::Rows,
            ),
            tri_att_end: TriangleAttention::new(
                p,
                c_z,
                heads,
                d,
                Along::Columns,
            ),
            pair_transition: Transition::new(
                p,
                c_z,
                factor,
                Part::PairTransition,
            ),
        }
    }

    /// `m` `[S, R, c_m]` and `z` `[R, R, c_z]` to the same. `see` gets what
    /// each part returned, by the part's name.
    pub fn forward(
        &self,
        m: Tensor<3>,
        z: Tensor<3>,
        masks: &Masks,
        pass: &mut Pass,
        see: See<'_>,
    ) -> (Tensor<3>, Tensor<3>) {
        let Masks { msa, pair } = masks;
        let m = seen(see, "msa_att_row", || {
            self.msa_att_row.forward(m, &z, msa, pass)
        }); // [S, R, c_m]
        let m = seen(see, "msa_att_col", || match &self.msa_att_col {
            ColumnAttention::Full(column) => column.forward(m, msa, pass),
            ColumnAttention::Global(column) => column.forward(m, msa, pass),
        }); // [S, R, c_m]
        let m = seen(see, "msa_transition", || {
            self.msa_transition.forward(m, pass)
        }); // [S, R, c_m]
        let z = seen(see, "outer_product_mean", || {
            self.outer_product_mean.forward(&m, z, msa, pass)
        }); // [R, R, c_z]
        let z = seen(see, "tri_mul_out", || {
            self.tri_mul_out.forward(z, pair, pass)
        }); // [R, R, c_z]
        let z =
            seen(see, "tri_mul_in", || self.tri_mul_in.forward(z, pair, pass)); // [R, R, c_z]
        let z = seen(see, "tri_att_start", || {
            self.tri_att_start.forward(z, pair, pass)
        }); // [R, R, c_z]
        let z = seen(see, "tri_att_end", || {
            self.tri_att_end.forward(z, pair, pass)
        }); // [R, R, c_z]
        let z = seen(see, "pair_transition", || {
            self.pair_transition.forward(z, pass)
        }); // [R, R, c_z]
        (m, z)
    }
}

/// Who looks on as the parts of a model return, by the name of each.
pub type See<'a> = &'a mut dyn FnMut(&str, &Tensor<3>);

fn seen(
    see: See<'_>,
    name: &str,
    part: impl FnOnce() -> Tensor<3>,
) -> Tensor<3> {
    let x = span(name, part);
    see(name, &x);
    x
}
