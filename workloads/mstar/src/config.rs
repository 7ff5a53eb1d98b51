//! Vision-language models as data (`models/*.toml`): a vision tower, a
//! connector, a language model of `slm`, by name or written out. M-STaR
//! (arXiv 2412.17451) trains three; `small` and `tiny` train here.

use std::path::Path;

use assay_kernels::Activation;
use assay_schema::TextError;
use serde::Deserialize;

use crate::MstarError;

/// What becomes of the norm behind the last layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PostNorm {
    /// There is none (InternViT).
    None,
    /// Every patch passes through it (SigLIP).
    Applied,
    /// It has weights, which features of patches never meet (CLIP).
    Held,
}

/// The shape of a vision transformer. Symbols in brackets are those of the
/// legend in `vision.rs`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vision {
    /// Side of a tile, pixels [S].
    pub picture: usize,
    /// Side of a patch, pixels [p].
    pub patch: usize,
    /// Width [W].
    pub width: usize,
    /// Layers.
    pub layers: usize,
    /// Heads [h].
    pub heads: usize,
    /// Width of the feed-forward layer.
    pub mlp: usize,
    /// Its activation.
    #[serde(deserialize_with = "activation")]
    pub activation: Activation,
    /// Added to the variances of norms.
    pub norm_epsilon: f64,
    /// A learned token stands before the patches, and is dropped at the end.
    pub class_token: bool,
    /// Side of the table of positions, patches; a smaller picture reads it at
    /// even distances.
    pub position_side: usize,
    /// Whether the layer of patches has a bias.
    pub patch_bias: bool,
    /// A norm before the first layer (CLIP).
    pub pre_norm: bool,
    /// The norm behind the last layer.
    pub post_norm: PostNorm,
    /// What each branch adds is scaled by a learned vector (InternViT).
    pub layer_scale: bool,
    /// Queries and keys are normed, all heads of a token as one row
    /// (InternViT-6B).
    pub qk_norm: bool,
    /// Features are read after that many layers; the rest is held and not run.
    /// All by default.
    #[serde(default)]
    pub read_after: Option<usize>,
}

/// The shape of what stands between the vision tower and the decoder.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum Connector {
    /// `factor` x `factor` patches become one token, through two layers
    /// (InternVL's pixel shuffle, Phi-3-vision).
    PixelShuffle {
        /// Patches a side of what becomes one token.
        factor: usize,
        /// Whether a norm stands before the layers.
        norm: bool,
        /// Width between the two layers.
        hidden: usize,
        /// Activation between them.
        #[serde(deserialize_with = "activation")]
        activation: Activation,
        /// Added to the variance of the norm.
        norm_epsilon: f64,
    },
    /// Learned queries attend to the patches (perceiver resampler, MiniCPM-V).
    Resampler {
        /// Queries, each a visual token.
        queries: usize,
        /// Heads, each as wide as the language model's width over `heads`.
        heads: usize,
        /// Added to the variances of norms.
        norm_epsilon: f64,
    },
}

/// A vision-language model's shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Name in commands.
    pub name: String,
    /// Name as its authors write it.
    pub title: String,
    /// Where the numbers come from.
    pub source: String,
    /// Tiles of a picture at most.
    pub tiles: usize,
    /// The vision tower.
    pub vision: Vision,
    /// The connector.
    pub connector: Connector,
    /// The decoder.
    pub language: assay_slm::Config,
    /// Parameters in millions as published, about, where they are.
    pub published_params_m: Option<f64>,
}

/// A model's file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelFile {
    format_version: u32,
    name: String,
    title: String,
    source: String,
    tiles: usize,
    vision: Vision,
    connector: Connector,
    #[serde(default)]
    language_model: Option<String>,
    #[serde(default)]
    language: Option<assay_slm::Config>,
    #[serde(default)]
    published_params_m: Option<f64>,
}

macro_rules! file {
    ($name:literal) => {
        ($name, include_str!(concat!("../models/", $name, ".toml")))
    };
}

const FILES: [(&str, &str); 5] = [
    file!("minicpm-v-2.5"),
    file!("phi-3.5-vision"),
    file!("internvl2-2b"),
    file!("small"),
    file!("tiny"),
];

/// Names of the whole models, in the order in which they are listed.
pub const MODELS: [&str; 5] =
    [FILES[0].0, FILES[1].0, FILES[2].0, FILES[3].0, FILES[4].0];

/// Models that are small enough to be trained on two cores.
const TRAINED: [&str; 2] = ["small", "tiny"];

/// Names of the whole models.
pub fn names() -> impl Iterator<Item = &'static str> {
    MODELS.into_iter()
}

