//! What a kernel costs inside a network beyond what it costs alone: scores
//! that a framework stores, activations whose layout it turns, what the run
//! before left in the last-level cache.
//!
//! Rules by the kind of kernel and of runtime, none by device. Where a rule
//! has a number, it stands in `constants.toml` with its fit.

use std::borrow::Cow;
use std::slice;

use assay_schema::{Precision, Runtime};
use assay_trace::{Elementwise, OperatorKind};

use crate::constants::RuntimeConstants;
use crate::fixed_shapes::Sequences;
use crate::kernels::{Kernel, Launches};

/// What a whole graph is, beside its kernels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Network {
    /// Whether it is one: more than a kernel launched once.
    pub(crate) whole: bool,
    /// Whether it is one kernel that was timed alone.
    pub(crate) alone: bool,
    /// What it does with sequences of tokens.
    pub(crate) sequences: Sequences,
    /// Whether it has convolutions.
    pub(crate) convolves: bool,
    /// Bytes that one run finds as the one before left them
    /// ([`Launches::lasting_bytes`]). Of a single operator 0: a probe's
    /// inputs rotate.
    pub(crate) lasting_bytes: f64,
    /// Size of the largest tensor that a run makes, which passes through the
    /// same cache.
    pub(crate) largest_made: f64,
}

impl Network {
    pub(crate) fn of(launches: &Launches, runtime: Runtime) -> Self {
        let kernels = || launches.kernels.iter();
        let whole = launches.count() > 1;
        Self {
            whole,
            alone: launches.is_alone(runtime),
            sequences: launches.sequences,
            convolves: kernels()
                .any(|k| matches!(k.kind, OperatorKind::Conv { .. })),
            lasting_bytes: if whole { launches.lasting_bytes } else { 0.0 },
            largest_made: kernels().map(|k| k.largest_made).fold(0.0, f64::max),
        }
    }
}

/// The kernels that a runtime launches in the place of one of a network's,
/// each as often as that one: mostly that one. `on_lanes`: products at this
/// precision run on the vector lanes.
pub(crate) fn launched<'a>(
    kernel: &'a Kernel,
    network: Network,
    how: &RuntimeConstants,
    precision: Precision,
    on_lanes: bool,
) -> Cow<'a, [Kernel]> {
    match kernel.kind {
        // Fused kernels of attention are written for the matrix unit.
        OperatorKind::Attention {
            batch,
            heads,
            // The keys of a group are copied to each of its heads
            // (`repeat_kv` of `transformers`): as many products as heads.
            kv_heads: _,
            head_dim,
            query,
            keys,
            // A mask only hides: all pairs are computed.
            causal: _,
            backward,
        } if network.whole && how.stores_scores && on_lanes && query > 1 => {
            let lanes = batch * heads;
            let scores = Scores { lanes, head_dim, query, keys, backward };
            let mut parts = scores.kernels(precision);
            for part in &mut parts {
                part.count = kernel.count;
            }
            Cow::Owned(parts)
        }
        OperatorKind::LayerNorm { .. }
        | OperatorKind::Elementwise { .. }
        | OperatorKind::Copy { .. }
            if network.whole
                && network.convolves
                && !on_lanes
                && how.activation_moves > 1.0 =>
        {
            let mut moved = kernel.clone();
            moved.cold_bytes *= how.activation_moves;
            moved.made_bytes *= how.activation_moves;
            Cow::Owned(vec![moved])
        }
        _ => Cow::Borrowed(slice::from_ref(kernel)),
    }
}

/// Attention that keeps its scores in memory: `lanes` sequences and heads,
/// `query` by `keys` scores in each.
#[derive(Clone, Copy, Debug)]
struct Scores {
    lanes: u64,
    head_dim: u64,
    query: u64,
    keys: u64,
    backward: bool,
}

