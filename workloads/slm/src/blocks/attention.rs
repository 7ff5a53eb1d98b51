//! Grouped-query attention.

use assay_kernels::{Rotary, attention, rotary};
use assay_kit::Parameters;
use burn::module::Module;
use burn::tensor::Tensor;

use super::norm::Norm;
use super::projection::{Change, Projection};
use super::scores::{Scores, attend, slopes};
use crate::cache::Kept;
use crate::config::{AttentionBias, Config, Positions};
use crate::variation::QkNorm;

/// `H` query heads share `K` key-value heads.
#[derive(Module, Debug)]
pub struct Attention {
    q: Projection,
    k: Projection,
    v: Projection,
    q_norm: Option<Norm>,
    k_norm: Option<Norm>,
    output: Projection,
    #[module(skip)]
    rotary: Option<Rotary>,
    #[module(skip)]
    scores: Scores,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    norm_rows: bool,
}

impl Attention {
    /// The attention of layer `layer`.
    pub(crate) fn new(
        parameters: &mut Parameters,
        config: &Config,
        layer: usize,
        rotary: Option<Rotary>,
    ) -> Self {
        let (width, d) = (config.width, config.head_dim);
        let heads = config.heads_of(layer);
        let kv_heads = config.kv_heads_of(layer);
        let bias = config.attention_bias;
        let inner = matches!(bias, AttentionBias::Qkv | AttentionBias::All);
        let outer = matches!(bias, AttentionBias::Output | AttentionBias::All);
        let v = &config.variation;
        let mut norm = |heads: usize| match v.qk_norm {
            QkNorm::None => None,
            QkNorm::Head => Some(Norm::new(parameters, config, d)),
            QkNorm::Row => Some(Norm::bare(config, heads * d)),
        };
        let (q_norm, k_norm) = (norm(heads), norm(kv_heads));
        let divisor = v.query_scalar.map_or(d as f32, |n| n as f32);
        let alibi = config.positions == Positions::Alibi;
        Self {
            q: Projection::new(parameters, width, heads * d, inner),
            k: Projection::new(parameters, width, kv_heads * d, inner),
            v: Projection::new(parameters, width, kv_heads * d, inner),
            q_norm,
            k_norm,
            output: Projection::new(parameters, heads * d, width, outer),
            rotary,
            scores: Scores {
                scale: divisor.powf(-0.5),
                cap: v.attention_cap.map(|cap| cap as f32),
                window: config.window_of(layer),
                slopes: alibi.then(|| slopes(heads)),
            },
            heads,
            kv_heads,
            head_dim: d,
            norm_rows: v.qk_norm == QkNorm::Row,
        }
    }

    /// The same with its linear layers changed.
    pub(crate) fn changed(self, change: &mut Change<'_>) -> Self {
        Self {
            q: change(self.q),
            k: change(self.k),
            v: change(self.v),
            output: change(self.output),
            ..self
        }
    }

    /// `[B, T, D]` at positions `first..first + T` to the same, past keys and
    /// values from the cache, new ones into it.
    pub(crate) fn forward(
        &self,
        x: Tensor<3>,
        first: usize,
        cache: Option<&mut Kept>,
    ) -> Tensor<3> {
        let [b, t, _] = x.dims();
        let (h, kv, d) = (self.heads, self.kv_heads, self.head_dim);
        let q = self.q.forward(x.clone()); // [B, T, H d]
        let k = self.k.forward(x.clone()); // [B, T, K d]
        let v = self.v.forward(x).reshape([b, t, kv, d]); // [B, T, K, d]
        let q = self.normed(q, self.q_norm.as_ref(), h); // [B, T, H, d]
        let k = self.normed(k, self.k_norm.as_ref(), kv); // [B, T, K, d]
        let (q, k) = match &self.rotary {
            Some(table) => (rotary(q, table, first), rotary(k, table, first)),
            None => (q, k),
        };
        let (k, v) = match cache {
            Some(cache) => cache.append(k, v, first), // [B, S.., K, d]
            None => (k, v),
        };
        let mixed = self.mixed(q, k, v, first + t); // [B, T, H, d]
        self.output.forward(mixed.reshape([b, t, h * d])) // [B, T, D]
    }

    /// Heads of a row, normed before or after they come apart.
    fn normed(
        &self,
        x: Tensor<3>,
        norm: Option<&Norm>,
        heads: usize,
    ) -> Tensor<4> {
        let [b, t, _] = x.dims();
        let shape = [b, t, heads, self.head_dim];
        match norm {
            None => x.reshape(shape),
            Some(norm) if self.norm_rows => norm.forward(x).reshape(shape),
            Some(norm) => norm.forward(x.reshape(shape)),
        }
    }

    /// The fused kernel where it does what this layer asks; else written out.
    fn mixed(
        &self,
        q: Tensor<4>,
        k: Tensor<4>,
        v: Tensor<4>,
        keys: usize,
    ) -> Tensor<4> {
        let [b, t, _, _] = q.dims();
        let how = &self.scores;
        if how.are_plain(keys) {
            return attention(q, k, v, keys, how.scale, true);
        }
        match how.window {
            // One query: its window is all that it reads.
            Some(window) if t == 1 && window < keys => {
                let (kv, d) = (self.kv_heads, self.head_dim);
                let late = |x: Tensor<4>| {
                    x.slice([0..b, keys - window..keys, 0..kv, 0..d])
                };
                let (k, v) = (late(k), late(v)); // [B, window, K, d]
                if how.are_plain(window) {
                    attention(q, k, v, window, how.scale, true)
                } else {
                    // Slopes see differences of positions: these stay.
                    attend(q, k, v, window, how)
                }
            }
            _ => attend(q, k, v, keys, how),
        }
    }
}
