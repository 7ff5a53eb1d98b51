//! Weights by the names that diffusers and transformers publish.

use std::collections::BTreeSet;

use assay_kit::{Binding, Checkpoint, KitError, Slice, load, parameter_shapes};
use burn::module::Module;

use crate::text::TextEncoder;
use crate::unet::{StackedUNet, Velocity};
use crate::vae::{Decoder, Vae};

/// What transformers calls parts of ours.
const TEXT_LEVELS: [(&str, &str); 4] = [
    (".to_q.", ".q_proj."),
    (".to_k.", ".k_proj."),
    (".to_v.", ".v_proj."),
    (".to_out.", ".out_proj."),
];

/// What diffusers calls parts of ours.
const PICTURE_LEVELS: [(&str, &str); 6] = [
    (".attention.", "."),
    (".to_out.", ".to_out.0."),
    (".ff.proj.", ".ff.net.0.proj."),
    (".ff.out.", ".ff.net.2."),
    (".downsampler.", ".downsamplers.0.conv."),
    (".upsampler.", ".upsamplers.0.conv."),
];

/// The published name of a parameter of any of the networks, by our dotted
/// path. Halves of a stacked network are `first.` and `second.`.
pub fn published_name(ours: &str) -> String {
    const TEXT: &str = "text_model";
    let text = if let Some(rest) = ours.strip_prefix("layers.") {
        Some(format!("{TEXT}.encoder.layers.{rest}"))
    } else if ours.starts_with("final_layer_norm.") {
        Some(format!("{TEXT}.{ours}"))
    } else if ["token_embedding", "position_embedding"].contains(&ours) {
        Some(format!("{TEXT}.embeddings.{ours}.weight"))
    } else {
        None
    };
    let pairs: &[(&str, &str)] =
        if text.is_some() { &TEXT_LEVELS } else { &PICTURE_LEVELS };
    let name = text.unwrap_or_else(|| ours.to_owned());
    pairs.iter().fold(name, |name, (from, to)| name.replace(from, to))
}

/// What older files of diffusers call a parameter of the VAE's attention.
fn older_name(published: &str) -> String {
    [
        (".to_q.", ".query."),
        (".to_k.", ".key."),
        (".to_v.", ".value."),
        (".to_out.0.", ".proj_attn."),
    ]
    .iter()
    .fold(published.to_owned(), |name, (from, to)| name.replace(from, to))
}

/// Loads a module whose parameters lie under `prefix` in the file; of each
/// the first of its names that the file has.
fn load_named<M: Module>(
    module: M,
    prefix: &str,
    weights: &Checkpoint,
    ignored: impl Fn(&str) -> bool,
) -> Result<M, KitError> {
    let names: BTreeSet<String> = weights.names()?.into_iter().collect();
    let bindings: Vec<Binding> = parameter_shapes(&module)
        .into_keys()
        .map(|ours| {
            let published = published_name(&format!("{prefix}{ours}"));
            // transformers from 5.6 on saves without this level.
            let bare = published.strip_prefix("text_model.");
            let others = [older_name(&published)]
                .into_iter()
                .chain(bare.map(str::to_owned))
                .find(|name| names.contains(name));
            let theirs = match others {
                Some(other) if !names.contains(&published) => other,
                _ => published,
            };
            Binding { ours, theirs, slice: Slice::Whole }
        })
        .collect();
    load(module, weights, &bindings, ignored)
}

/// A U-Net's weights. A stacked network takes a file of both halves, or of
/// one U-Net, whose weights then start both.
///
/// # Errors
/// Missing or extra tensors, other shapes (weights of another architecture),
/// a file that is cut short.
pub fn load_unet(
    velocity: Velocity,
    weights: &Checkpoint,
) -> Result<Velocity, KitError> {
    let StackedUNet { first, second } = match velocity {
        Velocity::Single(unet) => {
            let unet = load_named(unet, "", weights, |_| false)?;
            return Ok(Velocity::Single(unet));
        }
        Velocity::Stacked(stacked) => {
            let of_both = |name: &String| name.starts_with("first.");
            if weights.names()?.iter().any(of_both) {
                let both = load_named(stacked, "", weights, |_| false)?;
                return Ok(Velocity::Stacked(both));
            }
            stacked
        }
    };
    let is_output = |name: &str| {
        name.starts_with("conv_norm_out.") || name.starts_with("conv_out.")
    };
    let is_input = |name: &str| name.starts_with("conv_in.");
    Ok(Velocity::Stacked(StackedUNet {
        first: load_named(first, "", weights, is_output)?,
        second: load_named(second, "", weights, is_input)?,
    }))
}

/// A VAE's weights.
///
/// # Errors
/// As [`load_unet`].
pub fn load_vae(vae: Vae, weights: &Checkpoint) -> Result<Vae, KitError> {
    load_named(vae, "", weights, |_| false)
}

/// A decoder's weights, out of a VAE's file.
///
/// # Errors
/// As [`load_unet`].
pub fn load_decoder(
    decoder: Decoder,
    weights: &Checkpoint,
) -> Result<Decoder, KitError> {
    let prefix = "decoder.";
    load_named(decoder, prefix, weights, |name| !name.starts_with(prefix))
}

/// A text encoder's weights, out of its own file or a whole CLIP's.
///
/// # Errors
/// As [`load_unet`].
pub fn load_text(
    text: TextEncoder,
    weights: &Checkpoint,
) -> Result<TextEncoder, KitError> {
    load_named(text, "", weights, |name| {
        name.ends_with("position_ids")
            || ["vision_model.", "visual_", "text_projection", "logit_scale"]
                .iter()
                .any(|start| name.starts_with(start))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_names_have_their_extra_levels() {
        for (ours, theirs) in [
            (
                "mid_block.attentions.0.transformer_blocks.0.ff.out.bias",
                "mid_block.attentions.0.transformer_blocks.0.ff.net.2.bias",
            ),
            ("x.attn2.to_out.bias", "x.attn2.to_out.0.bias"),
            (
                "up_blocks.1.upsampler.weight",
                "up_blocks.1.upsamplers.0.conv.weight",
            ),
            ("first.conv_in.weight", "first.conv_in.weight"),
            (
                "decoder.mid_block.attentions.0.attention.to_q.bias",
                "decoder.mid_block.attentions.0.to_q.bias",
            ),
            (
                "layers.3.self_attn.to_out.weight",
                "text_model.encoder.layers.3.self_attn.out_proj.weight",
            ),
            (
                "position_embedding",
                "text_model.embeddings.position_embedding.weight",
            ),
            ("final_layer_norm.bias", "text_model.final_layer_norm.bias"),
        ] {
            assert_eq!(published_name(ours), theirs);
        }
        assert_eq!(
            older_name("encoder.mid_block.attentions.0.to_out.0.bias"),
            "encoder.mid_block.attentions.0.proj_attn.bias"
        );
    }
}