impl Scores {
    /// Products, a scaling, a mask (both of GPT-2, BERT and OPT in
    /// `transformers`), a softmax. The gradient: four products and the same
    /// passes.
    fn kernels(self, precision: Precision) -> Vec<Kernel> {
        let Self { lanes, head_dim, query, keys, backward } = self;
        let product = |m, n, k| OperatorKind::Matmul { batch: lanes, m, n, k };
        let pass = OperatorKind::Elementwise {
            op: Elementwise::Mul,
            elements: lanes * query * keys,
            operands: 1,
        };
        let softmax =
            OperatorKind::Softmax { rows: lanes * query, cols: keys, backward };
        let mut kinds = vec![
            product(query, keys, head_dim),
            pass.clone(),
            pass,
            softmax,
            product(query, head_dim, keys),
        ];
        if backward {
            kinds.push(product(keys, head_dim, query));
            kinds.push(product(keys, head_dim, query));
        }
        let alone = |kind: &OperatorKind| {
            let mut kernel = Kernel::alone(kind, precision);
            if matches!(kind, OperatorKind::Softmax { backward: true, .. }) {
                // Probabilities beside their gradient.
                kernel.cold_bytes *= 2.0;
            }
            kernel
        };
        kinds.iter().map(alone).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attention over three layers, say.
    fn attention(backward: bool) -> Kernel {
        let kind = OperatorKind::Attention {
            batch: 2,
            heads: 3,
            kv_heads: 3,
            head_dim: 64,
            query: 128,
            keys: 128,
            causal: true,
            backward,
        };
        Kernel { count: 3, ..Kernel::alone(&kind, Precision::F32) }
    }

    fn eager() -> RuntimeConstants {
        let constants = crate::constants::Constants::get().unwrap();
        constants.runtime(Runtime::Eager).unwrap().clone()
    }

    fn whole(convolves: bool) -> Network {
        Network { whole: true, convolves, ..Network::default() }
    }

    fn is_product(part: &&Kernel) -> bool {
        matches!(part.kind, OperatorKind::Matmul { .. })
    }

    #[test]
    fn scores_are_stored_on_lanes_alone_and_in_networks_alone() {
        let kernel = attention(false);
        let how = eager();
        let parts = |network, on_lanes| {
            launched(&kernel, network, &how, Precision::F32, on_lanes)
        };
        assert_eq!(parts(whole(false), false), slice::from_ref(&kernel));
        assert_eq!(parts(Network::default(), true), slice::from_ref(&kernel));
        let parts = parts(whole(false), true);
        assert!(parts.iter().all(|part| part.count == kernel.count));
        // The scores: written once, through two passes and a softmax (two
        // each), read once.
        let scores = 4.0 * 2.0 * 3.0 * 128.0 * 128.0;
        let rows = 4.0 * 4.0 * 2.0 * 3.0 * 128.0 * 64.0;
        let bytes: f64 = parts.iter().map(Kernel::bytes).sum();
        assert_eq!(bytes, 8.0 * scores + rows);
        // All pairs, twice the triangle but for its diagonal.
        let products = parts.iter().filter(is_product);
        let flops: f64 = products.map(|part| part.flops).sum();
        assert_eq!(flops, 2.0 * 2.0 * 6.0 * 128.0 * 128.0 * 64.0);
    }

    #[test]
    fn a_gradient_has_four_products() {
        let kernel = attention(true);
        let how = eager();
        let parts = launched(&kernel, whole(false), &how, Precision::F32, true);
        assert_eq!(parts.iter().filter(is_product).count(), 4);
    }

    #[test]
    fn beside_convolutions_activations_move_more_often_where_nothing_fuses() {
        let kind = OperatorKind::Elementwise {
            op: Elementwise::Add,
            elements: 1000,
            operands: 2,
        };
        let kernel = Kernel::alone(&kind, Precision::F16);
        let how = eager();
        let bytes = |network| {
            launched(&kernel, network, &how, Precision::F16, false)[0].bytes()
        };
        assert_eq!(bytes(whole(false)), kernel.bytes());
        let moved = bytes(whole(true)) / kernel.bytes();
        assert!((moved - how.activation_moves).abs() < 1e-12, "{moved}");
    }
}
