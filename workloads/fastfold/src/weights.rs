//! Weights by the names that OpenFold publishes (`openfold/model/*.py`; the
//! README lists them). Fields of the modules carry these names, but for two
//! levels of nesting that the paper's figure does not have.

use assay_kit::{Binding, Checkpoint, KitError, Slice, load, parameter_shapes};
use burn::module::Module;

/// Parts that OpenFold keeps in a block's `core`.
const CORE: [&str; 7] = [
    "msa_transition",
    "outer_product_mean",
    "tri_mul_out",
    "tri_mul_in",
    "tri_att_start",
    "tri_att_end",
    "pair_transition",
];

/// The published name of a parameter of a block of the main stack (or of the
/// `extra` one): `tri_mul_out.linear_z.bias` is `core.tri_mul_out...`.
fn in_block(ours: &str, extra: bool) -> String {
    let (part, rest) = ours.split_once('.').unwrap_or((ours, ""));
    if CORE.contains(&part) {
        format!("core.{ours}")
    } else if part == "msa_att_col" && !extra {
        format!("msa_att_col._msa_att.{rest}")
    } else {
        ours.to_owned()
    }
}

/// The published name of a parameter of the whole model.
pub fn published_name(ours: &str) -> String {
    for (stack, extra) in
        [("evoformer.blocks.", false), ("extra_msa_stack.blocks.", true)]
    {
        if let Some(rest) = ours.strip_prefix(stack)
            && let Some((index, part)) = rest.split_once('.')
        {
            return format!("{stack}{index}.{}", in_block(part, extra));
        }
    }
    ours.to_owned()
}

/// Loads a module whose parameters lie under `prefix` in the whole model.
///
/// # Errors
/// Missing tensors, other shapes (weights of another architecture), a
/// truncated file; tensors that the whole module has no use for, unless it is
/// a part that is loaded.
pub(crate) fn load_published<M: Module>(
    module: M,
    prefix: &str,
    weights: &Checkpoint,
) -> Result<M, KitError> {
    let bindings: Vec<Binding> = parameter_shapes(&module)
        .into_keys()
        .map(|ours| {
            let theirs = published_name(&format!("{prefix}{ours}"));
            Binding { ours, theirs, slice: Slice::Whole }
        })
        .collect();
    load(module, weights, &bindings, |name| {
        !prefix.is_empty() && !name.starts_with(prefix)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_names_have_their_two_extra_levels() {
        for (ours, theirs) in [
            (
                "evoformer.blocks.3.msa_att_col.mha.linear_q.weight",
                "evoformer.blocks.3.msa_att_col._msa_att.mha.linear_q.weight",
            ),
            (
                "extra_msa_stack.blocks.0.msa_att_col.layer_norm_m.bias",
                "extra_msa_stack.blocks.0.msa_att_col.layer_norm_m.bias",
            ),
            (
                "evoformer.blocks.0.tri_mul_in.linear_g.bias",
                "evoformer.blocks.0.core.tri_mul_in.linear_g.bias",
            ),
            (
                "template_pair_stack.blocks.1.tri_att_end.linear.weight",
                "template_pair_stack.blocks.1.tri_att_end.linear.weight",
            ),
            ("evoformer.linear.bias", "evoformer.linear.bias"),
        ] {
            assert_eq!(published_name(ours), theirs);
        }
    }
}
