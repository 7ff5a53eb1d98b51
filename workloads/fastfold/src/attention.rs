//! Attention of the Evoformer (Jumper et al., *Highly accurate protein
//! structure prediction with AlphaFold*, Nature 2021, supplement, algorithms 7,
//! 8, 13, 14 and 19): along the rows or columns of a plane, gated, biased by
//! the pairs.
//!
//! Each part returns its input with the update added. `S` sequences, `R`
//! residues, `H` heads, `d` width of a head; `[X, Y, C]` is the MSA
//! representation `[S, R, c_m]` or the pair representation `[R, R, c_z]`.
//! Fields carry the names of OpenFold's published weights.

use assay_kernels::{
    Activation, Along, Shared, activate, axial_attention, biased_softmax,
    gated, linear, matmul, residual_add,
};
use assay_kit::{LayerNorm, Linear, Parameters};
use burn::Tensor;
use burn::module::Module;

use crate::config::Stack;
use crate::layers::{EPSILON, MSA_DROPOUT, PAIR_DROPOUT, layer_norm, merged};
use crate::pass::{Intermediates, Part, Pass, rows};

/// Gated attention along one axis of a plane (the core of algorithms 7, 8, 13
/// and 14).
#[derive(Module, Debug)]
pub struct Attention {
    linear_q: Linear,
    linear_k: Linear,
    linear_v: Linear,
    linear_g: Linear,
    linear_o: Linear,
    heads: usize,
}

impl Attention {
    pub(crate) fn new(
        p: &mut Parameters,
        channels: usize,
        [heads, d]: [usize; 2],
    ) -> Self {
        let hidden = heads * d;
        Self {
            linear_q: Linear::new(p, channels, hidden, false),
            linear_k: Linear::new(p, channels, hidden, false),
            linear_v: Linear::new(p, channels, hidden, false),
            linear_g: Linear::new(p, channels, hidden, true),
            linear_o: Linear::new(p, hidden, channels, true),
            heads,
        }
    }

    /// `x` `[X, Y, C]`, `mask` `[X, Y]`, `bias` of query, key and head.
    pub(crate) fn forward(
        &self,
        x: Tensor<3>,
        mask: Tensor<2>,
        bias: Option<Tensor<3>>,
        along: Along,
        how: Intermediates,
    ) -> Tensor<3> {
        let (weight, offset) = merged(&[
            &self.linear_q,
            &self.linear_k,
            &self.linear_v,
            &self.linear_g,
        ]);
        let packed = linear(x, weight, Some(offset)); // [X, Y, 4 H d]
        let mixed = match how {
            Intermediates::Streamed => {
                axial_attention(packed, mask, bias, self.heads, along)
            }
            Intermediates::Stored => self.stored(packed, mask, bias, along),
        }; // [X, Y, H d]
        self.linear_o.forward(mixed) // [X, Y, C]
    }

    /// The paper's way: scores are stored, their softmax is one kernel.
    fn stored(
        &self,
        packed: Tensor<3>,
        mask: Tensor<2>,
        bias: Option<Tensor<3>>,
        along: Along,
    ) -> Tensor<3> {
        let ([x, y, width], h) = (packed.dims(), self.heads);
        let d = width / (4 * h);
        let packed = packed.reshape([x, y, 4 * h, d]);
        let part = |which: usize| packed.clone().narrow(2, which * h, h);
        let turned = |t: Tensor<4>| match along {
            Along::Rows => t.permute([0, 2, 1, 3]), // [X, H, Y, d]
            Along::Columns => t.permute([1, 2, 0, 3]), // [Y, H, X, d]
        };
        let mask = match along {
            Along::Rows => mask,
            Along::Columns => mask.swap_dims(0, 1),
        };
        let [q, k, v] = [0, 1, 2].map(|which| turned(part(which)));
        let scores = matmul(q, k.swap_dims(2, 3)); // [X, H, Y, Y]
        let bias = bias.map(|bias| bias.permute([2, 0, 1])); // [H, Y, Y]
        let scale = (d as f32).powf(-0.5);
        let weights = biased_softmax(scores, scale, mask, bias);
        let mixed = matmul(weights, v); // [X, H, Y, d]
        let mixed = match along {
            Along::Rows => mixed.permute([0, 2, 1, 3]),
            Along::Columns => mixed.permute([2, 0, 1, 3]),
        }; // [X, Y, H, d]
        // [X, Y, H d]
        gated(part(3), mixed, Activation::Sigmoid).reshape([x, y, h * d])
    }
}

