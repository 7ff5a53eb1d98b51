//! A candidate of the search: a shape in whole numbers, its exact number of
//! parameters, its name.
//!
//! The parts that the paper's search varies (arXiv 2411.05046, section 3;
//! `phonelm-100M` of the authors' repository is one point): depth, width,
//! heads, key-value heads, feed-forward width and kind, activation,
//! vocabulary, positions. All else is PhoneLM's, as [`Shape::config`] has it:
//! RMSNorm, no bias, one table for embedding and head.
//!
//! Legend: `L` layers, `D` width, `H` heads, `K` key-value heads, `d = D / H`,
//! `F` feed-forward width, `V` vocabulary, `C` longest context.

use std::fmt;

use assay_kernels::Activation;
use assay_slm::{Config, Positions};

use crate::shape::POSITIONS;
use crate::{PhoneLmError, Shape};

/// How positions enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Placing {
    /// Queries and keys are rotated.
    Rotary,
    /// A learned table of `C` rows is added to the embedding.
    Learned,
    /// Scores fall with the distance.
    Alibi,
}

impl Placing {
    fn positions(self) -> Positions {
        let at = match self {
            Self::Rotary => 0,
            Self::Learned => 1,
            Self::Alibi => 2,
        };
        POSITIONS[at].1
    }

    fn name(self) -> &'static str {
        match self {
            Self::Rotary => "rotary",
            Self::Learned => "learned",
            Self::Alibi => "alibi",
        }
    }
}

/// What one layer of a candidate is: candidates that share it share its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layer {
    /// Width of the residual stream [D].
    pub width: usize,
    /// Query heads [H]; they divide the width.
    pub heads: usize,
    /// Key-value heads [K]; they divide the heads.
    pub kv_heads: usize,
    /// Width of the feed-forward layer [F].
    pub ffn: usize,
    /// Whether it has a gate.
    pub gated: bool,
    /// Its activation.
    pub activation: Activation,
    /// How positions enter.
    pub placing: Placing,
}

/// A shape that the search looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// One of its layers.
    pub layer: Layer,
    /// How many of them [L].
    pub layers: usize,
    /// Vocabulary [V].
    pub vocab: usize,
    /// Longest context [C], tokens.
    pub context: usize,
}

/// An activation's name in commands.
pub(super) fn activation_name(activation: Activation) -> &'static str {
    match activation {
        Activation::Relu => "relu",
        Activation::Silu => "silu",
        Activation::Gelu => "gelu",
        Activation::GeluTanh => "gelu_new",
        Activation::Tanh => "tanh",
        Activation::Exp => "exp",
        Activation::QuickGelu => "quick_gelu",
        Activation::Sigmoid => "sigmoid",
    }
}

impl Layer {
    /// Learned values of one layer: two norms, `q` and output `D x D`, `k` and
    /// `v` `D x K d`, and two or three matrices `D x F`.
    pub fn parameters(&self) -> u64 {
        let n = |x: usize| x as u64;
        let d = n(self.width) / n(self.heads).max(1);
        let attention =
            2 * n(self.width).pow(2) + 2 * n(self.width) * n(self.kv_heads) * d;
        let matrices = if self.gated { 3 } else { 2 };
        2 * n(self.width) + attention + matrices * n(self.width) * n(self.ffn)
    }
}

impl Candidate {
    /// Exact number of learned values: the layers, the table `V x D`, the last
    /// norm, and the learned positions `C x D` where there are some.
    pub fn parameters(&self) -> u64 {
        let n = |x: usize| x as u64;
        let width = n(self.layer.width);
        let positions = match self.layer.placing {
            Placing::Learned => n(self.context) * width,
            Placing::Rotary | Placing::Alibi => 0,
        };
        let ends = n(self.vocab) * width + width + positions;
        n(self.layers) * self.layer.parameters() + ends
    }

