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

/// What a decoder does with sequences of tokens, as its kernels show: a network
/// that looks tokens up and attends to those before them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sequences {
    /// Sequences side by side.
    batch: u64,
    /// Tokens of each that go in at once, the most there are; 0 where the
    /// network is no decoder, or trains.
    prompt: u64,
    /// Steps of one token after a prompt, or without one.
    steps: u64,
    /// Whether attention is products and a softmax, its scores in memory.
    stores_scores: bool,
}

impl Sequences {
    pub(crate) fn of(kernels: &[Kernel]) -> Self {
        let kinds = || kernels.iter().map(|kernel| &kernel.kind);
        let trains = |kind: &OperatorKind| {
            matches!(
                kind,
                OperatorKind::Optimizer { .. }
                    | OperatorKind::Attention { backward: true, .. }
                    | OperatorKind::Softmax { backward: true, .. }
            )
        };
        let looks_up = |kind: &OperatorKind| {
            matches!(kind, OperatorKind::Embedding { .. })
        };
        if kinds().any(trains) || !kinds().any(looks_up) {
            return Self::default();
        }
        let attends = |kind: &OperatorKind| match *kind {
            OperatorKind::Attention { query, causal, .. } => {
                Some(if causal || query == 1 { query } else { 0 })
            }
            _ => None,
        };
        let scores = |kind: &OperatorKind| match *kind {
            OperatorKind::Matmul { batch: 2.., m, .. } => Some(m),
            _ => None,
        };
        let stores_scores = kinds().all(|kind| attends(kind).is_none());
        let queries: Vec<u64> = if stores_scores {
            kinds().filter_map(scores).collect()
        } else {
            kinds().filter_map(attends).collect()
        };
        let prompt = queries.iter().copied().max().unwrap_or(0);
        let rows = |kind: &OperatorKind| match *kind {
            OperatorKind::Matmul { batch: 1, m, .. } => m,
            _ => 0,
        };
        let rows = kinds().map(rows).max().unwrap_or(0);
        // A step's keys are longer than those of the step before.
        let each = if stores_scores { 2 } else { 1 };
        let steps = queries.iter().filter(|&&query| query == 1).count();
        Self {
            batch: rows.checked_div(prompt).unwrap_or(1).max(1),
            prompt,
            steps: steps as u64 / each,
            stores_scores,
        }
    }
}

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
    /// Calls of a compiled graph that a network takes.
    pub(crate) fn calls(self, network: Network) -> u64 {
        let Sequences { prompt, steps, .. } = network.sequences;
        let of_prompt = if prompt > 1 { self.chunks(prompt) } else { 0 };
        (of_prompt + steps).max(1)
    }

    fn chunks(self, prompt: u64) -> u64 {
        prompt.div_ceil(self.chunk)
    }

    /// What is launched in the place of a network's kernel.
    pub(crate) fn launched<'a>(
        self,
        kernel: &'a Kernel,
        network: Network,
        precision: Precision,
    ) -> Cow<'a, [Kernel]> {
        let called = (network.whole && network.sequences.prompt > 0)
            .then(|| self.called(kernel, network.sequences, precision))
            .flatten();
        called.map_or_else(
            || Cow::Borrowed(slice::from_ref(kernel)),
            |call| Cow::Owned(vec![call]),
        )
    }

    /// The kernel of a call; `None` where it stays as it is. Beside steps of
    /// one token, kernels that do not show their rows stay as they are: most
    /// are the steps'.
    fn called(
        self,
        kernel: &Kernel,
        sequences: Sequences,
        precision: Precision,
    ) -> Option<Kernel> {
        let Sequences { batch, prompt, steps, stores_scores } = sequences;
        let cached = if precision.is_weight_only() { self.cached } else { 1.0 };
        let of_prompt =
            |rows: u64| rows > 0 && rows.is_multiple_of(batch * prompt);
        match kernel.kind {
            OperatorKind::Attention { query: 1, .. } => Some(Kernel {
                cold_bytes: kernel.cold_bytes * cached,
                ..kernel.clone()
            }),
            OperatorKind::Matmul { batch: 2.., m: 1, .. } if stores_scores => {
                Some(Kernel {
                    cold_bytes: kernel.cold_bytes * cached,
                    ..kernel.clone()
                })
            }
            OperatorKind::Attention { causal: true, .. } => {
                Some(self.attention(kernel, cached, precision))
            }
            // Of an encoder beside the decoder.
            OperatorKind::Attention { .. } => None,
            _ if prompt == 1 => None,
            OperatorKind::Matmul { batch: lanes @ 2.., m, n, k }
                if stores_scores && m == prompt =>
            {
                // Of queries and keys, or of scores and values.
                let seen = prompt.max(self.window);
                let (n, k) = match (n == prompt, k == prompt) {
                    (true, _) => (seen, k),
                    (false, true) => (n, seen),
                    (false, false) => (n, k),
                };
                let kind =
                    OperatorKind::Matmul { batch: lanes, m: self.chunk, n, k };
                Some(self.replaced(kernel, &kind, prompt, precision))
            }
            OperatorKind::Softmax { rows, cols, .. }
                if stores_scores && cols == prompt && of_prompt(rows) =>
            {
                let kind = OperatorKind::Softmax {
                    rows: rows / prompt * self.chunk,
                    cols: cols.max(self.window),
                    backward: false,
                };
                Some(self.replaced(kernel, &kind, prompt, precision))
            }
            OperatorKind::Matmul { batch: 1, m, .. } if of_prompt(m) => {
                Some(self.padded(kernel, prompt, prompt))
            }
            // The logits of the last token: a call makes those of its rows.
            OperatorKind::Matmul { batch: 1, m, .. }
                if m == batch && steps == 0 =>
            {
                Some(self.padded(kernel, prompt, 1))
            }
            OperatorKind::LayerNorm { rows, .. }
            | OperatorKind::RmsNorm { rows, .. }
                if of_prompt(rows) =>
            {
                Some(self.padded(kernel, prompt, prompt))
            }
            OperatorKind::Matmul { .. } => None,
            _ if steps > 0 => None,
            _ => Some(self.padded(kernel, prompt, prompt)),
        }
    }

    /// Attention of a chunk to the window. A mask only hides: all of it is
    /// computed.
    fn attention(
        self,
        kernel: &Kernel,
        cached: f64,
        precision: Precision,
    ) -> Kernel {
        let mut kind = kernel.kind.clone();
        let (mut prompt, mut rows) = (1, 0.0);
        if let OperatorKind::Attention {
            batch,
            heads,
            head_dim,
            query,
            keys,
            causal,
            ..
        } = &mut kind
        {
            prompt = *query;
            *query = self.chunk;
            *keys = (*keys).max(self.window);
            *causal = false;
            rows = (*batch * *heads * *query * *head_dim) as f64;
        }
        let mut call = self.replaced(kernel, &kind, prompt, precision);
        // Of what it reads all but its own rows is cached.
        let own = rows * precision.activation_bytes();
        call.cold_bytes = own + (call.cold_bytes - own) * cached;
        call
    }

    /// The calls of a kernel of another shape.
    fn replaced(
        self,
        kernel: &Kernel,
        kind: &OperatorKind,
        prompt: u64,
        precision: Precision,
    ) -> Kernel {
        let padded = self.chunk as f64 / prompt as f64;
        Kernel {
            count: kernel.count * self.chunks(prompt),
            fused_flops: kernel.fused_flops * padded,
            ..Kernel::alone(kind, precision)
        }
    }

    /// The calls of a kernel that had `rows` of each sequence: weights are
    /// read by each, all else is of a chunk's rows.
    fn padded(self, kernel: &Kernel, prompt: u64, rows: u64) -> Kernel {
        let padded = self.chunk as f64 / rows as f64;
        Kernel {
            kind: kernel.kind.clone(),
            count: kernel.count * self.chunks(prompt),
            flops: kernel.flops * padded,
            fused_flops: kernel.fused_flops * padded,
            weight_bytes: kernel.weight_bytes,
            cold_bytes: kernel.cold_bytes * padded,
            made_bytes: kernel.made_bytes * padded,
            largest_made: kernel.largest_made * padded,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPES: FixedShapes =
        FixedShapes { chunk: 128, window: 4096, cached: 0.5 };

    fn attention(
        batch: u64,
        query: u64,
        keys: u64,
        causal: bool,
    ) -> OperatorKind {
        OperatorKind::Attention {
            batch,
            heads: 8,
            kv_heads: 2,
            head_dim: 64,
            query,
            keys,
            causal,
            backward: false,
        }
    }

    fn product(m: u64) -> OperatorKind {
        OperatorKind::Matmul { batch: 1, m, n: 512, k: 256 }
    }

    fn alone(kind: &OperatorKind) -> Kernel {
        Kernel::alone(kind, Precision::Int4)
    }

    /// What three of the first kind become in a network of all that looks
    /// tokens up.
    fn called(kinds: &[OperatorKind]) -> (Kernel, u64) {
        let table = OperatorKind::Embedding {
            vocab: 32,
            width: 8,
            tokens: 1,
            backward: false,
        };
        of(&[kinds, &[table]].concat())
    }

    fn of(kinds: &[OperatorKind]) -> (Kernel, u64) {
        let kernels: Vec<Kernel> = kinds
            .iter()
            .map(|kind| Kernel { count: 3, ..alone(kind) })
            .collect();
        let network = Network {
            whole: true,
            sequences: Sequences::of(&kernels),
            ..Network::default()
        };
        let parts = SHAPES.launched(&kernels[0], network, Precision::Int4);
        assert_eq!(parts.len(), 1);
        (parts[0].clone(), SHAPES.calls(network))
    }

    fn near(a: f64, b: f64) {
        assert!((a / b - 1.0).abs() < 1e-12, "{a} {b}");
    }

    #[test]
    fn a_prompt_goes_through_in_padded_chunks_that_each_read_the_weights() {
        for batch in [1, 3] {
            let whole = alone(&product(128 * batch));
            for (prompt, calls) in [(1000, 8), (128, 1), (5, 1), (129, 2)] {
                let seen = attention(batch, prompt, prompt, true);
                let (call, all) = called(&[product(batch * prompt), seen]);
                assert_eq!((call.count, all), (3 * calls, calls), "{prompt}");
                near(call.flops, whole.flops);
                assert_eq!(call.weight_bytes, whole.weight_bytes);
            }
            // The logits of the last tokens: a call makes those of its rows.
            let seen = attention(batch, 1000, 1000, true);
            let kinds = [product(batch), product(1000 * batch), seen];
            let (last, _) = called(&kinds);
            assert_eq!(last.count, 24);
            near(last.flops, whole.flops);
        }
    }

    #[test]
    fn each_chunk_sees_the_whole_window_at_the_caches_format() {
        let kinds = [attention(2, 1000, 1000, true), product(2000)];
        let (call, _) = called(&kinds);
        let seen = attention(2, 128, 4096, false);
        assert_eq!((call.count, &call.kind), (24, &seen));
        let whole = alone(&seen);
        assert_eq!(call.flops, whole.flops);
        let keys = 2.0 * 2.0 * 2.0 * 4096.0 * 64.0 * 2.0;
        assert_eq!(call.cold_bytes, whole.cold_bytes - keys / 2.0);
        // A longer prompt has a longer window.
        let long = [attention(1, 8192, 8192, true), product(8192)];
        assert_eq!(called(&long).0.kind, attention(1, 128, 8192, false));
    }

    #[test]
    fn scores_in_memory_are_of_the_window_too() {
        let scores = |m, n, k| OperatorKind::Matmul { batch: 8, m, n, k };
        let kinds =
            [scores(1000, 1000, 64), scores(1000, 64, 1000), product(1000)];
        let (call, calls) = called(&kinds);
        assert_eq!((call.count, calls), (24, 8));
        assert_eq!(call.kind, scores(128, 4096, 64));
        // A head as wide as the prompt is long is no second length.
        let wide = [scores(64, 64, 64), scores(64, 64, 64), product(64)];
        assert_eq!(called(&wide).0.kind, scores(128, 4096, 64));
        let softmax =
            |rows, cols| OperatorKind::Softmax { rows, cols, backward: false };
        let (call, _) = called(&[
            softmax(8000, 1000),
            scores(1000, 1000, 64),
            scores(1000, 64, 1000),
            product(1000),
        ]);
        assert_eq!(call.kind, softmax(1024, 4096));
    }

    #[test]
    fn decoding_reads_the_cache_that_the_case_names() {
        let step = attention(1, 1, 1000, false);
        let (call, calls) = called(&[step.clone(), product(1)]);
        let whole = alone(&step);
        assert_eq!((call.count, call.flops, calls), (3, whole.flops, 1));
        assert_eq!(call.cold_bytes, whole.cold_bytes / 2.0);
        assert_eq!(called(&[product(1), step]).0.count, 3);
    }

    #[test]
    fn steps_after_a_prompt_stay_steps() {
        let prompt = attention(1, 1000, 1000, true);
        let steps =
            [attention(1, 1, 1001, false), attention(1, 1, 1002, false)];
        let norm =
            |rows| OperatorKind::RmsNorm { rows, cols: 256, backward: false };
        let kinds = |first| {
            let [a, b] = steps.clone();
            [first, prompt.clone(), product(1000), a, b]
        };
        let (step, calls) = called(&kinds(product(1)));
        assert_eq!((step.count, calls), (3, 8 + 2));
        assert_eq!(called(&kinds(norm(1))).0.count, 3);
        assert_eq!(called(&kinds(norm(1000))).0.count, 24);
        assert_eq!(called(&kinds(product(1000))).0.count, 24);
    }

    #[test]
    fn what_trains_is_no_decoder_or_is_alone_stays_as_it_is() {
        let trained =
            OperatorKind::Optimizer { elements: 512, flops_per_element: 12 };
        for beside in [trained, OperatorKind::Create { elements: 8 }] {
            let (call, calls) = called(&[product(1000), beside]);
            assert_eq!((call.count, calls), (3, 1));
        }
        // An encoder, and what looks nothing up.
        let seen = |causal| attention(1, 1000, 1000, causal);
        let (encoder, _) = called(&[product(1000), seen(false)]);
        let (picture, _) = of(&[product(1000), seen(true)]);
        assert_eq!((encoder.count, picture.count), (3, 3));
        let kernel = alone(&attention(1, 1000, 1000, true));
        let parts =
            SHAPES.launched(&kernel, Network::default(), Precision::F16);
        assert_eq!(parts, slice::from_ref(&kernel));
    }
}