/// Algorithm 7: attention along residues, biased by the pairs.
#[derive(Module, Debug)]
pub struct MsaRowAttention {
    layer_norm_m: LayerNorm,
    layer_norm_z: LayerNorm,
    linear_z: Linear,
    mha: Attention,
}

impl MsaRowAttention {
    pub(crate) fn new(
        p: &mut Parameters,
        c_m: usize,
        c_z: usize,
        stack: &Stack,
    ) -> Self {
        let heads = [stack.msa_heads, stack.msa_head_width];
        Self {
            layer_norm_m: layer_norm(p, c_m),
            layer_norm_z: layer_norm(p, c_z),
            linear_z: Linear::new(p, c_z, stack.msa_heads, false),
            mha: Attention::new(p, c_m, heads),
        }
    }

    pub(crate) fn forward(
        &self,
        m: Tensor<3>,
        z: &Tensor<3>,
        mask: &Tensor<2>,
        pass: &mut Pass,
    ) -> Tensor<3> {
        let heads = self.mha.heads;
        let bias = pass.map_chunks(Part::MsaRow, z, heads, |z| {
            self.linear_z.forward(self.layer_norm_z.forward(z))
        }); // [R, R, H]
        pass.in_chunks(Part::MsaRow, m, 0, |pass, m, at| {
            let x = self.layer_norm_m.forward(m.clone()); // [S, R, C]
            let mask = rows(mask, 0, &at);
            let (bias, how) = (Some(bias.clone()), pass.intermediates);
            let update = self.mha.forward(x, mask, bias, Along::Rows, how);
            let dropped = pass.dropped(MSA_DROPOUT, Shared::Rows);
            residual_add(m, update, None, dropped) // [S, R, C]
        })
    }
}

/// Algorithm 8: attention along sequences.
#[derive(Module, Debug)]
pub struct MsaColumnAttention {
    layer_norm_m: LayerNorm,
    mha: Attention,
}

impl MsaColumnAttention {
    pub(crate) fn new(p: &mut Parameters, c_m: usize, stack: &Stack) -> Self {
        let heads = [stack.msa_heads, stack.msa_head_width];
        Self {
            layer_norm_m: layer_norm(p, c_m),
            mha: Attention::new(p, c_m, heads),
        }
    }

    pub(crate) fn forward(
        &self,
        m: Tensor<3>,
        mask: &Tensor<2>,
        pass: &mut Pass,
    ) -> Tensor<3> {
        pass.in_chunks(Part::MsaColumn, m, 1, |pass, m, at| {
            let x = self.layer_norm_m.forward(m.clone()); // [S, R, C]
            let (mask, how) = (rows(mask, 1, &at), pass.intermediates);
            let update = self.mha.forward(x, mask, None, Along::Columns, how);
            residual_add(m, update, None, None) // [S, R, C]
        })
    }
}

/// Algorithm 19: global attention along sequences, one query a residue. Keys
/// and values are shared by the heads.
#[derive(Module, Debug)]
pub struct GlobalColumnAttention {
    layer_norm_m: LayerNorm,
    global_attention: GlobalAttention,
}

/// The projections of [`GlobalColumnAttention`].
#[derive(Module, Debug)]
pub struct GlobalAttention {
    linear_q: Linear,
    linear_k: Linear,
    linear_v: Linear,
    linear_g: Linear,
    linear_o: Linear,
    heads: usize,
}

impl GlobalColumnAttention {
    pub(crate) fn new(p: &mut Parameters, c_m: usize, stack: &Stack) -> Self {
        let (heads, d) = (stack.msa_heads, stack.msa_head_width);
        Self {
            layer_norm_m: layer_norm(p, c_m),
            global_attention: GlobalAttention {
                linear_q: Linear::new(p, c_m, heads * d, false),
                linear_k: Linear::new(p, c_m, d, false),
                linear_v: Linear::new(p, c_m, d, false),
                linear_g: Linear::new(p, c_m, heads * d, true),
                linear_o: Linear::new(p, heads * d, c_m, true),
                heads,
            },
        }
    }

