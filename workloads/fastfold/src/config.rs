//! Sizes as data: an architecture (`architectures/*.toml`: widths and depths)
//! and, over it, what a model is run on (`models/*.toml`: sequences,
//! residues, templates, passes).

use assay_schema::TextError;
use serde::Deserialize;

use crate::FastFoldError;

/// Widths and depths of AlphaFold 2 (Jumper et al., 2021, supplement 1.6-1.9).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Version of the file's format: 1.
    pub format_version: u32,
    /// Name of the architecture.
    pub name: String,
    /// Channels of the MSA representation.
    pub c_m: usize,
    /// Channels of the pair representation.
    pub c_z: usize,
    /// Channels of the single representation.
    pub c_s: usize,
    /// Channels of the extra MSA.
    pub c_e: usize,
    /// Channels of template pairs.
    pub c_t: usize,
    /// The Evoformer stack.
    pub evoformer: Stack,
    /// The extra MSA stack, with global column attention.
    pub extra: Stack,
    /// The template stack and its embedders.
    pub template: Template,
    /// The structure module.
    pub structure: Structure,
    /// The heads.
    pub heads: Heads,
    /// What the embedders are given.
    pub features: Features,
}

/// A stack of Evoformer blocks.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stack {
    /// Blocks.
    pub blocks: usize,
    /// Heads of row and column attention.
    pub msa_heads: usize,
    /// Width of one of them.
    pub msa_head_width: usize,
    /// Channels of each factor of the outer product.
    pub outer_hidden: usize,
    /// Channels of triangle multiplication.
    pub triangle_hidden: usize,
    /// Heads of triangle attention.
    pub pair_heads: usize,
    /// Width of one of them.
    pub pair_head_width: usize,
    /// Width of a transition's hidden layer, in widths of its input.
    pub transition_factor: usize,
}

/// Templates (supplement 1.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Blocks of the pair stack.
    pub blocks: usize,
    /// Heads of its triangle attention.
    pub heads: usize,
    /// Width of one of them.
    pub head_width: usize,
    /// Channels of its triangle multiplication.
    pub hidden: usize,
    /// Factor of its transition.
    pub factor: usize,
    /// Heads of the attention over templates.
    pub pointwise_heads: usize,
    /// Width of one of them.
    pub pointwise_head_width: usize,
    /// Torsion-angle features of a residue.
    pub angle_features: usize,
    /// Features of a pair of residues.
    pub pair_features: usize,
}

/// The structure module (supplement 1.8).
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Structure {
    /// Iterations, which share their weights.
    pub iterations: usize,
    /// Heads of invariant point attention.
    pub heads: usize,
    /// Width of one of them.
    pub width: usize,
    /// Query points of a head.
    pub query_points: usize,
    /// Value points of a head.
    pub value_points: usize,
    /// Width of the angle network.
    pub resnet_width: usize,
    /// Blocks of the angle network.
    pub resnet_blocks: usize,
    /// Torsion angles of a residue.
    pub angles: usize,
}

/// The heads (supplement 1.9).
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heads {
    /// Hidden width of the confidence head.
    pub plddt_hidden: usize,
    /// Bins of the confidence head.
    pub plddt_bins: usize,
    /// Bins of the distogram.
    pub distogram_bins: usize,
    /// Classes of the masked-MSA head.
    pub masked_msa_classes: usize,
    /// Atoms of the resolved head.
    pub resolved_atoms: usize,
}

/// Widths of the input features (supplement 1.2.9).
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Features {
    /// Of a residue of the target.
    pub target: usize,
    /// Of a residue of an MSA cluster.
    pub msa: usize,
    /// Of a residue of an extra sequence.
    pub extra: usize,
    /// Largest relative position that is told apart.
    pub relative_positions: usize,
    /// Bins of recycled distances.
    pub recycling_bins: usize,
}

/// What a model is run on, over an architecture.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Version of the file's format: 1.
    pub format_version: u32,
    /// Name in commands.
    pub name: String,
    /// Name of its architecture.
    pub architecture: String,
    /// Where the numbers come from.
    pub source: String,
    /// MSA clusters [S].
    pub sequences: usize,
    /// Residues [R].
    pub residues: usize,
    /// Sequences of the extra MSA.
    pub extra_sequences: usize,
    /// Templates.
    pub templates: usize,
    /// Passes after the first.
    pub recycles: usize,
}

macro_rules! file {
    ($folder:literal, $name:literal) => {
        ($name, include_str!(concat!("../", $folder, "/", $name, ".toml")))
    };
}

const ARCHITECTURES: [(&str, &str); 2] =
    [file!("architectures", "alphafold-2"), file!("architectures", "tiny")];

const MODELS: [(&str, &str); 4] = [
    file!("models", "tiny"),
    file!("models", "initial-training"),
    file!("models", "fine-tuning"),
    file!("models", "inference"),
];

/// Names of the models, in the order in which they are listed.
pub fn names() -> impl Iterator<Item = &'static str> {
    MODELS.iter().map(|(name, _)| *name)
}

fn text_of(
    what: &'static str,
    files: &[(&'static str, &'static str)],
    name: &str,
) -> Result<&'static str, FastFoldError> {
    let found = files.iter().find(|(n, _)| *n == name);
    found.map(|(_, text)| *text).ok_or_else(|| FastFoldError::Unknown {
        what,
        found: name.to_owned(),
        nearest: assay_schema::nearest(name, files.iter().map(|(n, _)| *n))
            .unwrap_or(files[0].0)
            .to_owned(),
    })
}

fn read<T: serde::de::DeserializeOwned>(
    text: &str,
    file: &str,
) -> Result<T, FastFoldError> {
    let read = toml::from_str(text).map_err(|error| {
        TextError::new(file, text, error.span(), error.message())
    })?;
    Ok(read)
}

/// A model by name, with its architecture.
///
/// # Errors
/// No model of that name: the nearest is given.
pub fn model(name: &str) -> Result<(Model, Config), FastFoldError> {
    let text = text_of("model", &MODELS, name)?;
    let model: Model = read(text, &format!("{name}.toml"))?;
    let config = architecture(&model.architecture)?;
    Ok((model, config))
}

/// An architecture by name.
///
/// # Errors
/// No architecture of that name: the nearest is given.
pub fn architecture(name: &str) -> Result<Config, FastFoldError> {
    let text = text_of("architecture", &ARCHITECTURES, name)?;
    read(text, &format!("{name}.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_named_as_it_is_called_and_has_an_architecture() {
        for name in names() {
            let (model, config) = model(name).unwrap();
            assert_eq!(model.name, name);
            assert_eq!(config.name, model.architecture);
        }
    }

    #[test]
    fn an_unknown_model_is_refused_with_the_nearest_name() {
        let error = model("initial-trainin").unwrap_err().to_string();
        assert!(error.contains("`initial-training`"), "{error}");
    }
}
