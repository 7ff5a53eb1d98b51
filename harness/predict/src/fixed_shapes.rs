//! Prompts under a runtime whose graphs are compiled for fixed shapes: a
//! prompt goes through in chunks, padded, each against a whole window of keys,
//! and keys are cached in a format of their own.

use std::borrow::Cow;
use std::slice;

use assay_schema::Precision;
use assay_trace::OperatorKind;
use serde::Deserialize;

use crate::kernels::Kernel;
use crate::networks::Network;

/// The shapes of a runtime's graphs.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FixedShapes {
    /// Tokens of a prompt that one call takes.
    chunk: u64,
    /// Keys that each call of a prompt sees at least.
    window: u64,
    /// Bytes of a cached key beside an activation's, where weights alone are
    /// quantised.
    cached: f64,
}

impl FixedShapes {
    /// What is launched in the place of a network's kernel.
    pub(crate) fn launched<'a>(
        self,
        kernel: &'a Kernel,
        network: Network,
        precision: Precision,
    ) -> Cow<'a, [Kernel]> {
        let cached = if precision.is_weight_only() { self.cached } else { 1.0 };
        let prompt = network.prompt;
        match kernel.kind {
            _ if !network.whole || prompt == 0 => {
                Cow::Borrowed(slice::from_ref(kernel))
            }
            OperatorKind::Attention { query: 1, .. } => {
                let mut one = kernel.clone();
                one.cold_bytes *= cached;
                Cow::Owned(vec![one])
            }
            OperatorKind::Attention {
                batch,
                heads,
                kv_heads,
                head_dim,
                query,
                keys,
                causal: _,
                backward: false,
            } => {
                // A mask only hides: the whole window is computed.
                let mut call = Kernel::alone(
                    &OperatorKind::Attention {
                        batch,
                        heads,
                        kv_heads,
                        head_dim,
                        query: self.chunk,
                        keys: keys.max(self.window),
                        causal: false,
                        backward: false,
                    },
                    precision,
                );
                call.cold_bytes *= cached;
                call.count = kernel.count * query.div_ceil(self.chunk);
                Cow::Owned(vec![call])
            }
            _ if prompt == 1 => Cow::Borrowed(slice::from_ref(kernel)),
            ref kind => {
                // Rows of one sequence in this kernel: all of the prompt, or
                // its last (the logits, which a call makes of all its rows).
                let rows = match *kind {
                    OperatorKind::Matmul { m, .. } => m.min(prompt),
                    _ => prompt,
                };
                let padded = self.chunk as f64 / rows.max(1) as f64;
                Cow::Owned(vec![Kernel {
                    kind: kind.clone(),
                    count: kernel.count * prompt.div_ceil(self.chunk),
                    flops: kernel.flops * padded,
                    fused_flops: kernel.fused_flops * padded,
                    weight_bytes: kernel.weight_bytes,
                    cold_bytes: kernel.cold_bytes * padded,
                    made_bytes: kernel.made_bytes * padded,
                    largest_made: kernel.largest_made * padded,
                }])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPES: FixedShapes =
        FixedShapes { chunk: 128, window: 4096, cached: 0.5 };

    fn network(prompt: u64) -> Network {
        Network { whole: true, prompt, ..Network::default() }
    }

    fn of(kind: &OperatorKind, prompt: u64) -> Kernel {
        let kernel =
            Kernel { count: 3, ..Kernel::alone(kind, Precision::Int4) };
        let parts = SHAPES.launched(&kernel, network(prompt), Precision::Int4);
        assert_eq!(parts.len(), 1);
        parts[0].clone()
    }

    fn attention(query: u64, keys: u64, causal: bool) -> OperatorKind {
        OperatorKind::Attention {
            batch: 1,
            heads: 8,
            kv_heads: 2,
            head_dim: 64,
            query,
            keys,
            causal,
            backward: false,
        }
    }

    #[test]
    fn a_prompt_goes_through_in_padded_chunks_that_each_read_the_weights() {
        let product = |m| OperatorKind::Matmul { batch: 1, m, n: 512, k: 256 };
        let whole = Kernel::alone(&product(128), Precision::Int4);
        for (prompt, calls) in [(1000, 8), (128, 1), (5, 1), (129, 2)] {
            let call = of(&product(prompt), prompt);
            assert_eq!(call.count, 3 * calls, "{prompt}");
            let error = (call.flops / whole.flops - 1.0).abs();
            assert!(error < 1e-12, "{prompt}: {}", call.flops);
            assert_eq!(call.weight_bytes, whole.weight_bytes);
        }
        // The logits of a prompt's last token: a call makes those of its rows.
        let last = of(&product(1), 1000);
        assert_eq!((last.count, last.flops), (24, whole.flops));
    }

    #[test]
    fn each_chunk_sees_the_whole_window_at_the_caches_format() {
        let call = of(&attention(1000, 1000, true), 1000);
        let seen = attention(128, 4096, false);
        assert_eq!((call.count, &call.kind), (24, &seen));
        let alone = Kernel::alone(&seen, Precision::Int4);
        assert_eq!(call.flops, alone.flops);
        assert_eq!(call.cold_bytes, alone.cold_bytes / 2.0);
        // A longer prompt has a longer window.
        let long = of(&attention(8192, 8192, true), 8192);
        assert_eq!(long.kind, attention(128, 8192, false));
    }

    #[test]
    fn decoding_reads_the_cache_that_the_case_names() {
        let step = of(&attention(1, 1000, false), 1);
        let alone = Kernel::alone(&attention(1, 1000, false), Precision::Int4);
        assert_eq!((step.count, step.flops), (3, alone.flops));
        assert_eq!(step.cold_bytes, alone.cold_bytes / 2.0);
        let product = OperatorKind::Matmul { batch: 1, m: 1, n: 8, k: 8 };
        assert_eq!(of(&product, 1).count, 3);
    }

    #[test]
    fn an_operator_alone_and_a_network_without_attention_stay_as_they_are() {
        let kernel =
            Kernel::alone(&attention(1000, 1000, true), Precision::F16);
        for network in [Network::default(), network(0)] {
            let parts = SHAPES.launched(&kernel, network, Precision::F16);
            assert_eq!(parts, slice::from_ref(&kernel));
        }
    }
}
