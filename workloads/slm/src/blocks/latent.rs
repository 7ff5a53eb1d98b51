//! Multi-head latent attention (DeepSeek-AI, *DeepSeek-V2*, 2024, section
//! 2.1; MiniCPM3).
//!
//! Queries pass through a narrow layer, keys and values through another; both
//! are normed there. The last `r` elements of a head carry the position: each
//! query head has its own, all key heads share one. As both published codes
//! do, the cache keeps keys and values of full width, not the narrow ones.

use assay_kernels::{Rotary, rotary};
use assay_kit::Parameters;
use burn::module::Module;
use burn::tensor::Tensor;

use super::norm::Norm;
use super::projection::{Change, Projection};
use super::scores::{Scores, attend};
use crate::cache::Kept;
use crate::config::Config;
use crate::variation::Latent;

/// Attention whose queries, keys and values come from narrow layers.
#[derive(Module, Debug)]
pub struct LatentAttention {
    q_down: Projection,
    q_norm: Norm,
    q_up: Projection,
    kv_down: Projection,
    kv_norm: Norm,
    kv_up: Projection,
    output: Projection,
    #[module(skip)]
    rotary: Option<Rotary>,
    #[module(skip)]
    scores: Scores,
    heads: usize,
    head_dim: usize,
    value_dim: usize,
    kv_rank: usize,
    rotated: usize,
}

impl LatentAttention {
    /// The attention of a layer.
    pub(crate) fn new(
        parameters: &mut Parameters,
        config: &Config,
        latent: Latent,
        rotary: Option<Rotary>,
    ) -> Self {
        let (width, heads, d) = (config.width, config.heads, config.head_dim);
        let Latent { query_rank, kv_rank, rotated, value_dim } = latent;
        let plain = d - rotated;
        let mut linear = |inputs: usize, outputs: usize| {
            Projection::new(parameters, inputs, outputs, false)
        };
        let (q_down, q_up) =
            (linear(width, query_rank), linear(query_rank, heads * d));
        let (kv_down, kv_up) = (
            linear(width, kv_rank + rotated),
            linear(kv_rank, heads * (plain + value_dim)),
        );
        let output = linear(heads * value_dim, width);
        let v = &config.variation;
        Self {
            q_down,
            q_norm: Norm::new(parameters, config, query_rank),
            q_up,
            kv_down,
            kv_norm: Norm::new(parameters, config, kv_rank),
            kv_up,
            output,
            rotary,
            scores: Scores {
                scale: (v.query_scalar.unwrap_or(d as f64) as f32).powf(-0.5),
                cap: v.attention_cap.map(|cap| cap as f32),
                window: None,
                slopes: None,
            },
            heads,
            head_dim: d,
            value_dim,
            kv_rank,
            rotated,
        }
    }

    /// The same with its linear layers changed.
    pub(crate) fn changed(self, change: &mut Change<'_>) -> Self {
        Self {
            q_down: change(self.q_down),
            q_up: change(self.q_up),
            kv_down: change(self.kv_down),
            kv_up: change(self.kv_up),
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
        let (h, d, e) = (self.heads, self.head_dim, self.value_dim);
        let (rank, r) = (self.kv_rank, self.rotated);
        let p = d - r;
        let turned = |x: Tensor<4>| match &self.rotary {
            Some(table) => rotary(x, table, first),
            None => x,
        };

        let narrow = self.q_norm.forward(self.q_down.forward(x.clone()));
        let q = self.q_up.forward(narrow).reshape([b, t, h, d]);
        let q_rotated = q.clone().slice([0..b, 0..t, 0..h, p..d]);
        let q = q.slice([0..b, 0..t, 0..h, 0..p]);
        let q = Tensor::cat(vec![q, turned(q_rotated)], 3); // [B, T, H, d]

        let narrow = self.kv_down.forward(x); // [B, T, rank + r]
        let shared = narrow.clone().slice([0..b, 0..t, rank..rank + r]);
        let shared = turned(shared.reshape([b, t, 1, r])); // [B, T, 1, r]
        let narrow = narrow.slice([0..b, 0..t, 0..rank]);
        let both = self.kv_up.forward(self.kv_norm.forward(narrow));
        let both = both.reshape([b, t, h, p + e]);
        let k = both.clone().slice([0..b, 0..t, 0..h, 0..p]);
        let k = Tensor::cat(vec![k, shared.expand([b, t, h, r])], 3);
        let v = both.slice([0..b, 0..t, 0..h, p..p + e]); // [B, T, H, e]

        let (k, v) = match cache {
            Some(cache) => cache.append(k, v, first), // [B, S.., H, d or e]
            None => (k, v),
        };
        let mixed = attend(q, k, v, first + t, &self.scores); // [B, T, H, e]
        self.output.forward(mixed.reshape([b, t, h * e])) // [B, T, D]
    }
}