/// A whole model by name.
///
/// # Errors
/// No model of that name: the nearest is given.
pub fn model(name: &str) -> Result<Model, MstarError> {
    let Some((_, text)) = FILES.iter().find(|(known, _)| *known == name) else {
        let nearest = assay_schema::nearest(name, MODELS).unwrap_or("tiny");
        return Err(MstarError::Model {
            found: name.to_owned(),
            nearest: nearest.to_owned(),
        });
    };
    Model::from_toml(text, &format!("{name}.toml"))
}

fn activation<'de, D: serde::Deserializer<'de>>(
    input: D,
) -> Result<Activation, D::Error> {
    let word = String::deserialize(input)?;
    word.parse().map_err(serde::de::Error::custom)
}

impl Model {
    /// Reads a model's file.
    ///
    /// # Errors
    /// A file that cannot be read; as [`Model::from_toml`].
    pub fn from_file(path: &Path) -> Result<Self, MstarError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            MstarError::File { path: path.to_owned(), why: error.to_string() }
        })?;
        Self::from_toml(&text, &path.display().to_string())
    }

    /// Reads the text of a model's file, `file` in messages.
    ///
    /// # Errors
    /// Bad TOML, an unknown or missing key, sizes that do not go together:
    /// file and line; a language model of an unknown name.
    pub fn from_toml(text: &str, file: &str) -> Result<Self, MstarError> {
        let given: ModelFile = toml::from_str(text).map_err(|error| {
            TextError::new(file, text, error.span(), error.message())
        })?;
        let wrong = |message: String| {
            let key = message.split('`').nth(1);
            let start = key.and_then(|key| text.find(key));
            let span = start.map(|start| start..start + 1);
            MstarError::from(TextError::new(file, text, span, &message))
        };
        if given.format_version != 1 {
            return Err(wrong(format!(
                "`format_version` {} is not read by this build, expected 1",
                given.format_version
            )));
        }
        let language = match (given.language_model, given.language) {
            (Some(name), None) => assay_slm::model_config(&name)?,
            (None, Some(config)) => {
                config.check().map_err(&wrong)?;
                config
            }
            (Some(_), Some(_)) | (None, None) => {
                return Err(wrong(
                    "expected one of `language_model`, a name of `slm`, and \
                     `language`, a table of sizes"
                        .to_owned(),
                ));
            }
        };
        let model = Self {
            name: given.name,
            title: given.title,
            source: given.source,
            tiles: given.tiles,
            vision: given.vision,
            connector: given.connector,
            language,
            published_params_m: given.published_params_m,
        };
        model.check().map_err(wrong)?;
        Ok(model)
    }

    /// Side of a tile, pixels.
    pub fn picture(&self) -> usize {
        self.vision.picture
    }

    /// Visual tokens of a tile.
    pub fn tile_tokens(&self) -> usize {
        match self.connector {
            Connector::PixelShuffle { factor, .. } => {
                (self.vision.grid() / factor).pow(2)
            }
            Connector::Resampler { queries, .. } => queries,
        }
    }

    /// Visual tokens of a picture of so many tiles.
    pub fn visual(&self, tiles: usize) -> usize {
        self.tile_tokens() * tiles
    }

    /// Whether it is small enough to be trained on two cores.
    pub fn trains_here(&self) -> bool {
        TRAINED.contains(&self.name.as_str())
    }

    /// Whether a row of so many tokens, visual ones included, can be read.
    ///
    /// # Errors
    /// It is longer than the language model's context.
    pub fn check_length(&self, tokens: usize) -> Result<(), MstarError> {
        let context = self.language.context;
        if tokens > context {
            return Err(MstarError::TooLong { tokens, context });
        }
        Ok(())
    }

    /// Whether the numbers go together: what was found, what was expected.
    fn check(&self) -> Result<(), String> {
        self.vision.check()?;
        if self.tiles == 0 {
            return Err("`tiles` is 0, expected at least 1".to_owned());
        }
        let (grid, width) = (self.vision.grid(), self.language.width);
        match self.connector {
            Connector::PixelShuffle {
                factor, hidden, norm_epsilon, ..
            } => {
                if factor == 0 || !grid.is_multiple_of(factor) {
                    return Err(format!(
                        "`factor` {factor} does not divide the {grid} patches \
                         of a side"
                    ));
                }
                if hidden == 0 {
                    return Err("`hidden` is 0, expected at least 1".into());
                }
                check_epsilon(norm_epsilon)?;
            }
            Connector::Resampler { queries, heads, norm_epsilon } => {
                if queries == 0 {
                    return Err("`queries` is 0, expected at least 1".into());
                }
                if heads == 0 || !width.is_multiple_of(heads) {
                    return Err(format!(
                        "`heads` {heads} of the resampler do not divide the \
                         language model's width {width}"
                    ));
                }
                if !width.is_multiple_of(4) {
                    return Err(format!(
                        "`width` {width} of the language model: a resampler's \
                         positions need a multiple of 4"
                    ));
                }
                check_epsilon(norm_epsilon)?;
            }
        }
        let (one, context) = (self.tile_tokens(), self.language.context);
        if self.visual(self.tiles) >= context {
            return Err(format!(
                "`tiles` {} of {one} visual tokens leave no room for text in a \
                 context of {context}",
                self.tiles
            ));
        }
        Ok(())
    }
}

