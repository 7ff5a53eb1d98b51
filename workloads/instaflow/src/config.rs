//! Sizes as data: networks (`networks/*.json`, in the format of the published
//! `config.json`, so that one reader serves ours and the user's) and
//! pipelines of three of them (`models/*.toml`).

mod keys;
mod networks;

use std::path::Path;

use assay_schema::TextError;
use serde::Deserialize;
use serde_json::Value;

use crate::InstaFlowError;
use crate::samplers::{self, DiffusionSchedule, Sampler};

use keys::{read, refused};
pub use networks::{BlockKind, TextConfig, UNetConfig, VaeConfig};

/// A network by its shape.
#[derive(Clone, Debug, PartialEq)]
pub enum Architecture {
    /// A U-Net.
    UNet(UNetConfig),
    /// Two U-Nets of that shape in series.
    Stacked(UNetConfig),
    /// A variational autoencoder, both ways.
    Vae(VaeConfig),
    /// Its decoder alone.
    VaeDecoder(VaeConfig),
    /// A text encoder.
    Text(TextConfig),
}

/// What is made of a file's network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Whole,
    Stacked,
    Decoder,
}

macro_rules! network {
    ($name:literal) => {
        ($name, include_str!(concat!("../networks/", $name, ".json")))
    };
}

macro_rules! model {
    ($name:literal) => {
        ($name, include_str!(concat!("../models/", $name, ".toml")))
    };
}

const FILES: [(&str, &str); 9] = [
    network!("sd15-unet"),
    network!("small-unet"),
    network!("tiny-unet"),
    network!("sd15-vae"),
    network!("small-vae"),
    network!("tiny-vae"),
    network!("sd15-text"),
    network!("small-text"),
    network!("tiny-text"),
];

/// Networks that are listed, in that order: name, file, what is made of it.
const LISTED: [(&str, &str, Part); 7] = [
    ("sd15-unet", "sd15-unet", Part::Whole),
    ("stacked-1.7b-unet", "sd15-unet", Part::Stacked),
    ("small-unet", "small-unet", Part::Whole),
    ("tiny-unet", "tiny-unet", Part::Whole),
    ("sd15-vae", "sd15-vae", Part::Whole),
    ("sd15-vae-decoder", "sd15-vae", Part::Decoder),
    ("sd15-text", "sd15-text", Part::Whole),
];

/// Networks that are known, but too small to be worth a line in a list.
const UNLISTED: [(&str, &str, Part); 8] = [
    ("small-stacked-unet", "small-unet", Part::Stacked),
    ("tiny-stacked-unet", "tiny-unet", Part::Stacked),
    ("small-vae", "small-vae", Part::Whole),
    ("small-vae-decoder", "small-vae", Part::Decoder),
    ("small-text", "small-text", Part::Whole),
    ("tiny-vae", "tiny-vae", Part::Whole),
    ("tiny-vae-decoder", "tiny-vae", Part::Decoder),
    ("tiny-text", "tiny-text", Part::Whole),
];

const MODELS: [(&str, &str); 5] = [
    model!("sd15"),
    model!("instaflow-0.9b"),
    model!("instaflow-1.7b"),
    model!("small"),
    model!("tiny"),
];

/// Names of the networks that are listed.
pub fn network_names() -> impl Iterator<Item = &'static str> {
    LISTED.iter().map(|(name, ..)| *name)
}

/// Names of the pipelines.
pub fn pipeline_names() -> impl Iterator<Item = &'static str> {
    MODELS.iter().map(|(name, _)| *name)
}

/// An error about a name that is none of `known`.
fn unknown(
    what: &'static str,
    found: &str,
    known: impl IntoIterator<Item = &'static str>,
) -> InstaFlowError {
    let nearest = assay_schema::nearest(found, known).unwrap_or_default();
    InstaFlowError::Unknown {
        what,
        found: found.to_owned(),
        nearest: nearest.to_owned(),
    }
}

/// A network by name.
///
/// # Errors
/// No network of that name: the nearest is given.
pub fn architecture(name: &str) -> Result<Architecture, InstaFlowError> {
    let known = || LISTED.iter().chain(&UNLISTED);
    let Some((_, file, part)) = known().find(|(known, ..)| *known == name)
    else {
        return Err(unknown("model", name, known().map(|(name, ..)| *name)));
    };
    Ok(match (part, of_file(file)?) {
        (Part::Stacked, Architecture::UNet(unet)) => {
            Architecture::Stacked(unet)
        }
        (Part::Decoder, Architecture::Vae(vae)) => {
            Architecture::VaeDecoder(vae)
        }
        (_, whole) => whole,
    })
}

/// A network of a file that is part of this crate.
fn of_file(name: &str) -> Result<Architecture, InstaFlowError> {
    let Some((_, text)) = FILES.iter().find(|(known, _)| *known == name) else {
        return Err(unknown("network", name, FILES.map(|(name, _)| name)));
    };
    of_json(text, &format!("{name}.json"))
}