    pub(crate) fn forward(
        &self,
        m: Tensor<3>,
        mask: &Tensor<2>,
        pass: &mut Pass,
    ) -> Tensor<3> {
        pass.in_chunks(Part::MsaColumn, m, 1, |_, m, at| {
            let x = self.layer_norm_m.forward(m.clone()); // [S, R, C]
            let update = self.global_attention.forward(x, rows(mask, 1, &at));
            residual_add(m, update, None, None) // [S, R, C]
        })
    }
}

impl GlobalAttention {
    /// `x` `[S, R, C]`, `mask` `[S, R]`.
    pub(crate) fn forward(&self, x: Tensor<3>, mask: Tensor<2>) -> Tensor<3> {
        let ([s, r, _], h) = (x.dims(), self.heads);
        let seen = mask.clone().unsqueeze_dim::<3>(2); // [S, R, 1]
        let sum = (x.clone() * seen.clone()).sum_dim(0); // [1, R, C]
        let mean = sum / (seen.sum_dim(0) + EPSILON as f32);
        let q = self.linear_q.forward(mean); // [1, R, H d]
        let d = q.dims()[2] / h;
        let q = q.reshape([r, 1, h, d]).permute([0, 2, 1, 3]); // [R, H, 1, d]
        let k = self.linear_k.forward(x.clone()).permute([1, 2, 0]); // [R, d, S]
        let v = self.linear_v.forward(x.clone()).permute([1, 0, 2]); // [R, S, d]
        let q = q.reshape([r, h, d]);
        let scores = matmul(q, k).reshape([r, h, 1, s]); // [R, H, 1, S]
        let scale = (d as f32).powf(-0.5);
        let mask = mask.swap_dims(0, 1); // [R, S]
        let weights = biased_softmax(scores, scale, mask, None);
        let mixed = matmul(weights.reshape([r, h, s]), v); // [R, H, d]
        let mixed = mixed.reshape([1, r, h * d]); // [1, R, H d]
        let gate = self.linear_g.forward(x); // [S, R, H d]
        let gate = activate(gate, Activation::Sigmoid);
        self.linear_o.forward(gate * mixed) // [S, R, C]
    }
}

/// Algorithms 13 and 14: attention along rows (starting node) or columns
/// (ending node) of the pairs, biased by the third edge.
#[derive(Module, Debug)]
pub struct TriangleAttention {
    layer_norm: LayerNorm,
    linear: Linear,
    mha: Attention,
    #[module(skip)]
    along: Along,
}

impl TriangleAttention {
    /// Of `channels`; rows are the starting node's, columns the ending node's.
    pub(crate) fn new(
        p: &mut Parameters,
        channels: usize,
        heads: usize,
        head_width: usize,
        along: Along,
    ) -> Self {
        Self {
            layer_norm: layer_norm(p, channels),
            linear: Linear::new(p, channels, heads, false),
            mha: Attention::new(p, channels, [heads, head_width]),
            along,
        }
    }

    pub(crate) fn forward(
        &self,
        z: Tensor<3>,
        mask: &Tensor<2>,
        pass: &mut Pass,
    ) -> Tensor<3> {
        let part = Part::TriangleAttention;
        let bias = pass.map_chunks(part, &z, self.mha.heads, |z| {
            self.linear.forward(self.layer_norm.forward(z))
        }); // [R, R, H]
        let (axis, shared, bias) = match self.along {
            Along::Rows => (0, Shared::Rows, bias),
            Along::Columns => (1, Shared::Columns, bias.swap_dims(0, 1)),
        };
        pass.in_chunks(part, z, axis, |pass, z, at| {
            let x = self.layer_norm.forward(z.clone()); // [R, R, C]
            let (mask, bias) = (rows(mask, axis, &at), Some(bias.clone()));
            let how = pass.intermediates;
            let update = self.mha.forward(x, mask, bias, self.along, how);
            let dropped = pass.dropped(PAIR_DROPOUT, shared);
            residual_add(z, update, None, dropped) // [R, R, C]
        })
    }
}