fn check_epsilon(epsilon: f64) -> Result<(), String> {
    if epsilon > 0.0 && epsilon.is_finite() {
        return Ok(());
    }
    Err(format!("`norm_epsilon` is {epsilon}, expected a number above 0"))
}

impl Vision {
    /// Patches of a side.
    pub fn grid(&self) -> usize {
        self.picture / self.patch
    }

    /// Patches of a tile.
    pub fn patches(&self) -> usize {
        self.grid().pow(2)
    }

    /// Layers that are run.
    pub fn layers_run(&self) -> usize {
        self.read_after.unwrap_or(self.layers)
    }

    fn check(&self) -> Result<(), String> {
        let positive = [
            ("picture", self.picture),
            ("patch", self.patch),
            ("layers", self.layers),
            ("heads", self.heads),
            ("mlp", self.mlp),
            ("position_side", self.position_side),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, n)| *n == 0) {
            return Err(format!("`{name}` is 0, expected at least 1"));
        }
        if !self.picture.is_multiple_of(self.patch) {
            return Err(format!(
                "`patch` {} does not divide `picture` {}",
                self.patch, self.picture
            ));
        }
        if self.width == 0 || !self.width.is_multiple_of(self.heads) {
            return Err(format!(
                "`heads` {} do not divide the tower's `width` {}",
                self.heads, self.width
            ));
        }
        if self.position_side < self.grid() {
            return Err(format!(
                "`position_side` {} is below the {} patches of a side",
                self.position_side,
                self.grid()
            ));
        }
        if !(1..=self.layers).contains(&self.layers_run()) {
            return Err(format!(
                "`read_after` is {}, expected 1 to `layers` {}",
                self.layers_run(),
                self.layers
            ));
        }
        check_epsilon(self.norm_epsilon)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_named_as_it_is_called_and_has_the_facts_tokens() {
        for name in names() {
            assert_eq!(model(name).unwrap().name, name);
        }
        // facts/mstar.md, section 2: visual tokens of one tile, and of all.
        for (name, one, all) in [
            ("minicpm-v-2.5", 96, 960),
            ("phi-3.5-vision", 144, 17 * 144),
            ("internvl2-2b", 256, 3328),
        ] {
            let model = model(name).unwrap();
            assert_eq!(model.visual(1), one, "{name}");
            assert_eq!(model.visual(model.tiles), all, "{name}");
            assert!(!model.trains_here());
        }
        assert!(model("tiny").unwrap().trains_here());
        let error = model("internvl-2b").unwrap_err().to_string();
        assert!(error.contains("internvl2-2b"), "{error}");
    }

    #[test]
    fn a_mistake_has_its_file_and_line() {
        let tiny = FILES[4].1;
        for (old, new, word) in [
            ("patch = 4", "pacth = 4", "`patch`"),
            ("patch = 4", "patch = 5", "does not divide"),
            ("factor = 2", "factor = 3", "does not divide"),
            ("heads = 2", "heads = 3", "do not divide"),
            ("position_side = 8", "position_side = 7", "below the 8"),
            ("[language]", "language_model = \"tiny\"\n[language]", "unknown"),
            ("kv_heads = 3", "kv_heads = 2", "does not divide"),
            ("tiles = 1\n", "tiles = 6\n", "no room for text"),
            ("kind = \"pixel-shuffle\"", "kind = \"mlp\"", "pixel-shuffle"),
            ("format_version = 1", "format_version = 2", "expected 1"),
        ] {
            let text = tiny.replacen(old, new, 1);
            assert_ne!(text, tiny, "{old}");
            let error = Model::from_toml(&text, "my.toml").unwrap_err();
            let message = error.to_string();
            assert!(message.starts_with("my.toml:"), "{message}");
            assert!(message.contains(word), "{message}");
        }
        let two = tiny.replacen(
            "tiles = 1",
            "tiles = 1\nlanguage_model = \"tiny\"",
            1,
        );
        let error = Model::from_toml(&two, "my.toml").unwrap_err();
        assert!(error.to_string().contains("expected one of"), "{error}");
    }

    #[test]
    fn a_row_longer_than_the_context_is_refused() {
        let tiny = model("tiny").unwrap();
        assert!(tiny.check_length(96).is_ok());
        let error = tiny.check_length(97).unwrap_err().to_string();
        assert!(error.contains("97") && error.contains("96"), "{error}");
    }
}