/// A network of a user's `config.json`.
///
/// # Errors
/// A file that cannot be read or is no JSON; a class that is none of the
/// three networks; a missing key; a key whose value asks for a computation
/// that is not built here; sizes that do not fit one another.
pub fn architecture_from_file(
    path: &Path,
) -> Result<Architecture, InstaFlowError> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| refused(&file, error.to_string()))?;
    of_json(&text, &file)
}

/// Whether a file says that it describes one of these networks; what is wrong
/// with it otherwise is [`architecture_from_file`]'s to say.
pub fn is_network(path: &Path) -> bool {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let json: Value = serde_json::from_str(&text).unwrap_or_default();
    CLASSES.iter().any(|(key, class)| {
        json.get(*key).and_then(Value::as_str) == Some(*class)
    }) || json.get("_class_name").is_some()
}

/// Classes by the key that names them: diffusers' and transformers'.
const CLASSES: [(&str, &str); 3] = [
    ("_class_name", "UNet2DConditionModel"),
    ("_class_name", "AutoencoderKL"),
    ("model_type", "clip_text_model"),
];

fn of_json(text: &str, file: &str) -> Result<Architecture, InstaFlowError> {
    let json: Value = serde_json::from_str(text)
        .map_err(|error| refused(file, error.to_string()))?;
    let Some(object) = json.as_object() else {
        return Err(refused(file, "not an object of keys and values"));
    };
    let class = ["_class_name", "model_type"]
        .iter()
        .find_map(|key| object.get(*key).and_then(Value::as_str));
    let (network, checked) = match class {
        Some("UNet2DConditionModel") => {
            let unet: UNetConfig = read(object, &networks::UNET, file)?;
            let checked = unet.check();
            (Architecture::UNet(unet), checked)
        }
        Some("AutoencoderKL") => {
            let vae: VaeConfig = read(object, &networks::VAE, file)?;
            let checked = vae.check();
            (Architecture::Vae(vae), checked)
        }
        Some("clip_text_model") => {
            let text: TextConfig = read(object, &networks::TEXT, file)?;
            let checked = text.check();
            (Architecture::Text(text), checked)
        }
        Some(other) => {
            let classes = CLASSES.map(|(_, class)| class);
            let nearest = assay_schema::nearest(other, classes);
            return Err(refused(
                file,
                format!(
                    "`{other}` is not built here; nearest: `{}` (one of {})",
                    nearest.unwrap_or_default(),
                    classes.join(", ")
                ),
            ));
        }
        None => {
            let classes =
                CLASSES.map(|(key, class)| format!("`{key}`: {class}"));
            return Err(refused(
                file,
                format!(
                    "does not say what it describes; expected {}",
                    classes.join(", or ")
                ),
            ));
        }
    };
    checked.map_err(|why| refused(file, why))?;
    Ok(network)
}

/// What a pipeline's network gives, and along which path it is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flow {
    /// Velocity, along straight lines from noise to data.
    Straight,
    /// Noise, along the path of Stable Diffusion.
    Diffusion,
}

/// Text encoder, U-Net and VAE that draw together, with the defaults of
/// drawing.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// Name in commands.
    pub name: String,
    /// Whether there are two U-Nets in series.
    pub stacked: bool,
    /// Tokens of a caption.
    pub tokens: usize,
    /// Side of a picture, pixels.
    pub picture: usize,
    /// What the U-Net gives.
    pub flow: Flow,
    /// How the flow is followed.
    pub sampler: Sampler,
    /// Steps.
    pub steps: usize,
    /// Scale of classifier-free guidance; 1: none.
    pub guidance: f64,
    /// Whether it is distilled to one step, its guidance with it.
    pub one_step: bool,
    /// Where the numbers come from.
    pub source: String,
    /// The U-Net.
    pub unet: UNetConfig,
    /// The VAE.
    pub vae: VaeConfig,
    /// The text encoder.
    pub text: TextConfig,
}

impl Pipeline {
    /// The path from noise to data.
    pub fn path(&self) -> samplers::Path {
        match self.flow {
            Flow::Straight => samplers::Path::Straight,
            Flow::Diffusion => {
                let schedule = DiffusionSchedule::stable_diffusion();
                samplers::Path::Diffusion(schedule)
            }
        }
    }
}

/// A pipeline's file: networks by name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PipelineFile {
    format_version: u32,
    name: String,
    unet: String,
    stacked: bool,
    vae: String,
    text: String,
    tokens: usize,
    picture: usize,
    flow: Flow,
    sampler: Sampler,
    steps: usize,
    guidance: f64,
    one_step: bool,
    source: String,
}

