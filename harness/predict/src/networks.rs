//! What a kernel costs inside a network beyond what it costs alone: scores
//! that a framework stores, pictures whose layout it turns, heads that it pads.
//!
//! Rules by the kind of kernel and of runtime, none by device. Where a rule
//! has a number, it stands in `constants.toml` with its fit.

use assay_schema::{Precision, Runtime};
use assay_trace::{Elementwise, OperatorKind};

use crate::constants::RuntimeConstants;
use crate::kernels::{Kernel, Launches};

/// What a whole graph is, beside its kernels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Network {
    /// Whether it is one: more than a kernel launched once.
    pub(crate) whole: bool,
    /// Whether it is one kernel that was timed alone.
    pub(crate) alone: bool,
    /// Whether it has convolutions.
    pub(crate) pictures: bool,
    /// Bytes that one run finds as the one before left them: weights, inputs,
    /// caches, optimizer state. Of a single operator 0: a probe's inputs
    /// rotate.
    pub(crate) lasting_bytes: f64,
}

impl Network {
    pub(crate) fn of(launches: &Launches, runtime: Runtime) -> Self {
        let working =
            || launches.kernels.iter().filter(|k| k.kind != OperatorKind::View);
        let whole = working().map(|kernel| kernel.count).sum::<u64>() > 1;
        let lasting = |kernel: &Kernel| {
            kernel.count as f64 * (kernel.weight_bytes + kernel.cold_bytes)
        };
        Self {
            whole,
            alone: launches.is_alone(runtime),
            pictures: working()
                .any(|k| matches!(k.kind, OperatorKind::Conv { .. })),
            lasting_bytes: if whole {
                launches.kernels.iter().map(lasting).sum()
            } else {
                0.0
            },
        }
    }
}

/// The kernels that a runtime launches in the place of one of a network's,
/// where it is not that one alone. `on_lanes`: products at this precision run
/// on the vector lanes.
pub(crate) fn launched(
    kernel: &Kernel,
    network: Network,
    how: &RuntimeConstants,
    precision: Precision,
    on_lanes: bool,
) -> Option<Vec<Kernel>> {
    if !network.whole {
        return None;
    }
    match kernel.kind {
        // Fused kernels of attention are written for the matrix unit.
        OperatorKind::Attention { query, .. }
            if how.stores_scores && on_lanes && query > 1 =>
        {
            Some(stored(&kernel.kind, precision))
        }
        OperatorKind::LayerNorm { .. }
        | OperatorKind::Elementwise { .. }
        | OperatorKind::Copy { .. }
            if network.pictures && !on_lanes && how.pictures > 1.0 =>
        {
            let mut moved = kernel.clone();
            moved.cold_bytes *= how.pictures;
            moved.made_bytes *= how.pictures;
            Some(vec![moved])
        }
        _ => None,
    }
}

/// Attention with its scores in memory: products, a scaling, a mask (both of
/// GPT-2, BERT and OPT in `transformers`), a softmax; all pairs, since the
/// mask only hides them. The gradient: four products and the same passes.
fn stored(kind: &OperatorKind, precision: Precision) -> Vec<Kernel> {
    let &OperatorKind::Attention {
        batch,
        heads,
        head_dim,
        query,
        keys,
        backward,
        ..
    } = kind
    else {
        return Vec::new();
    };
    let lanes = batch * heads;
    let product = |m, n, k| OperatorKind::Matmul { batch: lanes, m, n, k };
    let scores = Elementwise::Mul;
    let pass = OperatorKind::Elementwise {
        op: scores,
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

/// Widths of heads that fused kernels are built for: the next multiple of
/// this, and this at least. A head of 40 is computed as one of 64.
const HEAD_STEP: u64 = 32;
const LEAST_HEAD: u64 = 64;

/// The width at which a fused kernel computes heads of a width.
pub(crate) fn padded_head(head_dim: u64) -> u64 {
    head_dim.div_ceil(HEAD_STEP).max(LEAST_HEAD / HEAD_STEP) * HEAD_STEP
}

#[cfg(test)]
mod tests {
    use super::*;

    const ATTENTION: OperatorKind = OperatorKind::Attention {
        batch: 2,
        heads: 3,
        kv_heads: 3,
        head_dim: 64,
        query: 128,
        keys: 128,
        causal: true,
        backward: false,
    };

    fn eager() -> RuntimeConstants {
        let constants = crate::constants::Constants::get().unwrap();
        constants.runtime(assay_schema::Runtime::Eager).unwrap().clone()
    }

    fn whole(pictures: bool) -> Network {
        Network { whole: true, pictures, ..Network::default() }
    }

    #[test]
    fn scores_are_stored_on_lanes_alone_and_in_networks_alone() {
        let kernel = Kernel::alone(&ATTENTION, Precision::F32);
        let how = eager();
        let parts = |network, on_lanes| {
            launched(&kernel, network, &how, Precision::F32, on_lanes)
        };
        assert_eq!(parts(whole(false), false), None);
        assert_eq!(parts(Network::default(), true), None);
        let parts = parts(whole(false), true).unwrap();
        // The scores: written once, through two passes and a softmax (two
        // each), read once.
        let scores = 4.0 * 2.0 * 3.0 * 128.0 * 128.0;
        let rows = 4.0 * 4.0 * 2.0 * 3.0 * 128.0 * 64.0;
        let bytes: f64 = parts.iter().map(Kernel::bytes).sum();
        assert_eq!(bytes, 8.0 * scores + rows);
        // All pairs, twice the triangle but for its diagonal.
        let products: f64 = parts
            .iter()
            .filter(|part| matches!(part.kind, OperatorKind::Matmul { .. }))
            .map(|part| part.flops)
            .sum();
        assert_eq!(products, 2.0 * 2.0 * 6.0 * 128.0 * 128.0 * 64.0);
    }

    #[test]
    fn a_gradient_has_four_products() {
        let OperatorKind::Attention { batch, heads, head_dim, query, .. } =
            ATTENTION
        else {
            unreachable!("an attention");
        };
        let kind = OperatorKind::Attention {
            batch,
            heads,
            kv_heads: heads,
            head_dim,
            query,
            keys: query,
            causal: true,
            backward: true,
        };
        let parts = stored(&kind, Precision::F32);
        let is_product =
            |part: &&Kernel| matches!(part.kind, OperatorKind::Matmul { .. });
        assert_eq!(parts.iter().filter(is_product).count(), 4);
    }

    #[test]
    fn pictures_move_their_activations_more_often_where_nothing_fuses() {
        let kind = OperatorKind::Elementwise {
            op: Elementwise::Add,
            elements: 1000,
            operands: 2,
        };
        let kernel = Kernel::alone(&kind, Precision::F16);
        let how = eager();
        let part = |network| {
            launched(&kernel, network, &how, Precision::F16, false)
                .map(|parts| parts[0].bytes())
        };
        assert_eq!(part(whole(false)), None);
        let moved = part(whole(true)).unwrap();
        assert!((moved / kernel.bytes() - how.pictures).abs() < 1e-12);
    }

    #[test]
    fn heads_are_computed_at_the_width_of_the_next_kernel() {
        let widths = [(40, 64), (64, 64), (80, 96), (128, 128), (160, 160)];
        for (head, wide) in widths {
            assert_eq!(padded_head(head), wide);
        }
    }
}