    /// The same as axes of a case.
    pub fn shape(&self) -> Shape {
        Shape {
            layers: self.layers,
            width: self.layer.width,
            heads: self.layer.heads,
            kv_heads: self.layer.kv_heads,
            ffn: self.layer.ffn,
            vocab: self.vocab,
            context: self.context,
            gated: self.layer.gated,
            activation: self.layer.activation,
            positions: self.layer.placing.positions(),
        }
    }

    /// Its decoder, by its own name.
    ///
    /// # Errors
    /// Numbers that exclude each other: heads that do not divide the width,
    /// key-value heads that do not divide the heads, rotated heads of an odd
    /// width, a 0.
    pub fn config(&self) -> Result<Config, PhoneLmError> {
        self.shape().config(&self.to_string())
    }

    /// The candidate of a decoder's shape: a published model beside the front.
    ///
    /// # Errors
    /// A model that has what no candidate has: LayerNorm, a bias, another
    /// head, a head width that is not `D / H`.
    pub fn of_config(config: &Config) -> Result<Self, PhoneLmError> {
        let placing = match config.positions {
            Positions::Rotary { .. } => Placing::Rotary,
            Positions::Learned { .. } => Placing::Learned,
            Positions::Alibi => Placing::Alibi,
        };
        let layer = Layer {
            width: config.width,
            heads: config.heads,
            kv_heads: config.kv_heads,
            ffn: config.ffn,
            gated: config.gated,
            activation: config.activation,
            placing,
        };
        let candidate = Self {
            layer,
            layers: config.layers,
            vocab: config.vocab,
            context: config.context,
        };
        let own = Config {
            name: config.name.clone(),
            title: config.title.clone(),
            source: config.source.clone(),
            published_params_m: config.published_params_m,
            ..candidate.config()?
        };
        if own == *config {
            return Ok(candidate);
        }
        Err(PhoneLmError::Excluded(format!(
            "`{}` is no candidate: its norms, biases, head or positions are \
             not those that the search keeps fixed",
            config.name
        )))
    }
}

impl fmt::Display for Candidate {
    /// E.g. `l24-d1024-h16-k16-f4864-v49152-relu-gated-rotary`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Layer { width, heads, kv_heads, ffn, gated, activation, placing } =
            self.layer;
        write!(
            f,
            "l{}-d{width}-h{heads}-k{kv_heads}-f{ffn}-v{}-{}-{}-{}",
            self.layers,
            self.vocab,
            activation_name(activation),
            if gated { "gated" } else { "plain" },
            placing.name(),
        )
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A small candidate.
    pub(crate) fn small(layers: usize) -> Candidate {
        Candidate {
            layer: Layer {
                width: 32,
                heads: 4,
                kv_heads: 2,
                ffn: 48,
                gated: true,
                activation: Activation::Relu,
                placing: Placing::Rotary,
            },
            layers,
            vocab: 128,
            context: 64,
        }
    }

    #[test]
    fn the_published_shapes_have_their_published_counts() {
        for (name, millions) in
            [("phonelm-0.5b", 509.7), ("phonelm-1.5b", 1618.6)]
        {
            let config = assay_slm::model_config(name).unwrap();
            let candidate = Candidate::of_config(&config).unwrap();
            let found = candidate.parameters() as f64 / 1e6;
            assert!((found - millions).abs() < 0.06, "{name}: {found}");
        }
    }

    #[test]
    fn a_model_with_more_than_a_candidate_is_refused_by_name() {
        let config = assay_slm::model_config("gpt2").unwrap();
        let error = Candidate::of_config(&config).unwrap_err().to_string();
        assert!(error.contains("`gpt2` is no candidate"), "{error}");
    }

    #[test]
    fn a_name_tells_all_that_varies() {
        assert_eq!(
            small(3).to_string(),
            "l3-d32-h4-k2-f48-v128-relu-gated-rotary"
        );
    }

    #[test]
    fn numbers_that_exclude_each_other_are_refused() {
        let mut bad = small(3);
        bad.layer.kv_heads = 3;
        assert!(matches!(bad.config(), Err(PhoneLmError::Excluded(_))));
        bad.layer.heads = 5;
        assert!(matches!(bad.config(), Err(PhoneLmError::Excluded(_))));
    }
}