/// A pipeline by name, with its networks.
///
/// # Errors
/// No pipeline of that name: the nearest is given.
pub fn pipeline(name: &str) -> Result<Pipeline, InstaFlowError> {
    let Some((_, text)) = MODELS.iter().find(|(known, _)| *known == name)
    else {
        return Err(unknown("model", name, pipeline_names()));
    };
    let file = format!("{name}.toml");
    let given: PipelineFile = toml::from_str(text).map_err(|error| {
        TextError::new(&file, text, error.span(), error.message())
    })?;
    if given.format_version != 1 {
        return Err(refused(
            &file,
            format!("format_version {} is not read", given.format_version),
        ));
    }
    let networks =
        (of_file(&given.unet)?, of_file(&given.vae)?, of_file(&given.text)?);
    let (
        Architecture::UNet(unet),
        Architecture::Vae(vae),
        Architecture::Text(text),
    ) = networks
    else {
        return Err(refused(
            &file,
            "`unet`, `vae` and `text` must name networks of their kind",
        ));
    };
    Ok(Pipeline {
        name: given.name,
        stacked: given.stacked,
        tokens: given.tokens,
        picture: given.picture,
        flow: given.flow,
        sampler: given.sampler,
        steps: given.steps,
        guidance: given.guidance,
        one_step: given.one_step,
        source: given.source,
        unet,
        vae,
        text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pipeline_is_named_as_its_file_and_its_parts_fit() {
        for name in pipeline_names() {
            let it = pipeline(name).unwrap();
            assert_eq!(it.name, name);
            let latent = it.picture / it.vae.factor();
            assert_eq!(it.unet.sample_size, latent, "{name}");
            assert_eq!(it.unet.in_channels, it.vae.latent_channels);
            assert_eq!(it.unet.cross_attention_dim, it.text.hidden_size);
            assert_eq!(it.tokens, it.text.max_position_embeddings);
            assert_eq!(it.one_step, it.steps == 1, "{name}");
        }
        assert_eq!(pipeline("sd15").unwrap().vae.factor(), 8);
    }

    #[test]
    fn every_network_is_read_and_is_of_the_kind_that_its_name_says() {
        for (name, ..) in LISTED.iter().chain(&UNLISTED) {
            let fits = match architecture(name).unwrap() {
                Architecture::Stacked(_) => name.contains("stacked"),
                Architecture::UNet(_) => name.ends_with("-unet"),
                Architecture::Vae(_) => name.ends_with("-vae"),
                Architecture::VaeDecoder(_) => name.ends_with("-decoder"),
                Architecture::Text(_) => name.ends_with("-text"),
            };
            assert!(fits, "{name}");
        }
        let error = architecture("sd15-unt").unwrap_err().to_string();
        assert!(error.contains("nearest valid: `sd15-unet`"), "{error}");
    }

    /// `tiny-unet` with one key set to a value.
    fn tiny_with(key: &str, value: Value) -> String {
        let mut json: Value = serde_json::from_str(FILES[2].1).unwrap();
        json[key] = value;
        json.to_string()
    }

    #[test]
    fn keys_that_change_the_computation_are_refused_by_name() {
        for (key, value) in [
            ("use_linear_projection", Value::from(true)),
            ("class_embed_type", Value::from("timestep")),
            ("mid_block_type", Value::Null),
            ("norm_num_groups", Value::Null),
            ("norm_num_groups", Value::from(3)),
            ("act_fn", Value::from("gelu")),
            ("attention_head_dim", Value::from(vec![2, 4])),
            ("attention_head_dim", Value::from(5)),
            ("down_block_types", Value::from(vec!["AttnDownBlock2D"; 2])),
            ("up_block_types", Value::from(vec!["UpBlock2D"])),
            ("layers_per_block", Value::from(0)),
            ("in_channels", Value::Null),
        ] {
            let text = tiny_with(key, value);
            let error = of_json(&text, "config.json").unwrap_err().to_string();
            let named = error.contains(&format!("`{key}`"));
            assert!(named && error.starts_with("config.json: "), "{error}");
        }
    }

    #[test]
    fn keys_that_change_nothing_are_passed_over() {
        let plain = of_json(FILES[2].1, "tiny").unwrap();
        for (key, value) in [
            ("_diffusers_version", Value::from("0.6.0")),
            ("upcast_attention", Value::from(true)),
            ("only_cross_attention", Value::Null),
            ("num_attention_heads", Value::Null),
            ("dropout", Value::from(0.0)),
        ] {
            let found = of_json(&tiny_with(key, value), "tiny").unwrap();
            assert_eq!(found, plain, "{key}");
        }
    }

    #[test]
    fn what_is_no_network_is_told_what_would_be() {
        for (text, word) in [
            ("{", "EOF"),
            ("[]", "object"),
            ("{}", "clip_text_model"),
            (r#"{"_class_name": "UNet2DModel"}"#, "UNet2DConditionModel"),
            (
                r#"{"model_type": "clip_text_model", "hidden_act": "mish"}"#,
                "`hidden_act`",
            ),
        ] {
            let error = of_json(text, "config.json").unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn a_text_encoder_that_says_nothing_is_the_librarys_default() {
        let text = r#"{"model_type": "clip_text_model"}"#;
        let found = of_json(text, "config.json").unwrap();
        assert_eq!(found, Architecture::Text(TextConfig::default()));
    }
}
